//! All lanes by number, and when each wants to be woken.

use super::Entry;
use super::lane::{Lane, NEVER};
use super::watch::NO_LANE;
use model::DeviceKey;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When to wake which lane: in the order of time, then device, then rule.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wake {
    pub(super) at_ms: i64,
    device: DeviceKey,
    slot: u32,
    pub(super) lane: u32,
}

#[derive(Debug, Default)]
pub(super) struct Lanes {
    places: Vec<Option<Lane>>,
    free: Vec<u32>,
    /// A reading only moves its lane's deadline further away, so the queue is not touched: an entry
    /// that comes up too early is put back at the true deadline. Entries that do not agree with
    /// their lane's `armed_ms` have been overtaken and mean nothing.
    queue: BinaryHeap<Reverse<Wake>>,
}

impl Lanes {
    pub(super) fn restore(places: Vec<Option<Lane>>, free: Vec<u32>) -> Self {
        Self {
            places,
            free,
            queue: BinaryHeap::new(),
        }
    }

    pub(super) fn places(&self) -> (&[Option<Lane>], &[u32]) {
        (&self.places, &self.free)
    }

    pub(super) fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.places.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.places.iter_mut().flatten()
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&Lane> {
        self.places.get(number as usize)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Lane> {
        self.places.get_mut(number as usize)?.as_mut()
    }

    pub(super) fn add(&mut self, lane: Lane) -> u32 {
        if let Some(number) = self.free.pop() {
            if let Some(place) = self.places.get_mut(number as usize) {
                *place = Some(lane);
            }
            return number;
        }
        let number = u32::try_from(self.places.len()).unwrap_or(NO_LANE);
        self.places.push(Some(lane));
        number
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Lane> {
        let lane = self.places.get_mut(number as usize)?.take()?;
        self.free.push(number);
        Some(lane)
    }

    /// Has the lane woken at its deadline, if nothing wakes it before.
    #[inline]
    pub(super) fn arm(&mut self, number: u32, entry: &Entry, lateness_ms: i64) {
        let Some(Some(lane)) = self.places.get_mut(number as usize) else {
            return;
        };
        let deadline_ms = lane.deadline_ms(entry, lateness_ms);
        if deadline_ms < lane.armed_ms {
            lane.armed_ms = deadline_ms;
            self.queue.push(Reverse(Wake {
                at_ms: deadline_ms,
                device: lane.device,
                slot: lane.slot,
                lane: number,
            }));
        }
    }

    /// Tells when the next lane may want to be woken.
    #[inline]
    pub(super) fn next_ms(&self) -> Option<i64> {
        self.queue.peek().map(|Reverse(wake)| wake.at_ms)
    }

    /// Takes the next lane that wants to be woken by then off the queue.
    #[inline]
    pub(super) fn take_due(&mut self, to_ms: i64) -> Option<(i64, u32)> {
        while self.next_ms()? <= to_ms {
            let Reverse(wake) = self.queue.pop()?;
            if let Some(lane) = self.get_mut(wake.lane)
                && (lane.armed_ms, lane.device, lane.slot) == (wake.at_ms, wake.device, wake.slot)
            {
                lane.armed_ms = NEVER;
                return Some((wake.at_ms, wake.lane));
            }
        }
        None
    }
}
