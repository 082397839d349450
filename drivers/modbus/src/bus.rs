//! The loop of one line: one request at a time, device after device, as their plan says.

mod poll;

use crate::Shared;
use crate::frame::{Reply, Request};
use crate::link::{Failure, Link};
use crate::plan::Plan;
use sdk::Refusal;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a change of the register may wait to be seen.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why the loop of a line came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The hub stops, or somebody took this line's place.
    Stopped,
    /// The connection is gone, for a reason.
    Closed(String),
}

/// One line and who speaks on it.
#[derive(Debug)]
pub(crate) struct Bus {
    shared: Arc<Shared>,
    /// The driver's name, or a DTU's device id.
    line: String,
    /// For the books: an address or a path.
    peer: String,
    stop: CancellationToken,
    /// When the last answer ended.
    spoken: Instant,
    answers: u64,
}

impl Bus {
    pub(crate) fn new(
        shared: Arc<Shared>,
        line: String,
        peer: String,
        stop: CancellationToken,
    ) -> Self {
        Self {
            shared,
            line,
            peer,
            stop,
            spoken: Instant::now(),
            answers: 0,
        }
    }

    /// Counts the requests that were answered.
    pub(crate) fn answers(&self) -> u64 {
        self.answers
    }

    /// Polls until the connection is gone or the hub stops; `is_wanted` is asked after each change of
    /// the register.
    pub(crate) async fn run(
        &mut self,
        link: &mut Link,
        plan: &mut Plan,
        is_wanted: impl Fn(&crate::roster::Snapshot) -> bool,
    ) -> Ended {
        loop {
            let snapshot = self.shared.roster.look();
            if !is_wanted(&snapshot) {
                return Ended::Closed("its device is no longer registered".to_owned());
            }
            plan.follow(&self.line, &snapshot, &self.shared);
            drop(snapshot);
            let look_again = Instant::now() + LOOK_EVERY;
            let until = plan.due().map_or(look_again, |due| due.min(look_again));
            let idle = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ended::Stopped,
                idle = link.idle(until) => idle,
            };
            if let Err(trouble) = idle {
                return Ended::Closed(trouble.to_string());
            }
            if let Some(slot) = plan.first_due(Instant::now())
                && let Err(ended) = self.poll(link, slot).await
            {
                return ended;
            }
            self.book_strange(link);
        }
    }

    /// Asks, and again where that may help. `None` when the hub stops meanwhile.
    async fn ask(
        &mut self,
        link: &mut Link,
        unit: u8,
        request: &Request,
        retries: u32,
    ) -> Option<Result<Reply, Failure>> {
        let timing = self.shared.timing;
        let mut left = retries;
        loop {
            tokio::time::sleep_until(self.spoken + timing.gap).await;
            let answered = tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                answered = link.ask(unit, request, timing.timeout) => answered,
            };
            self.spoken = Instant::now();
            self.answers += u64::from(answered.is_ok());
            let again = match &answered {
                Ok(Reply::Exception(code)) => crate::exceptions::find(*code).again,
                Ok(_) => false,
                Err(failure) => link.outlives(&failure.trouble),
            };
            if !again || left == 0 {
                return Some(answered);
            }
            left -= 1;
        }
    }

    /// Counts what the line said that was no answer.
    fn book_strange(&self, link: &mut Link) {
        let strange = link.take_strange();
        if strange.foreign > 0 {
            tracing::debug!(
                bytes = strange.foreign,
                line = self.line,
                peer = self.peer,
                "bytes that nobody knows"
            );
            self.refuse("noise", None);
        }
        for _ in 0..strange.late {
            self.refuse("late_answer", None);
        }
    }

    fn refuse(&self, reason: &'static str, claimed: Option<&str>) {
        self.shared.cx.ingest.refuse(Refusal {
            reason: reason.into(),
            claimed: claimed.map(str::to_owned),
            peer: self.peer.clone(),
            message: true,
        });
    }
}

#[cfg(test)]
mod tests;
