//! The live engine and the alarm book over readings in the order of receipt, without people.

use model::{AlarmRow, Reading, Severity, Timestamp};
use rules::{AlarmBook, BookEvent, Change, Engine, Plan};
use std::collections::BTreeMap;

/// An alarm as the rehearsal left it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) row: AlarmRow,
    /// The worst that it came to.
    pub(super) worst: Severity,
}

/// The engine and the book, as the writer keeps them.
pub(super) struct Rehearsal {
    engine: Engine,
    book: AlarmBook,
    changes: Vec<Change>,
    told: Vec<BookEvent>,
    kept: BTreeMap<u64, Kept>,
    pub(super) floods: u64,
    now: Timestamp,
}

impl Rehearsal {
    pub(super) fn begin(plan: Plan) -> Self {
        let mut rehearsal = Self {
            engine: Engine::new(plan.settings, plan.catalogue),
            book: AlarmBook::default(),
            changes: Vec::new(),
            told: Vec::new(),
            kept: BTreeMap::new(),
            floods: 0,
            now: plan.from,
        };
        for device in plan.devices {
            let out = &mut rehearsal.changes;
            rehearsal.engine.put_device(plan.from, device, out);
        }
        for rule in plan.rules {
            let out = &mut rehearsal.changes;
            rehearsal.engine.put_rule(plan.from, rule, out);
        }
        rehearsal.tell();
        rehearsal
    }

    pub(super) fn take(&mut self, reading: &Reading) {
        if reading.received_at > self.now {
            self.advance(reading.received_at);
        }
        self.engine
            .apply(reading.received_at, reading, &mut self.changes);
        self.tell();
    }

    /// Does what is due up to `to`, each at its own instant: what the book knows of one deadline
    /// decides what it makes of the next.
    pub(super) fn advance(&mut self, to: Timestamp) {
        loop {
            let deadlines = [self.engine.next_deadline(), self.book.next_deadline()];
            let next = deadlines.into_iter().flatten().min();
            let at = next.map_or(to, |at| at.clamp(self.now, to));
            self.engine.advance(at, &mut self.changes);
            self.tell();
            self.book.advance(at, &self.engine, &mut self.told);
            self.keep();
            self.now = at;
            if at >= to {
                return;
            }
        }
    }

    /// Gives the alarms in the order in which they were raised.
    pub(super) fn finish(self) -> Vec<Kept> {
        let mut kept: Vec<Kept> = self.kept.into_values().collect();
        for alarm in &mut kept {
            // Figures move without an event.
            if let Some(row) = self.book.get(&alarm.row.id) {
                alarm.row.clone_from(row);
            }
        }
        kept.sort_by(|a, b| {
            let key = |kept: &Kept| (kept.row.raised_at, kept.row.rule.clone());
            key(a)
                .cmp(&key(b))
                .then_with(|| a.row.device.cmp(&b.row.device))
        });
        kept
    }

    fn tell(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        for change in &changes {
            if self.book.lacks(change)
                && let Some(left) = self.kept.get(&change.alarm)
            {
                self.book.recall(left.row.clone());
            }
            let facts = self.engine.facts(change);
            self.book
                .apply(change, facts.as_ref(), &self.engine, &mut self.told);
        }
        self.changes = changes;
        self.changes.clear();
        self.keep();
    }

    fn keep(&mut self) {
        for event in self.told.drain(..) {
            let event = match event {
                BookEvent::Alarm(event) => event,
                BookEvent::Flood(flood) => {
                    self.floods += u64::from(!flood.ended);
                    continue;
                }
            };
            let Some(number) = event.number() else {
                continue;
            };
            // What people were told of stays, even if later readings show that it never was.
            if event.kind == "withdrawn" && event.row.announced_at.is_none() {
                self.kept.remove(&number);
                continue;
            }
            let worst = self.kept.get(&number).map(|kept| kept.worst);
            let worst = worst.map_or(event.row.severity, |worst| worst.max(event.row.severity));
            let row = event.row;
            self.kept.insert(number, Kept { row, worst });
        }
    }
}
