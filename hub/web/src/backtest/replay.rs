//! The live engine over what was received, with the devices as they were registered meanwhile.

use model::{Catalogue, Device, DeviceKey, Reading, Timestamp};
use rules::{AlarmSpan, Change, DeviceView, Engine, History, Rule, Settings};
use sdk::DeviceEntry;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use store::ChangeRow;

/// What is recorded of a change; that of a rule has neither, as a backtest brings its own rules.
#[derive(Deserialize)]
struct Recorded {
    put_device: Option<Put>,
    delete_device: Option<Gone>,
}

#[derive(Deserialize)]
struct Put {
    key: DeviceKey,
    device: Device,
}

#[derive(Deserialize)]
struct Gone {
    key: DeviceKey,
}

enum Step {
    Put(Box<Put>),
    Delete(DeviceKey),
}

impl Step {
    fn key(&self) -> DeviceKey {
        match self {
            Self::Put(put) => put.key,
            Self::Delete(key) => *key,
        }
    }
}

/// The recorded changes of devices, in order.
#[derive(Default)]
pub(super) struct Steps {
    steps: VecDeque<(Timestamp, Step)>,
}

impl Steps {
    /// Reads the changes; the error names the commit of one that cannot be read.
    pub(super) fn read(rows: &[ChangeRow]) -> Result<Self, String> {
        let mut steps = VecDeque::new();
        for row in rows {
            let recorded: Recorded = serde_json::from_str(&row.json)
                .map_err(|error| format!("the change of commit {}: {error}", row.commit))?;
            if let Some(put) = recorded.put_device {
                steps.push_back((row.stamp, Step::Put(Box::new(put))));
            }
            if let Some(gone) = recorded.delete_device {
                steps.push_back((row.stamp, Step::Delete(gone.key)));
            }
        }
        Ok(Self { steps })
    }

    /// Gives each device as it was last recorded, also those that are gone.
    pub(super) fn last_known(&self) -> BTreeMap<DeviceKey, Device> {
        let puts = self.steps.iter().filter_map(|(_, step)| match step {
            Step::Put(put) => Some((put.key, put.device.clone())),
            Step::Delete(_) => None,
        });
        puts.collect()
    }
}

/// Feeds the engine changes and readings in the order of their stamps: changes first, as live.
pub(super) struct Replay {
    engine: Engine,
    history: History,
    steps: Steps,
    out: Vec<Change>,
}

impl Replay {
    /// Starts at `from` with the devices that were registered then. A device of which no change is
    /// recorded is there from `from` on, as it is now.
    pub(super) fn start(
        (settings, catalogue): (Settings, Arc<Catalogue>),
        from: Timestamp,
        mut steps: Steps,
        present: &[Arc<DeviceEntry>],
        rules: Vec<Rule>,
    ) -> Self {
        let recorded: HashSet<DeviceKey> = steps.steps.iter().map(|(_, step)| step.key()).collect();
        let mut devices: BTreeMap<DeviceKey, DeviceView> = present
            .iter()
            .filter(|entry| !recorded.contains(&entry.key))
            .map(|entry| (entry.key, DeviceView::new(entry.key, &entry.device)))
            .collect();
        while let Some((_, step)) = steps.next_until(from) {
            match step {
                Step::Put(put) => devices.insert(put.key, DeviceView::new(put.key, &put.device)),
                Step::Delete(key) => devices.remove(&key),
            };
        }
        let mut replay = Self {
            engine: Engine::new(settings, catalogue),
            history: History::default(),
            steps,
            out: Vec::new(),
        };
        for device in devices.into_values() {
            replay.engine.put_device(from, device, &mut replay.out);
        }
        for rule in rules {
            replay.engine.put_rule(from, rule, &mut replay.out);
        }
        replay.keep();
        replay
    }

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

    fn change_until(&mut self, at: Timestamp) {
        while let Some((stamp, step)) = self.steps.next_until(at) {
            match step {
                Step::Put(put) => {
                    let view = DeviceView::new(put.key, &put.device);
                    self.engine.put_device(stamp, view, &mut self.out);
                }
                Step::Delete(key) => self.engine.remove_device(stamp, key, &mut self.out),
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

impl Steps {
    #[inline]
    fn next_until(&mut self, at: Timestamp) -> Option<(Timestamp, Step)> {
        self.steps.pop_front_if(|(stamp, _)| *stamp <= at)
    }
}
