//! The latest events, written once for all listeners: an alarm storm at a hundred desks reads the
//! journal once, not a hundred times.

use crate::problem::Problem;
use crate::state::{Shared, ask};
use crate::stream::write_message;
use axum::body::Bytes;
use model::Event;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};
use store::{EventFilter, StoreError};

/// Events that are kept; a listener that is further behind reads the journal itself.
const RECENT_MAX: usize = 1_024;

/// Events that are read at once.
pub(crate) const BATCH: usize = 256;

/// One event as it goes out.
#[derive(Debug)]
struct Message {
    /// What filters look at, without the JSON.
    event: Event,
    text: String,
}

#[derive(Debug, Default)]
struct Ring {
    /// Without a hole, up to `last`.
    messages: VecDeque<Message>,
    last: u64,
}

/// The shared ring.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    ring: RwLock<Ring>,
    /// The turn to read what is missing.
    turn: tokio::sync::Mutex<()>,
}

impl Recent {
    /// Sees to it that the ring reaches up to `newest`.
    pub(crate) async fn follow(&self, shared: &Shared, newest: u64) -> Result<(), Problem> {
        if self.last() >= newest {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        // Whoever had the turn before may have read it already; if nobody listened for a while,
        // there is no use in reading all that happened since.
        let mut after = self.last().max(newest.saturating_sub(BATCH as u64));
        while after < newest {
            let events = ask(shared, "follow the events", move |hub| {
                let all = EventFilter::default();
                match hub.reader.events(after, BATCH, &all) {
                    Err(StoreError::Expired { oldest }) => {
                        hub.reader.events(oldest.saturating_sub(1), BATCH, &all)
                    }
                    answer => answer,
                }
            })
            .await?;
            let Some(last) = events.last() else { break };
            after = last.seq;
            self.push(events);
        }
        Ok(())
    }

    /// Gives what follows `cursor`, [`BATCH`] events at most, and how far that reaches. `None`
    /// when the ring does not go back so far.
    pub(crate) fn after(&self, cursor: u64, filter: &EventFilter) -> Option<(Bytes, u64)> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let first = ring.messages.front()?.event.seq;
        let skipped = (cursor + 1).checked_sub(first)?;
        let following = ring.messages.iter().skip(usize::try_from(skipped).ok()?);
        let mut text = String::new();
        let mut reached = cursor;
        for message in following.take(BATCH) {
            if filter.lets_pass(&message.event) {
                text.push_str(&message.text);
            }
            reached = message.event.seq;
        }
        Some((text.into(), reached))
    }

    fn last(&self) -> u64 {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.last
    }

    fn push(&self, events: Vec<Event>) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        for mut event in events {
            if event.seq != ring.last + 1 {
                ring.messages.clear();
            }
            let mut text = String::new();
            write_message(&mut text, event.seq, &event.kind, &event.json);
            ring.last = event.seq;
            event.grid = event.place().map(Cow::into_owned);
            event.json = String::new();
            ring.messages.push_back(Message { event, text });
            if ring.messages.len() > RECENT_MAX {
                ring.messages.pop_front();
            }
        }
    }
}
