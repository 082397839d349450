//! Which rules watch which devices, and what happens when that changes.

use super::arrival::Arrival;
use super::lane::{Lane, Scope};
use super::track::{Around, Track};
use super::{Engine, Entry};
use crate::kind::{Input, State, silence};
use crate::{Change, ClearReason, Condition, DeviceView, Targets};
use model::{DeviceKey, MetricKey};
use serde::{Deserialize, Serialize};

/// A watch whose lane begins with its first reading.
pub(super) const NO_LANE: u32 = u32::MAX;

/// A device and the rules that watch it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Watched {
    pub(super) view: DeviceView,
    /// In the order of the rules' slots.
    pub(super) watches: Vec<Watch>,
    /// One for each metric that has been received and that a rule watches.
    pub(super) tracks: Vec<Track>,
}

/// One rule that watches one device.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Watch {
    pub(super) slot: u32,
    /// None takes them all.
    pub(super) metric: Option<MetricKey>,
    pub(super) lane: u32,
    /// The rule takes the inputs of the series from this number on.
    pub(super) since: u32,
}

impl Watched {
    pub(super) fn new(view: DeviceView) -> Self {
        Self {
            view,
            watches: Vec::new(),
            tracks: Vec::new(),
        }
    }
}

impl Watched {
    /// Takes a reading, for every rule that watches this device.
    #[inline]
    pub(super) fn take(&mut self, around: &mut Around<'_>, metric: MetricKey, arrival: &Arrival) {
        let mut is_watched = false;
        for watch in &self.watches {
            match watch.metric {
                Some(own) => is_watched |= own == metric,
                None => show_life(around, watch, &arrival.sign_of_life()),
            }
        }
        let Some(value) = arrival.value.filter(|_| is_watched) else {
            return;
        };
        let input = arrival.input(value);
        if arrival.is_late {
            self.take_late(around, metric, &input);
            return;
        }
        let place = self.tracks.iter().position(|t| t.metric == metric);
        let place = place.unwrap_or_else(|| {
            self.tracks.push(Track::new(metric));
            self.tracks.len() - 1
        });
        if let Some(track) = self.tracks.get_mut(place) {
            track.feed(around, &mut self.watches, input);
        }
    }

    fn take_late(&mut self, around: &mut Around<'_>, metric: MetricKey, input: &Input) {
        for watch in &mut self.watches {
            if watch.metric != Some(metric) {
                continue;
            }
            let Some(Some(entry)) = around.rules.get(watch.slot as usize) else {
                continue;
            };
            if watch.lane == NO_LANE {
                let lane = Lane::new(watch.slot, around.device, entry.condition().start());
                watch.lane = around.lanes.add(lane);
            }
            let Some(lane) = around.lanes.get_mut(watch.lane) else {
                continue;
            };
            let mut scope = Scope {
                entry,
                pulse: around.pulse,
                out: around.out,
            };
            lane.feed_late(&mut scope, input);
            around
                .lanes
                .arm(watch.lane, entry, around.pulse.lateness_ms);
        }
    }
}

#[inline]
fn show_life(around: &mut Around<'_>, watch: &Watch, input: &Input) {
    let Some(Some(entry)) = around.rules.get(watch.slot as usize) else {
        return;
    };
    let Some(lane) = around.lanes.get_mut(watch.lane) else {
        return;
    };
    let mut scope = Scope {
        entry,
        pulse: around.pulse,
        out: around.out,
    };
    lane.feed_own(&mut scope, input);
    around
        .lanes
        .arm(watch.lane, entry, around.pulse.lateness_ms);
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
                self.begin(Lane::new(slot, key, State::Silence(state)))
            }
        };
        if let Some(device) = self.devices.get_mut(&key) {
            let place = device.watches.partition_point(|watch| watch.slot < slot);
            let track = device.tracks.iter().find(|t| Some(t.metric) == metric);
            let watch = Watch {
                slot,
                metric,
                lane,
                since: track.map_or(0, |track| track.count),
            };
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
        let watches = &device.watches;
        device
            .tracks
            .retain(|track| watches.iter().any(|w| w.metric == Some(track.metric)));
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

    fn begin(&mut self, lane: Lane) -> u32 {
        let slot = lane.slot;
        let number = self.lanes.add(lane);
        if let Some(Some(entry)) = self.rules.get(slot as usize) {
            self.lanes.arm(number, entry, self.pulse.lateness_ms);
        }
        number
    }

    fn patience_ms(&self, lane: u32) -> Option<i64> {
        match &self.lanes.get(lane)?.state {
            State::Silence(state) => Some(state.patience_ms()),
            State::Threshold(_) => None,
        }
    }
}
