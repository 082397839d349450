//! What every heartbeat says beside its place: how the hub is, counted once a second for all
//! listeners together.

use crate::alarms::counts;
use crate::build::build;
use crate::census::Census;
use crate::state::Inner;
use model::Timestamp;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How old the counts of a heartbeat may be.
const FRESH: Duration = Duration::from_secs(1);

/// The last counts, and when they were made.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    counted: Mutex<Option<(Instant, Value)>>,
}

impl Pulse {
    /// Writes the data of a heartbeat of a listener that has heard everything up to `seq`.
    pub(crate) fn beat(&self, hub: &Inner, seq: u64) -> String {
        let now = hub.clock.now();
        let canary = hub.health.canary();
        json!({
            "seq": seq,
            "server_time": now,
            "build": build(hub.health.version).id(),
            "canary_age_s": canary.map(|canary| canary.age_ms(now) / 1_000),
            "counts": self.counts(hub, now),
        })
        .to_string()
    }

    fn counts(&self, hub: &Inner, now: Timestamp) -> Value {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, counts)) = &*counted
            && at.elapsed() < FRESH
        {
            return counts.clone();
        }
        let counts = count(hub, now);
        *counted = Some((Instant::now(), counts.clone()));
        counts
    }
}

fn count(hub: &Inner, now: Timestamp) -> Value {
    let book = hub.alarms();
    let mut counts = counts(&book);
    let load = book.load(now);
    let oldest = book.oldest_unacked();
    drop(book);
    if let Some(fields) = counts.as_object_mut() {
        fields.insert("oldest_unacked_at".to_owned(), json!(oldest));
        fields.insert("rate_10min".to_owned(), load.announced.into());
        fields.insert("flood_since".to_owned(), json!(load.flood_since));
        let devices = Census::take(hub).by_status;
        fields.insert("devices".to_owned(), json!(devices));
    }
    counts
}
