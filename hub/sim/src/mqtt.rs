//! MQTT 3.1.1 and 5.0 packets as a device writes and reads them, by hand from the two standards.
//!
//! Nothing here is shared with the hub's own MQTT driver, so that a mistaken reading of the
//! standard on one side cannot hide itself on the other.

use std::fmt;

/// Longest packet body that the simulator is ready to receive, in bytes.
const BODY_BYTES_MAX: usize = 1 << 16;
/// A remaining length has at most four bytes (MQTT 3.1.1, 2.2.3; MQTT 5.0, 1.5.5).
const LENGTH_BYTES_MAX: usize = 4;
/// MQTT 5.0, 3.1.2.11.2: Session Expiry Interval.
const PROPERTY_SESSION_EXPIRY: u8 = 0x11;

/// The protocol edition a connection speaks.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    /// MQTT 3.1.1, protocol level 4.
    #[default]
    V311,
    /// MQTT 5.0, protocol level 5.
    V5,
}

/// What a client says of itself when it connects.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Connect<'a> {
    pub(crate) version: Version,
    pub(crate) client_id: &'a str,
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
    pub(crate) keep_alive_s: u16,
    /// Start without what the server may remember of an earlier connection.
    pub(crate) clean: bool,
    /// What the server shall publish when the connection ends without a farewell: topic and payload.
    pub(crate) will: Option<(&'a str, &'a [u8])>,
    /// How long the server shall keep the session (MQTT 5 only; 0 leaves the property out).
    pub(crate) session_expiry_s: u32,
}

/// One PUBLISH with QoS 1.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Publish<'a> {
    pub(crate) version: Version,
    pub(crate) topic: &'a str,
    pub(crate) packet_id: u16,
    pub(crate) again: bool,
    pub(crate) payload: &'a [u8],
}

/// A packet from the server, as far as a device cares.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    ConnAck { session_present: bool, code: u8 },
    PubAck { packet_id: u16, reason: u8 },
    PingResp,
    Disconnect { reason: u8 },
    Other { first_byte: u8 },
}

/// Bytes that are no MQTT packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed MQTT packet: {}", self.0)
    }
}

/// Writes a variable byte integer (MQTT 3.1.1, 2.2.3).
pub(crate) fn put_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = length % 128;
        length /= 128;
        let more = if length > 0 { 0x80 } else { 0 };
        out.push(u8::try_from(low).unwrap_or(0) | more);
        if length == 0 {
            return;
        }
    }
}

/// Reads a variable byte integer; answers the value and the bytes it took, or `None` when
/// bytes are missing.
pub(crate) fn take_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut value = 0usize;
    for (index, byte) in bytes.iter().take(LENGTH_BYTES_MAX).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() >= LENGTH_BYTES_MAX {
        return Err(Malformed("the remaining length has more than four bytes"));
    }
    Ok(None)
}

/// Writes a UTF-8 string with its two length bytes; anything past 65,535 bytes is cut, which no
/// name in the simulator reaches.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(
        text.as_bytes()
            .get(..usize::from(length))
            .unwrap_or_default(),
    );
}

/// Writes a CONNECT packet (MQTT 3.1.1, 3.1; MQTT 5.0, 3.1).
pub(crate) fn put_connect(out: &mut Vec<u8>, connect: &Connect<'_>) {
    let mut body = Vec::with_capacity(64);
    put_text(&mut body, "MQTT");
    body.push(match connect.version {
        Version::V311 => 4,
        Version::V5 => 5,
    });
    let mut flags = 0u8;
    if connect.clean {
        flags |= 0x02;
    }
    if connect.username.is_some() {
        flags |= 0x80;
    }
    if connect.password.is_some() {
        flags |= 0x40;
    }
    if connect.will.is_some() {
        // With QoS 1, not retained.
        flags |= 0x04 | 0x08;
    }
    body.push(flags);
    body.extend_from_slice(&connect.keep_alive_s.to_be_bytes());
    if connect.version == Version::V5 {
        if connect.session_expiry_s == 0 {
            put_length(&mut body, 0);
        } else {
            put_length(&mut body, 5);
            body.push(PROPERTY_SESSION_EXPIRY);
            body.extend_from_slice(&connect.session_expiry_s.to_be_bytes());
        }
    }
    put_text(&mut body, connect.client_id);
    if let Some((topic, payload)) = connect.will {
        if connect.version == Version::V5 {
            put_length(&mut body, 0);
        }
        put_text(&mut body, topic);
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(payload.get(..usize::from(length)).unwrap_or_default());
    }
    for text in [connect.username, connect.password].into_iter().flatten() {
        put_text(&mut body, text);
    }
    out.push(0x10);
    put_length(out, body.len());
    out.extend_from_slice(&body);
}

/// Writes a PUBLISH packet with QoS 1 (MQTT 3.1.1, 3.3; MQTT 5.0, 3.3).
pub(crate) fn put_publish(out: &mut Vec<u8>, publish: &Publish<'_>) {
    let properties = match publish.version {
        Version::V311 => 0,
        Version::V5 => 1,
    };
    let dup = if publish.again { 0x08 } else { 0 };
    out.push(0x32 | dup);
    put_length(
        out,
        2 + publish.topic.len() + 2 + properties + publish.payload.len(),
    );
    put_text(out, publish.topic);
    out.extend_from_slice(&publish.packet_id.to_be_bytes());
    if publish.version == Version::V5 {
        put_length(out, 0);
    }
    out.extend_from_slice(publish.payload);
}

/// Writes a PUBLISH packet with QoS 0 of MQTT 3.1.1, which nothing answers.
pub(crate) fn put_publish_unanswered(out: &mut Vec<u8>, topic: &str, payload: &[u8]) {
    out.push(0x30);
    put_length(out, 2 + topic.len() + payload.len());
    put_text(out, topic);
    out.extend_from_slice(payload);
}

/// Writes a SUBSCRIBE packet of MQTT 3.1.1 for one topic with QoS 0 (3.8).
pub(crate) fn put_subscribe(out: &mut Vec<u8>, packet_id: u16, topic: &str) {
    out.push(0x82);
    put_length(out, 2 + 2 + topic.len() + 1);
    out.extend_from_slice(&packet_id.to_be_bytes());
    put_text(out, topic);
    out.push(0);
}

/// Writes a PINGREQ packet.
pub(crate) fn put_ping(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xc0, 0x00]);
}

/// Writes a DISCONNECT packet that says an ordinary farewell; both editions share its short form.
pub(crate) fn put_disconnect(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xe0, 0x00]);
}

/// Takes the first whole packet; answers it and the bytes it took, or `None` when bytes are
/// missing.
pub(crate) fn take_packet(bytes: &[u8]) -> Result<Option<(Incoming, usize)>, Malformed> {
    let Some((&first_byte, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let Some((length, length_bytes)) = take_length(rest)? else {
        return Ok(None);
    };
    if length > BODY_BYTES_MAX {
        return Err(Malformed("the packet is longer than a device accepts"));
    }
    let start = 1 + length_bytes;
    let Some(body) = bytes.get(start..start + length) else {
        return Ok(None);
    };
    let packet = match (first_byte >> 4, body) {
        (2, [flags, code, ..]) => Incoming::ConnAck {
            session_present: flags & 1 == 1,
            code: *code,
        },
        (2, _) => return Err(Malformed("a CONNACK has at least two bytes")),
        // MQTT 5.0, 3.4.2.1: without a reason code the reason is 0x00, success.
        (4, [high, low, tail @ ..]) => Incoming::PubAck {
            packet_id: u16::from_be_bytes([*high, *low]),
            reason: tail.first().copied().unwrap_or(0),
        },
        (4, _) => return Err(Malformed("a PUBACK has at least two bytes")),
        (13, _) => Incoming::PingResp,
        (14, tail) => Incoming::Disconnect {
            reason: tail.first().copied().unwrap_or(0),
        },
        _ => Incoming::Other { first_byte },
    };
    Ok(Some((packet, start + length)))
}

#[cfg(test)]
mod tests;
