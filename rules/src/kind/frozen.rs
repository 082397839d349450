//! `frozen`: readings keep coming, but their value does not move.
//!
//! The alarm is raised by a reading, never by time alone: a sensor that says nothing is silent, not
//! frozen. A gap in which the whole time could pass begins it anew, because nobody was looking.

use super::latch::tidy;
use super::{Look, Params, Step};
use crate::Figures;
use model::{Severity, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What a `frozen` rule watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub metric: String,
    pub severity: Severity,
    pub after_s: u32,
    /// A value has moved when it is farther than this from where it stood.
    pub epsilon: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State(Option<Stillness>);

/// The value stands.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stillness {
    /// Where it stood first.
    value: f64,
    since_ms: i64,
    last_ms: i64,
    is_frozen: bool,
    /// How many readings found it there.
    count: u64,
}

impl Stillness {
    fn new(at_ms: i64, value: f64) -> Self {
        Self {
            value,
            since_ms: at_ms,
            last_ms: at_ms,
            is_frozen: false,
            count: 1,
        }
    }

    /// The value of the alarm is the time, not the reading that does not move.
    fn figures(&self, spec: &Spec) -> Figures {
        let still_s = self.last_ms.saturating_sub(self.since_ms) as f64 / 1000.0;
        Figures {
            severity: spec.severity,
            value: Some(still_s),
            limit: Some(f64::from(spec.after_s)),
            peak: Some(still_s),
            count: self.count,
        }
    }
}

impl State {
    pub(crate) fn is_plain(&self) -> bool {
        self.0.is_none()
    }
}

pub(crate) fn start(_: &Spec, _: &Params) -> State {
    State::default()
}

pub(crate) fn step(spec: &Spec, state: &mut State, at_ms: i64, value: f64) -> Step {
    let after_ms = i64::from(spec.after_s) * 1000;
    let Some(still) = &mut state.0 else {
        state.0 = Some(Stillness::new(at_ms, value));
        return Step::Quiet;
    };
    if tidy(value - still.value).abs() > spec.epsilon {
        let before = *still;
        *still = Stillness::new(at_ms, value);
        return if before.is_frozen {
            Step::Cleared(before.figures(spec))
        } else {
            Step::Quiet
        };
    }
    if !still.is_frozen && at_ms.saturating_sub(still.last_ms) >= after_ms {
        *still = Stillness::new(at_ms, value);
        return Step::Quiet;
    }
    still.last_ms = at_ms;
    still.count += 1;
    if still.is_frozen {
        return Step::Updated(still.figures(spec));
    }
    if at_ms.saturating_sub(still.since_ms) < after_ms {
        return Step::Quiet;
    }
    still.is_frozen = true;
    Step::Raised(still.figures(spec))
}

pub(crate) fn figures(spec: &Spec, state: &State) -> Option<Figures> {
    let still = state.0.filter(|still| still.is_frozen)?;
    Some(still.figures(spec))
}

/// Keeps where the value stands, for when it counts.
pub(crate) fn hold(_: &Spec, state: &mut State, at_ms: i64, value: f64) {
    state.0 = Some(Stillness::new(at_ms, value));
}

pub(crate) fn open(_: &Spec, state: &mut State, at_ms: i64) -> Step {
    state.0 = state.0.map(|still| Stillness::new(at_ms, still.value));
    Step::Quiet
}

pub(crate) fn close(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    let figures = figures(spec, state);
    open(spec, state, at_ms);
    figures.map_or(Step::Quiet, Step::Cleared)
}

pub(crate) fn look(spec: &Spec, state: &State) -> Look {
    let mut look = Look {
        limit: Some(f64::from(spec.after_s)),
        ..Look::default()
    };
    let Some(still) = &state.0 else {
        return look;
    };
    let figures = still.figures(spec);
    look.active = still.is_frozen;
    look.severity = still.is_frozen.then_some(spec.severity);
    look.value = figures.value;
    look.peak = figures.peak;
    look.count = still.count;
    look.since = Some(Timestamp::from_millis(still.since_ms));
    look.facts.insert("stuck_at", json!(still.value));
    look
}

#[cfg(test)]
mod tests;
