//! What the hub's own test sensor last came through, as health and metrics show it.

use model::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// A test that takes longer than this over its period is missing, whoever was to tell.
const GRACE_MS: i64 = 30_000;

/// How the canary is.
#[derive(Clone, Debug, PartialEq)]
pub struct CanaryHealth {
    every: Duration,
    started_at: Timestamp,
    /// When it last came through.
    last_passed_at: Option<Timestamp>,
    took: Option<Duration>,
    /// When it last came through each driver.
    drivers: BTreeMap<String, Timestamp>,
    broken: Option<Broken>,
    passes: u64,
    failures: u64,
    /// Why the second channel was not reached.
    pub webhook_error: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Broken {
    stage: &'static str,
    driver: Option<String>,
    reason: String,
    since: Timestamp,
}

impl CanaryHealth {
    pub fn new(every: Duration, started_at: Timestamp) -> Self {
        Self {
            every,
            started_at,
            last_passed_at: None,
            took: None,
            drivers: BTreeMap::new(),
            broken: None,
            passes: 0,
            failures: 0,
            webhook_error: None,
        }
    }

    /// Takes note that it came through these drivers.
    pub fn pass(&mut self, at: Timestamp, took: Duration, drivers: &[String]) {
        self.last_passed_at = Some(at);
        self.took = Some(took);
        self.drivers = drivers.iter().map(|name| (name.clone(), at)).collect();
        self.broken = None;
        self.passes += 1;
    }

    /// Takes note that it did not, and of the stage that it did not come through.
    pub fn fail(
        &mut self,
        since: Timestamp,
        (stage, driver): (&'static str, Option<String>),
        reason: String,
    ) {
        self.broken = Some(Broken {
            stage,
            driver,
            reason,
            since,
        });
        self.failures += 1;
    }

    pub(crate) fn stage(&self) -> Option<&'static str> {
        self.broken.as_ref().map(|broken| broken.stage)
    }

    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.passes, self.failures)
    }

    pub(crate) fn took(&self) -> Option<Duration> {
        self.took
    }

    /// Tells how long ago it came through, or the start was.
    pub(crate) fn age_ms(&self, now: Timestamp) -> i64 {
        now.since_ms(self.last_passed_at.unwrap_or(self.started_at))
    }

    /// `waiting` before the first test, `missing` if not even a failure was told in time.
    pub(crate) fn state(&self, now: Timestamp) -> &'static str {
        let every_ms = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX);
        let is_late = self.age_ms(now) > every_ms.saturating_add(GRACE_MS);
        match (&self.broken, self.last_passed_at) {
            (Some(_), _) => "failing",
            (None, _) if is_late => "missing",
            (None, Some(_)) => "passing",
            (None, None) => "waiting",
        }
    }

    pub(crate) fn is_well(&self, now: Timestamp) -> bool {
        matches!(self.state(now), "passing" | "waiting")
    }

    pub(crate) fn to_json(&self, now: Timestamp) -> Value {
        let broken = self.broken.as_ref();
        json!({
            "state": self.state(now),
            "every_s": self.every.as_secs(),
            "last_passed_at": self.last_passed_at,
            "age_s": self.age_ms(now) / 1000,
            "took_ms": self.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
            "drivers": self.drivers,
            "stage": broken.map(|broken| broken.stage),
            "driver": broken.and_then(|broken| broken.driver.clone()),
            "reason": broken.map(|broken| broken.reason.clone()),
            "since": broken.map(|broken| broken.since),
            "passes": self.passes,
            "failures": self.failures,
            "webhook_error": self.webhook_error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::CanaryHealth;
    use model::Timestamp;
    use std::time::Duration;

    #[test]
    fn a_canary_of_which_nothing_is_heard_is_missing_90_s_after_it_passed() {
        let at = |s: i64| Timestamp::from_millis(s * 1000);
        let mut canary = CanaryHealth::new(Duration::from_secs(60), at(0));
        assert_eq!(
            (canary.state(at(0)), canary.is_well(at(0))),
            ("waiting", true)
        );
        let took = Duration::from_millis(12);
        canary.pass(at(60), took, &["mqtt".to_owned()]);
        assert_eq!(
            (canary.state(at(150)), canary.is_well(at(150))),
            ("passing", true)
        );
        assert_eq!(
            (canary.state(at(151)), canary.is_well(at(151))),
            ("missing", false)
        );
        let driver = Some("mqtt".to_owned());
        canary.fail(at(140), ("store", driver), "gone".to_owned());
        let json = canary.to_json(at(152));
        assert_eq!(json["state"], "failing");
        assert_eq!(
            (&json["stage"], &json["age_s"]),
            (&"store".into(), &92.into())
        );
        canary.pass(at(180), took, &[]);
        assert_eq!((canary.stage(), canary.counts()), (None, (2, 1)));
    }
}
