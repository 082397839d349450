//! Reading CONNECT, and telling the protocol from it.

use super::{Flaw, Version, is_topic_name, prefixed, v4_flaw, v5_flaw};
use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

/// Tells the protocol from the body of a CONNECT; `None` for one that this gate does not speak.
pub(crate) fn sniff(body: &[u8]) -> Result<Option<Version>, Flaw> {
    let (name, rest) = prefixed(body).ok_or(Flaw::Malformed)?;
    let (level, _) = rest.split_first().ok_or(Flaw::Malformed)?;
    Ok(match (name, level) {
        (b"MQTT", 4) => Some(Version::V4),
        (b"MQTT", 5) => Some(Version::V5),
        _ => None,
    })
}

/// The message that a client leaves for the case that it is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
}

/// A CONNECT of either version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connect {
    pub(crate) client_id: String,
    pub(crate) clean_start: bool,
    /// How long the session outlives the connection; version 3.1.1 knows only 0 and for ever.
    pub(crate) session_expiry_s: u32,
    pub(crate) keep_alive_s: u16,
    /// Unacknowledged publications that the client takes at once.
    pub(crate) receive_max: u16,
    /// Largest packet that the client takes.
    pub(crate) packet_bytes_max: usize,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) will: Option<Will>,
    /// The client wants an exchange of AUTH packets, which this gate does not do.
    pub(crate) wants_auth: bool,
}

/// Session expiry of a version 3.1.1 client that asked for a persistent session.
const EXPIRY_NEVER_S: u32 = u32::MAX;

/// Reads a whole CONNECT packet.
pub(crate) fn read_connect(version: Version, packet: &[u8]) -> Result<Connect, Flaw> {
    let mut stream = BytesMut::from(packet);
    let connect = match version {
        Version::V4 => {
            let packet = v4::Packet::read(&mut stream, usize::MAX).map_err(v4_flaw)?;
            let v4::Packet::Connect(connect) = packet else {
                return Err(Flaw::Protocol);
            };
            from_v4(connect)
        }
        Version::V5 => {
            let packet = v5::Packet::read(&mut stream, None).map_err(v5_flaw)?;
            let v5::Packet::Connect(connect, will, login) = packet else {
                return Err(Flaw::Protocol);
            };
            from_v5(connect, will, login)?
        }
    };
    match &connect.will {
        Some(will) if !is_topic_name(&will.topic) => Err(Flaw::InvalidTopic),
        _ => Ok(connect),
    }
}

fn from_v4(connect: v4::Connect) -> Connect {
    let (username, password) = connect
        .login
        .map(|login| (login.username, login.password))
        .unwrap_or_default();
    Connect {
        client_id: connect.client_id,
        clean_start: connect.clean_session,
        session_expiry_s: if connect.clean_session {
            0
        } else {
            EXPIRY_NEVER_S
        },
        keep_alive_s: connect.keep_alive,
        receive_max: u16::MAX,
        packet_bytes_max: usize::MAX,
        username: given(username),
        password: given(password),
        will: connect.last_will.map(|will| Will {
            topic: will.topic,
            payload: will.message,
        }),
        wants_auth: false,
    }
}

fn from_v5(
    connect: v5::Connect,
    will: Option<v5::LastWill>,
    login: Option<v5::Login>,
) -> Result<Connect, Flaw> {
    let properties = connect.properties.unwrap_or_default();
    if properties.receive_maximum == Some(0) || properties.max_packet_size == Some(0) {
        return Err(Flaw::Protocol);
    }
    let (username, password) = login
        .map(|login| (login.username, login.password))
        .unwrap_or_default();
    let will = will.map(|will| {
        let topic = std::str::from_utf8(&will.topic).map_err(|_| Flaw::InvalidTopic)?;
        Ok(Will {
            topic: topic.to_owned(),
            payload: will.message,
        })
    });
    Ok(Connect {
        client_id: connect.client_id,
        clean_start: connect.clean_start,
        session_expiry_s: properties.session_expiry_interval.unwrap_or(0),
        keep_alive_s: connect.keep_alive,
        receive_max: properties.receive_maximum.unwrap_or(u16::MAX),
        packet_bytes_max: properties
            .max_packet_size
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(usize::MAX),
        username: given(username),
        password: given(password),
        will: will.transpose()?,
        wants_auth: properties.authentication_method.is_some(),
    })
}

fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
