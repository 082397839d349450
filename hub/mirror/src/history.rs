//! Answers long ranges of one series from the server that a mirror fills, together with the journal.
//!
//! The journal is whole from some moment on: what retention left, and not before it was begun. What is older is
//! asked of the server, and everything that the journal has of it all the same (late readings, what no mirror has
//! sent yet) is laid over it: a value that both have is one. Aggregates are the store's own buckets, made here of
//! what the server holds, or made by the server where that is the same.
//!
//! A server that does not answer never makes a silent hole: the answer is what the journal has and says what is
//! missing, and where the journal has nothing, there is no answer.

#[cfg(feature = "influx")]
mod flux;
mod made;
mod page;
mod parts;
mod server;
mod victoria;

pub use server::ServerSetup;

use model::{DeviceId, MetricShape, Timestamp};
use server::Server;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use store::{Agg, Page, Reader, SeriesQuery, StoreError};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// All questions of one answer together; the API gives up after 30 s.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// Answers that ask the server at once; it has others to serve, and each may hold some 10 MiB here.
const ANSWERS_MAX: usize = 4;

const DAY_MS: i64 = 86_400_000;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    pub device: DeviceId,
    pub metric: String,
    pub shape: MetricShape,
    pub query: SeriesQuery,
    /// One value for each bucket of so many milliseconds.
    pub agg: Option<(Agg, i64)>,
    pub now: Timestamp,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    pub page: Page,
    /// The part of the range for which the server was needed and did not answer.
    pub missing: Option<Missing>,
}

/// A part of the range of which there is only what the journal has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The server did not answer, and the journal has nothing of the range.
    #[error("{}", .0.reason)]
    Unavailable(Missing),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("reading the journal was given up: {0}")]
    GivenUp(String),
}

/// How often the server was asked, and how it went.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Answers for which the server was needed.
    pub asked: u64,
    /// Those of them that it failed.
    pub failed: u64,
    /// Time that it took, all together.
    pub waited_ms: u64,
    /// When it answered last, and when it failed last, in milliseconds since the epoch; 0 is never.
    pub answered_at_ms: i64,
    pub failed_at_ms: i64,
}

/// Reads history from a server and from the journal.
#[derive(Clone, Debug)]
pub struct History {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: Server,
    reader: Reader,
    /// Days of which the journal is taken to be whole, where that is less than it could be.
    local_days: Option<u32>,
    turns: Semaphore,
    /// When the journal was begun, once that is known; `i64::MIN` before.
    began_ms: AtomicI64,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    asked: AtomicU64,
    failed: AtomicU64,
    waited_ms: AtomicU64,
    answered_at_ms: AtomicI64,
    failed_at_ms: AtomicI64,
}

impl History {
    pub fn new(setup: ServerSetup, reader: Reader, local_days: Option<u32>) -> Self {
        Self {
            shared: Arc::new(Shared {
                server: Server::new(setup),
                reader,
                local_days,
                turns: Semaphore::new(ANSWERS_MAX),
                began_ms: AtomicI64::new(i64::MIN),
                counts: Counts::default(),
            }),
        }
    }

    pub fn figures(&self) -> Figures {
        let counts = &self.shared.counts;
        Figures {
            asked: counts.asked.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
            waited_ms: counts.waited_ms.load(Ordering::Relaxed),
            answered_at_ms: counts.answered_at_ms.load(Ordering::Relaxed),
            failed_at_ms: counts.failed_at_ms.load(Ordering::Relaxed),
        }
    }

    /// Gives the values of a series in the order of their own times.
    pub async fn page(&self, ask: Ask) -> Result<Found, HistoryError> {
        let whole_from = self.whole_from(&ask).await?;
        let reaches_back = ask.query.from < whole_from;
        if !reaches_back {
            let page = self.local_page(ask).await?;
            return Ok(Found {
                page,
                missing: None,
            });
        }
        let until = whole_from.min(ask.query.to);
        let give_up_at = Instant::now() + ANSWER_DEADLINE;
        let asked = Instant::now();
        let found = self.long_page(&ask, until, give_up_at).await?;
        self.count(&ask, asked, found.missing.as_ref());
        match found.missing {
            Some(missing) if found.page.points.is_empty() && ask.query.to <= whole_from => {
                Err(HistoryError::Unavailable(missing))
            }
            missing => Ok(Found {
                page: found.page,
                missing,
            }),
        }
    }

    fn count(&self, ask: &Ask, asked: Instant, missing: Option<&Missing>) {
        let counts = &self.shared.counts;
        let waited_ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
        counts.asked.fetch_add(1, Ordering::Relaxed);
        counts.waited_ms.fetch_add(waited_ms, Ordering::Relaxed);
        let Some(missing) = missing else {
            let now_ms = ask.now.millis();
            counts.answered_at_ms.store(now_ms, Ordering::Relaxed);
            return;
        };
        counts.failed.fetch_add(1, Ordering::Relaxed);
        let now_ms = ask.now.millis();
        counts.failed_at_ms.store(now_ms, Ordering::Relaxed);
        tracing::warn!(
            server = self.shared.server.name(),
            device = ask.device.as_str(),
            metric = ask.metric,
            from = %missing.from,
            to = %missing.to,
            reason = missing.reason,
            "history is answered without the long-term server"
        );
    }

    /// Tells from when on nothing is asked of the server, because the journal has all there is.
    async fn whole_from(&self, ask: &Ask) -> Result<Timestamp, HistoryError> {
        let (shared, metric) = (Arc::clone(&self.shared), ask.query.series.metric);
        let began = blocking(move || shared.began()).await??;
        let kept = self.shared.reader.kept_from(Some(metric));
        // A journal without any change was begun only now.
        let whole = kept.max(Some(began.unwrap_or(ask.now))).unwrap_or(ask.now);
        let Some(days) = self.shared.local_days else {
            return Ok(whole);
        };
        let recent = ask.now.plus_ms(-i64::from(days).saturating_mul(DAY_MS));
        Ok(whole.max(recent))
    }

    /// Answers from the journal alone.
    async fn local_page(&self, ask: Ask) -> Result<Page, HistoryError> {
        let reader = self.shared.reader.clone();
        let page = blocking(move || match ask.agg {
            None => reader.readings(&ask.query),
            Some((agg, step_ms)) => reader.buckets(&ask.query, step_ms, agg),
        });
        Ok(page.await??)
    }
}

impl Shared {
    fn began(&self) -> Result<Option<Timestamp>, StoreError> {
        let known = self.began_ms.load(Ordering::Relaxed);
        if known != i64::MIN {
            return Ok(Some(Timestamp::from_millis(known)));
        }
        let began = self.reader.began()?;
        if let Some(began) = began {
            self.began_ms.store(began.millis(), Ordering::Relaxed);
        }
        Ok(began)
    }
}

/// Reads the disk away from the threads that serve sockets.
async fn blocking<T: Send + 'static>(
    task: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HistoryError> {
    tokio::task::spawn_blocking(task)
        .await
        .map_err(|error| HistoryError::GivenUp(error.to_string()))
}
