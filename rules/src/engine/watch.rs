//! Which rules watch which devices, and what happens when that changes.

use super::arrival::Arrival;
use super::gate::Gated;
use super::lane::{Lane, Scope};
use super::track::{Around, Track};
use super::{Engine, Entry};
use crate::kind::{Feed, Input, Params};
use crate::{Change, ClearReason, DeviceView, Targets, Uncertain};
use model::{DeviceKey, MetricKey};
use serde::{Deserialize, Serialize};

/// A watch whose lane begins with its first reading.
pub(super) const NO_LANE: u32 = u32::MAX;

/// A device and the rules that watch it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Watched {
    pub(super) view: DeviceView,
    /// What the view means for lanes.
    pub(super) params: Params,
    /// The gateway whose signs of life this device's readings are, too.
    pub(super) gateway: Option<DeviceKey>,
    /// The last sign of life; that of a child counts for its gateway.
    pub(super) heard_ms: i64,
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
            params: view.params(),
            view,
            gateway: None,
            heard_ms: i64::MIN,
            watches: Vec::new(),
            tracks: Vec::new(),
        }
    }

    /// Takes a new view and gives the parameters of the old one.
    pub(super) fn edit(&mut self, view: DeviceView) -> Params {
        let params = view.params();
        self.view = view;
        std::mem::replace(&mut self.params, params)
    }

    /// Takes a reading, for every rule that watches this device.
    #[inline]
    pub(super) fn take(&mut self, around: &mut Around<'_>, metric: MetricKey, arrival: &Arrival) {
        self.heard_ms = self.heard_ms.max(arrival.alive_ms());
        let mut is_watched = false;
        for watch in &mut self.watches {
            match watch.metric {
                Some(own) => is_watched |= own == metric,
                None => show_arrival(around, watch, arrival),
            }
        }
        let Some(sample) = arrival.sample.filter(|_| is_watched) else {
            return;
        };
        let input = arrival.input(sample);
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

    /// Takes a reading of a child, which the gateway passed on.
    #[inline]
    pub(super) fn take_from_child(&mut self, around: &mut Around<'_>, arrival: &Arrival) {
        self.heard_ms = self.heard_ms.max(arrival.alive_ms());
        let on_arrivals = self.watches.iter_mut().filter(|w| w.metric.is_none());
        for watch in on_arrivals {
            let rule = around.rules.get(watch.slot as usize);
            let Some(Some(entry)) = rule else { continue };
            if entry.condition().feed() == Feed::Life {
                show_arrival(around, watch, arrival);
            }
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
            if entry.ignores(input) {
                continue;
            }
            if watch.lane == NO_LANE {
                let state = Gated::new(entry.condition().start(&around.params));
                let lane = Lane::new(watch.slot, around.device, state);
                watch.lane = around.lanes.add(lane);
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
            lane.feed_late(&mut scope, &around.params, input);
            around
                .lanes
                .arm(watch.lane, entry, around.pulse.lateness_ms);
        }
    }
}

/// Shows a reading to a rule that asks only when it came.
#[inline]
fn show_arrival(around: &mut Around<'_>, watch: &mut Watch, arrival: &Arrival) {
    let Some(Some(entry)) = around.rules.get(watch.slot as usize) else {
        return;
    };
    let feed = entry.condition().feed();
    if watch.lane == NO_LANE && feed == Feed::Skew {
        let state = Gated::new(entry.condition().start(&around.params));
        watch.lane = around
            .lanes
            .add(Lane::new(watch.slot, around.device, state));
    }
    let Some(lane) = around.lanes.get_mut(watch.lane) else {
        return;
    };
    let mut scope = Scope {
        entry,
        pulse: around.pulse,
        place: None,
        out: around.out,
    };
    match feed {
        Feed::Life => lane.feed_own(&mut scope, &arrival.sign_of_life()),
        Feed::Skew => lane.feed_received(&mut scope, &arrival.skew()),
        Feed::Series | Feed::Alarms => return,
    }
    around
        .lanes
        .arm(watch.lane, entry, around.pulse.lateness_ms);
}

/// What was edited, and what that means for a watch that goes on.
pub(super) struct Edit {
    pub(super) keeps_state: bool,
    /// What an edited device was before.
    pub(super) old_params: Option<Params>,
    pub(super) reason: ClearReason,
}

impl Targets {
    pub(crate) fn include(&self, device: &DeviceView) -> bool {
        match self {
            Self::Devices(ids) => ids.contains(&device.id),
            // The hub's own devices are watched by those rules alone that name them.
            Self::Select(_) if device.id.is_own() => false,
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
    /// Tells whether the rule leaves this input out.
    #[inline]
    pub(super) fn ignores(&self, input: &Input) -> bool {
        input.is_uncertain && self.rule.spec.uncertain == Uncertain::Ignore
    }

    fn wants(&self, device: &Watched) -> bool {
        let is_fed = self.metric.is_some() || self.condition().feed() != Feed::Series;
        is_fed
            && self.rule.spec.enabled
            && device.view.enabled
            && self.rule.spec.targets.include(&device.view)
            && self.condition().can_watch(&device.params)
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
        if !entry.wants(device) {
            self.unwatch(key, slot, edit.reason, out);
            return;
        }
        let (metric, params) = (entry.metric, device.params);
        let condition = entry.condition();
        if device.watches.iter().any(|watch| watch.slot == slot) {
            let old = edit.old_params.as_ref();
            let is_same = old.is_none_or(|old| !condition.params_matter(old, &params));
            if edit.keeps_state && is_same {
                return;
            }
            self.unwatch(key, slot, edit.reason, out);
        }
        let lane = self.begin(key, slot, &params);
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
                place: None,
                out,
            };
            lane.close(&mut scope, reason);
        }
    }

    /// Begins the lane of a rule that counts the time without readings, too.
    fn begin(&mut self, key: DeviceKey, slot: u32, params: &Params) -> u32 {
        let Some(Some(entry)) = self.rules.get(slot as usize) else {
            return NO_LANE;
        };
        if entry.condition().feed() != Feed::Life {
            return NO_LANE;
        }
        let mut state = Gated::new(entry.condition().start(params));
        state.begin(entry, self.pulse.now_ms);
        let number = self.lanes.add(Lane::new(slot, key, state));
        self.lanes.arm(number, entry, self.pulse.lateness_ms);
        number
    }
}
