//! `rate`: the value has fallen or risen too far in a while.
//!
//! A reading is compared with the highest one (for a rise: the lowest) that is at most the window
//! older. A reading that a later one has overtaken cannot be that any more and is forgotten at
//! once, so that little is kept. As in `window`, time alone takes readings out of the comparison
//! only when the next reading is overdue.

use super::latch::{Latch, Limits, tidy};
use super::window::wait_ms;
use super::{Look, Params, Step};
use crate::Figures;
use model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::VecDeque;

#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    Fall,
    Rise,
}

/// What a `rate` rule watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub metric: String,
    pub window_s: u32,
    pub direction: Direction,
    /// The amounts are percent of the value that is compared with, not units of the metric.
    pub is_percent: bool,
    /// For a fall: what is above this is too much, and that it ends is no fall.
    #[serde(default)]
    pub normal_max: Option<f64>,
    /// The amounts, each as the limit `above`; reaching one is enough.
    pub limits: Limits,
}

/// What is remembered of an excess. Its readings count as the lowest before it, until the value is
/// back there or has been inside for a window: its end is no fall, but a burst in the middle is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Excess {
    /// The readings of a window that were inside, each higher than all before it: the first is the
    /// lowest. The last one stays, however old it is.
    lows: VecDeque<(i64, f64)>,
    before: Option<f64>,
    /// When the value was above last.
    last_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    cadence_ms: Option<i64>,
    /// Times and values, each lower (for a rise: higher) than all before it; the last is the latest
    /// reading.
    extremes: VecDeque<(i64, f64)>,
    #[serde(default)]
    excess: Excess,
    latch: Latch,
}

impl Excess {
    /// Tells what a reading counts as.
    fn count(&mut self, max: f64, window_ms: i64, at_ms: i64, value: f64) -> f64 {
        if value > max {
            let lowest = self.lows.front().map_or(max, |low| low.1);
            self.last_ms = at_ms;
            return *self.before.get_or_insert(lowest);
        }
        let is_new_normal = at_ms.saturating_sub(self.last_ms) >= window_ms;
        if let Some(before) = self
            .before
            .filter(|before| value > *before && !is_new_normal)
        {
            return before;
        }
        self.before = None;
        let from_ms = at_ms.saturating_sub(window_ms);
        while self.lows.back().is_some_and(|low| low.1 >= value) {
            self.lows.pop_back();
        }
        while self.lows.front().is_some_and(|low| low.0 < from_ms) {
            self.lows.pop_front();
        }
        self.lows.push_back((at_ms, value));
        value
    }
}

impl Spec {
    fn window_ms(&self) -> i64 {
        i64::from(self.window_s) * 1000
    }

    /// Tells whether a later value leaves an earlier one nothing to be compared for.
    fn overtakes(&self, later: f64, earlier: f64) -> bool {
        match self.direction {
            Direction::Fall => later >= earlier,
            Direction::Rise => later <= earlier,
        }
    }

    /// Measures how far the value has gone; percent of nothing, or of less, are unknown.
    fn amount(&self, extremes: &VecDeque<(i64, f64)>) -> Option<f64> {
        let (_, from) = *extremes.front()?;
        let (_, to) = *extremes.back()?;
        let amount = match self.direction {
            Direction::Fall => from - to,
            Direction::Rise => to - from,
        };
        let amount = match self.is_percent {
            true if from > 0.0 => 100.0 * amount / from,
            true => return None,
            false => amount,
        };
        amount.is_finite().then(|| tidy(amount))
    }
}

impl State {
    pub(crate) fn is_plain(&self) -> bool {
        self.extremes.is_empty() && self.latch.is_plain()
    }

    /// Drops the readings before an instant.
    fn forget(&mut self, before_ms: i64) {
        while self.extremes.front().is_some_and(|e| e.0 < before_ms) {
            self.extremes.pop_front();
        }
    }

    /// Tells when a reading is too old although no other comes: a millisecond after it was just in.
    fn turn_ms(&self, spec: &Spec) -> Option<i64> {
        let window_ms = spec.window_ms();
        let leaves_ms = self.extremes.front()?.0.saturating_add(window_ms + 1);
        let overdue_ms = self
            .extremes
            .back()?
            .0
            .saturating_add(wait_ms(self.cadence_ms, window_ms));
        Some(leaves_ms.max(overdue_ms))
    }
}

pub(crate) fn start(_: &Spec, params: &Params) -> State {
    State {
        cadence_ms: params.cadence_ms,
        extremes: VecDeque::new(),
        excess: Excess::default(),
        latch: Latch::default(),
    }
}

pub(crate) fn step(spec: &Spec, state: &mut State, at_ms: i64, value: f64) -> Step {
    let value = match spec.normal_max {
        Some(max) => {
            let was_inside = state.excess.before.is_none();
            let value = state.excess.count(max, spec.window_ms(), at_ms, value);
            if was_inside && state.excess.before.is_some() {
                // The way up counts as the lowest before it, too.
                state.extremes.clear();
            }
            value
        }
        None => value,
    };
    state.forget(at_ms.saturating_sub(spec.window_ms()));
    while state
        .extremes
        .back()
        .is_some_and(|(_, earlier)| spec.overtakes(value, *earlier))
    {
        state.extremes.pop_back();
    }
    state.extremes.push_back((at_ms, value));
    let Some(amount) = spec.amount(&state.extremes) else {
        state.latch.suspend();
        return Step::Quiet;
    };
    let gauge = spec.limits.gauge().reaching();
    state.latch.step(gauge, at_ms, amount)
}

pub(crate) fn deadline(spec: &Spec, state: &State) -> Option<i64> {
    let turn_ms = state.turn_ms(spec);
    let latch_ms = state.latch.deadline(&spec.limits);
    turn_ms.into_iter().chain(latch_ms).min()
}

pub(crate) fn fire(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    let gauge = spec.limits.gauge().reaching();
    let latch_ms = state.latch.deadline(&spec.limits);
    if latch_ms.is_some_and(|latch_ms| latch_ms <= at_ms) {
        return state.latch.fire(gauge, at_ms);
    }
    state.forget(at_ms.saturating_sub(spec.window_ms()));
    let Some(amount) = spec.amount(&state.extremes) else {
        state.latch.suspend();
        return Step::Quiet;
    };
    state.latch.reassess(gauge, at_ms, amount)
}

pub(crate) fn figures(spec: &Spec, state: &State) -> Option<Figures> {
    state.latch.figures(spec.limits.gauge().reaching())
}

/// Nothing is compared with a reading from before the opening.
pub(crate) fn hold(_: &Spec, state: &mut State, _: i64, _: f64) {
    state.extremes = VecDeque::new();
    state.excess = Excess::default();
}

pub(crate) fn open(_: &Spec, _: &mut State, _: i64) -> Step {
    Step::Quiet
}

pub(crate) fn close(spec: &Spec, state: &mut State, _: i64) -> Step {
    state.extremes = VecDeque::new();
    state.excess = Excess::default();
    let figures = figures(spec, state);
    state.latch = Latch::default();
    figures.map_or(Step::Quiet, Step::Cleared)
}

pub(crate) fn look(spec: &Spec, state: &State) -> Look {
    let look = state.latch.look(spec.limits.gauge().reaching());
    let mut facts = look.facts;
    if let (Some(from), Some(to)) = (state.extremes.front(), state.extremes.back()) {
        let at = Timestamp::from_millis(from.0);
        facts.insert("compared_value", json!(from.1));
        facts.insert("compared_at", json!(at.to_string()));
        facts.insert("last_value", json!(to.1));
    }
    Look {
        value: spec.amount(&state.extremes),
        due_at: deadline(spec, state).map(Timestamp::from_millis),
        facts,
        ..look
    }
}

#[cfg(test)]
mod tests;
