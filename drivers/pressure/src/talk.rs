//! What is said to a pressure terminal: one answer for each report, once it is on disk.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use codecs::Undecodable;
use codecs::pressure_frame::{self, PressureFrame};
use model::{Catalogue, Timestamp};
use sdk::{Devices, Line, Part, RawFrame, Step, Submission, Talk};
use std::sync::Arc;

/// The name of the protocol in a device's identities.
const PROTOCOL: &str = "pressure_frame";

/// The first byte of 帧起始标记.
const START: u8 = 0xa5;

/// Bytes of an answer without an order: start, command, length, device, checksum, end.
const ANSWER_BYTES: u16 = 21;

/// One connection, or one datagram.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) devices: Devices,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) answer: Answer,
    pub(crate) line: Option<Line>,
}

/// What a terminal is answered: any bytes make it drop what it had kept (1.1 and 二, 注解).
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// An empty frame with the terminal's own number.
    Frame,
    /// Always these bytes.
    Fixed(Bytes),
}

impl Answer {
    fn to(&self, frame: &[u8]) -> Bytes {
        if let Self::Fixed(bytes) = self {
            return bytes.clone();
        }
        let mut answer = BytesMut::with_capacity(usize::from(ANSWER_BYTES));
        // Start marker and command of the report.
        answer.put_slice(frame.get(..3).unwrap_or_default());
        answer.put_u16(ANSWER_BYTES);
        answer.put_slice(frame.get(5..17).unwrap_or_default());
        answer.put_u16(pressure_frame::crc(&answer));
        answer.put_slice(&[0x55, 0xaa]);
        answer.freeze()
    }
}

impl Conversation {
    fn take(&mut self, bytes: &Bytes, now: Timestamp) -> Step {
        match pressure_frame::parse(bytes) {
            Ok(frame) => self.report(&frame, bytes, now),
            Err(why) => skipped(bytes.len(), why),
        }
    }

    fn report(&mut self, frame: &PressureFrame<'_>, bytes: &Bytes, now: Timestamp) -> Step {
        let refused = |reason: &'static str| Step::Refused {
            reason: reason.into(),
            claimed: frame.device.to_owned(),
            say: None,
        };
        let Some(entry) = self.devices.find_identity(PROTOCOL, frame.device) else {
            return refused("unknown_device");
        };
        if !entry.device.enabled {
            return refused("device_disabled");
        }
        if let Some(line) = &mut self.line {
            line.bind(entry.key);
        }
        let decoded = pressure_frame::decode(&self.catalogue, entry.key, frame, now);
        // What is whole but unknown is kept and answered, or it would come again for ever.
        let quarantined = decoded.rejected.iter().filter(|bad| bad.metric.is_none());
        let quarantined = quarantined.map(|bad| RawFrame {
            device: Some(entry.key),
            reason: bad.reason.clone(),
            detail: bad.detail.clone().unwrap_or_default(),
            bytes: bytes.to_vec(),
        });
        let quarantined = quarantined.collect();
        let part = Part {
            device: decoded.device,
            received: decoded.received,
            observations: decoded.observations,
            rejected: decoded.rejected,
        };
        let answer = self.answer.to(bytes);
        Step::Commit {
            submission: Submission {
                parts: vec![part],
                quarantined,
            },
            reply: Some(Box::new(move |_| answer)),
        }
    }
}

impl Talk for Conversation {
    fn next(&mut self, received: &mut BytesMut, now: Timestamp) -> Option<Step> {
        if received.is_empty() {
            return None;
        }
        let len = match pressure_frame::frame_len(received) {
            // More is needed to tell, or to be whole.
            None => return None,
            Some(Err(why)) => {
                // The next frame begins with the next start marker, after this byte.
                let rest = received.iter().skip(1).position(|byte| *byte == START);
                let bytes = rest.map_or(received.len(), |at| at + 1);
                received.advance(bytes);
                return Some(skipped(bytes, why));
            }
            Some(Ok(len)) => len,
        };
        let frame = Bytes::copy_from_slice(received.get(..len)?);
        let step = self.take(&frame, now);
        let bytes = match step {
            // The length may have been wrong: what is inside may be good.
            Step::Skipped { .. } => 1,
            _ => len,
        };
        received.advance(bytes);
        Some(step)
    }
}

fn skipped(bytes: usize, why: Undecodable) -> Step {
    Step::Skipped {
        bytes,
        reason: why.reason,
        detail: why.detail,
    }
}

#[cfg(test)]
impl Answer {
    pub(crate) fn to_bytes(&self) -> Bytes {
        self.to(&[])
    }
}
