//! `silence`: nothing was received from a device for too long.
//!
//! The countdown starts with the last sign of life, or when the rule first watches the device. The
//! alarm is raised at the instant at which patience ends and cleared at the next sign of life.

use super::{Look, Params, Step};
use crate::Figures;
use model::{Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a device may be silent.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Patience {
    /// Times the cadence that the device declares; a device without one is not watched.
    Factor(f64),
    AfterS(u32),
    /// The factor again, with a cadence for the devices that declare none.
    FactorOr {
        factor: f64,
        cadence_s: u32,
    },
}

/// What a `silence` rule watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub severity: Severity,
    pub patience: Patience,
}

impl Spec {
    /// Tells how long this device may be silent, if it is watched at all.
    pub(super) fn patience_ms(&self, params: &Params) -> Option<i64> {
        // A cadence of nothing is no promise.
        let declared = params.cadence_ms.filter(|cadence_ms| *cadence_ms > 0);
        match self.patience {
            Patience::AfterS(after_s) => Some(i64::from(after_s) * 1000),
            Patience::Factor(factor) => times(factor, declared?),
            Patience::FactorOr { factor, cadence_s } => {
                times(factor, declared.unwrap_or(i64::from(cadence_s) * 1000))
            }
        }
    }
}

fn times(factor: f64, cadence_ms: i64) -> Option<i64> {
    let patience_ms = factor * cadence_ms as f64;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a factor is at most 1000 and a cadence fits u32, so that this fits"
    )]
    let patience_ms = patience_ms.round() as i64;
    Some(patience_ms.max(1))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    patience_ms: i64,
    last_alive_ms: i64,
    /// Nobody could be heard before: no countdown begins earlier.
    resumed_ms: i64,
    is_silent: bool,
}

impl State {
    fn figures(&self, spec: &Spec, silent_ms: i64) -> Figures {
        Figures {
            severity: spec.severity,
            value: Some(seconds(silent_ms)),
            limit: Some(seconds(self.patience_ms)),
            peak: Some(seconds(silent_ms)),
            count: 0,
        }
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// The countdown starts when the schedule opens.
pub(crate) fn start(spec: &Spec, params: &Params) -> State {
    State {
        patience_ms: spec.patience_ms(params).unwrap_or(i64::MAX),
        last_alive_ms: i64::MIN,
        resumed_ms: i64::MIN,
        is_silent: false,
    }
}

#[inline]
pub(crate) fn step(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    let silent_ms = at_ms.saturating_sub(state.last_alive_ms);
    // A reading from before the rule watched the device does not shorten the countdown.
    state.last_alive_ms = state.last_alive_ms.max(at_ms);
    if !state.is_silent {
        return Step::Quiet;
    }
    state.is_silent = false;
    Step::Cleared(state.figures(spec, silent_ms))
}

#[inline]
pub(crate) fn deadline(_: &Spec, state: &State) -> Option<i64> {
    (!state.is_silent).then(|| state.last_alive_ms.saturating_add(state.patience_ms))
}

pub(crate) fn fire(spec: &Spec, state: &mut State, _: i64) -> Step {
    if state.is_silent {
        return Step::Quiet;
    }
    state.is_silent = true;
    Step::Raised(state.figures(spec, state.patience_ms))
}

pub(crate) fn figures(spec: &Spec, state: &State) -> Option<Figures> {
    state
        .is_silent
        .then(|| state.figures(spec, state.patience_ms))
}

/// Nobody is missed while the schedule is closed.
pub(crate) fn hold(_: &Spec, state: &mut State, at_ms: i64) {
    state.last_alive_ms = state.last_alive_ms.max(at_ms);
}

pub(crate) fn open(_: &Spec, state: &mut State, at_ms: i64) -> Step {
    let from_ms = at_ms.max(state.resumed_ms);
    state.last_alive_ms = state.last_alive_ms.max(from_ms);
    Step::Quiet
}

/// Leaves out the time in which nobody could be heard: the countdown goes on where it was, or from
/// its beginning if it `begins_anew`. An alarm that is active stays as it is.
pub(crate) fn resume(state: &mut State, (since_ms, at_ms): (i64, i64), begins_anew: bool) {
    state.resumed_ms = at_ms;
    if state.is_silent {
        return;
    }
    let moved_ms = state.last_alive_ms.saturating_add(at_ms - since_ms);
    state.last_alive_ms = match begins_anew {
        true => state.last_alive_ms.max(at_ms),
        false => moved_ms,
    };
}

pub(crate) fn close(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    if !state.is_silent {
        return Step::Quiet;
    }
    state.is_silent = false;
    let silent_ms = at_ms.saturating_sub(state.last_alive_ms);
    Step::Cleared(state.figures(spec, silent_ms))
}

pub(crate) fn look(spec: &Spec, state: &State) -> Look {
    let figures = figures(spec, state);
    Look {
        active: state.is_silent,
        severity: figures.map(|figures| figures.severity),
        value: figures.and_then(|figures| figures.value),
        limit: Some(seconds(state.patience_ms)),
        peak: figures.and_then(|figures| figures.peak),
        count: 0,
        since: Some(Timestamp::from_millis(state.last_alive_ms)),
        due_at: deadline(spec, state).map(Timestamp::from_millis),
        facts: resumed(state),
    }
}

/// Tells when the hub ran again, if nothing was heard since.
fn resumed(state: &State) -> BTreeMap<&'static str, serde_json::Value> {
    let resumed_at = Timestamp::from_millis(state.resumed_ms);
    let is_heard = state.resumed_ms == i64::MIN || state.last_alive_ms > state.resumed_ms;
    let fact = (!is_heard).then(|| ("resumed_at", serde_json::json!(resumed_at)));
    fact.into_iter().collect()
}

/// A sign of life between two others that are closer than the patience says nothing new. (At
/// exactly the patience the deadline fires before the later one, so that it does.)
#[inline]
pub(crate) fn could_matter_between(state: &State, before_ms: i64, after_ms: i64) -> bool {
    after_ms.saturating_sub(before_ms) >= state.patience_ms
}
