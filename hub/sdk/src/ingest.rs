//! The way in: a bounded queue to the writer, and the proof that it wrote.

use crate::quota::{Quotas, Turn};
use crate::{KeptSession, Traced, Tracer};
use model::{DeviceKey, Observation, Reason, Rejected};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Requests that may wait for the writer; a full queue makes drivers stop reading their sockets.
pub const INTAKE_BATCHES: usize = 256;

/// How long a driver waits for room and for the disk before it gives the acknowledgement up.
pub const COMMIT_DEADLINE: Duration = Duration::from_secs(5);

/// Refusals remembered between two commits; more are counted but not remembered one by one.
const REFUSALS_MAX: usize = 1_000;

/// The hub's own number of a configured driver instance; stable across restarts.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DriverKey(pub u16);

/// What came in for one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub device: DeviceKey,
    /// Values counted in the message, good and bad; an undecodable message counts as one.
    pub received: u32,
    pub observations: Vec<Observation>,
    pub rejected: Vec<Rejected>,
}

/// A whole frame that could not be decoded, kept so that an engineer can look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    pub device: Option<DeviceKey>,
    pub reason: Reason,
    pub detail: String,
    pub bytes: Vec<u8>,
}

/// What a driver hands over at once; it is committed as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Submission {
    pub parts: Vec<Part>,
    pub quarantined: Vec<RawFrame>,
}

impl Submission {
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.quarantined.is_empty()
    }
}

/// What the writer did with a submission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Position of the commit in the journal.
    pub seq: u64,
    pub stored: u64,
    pub duplicate: u64,
    /// What the writer itself refused, such as impossible times.
    pub rejected: Vec<Rejected>,
}

/// Proof that a submission is on disk. Only the writer can make one.
///
/// ```compile_fail
/// let forged = sdk::Committed { receipt: sdk::Receipt::default() };
/// ```
#[must_use = "the device is still waiting for its acknowledgement"]
#[derive(Debug)]
pub struct Committed {
    receipt: Receipt,
}

impl Committed {
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}

/// Why a commit did not happen in time: what a driver does differently.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    #[error("the hub is busy; send again later")]
    Busy,
    #[error("the hub is shutting down")]
    ShuttingDown,
    /// All of it is refused and counted so (`rate_limited`).
    #[error("the device sends faster than it may; send again in {retry_after_s} s")]
    TooFast { retry_after_s: u32 },
    /// Nothing of it is stored; it may be sent again as long as the device can keep it.
    #[error("the hub's disk is full; send again later")]
    NoRoom,
}

/// A submission that waits for its commit. Dropping it unconfirmed fails the driver's wait.
#[derive(Debug)]
pub struct Pending {
    pub driver: DriverKey,
    pub submission: Submission,
    reply: oneshot::Sender<Result<Committed, IngestError>>,
    since: Instant,
    traced: Option<Traced>,
}

impl Pending {
    /// Tells since when the driver has waited.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Gives the trace, if the way of this message is recorded.
    pub fn traced(&self) -> Option<Traced> {
        self.traced
    }

    /// Tells how long the driver has waited for its answer.
    pub fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    /// Answers the driver. To be called by the writer, after the fsync, and by nobody else.
    pub fn confirm(self, receipt: Receipt) {
        // A driver that gave up has hung up; its data is on disk all the same.
        drop(self.reply.send(Ok(Committed { receipt })));
    }

    /// Tells the driver that there is no room for it.
    pub fn turn_away(self) {
        // As above.
        drop(self.reply.send(Err(IngestError::NoRoom)));
    }
}

/// What waits in the writer's queue.
#[derive(Debug)]
pub enum Request {
    Submit(Pending),
    Command(crate::PendingCommand),
    /// How far a delivery came; lost words only cause a repeat, so nobody waits.
    Delivered(crate::Delivered),
    /// A durable cursor moved; lost moves only cause a repeat, so nobody waits.
    MoveCursor {
        name: String,
        seq: u64,
    },
    KeepSession(PendingSession),
    /// How far a mirror came; lost words only cause a repeat, so nobody waits.
    Mirrored(crate::Mirrored),
}

/// What is to be kept of a session, waiting for its commit. Dropping it fails the driver's wait.
#[derive(Debug)]
pub struct PendingSession {
    pub name: String,
    /// `None` ends it, and its cursor with it.
    pub session: Option<KeptSession>,
    reply: oneshot::Sender<()>,
}

impl PendingSession {
    /// Answers whoever waits. To be called by the writer, after the fsync.
    pub fn confirm(self) {
        // A driver that gave up has hung up; the session is kept all the same.
        self.reply.send(()).unwrap_or_default();
    }
}

/// The writer's end of the queue.
#[derive(Debug)]
pub struct Intake {
    pub requests: mpsc::Receiver<Request>,
    pub refusals: Refusals,
}

impl Intake {
    /// Makes the queue, and the sender from which [`Ingest`] and [`crate::Operator`] are made.
    pub fn open() -> (mpsc::Sender<Request>, Self) {
        let (sender, requests) = mpsc::channel(INTAKE_BATCHES);
        (
            sender,
            Self {
                requests,
                refusals: Refusals::default(),
            },
        )
    }
}

/// A driver's handle on the writer.
#[derive(Clone, Debug)]
pub struct Ingest {
    driver: DriverKey,
    requests: mpsc::Sender<Request>,
    refusals: Refusals,
    quotas: Quotas,
    tracer: Tracer,
}

impl Ingest {
    pub fn new(driver: DriverKey, requests: mpsc::Sender<Request>, refusals: Refusals) -> Self {
        Self {
            driver,
            requests,
            refusals,
            quotas: Quotas::default(),
            tracer: Tracer::default(),
        }
    }

    /// Has the way of messages recorded.
    #[must_use]
    pub fn with_tracer(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// Holds devices to how fast they may speak.
    #[must_use]
    pub fn with_quotas(self, quotas: Quotas) -> Self {
        Self { quotas, ..self }
    }

    /// For devices that are asked: they speak as fast as the hub asks.
    #[must_use]
    pub fn unmetered(self) -> Self {
        self.with_quotas(Quotas::default())
    }

    pub fn driver(&self) -> DriverKey {
        self.driver
    }

    /// Waits for the device's turn, if it has been too fast; then for room in the queue and for the
    /// disk, [`COMMIT_DEADLINE`] at most.
    pub async fn commit(&self, submission: Submission) -> Result<Committed, IngestError> {
        self.commit_traced(submission, None).await
    }

    /// The same with what the sender said in `traceparent`.
    pub async fn commit_traced(
        &self,
        submission: Submission,
        traceparent: Option<&str>,
    ) -> Result<Committed, IngestError> {
        self.turn(&submission)?.come().await;
        let committed = async { self.queue(submission, traceparent).await?.committed().await };
        tokio::time::timeout(COMMIT_DEADLINE, committed)
            .await
            .unwrap_or(Err(IngestError::Busy))
    }

    /// Gives a submission its turn, which comes at once unless its device has been too fast.
    pub fn turn(&self, submission: &Submission) -> Result<Turn, IngestError> {
        let turn = self.quotas.turn(self.driver, submission);
        turn.map_err(|wait| IngestError::TooFast {
            retry_after_s: u32::try_from(wait.as_secs().saturating_add(1)).unwrap_or(u32::MAX),
        })
    }

    /// Waits for the device's turn and for room in the queue only, so that a connection can have
    /// several commits under way.
    pub async fn submit(&self, submission: Submission) -> Result<Ticket, IngestError> {
        self.turn(&submission)?.come().await;
        self.enter(submission).await
    }

    /// Waits for room in the queue. Who asks has waited for the submission's [`Turn`].
    pub async fn enter(&self, submission: Submission) -> Result<Ticket, IngestError> {
        self.queue(submission, None).await
    }

    async fn queue(
        &self,
        submission: Submission,
        traceparent: Option<&str>,
    ) -> Result<Ticket, IngestError> {
        let (reply, committed) = oneshot::channel();
        let pending = Pending {
            driver: self.driver,
            submission,
            reply,
            since: Instant::now(),
            traced: self.tracer.begin(traceparent),
        };
        self.requests
            .send(Request::Submit(pending))
            .await
            .map_err(|_| IngestError::ShuttingDown)?;
        Ok(Ticket { committed })
    }

    /// Records that something was turned away before it could be decoded for a device.
    ///
    /// It is counted in the ledger with the next commit; it never waits.
    pub fn refuse(&self, refusal: Refusal) {
        self.refusals.add(self.driver, refusal);
    }

    /// Remembers how far a subscriber has come. Returns once the move is queued.
    pub async fn move_cursor(&self, name: &str, seq: u64) -> Result<(), IngestError> {
        let request = Request::MoveCursor {
            name: name.to_owned(),
            seq,
        };
        self.requests
            .send(request)
            .await
            .map_err(|_| IngestError::ShuttingDown)
    }

    /// Has a session kept, or ended where there is none, and waits until that is on disk.
    pub async fn keep_session(
        &self,
        name: String,
        session: Option<KeptSession>,
    ) -> Result<(), IngestError> {
        let (reply, kept) = oneshot::channel();
        let pending = PendingSession {
            name,
            session,
            reply,
        };
        let committed = async {
            self.requests
                .send(Request::KeepSession(pending))
                .await
                .map_err(|_| IngestError::ShuttingDown)?;
            kept.await.map_err(|_| IngestError::ShuttingDown)
        };
        tokio::time::timeout(COMMIT_DEADLINE, committed)
            .await
            .unwrap_or(Err(IngestError::Busy))
    }
}

/// A submission in the queue.
#[derive(Debug)]
pub struct Ticket {
    committed: oneshot::Receiver<Result<Committed, IngestError>>,
}

impl Ticket {
    /// Waits for the disk; may be cancelled and asked again until it has answered.
    pub async fn ready(&mut self) -> Result<Committed, IngestError> {
        let committed = (&mut self.committed).await;
        committed.unwrap_or(Err(IngestError::ShuttingDown))
    }

    /// Waits for the disk. Cancel-safe only as a whole: dropping it loses the proof, not the data.
    pub async fn committed(self) -> Result<Committed, IngestError> {
        let committed = self.committed.await;
        committed.unwrap_or(Err(IngestError::ShuttingDown))
    }
}

/// A message or connection that was turned away: wrong secret, another's topic, unknown device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A fixed word, such as `wrong_secret`, `unknown_device`, `forbidden_topic`.
    pub reason: Reason,
    /// The device that it claimed to be.
    pub claimed: Option<String>,
    pub peer: String,
    /// Whether a message was lost by it, which the ledger counts as received and rejected.
    pub message: bool,
}

/// An identity that knocked but is not registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unclaimed {
    pub id: String,
    pub driver: DriverKey,
    pub peer: String,
    pub count: u64,
}

/// Refusals since the last commit, shared by all drivers and drained by the writer.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: BTreeMap<(DriverKey, Reason), u64>,
    samples: VecDeque<(DriverKey, Refusal, u64)>,
    overflow: u64,
}

/// What [`Refusals::drain`] took out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Messages to count as received and rejected.
    pub messages: BTreeMap<(DriverKey, Reason), u64>,
    /// Distinct refusals, each with how often it came.
    pub samples: Vec<(DriverKey, Refusal, u64)>,
    /// Refusals that were not remembered one by one.
    pub overflow: u64,
}

impl Refusals {
    pub fn add(&self, driver: DriverKey, refusal: Refusal) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if refusal.message {
            *waiting
                .messages
                .entry((driver, refusal.reason.clone()))
                .or_default() += 1;
        }
        let same = |(known, sample, _): &&mut (DriverKey, Refusal, u64)| {
            *known == driver && sample.reason == refusal.reason && sample.claimed == refusal.claimed
        };
        // The newest are at the back, and a storm repeats itself: a short look back is enough.
        if let Some((_, _, count)) = waiting.samples.iter_mut().rev().take(16).find(same) {
            *count += 1;
        } else if waiting.samples.len() < REFUSALS_MAX {
            waiting.samples.push_back((driver, refusal, 1));
        } else {
            waiting.overflow += 1;
        }
    }

    pub fn is_empty(&self) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.samples.is_empty() && waiting.messages.is_empty()
    }

    pub fn drain(&self) -> Drained {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = std::mem::take(&mut *waiting);
        Drained {
            messages: taken.messages,
            samples: taken.samples.into(),
            overflow: taken.overflow,
        }
    }
}
