//! The journal as drivers and deliveries see it.

use sdk::{Feed, FeedError, KeptSession, LiveBatch};
use store::{EventFilter, Reader, StoreError};

/// A [`Feed`] over the store's reader.
#[derive(Clone, Debug)]
pub struct JournalFeed(pub Reader);

impl Feed for JournalFeed {
    fn events(&self, after: u64, limit: usize) -> Result<Vec<model::Event>, FeedError> {
        self.0
            .events(after, limit, &EventFilter::default())
            .map_err(failed)
    }

    fn live(&self, after: u64, limit: usize) -> Result<LiveBatch, FeedError> {
        let live = self.0.live(after, limit).map_err(failed)?;
        Ok(LiveBatch {
            commit: live.commit,
            readings: live.readings,
        })
    }

    fn session(&self, name: &str) -> Result<Option<KeptSession>, FeedError> {
        let Some(stored) = self.0.session(name).map_err(failed)? else {
            return Ok(None);
        };
        let filters = serde_json::from_str(&stored.filters)
            .map_err(|error| FeedError::Failed(format!("the session `{name}`: {error}")))?;
        Ok(Some(KeptSession {
            filters,
            expiry_s: stored.expiry_s,
            expires_at: stored.expires_at,
            begins_after: None,
        }))
    }

    fn latest(&self, device: model::DeviceKey) -> Vec<model::Reading> {
        self.0.latest(device)
    }

    fn cursor(&self, name: &str) -> Result<Option<u64>, FeedError> {
        self.0.cursor(name).map_err(failed)
    }
}

fn failed(error: StoreError) -> FeedError {
    match error {
        StoreError::Expired { oldest } => FeedError::Expired { oldest },
        other => FeedError::Failed(other.to_string()),
    }
}
