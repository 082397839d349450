//! `window`: a figure over the readings of the last while is beyond a limit.
//!
//! A trailing window holds the readings of `(t - window, t]` by their own times. It is weighed at
//! every reading, and when a reading leaves it without another coming; a device that declares a
//! cadence is given two of them to send the next one first, so that an alarm does not come and go
//! between two readings. With `align = "clock"` blocks follow each other instead, each weighed at
//! its end. Nothing is summed up and subtracted again: every figure is computed from the readings
//! that are in the window, so that it does not depend on those that have left.

use super::latch::{Gauge, Latch, Limits, tidy};
use super::{Look, Params, Step};
use crate::Figures;
use model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::VecDeque;

/// No sound is louder; the energy of such a level is still a number (10^30).
const LEVEL_MAX_DB: f64 = 300.0;

/// What is computed from the readings of a window.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Aggregate {
    Mean,
    /// The energy mean of levels in dB: 10 lg of the mean of 10^(L/10).
    Leq,
    Max,
    Min,
    Sum,
    /// How many readings are above this value.
    CountAbove(f64),
    /// The same, where a number that reaches its limit suffices.
    CountReaching(f64),
}

/// Where windows begin.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Align {
    /// Every reading ends one.
    Trailing,
    /// At the full multiples of their length in UTC.
    Clock,
}

/// What a `window` rule watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub metric: String,
    pub window_s: u32,
    pub aggregate: Aggregate,
    pub align: Align,
    /// How much of the window must be covered by readings for its figure to mean anything.
    pub min_coverage_pct: f64,
    pub limits: Limits,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    cadence_ms: Option<i64>,
    content: Content,
    latch: Latch,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Content {
    /// The times and weights of the readings, oldest first.
    Trailing(VecDeque<(i64, f64)>),
    /// The block that is under way, if one is.
    Block(Option<Block>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Block {
    starts_ms: i64,
    tally: Tally,
}

/// Readings, put together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    count: u64,
    sum: f64,
    max: f64,
    min: f64,
    first_ms: i64,
    last_ms: i64,
}

impl Aggregate {
    /// Gives what a reading brings to the window, so that the rest is sums and extremes.
    fn weigh(self, value: f64) -> f64 {
        match self {
            Self::Leq => 10f64.powf(value.min(LEVEL_MAX_DB) / 10.0),
            Self::CountAbove(limit) | Self::CountReaching(limit) => {
                f64::from(u8::from(value > limit))
            }
            Self::Mean | Self::Max | Self::Min | Self::Sum => value,
        }
    }

    /// Nothing adds up to nothing, but has no mean.
    fn is_known_of_nothing(self) -> bool {
        match self {
            Self::Sum | Self::CountAbove(_) | Self::CountReaching(_) => true,
            Self::Mean | Self::Leq | Self::Max | Self::Min => false,
        }
    }
}

impl Spec {
    fn gauge(&self) -> Gauge<'_> {
        match self.aggregate {
            Aggregate::CountReaching(_) => self.limits.gauge().reaching(),
            _ => self.limits.gauge(),
        }
    }

    fn window_ms(&self) -> i64 {
        i64::from(self.window_s) * 1000
    }

    /// Tells whether the figure is a number of readings.
    pub(crate) fn counts(&self) -> bool {
        matches!(
            self.aggregate,
            Aggregate::CountAbove(_) | Aggregate::CountReaching(_)
        )
    }

    /// Tells whether the readings are levels, of which the energy is averaged.
    pub(crate) fn is_of_levels(&self) -> bool {
        self.aggregate == Aggregate::Leq
    }

    /// Gives the figure of a window, if enough of it is covered.
    fn figure(&self, tally: &Tally, cadence_ms: Option<i64>) -> Option<f64> {
        if tally.count == 0 && !self.aggregate.is_known_of_nothing() {
            return None;
        }
        if self.coverage_pct(tally, cadence_ms) < self.min_coverage_pct {
            return None;
        }
        let count = tally.count as f64;
        let figure = match self.aggregate {
            Aggregate::Mean => tally.sum / count,
            Aggregate::Leq => 10.0 * (tally.sum / count).log10(),
            Aggregate::Max => tally.max,
            Aggregate::Min => tally.min,
            Aggregate::Sum | Aggregate::CountAbove(_) | Aggregate::CountReaching(_) => tally.sum,
        };
        figure.is_finite().then(|| tidy(figure))
    }

    /// Tells how much of the window its readings stand for: each for one cadence; if the device
    /// declares none, all of them for the time from the first to the last.
    fn coverage_pct(&self, tally: &Tally, cadence_ms: Option<i64>) -> f64 {
        let covered_ms = match cadence_ms {
            Some(cadence_ms) => tally.count as f64 * cadence_ms as f64,
            None => tally.last_ms.saturating_sub(tally.first_ms) as f64,
        };
        (100.0 * covered_ms / self.window_ms() as f64).min(100.0)
    }

    fn block_start(&self, at_ms: i64) -> i64 {
        at_ms.div_euclid(self.window_ms()) * self.window_ms()
    }
}

impl Tally {
    fn of<'a>(readings: impl IntoIterator<Item = &'a (i64, f64)>) -> Self {
        let mut tally = Self::default();
        for (at_ms, weight) in readings {
            tally.add(*at_ms, *weight);
        }
        tally
    }

    fn add(&mut self, at_ms: i64, weight: f64) {
        if self.count == 0 {
            self.first_ms = at_ms;
            (self.max, self.min) = (weight, weight);
        }
        self.count += 1;
        self.sum += weight;
        self.max = self.max.max(weight);
        self.min = self.min.min(weight);
        self.last_ms = at_ms;
    }
}

impl State {
    pub(crate) fn is_plain(&self) -> bool {
        self.latch.is_plain() && self.is_empty()
    }

    fn is_empty(&self) -> bool {
        match &self.content {
            Content::Trailing(readings) => readings.is_empty(),
            Content::Block(block) => block.is_none(),
        }
    }

    fn clear(&mut self) {
        match &mut self.content {
            Content::Trailing(readings) => *readings = VecDeque::new(),
            Content::Block(block) => *block = None,
        }
    }

    /// Tells when the window changes although no reading comes.
    fn turn_ms(&self, spec: &Spec) -> Option<i64> {
        let window_ms = spec.window_ms();
        match &self.content {
            Content::Trailing(readings) => {
                let leaves_ms = readings.front()?.0.saturating_add(window_ms);
                let wait_ms = wait_ms(self.cadence_ms, window_ms);
                Some(leaves_ms.max(readings.back()?.0.saturating_add(wait_ms)))
            }
            Content::Block(block) => Some(block.as_ref()?.starts_ms.saturating_add(window_ms)),
        }
    }

    /// Gives what is in the window at an instant.
    fn tally(&self) -> Tally {
        match &self.content {
            Content::Trailing(readings) => Tally::of(readings),
            Content::Block(block) => block.as_ref().map(|b| b.tally.clone()).unwrap_or_default(),
        }
    }
}

pub(crate) fn start(spec: &Spec, params: &Params) -> State {
    State {
        cadence_ms: params.cadence_ms.filter(|cadence_ms| *cadence_ms > 0),
        content: match spec.align {
            Align::Trailing => Content::Trailing(VecDeque::new()),
            Align::Clock => Content::Block(None),
        },
        latch: Latch::default(),
    }
}

pub(crate) fn step(spec: &Spec, state: &mut State, at_ms: i64, value: f64) -> Step {
    let weight = spec.aggregate.weigh(value);
    match &mut state.content {
        Content::Trailing(readings) => {
            forget(readings, at_ms.saturating_sub(spec.window_ms()));
            readings.push_back((at_ms, weight));
            let figure = spec.figure(&Tally::of(&*readings), state.cadence_ms);
            let Some(figure) = figure else {
                state.latch.suspend();
                return Step::Quiet;
            };
            state.latch.step(spec.gauge(), at_ms, figure)
        }
        Content::Block(block) => {
            // The end of a block fires before the first reading of the next one.
            let starts_ms = spec.block_start(at_ms);
            let block = block.get_or_insert_with(|| Block::new(starts_ms));
            block.tally.add(at_ms, weight);
            Step::Quiet
        }
    }
}

pub(crate) fn deadline(spec: &Spec, state: &State) -> Option<i64> {
    let turn_ms = state.turn_ms(spec);
    let latch_ms = state.latch.deadline(&spec.limits);
    turn_ms.into_iter().chain(latch_ms).min()
}

pub(crate) fn fire(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    let gauge = spec.gauge();
    // What was on its way before the window changes comes first.
    let latch_ms = state.latch.deadline(&spec.limits);
    if latch_ms.is_some_and(|latch_ms| latch_ms <= at_ms) {
        return state.latch.fire(gauge, at_ms);
    }
    match &mut state.content {
        Content::Trailing(readings) => {
            forget(readings, at_ms.saturating_sub(spec.window_ms()));
            let figure = spec.figure(&Tally::of(&*readings), state.cadence_ms);
            let Some(figure) = figure else {
                state.latch.suspend();
                return Step::Quiet;
            };
            state.latch.reassess(gauge, at_ms, figure)
        }
        Content::Block(block) => {
            let Some(ended) = block.take() else {
                return Step::Quiet;
            };
            // One block without a reading is weighed, too: nothing adds up to nothing.
            *block = (ended.tally.count > 0).then(|| Block::new(at_ms));
            let Some(figure) = spec.figure(&ended.tally, state.cadence_ms) else {
                state.latch.suspend();
                return Step::Quiet;
            };
            state.latch.step(gauge, at_ms, figure)
        }
    }
}

pub(crate) fn figures(spec: &Spec, state: &State) -> Option<Figures> {
    state.latch.figures(spec.gauge())
}

/// Readings from before the opening are in no window.
pub(crate) fn hold(_: &Spec, state: &mut State, _: i64, _: f64) {
    state.clear();
}

pub(crate) fn open(_: &Spec, _: &mut State, _: i64) -> Step {
    Step::Quiet
}

pub(crate) fn close(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    state.clear();
    let step = state.latch.close(spec.gauge(), at_ms);
    state.latch = Latch::default();
    step
}

pub(crate) fn look(spec: &Spec, state: &State) -> Look {
    let tally = state.tally();
    let figure = spec.figure(&tally, state.cadence_ms);
    let look = state.latch.look(spec.gauge());
    let mut facts = look.facts;
    facts.insert("readings", json!(tally.count));
    let coverage_pct = spec.coverage_pct(&tally, state.cadence_ms);
    facts.insert("coverage_pct", json!(tidy(coverage_pct)));
    if let Content::Block(Some(block)) = &state.content {
        let starts_at = Timestamp::from_millis(block.starts_ms);
        facts.insert("block_from", json!(starts_at.to_string()));
    }
    Look {
        value: figure,
        due_at: deadline(spec, state).map(Timestamp::from_millis),
        facts,
        ..look
    }
}

impl Block {
    fn new(starts_ms: i64) -> Self {
        Self {
            starts_ms,
            tally: Tally::default(),
        }
    }
}

/// Tells how long after a reading the next one is awaited before time alone changes a window. A
/// device may miss one reading; one that declares no cadence may send its next one at any time.
pub(super) fn wait_ms(cadence_ms: Option<i64>, window_ms: i64) -> i64 {
    cadence_ms.map_or(0, |cadence_ms| cadence_ms.saturating_mul(2).min(window_ms))
}

/// Drops the readings up to and including an instant.
fn forget(readings: &mut VecDeque<(i64, f64)>, until_ms: i64) {
    while readings
        .front()
        .is_some_and(|(at_ms, _)| *at_ms <= until_ms)
    {
        readings.pop_front();
    }
}

#[cfg(test)]
mod tests;
