//! The live engine over what was received, with the devices as they were registered meanwhile.

use crate::past::{Past, Step};
use model::{Catalogue, Reading, Timestamp};
use rules::{AlarmSpan, Change, Engine, History, Rule, Settings};
use sdk::DeviceEntry;
use std::collections::VecDeque;
use std::sync::Arc;

/// Feeds the engine changes and readings in the order of their stamps: changes first, as live.
pub(super) struct Replay {
    engine: Engine,
    history: History,
    steps: VecDeque<(Timestamp, Step)>,
    out: Vec<Change>,
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
        let is_of_a_device =
            |step: &Step| matches!(step, Step::PutDevice(_) | Step::DeleteDevice(_));
        let steps = past.between(from, Timestamp::MAX);
        let steps = steps.filter(|(_, step)| is_of_a_device(step)).cloned();
        let mut replay = Self {
            engine: Engine::new(settings, catalogue),
            history: History::default(),
            steps: steps.collect(),
            out: Vec::new(),
        };
        for device in past.devices_at(from, present).into_values() {
            replay
                .engine
                .put_device(from, device.view(), &mut replay.out);
        }
        for rule in rules {
            replay.engine.put_rule(from, rule, &mut replay.out);
        }
        replay.keep();
        replay
    }

    #[inline]
    pub(super) fn take(&mut self, reading: &Reading) {
        self.change_until(reading.received_at);
        self.engine
            .apply(reading.received_at, reading, &mut self.out);
        self.keep();
    }

    /// Fires what is due up to `until` and gives the alarms.
    pub(super) fn finish(mut self, until: Timestamp) -> Vec<AlarmSpan> {
        self.change_until(until);
        self.engine.advance(until, &mut self.out);
        self.keep();
        self.history.into_spans()
    }

    #[inline]
    fn change_until(&mut self, at: Timestamp) {
        while let Some((stamp, step)) = self.steps.pop_front_if(|(stamp, _)| *stamp <= at) {
            match step {
                Step::PutDevice(put) => self.engine.put_device(stamp, put.view(), &mut self.out),
                Step::DeleteDevice(key) => self.engine.remove_device(stamp, key, &mut self.out),
                Step::PutRule(_) | Step::DeleteRule(_) => {}
            }
            self.keep();
        }
    }

    #[inline]
    fn keep(&mut self) {
        for change in self.out.drain(..) {
            self.history.apply(&change);
        }
    }
}
