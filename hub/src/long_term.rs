//! Lets the web read from the server of a mirror, and shows how that goes.

use crate::config::{ConfigError, Loaded};
use mirror::history::{Ask, Found, History, HistoryError, Missing};
use std::sync::Arc;
use store::Reader;
use tokio_util::task::TaskTracker;
use web::{Figures, Health, LongAnswer, LongError, LongFuture, LongRange, LongTerm, MissingRange};

/// Opens the way to the server that older readings are read from, if there is one.
pub(crate) fn open(
    loaded: &Loaded,
    reader: &Reader,
    health: &Health,
) -> Result<Option<Arc<dyn LongTerm>>, ConfigError> {
    // Connections live no longer than the answers they are for: there is nothing to wait for at the end.
    let Some(server) = loaded.history_server(&TaskTracker::new())? else {
        return Ok(None);
    };
    let local_days = loaded.config.store.history_local_d;
    let history = OnServer(History::new(server, reader.clone(), local_days));
    history.show(health.figures());
    Ok(Some(Arc::new(history)))
}

/// History from the journal and from a server.
#[derive(Clone, Debug)]
struct OnServer(History);

impl OnServer {
    /// Shows how often the server is asked, and how it goes.
    fn show(&self, figures: &Figures) {
        let history = self.0.clone();
        figures.add(move |page| {
            let counted = history.figures();
            let answered = counted.asked.saturating_sub(counted.failed);
            for (outcome, count) in [("answered", answered), ("failed", counted.failed)] {
                let labels = [("outcome", outcome)];
                page.put("cityhub_history_answers_total", &labels, count);
            }
            let waited_s = std::time::Duration::from_millis(counted.waited_ms).as_secs_f64();
            page.put("cityhub_history_seconds_total", &[], waited_s);
        });
    }
}

impl LongTerm for OnServer {
    fn page(&self, range: LongRange) -> LongFuture<'_> {
        Box::pin(async move {
            let ask = Ask {
                device: range.device,
                metric: range.metric,
                shape: range.shape,
                query: range.query,
                agg: range.agg,
                now: range.now,
            };
            let found: Result<Found, HistoryError> = self.0.page(ask).await;
            match found {
                Ok(found) => Ok(LongAnswer {
                    page: found.page,
                    missing: found.missing.map(named),
                }),
                Err(HistoryError::Unavailable(missing)) => {
                    Err(LongError::Unavailable(named(missing)))
                }
                Err(HistoryError::Store(error)) => Err(LongError::Store(error)),
                Err(HistoryError::GivenUp(reason)) => Err(LongError::GivenUp(reason)),
            }
        })
    }
}

fn named(missing: Missing) -> MissingRange {
    MissingRange {
        from: missing.from,
        to: missing.to,
        reason: missing.reason,
    }
}
