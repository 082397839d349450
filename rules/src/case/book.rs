//! All cases that somebody still has to do something about, and those closed a short while ago.

use super::place::{Cell, DISTANCE_M_MAX, distance_m};
use super::steps::{Report, StepError, judge};
use model::{CaseRow, CaseState, CaseStep, CaseStepRow, Severity, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Figures and repeats move without an event each; one event a minute tells of them.
const UNTOLD_MAX_MS: i64 = 60_000;

/// When two alarms are the same case.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Repeat {
    pub distance_m: f64,
    pub within_s: u32,
}

impl Repeat {
    /// The greatest distance that can be asked for.
    pub const DISTANCE_M_MAX: f64 = DISTANCE_M_MAX;
}

/// One thing that happened to a case, with the row as it is after it.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseEvent {
    /// The last part of the event type `cityhub.case.<kind>`.
    pub kind: &'static str,
    pub row: CaseRow,
    pub at: Timestamp,
    /// False where only the row is to be stored, and an event follows within a minute.
    pub announced: bool,
}

/// What a step must be judged by, beside the case and the report.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct StepFacts<'a> {
    /// What the sensor still measures, for the refusal of a premature closing.
    pub reading: Option<&'a str>,
    /// The due time of a deferred case whose clock goes on now.
    pub resumed: Option<Timestamp>,
    /// The due time that an extension without a date of its own leads to.
    pub extended: Option<Timestamp>,
}

/// How many cases are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseCounts {
    pub by_state: BTreeMap<(CaseState, Severity), u64>,
    pub overdue: u64,
    pub unroutable: u64,
    pub supervised: u64,
}

/// Every open case, and the closed ones that a repeat may still take up again.
#[derive(Clone, Debug, Default)]
pub struct CaseBook {
    pub(super) rows: BTreeMap<u64, CaseRow>,
    pub(super) last_number: u64,
    /// How long a closed case is remembered: the longest time of repeats.
    pub(super) kept_s: u32,
    pub(super) by_alarm: HashMap<String, u64>,
    cells: HashMap<Cell, BTreeSet<u64>>,
    /// When something happens by itself: deferments end, due times pass, closed cases are forgotten.
    pub(super) timers: BTreeSet<(Timestamp, u64)>,
    counts: CaseCounts,
    /// Open cases with an alarm in doubt, by its device.
    pub(super) doubtful: BTreeMap<String, BTreeSet<u64>>,
}

impl CaseBook {
    /// Makes an empty book that remembers closed cases for some time.
    pub fn new(kept_s: u32) -> Self {
        Self {
            kept_s,
            ..Self::default()
        }
    }

    /// Takes up the cases that are open or were closed within the time of repeats.
    pub fn restore(rows: Vec<CaseRow>, last_number: u64, kept_s: u32) -> Self {
        let mut book = Self {
            last_number,
            ..Self::new(kept_s)
        };
        for row in rows {
            if let Some(number) = case_number(&row.id) {
                book.last_number = book.last_number.max(number);
                book.keep(number, row);
            }
        }
        book
    }

    /// Remembers closed cases for another time from now on, those that are closed already, too.
    pub fn remember_for(&mut self, kept_s: u32) {
        let before = std::mem::replace(&mut self.kept_s, kept_s);
        let closed = self.rows.iter().filter(|(_, row)| !row.state.is_open());
        for (number, row) in closed {
            if let Some(at) = timer(row, before) {
                self.timers.remove(&(at, *number));
            }
            self.timers
                .extend(timer(row, kept_s).map(|at| (at, *number)));
        }
    }

    pub fn get(&self, id: &str) -> Option<&CaseRow> {
        self.rows.get(&case_number(id)?)
    }

    /// Gives the case of an alarm.
    pub fn of_alarm(&self, alarm: &str) -> Option<&CaseRow> {
        self.rows.get(self.by_alarm.get(alarm)?)
    }

    /// Gives the cases in the order of their numbers.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &CaseRow> {
        self.rows.values()
    }

    /// Counts the open cases.
    pub fn counts(&self) -> &CaseCounts {
        &self.counts
    }

    /// Takes a step that somebody reports; a refused one changes nothing.
    pub fn step(
        &mut self,
        now: Timestamp,
        id: &str,
        report: &Report<'_>,
        facts: StepFacts<'_>,
    ) -> Result<CaseEvent, StepError> {
        let number = case_number(id).ok_or(StepError::NotFound)?;
        let row = self.rows.get(&number).ok_or(StepError::NotFound)?;
        let step = judge(row, report, now, facts)?;
        let event = self.change(now, number, |row| {
            apply(row, step, facts);
            true
        });
        event
            .map(|event| CaseEvent {
                kind: if event.row.state.is_open() {
                    "step"
                } else {
                    "closed"
                },
                ..event
            })
            .ok_or(StepError::NotFound)
    }

    /// Tells when something happens by itself.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Lets everything happen that is due: deferments end, cases become overdue. `due_at` gives the
    /// due time of a case whose clock goes on after it stood still.
    pub fn advance(
        &mut self,
        now: Timestamp,
        due_at: impl Fn(&CaseRow, Timestamp) -> Option<Timestamp>,
    ) -> Vec<CaseEvent> {
        let mut events = Vec::new();
        while let Some((at, number)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, number));
            let Some(row) = self.rows.get(&number) else {
                continue;
            };
            if !row.state.is_open() {
                self.forget(number);
                continue;
            }
            if owed_at(row).is_some_and(|owed_at| owed_at <= at) {
                events.extend(self.change(at, number, |_| true));
                continue;
            }
            let resumed = (row.state == CaseState::Deferred).then(|| due_at(row, at));
            events.extend(self.change(at, number, |row| match resumed {
                Some(due_at) => {
                    resume(row, due_at);
                    true
                }
                None => {
                    let is_news = !row.overdue;
                    row.overdue = true;
                    is_news
                }
            }));
        }
        events
    }

    pub(super) fn is_open(&self, number: u64) -> bool {
        self.rows
            .get(&number)
            .is_some_and(|row| row.state.is_open())
    }

    /// Finds the case that a new one would repeat: an open one before a closed one, then the latest.
    pub(super) fn find_alike(&self, new: &CaseRow, now: Timestamp, repeat: Repeat) -> Option<u64> {
        let oldest = now.plus_s(-i64::from(repeat.within_s));
        let alike = |number: &u64| {
            let row = self.rows.get(number)?;
            let measured = row.evidence.latest.map(|latest| latest.at);
            let last = row.closed_at.or(row.evidence.to.max(measured));
            let last = last.unwrap_or(row.opened_at);
            let is_same_place = match (&row.location, &new.location) {
                (Some(a), Some(b)) => distance_m(a, b).is_some_and(|m| m <= repeat.distance_m),
                _ => row.device == new.device,
            };
            let is_recent = row.violation != Some(false) || last >= oldest;
            // A case that was found to be none says nothing about the next one.
            let counts = row.state != CaseState::Voided;
            (is_same_place && is_recent && counts).then_some((row.state.is_open(), *number))
        };
        let cells = Cell::of(new).around();
        let numbers = cells
            .iter()
            .filter_map(|cell| self.cells.get(cell))
            .flatten();
        numbers.filter_map(alike).max().map(|(_, number)| number)
    }

    /// Changes a row, if `change` says that it did, and tells of it.
    pub(super) fn change(
        &mut self,
        at: Timestamp,
        number: u64,
        change: impl FnOnce(&mut CaseRow) -> bool,
    ) -> Option<CaseEvent> {
        let mut row = self.rows.get(&number)?.clone();
        if !change(&mut row) {
            return None;
        }
        row.version += 1;
        row.moved_at = None;
        row.untold_since = None;
        self.keep(number, row.clone());
        Some(CaseEvent {
            kind: "updated",
            row,
            at,
            announced: true,
        })
    }

    /// Changes a row, if `change` says that it did; an event tells of it within a minute.
    pub(super) fn change_quietly(
        &mut self,
        now: Timestamp,
        number: u64,
        change: impl FnOnce(&mut CaseRow) -> bool,
    ) -> Option<CaseEvent> {
        let mut row = self.rows.get(&number)?.clone();
        if !change(&mut row) {
            return None;
        }
        row.moved_at = Some(now);
        if row.state.is_open() {
            row.untold_since.get_or_insert(now);
        }
        self.keep(number, row.clone());
        Some(CaseEvent {
            kind: "updated",
            row,
            at: now,
            announced: false,
        })
    }

    pub(super) fn keep(&mut self, number: u64, row: CaseRow) {
        if let Some(old) = self.rows.get(&number) {
            if let Some(at) = timer(old, self.kept_s) {
                self.timers.remove(&(at, number));
            }
            self.counts.count(old, -1);
            for doubt in &old.doubts {
                if let Some(numbers) = self.doubtful.get_mut(&doubt.device) {
                    numbers.remove(&number);
                    if numbers.is_empty() {
                        self.doubtful.remove(&doubt.device);
                    }
                }
            }
        }
        if row.state.is_open() {
            for doubt in &row.doubts {
                let numbers = self.doubtful.entry(doubt.device.clone()).or_default();
                numbers.insert(number);
            }
        }
        for alarm in &row.alarms {
            if !self.by_alarm.contains_key(alarm) {
                self.by_alarm.insert(alarm.clone(), number);
            }
        }
        self.cells.entry(Cell::of(&row)).or_default().insert(number);
        if let Some(at) = timer(&row, self.kept_s) {
            self.timers.insert((at, number));
        }
        self.counts.count(&row, 1);
        self.rows.insert(number, row);
    }

    /// Drops a case that nothing can repeat any more; the store keeps it.
    fn forget(&mut self, number: u64) {
        let Some(row) = self.rows.remove(&number) else {
            return;
        };
        for alarm in &row.alarms {
            self.by_alarm.remove(alarm);
        }
        let key = Cell::of(&row);
        if let Some(numbers) = self.cells.get_mut(&key) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.cells.remove(&key);
            }
        }
    }
}

impl CaseCounts {
    fn count(&mut self, row: &CaseRow, by: i64) {
        if !row.state.is_open() {
            return;
        }
        let add = |count: &mut u64, counts: bool| {
            if counts {
                *count = count.saturating_add_signed(by);
            }
        };
        let key = (row.state, row.severity);
        add(self.by_state.entry(key).or_default(), true);
        self.by_state.retain(|_, count| *count > 0);
        add(&mut self.overdue, row.overdue);
        add(&mut self.unroutable, row.unroutable.is_some());
        add(&mut self.supervised, row.supervised);
    }
}

/// Tells when the event is due that an open case owes.
fn owed_at(row: &CaseRow) -> Option<Timestamp> {
    let since = row.untold_since.filter(|_| row.state.is_open())?;
    Some(since.plus_ms(UNTOLD_MAX_MS))
}

/// Tells when something happens to a case by itself.
pub(super) fn timer(row: &CaseRow, kept_s: u32) -> Option<Timestamp> {
    let own = match row.state {
        CaseState::Deferred => row.deferred_until,
        CaseState::Closed | CaseState::Voided => row
            .closed_at
            .map(|closed_at| closed_at.plus_s(i64::from(kept_s) + 1)),
        // Overdue is said once.
        _ => row
            .due_at
            .filter(|_| !row.overdue)
            .map(|due_at| due_at.plus_ms(1)),
    };
    own.into_iter().chain(owed_at(row)).min()
}

fn apply(row: &mut CaseRow, step: CaseStepRow, facts: StepFacts<'_>) {
    if row.state == CaseState::Deferred && step.step != CaseStep::Supervise {
        resume(row, facts.resumed);
    }
    match step.step {
        CaseStep::Extend => {
            row.extensions = row.extensions.saturating_add(1);
            row.due_at = step.until.or(facts.extended).or(row.due_at);
            row.overdue = row.due_at.is_some_and(|due_at| due_at < step.received_at);
        }
        CaseStep::Defer => {
            row.deferred_from = Some(row.state);
            row.deferred_until = step.until;
        }
        CaseStep::Supervise => row.supervised = true,
        _ => {}
    }
    // Whoever marks a deferred case leaves it where it is.
    if step.step != CaseStep::Supervise {
        row.state = step.to;
    }
    if !row.state.is_open() {
        row.closed_at = Some(step.received_at);
    }
    row.steps.push(step);
}

fn resume(row: &mut CaseRow, due_at: Option<Timestamp>) {
    if let Some(from) = row.deferred_from.take() {
        row.state = from;
    }
    row.deferred_until = None;
    row.due_at = due_at.or(row.due_at);
}

/// Gives the public id of a case.
pub(super) fn case_id(number: u64) -> String {
    format!("c{number}")
}

pub(super) fn case_number(id: &str) -> Option<u64> {
    let number = id.strip_prefix('c')?.parse().ok()?;
    (case_id(number) == id).then_some(number)
}

#[cfg(test)]
mod tests;
