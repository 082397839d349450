//! One rule on one series or device: its state, and the inputs that may still change their order.

use super::{Entry, late::LateLane, rerun};
use crate::kind::{Input, State, Step};
use crate::{Change, ClearReason, Figures, What};
use model::{DeviceKey, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// No deadline.
pub(super) const NEVER: i64 = i64::MAX;

/// What all lanes share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pulse {
    pub(super) now_ms: i64,
    pub(super) lateness_ms: i64,
    /// The number of the last alarm.
    pub(super) last_alarm: u64,
}

/// What a lane needs to speak: its rule, the pulse and the way out.
pub(super) struct Scope<'a> {
    pub(super) entry: &'a Entry,
    pub(super) pulse: &'a mut Pulse,
    pub(super) out: &'a mut Vec<Change>,
}

/// One alarm of this lane, as it was told.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Episode {
    pub(super) alarm: u64,
    pub(super) raised_ms: i64,
    pub(super) cleared_ms: Option<i64>,
    pub(super) figures: Figures,
}

/// The state of one rule on one series or device.
///
/// `state` is where all inputs lead, `settled` where those lead that nothing can precede any more;
/// `recent` holds the inputs between the two and `episodes` the alarms. An input that comes out of
/// order starts again from `settled`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lane {
    pub(super) slot: u32,
    pub(super) device: DeviceKey,
    /// For when the engine has been asked to wake this lane; at or before its true deadline.
    pub(super) armed_ms: i64,
    /// The latest input or deadline that `state` has seen.
    pub(super) frontier_ms: i64,
    pub(super) state: State,
    pub(super) settled: State,
    /// In the order of their keys.
    pub(super) recent: Vec<Input>,
    /// Every alarm of which `settled` has not seen the end, oldest first.
    pub(super) episodes: Vec<Episode>,
    pub(super) late: Option<Box<LateLane>>,
}

impl Scope<'_> {
    pub(super) fn next_alarm(&mut self) -> u64 {
        self.pulse.last_alarm += 1;
        self.pulse.last_alarm
    }

    pub(super) fn say(&mut self, device: DeviceKey, alarm: u64, at_ms: i64, what: What) {
        self.out.push(Change {
            alarm,
            rule: Arc::clone(&self.entry.id),
            rule_revision: self.entry.rule.revision,
            device,
            metric: self.entry.metric,
            shadow: self.entry.rule.spec.shadow,
            at: Timestamp::from_millis(at_ms),
            what,
        });
    }

    /// Gives the instant before which no input can come any more, other than late ones.
    fn settled_before_ms(&self) -> i64 {
        self.pulse.now_ms.saturating_sub(self.pulse.lateness_ms)
    }
}

impl Lane {
    pub(super) fn new(slot: u32, device: DeviceKey, state: State) -> Self {
        Self {
            slot,
            device,
            armed_ms: NEVER,
            frontier_ms: i64::MIN,
            settled: state.clone(),
            state,
            recent: Vec::new(),
            episodes: Vec::new(),
            late: None,
        }
    }

    /// Takes an input that is not late.
    #[inline]
    pub(super) fn feed(&mut self, scope: &mut Scope<'_>, input: &Input) {
        let is_in_order = input.at_ms >= self.frontier_ms
            && self
                .recent
                .last()
                .is_none_or(|last| last.key() <= input.key());
        if is_in_order {
            self.remember(scope, input);
            self.fire_until(scope, input.at_ms);
            let step = scope.entry.condition().step(&mut self.state, input);
            self.frontier_ms = input.at_ms;
            self.tell(scope, input.at_ms, step);
            self.fire_until(scope, scope.pulse.now_ms);
        } else if self.insert(input) {
            rerun::rerun(self, scope);
        }
    }

    /// Takes a late input: history only.
    pub(super) fn feed_late(&mut self, scope: &mut Scope<'_>, input: &Input) {
        let mut late = self.late.take().unwrap_or_default();
        late.feed(self.device, scope, input);
        self.late = Some(late);
    }

    /// Tells when something happens without an input.
    #[inline]
    pub(super) fn deadline_ms(&self, scope: &Scope<'_>) -> i64 {
        let deadline_ms = scope.entry.condition().deadline(&self.state);
        let late_ms = self.late.as_ref().map(|late| late.ends_ms(scope.pulse));
        deadline_ms.unwrap_or(NEVER).min(late_ms.unwrap_or(NEVER))
    }

    /// Lets everything happen that is due by now.
    pub(super) fn wake(&mut self, scope: &mut Scope<'_>, to_ms: i64) {
        self.fire_until(scope, to_ms);
        if self
            .late
            .as_ref()
            .is_some_and(|late| late.ends_ms(scope.pulse) <= to_ms)
        {
            self.finish_late(scope);
        }
    }

    /// Ends what this lane has begun, because nothing watches the device any more.
    pub(super) fn close(&mut self, scope: &mut Scope<'_>, reason: ClearReason) {
        self.finish_late(scope);
        let open = self.episodes.last().filter(|e| e.cleared_ms.is_none());
        if let Some(open) = open.copied() {
            let at_ms = scope.pulse.now_ms.max(open.raised_ms);
            let what = What::Cleared {
                reason,
                figures: open.figures,
            };
            scope.say(self.device, open.alarm, at_ms, what);
        }
    }

    #[inline]
    fn fire_until(&mut self, scope: &mut Scope<'_>, to_ms: i64) {
        let condition = scope.entry.condition();
        while let Some(at_ms) = condition.deadline(&self.state)
            && at_ms <= to_ms
        {
            let step = condition.fire(&mut self.state, at_ms);
            self.frontier_ms = self.frontier_ms.max(at_ms);
            self.tell(scope, at_ms, step);
        }
    }

    fn finish_late(&mut self, scope: &mut Scope<'_>) {
        if let Some(mut late) = self.late.take() {
            late.finish(self.device, scope);
        }
    }

    /// Keeps the latest input for as long as an earlier one may come.
    #[inline]
    fn remember(&mut self, scope: &Scope<'_>, input: &Input) {
        if let [.., before, last] = self.recent.as_mut_slice()
            && !self.state.could_matter_between(before.at_ms, input.at_ms)
        {
            *last = *input;
            return;
        }
        if self.recent.len() == self.recent.capacity() {
            self.settle(scope);
        }
        self.recent.push(*input);
    }

    /// Puts an older input in its place; false if it cannot change anything there.
    fn insert(&mut self, input: &Input) -> bool {
        let place = self
            .recent
            .partition_point(|recent| recent.key() <= input.key());
        let before = place.checked_sub(1).and_then(|p| self.recent.get(p));
        if let (Some(before), Some(after)) = (before, self.recent.get(place))
            && !self.state.could_matter_between(before.at_ms, after.at_ms)
        {
            return false;
        }
        self.recent.insert(place, *input);
        true
    }

    /// Moves the settled state up to where inputs can still come in, and forgets what lies before.
    fn settle(&mut self, scope: &Scope<'_>) {
        let condition = scope.entry.condition();
        let before_ms = scope.settled_before_ms();
        let settled = &mut self.settled;
        let mut ended = 0;
        let mut taken = 0;
        for input in &self.recent {
            if input.at_ms >= before_ms {
                break;
            }
            ended += fire_quietly(condition, settled, input.at_ms);
            ended += usize::from(matches!(condition.step(settled, input), Step::Cleared(_)));
            taken += 1;
        }
        ended += fire_quietly(condition, settled, before_ms);
        self.recent.drain(..taken);
        self.episodes.drain(..ended.min(self.episodes.len()));
    }

    /// Tells the world what an input or deadline in its due order did.
    #[inline]
    fn tell(&mut self, scope: &mut Scope<'_>, at_ms: i64, step: Step) {
        if step == Step::Quiet {
            return;
        }
        self.tell_aloud(scope, at_ms, step);
    }

    fn tell_aloud(&mut self, scope: &mut Scope<'_>, at_ms: i64, step: Step) {
        if let Step::Raised(figures) = step {
            let alarm = scope.next_alarm();
            scope.say(self.device, alarm, at_ms, What::Raised(figures));
            self.episodes.push(Episode {
                alarm,
                raised_ms: at_ms,
                cleared_ms: None,
                figures,
            });
            return;
        }
        let Some(episode) = self.episodes.last_mut() else {
            return;
        };
        let what = match step {
            Step::Quiet | Step::Raised(_) => return,
            Step::Updated(figures) => What::Updated(figures),
            Step::Escalated(figures) => What::Escalated(figures),
            Step::Deescalated(figures) => What::Deescalated(figures),
            Step::Cleared(figures) => {
                episode.cleared_ms = Some(at_ms);
                What::Cleared {
                    reason: ClearReason::Normal,
                    figures,
                }
            }
        };
        if let Some(figures) = step.figures() {
            episode.figures = figures;
        }
        scope.say(self.device, episode.alarm, at_ms, what);
    }
}

/// Fires deadlines whose alarms have been told before, and counts the alarms that ended.
fn fire_quietly(condition: &crate::Condition, state: &mut State, to_ms: i64) -> usize {
    let mut ended = 0;
    while let Some(at_ms) = condition.deadline(state)
        && at_ms <= to_ms
    {
        let step = condition.fire(state, at_ms);
        ended += usize::from(matches!(step, Step::Cleared(_)));
    }
    ended
}
