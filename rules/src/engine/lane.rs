//! One rule on one series or device: its state, and the inputs that may still change their order.

use super::Entry;
use super::composites::{Edit, Told};
use super::gate::Gated;
use super::late::LateLane;
use crate::kind::{Input, Params, Step};
use crate::{Change, ClearReason, Figures, What};
use model::{DeviceKey, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many inputs a lane of its own gathers before it looks which of them are settled.
const OWN_SETTLE_LEN_MIN: usize = 4;

/// No deadline.
pub(super) const NEVER: i64 = i64::MAX;

/// What all lanes share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pulse {
    pub(super) now_ms: i64,
    pub(super) lateness_ms: i64,
    /// When the hub last began to run again.
    pub(super) resumed_ms: i64,
    /// The number of the last alarm.
    pub(super) last_alarm: u64,
    /// How many late readings wait to be evaluated.
    pub(super) late_inputs: usize,
    /// What composites have yet to be told; empty between two calls.
    #[serde(skip)]
    pub(super) told: Vec<Told>,
}

/// What a lane needs to speak: its rule, the pulse and the way out.
pub(super) struct Scope<'a> {
    pub(super) entry: &'a Entry,
    pub(super) pulse: &'a mut Pulse,
    /// Where the alarms of several devices come together.
    pub(super) place: Option<Arc<str>>,
    pub(super) out: &'a mut Vec<Change>,
}

/// One alarm of this lane, as it was told.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Episode {
    pub(super) alarm: u64,
    pub(super) device: DeviceKey,
    pub(super) raised_ms: i64,
    pub(super) cleared_ms: Option<i64>,
    /// Means nothing as long as it is active.
    pub(super) reason: ClearReason,
    pub(super) figures: Figures,
}

/// The state of one rule on one series or device.
///
/// `state` is where all inputs lead, `settled` where those lead that nothing can precede any more;
/// `episodes` are the alarms between the two. An input that comes out of order starts again from
/// `settled`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lane {
    pub(super) slot: u32,
    pub(super) device: DeviceKey,
    /// For when the engine has been asked to wake this lane; at or before its true deadline.
    pub(super) armed_ms: i64,
    /// The latest input or deadline that `state` has seen.
    pub(super) frontier_ms: i64,
    pub(super) state: Gated,
    pub(super) settled: Gated,
    /// For a rule on signs of life: the inputs between the two, in the order of their keys. (Those
    /// of a rule on values are in the series' track, shared with other rules.)
    own: Vec<Input>,
    own_settle_len: usize,
    /// Every alarm of which `settled` has not seen the end, oldest first.
    pub(super) episodes: Vec<Episode>,
    pub(super) late: Option<Box<LateLane>>,
    /// For a composite: where; `device` is then the first one that had an alarm there.
    pub(super) place: Option<Arc<str>>,
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
            scope: self.place.clone(),
            metric: self.entry.metric,
            shadow: self.entry.rule.spec.shadow,
            at: Timestamp::from_millis(at_ms),
            what,
        });
    }
}

impl Scope<'_> {
    /// Notes for the composites that a member's alarm began or ended, or that it never did.
    pub(super) fn note(&mut self, device: DeviceKey, at_ms: i64, is_raise: bool, is_gone: bool) {
        if self.entry.memberships.is_empty() {
            return;
        }
        self.pulse.told.push(Told {
            slot: self.entry.slot,
            device,
            at_ms,
            is_raise,
            is_gone,
        });
    }
}

impl Pulse {
    /// Gives the instant before which no input can come any more, other than late ones.
    pub(super) fn settled_before_ms(&self) -> i64 {
        self.now_ms.saturating_sub(self.lateness_ms)
    }
}

impl Lane {
    pub(super) fn new(slot: u32, device: DeviceKey, state: Gated) -> Self {
        Self {
            slot,
            device,
            armed_ms: NEVER,
            frontier_ms: i64::MIN,
            settled: state.clone(),
            state,
            own: Vec::new(),
            own_settle_len: OWN_SETTLE_LEN_MIN,
            episodes: Vec::new(),
            late: None,
            place: None,
        }
    }

    /// Takes an input that comes after all others.
    #[inline]
    pub(super) fn feed(&mut self, scope: &mut Scope<'_>, input: &Input) {
        self.fire_until(scope, input.at_ms);
        let step = self.state.step(scope.entry, input.at_ms, &input.sample);
        self.frontier_ms = input.at_ms;
        self.tell(scope, input.at_ms, step);
        self.fire_until(scope, scope.pulse.now_ms);
    }

    /// Takes an input, in any order, for a rule that keeps its own.
    #[inline]
    pub(super) fn feed_own(&mut self, scope: &mut Scope<'_>, input: &Input) {
        let last = self.own.last();
        if input.at_ms >= self.frontier_ms && last.is_none_or(|last| last.key() <= input.key()) {
            self.remember(scope, input);
            self.feed(scope, input);
        } else if self.insert(input) {
            let own = std::mem::take(&mut self.own);
            self.rerun(scope, own.iter());
            self.own = own;
        }
    }

    /// Takes what happened to the alarms of a composite's members, or never did.
    pub(super) fn feed_edits(&mut self, scope: &mut Scope<'_>, edits: &[Edit]) {
        self.settle_own(scope);
        let is_next = |lane: &Self, input: &Input| {
            let last = lane.own.last();
            input.at_ms >= lane.frontier_ms && last.is_none_or(|last| last.key() <= input.key())
        };
        if let [edit] = edits
            && !edit.is_gone
            && is_next(self, &edit.input)
        {
            self.own.push(edit.input);
            self.feed(scope, &edit.input);
            return;
        }
        for edit in edits {
            let key = edit.input.key();
            let place = self.own.partition_point(|own| own.key() < key);
            if !edit.is_gone {
                self.own.insert(place, edit.input);
            } else if self.own.get(place).is_some_and(|own| own.key() == key) {
                self.own.remove(place);
            }
        }
        let own = std::mem::take(&mut self.own);
        self.rerun(scope, own.iter());
        self.own = own;
    }

    /// Tells since when an alarm is active.
    pub(super) fn active_since_ms(&self) -> Option<i64> {
        let last = self.episodes.last()?;
        last.cleared_ms.is_none().then_some(last.raised_ms)
    }

    /// Tells whether nothing would be lost with this lane, and nothing can change that any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_plain() && self.own.is_empty()
    }

    /// Takes an input of a rule that counts messages by when they came, of which the latest one of
    /// an instant stands for all.
    pub(super) fn feed_received(&mut self, scope: &mut Scope<'_>, input: &Input) {
        match self.own.last() {
            Some(last) if last.at_ms >= input.at_ms => {
                if last.key() < input.key() {
                    let own = [*input];
                    self.rerun(scope, own.iter());
                    self.own = own.to_vec();
                }
            }
            _ => {
                self.settled = self.state.clone();
                self.episodes.retain(|episode| episode.cleared_ms.is_none());
                self.own.clear();
                self.own.push(*input);
                self.feed(scope, input);
            }
        }
    }

    /// Takes a late input: history only.
    pub(super) fn feed_late(&mut self, scope: &mut Scope<'_>, params: &Params, input: &Input) {
        let mut late = self.late.take().unwrap_or_default();
        late.feed(self.device, scope, params, input);
        self.late = Some(late);
    }

    /// Tells when something happens without an input.
    #[inline]
    pub(super) fn deadline_ms(&self, entry: &Entry, lateness_ms: i64) -> i64 {
        let deadline_ms = self.state.deadline(entry);
        let late_ms = self.late.as_ref().map(|late| late.ends_ms(lateness_ms));
        let deadline_ms = deadline_ms.unwrap_or(NEVER).min(late_ms.unwrap_or(NEVER));
        if self.place.is_some() && !self.own.is_empty() && self.state.state.is_plain() {
            return deadline_ms.min(self.tidy_ms(lateness_ms));
        }
        deadline_ms
    }

    /// Tells when the inputs of a place in which nothing is left have all settled.
    fn tidy_ms(&self, lateness_ms: i64) -> i64 {
        let last_ms = self.own.last().map_or(i64::MIN, |input| input.at_ms);
        let last_ms = last_ms.max(self.frontier_ms);
        last_ms.saturating_add(lateness_ms).saturating_add(1)
    }

    /// Lets everything happen that is due by now.
    pub(super) fn wake(&mut self, scope: &mut Scope<'_>, to_ms: i64) {
        self.fire_until(scope, to_ms);
        if self
            .late
            .as_ref()
            .is_some_and(|late| late.ends_ms(scope.pulse.lateness_ms) <= to_ms)
        {
            self.finish_late(scope);
        }
        if self.place.is_some() && self.tidy_ms(scope.pulse.lateness_ms) <= to_ms {
            self.settle_own_now(scope);
        }
    }

    /// Leaves out a stretch of time in which nothing could be received, for good: nothing comes any
    /// more that counts before its end.
    pub(super) fn resume(&mut self, entry: &Entry, gap: (i64, i64), begins_anew: bool) {
        self.state.resume(entry, gap, begins_anew);
        self.settled = self.state.clone();
        self.own.clear();
        self.episodes.retain(|episode| episode.cleared_ms.is_none());
        self.frontier_ms = self.frontier_ms.max(gap.1);
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
            scope.say(open.device, open.alarm, at_ms, what);
            scope.note(open.device, at_ms, false, false);
        }
    }

    #[inline]
    fn fire_until(&mut self, scope: &mut Scope<'_>, to_ms: i64) {
        while let Some(at_ms) = self.state.deadline(scope.entry)
            && at_ms <= to_ms
        {
            let step = self.state.fire(scope.entry, at_ms);
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
        if let [.., before, last] = self.own.as_mut_slice()
            && !self
                .state
                .state
                .could_matter_between(before.at_ms, input.at_ms)
        {
            *last = *input;
            return;
        }
        self.settle_own(scope);
        self.own.push(*input);
    }

    #[inline]
    fn settle_own(&mut self, scope: &Scope<'_>) {
        if self.own.len() >= self.own_settle_len {
            self.settle_own_now(scope);
        }
    }

    fn settle_own_now(&mut self, scope: &Scope<'_>) {
        let before_ms = scope.pulse.settled_before_ms();
        let own = std::mem::take(&mut self.own);
        self.settle(scope.entry, own.iter(), before_ms);
        self.own = own;
        self.own.retain(|input| input.at_ms >= before_ms);
        self.own_settle_len = OWN_SETTLE_LEN_MIN.max(2 * self.own.len());
    }

    /// Puts an older input in its place; false if it cannot change anything there.
    fn insert(&mut self, input: &Input) -> bool {
        let key = input.key();
        let place = self.own.partition_point(|own| own.key() <= key);
        let before = place.checked_sub(1).and_then(|p| self.own.get(p));
        if let (Some(before), Some(after)) = (before, self.own.get(place))
            && !self
                .state
                .state
                .could_matter_between(before.at_ms, after.at_ms)
        {
            return false;
        }
        self.own.insert(place, *input);
        true
    }

    /// Moves the settled state up to where inputs can still come in, past those before.
    pub(super) fn settle<'a>(
        &mut self,
        entry: &Entry,
        inputs: impl Iterator<Item = &'a Input>,
        before_ms: i64,
    ) {
        let settled = &mut self.settled;
        let mut ended = 0;
        for input in inputs.take_while(|input| input.at_ms < before_ms) {
            ended += fire_quietly(entry, settled, input.at_ms);
            let step = settled.step(entry, input.at_ms, &input.sample);
            ended += usize::from(step.ends());
        }
        ended += fire_quietly(entry, settled, before_ms);
        self.episodes.drain(..ended.min(self.episodes.len()));
    }

    /// Tells whether nothing would be lost with this lane.
    pub(super) fn is_plain(&self) -> bool {
        self.state.state.is_plain()
            && self.settled.state.is_plain()
            && self.episodes.is_empty()
            && self.late.is_none()
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
            let device = self.state.state.device().unwrap_or(self.device);
            scope.say(device, alarm, at_ms, What::Raised(figures));
            scope.note(device, at_ms, true, false);
            // Hardly ever is there more than one, so that room for four would be a waste.
            self.episodes.reserve_exact(1);
            self.episodes.push(Episode {
                alarm,
                device,
                raised_ms: at_ms,
                cleared_ms: None,
                reason: ClearReason::Normal,
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
            Step::Cleared(figures) | Step::Closed(figures) => {
                episode.cleared_ms = Some(at_ms);
                episode.reason = step.reason();
                What::Cleared {
                    reason: episode.reason,
                    figures,
                }
            }
        };
        if let Some(figures) = step.figures() {
            episode.figures = figures;
        }
        scope.say(episode.device, episode.alarm, at_ms, what);
        if step.ends() {
            scope.note(episode.device, at_ms, false, false);
        }
    }
}

/// Fires deadlines whose alarms have been told before, and counts the alarms that ended.
fn fire_quietly(entry: &Entry, state: &mut Gated, to_ms: i64) -> usize {
    let mut ended = 0;
    while let Some(at_ms) = state.deadline(entry)
        && at_ms <= to_ms
    {
        ended += usize::from(state.fire(entry, at_ms).ends());
    }
    ended
}
