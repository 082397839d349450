//! New numbers for the alarms of an engine that was made anew, so that they are those on disk.

use super::Engine;
use model::{DeviceKey, Timestamp};
use std::collections::BTreeMap;

/// An alarm that has a number.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Numbered<'a> {
    pub rule: &'a str,
    pub device: DeviceKey,
    pub raised_at: Timestamp,
    pub active: bool,
}

impl Engine {
    /// Gives every alarm that may still change the number by which `known` knows it, or one that is
    /// greater than `last` and all others. Returns the new numbers by the old ones.
    pub fn renumber(
        &mut self,
        last: u64,
        known: &mut dyn FnMut(&Numbered<'_>) -> Option<u64>,
    ) -> BTreeMap<u64, u64> {
        let mut numbers = BTreeMap::new();
        self.pulse.last_alarm = self.pulse.last_alarm.max(last);
        for lane in self.lanes.iter_mut() {
            let Some(Some(entry)) = self.rules.get(lane.slot as usize) else {
                continue;
            };
            for episode in &mut lane.episodes {
                let alarm = Numbered {
                    rule: &entry.id,
                    device: episode.device,
                    raised_at: Timestamp::from_millis(episode.raised_ms),
                    active: episode.cleared_ms.is_none(),
                };
                let number = known(&alarm).unwrap_or_else(|| {
                    self.pulse.last_alarm += 1;
                    self.pulse.last_alarm
                });
                numbers.insert(episode.alarm, number);
                episode.alarm = number;
            }
        }
        numbers
    }
}
