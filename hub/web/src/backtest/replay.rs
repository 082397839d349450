//! A rehearsal over what was received, with the devices as they were registered meanwhile.

use crate::past::{self, Past};
use model::{Catalogue, Reading, Timestamp};
use rules::{Played, Rehearsal, Rule, Settings, Step};
use sdk::DeviceEntry;
use std::collections::VecDeque;
use std::sync::Arc;

/// Plays changes and readings in the order of their stamps: changes first, as live.
pub(super) struct Replay {
    rehearsal: Rehearsal,
    steps: VecDeque<(Timestamp, Step)>,
    /// When the next step comes.
    next: Timestamp,
}

impl Replay {
    /// Starts at `from` with the devices that were registered then. A device of which no change is
    /// recorded is there from `from` on, as it is now.
    pub(super) fn start(
        (settings, catalogue): (Settings, Arc<Catalogue>),
        from: Timestamp,
        past: &Past,
        present: &[Arc<DeviceEntry>],
        rules: Vec<Rule>,
    ) -> Self {
        let mut rehearsal = Rehearsal::begin(settings, catalogue, from);
        for device in past.devices_at(from, present).into_values() {
            rehearsal.change(from, Step::PutDevice(device.view()));
        }
        for rule in rules {
            rehearsal.change(from, Step::PutRule(Box::new(rule)));
        }
        let steps = past.between(from, Timestamp::MAX);
        let steps = steps.filter_map(|(at, step)| Some((*at, of_others(step)?)));
        let mut replay = Self {
            rehearsal,
            steps: steps.collect(),
            next: Timestamp::MAX,
        };
        replay.look_ahead();
        replay
    }

    #[inline]
    pub(super) fn take(&mut self, reading: &Reading) {
        if self.next <= reading.received_at {
            self.change_until(reading.received_at);
        }
        self.rehearsal.take(reading);
    }

    /// Fires what is due up to `until` and gives the alarms.
    pub(super) fn finish(mut self, until: Timestamp) -> Vec<Played> {
        self.change_until(until);
        self.rehearsal.finish(until)
    }

    fn change_until(&mut self, at: Timestamp) {
        while let Some((stamp, step)) = self.steps.pop_front_if(|(stamp, _)| *stamp <= at) {
            self.rehearsal.change(stamp, step);
        }
        self.look_ahead();
    }

    fn look_ahead(&mut self) {
        self.next = self.steps.front().map_or(Timestamp::MAX, |(at, _)| *at);
    }
}

/// Gives a change of all but the rules, which are the caller's.
fn of_others(step: &past::Step) -> Option<Step> {
    match step {
        past::Step::PutDevice(put) => Some(Step::PutDevice(put.view())),
        past::Step::DeleteDevice(key) => Some(Step::RemoveDevice(*key)),
        past::Step::Resumed(since) => Some(Step::Resumed(*since)),
        past::Step::PutRule(_) | past::Step::DeleteRule(_) => None,
    }
}
