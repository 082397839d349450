//! What the alarm book asks of the engine.

use super::watch::Watched;
use super::{Engine, Entry};
use crate::kind::composite::Reach;
use crate::{Around, Change, Composite, Cover, Facts, Scope};
use model::{DeviceId, Timestamp};

impl Engine {
    /// Tells what a row says beyond the change itself; nothing if the device is gone.
    pub fn facts(&self, change: &Change) -> Option<Facts<'_>> {
        let watched = self.devices.get(&change.device)?;
        let device = &watched.view;
        let rule = self.rule(&change.rule);
        let metric = change.metric.and_then(|key| self.catalogue.def(key));
        Some(Facts {
            device: &device.id,
            kind: &device.kind,
            site: device.site.as_deref(),
            grid: device.grid.as_deref(),
            title: rule.map_or("", |rule| &rule.spec.title),
            category: rule.and_then(|rule| rule.spec.category.as_deref()),
            metric: metric.map(|def| def.name.as_str()),
            unit: rule.and_then(|rule| rule.spec.unit(&self.catalogue)),
            rule_kind: rule.map_or("", |rule| rule.spec.condition.kind()),
            latching: rule.is_some_and(|rule| rule.spec.latch),
            gateway: self.gateway_of(watched),
            scope: self.scope_of(&change.rule),
        })
    }

    /// Tells how far an alarm of this rule reaches, if it is a composite.
    fn scope_of(&self, rule: &str) -> Option<Scope> {
        let slot = *self.slots.get(rule)?;
        let entry = self.rules.get(slot as usize)?.as_ref()?;
        entry.composite().map(|spec| scope_of(spec.scope))
    }

    /// Gives a composite rule as its alarms come together; none if it is no composite.
    pub fn composite(&self, rule: &str) -> Option<Composite<'_>> {
        let slot = *self.slots.get(rule)?;
        self.rules.get(slot as usize)?.as_ref()?.as_composite()
    }

    /// Gives the composites in use that a rule is a member of.
    pub fn composites_of(&self, rule: &str) -> Vec<Composite<'_>> {
        let slot = self.slots.get(rule).copied().map(|slot| slot as usize);
        let entry = slot.and_then(|slot| self.rules.get(slot)?.as_ref());
        let memberships = entry.map_or(&[][..], |entry| &entry.memberships);
        let above = memberships
            .iter()
            .filter_map(|(slot, _)| self.rules.get(*slot as usize)?.as_ref());
        above
            .filter(|entry| entry.rule.spec.enabled && !entry.rule.spec.shadow)
            .filter_map(Entry::as_composite)
            .collect()
    }

    /// Names the gateway that a device writes through; none that is out of use.
    fn gateway_of(&self, device: &Watched) -> Option<&DeviceId> {
        let gateway = self.device(device.gateway?)?;
        gateway.enabled.then_some(&gateway.id)
    }
}

impl Entry {
    fn as_composite(&self) -> Option<Composite<'_>> {
        let spec = self.composite()?;
        Some(Composite {
            rule: &self.rule.id,
            of: &spec.of,
            scope: scope_of(spec.scope),
        })
    }
}

impl Around for Engine {
    fn now(&self) -> Timestamp {
        self.now()
    }

    fn heard(&self, device: &DeviceId) -> Option<Timestamp> {
        self.heard(self.device_named(device)?)
    }

    fn covers(&self, rule: &str) -> Vec<Cover<'_>> {
        let slot = self.slots.get(rule).copied().map(|slot| slot as usize);
        let entry = slot.and_then(|slot| self.rules.get(slot)?.as_ref());
        let memberships = entry.map_or(&[][..], |entry| &entry.memberships);
        let covers = memberships.iter().filter_map(|(slot, _)| {
            let entry = self.rules.get(*slot as usize)?.as_ref()?;
            let spec = entry.composite()?;
            // What is on trial or out of use explains nothing.
            let counts = spec.suppress && entry.rule.spec.enabled && !entry.rule.spec.shadow;
            counts.then(|| Cover {
                rule: &entry.rule.id,
                scope: scope_of(spec.scope),
                hold_s: spec.hold_s,
            })
        });
        covers.collect()
    }

    fn cadence_ms(&self, device: &DeviceId) -> Option<i64> {
        let device = self.device(self.device_named(device)?)?;
        Some(i64::from(device.cadence_s?) * 1000)
    }
}

fn scope_of(reach: Reach) -> Scope {
    match reach {
        Reach::Device => Scope::Device,
        Reach::Site => Scope::Site,
        Reach::Grid => Scope::Grid,
    }
}
