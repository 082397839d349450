//! A link whose frames are answered one by one, over TCP or UDP: what the field's own protocols share.
//!
//! A protocol says how a message is written and which answer means it; connecting, waiting, sending
//! again and giving up are written here once.

use super::{Backoff, CONNECT_TIMEOUT, Shared};
use crate::clock::wall_ms;
use crate::fleet::{Device, Fleet};
use crate::observation::Observation;
use crate::plan::{Content, Message};
use crate::random::Random;
use crate::tally::Outcome;
use crate::way::Way;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// How long an answer is waited for; HJ 212-2017 table 1 and GB/T 26875.3 6.5 say ten seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A frame is sent again so often on one connection (the same places).
const REPEATS_MAX: u32 = 3;
/// After so many connections on which a frame was never answered, it is given up.
const CONNECTIONS_MAX: u32 = 3;
/// A link that has said nothing for so long sends a heartbeat.
const QUIET_MAX: Duration = Duration::from_secs(30);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Hubs take the arrival for the time of a message that is further ahead; then no time is vouched for.
const AHEAD_MS_MAX: i64 = 600_000;
const DATAGRAM_BYTES_MAX: usize = 2048;

/// A message as a protocol says it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parcel {
    pub(super) bytes: Vec<u8>,
    /// What the answer will name; `None` where none comes.
    pub(super) expects: Option<u64>,
    /// The time and the values that the frame holds, as the hub will read them.
    pub(super) ts_ms: i64,
    pub(super) said: Vec<Observation>,
}

/// What a hub said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has what it names on disk; `None` means whatever waits.
    Acked(Option<u64>),
    Refused(u64),
    /// It has it, and wants to hear that this was heard.
    AckedBy(u64, Vec<u8>),
    /// It wants to hear this.
    Say(Vec<u8>),
    /// Nothing that a sensor would act on.
    Nothing,
}

/// A protocol as a device speaks it.
pub(super) trait Wire: Send + Sync {
    /// Begins a new connection; what is said first.
    fn greet(&mut self, now_ms: i64) -> Vec<u8>;

    /// Tells whether messages may be sent: not before the hub has let the device in.
    fn ready(&self) -> bool {
        true
    }

    /// How long an answer is waited for after so many repetitions; `None` when there were enough.
    fn patience(&self, repeats: u32) -> Option<Duration> {
        (repeats <= REPEATS_MAX).then_some(ANSWER_TIMEOUT)
    }

    /// Writes a message of a device.
    fn encode(&mut self, device: &Device, ts_ms: i64, observations: &[Observation]) -> Parcel;

    /// Says that the device is there; empty where the protocol has no words for it.
    fn heartbeat(&mut self, now_ms: i64) -> Vec<u8>;

    /// Takes the first whole answer out of what was received.
    fn take(&mut self, received: &mut Vec<u8>, now_ms: i64) -> Option<Answer>;
}

/// The carrier of frames.
#[derive(Debug)]
enum Channel {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Channel {
    async fn open(addr: &str, udp: bool) -> std::io::Result<Self> {
        if udp {
            let socket = UdpSocket::bind("0.0.0.0:0").await?;
            socket.connect(addr).await?;
            return Ok(Self::Udp(socket));
        }
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), ()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = async {
            match self {
                Self::Tcp(stream) => stream.write_all(bytes).await,
                Self::Udp(socket) => socket.send(bytes).await.map(drop),
            }
        };
        match timeout(WRITE_TIMEOUT, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(()),
        }
    }

    /// Receives something; an error when the hub has hung up.
    async fn receive(&mut self, received: &mut Vec<u8>) -> Result<(), ()> {
        match self {
            Self::Tcp(stream) => match stream.read_buf(received).await {
                Ok(1..) => Ok(()),
                Ok(0) | Err(_) => Err(()),
            },
            Self::Udp(socket) => {
                let mut datagram = [0; DATAGRAM_BYTES_MAX];
                let length = socket.recv(&mut datagram).await.map_err(drop)?;
                received.extend_from_slice(datagram.get(..length).unwrap_or_default());
                Ok(())
            }
        }
    }
}

/// A message that waits for its answer.
#[derive(Debug)]
struct Flight {
    message: Message,
    bytes: Vec<u8>,
    expects: u64,
    sent: Instant,
    patience: Duration,
    repeats: u32,
    connections: u32,
}

/// Why a conversation ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum End {
    Done,
    Lost,
}

/// The link of one device, or of a gateway for its children.
pub(crate) struct FrameLink {
    shared: Arc<Shared>,
    addr: Arc<str>,
    udp: bool,
    wire: Box<dyn Wire>,
    queue: mpsc::Receiver<Message>,
    flight: Option<Flight>,
    backoff: Backoff,
    received: Vec<u8>,
    /// The last frame, of which broken ones are made.
    last: Vec<u8>,
    said: Instant,
    ended: bool,
}

impl FrameLink {
    pub(super) fn new(
        shared: Arc<Shared>,
        addr: (Arc<str>, bool),
        wire: Box<dyn Wire>,
        random: Random,
        queue: mpsc::Receiver<Message>,
    ) -> Self {
        Self {
            shared,
            addr: addr.0,
            udp: addr.1,
            wire,
            queue,
            flight: None,
            backoff: Backoff::new(random),
            received: Vec::new(),
            last: Vec::new(),
            said: Instant::now(),
            ended: false,
        }
    }

    /// Sends message after message until the queue has ended or the drain is over.
    pub(crate) async fn run(mut self) {
        while !(self.shared.out_of_time() || (self.ended && self.flight.is_none())) {
            match self.connect().await {
                Some(channel) => {
                    self.shared.tally.count(|counts| counts.connected += 1);
                    let end = self.converse(channel).await;
                    self.shared.tally.count(|counts| {
                        counts.connected -= 1;
                        counts.connections_lost += u64::from(end == End::Lost);
                    });
                    if end == End::Done {
                        break;
                    }
                    self.blame();
                }
                None => self
                    .shared
                    .tally
                    .count(|counts| counts.connects_failed += 1),
            }
            let pause = self.backoff.step();
            self.shared.pause(pause).await;
        }
        // Whatever is left will never be answered.
        if let Some(flight) = self.flight.take() {
            self.shared.settle(&flight.message, Outcome::Abandoned);
        }
        while let Ok(message) = self.queue.try_recv() {
            self.shared.settle(&message, Outcome::Abandoned);
        }
    }

    async fn connect(&self) -> Option<Channel> {
        let _permit = self.shared.connecting.acquire().await.ok()?;
        let channel = timeout(CONNECT_TIMEOUT, Channel::open(&self.addr, self.udp)).await;
        channel.ok()?.ok()
    }

    /// Gives up a frame that was answered on no connection.
    fn blame(&mut self) {
        if let Some(mut flight) = self.flight.take() {
            flight.connections += 1;
            if flight.connections < CONNECTIONS_MAX {
                flight.repeats = 0;
                self.flight = Some(flight);
            } else {
                self.shared.settle(&flight.message, Outcome::Abandoned);
            }
        }
    }

    async fn converse(&mut self, mut channel: Channel) -> End {
        self.received.clear();
        let greeting = self.wire.greet(wall_ms());
        if self.say(&mut channel, &greeting).await.is_err() {
            return End::Lost;
        }
        let began = Instant::now();
        // What an earlier connection did not bring across.
        let mut again = self.flight.is_some();
        loop {
            if self.shared.out_of_time() || (self.ended && self.flight.is_none()) {
                return End::Done;
            }
            if again && self.wire.ready() {
                again = false;
                if self.repeat(&mut channel).await.is_err() {
                    return End::Lost;
                }
            }
            let ready = self.wire.ready();
            let room = ready && self.flight.is_none() && !self.ended;
            let wake = match &self.flight {
                _ if !ready => began + ANSWER_TIMEOUT,
                Some(flight) => flight.sent + flight.patience,
                None => self.said + QUIET_MAX,
            };
            let done = tokio::select! {
                biased;
                read = channel.receive(&mut self.received) => match read {
                    Ok(()) => self.hear(&mut channel).await,
                    Err(()) => Err(()),
                },
                message = self.queue.recv(), if room => match message {
                    Some(message) => self.send(message, &mut channel).await,
                    None => {
                        self.ended = true;
                        Ok(())
                    }
                },
                () = self.shared.sleep_until(wake) => self.wait(&mut channel).await,
            };
            if done.is_err() {
                return End::Lost;
            }
        }
    }

    async fn say(&mut self, channel: &mut Channel, bytes: &[u8]) -> Result<(), ()> {
        self.said = Instant::now();
        channel.send(bytes).await
    }

    /// Sends a message.
    async fn send(&mut self, message: Message, channel: &mut Channel) -> Result<(), ()> {
        self.shared.tally.count(|counts| counts.sent += 1);
        let observations = match &message.content {
            Content::Observations(observations) => observations,
            Content::Garbage(noise) => {
                let bytes = broken(&self.last, noise);
                self.shared.settle(&message, Outcome::Unconfirmed);
                return self.say(channel, &bytes).await;
            }
        };
        let shared = Arc::clone(&self.shared);
        let Some(device) = shared.device(message.device) else {
            return Ok(());
        };
        let parcel = self.wire.encode(device, message.ts_ms, observations);
        let ahead = parcel.ts_ms > wall_ms().saturating_add(AHEAD_MS_MAX);
        let message = Message {
            device: message.device,
            ts_ms: parcel.ts_ms,
            content: Content::Observations(if ahead { Vec::new() } else { parcel.said }),
        };
        self.last.clone_from(&parcel.bytes);
        match parcel.expects {
            Some(expects) => {
                self.flight = Some(Flight {
                    message,
                    bytes: parcel.bytes.clone(),
                    expects,
                    sent: Instant::now(),
                    patience: self.wire.patience(0).unwrap_or(ANSWER_TIMEOUT),
                    repeats: 0,
                    connections: 0,
                });
            }
            None => self.shared.settle(&message, Outcome::Unconfirmed),
        }
        self.say(channel, &parcel.bytes).await
    }

    /// Sends once more what was not answered.
    async fn repeat(&mut self, channel: &mut Channel) -> Result<(), ()> {
        let Some(flight) = &mut self.flight else {
            return Ok(());
        };
        flight.sent = Instant::now();
        let bytes = flight.bytes.clone();
        self.shared.tally.count(|counts| counts.resent += 1);
        self.say(channel, &bytes).await
    }

    /// Acts on a silence: a frame goes out again, a quiet line gets a heartbeat.
    async fn wait(&mut self, channel: &mut Channel) -> Result<(), ()> {
        if !self.wire.ready() {
            return Err(());
        }
        let Some(flight) = &mut self.flight else {
            let bytes = self.wire.heartbeat(wall_ms());
            return self.say(channel, &bytes).await;
        };
        flight.repeats += 1;
        match self.wire.patience(flight.repeats) {
            Some(patience) => flight.patience = patience,
            None => return Err(()),
        }
        self.repeat(channel).await
    }

    fn acked(&mut self, named: Option<u64>) {
        let meant = |flight: &mut Flight| named.is_none_or(|n| n == flight.expects);
        if let Some(flight) = self.flight.take_if(meant) {
            self.backoff.reset();
            self.shared.settle_acked(&flight.message, flight.sent);
        }
    }

    /// Takes every whole answer.
    async fn hear(&mut self, channel: &mut Channel) -> Result<(), ()> {
        while let Some(answer) = self.wire.take(&mut self.received, wall_ms()) {
            match answer {
                Answer::Acked(named) => self.acked(named),
                Answer::AckedBy(named, bytes) => {
                    self.acked(Some(named));
                    self.say(channel, &bytes).await?;
                }
                Answer::Refused(named) => {
                    if let Some(flight) = self.flight.take_if(|flight| flight.expects == named) {
                        self.shared.settle(&flight.message, Outcome::Refused);
                    }
                }
                Answer::Say(bytes) => self.say(channel, &bytes).await?,
                Answer::Nothing => {}
            }
        }
        Ok(())
    }
}

/// Makes bytes that no hub should take: the last frame with one bit turned, or noise where there was
/// none yet.
fn broken(last: &[u8], noise: &[u8]) -> Vec<u8> {
    let mut bytes = last.to_vec();
    let at = bytes.len() * 3 / 4;
    match bytes.get_mut(at) {
        Some(byte) => *byte ^= 0x04,
        None => bytes.extend_from_slice(noise),
    }
    bytes
}

/// Finds an identity of a device; the device's own id where it has none, so that the hub can say whom
/// it does not know.
pub(super) fn identity<'a>(device: &'a Device, name: &str) -> &'a str {
    let found = device.identities.get(name).map(String::as_str);
    found.unwrap_or(&device.id)
}

/// Makes the protocol of a link; `token` is a password where the address has one before its host.
pub(super) fn wire(
    way: Way,
    (fleet, owner): (&Fleet, usize),
    token: &str,
) -> Option<Box<dyn Wire>> {
    let device = fleet.devices.get(owner)?;
    Some(match way {
        Way::Hj212 => Box::new(super::hj212::Hj212::new(device)),
        Way::Gb26875 | Way::Gb26875Udp => Box::new(super::gb26875::Gb26875::new(device)),
        Way::Jt808 => Box::new(super::jt808::Jt808::new(device)),
        Way::BikeLock => Box::new(super::bikelock::BikeLock::new(device)),
        Way::Pressure | Way::PressureUdp => Box::new(super::pressure::Pressure),
        Way::Gb28181 => Box::new(super::gb28181::Gb28181::new(device, token, "UDP")),
        Way::Gb28181Tcp => Box::new(super::gb28181::Gb28181::new(device, token, "TCP")),
        Way::Coap(format) => Box::new(super::coap::Coap::new(device, format)),
        _ => return None,
    })
}

#[cfg(test)]
pub(super) mod tests;
