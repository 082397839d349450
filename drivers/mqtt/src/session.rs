//! One connection: read, commit, acknowledge in order, and send what was subscribed to.
//!
//! A connection is one task without locks or queues of its own: each turn waits for whichever comes
//! first of bytes, a commit, room to write, a live message, an event, a deadline.

mod close;
mod receive;
mod tell;

use crate::connect::{self, Admitted};
use crate::events::Outlet;
use crate::exchange::Exchange;
use crate::flights::{Flights, Landed};
use crate::gate::{Gate, Peer};
use crate::identity::Principal;
use crate::packet::{self, Version, Welcome, Will};
use crate::sessions::Seat;
use crate::steps::StepAsk;
use crate::subscriptions::{self, Subscriptions};
use bytes::BytesMut;
use sdk::IngestError;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

/// Bytes read at once: little for a device that sends now and then, much for one that floods.
const READ_BYTES_MIN: usize = 1024;
const READ_BYTES_MAX: usize = 64 * 1024;

/// Unwritten bytes after which live messages and events pause …
const OUT_BYTES_PAUSE: usize = 64 * 1024;

/// … and after which nothing more is read: who does not take answers asks nothing.
const OUT_BYTES_MAX: usize = 256 * 1024;

/// A client that takes no byte for so long is gone.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// What is in flight when a session ends has this long to be answered: a commit's deadline, and
/// some more to write it.
const ANSWER_DEADLINE: Duration = Duration::from_secs(7);

/// How long an idle session may go on with a secret or token that was taken away.
const CHECK_PAUSE: Duration = Duration::from_secs(15);

/// Far enough to mean: no deadline.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// Version 5 reason codes of a DISCONNECT.
mod code {
    pub(super) const NOT_AUTHORIZED: u8 = 0x87;
    pub(super) const SERVER_BUSY: u8 = 0x89;
    pub(super) const SHUTTING_DOWN: u8 = 0x8b;
    pub(super) const KEEP_ALIVE_TIMEOUT: u8 = 0x8d;
    pub(super) const TAKEN_OVER: u8 = 0x8e;
    pub(super) const RECEIVE_MAXIMUM_EXCEEDED: u8 = 0x93;
    pub(super) const QUOTA_EXCEEDED: u8 = 0x97;
}

/// How a session ends, once that is decided; what is in flight is still answered.
#[derive(Copy, Clone, Debug)]
struct Closing {
    /// Reason of the DISCONNECT; `None` if the client is gone or has said goodbye itself.
    code: Option<u8>,
    /// The client was lost, so its will counts.
    with_will: bool,
    deadline: Instant,
}

#[derive(Debug)]
struct Session {
    gate: Arc<Gate>,
    peer: Peer,
    version: Version,
    principal: Principal,
    /// The register's version when the principal was last looked up.
    devices_version: u64,
    seat: Seat,
    subscriptions: Subscriptions,
    outlet: Outlet,
    will: Option<Will>,
    /// Births, answers and orders.
    exchange: Exchange,
    inbox: BytesMut,
    /// Bytes to make room for before the next read.
    read_bytes: usize,
    out: BytesMut,
    /// Something was written to `out` and is not flushed yet.
    dirty: bool,
    flights: Flights,
    /// A step of a case that goes to the writer when there is room; nothing is read before that.
    step: Option<StepAsk>,
    /// QoS 1 and 2 messages that were not answered to the end.
    unanswered: usize,
    /// Packet ids of QoS 2 messages that were taken and not released yet.
    held: BTreeSet<u16>,
    idle_max: Duration,
    /// When the last whole packet came: the keep alive is about packets, not bytes (MQTT 3.1.2.10).
    heard_at: Instant,
    written_at: Instant,
    /// When the principal is looked up again, whatever comes.
    check_at: Instant,
    closing: Option<Closing>,
}

/// Serves one connection until it ends, from the first byte to the last.
pub(crate) async fn serve<IO>(io: IO, peer: Peer, gate: Arc<Gate>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (mut reader, mut writer) = tokio::io::split(io);
    let admitted = connect::admit(&mut reader, &mut writer, &peer, &gate).await;
    if let Some(admitted) = admitted {
        // On the heap, so that a connection that is not let in costs little.
        let mut session = Box::new(Session::welcome(admitted, peer, gate));
        session.run(&mut reader, &mut writer).await;
        session.say_goodbye(&mut writer).await;
        // At the same time: a client need not wait for its will, nor the will for its client.
        tokio::join!(session.close(), close::hang_up(&mut reader, &mut writer));
    } else {
        close::hang_up(&mut reader, &mut writer).await;
    }
}

/// Writes what there is, or flushes if all is written: one step, so that progress can be seen.
async fn write_some<W: AsyncWrite + Unpin>(writer: &mut W, out: &mut BytesMut) -> io::Result<bool> {
    if out.is_empty() {
        writer.flush().await?;
        return Ok(true);
    }
    match writer.write_buf(out).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(false),
    }
}

/// Reads what has come, making room first.
async fn read_some<R: AsyncRead + Unpin>(
    reader: &mut R,
    inbox: &mut BytesMut,
    bytes: usize,
) -> io::Result<usize> {
    if inbox.capacity() - inbox.len() < bytes / 2 {
        inbox.reserve(bytes);
    }
    reader.read_buf(inbox).await
}

impl Session {
    fn welcome(admitted: Admitted, peer: Peer, gate: Arc<Gate>) -> Self {
        let Admitted {
            version,
            connect,
            principal,
            devices_version,
            seat,
            resumed,
            assigned_client_id,
            inbox,
        } = admitted;
        let longest_s = gate.config.keep_alive_s_max;
        let (keep_alive_s, decided) = match (version, connect.keep_alive_s) {
            (_, 0) => (longest_s, Some(longest_s)),
            (Version::V5, asked) if asked > longest_s => (longest_s, Some(longest_s)),
            (Version::V4 | Version::V5, asked) => (asked, None),
        };
        let asked_for_session = matches!(principal, Principal::Device { .. });
        let welcome = Welcome {
            session_present: resumed.remembered.is_some(),
            receive_max: gate.config.receive_maximum,
            packet_bytes_max: u32::try_from(gate.config.packet_bytes_max).unwrap_or(u32::MAX),
            session_expiry_s: asked_for_session.then_some(0),
            keep_alive_s: decided,
            client_id: assigned_client_id,
        };
        let mut out = BytesMut::new();
        packet::connack(&mut out, version, welcome);
        let subscriptions = Subscriptions::open(&gate, &principal, &connect, resumed, &seat);
        let pause_s = gate.config.sparkplug_rebirth_pause_s;
        let downlink = gate.cx.downlink.clone();
        let exchange = Exchange::new(Arc::clone(&gate.lives), pause_s, downlink);
        let now = Instant::now();
        Self {
            flights: Flights::new(gate.config.inflight_batches_max),
            gate,
            peer,
            version,
            principal,
            devices_version,
            seat,
            subscriptions,
            outlet: Outlet {
                version,
                packet_bytes_max: connect.packet_bytes_max,
                out_bytes_max: OUT_BYTES_PAUSE,
            },
            will: connect.will,
            exchange,
            inbox,
            read_bytes: READ_BYTES_MIN,
            out,
            dirty: true,
            step: None,
            unanswered: 0,
            held: BTreeSet::new(),
            // One and a half times the keep alive (MQTT 3.1.2.10).
            idle_max: Duration::from_millis(u64::from(keep_alive_s) * 1_500),
            heard_at: now,
            written_at: now,
            check_at: now + CHECK_PAUSE,
            closing: None,
        }
    }

    async fn run<R, W>(&mut self, reader: &mut R, writer: &mut W)
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let end = self.seat.end.clone();
        let ended = end.cancelled();
        tokio::pin!(ended);
        let mut told_to_end = false;
        let timer = tokio::time::sleep_until(self.next_deadline());
        tokio::pin!(timer);
        loop {
            self.work();
            if self.is_over() {
                return;
            }
            let wake_at = self.next_deadline();
            if wake_at < timer.deadline() {
                timer.as_mut().reset(wake_at);
            }
            let pauses = self.out.len() >= OUT_BYTES_PAUSE || self.closing.is_some();
            let more_events = !pauses && self.subscriptions.wants_events();
            tokio::select! {
                () = &mut ended, if !told_to_end => {
                    told_to_end = true;
                    self.on_end();
                }
                written = write_some(writer, &mut self.out), if self.dirty => {
                    self.on_written(written);
                }
                landed = poll_fn(|cx| self.flights.poll(cx)), if !self.flights.is_empty() => {
                    self.on_landed(landed);
                }
                read = read_some(reader, &mut self.inbox, self.read_bytes), if self.reads() => {
                    self.on_read(read);
                }
                message = subscriptions::next_live(&mut self.subscriptions.live), if !pauses => {
                    subscriptions::send_live(&message, self.outlet, &mut self.out);
                    self.soil();
                }
                order = self.exchange.orders.next(), if !pauses => self.tell_order(order),
                () = subscriptions::next_events(&mut self.subscriptions.events, more_events) => {}
                () = &mut timer => {
                    self.on_timer(Instant::now());
                    timer.as_mut().reset(self.next_deadline());
                }
            }
        }
    }

    /// Does all that needs no waiting.
    fn work(&mut self) {
        self.receive();
        if self.closing.is_none() {
            let before = self.out.len();
            self.subscriptions.send_events(self.outlet, &mut self.out);
            if self.out.len() > before {
                self.soil();
            }
        }
    }

    /// Notes that there is something to write, and since when.
    fn soil(&mut self) {
        if !self.dirty {
            self.dirty = true;
            self.written_at = Instant::now();
        }
    }

    fn reads(&self) -> bool {
        self.closing.is_none() && self.flights.has_room() && self.out.len() < OUT_BYTES_MAX
    }

    fn is_over(&self) -> bool {
        self.closing.is_some() && self.flights.is_empty() && !self.dirty
    }

    /// Decides how the session ends; the first reason stays.
    fn close_with(&mut self, code: Option<u8>, with_will: bool) {
        if self.closing.is_none() {
            self.closing = Some(Closing {
                code,
                with_will,
                deadline: Instant::now() + ANSWER_DEADLINE,
            });
        }
    }

    fn on_end(&mut self) {
        if self.seat.was_taken_over() {
            self.close_with(Some(code::TAKEN_OVER), true);
        } else {
            // The hub stops: the device is well, and its will would tell otherwise.
            self.tell_state(false);
            self.close_with(Some(code::SHUTTING_DOWN), false);
        }
    }

    fn on_written(&mut self, written: io::Result<bool>) {
        match written {
            Ok(flushed) => {
                self.dirty = !flushed;
                self.written_at = Instant::now();
                if self.out.is_empty() && self.out.capacity() > READ_BYTES_MIN {
                    self.out = BytesMut::new();
                }
            }
            Err(_) => self.on_lost(),
        }
    }

    /// The client cannot be reached any more. What it sent is still committed.
    fn on_lost(&mut self) {
        self.out.clear();
        self.dirty = false;
        self.close_with(None, true);
        // A DISCONNECT that was meant for it cannot be written.
        if let Some(closing) = &mut self.closing {
            closing.code = None;
        }
    }

    fn on_read(&mut self, read: io::Result<usize>) {
        match read {
            Ok(0) | Err(_) => self.close_with(None, true),
            Ok(bytes) => {
                if self.seat.end.is_cancelled() {
                    // Whatever turn it was: after the stop nothing more is taken.
                    self.on_end();
                }
                if bytes >= self.read_bytes / 2 {
                    self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
                } else if bytes < self.read_bytes / 8 {
                    self.read_bytes = (self.read_bytes / 2).max(READ_BYTES_MIN);
                }
                // A device's look costs nothing while the register rests; a token's asks the disk.
                if matches!(self.principal, Principal::Device { .. }) {
                    self.check_principal();
                }
            }
        }
    }

    /// Looks the principal up again: a device may be gone, off, or have a new secret, a token may
    /// have been taken away.
    fn check_principal(&mut self) {
        let cx = &self.gate.cx;
        let claimed = match &mut self.principal {
            Principal::Person { actor, token } => {
                if cx.access.check(&token.0).as_ref() == Some(actor) {
                    return;
                }
                None
            }
            Principal::Device { entry, secret } => {
                let version = cx.devices.version();
                if version == self.devices_version {
                    return;
                }
                self.devices_version = version;
                let current = cx
                    .devices
                    .get(entry.key)
                    .filter(|now| now.device.enabled)
                    .filter(|now| secret.is_none() || now.secret == *secret);
                if let Some(current) = current {
                    *entry = current;
                    return;
                }
                Some(entry.device.id.as_str().to_owned())
            }
        };
        self.gate
            .refuse("credentials_revoked", claimed, &self.peer, false);
        self.close_with(Some(code::NOT_AUTHORIZED), false);
    }

    fn on_landed(&mut self, landed: Result<Landed, IngestError>) {
        // Whoever waits for us is not idle.
        self.heard_at = Instant::now();
        let mut next = Some(landed);
        while let Some(landed) = next {
            match landed {
                Ok(landed) => self.on_answer(&landed),
                Err(error) => return self.on_uncommitted(error),
            }
            next = self.flights.landed();
        }
    }

    /// A batch is not on disk, so neither it nor what follows is acknowledged.
    fn on_uncommitted(&mut self, error: IngestError) {
        self.flights.abandon();
        let code = match error {
            IngestError::Busy | IngestError::NoRoom => code::SERVER_BUSY,
            IngestError::ShuttingDown => code::SHUTTING_DOWN,
            IngestError::TooFast { .. } => code::QUOTA_EXCEEDED,
        };
        self.close_with(Some(code), false);
    }

    fn next_deadline(&self) -> Instant {
        let idle = self.reads().then(|| self.heard_at + self.idle_max);
        let written = self.dirty.then(|| self.written_at + WRITE_DEADLINE);
        let closing = self.closing.map(|closing| closing.deadline);
        let check = self.closing.is_none().then_some(self.check_at);
        [
            idle,
            check,
            written,
            closing,
            self.flights.deadline(),
            self.subscriptions.cursor_due(),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or_else(|| Instant::now() + NEVER)
    }

    fn on_timer(&mut self, now: Instant) {
        if self.closing.is_none() && now >= self.check_at {
            self.check_at = now + CHECK_PAUSE;
            self.check_principal();
        }
        if self.flights.deadline().is_some_and(|at| now >= at) {
            self.on_uncommitted(IngestError::Busy);
        }
        if self.dirty && now >= self.written_at + WRITE_DEADLINE {
            self.on_lost();
        }
        if self.reads() && now >= self.heard_at + self.idle_max {
            self.close_with(Some(code::KEEP_ALIVE_TIMEOUT), true);
        }
        if self.closing.is_some_and(|closing| now >= closing.deadline) {
            self.flights.abandon();
            self.on_lost();
        }
    }
}
