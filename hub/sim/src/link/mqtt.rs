//! An MQTT connection of one device, or of a gateway for its children: QoS 1, resent until answered.

mod sparkplug;

use super::frame::identity;
use super::{Backoff, CONNECT_TIMEOUT, Shared};
use crate::clock::wall_ms;
use crate::mqtt::{
    Connect, Incoming, Publish, Version, put_connect, put_disconnect, put_ping, put_publish,
    put_publish_unanswered, put_subscribe, take_packet,
};
use crate::payload::uplink::{Published, chirpstack, thingsboard, tts};
use crate::plan::{Content, Message};
use crate::random::Random;
use crate::tally::Outcome;
use crate::way::Dialect;
use sparkplug::Node;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

const KEEP_ALIVE_S: u16 = 60;
/// How long the hub shall remember the session of a device (MQTT 5).
const SESSION_EXPIRY_S: u32 = 3600;
/// How often a link looks whether it should ping or give up.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// A link that has said nothing for so long sends a PINGREQ.
const QUIET_MAX: Duration = Duration::from_secs(30);
/// With an answer outstanding, a hub that is silent for so long is gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// After so many hang-ups in a row without an answer, the oldest message is taken for the cause.
const HANG_UPS_MAX: u32 = 5;

/// Type of a PUBLISH, and the packet id under which a node subscribes to its commands: the last, so
/// that no message has it for a long time.
const PUBLISH: u8 = 3;
const COMMANDS_PACKET_ID: u16 = u16::MAX;

/// A message that waits for its PUBACK.
#[derive(Debug)]
struct Flight {
    packet_id: u16,
    sent: Instant,
    message: Message,
    published: Published,
}

/// Why a conversation ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum End {
    Done,
    Lost,
}

/// The link of the device that signs in.
#[derive(Debug)]
pub(crate) struct MqttLink {
    shared: Arc<Shared>,
    addr: Arc<str>,
    device: usize,
    version: Version,
    dialect: Dialect,
    /// What an edge node of Sparkplug B remembers.
    node: Option<Node>,
    window: usize,
    queue: mpsc::Receiver<Message>,
    flight: VecDeque<Flight>,
    last_packet_id: u16,
    backoff: Backoff,
    hang_ups: u32,
    ended: bool,
    out: Vec<u8>,
    input: Vec<u8>,
}

/// What a link is made of.
#[derive(Debug)]
pub(crate) struct MqttSetup {
    pub(crate) shared: Arc<Shared>,
    pub(crate) addr: Arc<str>,
    pub(crate) device: usize,
    pub(crate) version: Version,
    pub(crate) dialect: Dialect,
    pub(crate) window: u16,
    pub(crate) seed: u64,
}

impl MqttLink {
    pub(crate) fn new(setup: MqttSetup, queue: mpsc::Receiver<Message>) -> Self {
        let random = Random::new(!setup.seed, setup.device as u64);
        let device = setup.shared.device(setup.device);
        let node = device.filter(|_| setup.dialect == Dialect::Sparkplug);
        Self {
            node: node.map(Node::new),
            shared: setup.shared,
            addr: setup.addr,
            device: setup.device,
            version: setup.version,
            dialect: setup.dialect,
            window: usize::from(setup.window),
            queue,
            flight: VecDeque::new(),
            last_packet_id: 0,
            backoff: Backoff::new(random),
            hang_ups: 0,
            ended: false,
            out: Vec::new(),
            input: Vec::new(),
        }
    }

    /// Connects, sends and reconnects until the queue has ended and every message is answered,
    /// or until the drain is over.
    pub(crate) async fn run(mut self) {
        loop {
            match self.connect().await {
                Ok((stream, present)) => {
                    self.shared.tally.count(|counts| counts.connected += 1);
                    let end = self.converse(stream, present).await;
                    self.shared.tally.count(|counts| {
                        counts.connected -= 1;
                        counts.connections_lost += u64::from(end == End::Lost);
                    });
                    if end == End::Done {
                        break;
                    }
                    self.blame();
                }
                Err(()) => self
                    .shared
                    .tally
                    .count(|counts| counts.connects_failed += 1),
            }
            if self.shared.out_of_time() {
                break;
            }
            let pause = self.backoff.step();
            self.shared.pause(pause).await;
        }
        // Whatever is left will never be answered.
        for flight in &self.flight {
            self.shared.settle(&flight.message, Outcome::Abandoned);
        }
        while let Ok(message) = self.queue.try_recv() {
            self.shared.settle(&message, Outcome::Abandoned);
        }
    }

    /// Drops the oldest message when the hub has hung up on it again and again: in MQTT 3.1.1
    /// hanging up is the only way to refuse.
    fn blame(&mut self) {
        self.hang_ups += 1;
        if self.hang_ups >= HANG_UPS_MAX
            && let Some(flight) = self.flight.pop_front()
        {
            self.hang_ups = 0;
            self.shared.settle(&flight.message, Outcome::Abandoned);
        }
    }

    /// Opens a connection; answers it and whether the hub remembers the session.
    async fn connect(&mut self) -> Result<(TcpStream, bool), ()> {
        let shared = Arc::clone(&self.shared);
        let _permit = shared.connecting.acquire().await.map_err(drop)?;
        timeout(CONNECT_TIMEOUT, self.introduce())
            .await
            .map_err(drop)?
    }

    async fn introduce(&mut self) -> Result<(TcpStream, bool), ()> {
        let mut stream = TcpStream::connect(&*self.addr).await.map_err(drop)?;
        stream.set_nodelay(true).map_err(drop)?;
        let device = self.shared.device(self.device).ok_or(())?;
        let will = self.node.as_mut().map(|node| node.will(wall_ms()));
        self.out.clear();
        put_connect(
            &mut self.out,
            &Connect {
                version: self.version,
                client_id: &device.id,
                username: Some(&device.id),
                password: Some(&device.secret),
                keep_alive_s: KEEP_ALIVE_S,
                clean: will.is_some(),
                will: will
                    .as_ref()
                    .map(|will| (will.topic.as_str(), will.payload.as_slice())),
                session_expiry_s: SESSION_EXPIRY_S,
            },
        );
        stream.write_all(&self.out).await.map_err(drop)?;
        self.input.clear();
        loop {
            match take_packet(&self.input).map_err(drop)? {
                Some((
                    Incoming::ConnAck {
                        session_present,
                        code: 0,
                    },
                    used,
                )) => {
                    self.input.drain(..used);
                    return Ok((stream, session_present));
                }
                Some(_) => return Err(()),
                None => {}
            }
            if stream.read_buf(&mut self.input).await.map_err(drop)? == 0 {
                return Err(());
            }
        }
    }

    async fn converse(&mut self, mut stream: TcpStream, present: bool) -> End {
        if self.resend(&mut stream, present).await.is_err() {
            return End::Lost;
        }
        let (mut reader, mut writer) = stream.split();
        let (mut said, mut heard) = (Instant::now(), Instant::now());
        let mut pinged = false;
        let mut check_at = said + CHECK_EVERY;
        loop {
            if self.shared.out_of_time() || (self.ended && self.flight.is_empty()) {
                self.out.clear();
                if let Some(node) = &self.node {
                    let death = node.death(wall_ms());
                    put_publish_unanswered(&mut self.out, &death.topic, &death.payload);
                }
                put_disconnect(&mut self.out);
                // A hub that is gone needs no farewell.
                drop(timeout(WRITE_TIMEOUT, writer.write_all(&self.out)).await);
                return End::Done;
            }
            let room = self.flight.len() < self.window && !self.ended;
            self.out.clear();
            tokio::select! {
                biased;
                read = reader.read_buf(&mut self.input) => {
                    if !matches!(read, Ok(1..)) || self.take_answers().is_err() {
                        return End::Lost;
                    }
                    heard = Instant::now();
                    pinged = false;
                }
                message = self.queue.recv(), if room => match message {
                    Some(message) => self.put_batch(message),
                    None => self.ended = true,
                },
                () = self.shared.sleep_until(check_at) => {
                    check_at = Instant::now() + CHECK_EVERY;
                    let waiting = pinged || !self.flight.is_empty();
                    if waiting && heard.elapsed() > ANSWER_TIMEOUT {
                        return End::Lost;
                    }
                    if said.elapsed() > QUIET_MAX {
                        put_ping(&mut self.out);
                        pinged = true;
                    }
                }
            }
            if !self.out.is_empty() {
                if !matches!(
                    timeout(WRITE_TIMEOUT, writer.write_all(&self.out)).await,
                    Ok(Ok(()))
                ) {
                    return End::Lost;
                }
                said = Instant::now();
            }
        }
    }

    /// Sends again what was never answered. MQTT 3.1.1 calls every second delivery DUP; in MQTT 5
    /// a new session knows no first delivery (MQTT 5.0, 4.4), so there the flag needs the session.
    async fn resend(&mut self, stream: &mut TcpStream, present: bool) -> Result<(), ()> {
        self.out.clear();
        let again = present || self.version == Version::V311;
        let now = Instant::now();
        for flight in &mut self.flight {
            flight.sent = now;
            put(&mut self.out, self.version, flight, again);
        }
        if let Some(node) = &mut self.node {
            put_subscribe(&mut self.out, COMMANDS_PACKET_ID, &node.commands());
            let birth = node.birth(wall_ms());
            put_publish_unanswered(&mut self.out, &birth.topic, &birth.payload);
        }
        let count = self.flight.len() as u64;
        self.shared.tally.count(|counts| counts.resent += count);
        match timeout(WRITE_TIMEOUT, stream.write_all(&self.out)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(()),
        }
    }

    /// Writes this message and those that wait behind it, as far as the window allows.
    fn put_batch(&mut self, first: Message) {
        let now = Instant::now();
        let mut next = Some(first);
        let mut count = 0;
        while let Some(message) = next {
            let mut message = message;
            if self.node.is_some() {
                count += 1;
                self.say(message);
                next = self.queue.try_recv().ok();
                continue;
            }
            let published = published(&self.shared, self.device, self.dialect, &mut message);
            let flight = Flight {
                packet_id: self.packet_id(),
                sent: now,
                message,
                published,
            };
            put(&mut self.out, self.version, &flight, false);
            self.flight.push_back(flight);
            count += 1;
            next = match self.flight.len() < self.window {
                true => self.queue.try_recv().ok(),
                false => None,
            };
        }
        self.shared.tally.count(|counts| counts.sent += count);
    }

    /// Says a message as a node: nothing answers it. What the node measures itself it keeps.
    fn say(&mut self, mut message: Message) {
        let said = match &message.content {
            Content::Observations(all) => self.dialect.says(all),
            Content::Garbage(_) => Vec::new(),
        };
        if let Some(node) = self.node.as_mut().filter(|_| !said.is_empty())
            && message.device != self.device
            && let Some(said) = node.say(&self.shared.fleet, message.device, (message.ts_ms, &said))
        {
            put_publish_unanswered(&mut self.out, &said.topic, &said.payload);
        }
        message.content = Content::Observations(said);
        self.shared.settle(&message, Outcome::Unconfirmed);
    }

    /// Counts on to the next id that is not in use; ids go from 1 to 65,535.
    fn packet_id(&mut self) -> u16 {
        loop {
            self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
            let taken = |flight: &Flight| flight.packet_id == self.last_packet_id;
            if !self.flight.iter().any(taken) {
                return self.last_packet_id;
            }
        }
    }

    fn take_answers(&mut self) -> Result<(), ()> {
        let mut used = 0;
        let mut result = Ok(());
        while let Some((packet, bytes)) =
            take_packet(self.input.get(used..).unwrap_or_default()).map_err(drop)?
        {
            used += bytes;
            match packet {
                Incoming::PubAck { packet_id, reason } => self.settle(packet_id, reason),
                Incoming::Disconnect { .. } => result = Err(()),
                // The only topic that is subscribed to asks for a rebirth.
                Incoming::Other { first_byte } if first_byte >> 4 == PUBLISH => {
                    if let Some(node) = &mut self.node {
                        let birth = node.birth(wall_ms());
                        put_publish_unanswered(&mut self.out, &birth.topic, &birth.payload);
                    }
                }
                _ => {}
            }
        }
        self.input.drain(..used);
        result
    }

    fn settle(&mut self, packet_id: u16, reason: u8) {
        let index = self
            .flight
            .iter()
            .position(|flight| flight.packet_id == packet_id);
        let Some(flight) = index.and_then(|index| self.flight.remove(index)) else {
            return;
        };
        self.hang_ups = 0;
        self.backoff.reset();
        // MQTT 5.0, 3.4.2.1: reason codes from 0x80 on are failures.
        if reason < 0x80 {
            self.shared.settle_acked(&flight.message, flight.sent);
        } else {
            self.shared.settle(&flight.message, Outcome::Refused);
        }
    }
}

fn put(out: &mut Vec<u8>, version: Version, flight: &Flight, again: bool) {
    put_publish(
        out,
        &Publish {
            version,
            topic: &flight.published.topic,
            packet_id: flight.packet_id,
            again,
            payload: &flight.published.payload,
        },
    );
}

/// Writes a message as the dialect of its sender has it; what a gateway says of itself is in the hub's
/// own words.
fn published(shared: &Shared, owner: usize, dialect: Dialect, message: &mut Message) -> Published {
    let own = |message: &Message| {
        let device = shared.device(message.device);
        let id = device.map_or("", |device| device.id.as_str());
        Published {
            topic: format!("devices/{id}/telemetry"),
            payload: message.payload(),
        }
    };
    let (Some(device), Content::Observations(all)) =
        (shared.device(message.device), &message.content)
    else {
        return own(message);
    };
    let child = message.device != owner;
    if dialect == Dialect::Own || (!child && dialect.is_of_gateways()) {
        return own(message);
    }
    let said = dialect.says(all);
    let published = match dialect {
        Dialect::Own | Dialect::Sparkplug => return own(message),
        Dialect::Senml(format) => Published {
            topic: format!("devices/{}/telemetry", device.id),
            payload: format.write(&device.id, message.ts_ms, &said),
        },
        Dialect::ChirpStack => chirpstack(identity(device, "dev_eui"), message.ts_ms, &said),
        Dialect::Tts => tts(identity(device, "tts_device"), message.ts_ms, &said),
        Dialect::ThingsBoard => thingsboard(&device.id, message.ts_ms, &said),
    };
    message.content = Content::Observations(said);
    published
}
