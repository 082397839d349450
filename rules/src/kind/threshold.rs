//! `threshold`: the value is beyond a limit for long enough.
//!
//! Every level has its own latch: it closes when the value has been beyond that limit (or a worse
//! one) for the on-delay, and opens when the value has been back inside, by more than the
//! deadband, for the off-delay. The alarm's severity is that of the worst closed latch, so that it
//! steps up and down by the same two delays by which it is raised and cleared.

use super::{Look, Params, Step};
use crate::Figures;
use model::{Severity, Timestamp};
use serde::{Deserialize, Serialize};

/// One level for each severity is the most there can be.
pub(crate) const LEVELS_MAX: usize = Severity::ALL.len();

/// A timer that does not run.
const NEVER: i64 = i64::MAX;

/// One limit (or a limit on either side) with the severity that it means.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    pub severity: Severity,
    pub above: Option<f64>,
    pub below: Option<f64>,
}

/// What a `threshold` rule watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub metric: String,
    /// From the mildest to the worst, one for each severity at most; never empty.
    pub levels: Vec<Level>,
    pub deadband: f64,
    pub on_delay_s: u32,
    pub off_delay_s: u32,
}

/// A lane that is plainly normal, as nearly all are, needs no memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State(Option<Box<Excursion>>);

/// The value is, or was a moment ago, beyond the mildest limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Excursion {
    /// How many latches are closed.
    closed: usize,
    /// For an open latch: since when the value is beyond it; for a closed one: since when the value
    /// is back inside.
    since_ms: [i64; LEVELS_MAX],
    /// On which side the value was last beyond.
    is_above: bool,
    value: f64,
    peak: f64,
    count: u64,
}

impl State {
    pub(super) fn is_plain(&self) -> bool {
        self.0.is_none()
    }
}

impl Level {
    fn is_beyond(&self, value: f64) -> bool {
        self.above.is_some_and(|limit| value > limit)
            || self.below.is_some_and(|limit| value < limit)
    }

    /// Tells whether the value is back inside; with a deadband it must be under `above - deadband`.
    fn is_inside(&self, value: f64, deadband: f64) -> bool {
        if deadband > 0.0 {
            self.above.is_none_or(|limit| value < limit - deadband)
                && self.below.is_none_or(|limit| value > limit + deadband)
        } else {
            !self.is_beyond(value)
        }
    }

    fn limit(&self, is_above: bool) -> Option<f64> {
        if is_above {
            self.above.or(self.below)
        } else {
            self.below.or(self.above)
        }
    }
}

impl Spec {
    pub(crate) fn severity(&self) -> Severity {
        self.levels
            .last()
            .map_or(Severity::Warning, |level| level.severity)
    }

    #[inline]
    fn is_beyond(&self, value: f64) -> bool {
        self.levels.iter().any(|level| level.is_beyond(value))
    }

    fn on_ms(&self) -> i64 {
        i64::from(self.on_delay_s) * 1000
    }

    fn off_ms(&self) -> i64 {
        i64::from(self.off_delay_s) * 1000
    }

    /// Measures how far a value is beyond the nearest limit of its side.
    fn excess(&self, value: f64) -> f64 {
        let over = |level: &Level| level.above.map(|limit| value - limit);
        let under = |level: &Level| level.below.map(|limit| limit - value);
        self.levels
            .iter()
            .flat_map(|level| [over(level), under(level)])
            .flatten()
            .fold(f64::NEG_INFINITY, f64::max)
    }
}

impl Excursion {
    fn new(value: f64) -> Self {
        Self {
            closed: 0,
            since_ms: [NEVER; LEVELS_MAX],
            is_above: true,
            value,
            peak: value,
            count: 0,
        }
    }

    /// Starts and stops the timers for a value observed at `at_ms`.
    fn observe(&mut self, spec: &Spec, at_ms: i64, value: f64) {
        self.value = value;
        let mut beyond_any = false;
        let mut inside_all = true;
        // From the worst level to the mildest: beyond a worse limit is beyond a milder one, too.
        let levels = spec.levels.iter().zip(&mut self.since_ms).enumerate().rev();
        for (index, (level, since_ms)) in levels {
            beyond_any |= level.is_beyond(value);
            inside_all &= level.is_inside(value, spec.deadband);
            let runs = if index < self.closed {
                inside_all
            } else {
                beyond_any
            };
            if !runs {
                *since_ms = NEVER;
            } else if *since_ms == NEVER {
                *since_ms = at_ms;
            }
        }
        if !beyond_any {
            return;
        }
        let is_over = |level: &Level| level.above.is_some_and(|limit| value > limit);
        self.is_above = spec.levels.iter().any(is_over);
        if self.count == 0 || spec.excess(value) > spec.excess(self.peak) {
            self.peak = value;
        }
        self.count += 1;
    }

    /// Closes and opens the latches whose time has come.
    fn latch(&mut self, spec: &Spec, at_ms: i64) -> Latched {
        let was_closed = self.closed;
        let due = |since_ms: i64, delay_ms| {
            since_ms != NEVER && since_ms.saturating_add(delay_ms) <= at_ms
        };
        for (index, since_ms) in self.since_ms.iter().enumerate() {
            if index >= was_closed && due(*since_ms, spec.on_ms()) {
                self.closed = index + 1;
            }
        }
        if self.closed > was_closed {
            // The value is beyond these limits, so that it is not back inside any of them.
            for since_ms in self.since_ms.iter_mut().take(self.closed) {
                *since_ms = NEVER;
            }
            return Latched::Up {
                is_first: was_closed == 0,
            };
        }
        let opened = (0..was_closed).find(|index| {
            self.since_ms
                .get(*index)
                .is_some_and(|since_ms| due(*since_ms, spec.off_ms()))
        });
        let Some(opened) = opened else {
            return Latched::Same;
        };
        self.closed = opened;
        for since_ms in self.since_ms.iter_mut().skip(opened) {
            *since_ms = NEVER;
        }
        Latched::Down
    }

    fn figures(&self, spec: &Spec) -> Figures {
        let level = self.closed.saturating_sub(1);
        let level = spec.levels.get(level).or(spec.levels.first());
        Figures {
            severity: level.map_or(Severity::Warning, |level| level.severity),
            value: Some(self.value),
            limit: level.and_then(|level| level.limit(self.is_above)),
            peak: Some(self.peak),
            count: self.count,
        }
    }
}

enum Latched {
    Same,
    Up { is_first: bool },
    Down,
}

pub(crate) fn start(_: &Spec, _: &Params) -> State {
    State::default()
}

#[inline]
pub(crate) fn could_begin_with(spec: &Spec, _: &Params, value: f64) -> bool {
    spec.is_beyond(value)
}

#[inline]
pub(crate) fn step(spec: &Spec, state: &mut State, at_ms: i64, value: f64) -> Step {
    if state.0.is_none() && !spec.is_beyond(value) {
        return Step::Quiet;
    }
    let excursion = state
        .0
        .get_or_insert_with(|| Box::new(Excursion::new(value)));
    // The alarm that ends here has the severity that it had.
    let before = excursion.figures(spec);
    excursion.observe(spec, at_ms, value);
    conclude(spec, state, at_ms, before)
}

pub(crate) fn fire(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    let Some(excursion) = &state.0 else {
        return Step::Quiet;
    };
    let before = excursion.figures(spec);
    conclude(spec, state, at_ms, before)
}

/// Moves the latches and says what that means.
fn conclude(spec: &Spec, state: &mut State, at_ms: i64, before: Figures) -> Step {
    let Some(excursion) = &mut state.0 else {
        return Step::Quiet;
    };
    let latched = excursion.latch(spec, at_ms);
    let figures = excursion.figures(spec);
    match latched {
        Latched::Up { is_first: true } => Step::Raised(figures),
        Latched::Up { is_first: false } => Step::Escalated(figures),
        Latched::Down if excursion.closed > 0 => Step::Deescalated(figures),
        Latched::Down => {
            state.0 = None;
            Step::Cleared(Figures {
                severity: before.severity,
                limit: before.limit,
                ..figures
            })
        }
        Latched::Same if excursion.closed > 0 => Step::Updated(figures),
        Latched::Same => {
            if excursion.since_ms.iter().all(|since_ms| *since_ms == NEVER) {
                state.0 = None;
            }
            Step::Quiet
        }
    }
}

#[inline]
pub(crate) fn deadline(spec: &Spec, state: &State) -> Option<i64> {
    let excursion = state.0.as_ref()?;
    let timers = excursion.since_ms.iter().enumerate();
    timers
        .filter(|(_, since_ms)| **since_ms != NEVER)
        .map(|(index, since_ms)| {
            since_ms.saturating_add(if index < excursion.closed {
                spec.off_ms()
            } else {
                spec.on_ms()
            })
        })
        .min()
}

pub(crate) fn figures(spec: &Spec, state: &State) -> Option<Figures> {
    let excursion = state.0.as_ref()?;
    (excursion.closed > 0).then(|| excursion.figures(spec))
}

/// Keeps the value, if it would count when the schedule opens.
pub(crate) fn hold(spec: &Spec, state: &mut State, _: i64, value: f64) {
    state.0 = spec
        .is_beyond(value)
        .then(|| Box::new(Excursion::new(value)));
}

pub(crate) fn open(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    let Some(held) = state.0.take() else {
        return Step::Quiet;
    };
    step(spec, state, at_ms, held.value)
}

pub(crate) fn close(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    let Some(excursion) = state.0.take() else {
        return Step::Quiet;
    };
    hold(spec, state, at_ms, excursion.value);
    if excursion.closed > 0 {
        Step::Cleared(excursion.figures(spec))
    } else {
        Step::Quiet
    }
}

pub(crate) fn look(spec: &Spec, state: &State) -> Look {
    let Some(excursion) = &state.0 else {
        return Look::default();
    };
    let figures = excursion.figures(spec);
    let since_ms = excursion.since_ms.iter().copied().min();
    Look {
        active: excursion.closed > 0,
        severity: (excursion.closed > 0).then_some(figures.severity),
        value: figures.value,
        limit: figures.limit,
        peak: figures.peak,
        count: figures.count,
        since: since_ms
            .filter(|since_ms| *since_ms != NEVER)
            .map(Timestamp::from_millis),
        due_at: deadline(spec, state).map(Timestamp::from_millis),
        ..Look::default()
    }
}
