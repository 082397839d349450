//! Which rules watch which devices, and what happens when that changes.

use super::lane::{Lane, Scope};
use super::{Engine, Entry, arm};
use crate::kind::{State, silence, threshold};
use crate::{Change, ClearReason, Condition, DeviceView, Targets};
use model::{DeviceKey, MetricKey};
use serde::{Deserialize, Serialize};

/// A watch whose lane begins with its first reading.
pub(super) const NO_LANE: u32 = u32::MAX;

/// A device and the rules that watch it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Watched {
    pub(super) view: DeviceView,
    pub(super) watches: Vec<Watch>,
}

/// One rule that watches one device.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Watch {
    pub(super) slot: u32,
    /// None takes them all.
    pub(super) metric: Option<MetricKey>,
    pub(super) lane: u32,
}

impl Watched {
    pub(super) fn new(view: DeviceView) -> Self {
        Self {
            view,
            watches: Vec::new(),
        }
    }
}

impl Watch {
    #[inline]
    pub(super) fn takes(&self, metric: MetricKey) -> bool {
        self.metric.is_none_or(|own| own == metric)
    }
}

/// What was edited, and what that means for a watch that goes on.
pub(super) struct Edit {
    pub(super) keeps_state: bool,
    pub(super) reason: ClearReason,
}

/// How a rule is to watch a device.
enum Wanted {
    /// From its first reading on.
    OnReading,
    /// From now on, with a countdown.
    Countdown { patience_ms: i64 },
}

impl Targets {
    fn include(&self, device: &DeviceView) -> bool {
        match self {
            Self::Devices(ids) => ids.contains(&device.id),
            Self::Select(select) => {
                select.kind.as_ref().is_none_or(|k| *k == device.kind)
                    && (select.site.is_none() || select.site == device.site)
                    && select
                        .tags
                        .iter()
                        .all(|(name, value)| device.tags.get(name) == Some(value))
            }
        }
    }
}

impl Condition {
    /// Gives the state of a lane that begins with a reading.
    pub(super) fn start(&self) -> State {
        match self {
            Self::Threshold(_) => State::Threshold(threshold::State::default()),
            // A silence lane begins when the device is first watched, before any reading.
            Self::Silence(spec) => {
                let patience_ms = spec.patience_ms(None).unwrap_or(i64::MAX);
                State::Silence(silence::State::new(patience_ms, 0))
            }
        }
    }
}

impl Entry {
    fn wants(&self, device: &DeviceView) -> Option<Wanted> {
        if !self.rule.spec.enabled || !device.enabled || !self.rule.spec.targets.include(device) {
            return None;
        }
        match self.condition() {
            Condition::Threshold(_) => self.metric.map(|_| Wanted::OnReading),
            Condition::Silence(spec) => spec
                .patience_ms(device.cadence_s)
                .map(|patience_ms| Wanted::Countdown { patience_ms }),
        }
    }
}

impl Engine {
    /// Begins, keeps or ends the watch of one rule over one device.
    pub(super) fn reconcile(
        &mut self,
        key: DeviceKey,
        slot: u32,
        edit: &Edit,
        out: &mut Vec<Change>,
    ) {
        let Some(Some(entry)) = self.rules.get(slot as usize) else {
            return;
        };
        let Some(device) = self.devices.get(&key) else {
            return;
        };
        let Some(wanted) = entry.wants(&device.view) else {
            self.unwatch(key, slot, edit.reason, out);
            return;
        };
        let metric = entry.metric;
        let present = device.watches.iter().find(|watch| watch.slot == slot);
        if let Some(watch) = present {
            let patience_ms = self.patience_ms(watch.lane);
            let is_same = match wanted {
                Wanted::OnReading => true,
                Wanted::Countdown { patience_ms: new } => patience_ms == Some(new),
            };
            if edit.keeps_state && is_same {
                return;
            }
            self.unwatch(key, slot, edit.reason, out);
        }
        let lane = match wanted {
            Wanted::OnReading => NO_LANE,
            Wanted::Countdown { patience_ms } => {
                let state = silence::State::new(patience_ms, self.pulse.now_ms);
                self.begin(Lane::new(slot, key, State::Silence(state)), out)
            }
        };
        if let Some(device) = self.devices.get_mut(&key) {
            // In the order of the slots, so that it does not matter which came first.
            let place = device.watches.partition_point(|watch| watch.slot < slot);
            let watch = Watch { slot, metric, lane };
            device.watches.insert(place, watch);
        }
    }

    /// Ends the watch of one rule over one device, and its alarm.
    pub(super) fn unwatch(
        &mut self,
        key: DeviceKey,
        slot: u32,
        reason: ClearReason,
        out: &mut Vec<Change>,
    ) {
        let Some(device) = self.devices.get_mut(&key) else {
            return;
        };
        let Some(place) = device.watches.iter().position(|watch| watch.slot == slot) else {
            return;
        };
        let watch = device.watches.remove(place);
        let Some(mut lane) = self.lanes.remove(watch.lane) else {
            return;
        };
        if let Some(Some(entry)) = self.rules.get(slot as usize) {
            let mut scope = Scope {
                entry,
                pulse: &mut self.pulse,
                out,
            };
            lane.close(&mut scope, reason);
        }
    }

    fn begin(&mut self, lane: Lane, out: &mut Vec<Change>) -> u32 {
        let slot = lane.slot;
        let number = self.lanes.add(lane);
        if let Some(Some(entry)) = self.rules.get(slot as usize)
            && let Some(Some(lane)) = self.lanes.places.get_mut(number as usize)
        {
            let scope = Scope {
                entry,
                pulse: &mut self.pulse,
                out,
            };
            arm(lane, &scope, number, &mut self.lanes.queue);
        }
        number
    }

    fn patience_ms(&self, lane: u32) -> Option<i64> {
        match &self.lanes.places.get(lane as usize)?.as_ref()?.state {
            State::Silence(state) => Some(state.patience_ms()),
            State::Threshold(_) => None,
        }
    }
}
