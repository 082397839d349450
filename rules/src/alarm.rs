//! The life of an alarm (ISA-18.2): the engine's changes, people's actions and time become rows.
//!
//! The engine says which conditions hold; the book says what people see of them. It knows no clock:
//! whoever owns it calls [`AlarmBook::advance`] by [`AlarmBook::next_deadline`]. All that it must
//! remember is in the rows, so that a book made of the rows goes on as the one that wrote them.

mod act;
mod cause;
mod chatter;
mod facts;
mod flood;
mod index;
mod kin;
mod row;
mod time;
mod verb;

pub use facts::{Around, Cover, Facts, Scope};
pub use flood::{FloodEvent, count_floods};
pub use kin::Composite;
pub use verb::{ActError, Action, SHELVE_MINUTES_MAX, Verb};

use crate::{Change, ClearReason, What};
use chatter::Chatter;
use flood::Flood;
use index::{Index, source};
use model::{AlarmRow, AlarmState, Severity, Suppression, Timestamp};
pub use row::alarm_number;
use row::is_on_trial;
use std::collections::{BTreeMap, VecDeque};

/// How many rows that have become normal the book remembers, because readings out of order may
/// still amend them. An older one is read from the store.
const LEFT_ROWS_MAX: usize = 4096;

/// One thing that happened to an alarm, with the row as it is after it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmEvent {
    /// The last part of the event type `cityhub.alarm.<kind>`.
    pub kind: &'static str,
    pub at: Timestamp,
    pub row: AlarmRow,
    /// False for a rule on trial (`shadow`), and where only a timer moved: store the row, send no
    /// event.
    pub announced: bool,
}

impl AlarmEvent {
    /// Gives the engine's number of the alarm.
    pub fn number(&self) -> Option<u64> {
        alarm_number(&self.row.id)
    }

    /// Tells whether people are told of an alarm that asks for a response: for the first time, or
    /// again after it was set aside.
    pub fn sounds(&self) -> bool {
        let is_shown = matches!(
            self.row.state,
            AlarmState::ActiveUnacked | AlarmState::ActiveAcked
        );
        let is_first = self.row.announced_at == Some(self.at);
        self.announced
            && is_shown
            && match self.kind {
                "raised" | "returned" | "unshelved" | "in_service" => true,
                "amended" | "escalated" => is_first,
                _ => false,
            }
    }
}

/// What came out of the book.
#[derive(Clone, Debug, PartialEq)]
pub enum BookEvent {
    Alarm(Box<AlarmEvent>),
    Flood(FloodEvent),
}

/// How many alarms ask for attention, by the measures of ISA-18.2 and EEMUA 191.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Alarms announced in the last ten minutes.
    pub announced: usize,
    /// When the flood began that is on now.
    pub flood_since: Option<Timestamp>,
    /// Rules and devices that came and went three times in the last minute.
    pub chattering: usize,
    /// Alarms that have been active for more than a day.
    pub stale: usize,
}

/// Every alarm that is not `normal`.
#[derive(Clone, Debug, Default)]
pub struct AlarmBook {
    rows: BTreeMap<u64, AlarmRow>,
    /// The rows that became normal last, oldest first.
    left: VecDeque<(u64, AlarmRow)>,
    index: Index,
    chatter: Chatter,
    flood: Flood,
}

/// What the book works with during one call.
struct Scene<'a> {
    around: &'a dyn Around,
    at: Timestamp,
    out: &'a mut Vec<BookEvent>,
}

impl Scene<'_> {
    fn tell(&mut self, kind: &'static str, row: &mut AlarmRow) {
        self.note(kind, row, !is_on_trial(row));
    }

    /// Has the row stored, and sends an event if it is `announced`.
    fn note(&mut self, kind: &'static str, row: &mut AlarmRow, announced: bool) {
        row.version += 1;
        self.out.push(BookEvent::Alarm(Box::new(AlarmEvent {
            kind,
            at: self.at,
            row: row.clone(),
            announced,
        })));
    }
}

impl AlarmBook {
    /// Takes up the rows that were not `normal` when the hub stopped, and those raised or announced
    /// in the last day, whatever their state: they count for chatter and floods. The hub stopped
    /// at `now`: what was due until then has happened.
    pub fn restore(rows: Vec<AlarmRow>, now: Timestamp) -> Self {
        let mut book = Self::default();
        let mut announced = Vec::new();
        for row in rows {
            let Some(number) = alarm_number(&row.id) else {
                continue;
            };
            announced.extend(row.announced_at.map(|at| (at, number)));
            book.note_raise(number, &row);
            if row.state != AlarmState::Normal {
                book.keep(number, row);
            }
        }
        announced.sort_unstable();
        for (at, number) in announced {
            book.flood.advance(at);
            book.flood.count(at, number);
        }
        book.flood.advance(now);
        book
    }

    /// Tells whether the change is about an alarm that is not in the book (any more), so that its
    /// row must be read from the store and given to [`AlarmBook::recall`] first.
    pub fn lacks(&self, change: &Change) -> bool {
        let begins = matches!(change.what, What::Raised(_) | What::Recorded(_));
        !begins
            && !self.rows.contains_key(&change.alarm)
            && !self.left.iter().any(|(number, _)| *number == change.alarm)
    }

    /// Takes a row back that has left the book.
    pub fn recall(&mut self, row: AlarmRow) {
        let Some(number) = alarm_number(&row.id) else {
            return;
        };
        let is_known = self.left.iter().any(|(left, _)| *left == number);
        if !is_known && !self.rows.contains_key(&number) {
            self.keep(number, row);
        }
    }

    /// Lets a row go that is over, where nobody will ever acknowledge it. The first of a chatter
    /// stays, for those that follow are measured by it.
    pub(crate) fn put_away(&mut self, number: u64) {
        let is_over = |row: &&AlarmRow| row.state == AlarmState::ClearedUnacked && !row.chattering;
        if self.rows.get(&number).filter(is_over).is_some()
            && let Some(row) = self.take(number)
        {
            self.leave(number, row);
        }
    }

    /// Shows a row as it is in another book; a copy for readers is kept so.
    pub fn put(&mut self, row: AlarmRow) {
        let Some(number) = alarm_number(&row.id) else {
            return;
        };
        if let Some(old) = self.rows.remove(&number) {
            self.index.remove(number, &old);
            // An amendment may have moved it.
            self.chatter.forget(&source(&old), old.raised_at, number);
        }
        self.note_raise(number, &row);
        if let Some(at) = row.announced_at {
            self.flood.show(at, number);
        }
        if row.state != AlarmState::Normal {
            self.keep(number, row);
        }
    }

    /// Shows what a copy cannot tell from rows.
    pub fn show_flood(&mut self, of: &Self, now: Timestamp) {
        self.flood.since = of.flood.since;
        self.flood.forget(now);
        self.chatter.advance(now);
    }

    /// Takes in a change of the engine. `facts` begin a row; without them a change of an alarm that
    /// the book does not know is lost.
    pub fn apply(
        &mut self,
        change: &Change,
        facts: Option<&Facts<'_>>,
        around: &dyn Around,
        out: &mut Vec<BookEvent>,
    ) {
        if let What::Updated(figures) = &change.what {
            // The figures of an active alarm moved: no event.
            if let Some(row) = self.rows.get_mut(&change.alarm) {
                row::set_figures(row, figures);
            }
            return;
        }
        let at = change.at.min(around.now());
        let scene = &mut Scene { around, at, out };
        self.run_until(at, scene);
        scene.at = at;
        let begins = matches!(change.what, What::Raised(_) | What::Recorded(_));
        let known = match begins {
            true => None,
            false => self.take(change.alarm),
        };
        let Some(mut row) = known.or_else(|| Some(row::begin(change, facts?))) else {
            return;
        };
        let was = (row.active && row.version > 0, row.severity);
        let (old_source, old_raised_at) = (source(&row), row.raised_at);
        let kind = row::update(&mut row, change);
        if let (What::Amended(_), Some(facts)) = (&change.what, facts) {
            row::follow_device(&mut row, facts);
        }
        if row.raised_at != old_raised_at || row.device != old_source.1 {
            self.chatter
                .forget(&old_source, old_raised_at, change.alarm);
            self.note_raise(change.alarm, &row);
        }
        let kind = match &change.what {
            What::Withdrawn => {
                self.chatter
                    .forget(&source(&row), row.raised_at, change.alarm);
                Self::close(&mut row);
                kind
            }
            What::Recorded(_) => kind,
            _ if is_on_trial(&row) && !row::is_set_aside(&row) => {
                Self::follow(&mut row, None);
                kind
            }
            What::Raised(_) => self.place(change.alarm, &mut row, scene),
            what => self.move_along(&mut row, (what, kind), was.1, scene),
        };
        // Whoever was never told that it began need not be told that it ended.
        let is_known = row.announced_at.is_some() || is_on_trial(&row);
        let kind = if kind == "cleared" && !is_known {
            "settled"
        } else {
            kind
        };
        scene.tell(kind, &mut row);
        let begins = row.active && !was.0;
        let ends = was.0 && !row.active;
        let id = row.id.clone();
        self.keep(change.alarm, row);
        if begins {
            self.explain_others(change.alarm, scene);
        }
        if ends {
            self.end_cause(&id, cause::End::Cleared, scene);
        }
    }

    /// Tells the state after a change of an alarm that is known, and the name of the event.
    fn move_along(
        &mut self,
        row: &mut AlarmRow,
        (what, kind): (&What, &'static str),
        severity: Severity,
        scene: &mut Scene<'_>,
    ) -> &'static str {
        let is_worse = row.severity > severity;
        match row.state {
            AlarmState::OutOfService => kind,
            AlarmState::Shelved => {
                let shelved = row.shelved_severity.unwrap_or(severity);
                if row.active && row.severity > shelved {
                    row::leave_shelf(row);
                    self.sound(row, scene);
                }
                kind
            }
            AlarmState::Suppressed if row.active => {
                if is_worse && self.is_worse_than_its_cause(row) {
                    row::leave_cause(row);
                    self.sound(row, scene);
                }
                kind
            }
            AlarmState::Suppressed => {
                if row.latching {
                    return kind;
                }
                row.state = AlarmState::Normal;
                row.returns_at = None;
                kind
            }
            AlarmState::Normal if row.active && !row.acked => {
                // An amendment opens it again, perhaps for the first time that people see it.
                if !self.suppress_by_present_cause(row, scene) {
                    self.sound(row, scene);
                }
                kind
            }
            _ => {
                let reason = match what {
                    What::Cleared { reason, .. } => Some(*reason),
                    _ => Some(ClearReason::Normal),
                };
                Self::follow(row, reason);
                kind
            }
        }
    }

    /// Lets the state follow a condition that has (not) come back. An alarm that ends because its
    /// rule or device was edited does not latch: what it was about is no more.
    fn follow(row: &mut AlarmRow, ended: Option<ClearReason>) {
        use AlarmState as S;
        let latches = row.latching
            && matches!(
                ended,
                Some(ClearReason::Normal | ClearReason::ScheduleClosed)
            );
        row.state = match (row.state, row.active) {
            (S::Normal, false) => S::Normal,
            (state @ (S::LatchedUnacked | S::LatchedAcked), false) => state,
            (_, true) if row.acked => S::ActiveAcked,
            (_, true) => S::ActiveUnacked,
            (_, false) => match (latches, row.acked) {
                (true, false) => S::LatchedUnacked,
                (true, true) => S::LatchedAcked,
                (false, false) => S::ClearedUnacked,
                (false, true) => S::Normal,
            },
        };
    }

    /// Ends a row for good.
    fn close(row: &mut AlarmRow) {
        row.state = AlarmState::Normal;
        row.returns_at = None;
        row::leave_shelf(row);
    }

    /// Shows an active alarm to people.
    fn sound(&mut self, row: &mut AlarmRow, scene: &mut Scene<'_>) {
        row.acked = is_on_trial(row);
        row.state = if row.acked {
            AlarmState::ActiveAcked
        } else {
            AlarmState::ActiveUnacked
        };
        self.count_announced(row, scene);
    }

    fn count_announced(&mut self, row: &mut AlarmRow, scene: &mut Scene<'_>) {
        let Some(number) = alarm_number(&row.id) else {
            return;
        };
        if row.announced_at.is_some() || is_on_trial(row) {
            return;
        }
        row.announced_at = Some(scene.at);
        let began = self.flood.count(scene.at, number);
        scene.out.extend(began.map(BookEvent::Flood));
    }

    /// Notes which case an alarm belongs to. That is no change of the alarm.
    pub fn set_case(&mut self, id: &str, case: &str) {
        let Some(number) = alarm_number(id) else {
            return;
        };
        let left = self.left.iter_mut().rev();
        let row = match self.rows.get_mut(&number) {
            Some(row) => Some(row),
            None => left
                .filter(|(known, _)| *known == number)
                .map(|(_, row)| row)
                .next(),
        };
        if let Some(row) = row {
            row.case = Some(case.to_owned());
        }
    }

    pub fn get(&self, id: &str) -> Option<&AlarmRow> {
        self.rows.get(&alarm_number(id)?)
    }

    /// Gives the rows in the order of their numbers.
    pub fn rows(&self) -> impl Iterator<Item = &AlarmRow> {
        self.rows.values()
    }

    /// Tells how much there is to attend to.
    pub fn load(&self, now: Timestamp) -> Load {
        Load {
            announced: self.flood.len_at(now),
            flood_since: self.flood.since,
            chattering: self.chatter.len_at(now),
            stale: self.index.stale(),
        }
    }

    fn note_raise(&mut self, number: u64, row: &AlarmRow) {
        if !row::was_raised(row) {
            return;
        }
        let first = Self::run_of(row);
        self.chatter.note(source(row), row.raised_at, number, first);
    }

    /// Gives the first alarm of the chatter that the row is part of.
    fn run_of(row: &AlarmRow) -> Option<u64> {
        let is_chatter = row.suppression == Some(Suppression::Chatter);
        let first = row.suppressed_by.as_deref().filter(|_| is_chatter);
        first.and_then(alarm_number)
    }

    fn take(&mut self, number: u64) -> Option<AlarmRow> {
        if let Some(row) = self.rows.remove(&number) {
            self.index.remove(number, &row);
            return Some(row);
        }
        // An amended alarm is among the last that left.
        let place = self.left.iter().rposition(|(left, _)| *left == number)?;
        self.left.remove(place).map(|(_, row)| row)
    }

    fn keep(&mut self, number: u64, row: AlarmRow) {
        self.chatter
            .renew(&source(&row), row.raised_at, number, Self::run_of(&row));
        if row.state != AlarmState::Normal {
            self.index.add(number, &row);
            self.rows.insert(number, row);
            return;
        }
        self.leave(number, row);
    }

    fn leave(&mut self, number: u64, row: AlarmRow) {
        if self.left.len() == LEFT_ROWS_MAX {
            self.left.pop_front();
        }
        self.left.push_back((number, row));
    }
}

#[cfg(test)]
mod tests;
