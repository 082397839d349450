//! Plays readings and changes as the writer takes them in, up to what people would have been told.

use crate::{
    AlarmBook, BookEvent, Change, DeviceView, Engine, Rule, Settings, What, alarm_id, overtaken,
};
use model::{AlarmRow, AlarmState, Catalogue, DeviceKey, Reading, Severity, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whoever owns a book looks after it at least this often, as the writer does.
const TICK_MS: i64 = 1000;

/// A change of the register or the rules.
#[derive(Clone, Debug)]
pub enum Step {
    PutDevice(DeviceView),
    RemoveDevice(DeviceKey),
    PutRule(Box<Rule>),
    RemoveRule(String),
    /// The hub ran until then, and runs again.
    Resumed(Timestamp),
}

/// An alarm as it is at the end, if nobody did anything.
#[derive(Clone, Debug)]
pub struct Played {
    pub row: AlarmRow,
    /// The worst that it came to.
    pub worst: Severity,
    /// Known from late readings only.
    pub late: bool,
}

/// The engine and the book, told what the writer tells them, stamp by stamp.
#[derive(Debug)]
pub struct Rehearsal {
    engine: Engine,
    book: AlarmBook,
    stamp: Timestamp,
    /// What the book has not been told yet: changes of one stamp are one commit.
    changes: Vec<Change>,
    told: Vec<BookEvent>,
    played: BTreeMap<u64, Played>,
}

impl Rehearsal {
    /// Begins at `from` with nothing; what is there from the beginning is a change at `from`.
    pub fn begin(settings: Settings, catalogue: Arc<Catalogue>, from: Timestamp) -> Self {
        Self {
            engine: Engine::new(settings, catalogue),
            book: AlarmBook::default(),
            stamp: from,
            changes: Vec::new(),
            told: Vec::new(),
            played: BTreeMap::new(),
        }
    }

    /// Takes a reading; they come in the order in which they were received.
    #[inline]
    pub fn take(&mut self, reading: &Reading) {
        if reading.received_at > self.stamp {
            self.advance(reading.received_at);
        }
        self.engine.apply(self.stamp, reading, &mut self.changes);
    }

    /// Makes a change, before the readings of the same stamp.
    pub fn change(&mut self, at: Timestamp, step: Step) {
        if let Step::Resumed(since) = step {
            return self.resume(since, at);
        }
        if at > self.stamp {
            self.advance(at);
        }
        self.announce();
        let (at, out) = (self.stamp, &mut self.changes);
        match step {
            Step::PutDevice(device) => self.engine.put_device(at, device, out),
            Step::RemoveDevice(key) => self.engine.remove_device(at, key, out),
            Step::PutRule(rule) => self.engine.put_rule(at, *rule, out),
            Step::RemoveRule(id) => self.engine.remove_rule(at, &id, out),
            Step::Resumed(_) => {}
        }
        self.announce();
    }

    /// Leaves out the time in which the hub did not run.
    fn resume(&mut self, since: Timestamp, at: Timestamp) {
        if at <= self.stamp {
            return;
        }
        let since = since.max(self.stamp);
        self.advance(since);
        self.engine.resume(since, at, &mut self.changes);
        self.book.resume((since, at), &self.engine, &mut self.told);
        self.keep();
        self.advance(at);
    }

    /// Goes on to a new stamp: first what was received at the last one, then all that is due, each
    /// at its own instant, for that is when the writer wakes.
    pub fn advance(&mut self, to: Timestamp) {
        self.announce();
        let is_awaited = self.book.is_due(self.stamp, &self.engine);
        let mut tick = is_awaited.then(|| self.stamp.plus_ms(TICK_MS));
        loop {
            let deadlines = [self.engine.next_deadline(), self.book.next_deadline()];
            let next = deadlines.into_iter().chain([tick.take()]).flatten().min();
            let at = next.map_or(to, |at| at.clamp(self.stamp, to));
            self.engine.advance(at, &mut self.changes);
            self.announce();
            self.stamp = at;
            if self.book.is_due(at, &self.engine) {
                self.book.advance(at, &self.engine, &mut self.told);
                self.keep();
            }
            if at >= to {
                return;
            }
        }
    }

    /// Ends at `until` and gives the alarms in the order in which they began.
    pub fn finish(mut self, until: Timestamp) -> Vec<Played> {
        self.advance(until.max(self.stamp));
        for (number, played) in &mut self.played {
            // Figures move without an event.
            if let Some(row) = self.book.get(&alarm_id(*number)) {
                played.row.clone_from(row);
            }
        }
        let mut played: Vec<Played> = self.played.into_values().collect();
        // Two alarms of one device may begin at one instant, if the first one ends there, too.
        let key = |row: &AlarmRow| (row.raised_at, row.cleared_at.unwrap_or(Timestamp::MAX));
        played.sort_by(|a, b| {
            let ((a_at, a_ends), (b_at, b_ends)) = (key(&a.row), key(&b.row));
            a_at.cmp(&b_at)
                .then_with(|| a.row.rule.cmp(&b.row.rule))
                .then_with(|| a.row.device.cmp(&b.row.device))
                .then_with(|| a_ends.cmp(&b_ends))
        });
        played
    }

    #[inline]
    fn announce(&mut self) {
        if !self.changes.is_empty() {
            self.announce_all();
        }
    }

    fn announce_all(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        let overtaken = overtaken(changes.iter());
        for (index, change) in changes.iter().enumerate() {
            if overtaken.contains(&index) {
                continue;
            }
            if matches!(change.what, What::Updated(_)) {
                self.book.apply(change, None, &self.engine, &mut self.told);
                continue;
            }
            if self.book.lacks(change)
                && let Some(left) = self.played.get(&change.alarm)
            {
                self.book.recall(left.row.clone());
            }
            let facts = self.engine.facts(change);
            self.book
                .apply(change, facts.as_ref(), &self.engine, &mut self.told);
            self.keep();
        }
        self.changes = changes;
        self.changes.clear();
    }

    fn keep(&mut self) {
        for event in self.told.drain(..) {
            let BookEvent::Alarm(event) = event else {
                continue;
            };
            let Some(number) = event.number() else {
                continue;
            };
            // What people were told of stays, even if later readings show that it never was.
            if event.kind == "withdrawn" && event.row.announced_at.is_none() {
                self.played.remove(&number);
                continue;
            }
            if event.row.state == AlarmState::ClearedUnacked {
                self.book.put_away(number);
            }
            let before = self.played.get(&number);
            let worst = event.row.severity;
            let played = Played {
                worst: before.map_or(worst, |before| before.worst.max(worst)),
                late: before.map_or(event.kind == "recorded", |before| before.late),
                row: event.row,
            };
            self.played.insert(number, played);
        }
    }
}

#[cfg(test)]
mod tests;
