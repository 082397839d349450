//! What is said to a device: challenges, registrations, and 200 to a heartbeat once it is on disk.

use crate::answered::{Key, Known};
use crate::clock;
use crate::digest::{Credentials, Freshness};
use crate::manscdp::{self, Notice};
use crate::registrar::{Effect, Shared, Telling};
use crate::roster::PROTOCOL;
use crate::sip::{self, Found, Message};
use bytes::{Buf, Bytes, BytesMut};
use model::{DeviceKey, Rejected, Timestamp};
use sdk::{DeviceEntry, Part, RawFrame, Step, Submission, Talk};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// A registration that does not say for how long (RFC 3261 10.3 leaves it to the registrar).
const EXPIRES_S: u32 = 3_600;

const ALLOW: (&str, &[u8]) = ("Allow", b"REGISTER, MESSAGE, OPTIONS");

/// How a request is answered.
type Status = (u16, &'static str);

const OK: Status = (200, "OK");
const BAD_REQUEST: Status = (400, "Bad Request");
const UNAUTHORIZED: Status = (401, "Unauthorized");
const FORBIDDEN: Status = (403, "Forbidden");
const NOT_ALLOWED: Status = (405, "Method Not Allowed");
const UNSUPPORTED: Status = (415, "Unsupported Media Type");

/// One connection, or one datagram.
#[derive(Debug)]
pub(crate) struct Conversation {
    shared: Arc<Shared>,
    peer: SocketAddr,
    is_stream: bool,
    queued: VecDeque<Step>,
}

/// A request that is to be answered.
#[derive(Debug)]
struct Asked {
    message: Message,
    key: Key,
    /// The whole of it, for the engineer.
    bytes: Bytes,
    now: Timestamp,
}

/// A commit under way. If it fails the request is forgotten, so that it is done when it comes again.
struct Promise {
    shared: Arc<Shared>,
    key: Option<Key>,
}

impl Promise {
    fn keep(mut self, answer: &Bytes, now: Timestamp) {
        if let Some(key) = self.key.take() {
            let known = Known::Answered(answer.clone());
            self.shared.state().answered.put(key, known, now);
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.shared.state().answered.forget(&key);
        }
    }
}

impl Talk for Conversation {
    fn next(&mut self, received: &mut BytesMut, now: Timestamp) -> Option<Step> {
        if let Some(step) = self.queued.pop_front() {
            return Some(step);
        }
        match self.is_stream {
            true => self.next_of_stream(received, now),
            false => self.datagram(received, now),
        }
    }

    /// A body that is shorter than its head says is taken as it is.
    fn stalled(&mut self, received: &mut BytesMut, now: Timestamp) -> Option<Step> {
        let head_bytes = sip::head_bytes(received)?;
        Some(self.take(head_bytes, received.split().freeze(), now))
    }
}

impl Conversation {
    pub(crate) fn new(shared: Arc<Shared>, peer: SocketAddr, is_stream: bool) -> Self {
        Self {
            shared,
            peer,
            is_stream,
            queued: VecDeque::new(),
        }
    }

    fn next_of_stream(&mut self, received: &mut BytesMut, now: Timestamp) -> Option<Step> {
        match sip::find(received) {
            Found::More => None,
            Found::Blank(bytes) => {
                // A ping is answered by a pong (RFC 5626 4.4.1).
                let is_ping = received.starts_with(b"\r\n\r\n");
                received.advance(bytes);
                Some(match is_ping {
                    true => Step::Say(Bytes::from_static(b"\r\n")),
                    false => Step::Nothing,
                })
            }
            Found::Noise(bytes, reason) => {
                received.advance(bytes);
                Some(Step::Skipped {
                    bytes,
                    reason: reason.into(),
                    detail: String::new(),
                })
            }
            Found::Message {
                head_bytes,
                body_bytes,
            } => {
                let whole = received.split_to(head_bytes + body_bytes).freeze();
                Some(self.take(head_bytes, whole, now))
            }
        }
    }

    /// Takes a datagram, which is one message: what its head says of the length does not matter.
    fn datagram(&mut self, received: &mut BytesMut, now: Timestamp) -> Option<Step> {
        if received.is_empty() {
            return None;
        }
        received.advance(sip::blank(received));
        let whole = received.split().freeze();
        if whole.is_empty() {
            return Some(Step::Nothing);
        }
        let head_bytes = sip::head_bytes(&whole).unwrap_or(whole.len());
        Some(self.take(head_bytes, whole, now))
    }

    fn take(&mut self, head_bytes: usize, whole: Bytes, now: Timestamp) -> Step {
        let skipped = |reason: &'static str| Step::Skipped {
            bytes: whole.len(),
            reason: reason.into(),
            detail: String::new(),
        };
        let body = whole.slice(head_bytes..);
        let Some(message) = Message::read(&whole.slice(..head_bytes), body) else {
            return skipped("start_line");
        };
        if message.method.is_empty() || message.method == "ACK" {
            return Step::Nothing;
        }
        if !message.is_answerable() {
            return skipped("missing_header");
        }
        let mut key = message.transaction();
        key.extend_from_slice(self.peer.ip().to_string().as_bytes());
        match self.shared.state().answered.find(&key, now) {
            Some(Known::Answered(answer)) => return Step::Say(answer),
            // It is answered when the first of it is.
            Some(Known::InFlight) => return Step::Nothing,
            None => {}
        }
        let asked = Asked {
            message,
            key,
            bytes: whole,
            now,
        };
        if !asked.message.has_true_sequence() {
            return Step::Say(self.say(&asked, BAD_REQUEST, &[]));
        }
        match asked.message.method.as_str() {
            "REGISTER" => self.register(asked),
            "MESSAGE" => self.message(asked),
            "OPTIONS" => Step::Say(self.say(&asked, OK, &[ALLOW])),
            _ => Step::Say(self.say(&asked, NOT_ALLOWED, &[ALLOW])),
        }
    }

    fn answer(&self, asked: &Asked, status: Status, more: &[(&str, &[u8])]) -> Bytes {
        let tag = self.shared.challenges.seal(&asked.key);
        asked.message.answer(status, (self.peer, &tag), more)
    }

    /// Makes an answer that says nothing of a commit, and remembers it.
    fn say(&self, asked: &Asked, status: Status, more: &[(&str, &[u8])]) -> Bytes {
        let said = self.answer(asked, status, more);
        let known = Known::Answered(said.clone());
        let mut state = self.shared.state();
        state.answered.put(asked.key.clone(), known, asked.now);
        said
    }

    fn refuse(&self, asked: &Asked, reason: &'static str, claimed: &str) -> Step {
        Step::Refused {
            reason: reason.into(),
            claimed: claimed.to_owned(),
            say: Some(self.say(asked, FORBIDDEN, &[])),
        }
    }

    /// Finds whom a request is of, or refuses it.
    fn admit(&self, asked: &Asked) -> Result<Arc<DeviceEntry>, Step> {
        let Some(id) = asked.message.sender() else {
            return Err(Step::Say(self.say(asked, BAD_REQUEST, &[])));
        };
        let found = self.shared.devices.find_identity(PROTOCOL, id);
        let entry = found.ok_or_else(|| self.refuse(asked, "unknown_device", id))?;
        if !entry.device.enabled {
            return Err(self.refuse(asked, "device_disabled", entry.device.id.as_str()));
        }
        Ok(entry)
    }

    /// Has it committed, and makes true and says what follows only then.
    fn commit(
        &self,
        asked: &Asked,
        (entry, effect): (Arc<DeviceEntry>, Effect),
        (submission, answer): (Submission, Bytes),
    ) -> Step {
        let (shared, now) = (Arc::clone(&self.shared), asked.now);
        let address = self.peer.ip();
        let mut state = shared.state();
        state.answered.put(asked.key.clone(), Known::InFlight, now);
        drop(state);
        let promise = Promise {
            shared: Arc::clone(&shared),
            key: Some(asked.key.clone()),
        };
        Step::Commit {
            submission,
            reply: Some(Box::new(move |_| {
                shared.conclude(&entry, effect, (address, now));
                promise.keep(&answer, now);
                answer
            })),
        }
    }

    fn register(&self, asked: Asked) -> Step {
        let entry = match self.admit(&asked) {
            Ok(entry) => entry,
            Err(step) => return step,
        };
        if let Err(step) = self.authenticate(&asked, &entry) {
            return step;
        }
        let said_s = asked.message.expires_s().unwrap_or(EXPIRES_S);
        let expires_s = said_s.min(self.shared.settings.expires_max_s);
        let metrics = self.shared.metrics;
        let (mut telling, effect) = (
            Telling::default(),
            match expires_s {
                0 => Effect::Unregistered,
                _ => Effect::Registered { expires_s },
            },
        );
        match expires_s {
            0 => self.shared.tell_down(entry.key, &mut telling),
            _ => telling.number(entry.key, (metrics.online, 1.0), None),
        }
        let date = clock::written(asked.now, self.shared.settings.utc_offset_s);
        let expires = expires_s.to_string();
        let mut more: Vec<(&str, &[u8])> =
            vec![("Date", date.as_bytes()), ("Expires", expires.as_bytes())];
        if let Some(contact) = asked.message.contact().filter(|_| expires_s > 0) {
            more.push(("Contact", contact));
        }
        let answer = self.answer(&asked, OK, &more);
        self.commit(&asked, (entry, effect), (telling.submission(), answer))
    }

    fn authenticate(&self, asked: &Asked, entry: &DeviceEntry) -> Result<(), Step> {
        let Some(password) = self.shared.password(entry) else {
            return Ok(());
        };
        let said = asked.message.text("authorization", "");
        let Some(said) = said.and_then(Credentials::read) else {
            return Err(self.challenge(asked, ""));
        };
        let realm = &self.shared.settings.realm;
        match self.shared.challenges.judge(&said.nonce, asked.now) {
            Freshness::Fresh if said.realm == *realm => {}
            Freshness::Fresh | Freshness::Foreign => return Err(self.challenge(asked, "")),
            Freshness::Stale => return Err(self.challenge(asked, ", stale=true")),
        }
        let is_own_name = Some(said.username.as_str()) == asked.message.sender();
        match is_own_name && said.prove(&asked.message.method, password) {
            true => Ok(()),
            false => Err(self.refuse(asked, "wrong_secret", entry.device.id.as_str())),
        }
    }

    fn challenge(&self, asked: &Asked, more: &str) -> Step {
        let realm = &self.shared.settings.realm;
        let nonce = self.shared.challenges.make(asked.now);
        let value = format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm=MD5{more}");
        let header = ("WWW-Authenticate", value.as_bytes());
        Step::Say(self.say(asked, UNAUTHORIZED, &[header]))
    }

    fn message(&mut self, asked: Asked) -> Step {
        let entry = match self.admit(&asked) {
            Ok(entry) => entry,
            Err(step) => return step,
        };
        let (shared, address) = (Arc::clone(&self.shared), self.peer.ip());
        let must_register = shared.password(&entry).is_some();
        if must_register && !shared.is_registered(entry.key, address, asked.now) {
            return self.refuse(&asked, "not_registered", entry.device.id.as_str());
        }
        let body = asked.message.body.trim_ascii_start();
        let kind = asked.message.text("content-type", "c").unwrap_or_default();
        let is_ours = kind.to_ascii_lowercase().contains("manscdp");
        if !is_ours && body.first() != Some(&b'<') {
            return Step::Say(self.say(&asked, UNSUPPORTED, &[]));
        }
        let notice = match manscdp::read(body) {
            Ok(notice) => notice,
            Err(error) => {
                let why = (error.reason(), error.to_string());
                return self.keep_raw(&asked, entry, (why, BAD_REQUEST));
            }
        };
        match notice.command.as_str() {
            "Keepalive" => self.heartbeat(&asked, entry, &notice),
            "Catalog" => self.catalogue(&asked, entry, &notice),
            "Alarm" => self.alarm(&asked, entry, &notice),
            other => {
                let detail = format!("a MESSAGE with {other}");
                self.keep_raw(&asked, entry, (("unknown_command", detail), OK))
            }
        }
    }

    /// Ends a message by what its sender and its channels are.
    fn heard(
        &self,
        asked: &Asked,
        entry: Arc<DeviceEntry>,
        mut telling: Telling,
        (faulty, switched): (&[String], Vec<(DeviceKey, bool)>),
    ) -> Step {
        let channels = self.shared.channels(entry.key, faulty, &switched);
        let online = self.shared.metrics.online;
        for key in channels.up {
            telling.number(key, (online, 1.0), None);
        }
        for key in channels.newly_down {
            telling.number(key, (online, 0.0), None);
        }
        let effect = Effect::Heard {
            down: channels.down,
            switched,
        };
        let answer = self.answer(asked, OK, &[]);
        self.commit(asked, (entry, effect), (telling.submission(), answer))
    }

    fn heartbeat(&mut self, asked: &Asked, entry: Arc<DeviceEntry>, notice: &Notice) -> Step {
        let metrics = self.shared.metrics;
        let mut telling = Telling::default();
        telling.number(entry.key, (metrics.online, 1.0), None);
        // `ON` is seen where `OK` should be.
        let status = notice.status.as_deref().unwrap_or("OK");
        let is_well = ["ok", "on"].contains(&status.to_ascii_lowercase().as_str());
        let fault = if is_well { 0.0 } else { 1.0 };
        telling.number(entry.key, (metrics.fault, fault), None);
        self.claim(&notice.faulty);
        self.heard(asked, entry, telling, (&notice.faulty, Vec::new()))
    }

    /// Shows the channels that nobody registered.
    fn claim(&mut self, channels: &[String]) {
        for id in channels {
            if self.shared.devices.find_identity(PROTOCOL, id).is_none() {
                self.queued.push_back(Step::Refused {
                    reason: "unknown_device".into(),
                    claimed: id.clone(),
                    say: None,
                });
            }
        }
    }

    /// Takes the states of channels. Whoever sends a catalogue is there.
    fn catalogue(&mut self, asked: &Asked, entry: Arc<DeviceEntry>, notice: &Notice) -> Step {
        let of_device = self.shared.state().roster.channels(entry.key);
        let mut switched = Vec::new();
        for (id, status) in &notice.channels {
            let channel = of_device.iter().find(|channel| channel.id == *id);
            match channel {
                Some(channel) => {
                    let is_on = ["on", "ok"].contains(&status.to_ascii_lowercase().as_str());
                    switched.push((channel.key, is_on));
                }
                None => self.claim(std::slice::from_ref(id)),
            }
        }
        let mut telling = Telling::default();
        telling.number(entry.key, (self.shared.metrics.online, 1.0), None);
        self.heard(asked, entry, telling, (&[], switched))
    }

    fn alarm(&self, asked: &Asked, entry: Arc<DeviceEntry>, notice: &Notice) -> Step {
        let metrics = self.shared.metrics;
        let of_device = self.shared.state().roster.channels(entry.key);
        let channel = of_device.iter().find(|channel| channel.id == notice.device);
        let target = channel.map_or(entry.key, |channel| channel.key);
        let offset_s = self.shared.settings.utc_offset_s;
        let at = notice.alarm_time.as_deref();
        let at = at.and_then(|text| clock::read(text, offset_s, asked.now));
        let mut telling = Telling::default();
        for (metric, number) in [
            (metrics.alarm_priority, notice.alarm_priority),
            (metrics.alarm_method, notice.alarm_method),
        ] {
            if let Some(number) = number {
                telling.number(target, (metric, f64::from(number)), at);
            }
        }
        telling.number(entry.key, (metrics.online, 1.0), None);
        self.heard(asked, entry, telling, (&[], Vec::new()))
    }

    /// Keeps what could not be read, as it came.
    fn keep_raw(
        &self,
        asked: &Asked,
        entry: Arc<DeviceEntry>,
        ((reason, detail), status): ((&'static str, String), Status),
    ) -> Step {
        let rejected = Rejected {
            metric: None,
            reason: reason.into(),
            detail: Some(detail.clone()),
        };
        let submission = Submission {
            parts: vec![Part {
                device: entry.key,
                received: 1,
                observations: Vec::new(),
                rejected: vec![rejected],
            }],
            quarantined: vec![RawFrame {
                device: Some(entry.key),
                reason: reason.into(),
                detail,
                bytes: asked.bytes.to_vec(),
            }],
        };
        let answer = self.answer(asked, status, &[]);
        let channels = self.shared.channels(entry.key, &[], &[]);
        let effect = Effect::Heard {
            down: channels.down,
            switched: Vec::new(),
        };
        self.commit(asked, (entry, effect), (submission, answer))
    }
}

#[cfg(test)]
mod tests;
