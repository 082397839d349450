//! A client made of hand-written bytes, and a gate whose commits the test decides about.

mod access;
mod acks;
mod bus;
mod config;
mod events;
mod listeners;
mod sparkplug;
mod steps;
mod thingsboard;
mod wire;

use crate::Config;
use crate::bus::{Bus, BusRunner};
use crate::gate::{Gate, Peer};
use crate::{live, session};
use sdk::testkit::Kit;
use sdk::{Pending, Receipt, Refusal, Submission};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_util::task::TaskTracker;

/// Long enough for a busy machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes in the pipe between client and gate, each way.
const PIPE_BYTES: usize = 256 * 1024;

const A: &str = r#"{"id":"a","kind":"gas_pressure"}"#;
const B: &str = r#"{"id":"b","kind":"smoke"}"#;
const OFF: &str = r#"{"id":"off","kind":"smoke","enabled":false}"#;
const GATEWAY: &str = r#"{"id":"gw","kind":"gateway"}"#;
const CHILD: &str = r#"{"id":"c","kind":"smoke","parent":"gw"}"#;

/// One good message, and the reading in it: `pressure_kpa` is 300.
const GOOD: &[u8] = br#"{"ts":1763700000000,"values":{"pressure_kpa":300}}"#;

/// A change of the configuration, and a word to expect of it.
type Change = (fn(&mut Config), &'static str);

fn config() -> Config {
    serde_json::from_str(r#"{"kind":"mqtt","listen":"127.0.0.1:0"}"#).unwrap()
}

struct Bench {
    kit: Kit,
    gate: Arc<Gate>,
    runner: Option<BusRunner>,
    tasks: TaskTracker,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::around(Kit::new(&[A, B, OFF, GATEWAY, CHILD]), change)
    }

    /// A gate as it is after a restart of the hub: what the journal keeps is in `kit`.
    fn around(kit: Kit, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        change(&mut config);
        let (bus, runner) = Bus::new();
        let gate = Gate::new(config, kit.cx.clone(), bus, codecs::Book::default());
        Self {
            kit,
            gate,
            runner: Some(runner),
            tasks: TaskTracker::new(),
        }
    }

    /// Starts the bus and its feeder, for the tests of what is live.
    fn with_bus(mut self) -> Self {
        let stop = self.kit.cx.stop.clone();
        let runner = self.runner.take().unwrap();
        self.tasks.spawn(runner.run(stop));
        let bus = self.gate.bus.clone();
        self.tasks.spawn(live::feed(self.kit.cx.clone(), bus));
        self
    }

    fn dial(&self, version: u8) -> Client {
        self.dial_as(version, None, PIPE_BYTES)
    }

    fn dial_as(&self, version: u8, certificate_name: Option<&str>, pipe_bytes: usize) -> Client {
        let (ours, theirs) = tokio::io::duplex(pipe_bytes);
        let peer = Peer {
            address: "192.0.2.7:4711".to_owned(),
            certificate: certificate_name
                .map_or(tls::Peer::Nobody, |name| tls::Peer::Named(name.to_owned())),
        };
        let gate = Arc::clone(&self.gate);
        self.tasks.spawn(session::serve(theirs, peer, gate));
        Client { io: ours, version }
    }

    /// Connects a device with its own secret.
    async fn device(&self, version: u8, id: &str) -> Client {
        let mut client = self.dial(version);
        client.send(&Hello::device(version, id).bytes()).await;
        assert_eq!(client.connack().await, (false, 0));
        client
    }

    /// Connects a person or program with the token of a role.
    async fn person(&self, version: u8, role: &str) -> Client {
        let mut client = self.dial(version);
        client.send(&Hello::person(version, role).bytes()).await;
        assert_eq!(client.connack().await.1, 0);
        client
    }

    async fn next(&mut self) -> Pending {
        let next = tokio::time::timeout(PATIENCE, self.kit.next()).await;
        next.expect("a submission comes").expect("the gate is open")
    }

    /// Stores the next submission and gives it back.
    async fn store(&mut self) -> Submission {
        let next = tokio::time::timeout(PATIENCE, self.kit.store_next()).await;
        next.expect("a submission comes").expect("the gate is open")
    }

    /// Gives what was refused until now: reason, claimed device, and whether a message was lost.
    fn refused(&self) -> Vec<(String, Option<String>, bool)> {
        let samples = self.kit.refusals.drain().samples;
        let brief = |(_, refusal, _): (_, Refusal, _)| {
            assert_eq!(refusal.peer, "192.0.2.7:4711");
            (
                refusal.reason.into_owned(),
                refusal.claimed,
                refusal.message,
            )
        };
        samples.into_iter().map(brief).collect()
    }
}

fn refusal(reason: &str, claimed: Option<&str>, message: bool) -> (String, Option<String>, bool) {
    (reason.to_owned(), claimed.map(str::to_owned), message)
}

fn confirm(pending: Pending) {
    pending.confirm(Receipt::default());
}

/// Values of a submission: device key and number of observations, part by part.
fn observed(submission: &Submission) -> Vec<(u32, usize)> {
    let parts = submission.parts.iter();
    parts
        .map(|part| (part.device.0, part.observations.len()))
        .collect()
}

struct Client {
    io: DuplexStream,
    version: u8,
}

impl Client {
    async fn send(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    async fn publish(&mut self, qos: u8, id: u16, topic: &str, payload: &[u8]) {
        let bytes = publish(self.version, qos, id, topic.as_bytes(), payload);
        self.send(&bytes).await;
    }

    async fn subscribe(&mut self, id: u16, filters: &[(&str, u8)]) {
        let mut body = id.to_be_bytes().to_vec();
        if self.version == 5 {
            body.push(0);
        }
        for (filter, qos) in filters {
            body.extend(text(filter.as_bytes()));
            body.push(*qos);
        }
        self.send(&packet(0x82, &body)).await;
    }

    /// Reads one packet whole.
    async fn packet(&mut self) -> Vec<u8> {
        let read = tokio::time::timeout(PATIENCE, self.read_packet()).await;
        read.expect("a packet comes").expect("the gate sends one")
    }

    async fn read_packet(&mut self) -> Option<Vec<u8>> {
        let mut bytes = vec![self.io.read_u8().await.ok()?];
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.io.read_u8().await.ok()?;
            bytes.push(byte);
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let header = bytes.len();
        bytes.resize(header + length, 0);
        self.io.read_exact(&mut bytes[header..]).await.ok()?;
        Some(bytes)
    }

    async fn expect(&mut self, bytes: &[u8]) {
        assert_eq!(self.packet().await, bytes);
    }

    /// Expects that the gate hangs up without another byte.
    async fn expect_closed(&mut self) {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.io.read_to_end(&mut rest)).await;
        read.expect("the gate hangs up").unwrap();
        assert_eq!(rest, b"");
    }

    /// Expects DISCONNECT with a reason in version 5, which 3.1.1 lacks, and the end.
    async fn expect_goodbye(&mut self, reason: u8) {
        if self.version == 5 {
            self.expect(&[0xe0, 2, reason, 0]).await;
        }
        self.expect_closed().await;
    }

    /// Shows that all before it was handled, and that nothing was answered.
    async fn expect_silence(&mut self) {
        self.send(&[0xc0, 0]).await;
        self.expect(&[0xd0, 0]).await;
    }

    /// Reads CONNACK: session present, and the code.
    async fn connack(&mut self) -> (bool, u8) {
        let bytes = self.packet().await;
        assert_eq!(bytes[0], 0x20);
        (bytes[2] == 1, bytes[3])
    }

    /// Reads a PUBLISH: packet id (0 for QoS 0), topic, payload.
    async fn message(&mut self) -> (u16, String, String) {
        let bytes = self.packet().await;
        assert_eq!(bytes[0] & 0xf0, 0x30, "{bytes:?}");
        let qos = (bytes[0] >> 1) & 3;
        let header = 1 + bytes[1..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        let body = &bytes[header..];
        let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let (topic, mut rest) = body[2..].split_at(length);
        let mut id = 0;
        if qos > 0 {
            id = u16::from_be_bytes([rest[0], rest[1]]);
            rest = &rest[2..];
        }
        if self.version == 5 {
            assert_eq!(rest[0], 0, "no properties");
            rest = &rest[1..];
        }
        let read = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (id, read(topic), read(rest))
    }
}

/// A CONNECT to be.
#[derive(Clone)]
struct Hello {
    version: u8,
    client_id: String,
    username: Option<String>,
    password: Option<String>,
    clean: bool,
    keep_alive_s: u16,
    will: Option<(String, Vec<u8>)>,
    properties: Vec<u8>,
}

impl Hello {
    fn device(version: u8, id: &str) -> Self {
        Self {
            version,
            client_id: format!("client-of-{id}"),
            username: Some(id.to_owned()),
            password: Some(format!("s-{id}")),
            clean: true,
            keep_alive_s: 60,
            will: None,
            properties: Vec::new(),
        }
    }

    fn person(version: u8, role: &str) -> Self {
        Self {
            client_id: format!("client-of-{role}"),
            username: Some("anybody".to_owned()),
            password: Some(format!("token-{role}")),
            ..Self::device(version, "x")
        }
    }

    /// A session that outlives its connection, for ever.
    fn kept(mut self) -> Self {
        self.clean = false;
        if self.version == 5 {
            self.properties.extend([17, 0xff, 0xff, 0xff, 0xff]);
        }
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let flags = (u8::from(self.username.is_some()) << 7)
            | (u8::from(self.password.is_some()) << 6)
            | (u8::from(self.will.is_some()) << 2)
            | (u8::from(self.clean) << 1);
        let mut body = text(b"MQTT");
        body.extend([self.version, flags]);
        body.extend(self.keep_alive_s.to_be_bytes());
        if self.version == 5 {
            body.push(u8::try_from(self.properties.len()).unwrap());
            body.extend(&self.properties);
        }
        body.extend(text(self.client_id.as_bytes()));
        if let Some((topic, payload)) = &self.will {
            if self.version == 5 {
                body.push(0);
            }
            body.extend(text(topic.as_bytes()));
            body.extend(text(payload));
        }
        for field in [&self.username, &self.password].into_iter().flatten() {
            body.extend(text(field.as_bytes()));
        }
        packet(0x10, &body)
    }
}

/// A field with its length in two bytes before it.
fn text(bytes: &[u8]) -> Vec<u8> {
    let mut field = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    field.extend(bytes);
    field
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length % 128).unwrap();
        length /= 128;
        if length == 0 {
            bytes.push(low);
            break;
        }
        bytes.push(low | 0x80);
    }
    bytes.extend(body);
    bytes
}

fn publish(version: u8, qos: u8, id: u16, topic: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut body = text(topic);
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    if version == 5 {
        body.push(0);
    }
    body.extend(payload);
    packet(0x30 | (qos << 1), &body)
}
