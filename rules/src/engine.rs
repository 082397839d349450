//! The engine: no clock, no I/O; told what was received and when, it answers what changed.
//!
//! Laws, each a property test: extra calls of `advance` change nothing; a checkpoint and restore
//! anywhere changes nothing; any order of arrival within the lateness gives the same history; later
//! readings never sound an alarm; editing one rule leaves the others as they were; time in which
//! the hub did not run is no silence.

mod arrival;
mod checkpoint;
mod composites;
mod facts;
mod gate;
mod lane;
mod lanes;
mod late;
mod query;
mod register;
mod renumber;
mod rerun;
mod resume;
mod track;
mod watch;

pub use checkpoint::RestoreError;
pub use renumber::Numbered;

use crate::{Change, ClearReason, Condition, DeviceView, RuleSpec, Zone};
use arrival::Arrival;
use composites::Membership;
use gate::Shifts;
use lane::{Pulse, Scope};
use lanes::Lanes;
use model::{Catalogue, DeviceKey, MetricKey, Reading, Timestamp};
use register::{Claims, Register};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, hash_map};
use std::sync::Arc;
use track::Around;
use watch::{Edit, Watched};

/// The kind of a device that passes on what others send.
const GATEWAY: &str = "gateway";

/// What the engine must know of the city's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A reading that arrives more than this after its own time is late; one whose time is more
    /// than this ahead has a clock that cannot be believed.
    pub lateness_s: u32,
    /// The city's time zone, for the schedules of rules.
    pub zone: Zone,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lateness_s: 120,
            zone: Zone::utc(),
        }
    }
}

impl Settings {
    fn lateness_ms(&self) -> i64 {
        i64::from(self.lateness_s) * 1000
    }
}

/// A rule in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub id: String,
    pub revision: u64,
    pub spec: RuleSpec,
}

/// A rule as the engine runs it.
#[derive(Debug)]
struct Entry {
    id: Arc<str>,
    slot: u32,
    rule: Rule,
    metric: Option<MetricKey>,
    /// None for a rule that always counts.
    shifts: Option<Shifts>,
    memberships: Vec<Membership>,
}

impl Entry {
    fn new(slot: u32, rule: Rule, catalogue: &Catalogue, zone: &Zone) -> Self {
        Self {
            slot,
            memberships: Vec::new(),
            id: rule.id.as_str().into(),
            shifts: Shifts::new(&rule.spec.schedule, zone),
            metric: rule
                .spec
                .condition
                .metric()
                .and_then(|name| catalogue.find(name)),
            rule,
        }
    }

    /// Tells whether an edit leaves what is watched as it was. Going on trial or off it does not:
    /// an alarm that was announced must be seen to end, and one that was not must be raised aloud.
    fn is_the_same_watch_as(&self, other: &Self) -> bool {
        self.condition() == other.condition()
            && self.metric == other.metric
            && self.rule.spec.schedule == other.rule.spec.schedule
            && self.rule.spec.uncertain == other.rule.spec.uncertain
            && self.rule.spec.shadow == other.rule.spec.shadow
    }

    /// Tells whether both are for the same devices.
    fn selects_like(&self, other: &Self) -> bool {
        self.rule.spec.targets == other.rule.spec.targets
            && self.rule.spec.enabled == other.rule.spec.enabled
    }

    #[inline]
    fn condition(&self) -> &Condition {
        &self.rule.spec.condition
    }

    fn condition_mut(&mut self) -> &mut Condition {
        &mut self.rule.spec.condition
    }

    fn note_devices(&mut self, pulse: &Pulse, devices: &FxHashMap<DeviceKey, Watched>) {
        if !matches!(self.condition(), Condition::Geofence(_)) {
            return;
        }
        let times = (pulse.now_ms, pulse.settled_before_ms());
        for (key, device) in devices {
            let condition = self.condition_mut();
            condition.note_device(times, *key, Some(&device.view));
        }
    }
}

/// Turns readings and time into changes of alarms.
#[derive(Debug)]
pub struct Engine {
    catalogue: Arc<Catalogue>,
    zone: Zone,
    pulse: Pulse,
    /// By slot; a removed rule leaves its slot to the next one.
    rules: Vec<Option<Entry>>,
    slots: BTreeMap<Arc<str>, u32>,
    devices: FxHashMap<DeviceKey, Watched>,
    register: Register,
    claims: Claims,
    lanes: Lanes,
    /// The lanes of composites: by slot and place.
    places: BTreeMap<(u32, Arc<str>), u32>,
}

impl Engine {
    pub fn new(settings: Settings, catalogue: Arc<Catalogue>) -> Self {
        let lateness_ms = settings.lateness_ms();
        Self {
            catalogue,
            zone: settings.zone,
            pulse: Pulse {
                now_ms: i64::MIN,
                lateness_ms,
                resumed_ms: i64::MIN,
                last_alarm: 0,
                late_inputs: 0,
                told: Vec::new(),
            },
            rules: Vec::new(),
            slots: BTreeMap::new(),
            devices: FxHashMap::default(),
            register: Register::default(),
            claims: Claims::default(),
            lanes: Lanes::default(),
            places: BTreeMap::new(),
        }
    }

    /// Adds or replaces a rule.
    ///
    /// An edit that leaves its condition as it was keeps its state; otherwise it starts fresh, and
    /// its open alarms clear with the reason `rule changed`.
    pub fn put_rule(&mut self, at: Timestamp, rule: Rule, out: &mut Vec<Change>) {
        self.advance(at, out);
        let slot = self.slot_of(&rule.id);
        let mut entry = Entry::new(slot, rule, &self.catalogue, &self.zone);
        entry.memberships = self.find_memberships(&entry.id);
        self.slots.insert(Arc::clone(&entry.id), slot);
        let old = self.rules.get(slot as usize).and_then(Option::as_ref);
        let keeps_state = old.is_some_and(|old| old.is_the_same_watch_as(&entry));
        let is_same = keeps_state && old.is_some_and(|old| old.selects_like(&entry));
        match self.rules.get_mut(slot as usize) {
            Some(Some(old)) if keeps_state => {
                entry.condition_mut().take_notes_of(old.condition_mut());
            }
            _ => entry.note_devices(&self.pulse, &self.devices),
        }
        let old = self.rules.get(slot as usize).and_then(Option::as_ref);
        let is_composite = entry.composite().is_some();
        let was_composite = old.is_some_and(|old| old.composite().is_some());
        let mut keys = BTreeSet::new();
        if !is_same {
            if let Some(old) = old {
                let old_targets = &old.rule.spec.targets;
                self.register.add_candidates(old_targets, &mut keys);
                self.claims.remove(slot, old_targets);
            }
            let targets = &entry.rule.spec.targets;
            self.register.add_candidates(targets, &mut keys);
            self.claims.add(slot, targets);
            if is_composite && (was_composite || old.is_none()) {
                // No device is watched by a composite.
                keys.clear();
            }
            if was_composite {
                self.close_places(slot, ClearReason::RuleChanged, out);
            }
        }
        if let Some(place) = self.rules.get_mut(slot as usize) {
            *place = Some(entry);
        }
        if is_same {
            return;
        }
        if is_composite || was_composite {
            self.find_all_memberships();
        }
        let edit = Edit {
            keeps_state,
            old_params: None,
            reason: ClearReason::RuleChanged,
        };
        for key in keys {
            self.reconcile(key, slot, &edit, out);
        }
        self.tell_composites(out);
        if is_composite {
            self.seed(slot, out);
        }
    }

    /// Removes a rule; its open alarms clear with the reason `rule removed`.
    pub fn remove_rule(&mut self, at: Timestamp, id: &str, out: &mut Vec<Change>) {
        self.advance(at, out);
        let Some(slot) = self.slots.remove(id) else {
            return;
        };
        let Some(Some(entry)) = self.rules.get(slot as usize) else {
            return;
        };
        let mut keys = BTreeSet::new();
        let was_composite = entry.composite().is_some();
        let targets = &entry.rule.spec.targets;
        self.register.add_candidates(targets, &mut keys);
        self.claims.remove(slot, targets);
        for key in keys {
            self.unwatch(key, slot, ClearReason::RuleRemoved, out);
        }
        self.tell_composites(out);
        self.close_places(slot, ClearReason::RuleRemoved, out);
        if let Some(place) = self.rules.get_mut(slot as usize) {
            *place = None;
        }
        if was_composite {
            self.find_all_memberships();
        }
    }

    /// Gives a rule in force.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        let slot = self.slots.get(id)?;
        let entry = self.rules.get(*slot as usize)?.as_ref()?;
        Some(&entry.rule)
    }

    /// Gives every rule in force, in the order of their ids.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.slots.values().filter_map(|slot| {
            let entry = self.rules.get(*slot as usize)?.as_ref()?;
            Some(&entry.rule)
        })
    }

    /// Adds or replaces a device. Alarms of rules that no longer select it clear with the reason
    /// `device changed`.
    pub fn put_device(&mut self, at: Timestamp, device: DeviceView, out: &mut Vec<Change>) {
        self.advance(at, out);
        let key = device.key;
        let mut slots = BTreeSet::new();
        let mut old_params = None;
        let active = self.active_members(key);
        let mut moved = None;
        if let Some(old) = self.devices.get(&key) {
            moved = (!active.is_empty()).then(|| (old.view.clone(), device.clone()));
            self.register.remove(&old.view);
            slots.extend(old.watches.iter().map(|watch| watch.slot));
        }
        self.register.add(&device);
        self.claims.add_candidates(&device, &mut slots);
        match self.devices.entry(key) {
            hash_map::Entry::Occupied(mut entry) => old_params = Some(entry.get_mut().edit(device)),
            hash_map::Entry::Vacant(entry) => {
                entry.insert(Watched::new(device));
            }
        }
        self.find_gateways(key);
        self.note_device(key);
        if let Some((old, new)) = moved {
            self.move_members((&old, &new), &active, out);
        }
        let edit = Edit {
            keeps_state: true,
            old_params,
            reason: ClearReason::DeviceChanged,
        };
        for slot in slots {
            self.reconcile(key, slot, &edit, out);
        }
        self.tell_composites(out);
    }

    /// Removes a device; its open alarms clear with the reason `device removed`.
    pub fn remove_device(&mut self, at: Timestamp, device: DeviceKey, out: &mut Vec<Change>) {
        self.advance(at, out);
        let Some(watched) = self.devices.get(&device) else {
            return;
        };
        let slots: Vec<u32> = watched.watches.iter().map(|watch| watch.slot).collect();
        for slot in slots {
            self.unwatch(device, slot, ClearReason::DeviceRemoved, out);
        }
        self.tell_composites(out);
        if let Some(gone) = self.devices.remove(&device) {
            self.register.remove(&gone.view);
            for child in self.register.children(&gone.view.id) {
                self.find_gateway(child);
            }
        }
        self.note_device(device);
    }

    /// Tells the rules to which other devices matter what this one is from now on.
    fn note_device(&mut self, key: DeviceKey) {
        let times = (self.pulse.now_ms, self.pulse.settled_before_ms());
        let device = self.devices.get(&key).map(|device| &device.view);
        for entry in self.rules.iter_mut().flatten() {
            entry.condition_mut().note_device(times, key, device);
        }
    }

    /// Fires every deadline up to and including `to`, each at its own instant, in the order of time.
    pub fn advance(&mut self, to: Timestamp, out: &mut Vec<Change>) {
        let to_ms = to.millis();
        while let Some((at_ms, number)) = self.lanes.take_due(to_ms) {
            let Some(lane) = self.lanes.get_mut(number) else {
                continue;
            };
            let Some(Some(entry)) = self.rules.get(lane.slot as usize) else {
                continue;
            };
            self.pulse.now_ms = self.pulse.now_ms.max(at_ms);
            let mut scope = Scope {
                entry,
                pulse: &mut self.pulse,
                place: lane.place.clone(),
                out,
            };
            lane.wake(&mut scope, at_ms);
            self.lanes.arm(number, entry, self.pulse.lateness_ms);
            self.tidy_place(number);
            self.tell_composites(out);
        }
        self.pulse.now_ms = self.pulse.now_ms.max(to_ms);
    }

    /// Applies one reading received at `at`.
    #[inline]
    pub fn apply(&mut self, at: Timestamp, reading: &Reading, out: &mut Vec<Change>) {
        if at.millis() > self.pulse.now_ms {
            self.advance(at, out);
        }
        let Some(device) = self.devices.get_mut(&reading.series.device) else {
            return;
        };
        let arrival = Arrival::judge(&self.pulse, reading);
        let mut around = Around {
            device: reading.series.device,
            params: device.params,
            rules: &self.rules,
            lanes: &mut self.lanes,
            pulse: &mut self.pulse,
            out,
        };
        device.take(&mut around, reading.series.metric, &arrival);
        if let Some(gateway) = device.gateway
            && let Some(device) = self.devices.get_mut(&gateway)
        {
            (around.device, around.params) = (gateway, device.params);
            device.take_from_child(&mut around, &arrival);
        }
        self.tell_composites(out);
    }

    /// Tells when to call [`Engine::advance`] next; it may be early, never late.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.lanes.next_ms().map(Timestamp::from_millis)
    }

    /// Gives the instant up to which every deadline has fired.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.pulse.now_ms)
    }

    /// Counts the states kept: one per rule and silence-watched device, and one per rule and series
    /// that is not plainly normal.
    pub fn lanes(&self) -> usize {
        self.lanes.count()
    }

    fn slot_of(&mut self, id: &str) -> u32 {
        if let Some(slot) = self.slots.get(id) {
            return *slot;
        }
        let free = self.rules.iter().position(Option::is_none);
        let slot = free.unwrap_or(self.rules.len());
        if slot == self.rules.len() {
            self.rules.push(None);
        }
        u32::try_from(slot).expect("every rule takes more than a byte of memory")
    }

    /// Finds whose gateway this device is, and which one it has.
    fn find_gateways(&mut self, key: DeviceKey) {
        self.find_gateway(key);
        let Some(device) = self.devices.get(&key) else {
            return;
        };
        for child in self.register.children(&device.view.id) {
            self.find_gateway(child);
        }
    }

    fn find_gateway(&mut self, key: DeviceKey) {
        let Some(device) = self.devices.get(&key) else {
            return;
        };
        let parent = device.view.parent.as_ref();
        let parent = parent.and_then(|id| self.register.named(id));
        let gateway = parent.filter(|parent| *parent != key).filter(|parent| {
            let parent = self.devices.get(parent);
            parent.is_some_and(|parent| parent.view.kind == GATEWAY)
        });
        if let Some(device) = self.devices.get_mut(&key) {
            device.gateway = gateway;
        }
    }
}

#[cfg(test)]
mod tests;
