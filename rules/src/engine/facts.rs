//! What the alarm book asks of the engine.

use super::Engine;
use crate::{Around, Change, Cover, DeviceView, Facts};
use model::{DeviceId, Timestamp};

/// The kind of the devices that write for others.
const GATEWAY: &str = "gateway";

impl Engine {
    /// Tells what a row says beyond the change itself; nothing if the device is gone.
    pub fn facts(&self, change: &Change) -> Option<Facts<'_>> {
        let device = &self.devices.get(&change.device)?.view;
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
            gateway: self.gateway_of(device),
            scope: None,
        })
    }

    fn gateway_of(&self, device: &DeviceView) -> Option<&DeviceId> {
        let parent = self.view_of(device.parent.as_ref()?)?;
        (parent.kind == GATEWAY && parent.enabled).then_some(&parent.id)
    }

    fn view_of(&self, id: &DeviceId) -> Option<&DeviceView> {
        let views = self.devices.values().map(|device| &device.view);
        views.into_iter().find(|view| view.id == *id)
    }
}

impl Around for Engine {
    fn heard(&self, _: &DeviceId) -> Option<Timestamp> {
        Some(self.now())
    }

    fn covers(&self, _: &str) -> Vec<Cover<'_>> {
        Vec::new()
    }

    fn cadence_ms(&self, device: &DeviceId) -> Option<i64> {
        let cadence_s = self.view_of(device)?.cadence_s?;
        Some(i64::from(cadence_s) * 1000)
    }
}
