//! What the simulation has done so far: counts, latencies and the ack log.

use crate::histogram::Histogram;
use serde::Serialize;
use std::fs::File;
use std::io::{LineWriter, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts of messages. When all is over, `planned` equals `acked` + `partly_stored` + `refused` +
/// `skipped` + `unconfirmed` + `abandoned`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Counts {
    pub(crate) planned: u64,
    /// Written, or tried to, for the first time.
    pub(crate) sent: u64,
    pub(crate) resent: u64,
    pub(crate) acked: u64,
    /// Values in the acknowledged messages.
    pub(crate) acked_values: u64,
    /// HTTP 200: some values were stored, some rejected.
    pub(crate) partly_stored: u64,
    /// A negative answer.
    pub(crate) refused: u64,
    /// Never sent, because the device's own buffer was full.
    pub(crate) skipped: u64,
    /// Handed over by a protocol that says nothing of it: registers that were read, positions of a lock,
    /// broken frames.
    pub(crate) unconfirmed: u64,
    /// Given up without an answer, at the end or after repeated hang-ups.
    pub(crate) abandoned: u64,
    /// MQTT connections that are up.
    pub(crate) connected: u64,
    pub(crate) connects_failed: u64,
    pub(crate) connections_lost: u64,
}

impl Counts {
    /// Books every message without an outcome as abandoned.
    pub(crate) fn abandon_the_rest(&mut self) {
        let answered = self.acked + self.partly_stored + self.refused;
        let settled = answered + self.skipped + self.unconfirmed + self.abandoned;
        self.abandoned += self.planned.saturating_sub(settled);
    }
}

/// A message's last answer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Acked { values: u64, latency_us: u64 },
    PartlyStored,
    Refused,
    Skipped,
    Unconfirmed,
    Abandoned,
}

/// A picture of the counts with the latency of acknowledgements.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) devices: usize,
    pub(crate) seconds: f64,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) ack_p50_us: u64,
    pub(crate) ack_p99_us: u64,
    pub(crate) ack_max_us: u64,
}

#[derive(Debug)]
struct Inner {
    counts: Counts,
    latency: Histogram,
    log: Option<LineWriter<File>>,
    log_error: Option<std::io::Error>,
}

/// The books, shared by all links.
#[derive(Debug)]
pub(crate) struct Tally {
    inner: Mutex<Inner>,
}

impl Tally {
    /// Opens the ack log for appending, if there is to be one.
    pub(crate) fn new(ack_log: Option<&Path>) -> std::io::Result<Self> {
        let open = |path: &Path| File::options().create(true).append(true).open(path);
        let log = ack_log.map(open).transpose()?.map(LineWriter::new);
        let inner = Inner {
            counts: Counts::default(),
            latency: Histogram::default(),
            log,
            log_error: None,
        };
        Ok(Self {
            inner: Mutex::new(inner),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes counts.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.inner().counts);
    }

    /// Books the end of a message; an acknowledged one with a log line goes to the ack log.
    pub(crate) fn settle(&self, outcome: Outcome, log_line: impl FnOnce() -> Option<String>) {
        let mut inner = self.inner();
        let counts = &mut inner.counts;
        match outcome {
            Outcome::Acked { values, latency_us } => {
                counts.acked += 1;
                counts.acked_values += values;
                inner.latency.record(latency_us);
                inner.log(log_line);
            }
            Outcome::PartlyStored => counts.partly_stored += 1,
            Outcome::Refused => counts.refused += 1,
            Outcome::Skipped => counts.skipped += 1,
            Outcome::Unconfirmed => counts.unconfirmed += 1,
            Outcome::Abandoned => counts.abandoned += 1,
        }
    }

    /// Takes the error that has ended the ack log, if one has.
    pub(crate) fn take_log_error(&self) -> Option<std::io::Error> {
        self.inner().log_error.take()
    }

    /// Takes a picture.
    pub(crate) fn summary(&self, devices: usize, seconds: f64) -> Summary {
        let inner = self.inner();
        Summary {
            devices,
            seconds,
            counts: inner.counts.clone(),
            ack_p50_us: inner.latency.quantile_us(500),
            ack_p99_us: inner.latency.quantile_us(990),
            ack_max_us: inner.latency.max_us(),
        }
    }
}

impl Inner {
    /// Writes one line; it reaches the file whole, and nobody waits for the disk.
    fn log(&mut self, line: impl FnOnce() -> Option<String>) {
        let Some(log) = &mut self.log else { return };
        let Some(line) = line() else { return };
        if let Err(error) = log.write_all(line.as_bytes()) {
            self.log = None;
            self.log_error = Some(error);
        }
    }
}
