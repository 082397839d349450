//! When each device of a line is asked next.

use crate::Shared;
use crate::frame::Block;
use crate::map::Map;
use crate::roster::{Member, Snapshot};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The first question to a new device is spread over at most this, so that a thousand DTUs that come
/// back together are not all asked at once.
const FIRST_SPREAD_MAX: Duration = Duration::from_secs(5);

/// Doublings of the period until the longest back-off is reached whatever it is.
const DOUBLINGS_MAX: u32 = 16;

/// One device, and how it has answered.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) member: Member,
    pub(crate) map: Arc<Map>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) due: Instant,
    pub(crate) period: Duration,
    /// Polls in a row that were not answered.
    pub(crate) failures: u32,
    /// What was last told of its fault.
    pub(crate) told_fault: Option<bool>,
    polls: u32,
}

impl Slot {
    /// Plans the next poll: a period after the last was due, or later and later while there is no
    /// answer.
    pub(crate) fn schedule(&mut self, now: Instant, backoff_max: Duration) {
        self.polls = self.polls.wrapping_add(1);
        let mut pause = self.period;
        if self.failures > 0 {
            let doubled = pause.saturating_mul(1 << self.failures.min(DOUBLINGS_MAX));
            pause = doubled.min(backoff_max).max(self.period);
        }
        // A tenth of spread, half before and half after.
        let spread = pause / 10;
        let jitter = spread.mul_f64(sdk::spread(self.member.key.0, self.polls));
        let next = self.due + pause - spread / 2 + jitter;
        self.due = if self.failures > 0 {
            now + pause - spread / 2 + jitter
        } else {
            next.max(now)
        };
    }
}

/// All devices of one line.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    version: u64,
    slots: Vec<Slot>,
}

impl Plan {
    /// Follows the register; a device that stays keeps its place.
    pub(crate) fn follow(&mut self, line: &str, snapshot: &Snapshot, shared: &Shared) {
        if self.version == snapshot.version {
            return;
        }
        self.version = snapshot.version;
        let now = Instant::now();
        let mut before = std::mem::take(&mut self.slots);
        for member in snapshot.members(line) {
            let same = |slot: &Slot| slot.member == *member;
            if let Some(at) = before.iter().position(same) {
                self.slots.push(before.swap_remove(at));
                continue;
            }
            match slot(member, shared, now) {
                Ok(slot) => self.slots.push(slot),
                Err(why) => tracing::warn!(id = member.id, why, "a device cannot be polled"),
            }
        }
    }

    /// Tells when the next device is due; none if there is no device.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.slots.iter().map(|slot| slot.due).min()
    }

    /// Gives the device that has waited longest.
    pub(crate) fn first_due(&mut self, now: Instant) -> Option<&mut Slot> {
        let due = self.slots.iter_mut().filter(|slot| slot.due <= now);
        due.min_by_key(|slot| slot.due)
    }
}

fn slot(member: &Member, shared: &Shared, now: Instant) -> Result<Slot, String> {
    let map = shared.map_of(member)?;
    let blocks = map
        .blocks_from(member.offset)
        .ok_or_else(|| format!("offset {} moves registers past 65535", member.offset))?;
    let period = member
        .cadence_s
        .filter(|seconds| *seconds > 0)
        .map_or(shared.timing.period, |seconds| {
            Duration::from_secs(u64::from(seconds))
        });
    let spread = period.min(FIRST_SPREAD_MAX);
    Ok(Slot {
        due: now + spread.mul_f64(sdk::spread(member.key.0, 0)) / 2,
        member: member.clone(),
        map,
        blocks,
        period,
        failures: 0,
        told_fault: None,
        polls: 0,
    })
}

#[cfg(test)]
mod tests;
