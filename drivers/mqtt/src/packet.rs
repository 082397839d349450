//! One small, version-neutral face over the MQTT 3.1.1 and 5 codecs, chosen by the protocol level.
//!
//! PUBLISH, the packet of the hot path, is read in place from the receive buffer; everything else
//! goes through rumqttc's codecs, a whole frame at a time.

mod connect;
mod write;

pub(crate) use connect::{Connect, Will, read_connect, sniff};
pub(crate) use write::{
    Welcome, connack, connack_refused, connack_unknown_version, disconnect, pingresp, pubcomp,
    publish, publish_ack, publish_handed, publish_refusal, publish_retained, publish_told, suback,
    unsuback,
};

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

/// Longest fixed header: the type byte and a length of four bytes.
const LENGTH_BYTES_MAX: usize = 4;

/// The protocol of one connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V5,
}

/// Quality of service.
#[expect(clippy::enum_variant_names, reason = "the names of the standard")]
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Qos {
    AtMostOnce = 0,
    AtLeastOnce = 1,
    ExactlyOnce = 2,
}

/// What is wrong with bytes that a client sent; each ends the connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The bytes are no packet.
    Malformed,
    /// A packet that a client may not send, or not now.
    Protocol,
    /// The packet is larger than this gate takes.
    TooLarge,
    /// The topic name is empty, not UTF-8, or has a wildcard.
    InvalidTopic,
    /// A topic alias, although none was offered.
    TopicAlias,
}

impl Flaw {
    /// The fixed word that it is counted under.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed_packet",
            Self::Protocol => "protocol_error",
            Self::TooLarge => "packet_too_large",
            Self::InvalidTopic => "invalid_topic",
            Self::TopicAlias => "topic_alias",
        }
    }

    /// The version 5 reason code of the DISCONNECT that answers it.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Malformed => 0x81,
            Self::Protocol => 0x82,
            Self::TooLarge => 0x95,
            Self::InvalidTopic => 0x90,
            Self::TopicAlias => 0x94,
        }
    }
}

/// Packet types, as the high half of the first byte.
pub(crate) mod kind {
    pub(crate) const CONNECT: u8 = 1;
    pub(crate) const PUBLISH: u8 = 3;
    pub(crate) const PUBACK: u8 = 4;
    pub(crate) const PUBREL: u8 = 6;
    pub(crate) const SUBSCRIBE: u8 = 8;
    pub(crate) const UNSUBSCRIBE: u8 = 10;
    pub(crate) const PINGREQ: u8 = 12;
    pub(crate) const DISCONNECT: u8 = 14;
}

/// The extent of one packet at the start of a buffer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The first byte: type and flags.
    pub(crate) first: u8,
    /// Bytes before the body.
    pub(crate) header_len: usize,
    /// Bytes of the whole packet.
    pub(crate) total_len: usize,
}

impl Frame {
    pub(crate) fn kind(self) -> u8 {
        self.first >> 4
    }
}

/// Finds the packet at the start of `buffer`; `None` if its header is not there yet.
///
/// The frame is told as soon as its length is known, so that one that is too large is refused
/// before it is buffered; [`Frame::total_len`] may be more than there is.
pub(crate) fn frame(buffer: &[u8]) -> Result<Option<Frame>, Flaw> {
    let Some((&first, rest)) = buffer.split_first() else {
        return Ok(None);
    };
    let Some((length, length_len)) = varint(rest)? else {
        return Ok(None);
    };
    let header_len = 1 + length_len;
    Ok(Some(Frame {
        first,
        header_len,
        total_len: header_len + length,
    }))
}

/// Reads a variable byte integer and tells how many bytes it took; `None` if it is not complete.
fn varint(bytes: &[u8]) -> Result<Option<(usize, usize)>, Flaw> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(LENGTH_BYTES_MAX).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() < LENGTH_BYTES_MAX {
        Ok(None)
    } else {
        Err(Flaw::Malformed)
    }
}

/// A PUBLISH, still in the receive buffer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish<'a> {
    pub(crate) qos: Qos,
    /// 0 for QoS 0.
    pub(crate) packet_id: u16,
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
}

/// Reads the body of a PUBLISH in place.
pub(crate) fn read_publish(version: Version, first: u8, body: &[u8]) -> Result<Publish<'_>, Flaw> {
    let qos = match (first >> 1) & 3 {
        0 => Qos::AtMostOnce,
        1 => Qos::AtLeastOnce,
        2 => Qos::ExactlyOnce,
        _ => return Err(Flaw::Malformed),
    };
    let (topic, rest) = prefixed(body).ok_or(Flaw::Malformed)?;
    let (packet_id, rest) = if qos == Qos::AtMostOnce {
        (0, rest)
    } else {
        let (id, rest) = rest.split_first_chunk::<2>().ok_or(Flaw::Malformed)?;
        (u16::from_be_bytes(*id), rest)
    };
    if packet_id == 0 && qos != Qos::AtMostOnce {
        return Err(Flaw::Malformed);
    }
    let payload = match version {
        Version::V4 => rest,
        Version::V5 => after_properties(rest)?,
    };
    let topic = std::str::from_utf8(topic).map_err(|_| Flaw::InvalidTopic)?;
    if !is_topic_name(topic) {
        return Err(Flaw::InvalidTopic);
    }
    Ok(Publish {
        qos,
        packet_id,
        topic,
        payload,
    })
}

/// Skips the properties of a version 5 PUBLISH, after checking them.
fn after_properties(bytes: &[u8]) -> Result<&[u8], Flaw> {
    let (length, length_len) = varint(bytes)?.ok_or(Flaw::Malformed)?;
    let (properties, payload) = bytes
        .split_at_checked(length_len + length)
        .ok_or(Flaw::Malformed)?;
    if length > 0 {
        let mut properties = Bytes::copy_from_slice(properties);
        let properties = v5::PublishProperties::read(&mut properties)
            .map_err(|_| Flaw::Malformed)?
            .ok_or(Flaw::Malformed)?;
        if properties.topic_alias.is_some() {
            return Err(Flaw::TopicAlias);
        }
        if !properties.subscription_identifiers.is_empty() {
            return Err(Flaw::Protocol);
        }
    }
    Ok(payload)
}

fn is_topic_name(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['\0', '+', '#'])
}

/// Splits off a field that has its length in two bytes before it.
fn prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// A topic filter of a SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) path: String,
    pub(crate) qos: Qos,
}

/// Any packet but CONNECT and PUBLISH that a client may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    PubAck {
        packet_id: u16,
    },
    PubRel {
        packet_id: u16,
    },
    Subscribe {
        packet_id: u16,
        filters: Vec<Filter>,
    },
    Unsubscribe {
        packet_id: u16,
        filters: Vec<String>,
    },
    PingReq,
    /// `with_will`: the client is going, and wants its will published all the same.
    Disconnect {
        with_will: bool,
    },
}

/// Reads a whole packet of any type but CONNECT and PUBLISH.
pub(crate) fn read_other(version: Version, frame: Frame, packet: &[u8]) -> Result<Incoming, Flaw> {
    let flags = frame.first & 0x0f;
    let flags_wanted = match frame.kind() {
        kind::PUBREL | kind::SUBSCRIBE | kind::UNSUBSCRIBE => 2,
        kind::PUBACK | kind::PINGREQ | kind::DISCONNECT => 0,
        // A second CONNECT, or what only a server sends, or an AUTH that was not agreed on.
        _ => return Err(Flaw::Protocol),
    };
    if flags != flags_wanted {
        return Err(Flaw::Malformed);
    }
    if frame.kind() == kind::PINGREQ {
        return Ok(Incoming::PingReq);
    }
    let body = packet.get(frame.header_len..).unwrap_or_default();
    if frame.kind() == kind::DISCONNECT {
        return read_disconnect(version, body);
    }
    let incoming = match version {
        Version::V4 => read_other_v4(packet)?,
        Version::V5 => read_other_v5(packet)?,
    };
    match &incoming {
        Incoming::Subscribe { packet_id: 0, .. }
        | Incoming::Unsubscribe { packet_id: 0, .. }
        | Incoming::PubRel { packet_id: 0 } => Err(Flaw::Malformed),
        Incoming::Unsubscribe { filters, .. } if filters.is_empty() => Err(Flaw::Malformed),
        _ => Ok(incoming),
    }
}

/// Reads the reason only: rumqttc takes neither form of DISCONNECT that leaves the rest out.
fn read_disconnect(version: Version, body: &[u8]) -> Result<Incoming, Flaw> {
    match (version, body.first()) {
        (Version::V4, Some(_)) => Err(Flaw::Malformed),
        (Version::V5, Some(0x04)) => Ok(Incoming::Disconnect { with_will: true }),
        // Any other reason that a client gives above 0x80 is an error on its side.
        (Version::V5, Some(reason)) => Ok(Incoming::Disconnect {
            with_will: *reason >= 0x80,
        }),
        (_, None) => Ok(Incoming::Disconnect { with_will: false }),
    }
}

fn read_other_v4(packet: &[u8]) -> Result<Incoming, Flaw> {
    let mut stream = BytesMut::from(packet);
    Ok(
        match v4::Packet::read(&mut stream, usize::MAX).map_err(v4_flaw)? {
            v4::Packet::PubAck(ack) => Incoming::PubAck {
                packet_id: ack.pkid,
            },
            v4::Packet::PubRel(release) => Incoming::PubRel {
                packet_id: release.pkid,
            },
            v4::Packet::Subscribe(subscribe) => Incoming::Subscribe {
                packet_id: subscribe.pkid,
                filters: subscribe
                    .filters
                    .into_iter()
                    .map(|filter| Filter {
                        path: filter.path,
                        qos: qos_of(filter.qos as u8),
                    })
                    .collect(),
            },
            v4::Packet::Unsubscribe(unsubscribe) => Incoming::Unsubscribe {
                packet_id: unsubscribe.pkid,
                filters: unsubscribe.topics,
            },
            _ => return Err(Flaw::Protocol),
        },
    )
}

fn read_other_v5(packet: &[u8]) -> Result<Incoming, Flaw> {
    let mut stream = BytesMut::from(packet);
    Ok(
        match v5::Packet::read(&mut stream, None).map_err(v5_flaw)? {
            v5::Packet::PubAck(ack) => Incoming::PubAck {
                packet_id: ack.pkid,
            },
            v5::Packet::PubRel(release) => Incoming::PubRel {
                packet_id: release.pkid,
            },
            v5::Packet::Subscribe(subscribe) => {
                // CONNACK said that identifiers are not available.
                if subscribe.properties.is_some_and(|p| p.id.is_some()) {
                    return Err(Flaw::Protocol);
                }
                Incoming::Subscribe {
                    packet_id: subscribe.pkid,
                    filters: subscribe
                        .filters
                        .into_iter()
                        .map(|filter| Filter {
                            path: filter.path,
                            qos: qos_of(filter.qos as u8),
                        })
                        .collect(),
                }
            }
            v5::Packet::Unsubscribe(unsubscribe) => Incoming::Unsubscribe {
                packet_id: unsubscribe.pkid,
                filters: unsubscribe.filters,
            },
            _ => return Err(Flaw::Protocol),
        },
    )
}

pub(crate) fn qos_of(qos: u8) -> Qos {
    match qos {
        0 => Qos::AtMostOnce,
        1 => Qos::AtLeastOnce,
        _ => Qos::ExactlyOnce,
    }
}

fn v4_flaw(error: rumqttc::mqttbytes::Error) -> Flaw {
    tracing::debug!(%error, "unreadable packet");
    Flaw::Malformed
}

fn v5_flaw(error: rumqttc::v5::mqttbytes::Error) -> Flaw {
    tracing::debug!(%error, "unreadable packet");
    Flaw::Malformed
}

#[cfg(test)]
mod tests;
