//! `threshold`: the value is beyond a limit for long enough.

use super::latch::{Latch, Limits};
use super::{Look, Params, Step};
use crate::Figures;
use serde::{Deserialize, Serialize};

/// What a `threshold` rule watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub metric: String,
    pub limits: Limits,
}

/// What a lane remembers.
pub(crate) type State = Latch;

pub(crate) fn start(_: &Spec, _: &Params) -> State {
    State::default()
}

#[inline]
pub(crate) fn could_begin_with(spec: &Spec, _: &Params, value: f64) -> bool {
    spec.limits.gauge().is_beyond(value)
}

#[inline]
pub(crate) fn step(spec: &Spec, state: &mut State, at_ms: i64, value: f64) -> Step {
    state.step(spec.limits.gauge(), at_ms, value)
}

pub(crate) fn fire(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    state.fire(spec.limits.gauge(), at_ms)
}

#[inline]
pub(crate) fn deadline(spec: &Spec, state: &State) -> Option<i64> {
    state.deadline(&spec.limits)
}

pub(crate) fn figures(spec: &Spec, state: &State) -> Option<Figures> {
    state.figures(spec.limits.gauge())
}

/// Keeps the value, if it would count when the schedule opens.
pub(crate) fn hold(spec: &Spec, state: &mut State, at_ms: i64, value: f64) {
    state.hold(spec.limits.gauge(), at_ms, value);
}

pub(crate) fn open(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    state.open(spec.limits.gauge(), at_ms)
}

pub(crate) fn close(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    state.close(spec.limits.gauge(), at_ms)
}

pub(crate) fn look(spec: &Spec, state: &State) -> Look {
    state.look(spec.limits.gauge())
}
