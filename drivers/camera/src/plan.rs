//! When each camera is asked next.

use crate::roster::Member;
use model::DeviceKey;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// Doublings of the period until the longest pause is reached whatever it is.
const DOUBLINGS_MAX: u32 = 16;

/// One camera, and how it has answered.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) member: Member,
    due: Instant,
    /// Probes in a row that found nobody, or were not committed.
    failures: u32,
    /// Whether it was last told to be there.
    pub(crate) told: Option<bool>,
    polls: u32,
    is_asked: bool,
}

impl Slot {
    pub(crate) fn new(member: Member, now: Instant, pace: &Pace) -> Self {
        let spread = pace.period(&member);
        Self {
            due: now + spread.mul_f64(sdk::spread(member.key.0, 0)),
            member,
            failures: 0,
            told: None,
            polls: 0,
            is_asked: false,
        }
    }

    /// Plans the next probe: a period after the last, or later and later while nobody answers.
    pub(crate) fn settle(&mut self, is_done: bool, now: Instant, pace: &Pace) -> Instant {
        self.is_asked = false;
        self.polls = self.polls.wrapping_add(1);
        self.failures = if is_done {
            0
        } else {
            self.failures.saturating_add(1)
        };
        let period = pace.period(&self.member);
        let doubled = period.saturating_mul(1 << self.failures.min(DOUBLINGS_MAX));
        let pause = doubled.min(pace.backoff_max).max(period);
        // A tenth of spread, half before and half after.
        let spread = pause / 10;
        let jitter = spread.mul_f64(sdk::spread(self.member.key.0, self.polls));
        self.due = now + pause - spread / 2 + jitter;
        self.due
    }
}

/// How often cameras are asked.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Pace {
    pub(crate) period: Duration,
    pub(crate) backoff_max: Duration,
}

impl Pace {
    fn period(&self, member: &Member) -> Duration {
        let own = member
            .cadence_s
            .map(|seconds| Duration::from_secs(seconds.into()));
        own.unwrap_or(self.period)
    }
}

/// All cameras.
#[derive(Debug)]
pub(crate) struct Plan {
    pace: Pace,
    slots: HashMap<DeviceKey, Slot>,
    /// When whom; an entry that its slot does not know any more is passed over.
    queue: BinaryHeap<Reverse<(Instant, DeviceKey)>>,
}

impl Plan {
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            slots: HashMap::new(),
            queue: BinaryHeap::new(),
        }
    }

    /// Follows the register; a camera that stays keeps its place.
    pub(crate) fn follow(&mut self, members: Vec<Member>, now: Instant) {
        let mut before = std::mem::take(&mut self.slots);
        for member in members {
            let kept = before
                .remove(&member.key)
                .filter(|slot| slot.member == member);
            let slot = kept.unwrap_or_else(|| {
                let slot = Slot::new(member, now, &self.pace);
                self.queue.push(Reverse((slot.due, slot.member.key)));
                slot
            });
            self.slots.insert(slot.member.key, slot);
        }
    }

    /// Tells when the next camera is due; none if there is none.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes a camera that is due; [`Plan::settle`] gives it its next time.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(Member, Option<bool>)> {
        while let Some(Reverse((due, key))) = self.queue.peek().copied() {
            if due > now {
                return None;
            }
            self.queue.pop();
            if let Some(slot) = self.slots.get_mut(&key)
                && slot.due == due
                && !slot.is_asked
            {
                slot.is_asked = true;
                return Some((slot.member.clone(), slot.told));
            }
        }
        None
    }

    /// Takes note of a probe: what was told of the camera, if it could be.
    pub(crate) fn settle(
        &mut self,
        member: &Member,
        (is_alive, told): (bool, Option<bool>),
        now: Instant,
    ) {
        let pace = self.pace;
        let slot = self.slots.get_mut(&member.key);
        let Some(slot) = slot.filter(|slot| slot.member == *member) else {
            return;
        };
        slot.told = told.or(slot.told);
        let due = slot.settle(is_alive && told.is_some(), now, &pace);
        self.queue.push(Reverse((due, member.key)));
    }
}
