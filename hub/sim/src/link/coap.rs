//! A CoAP client (RFC 7252) that posts telemetry as a confirmable message and sends it again until it
//! is answered.

use super::frame::{Answer, Parcel, Wire};
use crate::fleet::Device;
use crate::observation::Observation;
use crate::payload::Format;
use crate::random::Random;
use crate::way::Way;
use std::time::Duration;

/// Version 1, confirmable; with the length of the token in the low bits (3).
const CONFIRMABLE: u8 = 0x40;
const TYPE: u8 = 0x30;
const ACKNOWLEDGEMENT: u8 = 0x20;
const RESET: u8 = 0x30;
const TOKEN_BYTES: u8 = 2;
const POST: u8 = 0x02;
const EMPTY: u8 = 0x00;
/// Options (5.10): Uri-Path, Content-Format, Uri-Query.
const URI_PATH: u16 = 11;
const CONTENT_FORMAT: u16 = 12;
const URI_QUERY: u16 = 15;
const PAYLOAD_FOLLOWS: u8 = 0xff;
/// ACK_TIMEOUT and MAX_RETRANSMIT (4.8); the first wait is up to half as long again.
const ACK_TIMEOUT: Duration = Duration::from_secs(2);
const ACK_RANDOM: (f64, f64) = (1.0, 1.5);
const MAX_RETRANSMIT: u32 = 4;

/// One client.
#[derive(Debug)]
pub(super) struct Coap {
    format: Format,
    message_id: u16,
    random_factor: f64,
}

impl Coap {
    pub(super) fn new(device: &Device, format: Format) -> Self {
        // A client begins its numbers anywhere, so that a restart repeats none (4.4).
        let mut random = Random::from_text(&format!("{}/{}", device.id, crate::clock::wall_ms()));
        let first = random.below(u64::from(u16::MAX));
        Self {
            format,
            message_id: u16::try_from(first).unwrap_or(0),
            random_factor: random.between(ACK_RANDOM.0, ACK_RANDOM.1),
        }
    }

    fn request(&self, device: &Device, payload: &[u8]) -> Vec<u8> {
        let id = self.message_id.to_be_bytes();
        let mut bytes = vec![CONFIRMABLE | TOKEN_BYTES, POST];
        bytes.extend(id);
        bytes.extend(id);
        let mut options = Options::default();
        for part in ["devices", &device.id, "telemetry"] {
            options.put(&mut bytes, URI_PATH, part.as_bytes());
        }
        let format = self.format.content_format();
        options.put(&mut bytes, CONTENT_FORMAT, &[format]);
        let query = format!("k={}", device.secret);
        options.put(&mut bytes, URI_QUERY, query.as_bytes());
        bytes.push(PAYLOAD_FOLLOWS);
        bytes.extend(payload);
        bytes
    }
}

impl Wire for Coap {
    fn greet(&mut self, _: i64) -> Vec<u8> {
        Vec::new()
    }

    fn patience(&self, repeats: u32) -> Option<Duration> {
        let doubled = 1u32 << repeats.min(MAX_RETRANSMIT);
        let wait = ACK_TIMEOUT.mul_f64(self.random_factor) * doubled;
        (repeats <= MAX_RETRANSMIT).then_some(wait)
    }

    fn encode(&mut self, device: &Device, ts_ms: i64, observations: &[Observation]) -> Parcel {
        self.message_id = self.message_id.wrapping_add(1);
        let said = Way::Coap(self.format).says(device, observations);
        let payload = self.format.write(&device.id, ts_ms, &said);
        Parcel {
            bytes: self.request(device, &payload),
            expects: Some(u64::from(self.message_id)),
            ts_ms,
            said: said.into_owned(),
        }
    }

    /// An empty confirmable message asks whether the hub is there (4.3).
    fn heartbeat(&mut self, _: i64) -> Vec<u8> {
        self.message_id = self.message_id.wrapping_add(1);
        let [high, low] = self.message_id.to_be_bytes();
        vec![CONFIRMABLE, EMPTY, high, low]
    }

    fn take(&mut self, received: &mut Vec<u8>, _: i64) -> Option<Answer> {
        if received.is_empty() {
            return None;
        }
        let datagram = std::mem::take(received);
        let [first, code, high, low, ..] = *datagram.as_slice() else {
            return Some(Answer::Nothing);
        };
        let named = u64::from(u16::from_be_bytes([high, low]));
        Some(match (first & TYPE, code >> 5) {
            (ACKNOWLEDGEMENT, 2) => Answer::Acked(Some(named)),
            // A response of its own (5.2.2): the token names the request, an empty message answers.
            (0, 2) => match datagram.get(4..4 + usize::from(TOKEN_BYTES)) {
                Some([token_high, token_low]) => Answer::AckedBy(
                    u64::from(u16::from_be_bytes([*token_high, *token_low])),
                    vec![CONFIRMABLE | ACKNOWLEDGEMENT, EMPTY, high, low],
                ),
                _ => Answer::Nothing,
            },
            (ACKNOWLEDGEMENT, 4) => Answer::Refused(named),
            // 5.03 is asked again later; a reset answers a ping, or names a message that was none.
            (RESET, _) => Answer::Refused(named),
            _ => Answer::Nothing,
        })
    }
}

/// Writes options in the order of their numbers, each as the step from the one before (3.1).
#[derive(Debug, Default)]
struct Options {
    last: u16,
}

impl Options {
    fn put(&mut self, bytes: &mut Vec<u8>, number: u16, value: &[u8]) {
        let (step, more_step) = nibble(number - self.last);
        let (length, more_length) = nibble(u16::try_from(value.len()).unwrap_or(0));
        self.last = number;
        bytes.push(step << 4 | length);
        bytes.extend(more_step);
        bytes.extend(more_length);
        bytes.extend(value);
    }
}

/// Four bits, and a byte more from 13 on; nothing here reaches 269.
fn nibble(value: u16) -> (u8, Option<u8>) {
    match u8::try_from(value) {
        Ok(small @ 0..13) => (small, None),
        Ok(more) => (13, Some(more - 13)),
        Err(_) => (13, Some(u8::MAX)),
    }
}

#[cfg(test)]
mod tests;
