//! Runs rules over recorded readings as live does, up to what people would have been told.

use crate::{
    AlarmBook, AlarmSpan, BookEvent, Change, Engine, History, Plan, What, alarm_id, overtaken,
};
use model::{AlarmRow, Reading, Timestamp};
use std::collections::BTreeMap;

/// What would have come of it, if nobody had done anything.
#[derive(Clone, Debug, Default)]
pub struct Rehearsal {
    /// Every alarm as it is at the end, in the order of the numbers.
    pub rows: Vec<AlarmRow>,
    /// What would have been sent, in order.
    pub events: Vec<BookEvent>,
    pub spans: Vec<AlarmSpan>,
}

/// Plays `chunks`, whose readings come in the order in which they were received.
pub fn rehearse<E>(
    plan: Plan,
    chunks: impl IntoIterator<Item = Result<Vec<Reading>, E>>,
) -> Result<Rehearsal, E> {
    let until = plan.until;
    let mut stage = Stage::new(plan);
    for chunk in chunks {
        for reading in &chunk? {
            stage.take(reading);
        }
    }
    Ok(stage.finish(until))
}

/// The engine and the book, told what the writer tells them, stamp by stamp.
struct Stage {
    engine: Engine,
    book: AlarmBook,
    history: History,
    stamp: Timestamp,
    changes: Vec<Change>,
    told: Vec<BookEvent>,
    rows: BTreeMap<u64, AlarmRow>,
    events: Vec<BookEvent>,
}

impl Stage {
    fn new(plan: Plan) -> Self {
        let mut engine = Engine::new(plan.settings, plan.catalogue);
        let mut changes = Vec::new();
        for device in plan.devices {
            engine.put_device(plan.from, device, &mut changes);
        }
        for rule in plan.rules {
            engine.put_rule(plan.from, rule, &mut changes);
        }
        Self {
            engine,
            book: AlarmBook::default(),
            history: History::default(),
            stamp: plan.from,
            changes,
            told: Vec::new(),
            rows: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    #[inline]
    fn take(&mut self, reading: &Reading) {
        if reading.received_at > self.stamp {
            self.advance(reading.received_at);
        }
        self.engine.apply(self.stamp, reading, &mut self.changes);
    }

    /// Goes on to a new stamp: first what was received at the last one, then all that is due.
    fn advance(&mut self, to: Timestamp) {
        self.announce();
        self.engine.advance(to, &mut self.changes);
        self.announce();
        self.stamp = to;
        if self.book.is_due(to, &self.engine) {
            self.book.advance(to, &self.engine, &mut self.told);
            self.keep();
        }
    }

    fn announce(&mut self) {
        if self.changes.is_empty() {
            return;
        }
        let changes = std::mem::take(&mut self.changes);
        let overtaken = overtaken(changes.iter());
        for (index, change) in changes.iter().enumerate() {
            self.history.apply(change);
            if overtaken.contains(&index) {
                continue;
            }
            if self.book.lacks(change)
                && let Some(row) = self.rows.get(&change.alarm)
            {
                self.book.recall(row.clone());
            }
            let facts = self.engine.facts(change);
            self.book
                .apply(change, facts.as_ref(), &self.engine, &mut self.told);
            if matches!(change.what, What::Updated(_))
                && let Some(row) = self.book.get(&alarm_id(change.alarm))
            {
                self.rows.insert(change.alarm, row.clone());
            }
        }
        self.changes = changes;
        self.changes.clear();
        self.keep();
    }

    fn keep(&mut self) {
        for event in self.told.drain(..) {
            if let BookEvent::Alarm(event) = &event
                && let Some(number) = event.number()
            {
                self.rows.insert(number, event.row.clone());
            }
            let is_sent = match &event {
                BookEvent::Alarm(event) => event.announced,
                BookEvent::Flood(_) => true,
            };
            self.events.extend(is_sent.then_some(event));
        }
    }

    fn finish(mut self, until: Timestamp) -> Rehearsal {
        self.advance(until.max(self.stamp));
        Rehearsal {
            rows: self.rows.into_values().collect(),
            events: self.events,
            spans: self.history.into_spans(),
        }
    }
}

#[cfg(test)]
mod tests;
