//! What is said to a terminal: registration, authentication, and replies to what is on disk.

use crate::body::{Batch, Registration, code};
use crate::frame::{self, Found, Head, Message, Outcome, id, platform_reply};
use crate::parts::{Collected, Collection};
use crate::readings::{Reading, Rules};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use model::Timestamp;
use sdk::{
    DeviceEntry, Devices, FirstSeen, Line, RawFrame, Reply, SecretHash, Step, Submission, Talk,
};
use std::sync::Arc;

/// The name of the protocol in a device's identities.
const PROTOCOL: &str = "jt808";

/// Bytes of an issued code, in hexadecimal digits twice as many.
const CODE_BYTES: usize = 8;

/// 终端注册应答, 8.6: the terminal is not in the register.
const NO_SUCH_TERMINAL: u8 = 4;

/// A message that is sent again within this is the same one (4.5.1: T(n+1) = T(n) × (n+1)).
const AGAIN_S: i64 = 600;

/// What all connections of a driver share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) rules: Rules,
    pub(crate) devices: Devices,
    /// Nothing is taken before a terminal showed its code.
    pub(crate) code_is_needed: bool,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conversation {
    shared: Arc<Shared>,
    line: Option<Line>,
    collection: Collection,
    /// The terminal that showed its code here.
    admitted: Option<String>,
    /// The last message, and when it came first.
    seen: FirstSeen,
    serial: u16,
    after_frame: bool,
}

impl Conversation {
    pub(crate) fn new(shared: Arc<Shared>, line: Option<Line>) -> Self {
        Self {
            shared,
            line,
            collection: Collection::default(),
            admitted: None,
            seen: FirstSeen::default(),
            serial: 0,
            after_frame: false,
        }
    }

    fn next_serial(&mut self) -> u16 {
        let serial = self.serial;
        self.serial = serial.wrapping_add(1);
        serial
    }

    fn reply(&mut self, to: &Head, outcome: Outcome) -> Bytes {
        let serial = self.next_serial();
        platform_reply(to, serial, outcome)
    }

    fn find(&self, head: &Head) -> Option<Arc<DeviceEntry>> {
        let devices = &self.shared.devices;
        let (short, padded) = (head.phone.digits(), head.phone.padded());
        let found = devices.find_identity(PROTOCOL, &short);
        found.or_else(|| devices.find_identity(PROTOCOL, &padded))
    }

    /// The code that is issued to a terminal: known to this installation, and the same after a start.
    fn issued(&self, head: &Head) -> String {
        let said = format!("jt808:{}", head.phone.digits());
        let hash = SecretHash::of(self.shared.devices.salt(), &said);
        let digits = hash.bytes().iter().take(CODE_BYTES);
        digits.map(|byte| format!("{byte:02x}")).collect()
    }

    fn take(&mut self, message: Message, now: Timestamp) -> Step {
        let head = &message.head;
        let Some(entry) = self.find(head) else {
            // 8100 may say that there is no such terminal; nothing else answers a stranger.
            let say = (head.id == id::REGISTER).then(|| self.registered(head, None));
            return refused("unknown_device", head, say);
        };
        if !entry.device.enabled {
            return refused("device_disabled", head, None);
        }
        if let Some(line) = &mut self.line {
            line.bind(entry.key);
        }
        if head.encryption != 0 {
            // RSA keys are exchanged by none of the terminals of the field.
            let say = Some(self.reply(head, Outcome::Unsupported));
            return refused("unsupported_encryption", head, say);
        }
        match head.id {
            id::REGISTER => self.register(&message),
            id::AUTHENTICATE => self.authenticate(&entry, &message),
            _ if self.is_locked_out(head) => {
                let say = Some(self.reply(head, Outcome::Failed));
                refused("not_authenticated", head, say)
            }
            id::REPLY => Step::Nothing,
            id::LOGOUT => Step::Say(self.reply(head, Outcome::Done)),
            _ if head.part.is_some() => self.take_part(&entry, &message, now),
            _ => {
                let (body, heads) = (message.body.clone(), vec![message.head]);
                self.take_whole(&entry, heads, &body, now)
            }
        }
    }

    fn is_locked_out(&self, head: &Head) -> bool {
        self.shared.code_is_needed && self.admitted.as_ref() != Some(&head.phone.digits())
    }

    fn register(&mut self, message: &Message) -> Step {
        let head = &message.head;
        let read = Registration::read(&message.body, head.version.is_some());
        if read.is_none() {
            return Step::Say(self.reply(head, Outcome::Wrong));
        }
        let code = self.issued(head);
        Step::Say(self.registered(head, Some(&code)))
    }

    /// 终端注册应答, 8.6.
    fn registered(&mut self, to: &Head, code: Option<&str>) -> Bytes {
        let mut body = BytesMut::with_capacity(3 + 2 * CODE_BYTES);
        body.put_u16(to.serial);
        body.put_u8(if code.is_some() { 0 } else { NO_SUCH_TERMINAL });
        body.put_slice(code.unwrap_or_default().as_bytes());
        let serial = self.next_serial();
        frame::write(to, id::REGISTERED, serial, &body)
    }

    fn authenticate(&mut self, entry: &DeviceEntry, message: &Message) -> Step {
        let head = &message.head;
        let shown = code(&message.body, head.version.is_some());
        let secret = SecretHash::of(self.shared.devices.salt(), &shown);
        let right = shown == self.issued(head) || entry.secret == Some(secret);
        if self.shared.code_is_needed && !right {
            let say = Some(self.reply(head, Outcome::Failed));
            return refused("wrong_secret", head, say);
        }
        self.admitted = Some(head.phone.digits());
        Step::Say(self.reply(head, Outcome::Done))
    }

    fn take_part(&mut self, entry: &DeviceEntry, message: &Message, now: Timestamp) -> Step {
        let head = &message.head;
        match self.collection.take(message, now) {
            Collected::Waits => Step::Nothing,
            Collected::Refused => {
                let say = Some(self.reply(head, Outcome::Wrong));
                refused("part", head, say)
            }
            Collected::Missing { first, numbers } => {
                let serial = self.next_serial();
                Step::Say(resend(head, serial, first, &numbers))
            }
            Collected::Whole(body) => {
                // Each part is confirmed once all of them are on disk.
                let (total, number) = head.part.unwrap_or((1, 1));
                let first = head.serial.wrapping_sub(number.wrapping_sub(1));
                let part = |index: u16| Head {
                    serial: first.wrapping_add(index),
                    ..head.clone()
                };
                let heads = (0..total).map(part).collect();
                self.take_whole(entry, heads, &body, now)
            }
        }
    }

    fn take_whole(
        &mut self,
        entry: &DeviceEntry,
        heads: Vec<Head>,
        body: &Bytes,
        now: Timestamp,
    ) -> Step {
        let Some(head) = heads.first().cloned() else {
            return Step::Nothing;
        };
        let shared = Arc::clone(&self.shared);
        let mut reading = Reading::new(&shared.rules, entry.key, now);
        let message = (&head.phone, head.id, head.serial, body);
        reading.first_seen = self.seen.of(message, now, AGAIN_S);
        let mut quarantined = Vec::new();
        match head.id {
            id::HEARTBEAT => reading.heartbeat(),
            id::LOCATION => reading.location(body, false),
            id::BATCH => batch(&mut reading, body),
            other => {
                // Kept, so that somebody can see what it is, and refused as the standard says.
                let detail = format!("message {other:04x}");
                reading.reject(None, "unknown_message", detail.clone());
                quarantined.push(RawFrame {
                    device: Some(entry.key),
                    reason: "unknown_message".into(),
                    detail,
                    bytes: body.to_vec(),
                });
            }
        }
        let outcome = match reading.part.rejected.first() {
            _ if !reading.part.observations.is_empty() => Outcome::Done,
            Some(first) if first.reason == "unknown_message" => Outcome::Unsupported,
            Some(_) => Outcome::Wrong,
            None => Outcome::Done,
        };
        let mut answer = BytesMut::new();
        for head in &heads {
            answer.extend_from_slice(&self.reply(head, outcome));
        }
        let reply: Reply = Box::new(move |_| answer.freeze());
        Step::Commit {
            submission: Submission {
                parts: vec![reading.part],
                quarantined,
            },
            reply: Some(reply),
        }
    }
}

impl Talk for Conversation {
    fn next(&mut self, received: &mut BytesMut, now: Timestamp) -> Option<Step> {
        loop {
            match frame::find(received, self.after_frame)? {
                Found::Flag => {
                    received.advance(1);
                    self.after_frame = false;
                }
                Found::Bad { bytes, reason } => {
                    received.advance(bytes);
                    self.after_frame = false;
                    let detail = format!("{bytes} bytes");
                    return Some(Step::Skipped {
                        bytes,
                        reason: reason.into(),
                        detail,
                    });
                }
                Found::Message(message, bytes) => {
                    received.advance(bytes);
                    self.after_frame = true;
                    return Some(self.take(message, now));
                }
            }
        }
    }
}

fn batch(reading: &mut Reading<'_>, body: &Bytes) {
    let Some(batch) = Batch::read(body) else {
        return reading.reject(None, "batch_short", format!("{} bytes", body.len()));
    };
    let mut taken = 0u16;
    for item in batch.items().take(usize::from(batch.count)) {
        reading.location(item, batch.is_backfill());
        taken = taken.saturating_add(1);
    }
    if taken < batch.count || batch.count == 0 {
        let detail = format!(
            "{} locations are said to be there, but {taken} are",
            batch.count
        );
        reading.reject(None, "count", detail);
    }
}

fn refused(reason: &'static str, head: &Head, say: Option<Bytes>) -> Step {
    Step::Refused {
        reason: reason.into(),
        claimed: head.phone.digits(),
        say,
    }
}

/// 服务器补传分包请求, 8.4; 2019 counts with two bytes.
fn resend(to: &Head, serial: u16, first: u16, numbers: &[u16]) -> Bytes {
    // What does not fit is asked for when the last of these has come.
    let numbers = numbers.get(..numbers.len().min(200)).unwrap_or_default();
    let count = u8::try_from(numbers.len()).unwrap_or(u8::MAX);
    let mut body = BytesMut::with_capacity(4 + numbers.len() * 2);
    body.put_u16(first);
    if to.version.is_some() {
        body.put_u16(u16::from(count));
    } else {
        body.put_u8(count);
    }
    for number in numbers {
        body.put_u16(*number);
    }
    frame::write(to, id::RESEND, serial, &body)
}

#[cfg(test)]
mod tests;
