//! What the alarm book asks of the engine.

use super::Engine;
use super::watch::Watched;
use crate::{Around, Change, Cover, Facts};
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
            scope: None,
        })
    }

    /// Names the gateway that a device writes through; none that is out of use.
    fn gateway_of(&self, device: &Watched) -> Option<&DeviceId> {
        let gateway = self.device(device.gateway?)?;
        gateway.enabled.then_some(&gateway.id)
    }
}

impl Around for Engine {
    fn heard(&self, device: &DeviceId) -> Option<Timestamp> {
        self.heard(self.device_named(device)?)
    }

    fn covers(&self, _: &str) -> Vec<Cover<'_>> {
        Vec::new()
    }

    fn cadence_ms(&self, device: &DeviceId) -> Option<i64> {
        let device = self.device(self.device_named(device)?)?;
        Some(i64::from(device.cadence_s?) * 1000)
    }
}
