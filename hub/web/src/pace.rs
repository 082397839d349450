//! How fast values come in, and how long whoever sent them waits for the word that they are on
//! disk: the last minute, second by second.

use crate::Histogram;
use model::Timestamp;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const SECONDS: i64 = 60;

/// Upper ends of the classes in which delays are counted, in milliseconds. A percentile is the
/// upper end of its class, so never less than the truth.
const BOUNDS_MS: [u64; 24] = [
    1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000,
    3_000, 5_000, 7_000, 10_000,
];

/// Upper ends of the classes in which delays are counted since the start, in seconds.
const BOUNDS_S: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

#[derive(Clone, Debug, Default)]
struct Second {
    /// Since the epoch.
    at: i64,
    values: u64,
    messages: u64,
    delays: [u64; BOUNDS_MS.len()],
    /// Messages that waited for longer than the last bound.
    beyond: u64,
    slowest_ms: u64,
}

#[derive(Debug, Default)]
struct Minute {
    seconds: VecDeque<Second>,
    /// Up to when the rules have judged, and when they are wanted next.
    judged: Option<(Timestamp, Option<Timestamp>)>,
}

/// The figures, filled by the writer.
#[derive(Clone, Debug)]
pub struct Pace {
    minute: Arc<Mutex<Minute>>,
    /// How long senders waited for the word.
    pub(crate) acks: Arc<Histogram>,
    /// How long commits took.
    pub(crate) commits: Arc<Histogram>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            minute: Arc::default(),
            acks: Arc::new(Histogram::new(&BOUNDS_S)),
            commits: Arc::new(Histogram::new(&BOUNDS_S)),
        }
    }
}

impl Pace {
    /// Takes in messages of one commit, each with its values and how long its sender waited.
    pub fn note(&self, now: Timestamp, messages: impl IntoIterator<Item = (u64, Duration)>) {
        let mut minute = self.lock();
        for (values, waited) in messages {
            self.acks.observe(waited);
            let second = minute.second(now);
            second.values += values;
            second.messages += 1;
            let ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            second.slowest_ms = second.slowest_ms.max(ms);
            let class = BOUNDS_MS.partition_point(|bound| *bound < ms);
            match second.delays.get_mut(class) {
                Some(count) => *count += 1,
                None => second.beyond += 1,
            }
        }
    }

    /// Notes what one commit took.
    pub fn committed(&self, took: Duration) {
        self.commits.observe(took);
    }

    /// Notes that the rules have judged up to `until`, and when they have something to do next.
    pub fn judged(&self, until: Timestamp, next: Option<Timestamp>) {
        self.lock().judged = Some((until, next));
    }

    /// Writes the intake of the last minute; `since` is when the hub was started.
    pub(crate) fn intake(&self, since: Timestamp, now: Timestamp) -> Value {
        let mut minute = self.lock();
        minute.forget(now);
        let mut sum = Second::default();
        for second in &minute.seconds {
            sum.values += second.values;
            sum.messages += second.messages;
            sum.beyond += second.beyond;
            sum.slowest_ms = sum.slowest_ms.max(second.slowest_ms);
            for (total, count) in sum.delays.iter_mut().zip(second.delays) {
                *total += count;
            }
        }
        drop(minute);
        let over_s = (now.since_ms(since) / 1_000).clamp(1, SECONDS);
        let per_s = |count: u64| (count as f64 / over_s as f64 * 10.0).round() / 10.0;
        json!({
            "over_s": over_s,
            "values_per_s": per_s(sum.values),
            "messages_per_s": per_s(sum.messages),
            "ack_ms": {
                "p50": sum.percentile(50),
                "p99": sum.percentile(99),
                "max": (sum.messages > 0).then_some(sum.slowest_ms),
            },
        })
    }

    /// Writes how far the rules are behind: 0 where nothing is due.
    pub(crate) fn rules(&self, now: Timestamp) -> Value {
        let judged = self.lock().judged;
        json!({
            "judged_until": judged.map(|(until, _)| until),
            "lag_ms": self.rules_lag_ms(now),
        })
    }

    pub(crate) fn rules_lag_ms(&self, now: Timestamp) -> i64 {
        let due = self.lock().judged.and_then(|(_, next)| next);
        due.map_or(0, |due| now.since_ms(due).max(0))
    }

    fn lock(&self) -> MutexGuard<'_, Minute> {
        self.minute.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Minute {
    fn forget(&mut self, now: Timestamp) {
        let oldest = now.millis().div_euclid(1_000) - SECONDS;
        while self
            .seconds
            .front()
            .is_some_and(|second| second.at <= oldest)
        {
            self.seconds.pop_front();
        }
    }

    fn second(&mut self, now: Timestamp) -> &mut Second {
        let at = now.millis().div_euclid(1_000);
        if self.seconds.back().is_none_or(|second| second.at < at) {
            self.forget(now);
            self.seconds.push_back(Second {
                at,
                ..Second::default()
            });
        }
        self.seconds.back_mut().expect("it was put there")
    }
}

impl Second {
    fn percentile(&self, percent: u64) -> Option<u64> {
        if self.messages == 0 {
            return None;
        }
        let rank = (self.messages * percent).div_ceil(100);
        let mut seen = 0;
        let mut classes = BOUNDS_MS.iter().zip(self.delays);
        let found = classes.find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        Some(found.map_or(self.slowest_ms, |(bound, _)| (*bound).min(self.slowest_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use model::Timestamp;
    use serde_json::json;
    use std::time::Duration;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_millis(s * 1_000)
    }

    #[test]
    fn the_last_minute_is_counted_and_what_is_older_forgotten() {
        let pace = Pace::default();
        let waited = Duration::from_millis;
        pace.note(at(100), [(500, waited(9_000))]);
        pace.note(at(170), (0..98).map(|_| (10, waited(4))));
        pace.note(at(171), [(110, waited(180)), (110, waited(12_000))]);
        // 98 × 10 + 2 × 110 = 1,200 values in 60 s; the 50th of 100 waited for 4 ms, which is in the
        // class up to 5; the 99th for 180, in the class up to 200.
        let shown = pace.intake(at(0), at(172));
        let expected = json!({
            "over_s": 60, "values_per_s": 20.0, "messages_per_s": 1.7,
            "ack_ms": {"p50": 5, "p99": 200, "max": 12_000},
        });
        assert_eq!(shown, expected);
        // All of them waited for less than the class's upper end.
        let quick = Pace::default();
        quick.note(at(10), [(1, waited(4))]);
        assert_eq!(quick.intake(at(0), at(10))["ack_ms"]["p99"], 4);
        let none = json!({"p50": null, "p99": null, "max": null});
        assert_eq!(pace.intake(at(0), at(300))["ack_ms"], none);
    }

    #[test]
    fn rules_lag_by_what_was_due_before_now() {
        let pace = Pace::default();
        assert_eq!(
            pace.rules(at(5)),
            json!({"judged_until": null, "lag_ms": 0})
        );
        pace.judged(at(10), Some(at(20)));
        assert_eq!(pace.rules(at(15))["lag_ms"], 0);
        assert_eq!(pace.rules(at(23))["lag_ms"], 3_000);
        pace.judged(at(24), None);
        let expected = json!({"judged_until": "1970-01-01T00:00:24.000Z", "lag_ms": 0});
        assert_eq!(pace.rules(at(30)), expected);
    }
}
