//! The limits of a signal, and the latches that turn it into an alarm with stages.
//!
//! The signal may be the reading itself or something derived from readings, such as the mean of a
//! window. Every level has its own latch: it closes when the signal has been beyond that limit (or
//! a worse one) for the on-delay, and opens when the signal has been back inside, by more than the
//! deadband, for the off-delay. The alarm's severity is that of the worst closed latch, so that it
//! steps up and down by the same two delays by which it is raised and cleared.

use super::{Look, Step};
use crate::Figures;
use model::{Severity, Timestamp};
use serde::{Deserialize, Serialize};

/// One level for each severity is the most there can be.
const LEVELS_MAX: usize = Severity::ALL.len();

/// A timer that does not run.
const NEVER: i64 = i64::MAX;

/// Takes away what binary fractions leave of decimals (0.3 - 0.1 is not quite 0.2), so that a derived
/// signal can reach a limit exactly. Nine decimals are more than any sensor measures.
pub(crate) fn tidy(signal: f64) -> f64 {
    const SCALE: f64 = 1e9;
    let scaled = signal * SCALE;
    if scaled.is_finite() {
        scaled.round() / SCALE
    } else {
        signal
    }
}

/// One limit (or a limit on either side) with the severity that it means.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    pub severity: Severity,
    pub above: Option<f64>,
    pub below: Option<f64>,
}

/// How far a signal may go, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// From the mildest to the worst, one for each severity at most; never empty.
    pub levels: Vec<Level>,
    pub deadband: f64,
    pub on_delay_s: u32,
    pub off_delay_s: u32,
}

/// The limits as one lane applies them.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Gauge<'a> {
    limits: &'a Limits,
    /// The limits are given in this many of the signal's units.
    factor: f64,
    /// A signal that reaches its limit is beyond it.
    reaches: bool,
}

/// The memory of all latches of one lane; one that is plainly normal, as nearly all are, needs none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latch(Option<Box<Excursion>>);

/// The signal is, or was a moment ago, beyond the mildest limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Excursion {
    /// How many latches are closed.
    closed: usize,
    /// For an open latch: since when the signal is beyond it; for a closed one: since when it is
    /// back inside.
    since_ms: [i64; LEVELS_MAX],
    /// When all this began.
    began_ms: i64,
    /// On which side the signal was last beyond.
    is_above: bool,
    value: f64,
    peak: f64,
    count: u64,
}

impl Limits {
    pub(crate) fn severity(&self) -> Severity {
        self.levels
            .last()
            .map_or(Severity::Warning, |level| level.severity)
    }

    #[inline]
    pub(crate) fn gauge(&self) -> Gauge<'_> {
        Gauge {
            limits: self,
            factor: 1.0,
            reaches: false,
        }
    }

    fn on_ms(&self) -> i64 {
        i64::from(self.on_delay_s) * 1000
    }

    fn off_ms(&self) -> i64 {
        i64::from(self.off_delay_s) * 1000
    }
}

impl Gauge<'_> {
    /// Takes the limits for so many of the signal's units.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self { factor, ..self }
    }

    /// Takes a signal that is exactly at a limit as beyond it.
    pub(crate) fn reaching(self) -> Self {
        Self {
            reaches: true,
            ..self
        }
    }

    #[inline]
    pub(crate) fn is_beyond(self, value: f64) -> bool {
        self.limits
            .levels
            .iter()
            .any(|level| self.is_beyond_level(level, value))
    }

    #[inline]
    fn is_beyond_level(self, level: &Level, value: f64) -> bool {
        self.is_over(level, value) || self.is_under(level, value)
    }

    #[inline]
    fn is_over(self, level: &Level, value: f64) -> bool {
        level.above.is_some_and(|limit| {
            let limit = limit * self.factor;
            value > limit || (self.reaches && value >= limit)
        })
    }

    #[inline]
    fn is_under(self, level: &Level, value: f64) -> bool {
        level.below.is_some_and(|limit| {
            let limit = limit * self.factor;
            value < limit || (self.reaches && value <= limit)
        })
    }

    /// Tells whether the signal is back inside; with a deadband it must be under `above - deadband`.
    fn is_inside(self, level: &Level, value: f64) -> bool {
        let deadband = self.limits.deadband;
        if deadband > 0.0 {
            let (above, below) = (level.above, level.below);
            above.is_none_or(|limit| value < limit * self.factor - deadband)
                && below.is_none_or(|limit| value > limit * self.factor + deadband)
        } else {
            !self.is_beyond_level(level, value)
        }
    }

    /// Measures how far a signal is beyond the nearest limit of its side.
    fn excess(self, value: f64) -> f64 {
        let over = |level: &Level| level.above.map(|limit| value - limit * self.factor);
        let under = |level: &Level| level.below.map(|limit| limit * self.factor - value);
        self.limits
            .levels
            .iter()
            .flat_map(|level| [over(level), under(level)])
            .flatten()
            .fold(f64::NEG_INFINITY, f64::max)
    }

    fn limit(self, level: &Level, is_above: bool) -> Option<f64> {
        let limit = if is_above {
            level.above.or(level.below)
        } else {
            level.below.or(level.above)
        };
        limit.map(|limit| limit * self.factor)
    }

    /// Gives the mildest limit, which a signal meets first.
    pub(crate) fn first_limit(self) -> Option<f64> {
        let level = self.limits.levels.first()?;
        self.limit(level, true)
    }
}

impl Excursion {
    fn new(at_ms: i64, value: f64) -> Self {
        Self {
            closed: 0,
            since_ms: [NEVER; LEVELS_MAX],
            began_ms: at_ms,
            is_above: true,
            value,
            peak: value,
            count: 0,
        }
    }

    /// Starts and stops the timers for a signal that has this value from `at_ms` on.
    fn observe(&mut self, gauge: Gauge<'_>, at_ms: i64, value: f64) {
        self.value = value;
        let mut beyond_any = false;
        let mut inside_all = true;
        // From the worst level to the mildest: beyond a worse limit is beyond a milder one, too.
        let levels = gauge.limits.levels.iter().zip(&mut self.since_ms);
        for (index, (level, since_ms)) in levels.enumerate().rev() {
            beyond_any |= gauge.is_beyond_level(level, value);
            inside_all &= gauge.is_inside(level, value);
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
        let levels = &gauge.limits.levels;
        self.is_above = levels.iter().any(|level| gauge.is_over(level, value));
        if gauge.excess(value) > gauge.excess(self.peak) {
            self.peak = value;
        }
    }

    /// Closes and opens the latches whose time has come.
    fn latch(&mut self, limits: &Limits, at_ms: i64) -> Latched {
        let was_closed = self.closed;
        let due = |since_ms: i64, delay_ms| {
            since_ms != NEVER && since_ms.saturating_add(delay_ms) <= at_ms
        };
        for (index, since_ms) in self.since_ms.iter().enumerate() {
            if index >= was_closed && due(*since_ms, limits.on_ms()) {
                self.closed = index + 1;
            }
        }
        if self.closed > was_closed {
            // The signal is beyond these limits, so that it is not back inside any of them.
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
                .is_some_and(|since_ms| due(*since_ms, limits.off_ms()))
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

    fn stands_still(&self) -> bool {
        self.since_ms.iter().all(|since_ms| *since_ms == NEVER)
    }

    fn figures(&self, gauge: Gauge<'_>) -> Figures {
        let level = self.closed.saturating_sub(1);
        let levels = &gauge.limits.levels;
        let level = levels.get(level).or(levels.first());
        Figures {
            severity: level.map_or(Severity::Warning, |level| level.severity),
            value: Some(self.value),
            limit: level.and_then(|level| gauge.limit(level, self.is_above)),
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

impl Latch {
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.0.is_none()
    }

    /// Takes a value that a reading gave to the signal.
    #[inline]
    pub(crate) fn step(&mut self, gauge: Gauge<'_>, at_ms: i64, value: f64) -> Step {
        if self.0.is_none() && !gauge.is_beyond(value) {
            return Step::Quiet;
        }
        self.observe(gauge, at_ms, value, 1)
    }

    /// Takes a value that time alone gave to the signal, such as when a reading leaves its window.
    pub(crate) fn reassess(&mut self, gauge: Gauge<'_>, at_ms: i64, value: f64) -> Step {
        if self.0.is_none() && !gauge.is_beyond(value) {
            return Step::Quiet;
        }
        self.observe(gauge, at_ms, value, 0)
    }

    fn observe(&mut self, gauge: Gauge<'_>, at_ms: i64, value: f64, readings: u64) -> Step {
        let excursion = self
            .0
            .get_or_insert_with(|| Box::new(Excursion::new(at_ms, value)));
        // The alarm that ends here has the severity that it had.
        let before = excursion.figures(gauge);
        excursion.observe(gauge, at_ms, value);
        if gauge.is_beyond(value) {
            excursion.count += readings;
        }
        self.conclude(gauge, at_ms, before)
    }

    /// Takes note that the signal is unknown: nothing that was on its way goes on, up or down.
    pub(crate) fn suspend(&mut self) {
        if let Some(excursion) = &mut self.0 {
            if excursion.closed == 0 {
                self.0 = None;
            } else {
                excursion.since_ms = [NEVER; LEVELS_MAX];
            }
        }
    }

    pub(crate) fn fire(&mut self, gauge: Gauge<'_>, at_ms: i64) -> Step {
        let Some(excursion) = &self.0 else {
            return Step::Quiet;
        };
        let before = excursion.figures(gauge);
        self.conclude(gauge, at_ms, before)
    }

    /// Moves the latches and says what that means.
    fn conclude(&mut self, gauge: Gauge<'_>, at_ms: i64, before: Figures) -> Step {
        let Some(excursion) = &mut self.0 else {
            return Step::Quiet;
        };
        let latched = excursion.latch(gauge.limits, at_ms);
        let figures = excursion.figures(gauge);
        match latched {
            Latched::Up { is_first: true } => Step::Raised(figures),
            Latched::Up { is_first: false } => Step::Escalated(figures),
            Latched::Down if excursion.closed > 0 => Step::Deescalated(figures),
            Latched::Down => {
                self.0 = None;
                Step::Cleared(Figures {
                    severity: before.severity,
                    limit: before.limit,
                    ..figures
                })
            }
            Latched::Same if excursion.closed > 0 => Step::Updated(figures),
            Latched::Same => {
                if excursion.stands_still() {
                    self.0 = None;
                }
                Step::Quiet
            }
        }
    }

    #[inline]
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<i64> {
        let excursion = self.0.as_ref()?;
        let timers = excursion.since_ms.iter().enumerate();
        timers
            .filter(|(_, since_ms)| **since_ms != NEVER)
            .map(|(index, since_ms)| {
                since_ms.saturating_add(if index < excursion.closed {
                    limits.off_ms()
                } else {
                    limits.on_ms()
                })
            })
            .min()
    }

    pub(crate) fn figures(&self, gauge: Gauge<'_>) -> Option<Figures> {
        let excursion = self.0.as_ref()?;
        (excursion.closed > 0).then(|| excursion.figures(gauge))
    }

    /// Tells how the signal stands to its limits; a plainly normal one has no memory of its value.
    pub(crate) fn look(&self, gauge: Gauge<'_>) -> Look {
        let Some(excursion) = &self.0 else {
            return Look {
                limit: gauge.first_limit(),
                ..Look::default()
            };
        };
        let figures = excursion.figures(gauge);
        let active = excursion.closed > 0;
        Look {
            active,
            severity: active.then_some(figures.severity),
            value: figures.value,
            limit: figures.limit,
            peak: figures.peak,
            count: figures.count,
            since: Some(Timestamp::from_millis(excursion.began_ms)),
            due_at: self.deadline(gauge.limits).map(Timestamp::from_millis),
            ..Look::default()
        }
    }

    /// Keeps a value of a time that does not count, for [`Latch::open`].
    pub(crate) fn hold(&mut self, gauge: Gauge<'_>, at_ms: i64, value: f64) {
        self.0 = gauge
            .is_beyond(value)
            .then(|| Box::new(Excursion::new(at_ms, value)));
    }

    /// Begins a time that counts: what holds now holds from now on.
    pub(crate) fn open(&mut self, gauge: Gauge<'_>, at_ms: i64) -> Step {
        let Some(excursion) = self.0.take() else {
            return Step::Quiet;
        };
        self.step(gauge, at_ms, excursion.value)
    }

    /// Ends a time that counts, and with it the alarm; the value stays for [`Latch::open`].
    pub(crate) fn close(&mut self, gauge: Gauge<'_>, at_ms: i64) -> Step {
        let Some(excursion) = self.0.take() else {
            return Step::Quiet;
        };
        self.hold(gauge, at_ms, excursion.value);
        if excursion.closed == 0 {
            return Step::Quiet;
        }
        Step::Cleared(excursion.figures(gauge))
    }
}

#[cfg(test)]
mod tests;
