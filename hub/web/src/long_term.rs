//! History that lies beyond the journal: whom the web asks for it, and what is said when it cannot be had.

use crate::problem::Problem;
use crate::state::store_problem;
use axum::http::StatusCode;
use model::{DeviceId, MetricShape, Timestamp};
use serde::Serialize;
use std::fmt;
use std::pin::Pin;
use store::{Agg, Page, SeriesQuery, StoreError};

/// Seconds after which a server that was away is worth another try.
const AWAY_RETRY_S: u32 = 30;

/// What is asked of one series.
#[derive(Clone, Debug)]
pub struct LongRange {
    pub device: DeviceId,
    pub metric: String,
    pub shape: MetricShape,
    pub query: SeriesQuery,
    /// One value for each bucket of so many milliseconds.
    pub agg: Option<(Agg, i64)>,
    pub now: Timestamp,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct LongAnswer {
    pub page: Page,
    /// Of this part of the range there is only what the journal has.
    pub missing: Option<MissingRange>,
}

/// The part of a range for which another server was needed and did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingRange {
    pub from: Timestamp,
    pub to: Timestamp,
    /// In words, for the log and for people.
    pub reason: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum LongError {
    /// The server did not answer, and the journal has nothing of the range.
    Unavailable(MissingRange),
    Store(StoreError),
    GivenUp(String),
}

/// An answer that is under way.
pub type LongFuture<'a> = Pin<Box<dyn Future<Output = Result<LongAnswer, LongError>> + Send + 'a>>;

/// Answers from the journal and from wherever older readings are.
pub trait LongTerm: fmt::Debug + Send + Sync {
    fn page(&self, range: LongRange) -> LongFuture<'_>;
}

impl From<LongError> for Problem {
    fn from(error: LongError) -> Self {
        match error {
            LongError::Unavailable(missing) => {
                let detail = "the server that holds older readings does not answer, and the hub itself has \
                              none of this range";
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Self::new(status, "history-unavailable", detail)
                    .with("from", missing.from.to_string())
                    .with("to", missing.to.to_string())
                    .with("reason", missing.reason)
                    .retry_after(AWAY_RETRY_S)
            }
            LongError::Store(error) => store_problem("read history", &error),
            LongError::GivenUp(reason) => Self::internal("read history", &reason),
        }
    }
}
