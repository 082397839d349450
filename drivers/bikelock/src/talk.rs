//! What is said to a lock: it is acknowledged where it waits for that, once its line is on disk.

use crate::frame::{self, Found, Line};
use crate::readings::{Reading, Window};
use bytes::{Buf, BytesMut};
use model::{Catalogue, DeviceKey, Timestamp};
use sdk::{Devices, FirstSeen, Part, RawFrame, Reply, Step, Submission, Talk};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The name of the protocol in a device's identities.
const PROTOCOL: &str = "bikelock";

/// What a lock repeats until it is acknowledged.
const ACKNOWLEDGED: [&str; 4] = ["L0", "L1", "W0", "E1"];

/// Everything that lines can be.
const KNOWN: [&str; 11] = [
    "Q0", "H0", "D0", "D1", "L0", "L1", "W0", "E0", "S5", "G0", "R0",
];

/// A line that is sent again within this is the same one.
const AGAIN_S: i64 = 60;

/// What all connections of a driver share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) devices: Devices,
    pub(crate) window: Window,
    pub(crate) reply_with_re: bool,
    /// Which bikes are locked, for their positions: a lock says the one and the other apart.
    pub(crate) locked: Mutex<HashMap<DeviceKey, bool>>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conversation {
    shared: Arc<Shared>,
    line: Option<sdk::Line>,
    /// The last line, and when it came first.
    seen: FirstSeen,
}

impl Conversation {
    pub(crate) fn new(shared: Arc<Shared>, line: Option<sdk::Line>) -> Self {
        Self {
            shared,
            line,
            seen: FirstSeen::default(),
        }
    }

    fn take(&mut self, bytes: &[u8], now: Timestamp) -> Step {
        let line = match frame::read(bytes) {
            Ok(line) => line,
            Err(why) => {
                return Step::Skipped {
                    bytes: bytes.len(),
                    reason: why.0.into(),
                    detail: String::from_utf8_lossy(bytes).into_owned(),
                };
            }
        };
        let refused = |reason: &'static str| Step::Refused {
            reason: reason.into(),
            claimed: line.imei.to_owned(),
            say: None,
        };
        let Some(entry) = self.shared.devices.find_identity(PROTOCOL, line.imei) else {
            return refused("unknown_device");
        };
        if !entry.device.enabled {
            return refused("device_disabled");
        }
        if let Some(bound) = &mut self.line {
            bound.bind(entry.key);
        }
        let first_seen = self.seen.of(bytes, now, AGAIN_S);
        let part = self.read(&line, entry.key, (now, first_seen));
        let known = KNOWN.contains(&line.command);
        let unknown = (!known).then(|| RawFrame {
            device: Some(entry.key),
            reason: "unknown_command".into(),
            detail: line.command.to_owned(),
            bytes: bytes.to_vec(),
        });
        let waits = ACKNOWLEDGED.contains(&line.command);
        let answer = frame::reply(&line, self.shared.reply_with_re);
        let reply: Reply = Box::new(move |_| answer);
        Step::Commit {
            submission: Submission {
                parts: vec![part],
                quarantined: unknown.into_iter().collect(),
            },
            reply: waits.then_some(reply),
        }
    }

    fn read(&self, line: &Line<'_>, device: DeviceKey, times: (Timestamp, Timestamp)) -> Part {
        let shared = &self.shared;
        let mut locked = shared.locked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reading = Reading {
            catalogue: &shared.catalogue,
            window: shared.window,
            now: times.0,
            first_seen: times.1,
            locked: locked.get(&device).copied(),
            part: Part {
                device,
                received: 0,
                observations: Vec::new(),
                rejected: Vec::new(),
            },
        };
        reading.take(line);
        if let Some(now) = reading.locked {
            locked.insert(device, now);
        }
        reading.part
    }
}

impl Talk for Conversation {
    fn next(&mut self, received: &mut BytesMut, now: Timestamp) -> Option<Step> {
        loop {
            match frame::find(received)? {
                Found::Blank(bytes) => received.advance(bytes),
                Found::Bad { bytes, reason } => {
                    received.advance(bytes);
                    let detail = format!("{bytes} bytes");
                    return Some(Step::Skipped {
                        bytes,
                        reason: reason.into(),
                        detail,
                    });
                }
                Found::Line(bytes) => {
                    let line = received.split_to(bytes);
                    return Some(self.take(&line, now));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
