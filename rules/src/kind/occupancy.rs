//! `occupancy`: a fence holds more than it has room for.

use super::latch::{Gauge, Latch, Limits};
use super::{Look, Params, Step};
use crate::Figures;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What an `occupancy` rule watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub metric: String,
    /// The room of a device without a tag `capacity`; without either it is not watched.
    pub capacity: Option<f64>,
    /// Each `above` is a share of the capacity.
    pub limits: Limits,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    capacity: f64,
    latch: Latch,
}

impl Spec {
    /// Gives the room of a device, if anybody knows it.
    pub(crate) fn capacity(&self, params: &Params) -> Option<f64> {
        params.capacity.or(self.capacity)
    }

    fn gauge(&self, capacity: f64) -> Gauge<'_> {
        self.limits.gauge().times(capacity)
    }
}

impl State {
    pub(crate) fn is_plain(&self) -> bool {
        self.latch.is_plain()
    }
}

pub(crate) fn start(spec: &Spec, params: &Params) -> State {
    State {
        capacity: spec.capacity(params).unwrap_or(f64::MAX),
        latch: Latch::default(),
    }
}

#[inline]
pub(crate) fn could_begin_with(spec: &Spec, params: &Params, value: f64) -> bool {
    spec.capacity(params)
        .is_some_and(|capacity| spec.gauge(capacity).is_beyond(value))
}

pub(crate) fn step(spec: &Spec, state: &mut State, at_ms: i64, value: f64) -> Step {
    state.latch.step(spec.gauge(state.capacity), at_ms, value)
}

pub(crate) fn deadline(spec: &Spec, state: &State) -> Option<i64> {
    state.latch.deadline(&spec.limits)
}

pub(crate) fn fire(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    state.latch.fire(spec.gauge(state.capacity), at_ms)
}

pub(crate) fn figures(spec: &Spec, state: &State) -> Option<Figures> {
    state.latch.figures(spec.gauge(state.capacity))
}

pub(crate) fn hold(spec: &Spec, state: &mut State, at_ms: i64, value: f64) {
    state.latch.hold(spec.gauge(state.capacity), at_ms, value);
}

pub(crate) fn open(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    state.latch.open(spec.gauge(state.capacity), at_ms)
}

pub(crate) fn close(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    state.latch.close(spec.gauge(state.capacity), at_ms)
}

pub(crate) fn look(spec: &Spec, state: &State) -> Look {
    let mut look = state.latch.look(spec.gauge(state.capacity));
    look.facts.insert("capacity", json!(state.capacity));
    look
}

#[cfg(test)]
mod tests;
