//! All cases that somebody still has to do something about, and those closed a short while ago.

use super::steps::{Report, StepError, judge};
use model::geo::Point;
use model::{CasePlace, CaseRow, CaseState, CaseStep, CaseStepRow, Severity, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Cells of this size index cases by place; it must not be smaller than the distance of repeats
/// over the cosine of the highest latitude of a city.
const CELL_DEG: f64 = 0.01;

/// Alarms that one case names; a sensor that rings all year must not grow its case without end.
const ALARMS_MAX: usize = 1_000;

/// When two alarms are the same case.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Repeat {
    pub distance_m: f64,
    pub within_s: u32,
}

/// One thing that happened to a case, with the row as it is after it.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseEvent {
    /// The last part of the event type `cityhub.case.<kind>`.
    pub kind: &'static str,
    pub row: CaseRow,
    pub at: Timestamp,
}

/// A case as it would be opened; the book decides whether it is one.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCase {
    /// `id`, `version` and what only the book knows are filled in by it.
    pub row: CaseRow,
}

/// Every open case, and the closed ones that a repeat may still take up again.
#[derive(Clone, Debug, Default)]
pub struct CaseBook {
    rows: BTreeMap<u64, CaseRow>,
    last_number: u64,
    by_alarm: HashMap<String, u64>,
    /// By category and place.
    cells: HashMap<(String, i32, i32), BTreeSet<u64>>,
    /// When something happens by itself: deferments end, due times pass, closed cases are forgotten.
    timers: BTreeSet<(Timestamp, u64)>,
}

impl CaseBook {
    /// Takes up the cases that are open or were closed within the time of repeats.
    pub fn restore(rows: Vec<CaseRow>, last_number: u64, repeat: Repeat) -> Self {
        let mut book = Self {
            last_number,
            ..Self::default()
        };
        for row in rows {
            if let Some(number) = case_number(&row.id) {
                book.last_number = book.last_number.max(number);
                book.keep(number, row, repeat);
            }
        }
        book
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

    /// Opens a case for an alarm, or attaches the alarm to the case that it repeats.
    pub fn open(&mut self, now: Timestamp, new: NewCase, repeat: Repeat) -> Vec<CaseEvent> {
        let found = self.find_alike(&new.row, now, repeat);
        if let Some(number) = found.filter(|number| self.is_open(*number)) {
            return self
                .attach(now, number, &new.row, repeat)
                .into_iter()
                .collect();
        }
        self.last_number += 1;
        let number = self.last_number;
        let mut row = new.row;
        row.id = case_id(number);
        row.version = 1;
        row.alarms = vec![row.alarm.clone()];
        row.active_alarms = vec![row.alarm.clone()];
        row.violation = true;
        let mut events = Vec::new();
        if let Some(before) = found {
            row.reopens = Some(case_id(before));
            events.extend(self.change(now, before, repeat, |old| {
                old.reopened_by = Some(case_id(number));
                true
            }));
        }
        self.keep(number, row.clone(), repeat);
        events.insert(
            0,
            CaseEvent {
                kind: "opened",
                row,
                at: now,
            },
        );
        events
    }

    /// Lets the case of an alarm know that the alarm goes on: its severity, value or peak moved.
    pub fn alarm_moved(
        &mut self,
        now: Timestamp,
        alarm: &str,
        (severity, value, peak, readings): (Severity, Option<f64>, Option<f64>, u64),
        repeat: Repeat,
    ) -> Option<CaseEvent> {
        let number = *self.by_alarm.get(alarm)?;
        self.change(now, number, repeat, |row| {
            let evidence = &mut row.evidence;
            let is_same = row.severity >= severity
                && evidence.value == value
                && evidence.peak == peak
                && evidence.readings >= readings;
            row.severity = row.severity.max(severity);
            evidence.value = value;
            evidence.peak = peak;
            evidence.readings = evidence.readings.max(readings);
            evidence.to = Some(now);
            !is_same
        })
    }

    /// Lets the case of an alarm know that the violation is no longer measured. That is evidence for
    /// 核实, and closes nothing.
    pub fn alarm_ended(
        &mut self,
        now: Timestamp,
        alarm: &str,
        ended_at: Timestamp,
        repeat: Repeat,
    ) -> Option<CaseEvent> {
        let number = *self.by_alarm.get(alarm)?;
        self.change(now, number, repeat, |row| {
            let before = row.active_alarms.len();
            row.active_alarms.retain(|active| active != alarm);
            row.violation = !row.active_alarms.is_empty();
            row.evidence.to = Some(ended_at);
            row.active_alarms.len() != before
        })
    }

    /// Takes a step that somebody reports; a refused one changes nothing.
    ///
    /// `reading` says what the sensor still measures. `due_at` is the due time that an extension
    /// without a date of its own, or the end of a deferment, leads to.
    pub fn step(
        &mut self,
        now: Timestamp,
        id: &str,
        report: &Report<'_>,
        (reading, due_at): (Option<&str>, Option<Timestamp>),
        repeat: Repeat,
    ) -> Result<CaseEvent, StepError> {
        let number = case_number(id).ok_or(StepError::NotFound)?;
        let row = self.rows.get(&number).ok_or(StepError::NotFound)?;
        let step = judge(row, report, now, reading)?;
        let event = self.change(now, number, repeat, |row| {
            apply(row, step, due_at);
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
        repeat: Repeat,
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
            let resumed = (row.state == CaseState::Deferred).then(|| due_at(row, at));
            events.extend(self.change(at, number, repeat, |row| match resumed {
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

    fn is_open(&self, number: u64) -> bool {
        self.rows
            .get(&number)
            .is_some_and(|row| row.state.is_open())
    }

    /// Finds the case that a new one would repeat: an open one before a closed one, then the latest.
    fn find_alike(&self, new: &CaseRow, now: Timestamp, repeat: Repeat) -> Option<u64> {
        let oldest = now.plus_s(-i64::from(repeat.within_s));
        let alike = |number: &u64| {
            let row = self.rows.get(number)?;
            let last = row.closed_at.or(row.evidence.to).unwrap_or(row.opened_at);
            let is_same_place = match (&row.location, &new.location) {
                (Some(a), Some(b)) => distance_m(a, b).is_some_and(|m| m <= repeat.distance_m),
                _ => row.device == new.device,
            };
            let is_recent = row.violation || last >= oldest;
            // A case that was found to be none says nothing about the next one.
            let counts = row.state != CaseState::Voided;
            (is_same_place && is_recent && counts).then_some((row.state.is_open(), *number))
        };
        let cells = around(new);
        let numbers = cells
            .iter()
            .filter_map(|cell| self.cells.get(cell))
            .flatten();
        numbers.filter_map(alike).max().map(|(_, number)| number)
    }

    fn attach(
        &mut self,
        now: Timestamp,
        number: u64,
        new: &CaseRow,
        repeat: Repeat,
    ) -> Option<CaseEvent> {
        self.by_alarm.insert(new.alarm.clone(), number);
        self.change(now, number, repeat, |row| {
            if row.alarms.len() < ALARMS_MAX {
                row.alarms.push(new.alarm.clone());
            }
            row.active_alarms.push(new.alarm.clone());
            row.violation = true;
            row.repeats = row.repeats.saturating_add(1);
            row.severity = row.severity.max(new.severity);
            row.evidence.to = new.evidence.to.or(row.evidence.to);
            true
        })
    }

    /// Changes a row, if `change` says that it did, and tells of it.
    fn change(
        &mut self,
        at: Timestamp,
        number: u64,
        repeat: Repeat,
        change: impl FnOnce(&mut CaseRow) -> bool,
    ) -> Option<CaseEvent> {
        let mut row = self.rows.get(&number)?.clone();
        if !change(&mut row) {
            return None;
        }
        row.version += 1;
        self.keep(number, row.clone(), repeat);
        Some(CaseEvent {
            kind: "updated",
            row,
            at,
        })
    }

    fn keep(&mut self, number: u64, row: CaseRow, repeat: Repeat) {
        if let Some(at) = self.rows.get(&number).and_then(|row| timer(row, repeat)) {
            self.timers.remove(&(at, number));
        }
        for alarm in &row.alarms {
            self.by_alarm.insert(alarm.clone(), number);
        }
        self.cells.entry(cell(&row)).or_default().insert(number);
        if let Some(at) = timer(&row, repeat) {
            self.timers.insert((at, number));
        }
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
        let key = cell(&row);
        if let Some(numbers) = self.cells.get_mut(&key) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.cells.remove(&key);
            }
        }
    }
}

/// Measures between two places of one datum; those of two cannot be compared.
fn distance_m(a: &CasePlace, b: &CasePlace) -> Option<f64> {
    let point = |place: &CasePlace| Point::from_degrees(place.lon, place.lat);
    (a.datum == b.datum).then(|| Some(point(a)?.distance_m(point(b)?)))?
}

/// Tells when something happens to a case by itself.
fn timer(row: &CaseRow, repeat: Repeat) -> Option<Timestamp> {
    match row.state {
        CaseState::Deferred => row.deferred_until,
        CaseState::Closed | CaseState::Voided => row
            .closed_at
            .map(|closed_at| closed_at.plus_s(i64::from(repeat.within_s) + 1)),
        // Overdue is said once.
        _ => row
            .due_at
            .filter(|_| !row.overdue)
            .map(|due_at| due_at.plus_ms(1)),
    }
}

fn apply(row: &mut CaseRow, step: CaseStepRow, due_at: Option<Timestamp>) {
    if row.state == CaseState::Deferred && step.step != CaseStep::Supervise {
        resume(row, due_at);
    }
    match step.step {
        CaseStep::Extend => {
            row.extensions = row.extensions.saturating_add(1);
            row.due_at = step.until.or(due_at).or(row.due_at);
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

fn cell(row: &CaseRow) -> (String, i32, i32) {
    let (x, y) = row.location.as_ref().map_or((i32::MIN, i32::MIN), |place| {
        (index(place.lon), index(place.lat))
    });
    (row.category.code.clone(), x, y)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "degrees over the size of a cell fit i32, and a cast of a float saturates"
)]
fn index(degrees: f64) -> i32 {
    (degrees / CELL_DEG).floor() as i32
}

/// Gives the cell of a case and its neighbours.
fn around(row: &CaseRow) -> Vec<(String, i32, i32)> {
    let (code, x, y) = cell(row);
    if row.location.is_none() {
        return vec![(code, x, y)];
    }
    let mut cells = Vec::with_capacity(9);
    for dx in -1..=1 {
        for dy in -1..=1 {
            cells.push((code.clone(), x.saturating_add(dx), y.saturating_add(dy)));
        }
    }
    cells
}

/// Gives the public id of a case.
fn case_id(number: u64) -> String {
    format!("c{number}")
}

fn case_number(id: &str) -> Option<u64> {
    let number = id.strip_prefix('c')?.parse().ok()?;
    (case_id(number) == id).then_some(number)
}

#[cfg(test)]
mod tests;
