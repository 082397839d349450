//! Late readings of one lane: gathered until no more come, then told as history, never as an alarm.

use super::gate::Gated;
use super::lane::{Episode, Scope};
use super::rerun::Run;
use crate::What;
use crate::kind::{Input, Params};
use model::DeviceKey;
use serde::{Deserialize, Serialize};

/// How many late readings a lane gathers: a week of minutes, or three hours of seconds.
const LATE_INPUTS_MAX: usize = 10_000;

/// How many late readings all lanes gather together; a district that comes back after a day without
/// its link must not take the memory.
const LATE_INPUTS_TOTAL_MAX: usize = 1_000_000;

/// So long after the last late reading no more are waited for, unless the lateness is shorter: a
/// device delivers its backlog faster than this, and whoever looks at the history soon after should
/// find the alarms of the past in it. What comes after a longer pause is a run of its own.
const LATE_QUIET_MS: i64 = 10_000;

/// A run over late readings, apart from the live one.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct LateLane {
    /// In the order of their arrival.
    inputs: Vec<Input>,
    last_arrival_ms: i64,
    /// Where the readings lead that have been evaluated, because there were too many to keep.
    state: Option<Gated>,
    open: Option<Episode>,
    /// Readings up to here have been evaluated.
    floor_ms: Option<i64>,
}

impl LateLane {
    /// Tells when it is taken for granted that no more late readings come.
    pub(super) fn ends_ms(&self, lateness_ms: i64) -> i64 {
        self.last_arrival_ms
            .saturating_add(lateness_ms.min(LATE_QUIET_MS))
    }

    pub(super) fn feed(
        &mut self,
        device: DeviceKey,
        scope: &mut Scope<'_>,
        params: &Params,
        input: &Input,
    ) {
        // What is older than the evaluated ones cannot join their run: it begins another.
        if self.floor_ms.is_some_and(|floor| input.at_ms < floor) {
            self.finish(device, scope);
        }
        self.state
            .get_or_insert_with(|| Gated::new(scope.entry.condition().start(params)));
        let is_full = self.inputs.len() >= LATE_INPUTS_MAX;
        if is_full || scope.pulse.late_inputs >= LATE_INPUTS_TOTAL_MAX {
            self.evaluate(device, scope, self.inputs.len().div_ceil(2));
        }
        self.inputs.push(*input);
        scope.pulse.late_inputs += 1;
        self.last_arrival_ms = scope.pulse.now_ms;
    }

    /// Evaluates everything; an alarm that is then active ends with its last late reading.
    pub(super) fn finish(&mut self, device: DeviceKey, scope: &mut Scope<'_>) {
        self.evaluate(device, scope, self.inputs.len());
        if let Some(mut open) = self.open.take() {
            open.cleared_ms = self.floor_ms;
            record(scope, device, open);
        }
        *self = Self::default();
    }

    /// Evaluates the oldest readings.
    fn evaluate(&mut self, device: DeviceKey, scope: &mut Scope<'_>, count: usize) {
        self.inputs.sort_unstable_by_key(Input::key);
        // There is a state as soon as there is a reading.
        let Some(state) = self.state.take() else {
            return;
        };
        let mut run = Run::new((scope.entry, device), state, self.open.take());
        let count = count.min(self.inputs.len());
        scope.pulse.late_inputs = scope.pulse.late_inputs.saturating_sub(count);
        for input in self.inputs.drain(..count) {
            run.step(&input);
            self.floor_ms = Some(input.at_ms);
        }
        self.state = Some(run.state);
        for episode in run.episodes {
            if episode.cleared_ms.is_some() {
                record(scope, device, episode);
            } else {
                self.open = Some(episode);
            }
        }
    }
}

fn record(scope: &mut Scope<'_>, device: DeviceKey, episode: Episode) {
    let alarm = scope.next_alarm();
    let now_ms = scope.pulse.now_ms;
    scope.say(device, alarm, now_ms, What::Recorded(episode.outcome()));
}
