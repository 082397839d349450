//! The reports of one push, each to the device that it is of.

use super::refuse;
use crate::serve::{QUARANTINED_BYTES_MAX, Shared};
use codecs::Decoded;
use model::{DeviceKey, Rejected, Timestamp};
use nbiot::{Moment, Report, Subject};
use sdk::{DeviceEntry, Part, RawFrame, Refusal, Submission};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The name of pressure terminals in a device's identities.
const PRESSURE_FRAME: &str = "pressure_frame";

/// Raw reports a minute that are kept of devices that nobody registered.
const STRANGERS_PER_MINUTE: u32 = 60;

/// Refusals that are described to the platform; more are counted only.
const DETAILED_MAX: usize = 64;

/// What is committed and what is answered.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) submission: Submission,
    pub(super) rejected: Vec<Rejected>,
    pub(super) refused: Vec<Value>,
    parts: HashMap<DeviceKey, usize>,
}

impl Sorted {
    pub(super) fn sort(&mut self, shared: &Shared, peer: SocketAddr, report: &Report, body: &[u8]) {
        let found = match find(shared, report) {
            Ok(found) => found,
            Err(reason) => return self.turn_away(shared, peer, report, (reason, body)),
        };
        let arrival = shared.cx.clock.now();
        let identities = &found.device.identities;
        let subject = Subject {
            key: found.key,
            profile: found.device.profile.as_deref(),
            terminal: identities.get(PRESSURE_FRAME).map(String::as_str),
        };
        let (catalogue, book) = (&shared.cx.catalogue, &shared.book);
        let mut decoded = report.take(catalogue, book, subject, arrival);
        if report.at != Moment::Unsaid {
            let mut at = None;
            for timeless in &mut decoded.observations {
                timeless.observed_at = timeless.observed_at.or_else(|| {
                    let known = || {
                        let said = format!("{report:?}");
                        shared.pushes.repeats.arrival(found.key, &said, arrival)
                    };
                    Some(*at.get_or_insert_with(known))
                });
            }
        }
        if let (true, Some(first)) = (decoded.observations.is_empty(), decoded.rejected.first()) {
            self.submission.quarantined.push(RawFrame {
                device: Some(found.key),
                reason: first.reason.clone(),
                detail: first.detail.clone().unwrap_or_default(),
                bytes: kept(&report.raw().unwrap_or_else(|| body.to_vec())),
            });
        }
        let room = DETAILED_MAX.saturating_sub(self.rejected.len());
        let told = decoded.rejected.iter().take(room);
        self.rejected.extend(told.cloned());
        self.put(decoded);
    }

    /// Adds to the part of its device: one push may speak of it a thousand times.
    fn put(&mut self, decoded: Decoded) {
        let parts = &mut self.submission.parts;
        let at = *self.parts.entry(decoded.device).or_insert(parts.len());
        if let Some(part) = parts.get_mut(at) {
            part.received = part.received.saturating_add(decoded.received);
            part.observations.extend(decoded.observations);
            part.rejected.extend(decoded.rejected);
        } else {
            parts.push(Part {
                device: decoded.device,
                received: decoded.received,
                observations: decoded.observations,
                rejected: decoded.rejected,
            });
        }
    }

    /// Counts what is of nobody whom the hub knows, and keeps some of it for an engineer to look at.
    fn turn_away(
        &mut self,
        shared: &Shared,
        peer: SocketAddr,
        report: &Report,
        (reason, body): (&'static str, &[u8]),
    ) {
        let first = report.names.first();
        let claimed: Option<String> = first.map(|(_, name)| name.chars().take(128).collect());
        // Who it was and what was wrong with it are two things; the ledger counts the message once.
        let mut counted: Cow<'static, str> = Cow::Borrowed(reason);
        if let Err(why) = &report.content {
            counted = why.reason.clone();
            shared.cx.ingest.refuse(Refusal {
                reason: Cow::Borrowed(reason),
                claimed: claimed.clone(),
                peer: peer.to_string(),
                message: false,
            });
        }
        refuse(shared, peer, counted.clone(), claimed.clone());
        if self.refused.len() < DETAILED_MAX {
            self.refused
                .push(json!({ "device": claimed, "reason": counted }));
        }
        if !shared.pushes.strangers.may_keep(shared.cx.clock.now()) {
            return;
        }
        let (kind, name) = first.map_or(("device", ""), |(kind, name)| (kind, name.as_str()));
        self.submission.quarantined.push(RawFrame {
            device: None,
            reason: counted,
            detail: format!("{kind} {name}: {}", report.origin.message_type),
            bytes: kept(&report.raw().unwrap_or_else(|| body.to_vec())),
        });
    }
}

/// Finds the device that a report is of: by the platform's name of it, its IMEI, or the number
/// within a raw frame.
fn find(shared: &Shared, report: &Report) -> Result<Arc<DeviceEntry>, &'static str> {
    let devices = &shared.cx.devices;
    let mut names = report.names.iter();
    let named = names.find_map(|(protocol, name)| devices.find_identity(protocol, name));
    let by_frame = || devices.find_identity(PRESSURE_FRAME, &report.terminal()?);
    match named.or_else(by_frame) {
        Some(found) if found.device.enabled => Ok(found),
        Some(_) => Err("device_disabled"),
        None if report.names.is_empty() => Err("no_device"),
        None => Err("unknown_device"),
    }
}

/// Cuts what is kept of a message.
pub(super) fn kept(bytes: &[u8]) -> Vec<u8> {
    let len = bytes.len().min(QUARANTINED_BYTES_MAX);
    bytes.get(..len).unwrap_or_default().to_vec()
}

/// A budget for what strangers may leave: quarantine has a bound, and they must not use it up.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    spent: Mutex<(i64, u32)>,
}

impl Strangers {
    pub(super) fn may_keep(&self, now: Timestamp) -> bool {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.millis().div_euclid(60_000);
        if spent.0 != minute {
            *spent = (minute, 0);
        }
        spent.1 = spent.1.saturating_add(1);
        spent.1 <= STRANGERS_PER_MINUTE
    }
}
