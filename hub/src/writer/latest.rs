//! The newest readings of a group that is not on disk yet, for the events in it.

use model::{DeviceKey, Reading};
use rustc_hash::FxHashMap;

/// The newest reading of each series, device by device.
#[derive(Debug, Default)]
pub(super) struct Latest {
    readings: FxHashMap<DeviceKey, Vec<Reading>>,
}

impl Latest {
    pub(super) fn put(&mut self, reading: Reading) {
        put(
            self.readings.entry(reading.series.device).or_default(),
            reading,
        );
    }

    /// Gives the newest readings of a device, of this group or `before` it.
    pub(super) fn after(&self, before: Vec<Reading>, device: DeviceKey) -> Vec<Reading> {
        let mut latest = before;
        for reading in self.readings.get(&device).into_iter().flatten() {
            put(&mut latest, *reading);
        }
        latest
    }
}

fn put(latest: &mut Vec<Reading>, reading: Reading) {
    let known = latest
        .iter_mut()
        .find(|known| known.series == reading.series);
    match known {
        Some(known) if known.observed_at > reading.observed_at => {}
        Some(known) => *known = reading,
        None => latest.push(reading),
    }
}
