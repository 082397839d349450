//! Packets to the client. Every positive acknowledgement asks for its proof.

use super::{Qos, Version};
use crate::bus::Handed;
use bytes::{BufMut, BytesMut};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;
use sdk::Committed;

/// Longest reason in words, so that the properties of an answer stay under 128 bytes.
const REASON_BYTES_MAX: usize = 120;

/// What a CONNACK tells a client that was let in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Welcome {
    pub(crate) session_present: bool,
    pub(crate) receive_max: u16,
    pub(crate) packet_bytes_max: u32,
    /// Set where the server decides otherwise than the client asked.
    pub(crate) session_expiry_s: Option<u32>,
    pub(crate) keep_alive_s: Option<u16>,
    pub(crate) client_id: Option<String>,
}

/// Reports a packet that could not be written. None of ours is too long or lacks an id.
fn written<E: std::fmt::Display>(result: Result<usize, E>) {
    if let Err(error) = result {
        tracing::error!(%error, "could not encode a packet");
    }
}

pub(crate) fn connack(out: &mut BytesMut, version: Version, welcome: Welcome) {
    match version {
        Version::V4 => {
            let code = v4::ConnectReturnCode::Success;
            written(v4::ConnAck::new(code, welcome.session_present).write(out));
        }
        Version::V5 => {
            let properties = v5::ConnAckProperties {
                session_expiry_interval: welcome.session_expiry_s,
                receive_max: Some(welcome.receive_max),
                max_qos: None,
                retain_available: None,
                max_packet_size: Some(welcome.packet_bytes_max),
                assigned_client_identifier: welcome.client_id,
                topic_alias_max: None,
                reason_string: None,
                user_properties: Vec::new(),
                wildcard_subscription_available: None,
                subscription_identifiers_available: Some(0),
                shared_subscription_available: Some(0),
                server_keep_alive: welcome.keep_alive_s,
                response_information: None,
                server_reference: None,
                authentication_method: None,
                authentication_data: None,
            };
            let packet = v5::ConnAck {
                session_present: welcome.session_present,
                code: v5::ConnectReturnCode::Success,
                properties: Some(properties),
            };
            written(packet.write(out));
        }
    }
}

/// Refuses a CONNECT with a version 5 reason code, or the nearest that version 3.1.1 has.
pub(crate) fn connack_refused(out: &mut BytesMut, version: Version, reason: u8) {
    match version {
        Version::V4 => {
            let code = match reason {
                0x85 => 2,
                0x86 => 4,
                0x88 | 0x89 | 0x8b | 0x97 => 3,
                _ => 5,
            };
            out.put_slice(&[0x20, 2, 0, code]);
        }
        Version::V5 => out.put_slice(&[0x20, 3, 0, reason, 0]),
    }
}

/// Refuses a protocol that this gate does not speak, in the form that every version understands.
pub(crate) fn connack_unknown_version(out: &mut BytesMut) {
    out.put_slice(&[0x20, 2, 0, 1]);
}

/// PUBACK or PUBREC: what the client published is on disk.
///
/// `invalid` tells that it is there only as a count or as a frame that could not be decoded, and
/// that no value of it was stored.
pub(crate) fn publish_ack(
    out: &mut BytesMut,
    version: Version,
    (qos, packet_id): (Qos, u16),
    invalid: bool,
    _proof: &Committed,
) {
    // Version 3.1.1 cannot tell; the client must only not send it again.
    let reason = if invalid { 0x99 } else { 0 };
    answer(out, version, (qos, packet_id), reason);
}

/// PUBACK or PUBREC: the command was handed to the bus, which may lose it.
pub(crate) fn publish_handed(
    out: &mut BytesMut,
    version: Version,
    (qos, packet_id): (Qos, u16),
    handed: Handed,
) {
    // 0x10 is a success that says: nobody is listening there.
    let reason = if handed.reached_somebody() { 0 } else { 0x10 };
    answer(out, version, (qos, packet_id), reason);
}

/// PUBACK or PUBREC of a message whose outcome is told elsewhere, too. Version 5 is told here, with
/// the reason in words; version 3.1.1 only that it need not send it again.
pub(crate) fn publish_told(
    out: &mut BytesMut,
    version: Version,
    (qos, packet_id): (Qos, u16),
    (code, reason): (u8, &str),
) {
    const REASON_STRING: u8 = 0x1f;
    let first = match qos {
        Qos::AtMostOnce => return,
        Qos::AtLeastOnce => 0x40,
        Qos::ExactlyOnce => 0x50,
    };
    if version == Version::V4 || code == 0 {
        return answer(out, version, (qos, packet_id), code);
    }
    let reason = shortened(reason, REASON_BYTES_MAX);
    let properties_len = 3 + reason.len();
    out.put_u8(first);
    put_varint(out, 4 + properties_len);
    out.put_u16(packet_id);
    out.put_u8(code);
    // One byte, as the properties are shorter than 128 bytes.
    out.put_u8(u8::try_from(properties_len).unwrap_or_default());
    out.put_u8(REASON_STRING);
    out.put_u16(u16::try_from(reason.len()).unwrap_or_default());
    out.put_slice(reason.as_bytes());
}

fn shortened(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// PUBACK or PUBREC with a reason of 0x80 or more. Version 3.1.1 has no such answer.
pub(crate) fn publish_refusal(out: &mut BytesMut, (qos, packet_id): (Qos, u16), reason: u8) {
    answer(out, Version::V5, (qos, packet_id), reason.max(0x80));
}

fn answer(out: &mut BytesMut, version: Version, (qos, packet_id): (Qos, u16), reason: u8) {
    let first = match qos {
        Qos::AtMostOnce => return,
        Qos::AtLeastOnce => 0x40,
        Qos::ExactlyOnce => 0x50,
    };
    let [high, low] = packet_id.to_be_bytes();
    match version {
        Version::V5 if reason != 0 => out.put_slice(&[first, 4, high, low, reason, 0]),
        Version::V4 | Version::V5 => out.put_slice(&[first, 2, high, low]),
    }
}

/// PUBCOMP: the second half of QoS 2. `known` tells whether this packet id was open.
pub(crate) fn pubcomp(out: &mut BytesMut, version: Version, packet_id: u16, known: bool) {
    let [high, low] = packet_id.to_be_bytes();
    match version {
        Version::V5 if !known => out.put_slice(&[0x70, 4, high, low, 0x92, 0]),
        Version::V4 | Version::V5 => out.put_slice(&[0x70, 2, high, low]),
    }
}

/// SUBACK with one version 5 reason code for each filter; 3.1.1 knows only 0x80 for a refusal.
pub(crate) fn suback(out: &mut BytesMut, version: Version, packet_id: u16, codes: &[u8]) {
    let codes = codes.iter().map(|code| match version {
        Version::V4 => (*code).min(0x80),
        Version::V5 => *code,
    });
    with_codes(out, version, 0x90, packet_id, codes);
}

/// UNSUBACK; version 3.1.1 has no codes in it.
pub(crate) fn unsuback(out: &mut BytesMut, version: Version, packet_id: u16, codes: &[u8]) {
    match version {
        Version::V4 => with_codes(out, version, 0xb0, packet_id, std::iter::empty()),
        Version::V5 => with_codes(out, version, 0xb0, packet_id, codes.iter().copied()),
    }
}

fn with_codes(
    out: &mut BytesMut,
    version: Version,
    first: u8,
    packet_id: u16,
    codes: impl Iterator<Item = u8>,
) {
    let codes: Vec<u8> = codes.collect();
    let properties_len = usize::from(version == Version::V5);
    out.put_u8(first);
    put_varint(out, 2 + properties_len + codes.len());
    out.put_u16(packet_id);
    out.put_bytes(0, properties_len);
    out.put_slice(&codes);
}

pub(crate) fn pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xd0, 0]);
}

/// DISCONNECT with a reason, which only version 5 lets a server send.
///
/// Written by hand: rumqttc 0.25 counts one byte less than it writes.
pub(crate) fn disconnect(out: &mut BytesMut, version: Version, reason: u8) {
    if version == Version::V5 {
        out.put_slice(&[0xe0, 2, reason, 0]);
    }
}

/// PUBLISH to a subscriber. `packet_id` is `None` for QoS 0, and else QoS 1.
///
/// Tells how many bytes it took. Written by hand: rumqttc's wants a topic of its own for each.
pub(crate) fn publish(
    out: &mut BytesMut,
    version: Version,
    packet_id: Option<u16>,
    topic: &str,
    payload: &[u8],
) {
    let Ok(topic_len) = u16::try_from(topic.len()) else {
        return;
    };
    out.put_u8(if packet_id.is_some() { 0x32 } else { 0x30 });
    put_varint(out, publish_body_len(version, packet_id, topic, payload));
    out.put_u16(topic_len);
    out.put_slice(topic.as_bytes());
    if let Some(packet_id) = packet_id {
        out.put_u16(packet_id);
    }
    if version == Version::V5 {
        out.put_u8(0);
    }
    out.put_slice(payload);
}

/// PUBLISH of something that was said before this subscription, and still holds.
pub(crate) fn publish_retained(out: &mut BytesMut, version: Version, topic: &str, payload: &[u8]) {
    const RETAIN: u8 = 0x01;
    let begin = out.len();
    publish(out, version, None, topic, payload);
    if let Some(first) = out.get_mut(begin) {
        *first |= RETAIN;
    }
}

fn publish_body_len(
    version: Version,
    packet_id: Option<u16>,
    topic: &str,
    payload: &[u8],
) -> usize {
    let id_len = if packet_id.is_some() { 2 } else { 0 };
    2 + topic.len() + id_len + usize::from(version == Version::V5) + payload.len()
}

fn put_varint(out: &mut BytesMut, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            out.put_u8(low);
            return;
        }
        out.put_u8(low | 0x80);
    }
}
