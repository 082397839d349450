//! Carries what happens to alarms of member rules on to the composites that they are members of.

use super::gate::Gated;
use super::lane::{Lane, Scope};
use super::{Engine, Entry};
use crate::kind::composite::{News, Reach};
use crate::kind::{Input, Params, Sample};
use crate::{Change, ClearReason, Condition, DeviceView};
use model::DeviceKey;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An instant of an alarm of a member rule, as its lane told it.
#[derive(Copy, Clone, Debug)]
pub(super) struct Told {
    pub(super) slot: u32,
    pub(super) device: DeviceKey,
    pub(super) at_ms: i64,
    pub(super) is_raise: bool,
    /// It was told before, and never was.
    pub(super) is_gone: bool,
}

/// A composite in one place.
type Place = (u32, Arc<str>);

/// A composite of which a rule is a member: its slot, and the member's place in `of`.
pub(super) type Membership = (u32, u16);

/// What a lane of a composite is told: inputs to add, or to take back.
pub(super) struct Edit {
    pub(super) input: Input,
    pub(super) is_gone: bool,
}

impl Edit {
    /// Gives the device, if an alarm begins.
    fn begins_on(&self) -> Option<DeviceKey> {
        match self.input.sample {
            Sample::News(news) => (news.is_raise && !self.is_gone).then_some(news.device),
            _ => None,
        }
    }
}

/// The active alarms of a device's member rules.
pub(super) struct Active {
    slot: u32,
    raised_ms: i64,
}

impl Entry {
    pub(super) fn composite(&self) -> Option<&crate::composite::Spec> {
        match self.condition() {
            Condition::Composite(spec) => Some(spec),
            _ => None,
        }
    }

    /// Names the place of a device in which its alarms come together, if they count here.
    fn place_of(&self, view: &DeviceView) -> Option<String> {
        let spec = self.composite()?;
        if !self.rule.spec.enabled || !view.enabled || !self.rule.spec.targets.include(view) {
            return None;
        }
        match spec.scope {
            Reach::Device => Some(format!("device:{}", view.id)),
            Reach::Site => view.site.as_ref().map(|site| format!("site:{site}")),
            Reach::Grid => view.grid.as_ref().map(|grid| format!("grid:{grid}")),
        }
    }
}

/// Orders what happens at one instant: what begins comes before what ends, so that an alarm that
/// follows another at once keeps the composite.
fn input(at_ms: i64, news: News) -> Input {
    let order =
        (i64::from(!news.is_raise) << 62) | (i64::from(news.rule) << 32) | i64::from(news.device.0);
    Input {
        at_ms,
        observed_ms: order,
        sample: Sample::News(news),
        number: 0,
        is_uncertain: false,
    }
}

impl Engine {
    /// Tells the composites what their members' lanes have told.
    #[inline]
    pub(super) fn tell_composites(&mut self, out: &mut Vec<Change>) {
        if !self.pulse.told.is_empty() {
            self.tell_all(out);
        }
    }

    #[cold]
    fn tell_all(&mut self, out: &mut Vec<Change>) {
        let mut edits: BTreeMap<Place, Vec<Edit>> = BTreeMap::new();
        for told in std::mem::take(&mut self.pulse.told) {
            let Some(device) = self.devices.get(&told.device) else {
                continue;
            };
            for membership in self.memberships(told.slot) {
                self.route(&device.view, membership, told, &mut edits);
            }
        }
        self.edit_places(edits, out);
    }

    fn memberships(&self, slot: u32) -> &[Membership] {
        let entry = self.rules.get(slot as usize);
        let entry = entry.and_then(Option::as_ref);
        entry.map_or(&[], |entry| entry.memberships.as_slice())
    }

    fn route(
        &self,
        view: &DeviceView,
        (slot, rule): &Membership,
        told: Told,
        edits: &mut BTreeMap<Place, Vec<Edit>>,
    ) {
        let Some(Some(entry)) = self.rules.get(*slot as usize) else {
            return;
        };
        let Some(place) = entry.place_of(view) else {
            return;
        };
        let news = News {
            rule: *rule,
            device: told.device,
            is_raise: told.is_raise,
        };
        let edit = Edit {
            input: input(told.at_ms, news),
            is_gone: told.is_gone,
        };
        edits.entry((*slot, place.into())).or_default().push(edit);
    }

    fn edit_places(&mut self, edits: BTreeMap<Place, Vec<Edit>>, out: &mut Vec<Change>) {
        for (place, edits) in edits {
            let (slot, name) = &place;
            let Some(Some(entry)) = self.rules.get(*slot as usize) else {
                continue;
            };
            let number = self.places.get(&place).copied().or_else(|| {
                let device = edits.iter().find_map(Edit::begins_on)?;
                let state = Gated::new(entry.condition().start(&Params::default()));
                let mut lane = Lane::new(*slot, device, state);
                lane.place = Some(Arc::clone(name));
                let number = self.lanes.add(lane);
                self.places.insert(place.clone(), number);
                Some(number)
            });
            let Some(number) = number else { continue };
            let Some(lane) = self.lanes.get_mut(number) else {
                continue;
            };
            let mut scope = Scope {
                entry,
                pulse: &mut self.pulse,
                place: lane.place.clone(),
                out,
            };
            lane.feed_edits(&mut scope, &edits);
            self.lanes.arm(number, entry, self.pulse.lateness_ms);
        }
    }

    /// Finds of which composites a rule is a member.
    pub(super) fn find_memberships(&self, id: &str) -> Vec<Membership> {
        let composites = self.rules.iter().zip(0..).filter_map(|(entry, slot)| {
            let spec = entry.as_ref()?.composite()?;
            let place = spec.of.iter().position(|member| member == id)?;
            Some((slot, u16::try_from(place).ok()?))
        });
        composites.collect()
    }

    /// Finds the memberships of every rule again, after a composite came, changed or went.
    pub(super) fn find_all_memberships(&mut self) {
        let ids: Vec<Option<Arc<str>>> = self
            .rules
            .iter()
            .map(|entry| entry.as_ref().map(|entry| Arc::clone(&entry.id)))
            .collect();
        for (place, id) in ids.into_iter().enumerate() {
            let Some(id) = id else { continue };
            let found = self.find_memberships(&id);
            if let Some(Some(entry)) = self.rules.get_mut(place) {
                entry.memberships = found;
            }
        }
    }

    /// Ends a composite everywhere.
    pub(super) fn close_places(&mut self, slot: u32, reason: ClearReason, out: &mut Vec<Change>) {
        let places = std::mem::take(&mut self.places);
        let (gone, kept) = places.into_iter().partition(|((own, _), _)| *own == slot);
        self.places = kept;
        let gone: BTreeMap<Place, u32> = gone;
        for number in gone.into_values() {
            let Some(mut lane) = self.lanes.remove(number) else {
                continue;
            };
            if let Some(Some(entry)) = self.rules.get(slot as usize) {
                let mut scope = Scope {
                    entry,
                    pulse: &mut self.pulse,
                    place: lane.place.clone(),
                    out,
                };
                lane.close(&mut scope, reason);
            }
        }
    }

    /// Lets a new composite know of the alarms that its members have.
    pub(super) fn seed(&mut self, slot: u32, out: &mut Vec<Change>) {
        let mut edits = BTreeMap::new();
        for lane in self.lanes.iter() {
            let Some(raised_ms) = lane.active_since_ms() else {
                continue;
            };
            let Some(device) = self.devices.get(&lane.device) else {
                continue;
            };
            let told = Told {
                slot: lane.slot,
                device: lane.device,
                at_ms: raised_ms,
                is_raise: true,
                is_gone: false,
            };
            let memberships = self.memberships(lane.slot).iter();
            for membership in memberships.filter(|(composite, _)| *composite == slot) {
                self.route(&device.view, membership, told, &mut edits);
            }
        }
        self.edit_places(edits, out);
    }

    /// Gives the active alarms of a device's rules that are members of composites.
    pub(super) fn active_members(&self, device: DeviceKey) -> Vec<Active> {
        let Some(device) = self.devices.get(&device) else {
            return Vec::new();
        };
        let active = device.watches.iter().filter_map(|watch| {
            let is_member = !self.memberships(watch.slot).is_empty();
            let lane = is_member.then(|| self.lanes.get(watch.lane)).flatten()?;
            Some(Active {
                slot: watch.slot,
                raised_ms: lane.active_since_ms()?,
            })
        });
        active.collect()
    }

    /// Carries the active alarms of a device from the place where it was to where it is now.
    pub(super) fn move_members(
        &mut self,
        (old, new): (&DeviceView, &DeviceView),
        active: &[Active],
        out: &mut Vec<Change>,
    ) {
        let mut edits = BTreeMap::new();
        for alarm in active {
            for membership in self.memberships(alarm.slot) {
                let Some(Some(entry)) = self.rules.get(membership.0 as usize) else {
                    continue;
                };
                if entry.place_of(old) == entry.place_of(new) {
                    continue;
                }
                let begun = Told {
                    slot: alarm.slot,
                    device: new.key,
                    at_ms: alarm.raised_ms,
                    is_raise: true,
                    is_gone: false,
                };
                let ended = Told {
                    at_ms: self.pulse.now_ms.max(alarm.raised_ms),
                    is_raise: false,
                    ..begun
                };
                self.route(old, membership, ended, &mut edits);
                self.route(new, membership, begun, &mut edits);
            }
        }
        self.edit_places(edits, out);
    }

    /// Forgets a place in which nothing is left to remember.
    pub(super) fn tidy_place(&mut self, number: u32) {
        let is_over = |lane: &Lane| lane.place.is_some() && lane.is_over();
        if !self.lanes.get(number).is_some_and(is_over) {
            return;
        }
        if let Some(lane) = self.lanes.remove(number)
            && let Some(name) = lane.place
        {
            self.places.remove(&(lane.slot, name));
        }
    }
}
