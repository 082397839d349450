//! The loop of one connection, written once for all protocols whose devices dial in and wait for an
//! answer: bytes in, commits under way, answers out in order.
//!
//! The protocol itself is a [`Talk`]: it sees bytes and makes [`Step`]s, and does no I/O.

use crate::{Committed, Context, IngestError, Order, OrderError, Refusal, Submission, Ticket};
use bytes::{Bytes, BytesMut};
use model::{Reason, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Commits that one connection may have under way; one more waits in its socket.
const FLIGHTS_MAX: usize = 32;

/// How long a peer may refuse to read an answer.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// Frames that a peer may begin and leave, one after another with no good one between them.
const TIMEOUTS_MAX: u32 = 16;

/// Makes the answer to what is on disk.
pub type Reply = Box<dyn FnOnce(&Committed) -> Bytes + Send>;

/// What a protocol makes of the bytes that it saw.
pub enum Step {
    /// Is committed; what `reply` makes of the proof is sent then. When the commit fails nothing is
    /// sent, and the device sends again.
    Commit {
        submission: Submission,
        reply: Option<Reply>,
    },
    /// Is sent after what is before it: answers that do not say that something is kept.
    Say(Bytes),
    /// Bytes that are no frame, or a frame that cannot be trusted; counted as one rejected message.
    Skipped {
        bytes: usize,
        reason: Reason,
        detail: String,
    },
    /// Something whole was turned away: an unknown device, another's identity.
    Refused {
        reason: Reason,
        claimed: String,
        /// What the device is told, if the protocol has a word for it.
        say: Option<Bytes>,
    },
    /// Understood; nothing to keep and nothing to say.
    Nothing,
    /// Ends the connection, once all that came before is answered.
    Close { reason: Reason },
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Commit { .. } => "Commit",
            Self::Say(_) => "Say",
            Self::Skipped { .. } => "Skipped",
            Self::Refused { .. } => "Refused",
            Self::Nothing => "Nothing",
            Self::Close { .. } => "Close",
        })
    }
}

/// One side of a protocol, without its socket.
pub trait Talk: Send {
    /// Takes the next thing out of what was received; `None` wants more bytes. Every step but `None`
    /// takes at least one byte.
    fn next(&mut self, received: &mut BytesMut, now: Timestamp) -> Option<Step>;

    /// Takes what can be taken when nothing more comes: a frame whose length promises too much. What
    /// is left then is given up byte by byte.
    fn stalled(&mut self, received: &mut BytesMut, now: Timestamp) -> Option<Step> {
        let _ = (received, now);
        None
    }

    /// Gives what is to be sent for an order. The order is answered at once, or kept until
    /// [`Talk::next`] sees the device's answer.
    fn order(&mut self, order: Order, now: Timestamp) -> Option<Bytes> {
        let _ = now;
        let reason = format!("this protocol has no `{}`", order.name);
        order.answer(Err(OrderError::Unsupported(reason)));
        None
    }

    /// Gives what the hub says of its own accord. Asked again and again until it has nothing more,
    /// at the beginning and after everything that happens.
    fn speak(&mut self, now: Timestamp) -> Option<Bytes> {
        let _ = now;
        None
    }
}

/// What one connection may do.
#[derive(Copy, Clone, Debug)]
pub struct Conversation {
    /// Nothing was received for this long: the connection is dead.
    pub idle_timeout: Duration,
    /// A frame that was begun must be whole by then, or its first byte is given up as noise. Who has
    /// gone on sending and still has no good frame is hung up.
    pub frame_timeout: Duration,
    /// More than this cannot wait for the rest of its frame.
    pub received_bytes_max: usize,
    /// Bytes that are no good frame, in a row, after which the connection is closed.
    pub noise_bytes_max: usize,
}

/// Speaks with one peer until it hangs up, misbehaves, or the hub stops.
///
/// There is no deadline on a commit here: while the hub is slow nothing more is read, and an
/// acknowledgement that comes late is still true.
pub async fn converse<S, T>(
    stream: S,
    peer: String,
    (talk, orders): (T, mpsc::Receiver<Order>),
    limits: Conversation,
    cx: Context,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    T: Talk,
{
    let (mut reader, writer) = tokio::io::split(stream);
    let mut connection = Connection {
        received: BytesMut::new(),
        talk,
        speaker: Speaker {
            writer,
            flights: VecDeque::new(),
        },
        limits,
        cx,
        peer,
        noise_bytes: 0,
        begun: None,
        heard: Instant::now(),
        timeouts: 0,
    };
    let Ended(why) = connection.run(&mut reader, orders).await;
    tracing::debug!(
        why,
        driver = connection.cx.name,
        peer = connection.peer,
        "a connection ends"
    );
    connection.speaker.finish().await;
}

/// The connection is to end.
struct Ended(&'static str);

/// Something that waits to be said.
enum Flight {
    Commit {
        ticket: Ticket,
        reply: Option<Reply>,
    },
    Said(Bytes),
}

struct Speaker<W> {
    writer: W,
    flights: VecDeque<Flight>,
}

impl<W: AsyncWrite + Unpin> Speaker<W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        if bytes.is_empty() {
            return Ok(());
        }
        let written = async {
            self.writer.write_all(bytes).await?;
            self.writer.flush().await
        };
        match tokio::time::timeout(WRITE_DEADLINE, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended("the peer is gone")),
            Err(_) => Err(Ended("the peer does not read")),
        }
    }

    /// Waits until the first flight can be answered, for ever if there is none. May be cancelled.
    async fn first(&mut self) -> Option<Result<Committed, IngestError>> {
        match self.flights.front_mut() {
            None => std::future::pending().await,
            Some(Flight::Said(_)) => None,
            Some(Flight::Commit { ticket, .. }) => Some(ticket.ready().await),
        }
    }

    /// Answers the first flight.
    async fn land(&mut self, outcome: Option<Result<Committed, IngestError>>) -> Result<(), Ended> {
        match (self.flights.pop_front(), outcome) {
            (Some(Flight::Said(bytes)), _) => self.write(&bytes).await,
            (Some(Flight::Commit { reply, .. }), Some(Ok(proof))) => {
                let bytes = reply.map(|reply| reply(&proof));
                self.write(&bytes.unwrap_or_default()).await
            }
            // Silence: the device sends again, and then it is a duplicate or new.
            (Some(Flight::Commit { .. }), _) => Err(Ended("a commit failed")),
            (None, _) => Ok(()),
        }
    }

    async fn say_in_turn(&mut self, bytes: Bytes) -> Result<(), Ended> {
        if self.flights.is_empty() {
            return self.write(&bytes).await;
        }
        if !bytes.is_empty() {
            self.flights.push_back(Flight::Said(bytes));
        }
        self.make_room().await
    }

    async fn make_room(&mut self) -> Result<(), Ended> {
        while self.flights.len() >= FLIGHTS_MAX {
            let outcome = self.first().await;
            self.land(outcome).await?;
        }
        Ok(())
    }

    /// What was taken is answered, whoever ended the connection.
    async fn finish(mut self) {
        while !self.flights.is_empty() {
            let outcome = self.first().await;
            if self.land(outcome).await.is_err() {
                break;
            }
        }
        let closed = tokio::time::timeout(WRITE_DEADLINE, self.writer.shutdown()).await;
        if !matches!(closed, Ok(Ok(()))) {
            tracing::debug!("the peer was gone before its connection was closed");
        }
    }
}

struct Connection<W, T> {
    received: BytesMut,
    talk: T,
    speaker: Speaker<W>,
    limits: Conversation,
    cx: Context,
    peer: String,
    /// Bytes skipped since the last good frame.
    noise_bytes: usize,
    /// When what waits undecoded began to wait.
    begun: Option<Instant>,
    /// When bytes came last.
    heard: Instant,
    /// Frames given up since the last good one.
    timeouts: u32,
}

/// What happened next on a connection.
enum Happened {
    Stop,
    Landed(Option<Result<Committed, IngestError>>),
    Order(Option<Order>),
    Read(std::io::Result<usize>),
    TimeUp,
}

impl<W: AsyncWrite + Unpin, T: Talk> Connection<W, T> {
    async fn run<R>(&mut self, reader: &mut R, orders: mpsc::Receiver<Order>) -> Ended
    where
        R: AsyncRead + Unpin,
    {
        let mut orders = Some(orders);
        loop {
            if let Err(ended) = self.speak().await {
                return ended;
            }
            let deadline = match self.begun {
                Some(begun) => begun + self.limits.frame_timeout,
                None => self.heard + self.limits.idle_timeout,
            };
            let happened = tokio::select! {
                biased;
                () = self.cx.stop.cancelled() => Happened::Stop,
                outcome = self.speaker.first() => Happened::Landed(outcome),
                order = next_order(&mut orders) => Happened::Order(order),
                read = reader.read_buf(&mut self.received) => Happened::Read(read),
                () = tokio::time::sleep_until(deadline) => Happened::TimeUp,
            };
            let went_on = match happened {
                Happened::Stop => Err(Ended("the hub is stopping")),
                Happened::Landed(outcome) => self.speaker.land(outcome).await,
                Happened::Order(None) => {
                    orders = None;
                    Ok(())
                }
                Happened::Order(Some(order)) => {
                    let bytes = self.talk.order(order, self.cx.clock.now());
                    self.speaker.say_in_turn(bytes.unwrap_or_default()).await
                }
                Happened::Read(Ok(0)) => Err(Ended("the peer hung up")),
                Happened::Read(Err(_)) => Err(Ended("the peer is gone")),
                Happened::Read(Ok(_)) => {
                    self.heard = Instant::now();
                    self.take().await
                }
                Happened::TimeUp => self.time_up().await,
            };
            if let Err(ended) = went_on {
                return ended;
            }
        }
    }

    async fn speak(&mut self) -> Result<(), Ended> {
        while let Some(bytes) = self.talk.speak(self.cx.clock.now()) {
            self.speaker.say_in_turn(bytes).await?;
        }
        Ok(())
    }

    /// Takes everything whole out of what was received.
    async fn take(&mut self) -> Result<(), Ended> {
        loop {
            while let Some(step) = self.talk.next(&mut self.received, self.cx.clock.now()) {
                self.begun = None;
                self.carry_out(step).await?;
            }
            if self.received.len() <= self.limits.received_bytes_max {
                break;
            }
            self.drop_first("frame_too_large")?;
        }
        if self.received.is_empty() {
            self.begun = None;
        } else if self.begun.is_none() {
            self.begun = Some(Instant::now());
        }
        Ok(())
    }

    async fn carry_out(&mut self, step: Step) -> Result<(), Ended> {
        if !matches!(step, Step::Skipped { .. }) {
            self.noise_bytes = 0;
            self.timeouts = 0;
        }
        match step {
            Step::Commit { submission, reply } => self.commit(submission, reply).await,
            Step::Say(bytes) => self.speaker.say_in_turn(bytes).await,
            Step::Nothing => Ok(()),
            Step::Skipped {
                bytes,
                reason,
                detail,
            } => self.skipped(bytes, reason, &detail),
            Step::Refused {
                reason,
                claimed,
                say,
            } => {
                self.refuse(reason, Some(claimed));
                self.speaker.say_in_turn(say.unwrap_or_default()).await
            }
            Step::Close { reason } => {
                tracing::debug!(%reason, driver = self.cx.name, peer = self.peer, "closed");
                Err(Ended("the protocol ends it"))
            }
        }
    }

    async fn commit(&mut self, submission: Submission, reply: Option<Reply>) -> Result<(), Ended> {
        self.speaker.make_room().await?;
        // A full queue makes this wait, and so nothing more is read.
        match self.cx.ingest.submit(submission).await {
            Ok(ticket) => {
                let flight = Flight::Commit { ticket, reply };
                self.speaker.flights.push_back(flight);
                Ok(())
            }
            // Silence is the only no that all these protocols have: the device sends again.
            Err(IngestError::TooFast { .. }) => Ok(()),
            Err(IngestError::NoRoom) => Err(Ended("the disk is full")),
            Err(IngestError::Busy | IngestError::ShuttingDown) => Err(Ended("the hub is stopping")),
        }
    }

    fn skipped(&mut self, bytes: usize, reason: Reason, detail: &str) -> Result<(), Ended> {
        tracing::debug!(bytes, %reason, detail, driver = self.cx.name, peer = self.peer, "skipped");
        self.noise_bytes = self.noise_bytes.saturating_add(bytes);
        self.refuse(reason, None);
        if self.noise_bytes > self.limits.noise_bytes_max {
            return Err(Ended("too much of what it sends is no frame"));
        }
        Ok(())
    }

    fn refuse(&self, reason: Reason, claimed: Option<String>) {
        self.cx.ingest.refuse(Refusal {
            reason,
            claimed,
            peer: self.peer.clone(),
            message: true,
        });
    }

    /// A deadline passed: of the whole connection, or of a frame that never became whole.
    async fn time_up(&mut self) -> Result<(), Ended> {
        let Some(begun) = self.begun.take() else {
            return Err(Ended("nothing was heard for too long"));
        };
        self.timeouts += 1;
        let now = self.cx.clock.now();
        match self.talk.stalled(&mut self.received, now) {
            Some(step) => self.carry_out(step).await?,
            None => self.drop_first("frame_timeout")?,
        }
        self.take().await?;
        // What was given up may have hidden good frames: then all is well. Else whoever has sent all
        // this time, or has begun so often, holds a place and nothing more.
        if self.timeouts > 0 && (self.heard > begun || self.timeouts >= TIMEOUTS_MAX) {
            // The bytes were counted as they were given up.
            self.cx.ingest.refuse(Refusal {
                reason: "peer_too_slow".into(),
                claimed: None,
                peer: self.peer.clone(),
                message: false,
            });
            return Err(Ended("what it sends does not become a frame in time"));
        }
        Ok(())
    }

    /// Gives up the first byte of what does not become a frame; a good one may stand behind it.
    fn drop_first(&mut self, reason: &'static str) -> Result<(), Ended> {
        let waiting = self.received.len();
        drop(self.received.split_to(waiting.min(1)));
        self.skipped(1, reason.into(), &format!("{waiting} bytes are no frame"))
    }
}

async fn next_order(orders: &mut Option<mpsc::Receiver<Order>>) -> Option<Order> {
    match orders {
        Some(orders) => orders.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
