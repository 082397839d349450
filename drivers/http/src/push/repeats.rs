//! Arrivals of what has no time that can be believed, so that a push that comes again is the same again.

use model::{DeviceKey, Timestamp};
use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, PoisonError};

/// Platforms repeat a push within seconds, three times at most.
const REMEMBERED_MS: i64 = 600_000;

/// Reports that are remembered.
const REMEMBERED_MAX: usize = 4096;

/// When each such report was first here.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    seed: RandomState,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    reports: VecDeque<(u64, Timestamp)>,
    last: Option<Timestamp>,
}

impl Repeats {
    /// Gives the time of a report that has none: that of its first arrival, and never that of
    /// another one.
    pub(super) fn arrival(&self, device: DeviceKey, said: &str, now: Timestamp) -> Timestamp {
        let hash = self.seed.hash_one((device.0, said));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |(_, at): &(u64, Timestamp)| now.since_ms(*at) > REMEMBERED_MS;
        while seen.reports.len() >= REMEMBERED_MAX || seen.reports.front().is_some_and(is_old) {
            seen.reports.pop_front();
        }
        if let Some((_, at)) = seen.reports.iter().find(|(known, _)| *known == hash) {
            return *at;
        }
        let after = seen.last.map_or(now, |last| {
            Timestamp::from_millis(last.millis().saturating_add(1))
        });
        let at = now.max(after);
        seen.last = Some(at);
        seen.reports.push_back((hash, at));
        at
    }
}

#[cfg(test)]
mod tests {
    use super::{REMEMBERED_MAX, REMEMBERED_MS, Repeats};
    use model::{DeviceKey, Timestamp};

    #[test]
    fn the_same_report_has_the_same_time_for_ten_minutes_and_no_two_share_one() {
        let repeats = Repeats::default();
        let at = |device, said: &str, millis| {
            let now = Timestamp::from_millis(millis);
            repeats.arrival(DeviceKey(device), said, now).millis()
        };
        assert_eq!(at(1, "a", 1_000), 1_000);
        assert_eq!(at(1, "b", 1_000), 1_001);
        assert_eq!(at(2, "a", 1_000), 1_002);
        assert_eq!(at(1, "a", 5_000), 1_000);
        assert_eq!(at(1, "a", 1_001 + REMEMBERED_MS), 1_001 + REMEMBERED_MS);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let repeats = Repeats::default();
        for number in 0..=REMEMBERED_MAX {
            repeats.arrival(
                DeviceKey(1),
                &number.to_string(),
                Timestamp::from_millis(1_000),
            );
        }
        let seen = repeats.seen.lock().unwrap();
        assert_eq!(seen.reports.len(), REMEMBERED_MAX);
    }
}
