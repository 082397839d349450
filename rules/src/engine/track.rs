//! The recent readings of one series, shared by all rules that watch it.

use super::gate::Gated;
use super::lane::{Lane, Pulse, Scope};
use super::lanes::Lanes;
use super::watch::{NO_LANE, Watch};
use super::{Change, Entry};
use crate::kind::{Input, Params};
use model::{DeviceKey, MetricKey};
use serde::{Deserialize, Serialize};

/// How many inputs are gathered before it is worth looking which of them are settled.
const SETTLE_LEN_MIN: usize = 4;

/// The inputs of one series that an earlier one may still precede.
///
/// A rule needs a lane of its own only while the series is not plainly normal for it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Track {
    pub(super) metric: MetricKey,
    /// In the order of their keys.
    recent: Vec<Input>,
    /// At this length the settled inputs are dropped. (The capacity would not survive a restart.)
    settle_len: usize,
    /// How many inputs there have been.
    pub(super) count: u32,
}

/// What a track needs of the engine.
pub(super) struct Around<'a> {
    pub(super) device: DeviceKey,
    pub(super) params: Params,
    pub(super) rules: &'a [Option<Entry>],
    pub(super) lanes: &'a mut Lanes,
    pub(super) pulse: &'a mut Pulse,
    pub(super) out: &'a mut Vec<Change>,
}

impl Track {
    pub(super) fn new(metric: MetricKey) -> Self {
        Self {
            metric,
            recent: Vec::new(),
            settle_len: SETTLE_LEN_MIN,
            count: 0,
        }
    }

    /// Takes an input that is not late, for every rule that watches this series.
    #[inline]
    pub(super) fn feed(&mut self, around: &mut Around<'_>, watches: &mut [Watch], input: Input) {
        let input = Input {
            number: self.count,
            ..input
        };
        self.count = self.count.saturating_add(1);
        if self.recent.len() >= self.settle_len {
            self.settle(around, watches);
        }
        let is_last = self
            .recent
            .last()
            .is_none_or(|last| last.key() <= input.key());
        if is_last {
            self.recent.push(input);
        } else {
            let key = input.key();
            let place = self.recent.partition_point(|recent| recent.key() <= key);
            self.recent.insert(place, input);
        }
        for watch in watches {
            if watch.metric != Some(self.metric) {
                continue;
            }
            let Some(Some(entry)) = around.rules.get(watch.slot as usize) else {
                continue;
            };
            if entry.ignores(&input) {
                continue;
            }
            if watch.lane == NO_LANE {
                let condition = entry.condition();
                if !condition.could_begin_with(&around.params, &input.sample) {
                    continue;
                }
                let state = Gated::new(condition.start(&around.params));
                watch.lane = around
                    .lanes
                    .add(Lane::new(watch.slot, around.device, state));
            }
            let Some(lane) = around.lanes.get_mut(watch.lane) else {
                continue;
            };
            let mut scope = Scope {
                entry,
                pulse: around.pulse,
                place: None,
                out: around.out,
            };
            if is_last && input.at_ms >= lane.frontier_ms {
                lane.feed(&mut scope, &input);
            } else {
                lane.rerun(&mut scope, self.taken_by(entry, watch.since));
            }
            around
                .lanes
                .arm(watch.lane, entry, around.pulse.lateness_ms);
        }
    }

    /// Gives the recent inputs that came after a rule began to watch, and that it takes.
    fn taken_by(&self, entry: &Entry, since: u32) -> impl Iterator<Item = &Input> {
        let is_taken = move |input: &&Input| input.number >= since && !entry.ignores(input);
        self.recent.iter().filter(is_taken)
    }

    /// Drops the inputs before which nothing can come any more, after every lane has taken them
    /// into its settled state, and ends the lanes that are plainly normal again.
    fn settle(&mut self, around: &mut Around<'_>, watches: &mut [Watch]) {
        let before_ms = around.pulse.settled_before_ms();
        let settled = self.recent.partition_point(|i| i.at_ms < before_ms);
        for watch in watches {
            if watch.lane == NO_LANE || watch.metric != Some(self.metric) {
                continue;
            }
            let Some(Some(entry)) = around.rules.get(watch.slot as usize) else {
                continue;
            };
            let Some(lane) = around.lanes.get_mut(watch.lane) else {
                continue;
            };
            lane.settle(entry, self.taken_by(entry, watch.since), before_ms);
            // From plainly normal the lane can begin again whenever a value beyond comes, in any order;
            // one that is not beyond only shortens what did not last long enough for an alarm. One
            // that is not settled may have become nothing by time alone, though, and an input that
            // comes after it may still find it there.
            let mut unsettled = self.recent.iter().skip(settled);
            let may_matter = |i: &Input| {
                entry
                    .condition()
                    .could_begin_with(&around.params, &i.sample)
            };
            if lane.is_plain() && !unsettled.any(may_matter) {
                around.lanes.remove(watch.lane);
                watch.lane = NO_LANE;
            }
        }
        self.recent.drain(..settled);
        self.settle_len = SETTLE_LEN_MIN.max(2 * self.recent.len());
    }
}
