//! An MQTT 3.1.1 and 5 client written from the standards, which can also send what none should.

use crate::time::PATIENCE;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// The protocol level byte of CONNECT.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Version {
    V3 = 4,
    V5 = 5,
}

impl Version {
    pub const BOTH: [Self; 2] = [Self::V3, Self::V5];
}

/// What a client says of itself.
#[derive(Clone, Debug)]
pub struct Identity {
    pub client_id: String,
    pub username: Option<String>,
    pub password: Option<String>,
    pub clean: bool,
    pub keep_alive_s: u16,
    pub will: Option<(String, Vec<u8>)>,
    /// Only version 5 has it.
    pub session_expiry_s: u32,
}

impl Identity {
    /// A device of these tests with its own secret.
    pub fn device(id: &str) -> Self {
        Self::named(id, &crate::hub::secret(id))
    }

    pub fn named(username: &str, password: &str) -> Self {
        Self {
            client_id: format!("client-{username}"),
            username: Some(username.to_owned()),
            password: Some(password.to_owned()),
            clean: true,
            keep_alive_s: 60,
            will: None,
            session_expiry_s: 0,
        }
    }
}

/// Writes a length as MQTT does: seven bits a byte, the lowest first.
pub fn put_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let [low, ..] = (length % 128).to_le_bytes();
        length /= 128;
        out.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            return;
        }
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).expect("a field of at most 64 KiB");
    out.extend(length.to_be_bytes());
    out.extend(bytes);
}

/// Puts the fixed header before a body.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    put_length(&mut out, body.len());
    out.extend(body);
    out
}

/// Builds a CONNECT.
pub fn connect(version: Version, identity: &Identity) -> Vec<u8> {
    let mut flags = 0u8;
    flags |= u8::from(identity.clean) << 1;
    flags |= u8::from(identity.will.is_some()) << 2;
    flags |= u8::from(identity.will.is_some()) << 3;
    flags |= u8::from(identity.password.is_some()) << 6;
    flags |= u8::from(identity.username.is_some()) << 7;
    let mut body = Vec::new();
    put_bytes(&mut body, b"MQTT");
    body.extend([version as u8, flags]);
    body.extend(identity.keep_alive_s.to_be_bytes());
    if version == Version::V5 {
        // 17 is the Session Expiry Interval.
        body.extend([5, 17]);
        body.extend(identity.session_expiry_s.to_be_bytes());
    }
    put_bytes(&mut body, identity.client_id.as_bytes());
    if let Some((topic, payload)) = &identity.will {
        if version == Version::V5 {
            body.push(0);
        }
        put_bytes(&mut body, topic.as_bytes());
        put_bytes(&mut body, payload);
    }
    for text in [&identity.username, &identity.password]
        .into_iter()
        .flatten()
    {
        put_bytes(&mut body, text.as_bytes());
    }
    packet(0x10, &body)
}

/// A PUBLISH; QoS 0 has no packet id.
#[derive(Copy, Clone, Debug)]
pub struct Publish<'a> {
    pub topic: &'a [u8],
    pub payload: &'a [u8],
    pub qos: u8,
    pub packet_id: u16,
}

impl Publish<'_> {
    pub fn bytes(&self, version: Version) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.topic.len() + self.payload.len() + 5);
        put_bytes(&mut body, self.topic);
        if self.qos > 0 {
            body.extend(self.packet_id.to_be_bytes());
        }
        if version == Version::V5 {
            body.push(0);
        }
        body.extend(self.payload);
        packet(0x30 | (self.qos << 1), &body)
    }
}

/// A packet as it came: the first byte and what follows the length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub first: u8,
    pub body: Vec<u8>,
}

impl Packet {
    pub fn kind(&self) -> u8 {
        self.first >> 4
    }

    pub fn packet_id(&self) -> u16 {
        u16::from_be_bytes([self.body[0], self.body[1]])
    }
}

/// Takes one whole packet off the front of a buffer.
pub fn take_packet(buffer: &mut Vec<u8>) -> Option<Packet> {
    let mut length = 0usize;
    let mut at = 1;
    loop {
        let byte = *buffer.get(at)?;
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    if buffer.len() < at + length {
        return None;
    }
    let whole: Vec<u8> = buffer.drain(..at + length).collect();
    Some(Packet {
        first: whole[0],
        body: whole[at..].to_vec(),
    })
}

/// What became of a publish at QoS 1.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// PUBACK; version 3.1.1 has no reason and shows as 0.
    Acked(u8),
    /// DISCONNECT of version 5 with its reason.
    Disconnected(u8),
    Closed,
}

/// A message that a subscriber got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub packet_id: u16,
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    version: Version,
    buffer: Vec<u8>,
    last_packet_id: u16,
    /// Messages that came while another answer was awaited.
    early: VecDeque<Packet>,
    pub session_present: bool,
}

impl Client {
    /// Connects and demands to be let in.
    #[track_caller]
    pub fn connect(addr: SocketAddr, version: Version, identity: &Identity) -> Self {
        Self::try_connect(addr, version, identity)
            .unwrap_or_else(|code| panic!("refused with {code:?}: {identity:?}"))
    }

    /// Connects; gives the code of a refusal, or `None` when the socket was closed without one or
    /// nobody listens.
    pub fn try_connect(
        addr: SocketAddr,
        version: Version,
        identity: &Identity,
    ) -> Result<Self, Option<u8>> {
        let Ok(mut client) = Self::reach(addr, version) else {
            return Err(None);
        };
        client.send(&connect(version, identity));
        let Some(answer) = client.read() else {
            return Err(None);
        };
        assert_eq!(answer.first, 0x20, "a CONNACK comes first: {answer:?}");
        client.session_present = answer.body[0] == 1;
        match answer.body[1] {
            0 => Ok(client),
            code => Err(Some(code)),
        }
    }

    /// Opens a connection and says nothing yet.
    pub fn open(addr: SocketAddr, version: Version) -> Self {
        Self::reach(addr, version).expect("the port is open")
    }

    fn reach(addr: SocketAddr, version: Version) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
        stream.set_nodelay(true).expect("a socket option");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket option");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a socket option");
        Ok(Self {
            stream,
            version,
            buffer: Vec::new(),
            last_packet_id: 0,
            early: VecDeque::new(),
            session_present: false,
        })
    }

    /// Sends bytes as they are. A server that hangs up meanwhile is seen by the next read.
    pub fn send(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes));
    }

    /// Waits for the next packet; `None` when the server hung up.
    #[track_caller]
    pub fn read(&mut self) -> Option<Packet> {
        let mut chunk = [0; 16_384];
        loop {
            if let Some(packet) = take_packet(&mut self.buffer) {
                return Some(packet);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(length) => self.buffer.extend(&chunk[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("the server neither answered nor hung up")
                }
                Err(_) => return None,
            }
        }
    }

    fn next_packet_id(&mut self) -> u16 {
        self.last_packet_id = self.last_packet_id % u16::MAX + 1;
        self.last_packet_id
    }

    /// Sends a PUBLISH at QoS 1 without waiting, and gives its packet id.
    pub fn send_publish(&mut self, topic: &str, payload: &[u8]) -> u16 {
        let packet_id = self.next_packet_id();
        let publish = Publish {
            topic: topic.as_bytes(),
            payload,
            qos: 1,
            packet_id,
        };
        self.send(&publish.bytes(self.version));
        packet_id
    }

    /// Publishes at QoS 1 and waits for what becomes of it.
    #[track_caller]
    pub fn publish(&mut self, topic: &str, payload: &[u8]) -> Outcome {
        let packet_id = self.send_publish(topic, payload);
        let Some(answer) = self.read() else {
            return Outcome::Closed;
        };
        match answer.kind() {
            4 => {
                assert_eq!(answer.packet_id(), packet_id, "acknowledged in order");
                Outcome::Acked(answer.body.get(2).copied().unwrap_or(0))
            }
            14 => Outcome::Disconnected(answer.body.first().copied().unwrap_or(0)),
            _ => panic!("no answer to a PUBLISH: {answer:?}"),
        }
    }

    /// Publishes telemetry under a device's own topic and demands a clean PUBACK.
    #[track_caller]
    pub fn report(&mut self, device: &str, payload: &serde_json::Value) {
        let topic = format!("devices/{device}/telemetry");
        let outcome = self.publish(&topic, payload.to_string().as_bytes());
        assert_eq!(outcome, Outcome::Acked(0), "{payload}");
    }

    /// Subscribes to one filter and gives the code of the SUBACK. Messages that a kept session
    /// sends before it wait for [`Client::message`].
    #[track_caller]
    pub fn subscribe(&mut self, filter: &str, qos: u8) -> u8 {
        let packet_id = self.next_packet_id();
        let mut body = packet_id.to_be_bytes().to_vec();
        if self.version == Version::V5 {
            body.push(0);
        }
        put_bytes(&mut body, filter.as_bytes());
        body.push(qos);
        self.send(&packet(0x82, &body));
        loop {
            let answer = self.read().expect("a SUBACK");
            if answer.kind() == 3 {
                self.early.push_back(answer);
                continue;
            }
            assert_eq!((answer.first, answer.packet_id()), (0x90, packet_id));
            return *answer.body.last().expect("a SUBACK has a code");
        }
    }

    /// Waits for a message; one at QoS 1 still has to be acknowledged.
    #[track_caller]
    pub fn message(&mut self) -> Message {
        let early = self.early.pop_front();
        let packet = early.unwrap_or_else(|| self.read().expect("the subscriber is connected"));
        assert_eq!(packet.kind(), 3, "a PUBLISH: {packet:?}");
        let qos = (packet.first >> 1) & 3;
        let length = usize::from(packet.packet_id());
        let topic = String::from_utf8(packet.body[2..2 + length].to_vec()).expect("UTF-8");
        let mut rest = &packet.body[2 + length..];
        let mut packet_id = 0;
        if qos > 0 {
            packet_id = u16::from_be_bytes([rest[0], rest[1]]);
            rest = &rest[2..];
        }
        if self.version == Version::V5 {
            // The properties of these messages are shorter than 128 bytes.
            rest = &rest[1 + usize::from(rest[0])..];
        }
        Message {
            topic,
            payload: rest.to_vec(),
            qos,
            packet_id,
        }
    }

    /// Acknowledges a message at QoS 1.
    pub fn ack(&mut self, message: &Message) {
        self.send(&packet(0x40, &message.packet_id.to_be_bytes()));
    }

    /// Asks for a sign of life and waits for it.
    #[track_caller]
    pub fn ping(&mut self) {
        self.send(&[0xc0, 0]);
        loop {
            let answer = self.read().expect("the connection stands");
            if answer.kind() != 3 {
                assert_eq!(answer.first, 0xd0, "a PINGRESP");
                return;
            }
            self.early.push_back(answer);
        }
    }

    /// Leaves in order, and waits until the server has closed the connection.
    #[track_caller]
    pub fn disconnect(mut self) {
        self.send(&[0xe0, 0]);
        while self.read().is_some() {}
    }
}
