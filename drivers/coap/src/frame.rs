//! Bytes to messages of CoAP and back (RFC 7252 section 3), with the checks that the codec leaves to
//! its user.

use bytes::Bytes;
use coap_lite::{CoapOption, MessageClass, MessageType, Packet, ResponseType};

/// Type, code and message ID.
const HEAD_BYTES: usize = 4;

/// The end of the options (RFC 7252 section 3).
const PAYLOAD_MARKER: u8 = 0xff;

/// Options that the codec does not know: Request-Tag (RFC 9175) and Hop-Limit (RFC 8768).
pub(crate) const REQUEST_TAG: CoapOption = CoapOption::Unknown(292);
pub(crate) const HOP_LIMIT: CoapOption = CoapOption::Unknown(16);

/// What kind of message it is (RFC 7252 section 4).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Confirmable,
    NonConfirmable,
    Acknowledgement,
    Reset,
}

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    packet: Packet,
}

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// Not CoAP, or of a version to come: nothing may be said to it (RFC 7252 section 3).
    Foreign(String),
    /// A message format error; what is confirmable is answered with a reset (RFC 7252 section 4.2).
    Format {
        confirmable: bool,
        mid: u16,
        detail: String,
    },
}

impl Message {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Damage> {
        let Some(&[first, code, high, low]) = bytes.first_chunk::<HEAD_BYTES>() else {
            let detail = format!("{} bytes are shorter than a header", bytes.len());
            return Err(Damage::Foreign(detail));
        };
        if first >> 6 != 1 {
            let detail = format!("version {} is not 1", first >> 6);
            return Err(Damage::Foreign(detail));
        }
        let damaged = |detail: String| Damage::Format {
            confirmable: first & 0x30 == 0,
            mid: u16::from_be_bytes([high, low]),
            detail,
        };
        // RFC 7252 section 4.1: an empty message has nothing after its message ID.
        if code == 0 && (bytes.len() != HEAD_BYTES || first & 0x0f != 0) {
            return Err(damaged("an empty message is not empty".to_owned()));
        }
        let packet = Packet::from_bytes(bytes).map_err(|error| damaged(error.to_string()))?;
        if packet.payload.is_empty() && bytes.last() == Some(&PAYLOAD_MARKER) {
            // The last byte may be that of an option: then it is found again when they are written.
            let written = packet.to_bytes_unlimited();
            if written.is_ok_and(|written| written.len() < bytes.len()) {
                return Err(damaged("no payload follows its marker".to_owned()));
            }
        }
        Ok(Self { packet })
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.packet.header.get_type() {
            MessageType::Confirmable => Kind::Confirmable,
            MessageType::NonConfirmable => Kind::NonConfirmable,
            MessageType::Acknowledgement => Kind::Acknowledgement,
            MessageType::Reset => Kind::Reset,
        }
    }

    /// Class and detail in one byte: 0.02 is 2, 2.04 is 0x44.
    pub(crate) fn code(&self) -> u8 {
        self.packet.header.code.into()
    }

    pub(crate) fn mid(&self) -> u16 {
        self.packet.header.message_id
    }

    pub(crate) fn token(&self) -> &[u8] {
        self.packet.get_token()
    }

    /// Gives every option with its values, in the order of their numbers.
    pub(crate) fn options(&self) -> impl Iterator<Item = (u16, Vec<&[u8]>)> {
        let options = self.packet.options();
        options.map(|(number, values)| (*number, values.iter().map(Vec::as_slice).collect()))
    }

    pub(crate) fn values(&self, option: CoapOption) -> impl Iterator<Item = &[u8]> {
        let values = self.packet.get_option(option);
        values.into_iter().flatten().map(Vec::as_slice)
    }

    pub(crate) fn first(&self, option: CoapOption) -> Option<&[u8]> {
        self.values(option).next()
    }

    /// Gives an option that is a number (RFC 7252 section 3.2).
    pub(crate) fn number(&self, option: CoapOption) -> Option<u32> {
        let value = self.first(option)?;
        let more = |sum: u32, byte: &u8| {
            sum.checked_mul(256)
                .and_then(|sum| sum.checked_add(u32::from(*byte)))
        };
        value.iter().try_fold(0, more)
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.packet.payload
    }
}

/// What is said: a code with its options and its payload, without the message that carries it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) code: ResponseType,
    options: Vec<(CoapOption, Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
}

impl Answer {
    pub(crate) fn of(code: ResponseType) -> Self {
        Self {
            code,
            options: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// A refusal that says why, for people who read the device's log (RFC 7252 section 5.5.2).
    pub(crate) fn refusal(code: ResponseType, why: &str) -> Self {
        Self {
            code,
            options: Vec::new(),
            payload: why.as_bytes().to_vec(),
        }
    }

    pub(crate) fn with(mut self, option: CoapOption, number: u32) -> Self {
        self.options.push((option, number_bytes(number)));
        self
    }

    pub(crate) fn with_bytes(mut self, option: CoapOption, value: &[u8]) -> Self {
        self.options.push((option, value.to_vec()));
        self
    }

    pub(crate) fn with_payload(mut self, format: u16, payload: Vec<u8>) -> Self {
        self.payload = payload;
        self.with(CoapOption::ContentFormat, u32::from(format))
    }

    /// Leaves out what only explains the code.
    pub(crate) fn without_payload(mut self) -> Self {
        self.payload.clear();
        let is_format = |option: &CoapOption| *option == CoapOption::ContentFormat;
        self.options.retain(|(option, _)| !is_format(option));
        self
    }

    /// Puts it into a message.
    pub(crate) fn message(&self, kind: Kind, mid: u16, token: &[u8]) -> Bytes {
        let mut packet = Packet::new();
        packet.header.code = MessageClass::Response(self.code);
        packet.set_token(token.to_vec());
        for (option, value) in &self.options {
            packet.add_option(*option, value.clone());
        }
        packet.payload.clone_from(&self.payload);
        written(packet, kind, mid)
    }
}

/// A message without code, token or payload: an acknowledgement or a reset (RFC 7252 section 4.1).
pub(crate) fn empty(kind: Kind, mid: u16) -> Bytes {
    let mut packet = Packet::new();
    packet.header.code = MessageClass::Empty;
    written(packet, kind, mid)
}

fn written(mut packet: Packet, kind: Kind, mid: u16) -> Bytes {
    packet.header.set_version(1);
    packet.header.set_type(match kind {
        Kind::Confirmable => MessageType::Confirmable,
        Kind::NonConfirmable => MessageType::NonConfirmable,
        Kind::Acknowledgement => MessageType::Acknowledgement,
        Kind::Reset => MessageType::Reset,
    });
    packet.header.message_id = mid;
    // Only a limit of length can fail, and there is none.
    Bytes::from(packet.to_bytes_unlimited().unwrap_or_default())
}

/// A number in as few bytes as it needs; zero needs none (RFC 7252 section 3.2).
fn number_bytes(number: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let is_zero = |byte: &&u8| **byte == 0;
    bytes.iter().skip_while(is_zero).copied().collect()
}

#[cfg(test)]
mod tests;
