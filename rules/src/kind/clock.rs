//! `clock`: a device's clock is wrong.
//!
//! Every message is judged by the newest reading in it, when it is received. A clock is ahead when
//! that reading is from the future. A reading from the past may simply have waited for a link; a
//! backlog catches up, though, so that only an offset that stays the same, over two of the
//! device's cadences at least, means that the clock is behind.

use super::{Look, Params, Step};
use crate::Figures;
use model::{Severity, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How much the way from the device to the hub may vary, in seconds, before an offset is no longer
/// the same …
const JITTER_S: f64 = 2.0;

/// … or by this part of the time over which the messages came, if that is more. A backlog of which
/// an hour comes in less than fifty minutes shrinks faster.
const JITTER_PART: f64 = 0.2;

/// How many of the device's cadences an offset must stay the same.
const STEADY_CADENCES: i64 = 2;

/// How long it must stay the same where the device declares no cadence.
const STEADY_MS: i64 = 10_000;

/// A message is judged just after the instant in which it came, when all its readings are known.
const JUDGED_AFTER_MS: i64 = 1;

/// What a `clock` rule watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub severity: Severity,
    /// How far a clock may be off.
    pub skew_s: u32,
    /// How many messages in a row must agree.
    pub confirm: u32,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Side {
    Right,
    Ahead,
    Behind,
}

/// Messages in a row that say the same.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Run {
    side: Side,
    /// That of the first message.
    skew_s: f64,
    began_ms: i64,
    /// The newest time that a message carried.
    observed_ms: i64,
    count: u32,
}

/// The clock is wrong.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fault {
    value: f64,
    peak: f64,
    count: u64,
}

/// One message, or several that came in one instant.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Message {
    at_ms: i64,
    skew_s: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    #[serde(default)]
    cadence_ms: Option<i64>,
    pending: Option<Message>,
    run: Option<Run>,
    fault: Option<Fault>,
}

impl Spec {
    fn limit_s(&self) -> f64 {
        f64::from(self.skew_s)
    }

    fn side(&self, skew_s: f64) -> Side {
        if skew_s > self.limit_s() {
            Side::Ahead
        } else if skew_s < -self.limit_s() {
            Side::Behind
        } else {
            Side::Right
        }
    }
}

impl Message {
    fn observed_ms(&self) -> i64 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the skew came from the difference of two times in ms"
        )]
        let skew_ms = (self.skew_s * 1000.0).round() as i64;
        self.at_ms.saturating_add(skew_ms)
    }
}

impl Run {
    fn new(side: Side, message: &Message) -> Self {
        Self {
            side,
            skew_s: message.skew_s,
            began_ms: message.at_ms,
            observed_ms: message.observed_ms(),
            count: 1,
        }
    }

    /// Takes the next message; one that is no newer than those before says nothing about a clock
    /// that seems to be behind.
    fn next(self, side: Side, message: &Message) -> Self {
        let observed_ms = message.observed_ms();
        if side == Side::Behind && self.side == side {
            if observed_ms <= self.observed_ms {
                return self;
            }
            if !self.is_steady(message) {
                return Self::new(side, message);
            }
        } else if self.side != side {
            return Self::new(side, message);
        }
        Self {
            observed_ms,
            count: self.count.saturating_add(1),
            ..self
        }
    }

    /// Tells whether the offset is still that of the first message.
    fn is_steady(&self, message: &Message) -> bool {
        let elapsed_s = message.at_ms.saturating_sub(self.began_ms) as f64 / 1000.0;
        (message.skew_s - self.skew_s).abs() < (elapsed_s * JITTER_PART).max(JITTER_S)
    }

    fn is_confirmed(&self, spec: &Spec, steady_ms: i64, at_ms: i64) -> bool {
        let lasted_ms = at_ms.saturating_sub(self.began_ms);
        let has_lasted = self.side != Side::Behind || lasted_ms >= steady_ms;
        self.count >= spec.confirm && has_lasted
    }
}

impl Fault {
    fn new(message: &Message, count: u32) -> Self {
        Self {
            value: message.skew_s,
            peak: message.skew_s,
            count: u64::from(count),
        }
    }

    fn note(&mut self, skew_s: f64) {
        self.value = skew_s;
        if skew_s.abs() > self.peak.abs() {
            self.peak = skew_s;
        }
        self.count += 1;
    }

    fn figures(&self, spec: &Spec) -> Figures {
        Figures {
            severity: spec.severity,
            value: Some(self.value),
            limit: Some(spec.limit_s().copysign(self.value)),
            peak: Some(self.peak),
            count: self.count,
        }
    }
}

impl State {
    pub(crate) fn is_plain(&self) -> bool {
        self.pending.is_none() && self.run.is_none() && self.fault.is_none()
    }

    /// Tells how long an offset must stay the same for the clock to be behind.
    fn steady_ms(&self) -> i64 {
        self.cadence_ms.map_or(STEADY_MS, |cadence_ms| {
            cadence_ms.saturating_mul(STEADY_CADENCES)
        })
    }

    fn forget(&mut self) {
        *self = Self {
            cadence_ms: self.cadence_ms,
            ..Self::default()
        };
    }

    fn judge(&mut self, spec: &Spec, message: &Message) -> Step {
        let side = spec.side(message.skew_s);
        let run = self
            .run
            .map_or_else(|| Run::new(side, message), |run| run.next(side, message));
        self.run = Some(run);
        let is_confirmed = run.is_confirmed(spec, self.steady_ms(), message.at_ms);
        let Some(fault) = &mut self.fault else {
            if run.side == Side::Right {
                self.run = None;
            } else if is_confirmed {
                let fault = Fault::new(message, run.count);
                self.fault = Some(fault);
                return Step::Raised(fault.figures(spec));
            }
            return Step::Quiet;
        };
        if side != Side::Right {
            fault.note(message.skew_s);
            return Step::Updated(fault.figures(spec));
        }
        if !is_confirmed {
            return Step::Quiet;
        }
        // It ends with the limit that it was beyond, and the offset that is left.
        let figures = Figures {
            value: Some(message.skew_s),
            ..fault.figures(spec)
        };
        self.forget();
        Step::Cleared(figures)
    }
}

pub(crate) fn start(_: &Spec, params: &Params) -> State {
    State {
        cadence_ms: params.cadence_ms.filter(|cadence_ms| *cadence_ms > 0),
        ..State::default()
    }
}

/// Takes a reading received at `at_ms`, whose own time is `skew_s` ahead of that.
pub(crate) fn step(_: &Spec, state: &mut State, at_ms: i64, skew_s: f64) -> Step {
    let newest = state.pending.filter(|pending| pending.at_ms == at_ms);
    let skew_s = newest.map_or(skew_s, |newest| newest.skew_s.max(skew_s));
    state.pending = Some(Message { at_ms, skew_s });
    Step::Quiet
}

pub(crate) fn deadline(_: &Spec, state: &State) -> Option<i64> {
    Some(state.pending?.at_ms.saturating_add(JUDGED_AFTER_MS))
}

pub(crate) fn fire(spec: &Spec, state: &mut State, _: i64) -> Step {
    state
        .pending
        .take()
        .map_or(Step::Quiet, |message| state.judge(spec, &message))
}

pub(crate) fn figures(spec: &Spec, state: &State) -> Option<Figures> {
    Some(state.fault?.figures(spec))
}

/// Messages from before the opening do not confirm anything.
pub(crate) fn hold(_: &Spec, state: &mut State, _: i64, _: f64) {
    state.forget();
}

pub(crate) fn open(_: &Spec, _: &mut State, _: i64) -> Step {
    Step::Quiet
}

pub(crate) fn close(spec: &Spec, state: &mut State, _: i64) -> Step {
    let figures = figures(spec, state);
    state.forget();
    figures.map_or(Step::Quiet, Step::Cleared)
}

pub(crate) fn look(spec: &Spec, state: &State) -> Look {
    let figures = figures(spec, state);
    let mut look = Look {
        active: state.fault.is_some(),
        severity: figures.map(|figures| figures.severity),
        value: figures.and_then(|figures| figures.value),
        limit: figures.map_or(Some(spec.limit_s()), |figures| figures.limit),
        peak: figures.and_then(|figures| figures.peak),
        count: figures.map_or(0, |figures| figures.count),
        since: state.run.map(|run| Timestamp::from_millis(run.began_ms)),
        due_at: deadline(spec, state).map(Timestamp::from_millis),
        ..Look::default()
    };
    if let Some(run) = &state.run {
        look.facts.insert("messages_in_a_row", json!(run.count));
    }
    look
}

#[cfg(test)]
mod tests;
