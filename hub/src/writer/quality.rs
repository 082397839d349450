//! Judges values by those that came before them: too fast, or the same for too long.
//!
//! The verdict is stored with the reading, so that whoever replays history sees the same. What is
//! remembered of a series is 32 bytes with its key; it is not written to disk but begun again from
//! the newest stored reading. So a restart changes this much: a value that was the same for a while
//! but not for long enough starts its time anew, and the first value after one that was too fast is
//! believed.

use super::Writer;
use super::health::CADENCE_ASSUMED_S;
use model::{Cause, Pace, Quality, Reading, Series, Timestamp};
use rustc_hash::FxHashMap;
use sdk::DeviceEntry;
use std::collections::hash_map::Entry;

/// After a gap of more than this many reports a value is not compared with the one before.
const GAP_REPORTS: i64 = 3;

/// Within this time a value may move as far as it may in a second: clocks have jitter.
const STEP_MS: i64 = 1_000;

/// The last believed value of a series.
#[derive(Copy, Clone, Debug)]
struct Trail {
    value: f64,
    observed: Timestamp,
    /// When it last was another value.
    moved: Timestamp,
}

/// What is remembered of every series that has a pace.
#[derive(Debug, Default)]
pub(super) struct Trails(FxHashMap<Series, Trail>);

impl Trail {
    fn begin(value: f64, observed: Timestamp) -> Self {
        Self {
            value,
            observed,
            moved: observed,
        }
    }

    /// Goes on from a stored reading; not from one that is not to be believed.
    fn resume(reading: &Reading, pace: Pace) -> Option<Self> {
        let stuck = Quality::uncertain(Cause::Stuck);
        let value = reading.value.as_number()?;
        if !reading.quality.is_good() && reading.quality != stuck {
            return None;
        }
        let mut trail = Self::begin(value, reading.observed_at);
        if reading.quality == stuck {
            let after_s = i64::from(pace.stuck_after_s.unwrap_or(0));
            trail.moved = reading.observed_at.plus_s(-after_s);
        }
        Some(trail)
    }

    fn judge(&mut self, pace: Pace, gap_max_ms: i64, (value, at): (f64, Timestamp)) -> Quality {
        let gap_ms = at.since_ms(self.observed);
        if gap_ms <= 0 {
            // It came out of order; what it should be compared with is not known any more.
            return Quality::GOOD;
        }
        if gap_ms > gap_max_ms {
            *self = Self::begin(value, at);
            return Quality::GOOD;
        }
        #[expect(clippy::float_cmp, reason = "stuck is exactly the same")]
        if value == self.value {
            self.observed = at;
            let same_ms = at.since_ms(self.moved);
            let stuck = pace.stuck_after_s;
            let is_stuck = stuck.is_some_and(|after_s| same_ms > i64::from(after_s) * 1000);
            return if is_stuck {
                Quality::uncertain(Cause::Stuck)
            } else {
                Quality::GOOD
            };
        }
        let per_s = (value - self.value).abs() * 1000.0 / gap_ms.max(STEP_MS) as f64;
        if pace.rate_max_per_s.is_some_and(|max| per_s > max) {
            return Quality::uncertain(Cause::Rate);
        }
        *self = Self::begin(value, at);
        Quality::GOOD
    }
}

impl Writer {
    /// Judges a number that is neither bad nor of a time that cannot be.
    pub(super) fn judge_pace(
        &mut self,
        entry: &DeviceEntry,
        series: Series,
        (value, at): (f64, Timestamp),
    ) -> Quality {
        let pace = self.catalogue.pace(&entry.device.kind, series.metric);
        if pace.is_free() {
            return Quality::GOOD;
        }
        let cadence_s = entry.device.cadence_s.filter(|cadence_s| *cadence_s > 0);
        let gap_max_ms = GAP_REPORTS * 1000 * i64::from(cadence_s.unwrap_or(CADENCE_ASSUMED_S));
        let trail = match self.trails.0.entry(series) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let latest = self.reader.latest(series.device);
                let latest = latest.iter().find(|reading| reading.series == series);
                let trail = latest.and_then(|reading| Trail::resume(reading, pace));
                entry.insert(trail.unwrap_or_else(|| Trail::begin(value, at)))
            }
        };
        trail.judge(pace, gap_max_ms, (value, at))
    }
}

#[cfg(test)]
mod tests {
    use super::Trail;
    use model::{Pace, Series, Timestamp};

    const PACE: Pace = Pace {
        rate_max_per_s: Some(2.0),
        stuck_after_s: Some(60),
    };

    /// Judges values that come at these seconds after the first, with a cadence of 10 s.
    fn judge(values: &[(i64, f64)]) -> Vec<String> {
        let at = |ms: i64| Timestamp::from_millis(ms * 100);
        let (first_at, first) = values[0];
        let mut trail = Trail::begin(first, at(first_at));
        let rest = values[1..].iter();
        rest.map(|(ds, value)| trail.judge(PACE, 30_000, (*value, at(*ds))).to_string())
            .collect()
    }

    #[test]
    fn what_is_remembered_of_a_series_is_32_bytes() {
        assert_eq!(size_of::<(Series, Trail)>(), 32);
    }

    #[test]
    fn a_spike_is_too_fast_but_what_comes_after_it_is_not() {
        // In tenths of a second. 2 a second over 10 s is 20; exactly that is plausible.
        let values = [(0, 0.0), (100, 20.0), (200, 99.0), (300, 25.0)];
        assert_eq!(judge(&values), ["good", "uncertain:rate", "good"]);
    }

    #[test]
    fn values_close_in_time_may_move_as_far_as_in_one_second() {
        let values = [(0, 0.0), (1, 2.0), (2, 4.1)];
        assert_eq!(judge(&values), ["good", "uncertain:rate"]);
    }

    #[test]
    fn the_first_value_after_a_gap_is_believed_and_so_is_a_step_that_stays() {
        let gap = [(0, 0.0), (300, 999.0), (301, 999.0)];
        assert_eq!(judge(&gap), ["uncertain:rate", "good"]);
        let step = [
            (0, 0.0),
            (100, 999.0),
            (200, 999.0),
            (300, 999.0),
            (400, 999.0),
            (500, 998.0),
        ];
        let rate = "uncertain:rate";
        assert_eq!(judge(&step), [rate, rate, rate, "good", "good"]);
    }

    #[test]
    fn a_value_is_stuck_after_its_time_until_it_moves_and_not_across_a_gap() {
        let mut values: Vec<(i64, f64)> = (0..8).map(|n| (n * 100, 5.0)).collect();
        values.extend([(800, 5.5), (900, 5.5)]);
        // At 60 s it has been the same for 60 s, at 70 s for longer.
        let mut expected = vec!["good"; 9];
        expected[6] = "uncertain:stuck";
        assert_eq!(judge(&values), expected);
        let gap = [(0, 5.0), (1_000, 5.0), (1_100, 5.0)];
        assert_eq!(judge(&gap), ["good", "good"]);
    }

    #[test]
    fn what_comes_out_of_order_is_not_judged_and_changes_nothing() {
        let values = [(100, 0.0), (50, 500.0), (200, 1.0)];
        assert_eq!(judge(&values), ["good", "good"]);
    }
}
