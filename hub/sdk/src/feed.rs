//! Reading what has been committed, by cursor: what everything that leaves the hub is made of.

use crate::KeptSession;
use model::{DeviceKey, Event, Reading};
use std::sync::Arc;
use tokio::sync::watch;

/// How far the journal has come.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The last commit.
    pub commit: u64,
    /// The last event; events are numbered 1, 2, 3 …
    pub event: u64,
}

/// A failure to read what was committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The events after the cursor are no longer kept.
    #[error("events up to {oldest} are past retention")]
    Expired { oldest: u64 },
    #[error("{0}")]
    Failed(String),
}

/// Readings of some commits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveBatch {
    /// The last commit that was looked at; go on after it.
    pub commit: u64,
    pub readings: Vec<Reading>,
}

/// The journal, as seen by whatever sends things out. Calls may touch the disk: call them from
/// `spawn_blocking`.
pub trait Feed: Send + Sync {
    /// Gives events after `after`, in order, without a hole.
    fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>, FeedError>;

    /// Gives the readings of commits after `after` that are still in the journal's tail.
    /// What was sealed since is skipped: this is for what is live and may be lost.
    fn live(&self, after: u64, limit: usize) -> Result<LiveBatch, FeedError>;

    /// Gives a durable cursor, if that name ever moved one.
    fn cursor(&self, name: &str) -> Result<Option<u64>, FeedError>;

    /// Gives what is kept of a subscriber's session.
    fn session(&self, name: &str) -> Result<Option<KeptSession>, FeedError>;

    /// Gives the newest reading of each series of a device, from memory. A driver whose devices tell
    /// changes alone asks for what it knew before the hub was restarted.
    fn latest(&self, device: DeviceKey) -> Vec<Reading>;
}

/// A feed and the signal that it grew.
#[derive(Clone)]
pub struct Tail {
    pub feed: Arc<dyn Feed>,
    pub mark: watch::Receiver<Mark>,
    /// The last event that people must hear of at once: a critical or major alarm that sounds.
    pub urgent: watch::Receiver<u64>,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail")
            .field("mark", &*self.mark.borrow())
            .finish_non_exhaustive()
    }
}
