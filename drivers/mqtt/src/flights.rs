//! The commits of one connection that are under way, in the order of its messages.

use crate::steps::StepAsk;
use crate::telemetry::Ack;
use sdk::{
    COMMIT_DEADLINE, CommandError, Committed, Done, Ingest, IngestError, KeptSession, Operator,
    Submission, Ticket, Turn,
};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;

type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, IngestError>> + Send>>;

/// Batches on their way to the disk, first in, first out. Bounded by its owner, who stops reading.
pub(crate) struct Flights {
    /// Waits for room in the writer's queue.
    entering: Option<Flight<Ticket>>,
    waiting: VecDeque<Flight<Arrived>>,
    batches_max: usize,
}

impl std::fmt::Debug for Flights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flights")
            .field("entering", &self.entering.is_some())
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

/// What the writer says at the end of a flight.
#[derive(Debug)]
enum Arrived {
    Stored(Committed),
    Stepped(Box<(StepAsk, Result<Done, CommandError>)>),
    Kept(Vec<u8>),
}

struct Flight<T> {
    /// `None` if there is nothing to commit, only something to answer when its turn comes.
    outcome: Option<BoxFuture<T>>,
    acks: Vec<Ack>,
    deadline: Instant,
}

/// A batch whose turn it is to be answered.
#[derive(Debug)]
pub(crate) struct Landed {
    pub(crate) acks: Vec<Ack>,
    pub(crate) proof: Option<Committed>,
    /// A step of a case, and what the writer says to it.
    pub(crate) step: Option<Box<(StepAsk, Result<Done, CommandError>)>>,
    /// The packet that answers a change of the subscriptions.
    pub(crate) answer: Vec<u8>,
}

impl Flights {
    pub(crate) fn new(batches_max: usize) -> Self {
        Self {
            entering: None,
            waiting: VecDeque::new(),
            batches_max,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entering.is_none() && self.waiting.is_empty()
    }

    /// Tells whether another batch may be launched.
    pub(crate) fn has_room(&self) -> bool {
        self.entering.is_none() && self.waiting.len() < self.batches_max
    }

    /// When the oldest batch must have landed.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let first = self.waiting.front().map(|flight| flight.deadline);
        first.or(self.entering.as_ref().map(|flight| flight.deadline))
    }

    /// Gives up on everything; what the writer has already is committed all the same.
    pub(crate) fn abandon(&mut self) {
        self.entering = None;
        self.waiting.clear();
    }

    pub(crate) fn launch(
        &mut self,
        ingest: &Ingest,
        submission: Option<Submission>,
        acks: Vec<Ack>,
    ) {
        let deadline = Instant::now() + COMMIT_DEADLINE;
        let Some(submission) = submission else {
            self.waiting.push_back(Flight {
                outcome: None,
                acks,
                deadline,
            });
            return;
        };
        // A device that is too fast waits before the time of the commit begins to count.
        let turn = ingest.turn(&submission);
        let wait = turn.as_ref().map_or(Duration::ZERO, Turn::wait);
        let ingest = ingest.clone();
        let entered = async move {
            turn?.come().await;
            ingest.enter(submission).await
        };
        self.entering = Some(Flight {
            outcome: Some(Box::pin(entered)),
            acks,
            deadline: deadline + wait,
        });
        // There is nearly always room, and then the next batch need not wait for another turn.
        self.poll_entering(&mut Context::from_waker(Waker::noop()));
    }

    /// Sends a step of a case after all that came before it.
    pub(crate) fn launch_step(&mut self, operator: &Operator, ask: StepAsk) {
        let operator = operator.clone();
        let outcome = async move {
            match operator.commit(ask.command.clone()).await {
                Err(CommandError::Busy) => Err(IngestError::Busy),
                Err(CommandError::ShuttingDown) => Err(IngestError::ShuttingDown),
                said => Ok(Arrived::Stepped(Box::new((ask, said)))),
            }
        };
        self.waiting.push_back(Flight {
            outcome: Some(Box::pin(outcome)),
            acks: Vec::new(),
            deadline: Instant::now() + COMMIT_DEADLINE,
        });
    }

    /// Has a session kept; `answer` is written when that is on disk.
    pub(crate) fn launch_kept(
        &mut self,
        ingest: &Ingest,
        (name, session): (String, KeptSession),
        answer: Vec<u8>,
    ) {
        let ingest = ingest.clone();
        let outcome = async move {
            ingest.keep_session(name, Some(session)).await?;
            Ok(Arrived::Kept(answer))
        };
        self.waiting.push_back(Flight {
            outcome: Some(Box::pin(outcome)),
            acks: Vec::new(),
            deadline: Instant::now() + COMMIT_DEADLINE,
        });
    }

    fn poll_entering(&mut self, cx: &mut Context<'_>) {
        let Some(entering) = &mut self.entering else {
            return;
        };
        let Some(submit) = &mut entering.outcome else {
            return;
        };
        let Poll::Ready(submitted) = submit.as_mut().poll(cx) else {
            return;
        };
        let outcome: BoxFuture<Arrived> = match submitted {
            Ok(ticket) => Box::pin(async move { ticket.committed().await.map(Arrived::Stored) }),
            // Told only when its turn comes, so that what is before it is still answered.
            Err(error) => Box::pin(std::future::ready(Err(error))),
        };
        let flight = Flight {
            outcome: Some(outcome),
            acks: std::mem::take(&mut entering.acks),
            deadline: entering.deadline,
        };
        self.entering = None;
        self.waiting.push_back(flight);
    }

    /// Gives the oldest batch once it is on disk.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Landed, IngestError>> {
        self.poll_entering(cx);
        let Some(first) = self.waiting.front_mut() else {
            return Poll::Pending;
        };
        let arrived = match &mut first.outcome {
            None => Ok(None),
            Some(outcome) => match outcome.as_mut().poll(cx) {
                Poll::Ready(arrived) => arrived.map(Some),
                Poll::Pending => return Poll::Pending,
            },
        };
        let acks = std::mem::take(&mut first.acks);
        self.waiting.pop_front();
        Poll::Ready(arrived.map(|arrived| {
            let mut landed = Landed {
                acks,
                proof: None,
                step: None,
                answer: Vec::new(),
            };
            match arrived {
                None => {}
                Some(Arrived::Stored(proof)) => landed.proof = Some(proof),
                Some(Arrived::Stepped(step)) => landed.step = Some(step),
                Some(Arrived::Kept(answer)) => landed.answer = answer,
            }
            landed
        }))
    }

    /// Gives the oldest batch if it is on disk already.
    pub(crate) fn landed(&mut self) -> Option<Result<Landed, IngestError>> {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(landed) => Some(landed),
            Poll::Pending => None,
        }
    }
}
