//! Payload formats that MQTT, CoAP and HTTP carry: bytes in, observations out, nothing else.
//!
//! A decoder never fails as a whole: what is good is kept, what is bad is counted with a fixed
//! reason, and a payload that is no message at all counts as one rejected value.

pub mod canonical;
mod cbor;
#[cfg(test)]
mod corpus;
mod format;
mod instant;
mod json;
mod mapped;
mod plain;
mod position;
pub mod pressure_frame;
mod profile;
mod raw;
mod senml;
pub mod sparkplug;
pub mod thingsboard;
mod uplink;
#[cfg(test)]
mod vectors;
mod words;

pub use format::Format;
pub use instant::{TimeFormat, is_believable, read as read_time};
use model::{DeviceKey, Observation, Reason, Rejected};
pub use profile::{Book, Codec, Pointer, Profile, Sender, Uplinks, ValueRule};
pub use uplink::{Frame, Uplink};

/// Reads JSON, `NaN` and `Infinity` as texts among it.
pub fn parse_json(payload: &[u8]) -> Result<serde_json::Value, Undecodable> {
    json::parse(payload, |bytes| serde_json::from_slice(bytes))
}

/// Rejections of one message that are described in words; more are counted only.
const DETAILED_MAX: usize = 64;

/// What was found in the payloads of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    pub device: DeviceKey,
    /// Values seen, good and bad; an undecodable message counts as one.
    pub received: u32,
    pub observations: Vec<Observation>,
    pub rejected: Vec<Rejected>,
}

/// Why a payload is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// `empty_payload`, `invalid_utf8`, `invalid_json`, `wrong_shape`, or a word of the format.
    pub reason: Reason,
    /// What, where: line and column of the payload.
    pub detail: String,
}

impl Decoded {
    pub fn new(device: DeviceKey) -> Self {
        Self {
            device,
            received: 0,
            observations: Vec::new(),
            rejected: Vec::new(),
        }
    }

    /// Counts one value that could not be taken.
    pub(crate) fn reject(
        &mut self,
        metric: Option<&str>,
        reason: &'static str,
        detail: impl FnOnce() -> String,
    ) {
        self.received = self.received.saturating_add(1);
        let described = self.rejected.len() < DETAILED_MAX;
        self.rejected.push(Rejected {
            metric: metric
                .filter(|_| described)
                .map(|name| name.chars().take(64).collect()),
            reason: reason.into(),
            detail: described.then(detail),
        });
    }

    /// Counts a message that could not be decoded at all.
    pub fn reject_message(&mut self, why: &Undecodable) {
        self.received = self.received.saturating_add(1);
        self.rejected.push(Rejected {
            metric: None,
            reason: why.reason.clone(),
            detail: Some(why.detail.clone()),
        });
    }
}
