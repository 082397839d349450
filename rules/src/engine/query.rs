//! What others ask the engine.

use super::watch::Watch;
use super::{Engine, Entry};
use crate::kind::Condition;
use crate::{DeviceView, Look};
use model::{DeviceId, DeviceKey, Timestamp};

impl Engine {
    /// Tells how a rule stands on a device; none if it does not watch it.
    pub fn look(&self, rule: &str, device: DeviceKey) -> Option<Look> {
        let slot = *self.slots.get(rule)?;
        let entry = self.rules.get(slot as usize)?.as_ref()?;
        let watches = &self.devices.get(&device)?.watches;
        let watch = watches.iter().find(|watch| watch.slot == slot)?;
        Some(self.look_through(watch, entry))
    }

    fn look_through(&self, watch: &Watch, entry: &Entry) -> Look {
        // A series that is plainly normal has no lane.
        self.lanes
            .get(watch.lane)
            .map_or_else(Look::default, |lane| {
                entry.condition().look(&lane.state.state)
            })
    }

    /// Gives a device as the rules see it.
    pub fn device(&self, key: DeviceKey) -> Option<&DeviceView> {
        self.devices.get(&key).map(|device| &device.view)
    }

    /// Gives the key of a device.
    pub fn device_named(&self, id: &DeviceId) -> Option<DeviceKey> {
        self.register.named(id)
    }

    /// Gives the last sign of life of a device; readings of its children are signs of life of a
    /// gateway.
    pub fn heard(&self, device: DeviceKey) -> Option<Timestamp> {
        let heard_ms = self.devices.get(&device)?.heard_ms;
        (heard_ms != i64::MIN).then(|| Timestamp::from_millis(heard_ms))
    }

    /// Tells when the first silence of a device will be due, if nothing is heard of it before.
    pub fn silent_at(&self, device: DeviceKey) -> Option<Timestamp> {
        let watches = &self.devices.get(&device)?.watches;
        let due_ms = watches.iter().filter_map(|watch| {
            let entry = self.rules.get(watch.slot as usize)?.as_ref()?;
            let lane = self.lanes.get(watch.lane)?;
            let is_silence = matches!(entry.condition(), Condition::Silence(_));
            lane.state.deadline(entry).filter(|_| is_silence)
        });
        due_ms.min().map(Timestamp::from_millis)
    }
}
