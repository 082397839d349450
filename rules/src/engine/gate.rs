//! A lane's state behind its rule's schedule: outside of it no deadline fires and no alarm lasts.

use super::Entry;
use crate::kind::{Sample, State, Step};
use crate::{Schedule, Zone};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// No instant.
const NEVER: i64 = i64::MAX;
/// Nothing has happened yet, so that it is not known whether the schedule is open.
const UNBEGUN: i64 = i64::MIN;
/// How many stretches of a schedule are remembered: live, late readings, and a change between.
const SHIFTS_MAX: usize = 8;

/// A stretch of time through which a schedule is open or closed.
#[derive(Copy, Clone, Debug)]
struct Shift {
    from_ms: i64,
    until_ms: i64,
    is_open: bool,
}

/// A schedule in the city's zone. All lanes of a rule ask for the same few stretches, of which
/// finding the end costs a walk through the calendar.
#[derive(Debug)]
pub(super) struct Shifts {
    schedule: Schedule,
    zone: Zone,
    known: Mutex<Vec<Shift>>,
}

impl Shifts {
    /// A rule that always counts has none.
    pub(super) fn new(schedule: &Schedule, zone: &Zone) -> Option<Self> {
        (!schedule.is_always()).then(|| Self {
            schedule: schedule.clone(),
            zone: zone.clone(),
            known: Mutex::new(Vec::new()),
        })
    }

    fn at(&self, at_ms: i64) -> Shift {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known
            .iter()
            .find(|shift| shift.from_ms <= at_ms && at_ms < shift.until_ms);
        if let Some(found) = found {
            return *found;
        }
        let shift = Shift {
            from_ms: at_ms,
            until_ms: self
                .schedule
                .next_edge_ms(&self.zone, at_ms)
                .unwrap_or(NEVER),
            is_open: self.schedule.is_open(&self.zone, at_ms),
        };
        // The same stretch may be known from a later instant on.
        known.retain(|other| other.until_ms != shift.until_ms);
        if known.len() >= SHIFTS_MAX {
            known.remove(0);
        }
        known.push(shift);
        shift
    }
}

/// The state of a rule's kind, and whether the rule counts at the moment.
///
/// A state that is plain goes through the edges of the schedule unchanged, so that it is not woken
/// for them: its gate is set when the next input comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Gated {
    pub(super) state: State,
    /// Up to here `is_open` holds.
    until_ms: i64,
    is_open: bool,
}

impl Gated {
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            until_ms: UNBEGUN,
            is_open: true,
        }
    }

    /// Begins without an input.
    pub(super) fn begin(&mut self, entry: &Entry, at_ms: i64) {
        self.set(entry, at_ms);
        if self.is_open {
            entry.condition().open(&mut self.state, at_ms);
        }
    }

    #[cold]
    fn set(&mut self, entry: &Entry, at_ms: i64) {
        (self.is_open, self.until_ms) = entry.shifts.as_ref().map_or((true, NEVER), |shifts| {
            let shift = shifts.at(at_ms);
            (shift.is_open, shift.until_ms)
        });
    }

    /// Leaves out a stretch of time in which nothing could be received. What is closed begins anew
    /// whenever it opens.
    pub(super) fn resume(&mut self, entry: &Entry, gap: (i64, i64), begins_anew: bool) {
        let begins_anew = begins_anew || !self.is_open;
        entry.condition().resume(&mut self.state, gap, begins_anew);
    }

    #[inline]
    pub(super) fn step(&mut self, entry: &Entry, at_ms: i64, sample: &Sample) -> Step {
        if at_ms >= self.until_ms || self.until_ms == UNBEGUN {
            self.set(entry, at_ms);
        }
        if self.is_open {
            return entry.condition().step(&mut self.state, at_ms, sample);
        }
        entry.condition().hold(&mut self.state, at_ms, sample);
        Step::Quiet
    }

    #[inline]
    pub(super) fn deadline(&self, entry: &Entry) -> Option<i64> {
        if self.until_ms == NEVER {
            return if self.is_open {
                entry.condition().deadline(&self.state)
            } else {
                None
            };
        }
        if self.until_ms == UNBEGUN || self.state.is_plain() {
            return None;
        }
        let kind = entry.condition().deadline(&self.state);
        let kind_ms = kind.filter(|_| self.is_open).unwrap_or(NEVER);
        Some(kind_ms.min(self.until_ms))
    }

    /// Lets happen what is due at `at_ms`; at one instant the schedule comes first.
    pub(super) fn fire(&mut self, entry: &Entry, at_ms: i64) -> Step {
        let condition = entry.condition();
        if at_ms < self.until_ms {
            return condition.fire(&mut self.state, at_ms);
        }
        let was_open = self.is_open;
        self.set(entry, at_ms);
        match (was_open, self.is_open) {
            (false, true) => condition.open(&mut self.state, at_ms),
            (true, false) => match condition.close(&mut self.state, at_ms) {
                Step::Cleared(figures) => Step::Closed(figures),
                step => step,
            },
            // The schedule is quiet for longer than it looks ahead.
            _ => Step::Quiet,
        }
    }
}
