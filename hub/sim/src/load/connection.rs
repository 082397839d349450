//! One connection of the load: fills its window, reads answers, measures.

use super::{LoadArgs, Tally, frames::Frames};
use crate::mqtt::{Connect, Incoming, put_connect, put_disconnect, take_packet};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// A server that does not answer CONNECT for so long is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// A server that takes or sends nothing for so long, with messages waiting, is down.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the last answers may take after the run.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Answers are read in pieces of at most so many bytes.
const READ_BYTES: usize = 8 * 1024;
/// A batch goes out when a message waits and so many more fit, or all that fits; it keeps
/// system calls few without holding a message back.
const BATCH_MESSAGES: usize = 64;
/// The timer's own resolution; a paced message this little behind was not held up.
const TIMER_SLACK_US: u64 = 2_000;
/// Longer than the pause between two messages of any load, so that no PINGREQ is needed; not 0,
/// which some brokers refuse.
const KEEP_ALIVE_S: u16 = 600;

/// Opens a connection and waits for CONNACK.
pub(crate) async fn open(args: &LoadArgs, index: usize) -> Result<TcpStream, String> {
    timeout(CONNECT_TIMEOUT, connect(args, index))
        .await
        .map_err(|_| "no CONNACK in time".to_owned())?
}

async fn connect(args: &LoadArgs, index: usize) -> Result<TcpStream, String> {
    let mut stream = TcpStream::connect(args.addr)
        .await
        .map_err(|error| error.to_string())?;
    stream
        .set_nodelay(true)
        .map_err(|error| error.to_string())?;
    let device = args.device_id(index);
    let secret = args.secret(&device);
    let mut out = Vec::new();
    put_connect(
        &mut out,
        &Connect {
            version: args.version,
            client_id: &device,
            username: secret.as_ref().map(|_| device.as_str()),
            password: secret.as_deref(),
            keep_alive_s: KEEP_ALIVE_S,
            clean: true,
            will: None,
            session_expiry_s: 0,
        },
    );
    stream
        .write_all(&out)
        .await
        .map_err(|error| error.to_string())?;
    let mut answer = Vec::with_capacity(64);
    loop {
        match take_packet(&answer).map_err(|error| error.to_string())? {
            Some((Incoming::ConnAck { code: 0, .. }, _)) => return Ok(stream),
            Some((packet, _)) => return Err(format!("refused: {packet:?}")),
            None => {}
        }
        let read = stream
            .read_buf(&mut answer)
            .await
            .map_err(|error| error.to_string())?;
        if read == 0 {
            return Err("closed before CONNACK".to_owned());
        }
    }
}

/// The steady beat of a paced connection.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Pace {
    interval_us: f64,
    phase_us: f64,
}

impl Pace {
    /// Spreads `rate` messages a second over the connections, each with its own phase.
    pub(crate) fn new(rate: f64, connections: usize, index: usize) -> Self {
        let interval_us = 1e6 * connections as f64 / rate;
        Self {
            interval_us,
            phase_us: interval_us * index as f64 / connections as f64,
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "microseconds of a run are positive and far below 2^52"
    )]
    fn due_us(self, message: u64) -> u64 {
        (self.phase_us + self.interval_us * message as f64) as u64
    }
}

/// A slot of the window: when its message left, or nothing.
#[derive(Copy, Clone, Debug, Default)]
struct Slot(Option<u64>);

/// An open connection and what it shall send.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) stream: TcpStream,
    pub(crate) frames: Frames,
    pub(crate) pace: Option<Pace>,
    pub(crate) window: u16,
    pub(crate) started: Instant,
    pub(crate) until: Instant,
}

/// What the loop keeps between two turns.
struct State {
    slots: Vec<Slot>,
    /// Packet ids are slot numbers plus one.
    next_slot: usize,
    in_flight: usize,
    sent: u64,
    out: Vec<u8>,
    input: Vec<u8>,
    tally: Tally,
}

impl Work {
    /// Runs until the end of the load, then waits for the last answers.
    pub(crate) async fn run(mut self) -> Tally {
        let mut state = State {
            slots: vec![Slot::default(); usize::from(self.window)],
            next_slot: 0,
            in_flight: 0,
            sent: 0,
            out: Vec::with_capacity(16 * 1024),
            input: Vec::with_capacity(READ_BYTES),
            tally: Tally::default(),
        };
        if self.drive(&mut state).await.is_none() {
            state.tally.lost = true;
        } else {
            state.out.clear();
            put_disconnect(&mut state.out);
            // The server may have gone first; then there is nobody to say farewell to.
            drop(timeout(DRAIN_TIMEOUT, self.stream.write_all(&state.out)).await);
        }
        state.tally.unanswered = state.in_flight as u64;
        state.tally
    }

    /// Answers `None` when the connection was lost.
    async fn drive(&mut self, state: &mut State) -> Option<()> {
        loop {
            let now = Instant::now();
            if now >= self.until {
                break;
            }
            let wake = self.fill(state, now);
            if !state.out.is_empty() {
                state.tally.bytes += state.out.len() as u64;
                timeout(STALL_TIMEOUT, self.stream.write_all(&state.out))
                    .await
                    .ok()?
                    .ok()?;
                state.out.clear();
            }
            let wake = wake.min(self.until);
            if state.in_flight == 0 {
                tokio::time::sleep_until(wake).await;
                continue;
            }
            match timeout_at(wake, self.stream.read_buf(&mut state.input)).await {
                Ok(Ok(0) | Err(_)) => return None,
                Ok(Ok(_)) => self.take_answers(state)?,
                // The next message is due, or the run is over; a stall shows in the drain.
                Err(_) => {}
            }
        }
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while state.in_flight > 0 {
            match timeout_at(deadline, self.stream.read_buf(&mut state.input)).await {
                Ok(Ok(0) | Err(_)) | Err(_) => return None,
                Ok(Ok(_)) => self.take_answers(state)?,
            }
        }
        Some(())
    }

    /// Appends what may go out now to `out`; answers when the next message is due.
    fn fill(&mut self, state: &mut State, now: Instant) -> Instant {
        let now_us = micros(now.duration_since(self.started));
        let elapsed_ms = i64::try_from(now_us / 1000).unwrap_or(0);
        let mut batch = 0;
        loop {
            if batch == BATCH_MESSAGES {
                return now;
            }
            let due_us = self.pace.map_or(now_us, |pace| pace.due_us(state.sent));
            if due_us > now_us {
                return self.started + Duration::from_micros(due_us);
            }
            let Some(slot) = state.slots.get_mut(state.next_slot) else {
                return self.until;
            };
            if slot.0.is_some() {
                // The window is full; an answer makes room.
                return self.until;
            }
            let held_up = now_us - due_us > TIMER_SLACK_US;
            *slot = Slot(Some(if held_up { due_us } else { now_us }));
            state.next_slot += 1;
            let packet_id = u16::try_from(state.next_slot).unwrap_or(u16::MAX);
            if state.next_slot == state.slots.len() {
                state.next_slot = 0;
            }
            self.frames.put(&mut state.out, packet_id, elapsed_ms);
            state.in_flight += 1;
            state.sent += 1;
            batch += 1;
        }
    }

    /// Books every whole answer in the buffer; `None` when the server speaks nonsense or leaves.
    fn take_answers(&self, state: &mut State) -> Option<()> {
        let now_us = micros(Instant::now().duration_since(self.started));
        let mut used = 0;
        while let Some((packet, bytes)) =
            take_packet(state.input.get(used..).unwrap_or_default()).ok()?
        {
            used += bytes;
            match packet {
                Incoming::PubAck { packet_id, reason } => {
                    let slot = state
                        .slots
                        .get_mut(usize::from(packet_id).checked_sub(1)?)?;
                    let sent_us = slot.0.take()?;
                    state.in_flight -= 1;
                    if reason < 0x80 {
                        state.tally.acked += 1;
                        state.tally.latency.record(now_us.saturating_sub(sent_us));
                        state.tally.last_ack_us = now_us;
                    } else {
                        state.tally.refused += 1;
                    }
                }
                Incoming::Disconnect { .. } => return None,
                _ => {}
            }
        }
        state.input.drain(..used);
        Some(())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
