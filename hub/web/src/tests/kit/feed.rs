//! A feed for tests that read events by the API alone.

use model::Event;
use sdk::{Feed, FeedError, LiveBatch};

/// Nobody reads events by this feed here; the web asks the store itself.
pub(super) struct NoFeed;

impl Feed for NoFeed {
    fn events(&self, _: u64, _: usize) -> Result<Vec<Event>, FeedError> {
        Ok(Vec::new())
    }
    fn live(&self, _: u64, _: usize) -> Result<LiveBatch, FeedError> {
        Ok(LiveBatch::default())
    }
    fn cursor(&self, _: &str) -> Result<Option<u64>, FeedError> {
        Ok(None)
    }
}
