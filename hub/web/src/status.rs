//! What is known of a device now: whether it reports, since when not, and its latest values.

use model::{Catalogue, Reading, Timestamp, Value};
use sdk::DeviceEntry;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use store::{Reader, Seen};

/// A device that promises no cadence is expected once a minute.
pub(crate) const CADENCE_DEFAULT_S: u32 = 60;

/// Missed reports after which a device counts as offline.
const MISSED_MAX: i64 = 3;

/// A device whose fresh readings are older than this by its own clock has a wrong clock.
const CLOCK_LAG_MAX_MS: i64 = 3_600_000;

/// How a device is doing.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Online,
    Offline,
    Frozen,
    ClockWrong,
    NeverSeen,
}

impl Status {
    pub(crate) const WORDS: [(&'static str, Self); 5] = [
        ("online", Self::Online),
        ("offline", Self::Offline),
        ("frozen", Self::Frozen),
        ("clock_wrong", Self::ClockWrong),
        ("never_seen", Self::NeverSeen),
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Frozen => "frozen",
            Self::ClockWrong => "clock_wrong",
            Self::NeverSeen => "never_seen",
        }
    }
}

/// What the API tells of a device beyond its registration.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) status: Status,
    /// Since when, where that is known.
    pub(crate) since: Option<Timestamp>,
    pub(crate) last_seen: Option<Timestamp>,
}

/// Judges a device by when it was heard and by what its clock said then.
pub(crate) fn judge(
    now: Timestamp,
    cadence_s: Option<u32>,
    seen: Option<Seen>,
    latest: &[Reading],
) -> Standing {
    let Some(seen) = seen else {
        return Standing {
            status: Status::NeverSeen,
            since: None,
            last_seen: None,
        };
    };
    let patience_s = MISSED_MAX * i64::from(cadence_s.unwrap_or(CADENCE_DEFAULT_S));
    let offline_at = seen.last_received.plus_s(patience_s);
    let (status, since) = if now > offline_at {
        (Status::Offline, Some(offline_at))
    } else if latest
        .iter()
        .max_by_key(|reading| reading.received_at)
        .is_some_and(has_wrong_clock)
    {
        (Status::ClockWrong, None)
    } else {
        (Status::Online, None)
    };
    Standing {
        status,
        since,
        last_seen: Some(seen.last_received),
    }
}

fn has_wrong_clock(reading: &Reading) -> bool {
    reading.quality == model::Quality::uncertain(model::Cause::Clock)
        || reading.received_at.since_ms(reading.observed_at) > CLOCK_LAG_MAX_MS
}

/// Reads what the store knows of one device.
pub(crate) fn of(reader: &Reader, entry: &DeviceEntry, now: Timestamp) -> (Standing, Vec<Reading>) {
    let latest = reader.latest(entry.key);
    let seen = reader.seen(entry.key);
    let standing = judge(now, entry.device.cadence_s, seen, &latest);
    (standing, latest)
}

/// One latest value, as a device's row shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Latest {
    value: serde_json::Value,
    unit: String,
    quality: String,
    observed_at: Timestamp,
    received_at: Timestamp,
}

/// Names the latest readings of one device by their metrics.
pub(crate) fn latest_by_metric(
    catalogue: &Catalogue,
    readings: &[Reading],
) -> BTreeMap<String, Latest> {
    readings
        .iter()
        .filter_map(|reading| {
            let def = catalogue.def(reading.series.metric)?;
            Some((
                def.name.clone(),
                Latest {
                    value: value_json(&reading.value),
                    unit: def.unit.clone(),
                    quality: reading.quality.to_string(),
                    observed_at: reading.observed_at,
                    received_at: reading.received_at,
                },
            ))
        })
        .collect()
}

/// Writes a value as the API shows it: a number, or the place as an object.
pub(crate) fn value_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Number(number) => json!(number),
        Value::Position(position) => json!(position),
    }
}

/// A device's row, as every GET shows it.
#[derive(Debug, Serialize)]
pub(crate) struct DeviceRow<'a> {
    #[serde(flatten)]
    device: &'a model::Device,
    status: Status,
    since: Option<Timestamp>,
    last_seen: Option<Timestamp>,
    grid: Option<&'a str>,
    latest: BTreeMap<String, Latest>,
}

impl<'a> DeviceRow<'a> {
    pub(crate) fn new(
        entry: &'a DeviceEntry,
        standing: &Standing,
        latest: BTreeMap<String, Latest>,
    ) -> Self {
        Self {
            device: &entry.device,
            status: standing.status,
            since: standing.since,
            last_seen: standing.last_seen,
            grid: entry.grid.as_deref(),
            latest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Status, judge};
    use model::{Cause, DeviceKey, MetricKey, Quality, Reading, Series, Timestamp, Value};
    use store::Seen;

    fn at_s(s: i64) -> Timestamp {
        Timestamp::from_millis(0).plus_s(s)
    }

    fn seen(last_s: i64) -> Option<Seen> {
        Some(Seen {
            first_received: at_s(0),
            last_received: at_s(last_s),
        })
    }

    fn reading(observed_s: i64, received_s: i64, quality: Quality) -> Reading {
        Reading {
            series: Series {
                device: DeviceKey(1),
                metric: MetricKey(0),
            },
            value: Value::Number(1.0),
            quality,
            observed_at: at_s(observed_s),
            received_at: at_s(received_s),
        }
    }

    #[test]
    fn a_device_is_offline_after_three_missed_reports() {
        let on_time = judge(at_s(1030), Some(10), seen(1000), &[]);
        assert_eq!(on_time.status, Status::Online);
        let missed = judge(at_s(1031), Some(10), seen(1000), &[]);
        assert_eq!(
            (missed.status, missed.since),
            (Status::Offline, Some(at_s(1030)))
        );
        assert_eq!(missed.last_seen, Some(at_s(1000)));
        // Without a cadence: 3 × 60 s.
        assert_eq!(
            judge(at_s(1180), None, seen(1000), &[]).status,
            Status::Online
        );
        assert_eq!(
            judge(at_s(1181), None, seen(1000), &[]).status,
            Status::Offline
        );
    }

    #[test]
    fn a_device_never_heard_is_never_seen() {
        assert_eq!(
            judge(at_s(1), Some(10), None, &[]).status,
            Status::NeverSeen
        );
    }

    #[test]
    fn the_newest_arrival_tells_whether_the_clock_is_wrong() {
        let ahead = reading(9000, 5000, Quality::uncertain(Cause::Clock));
        let behind = reading(1399, 5000, Quality::GOOD);
        let right = reading(5000, 5001, Quality::GOOD);
        let status = |latest: &[Reading]| judge(at_s(5002), Some(10), seen(5001), latest).status;
        assert_eq!(status(&[ahead]), Status::ClockWrong);
        assert_eq!(status(&[behind]), Status::ClockWrong);
        // An hour late is a slow link, not a wrong clock.
        assert_eq!(
            status(&[reading(1400, 5000, Quality::GOOD)]),
            Status::Online
        );
        assert_eq!(status(&[ahead, behind, right]), Status::Online);
    }
}
