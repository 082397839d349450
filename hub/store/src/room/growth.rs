//! How fast the room on the disk becomes less.

use std::collections::VecDeque;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Samples that are kept: one an hour for a week, so that a nightly backup or merge is seen as
/// often as it happens.
const SAMPLES: usize = 7 * 24;

/// Nothing is said of a shorter time: the write-ahead log alone goes up and down by the hour.
const SPAN_MIN_MS: i64 = 6 * HOUR_MS;

/// What was free at some times, hourly.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    /// Milliseconds, and bytes.
    samples: VecDeque<(i64, u64)>,
    per_day: Option<i64>,
}

impl Growth {
    /// Its name in `meta`.
    pub(crate) const KEY: &str = "room";

    pub(crate) fn of_json(text: &str) -> Self {
        let mut growth = Self {
            samples: serde_json::from_str(text).unwrap_or_default(),
            per_day: None,
        };
        growth.per_day = growth.slope();
        growth
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(&self.samples).expect("numbers are JSON")
    }

    /// Takes a sample if one is due; tells whether it was.
    pub(crate) fn note(&mut self, now_ms: i64, free_bytes: u64) -> bool {
        let is_early = |(at, _): &(i64, u64)| (0..HOUR_MS).contains(&(now_ms - at));
        if self.samples.back().is_some_and(is_early) {
            return false;
        }
        // A clock that was set back begins anew.
        self.samples
            .retain(|(at, _)| *at < now_ms && now_ms - at <= 2 * 7 * DAY_MS);
        self.samples.push_back((now_ms, free_bytes));
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
        self.per_day = self.slope();
        true
    }

    pub(crate) fn bytes_per_day(&self) -> Option<i64> {
        self.per_day
    }

    /// The median of the slopes between all pairs (Theil 1950, Sen 1968): what comes and goes, and
    /// what came once, does not move it.
    fn slope(&self) -> Option<i64> {
        let span_ms = self.samples.back()?.0 - self.samples.front()?.0;
        if span_ms < SPAN_MIN_MS {
            return None;
        }
        let mut slopes = Vec::new();
        for (index, (from, before)) in self.samples.iter().enumerate() {
            for (to, after) in self.samples.iter().skip(index + 1) {
                let less = i128::from(*before) - i128::from(*after);
                slopes.push(less * i128::from(DAY_MS) / i128::from((to - from).max(1)));
            }
        }
        let middle = slopes.len() / 2;
        let (_, median, _) = slopes.select_nth_unstable(middle);
        i64::try_from(*median).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Growth, HOUR_MS};

    const GIB: u64 = 1 << 30;

    fn over(hours: i64, free: impl Fn(i64) -> u64) -> Growth {
        let mut growth = Growth::default();
        for hour in 0..=hours {
            assert!(growth.note(hour * HOUR_MS, free(hour)));
            assert!(!growth.note(hour * HOUR_MS + 60_000, 0), "once an hour");
        }
        growth
    }

    #[test]
    fn nothing_is_said_of_less_than_six_hours() {
        let steady = |hour: i64| 100 * GIB - hour.unsigned_abs() * GIB;
        assert_eq!(over(5, steady).bytes_per_day(), None);
        assert_eq!(over(6, steady).bytes_per_day(), Some(24 << 30));
    }

    #[test]
    fn what_comes_and_goes_and_what_came_once_is_no_growth() {
        // 1 GiB a day; every third hour 5 GiB more for an hour; 300 GiB once, on the sixth day.
        let free = |hour: i64| {
            let hour = hour.unsigned_abs();
            let passing = if hour % 3 == 1 { 5 * GIB } else { 0 };
            let once = if hour > 140 { 300 * GIB } else { 0 };
            1_000 * GIB - hour * GIB / 24 - passing - once
        };
        let per_day = over(167, free).bytes_per_day().unwrap() as f64 / GIB as f64;
        assert!((0.9..1.6).contains(&per_day), "{per_day}");
    }

    #[test]
    fn a_disk_that_gets_emptier_grows_by_less_than_nothing() {
        let freed = |hour: i64| 10 * GIB + hour.unsigned_abs() * GIB;
        assert_eq!(over(10, freed).bytes_per_day(), Some(-(24 << 30)));
    }

    #[test]
    fn a_week_is_remembered_over_a_restart() {
        let growth = over(500, |hour| 1_000 * GIB - hour.unsigned_abs() * GIB);
        let again = Growth::of_json(&growth.to_json());
        assert_eq!(again.samples.len(), 168);
        assert_eq!(again.bytes_per_day(), Some(24 << 30));
        assert_eq!(Growth::of_json("no").bytes_per_day(), None);
    }
}
