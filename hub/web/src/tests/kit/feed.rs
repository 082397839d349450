//! A feed for tests that read events by the API alone.

use model::Event;
use sdk::{Action, Feed, FeedError, KeptSession, LiveBatch};
use std::sync::{Arc, Mutex};

/// Nobody reads events by this feed here; the web asks the store itself. The marks are those of the
/// notes that the writer was asked to keep.
pub(super) struct Marks(pub(super) Arc<Mutex<Vec<sdk::Command>>>);

impl Feed for Marks {
    fn events(&self, _: u64, _: usize) -> Result<Vec<Event>, FeedError> {
        Ok(Vec::new())
    }
    fn live(&self, _: u64, _: usize) -> Result<LiveBatch, FeedError> {
        Ok(LiveBatch::default())
    }
    fn session(&self, _: &str) -> Result<Option<KeptSession>, FeedError> {
        Ok(None)
    }
    fn latest(&self, _: model::DeviceKey) -> Vec<model::Reading> {
        Vec::new()
    }
    fn cursor(&self, name: &str) -> Result<Option<u64>, FeedError> {
        let commands = self.0.lock().unwrap();
        let marks = commands
            .iter()
            .rev()
            .filter_map(|command| match &command.action {
                Action::Note { marks, .. } => marks.iter().find(|(of, _)| of == name),
                _ => None,
            });
        Ok(marks.map(|(_, mark)| *mark).next())
    }
}
