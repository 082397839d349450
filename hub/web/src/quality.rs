//! How far the values of a device could be trusted lately, metric by metric.

use crate::problem::Problem;
use crate::state::{Inner, store_problem};
use model::{DeviceKey, Quality, Reading, Series, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use store::SeriesQuery;

/// The time over which shares are taken, by the times of the readings.
const WINDOW_S: i64 = 3_600;

/// How far back the last good value is looked for.
const GOOD_WITHIN_S: i64 = 86_400;

const PAGE: usize = 10_000;

/// Readings that are looked at for one metric, at most.
const READINGS_MAX: u64 = 100_000;

/// What the readings of one series were worth.
#[derive(Debug, Default, Serialize)]
pub(crate) struct SeriesQuality {
    window_s: i64,
    readings: u64,
    /// Shares of the readings; none without readings.
    good: Option<f64>,
    uncertain: Option<f64>,
    bad: Option<f64>,
    /// How many had which quality, the good ones left out.
    causes: BTreeMap<String, u64>,
    /// The time of the newest good value of the last 24 hours.
    last_good_at: Option<Timestamp>,
}

/// Looks at the last hour of every series that the device has.
pub(crate) fn by_metric(
    hub: &Inner,
    device: DeviceKey,
    latest: &[Reading],
) -> Result<BTreeMap<String, SeriesQuality>, Problem> {
    let now = hub.clock.now();
    let mut all = BTreeMap::new();
    for reading in latest {
        let metric = reading.series.metric;
        let Some(def) = hub.catalogue.def(metric) else {
            continue;
        };
        let series = Series { device, metric };
        all.insert(def.name.clone(), of(hub, series, now)?);
    }
    Ok(all)
}

fn of(hub: &Inner, series: Series, now: Timestamp) -> Result<SeriesQuality, Problem> {
    let mut quality = SeriesQuality {
        window_s: WINDOW_S,
        ..SeriesQuality::default()
    };
    let (mut good, mut bad) = (0u64, 0u64);
    each(
        hub,
        series,
        (now.plus_s(-WINDOW_S), Timestamp::MAX),
        |at, found| {
            quality.readings += 1;
            if found.is_good() {
                good += 1;
                quality.last_good_at = Some(at);
                return;
            }
            bad += u64::from(found.is_bad());
            *quality.causes.entry(found.to_string()).or_default() += 1;
        },
    )?;
    if quality.readings > 0 {
        let share = |count: u64| Some(count as f64 / quality.readings as f64);
        quality.good = share(good);
        quality.bad = share(bad);
        quality.uncertain = share(quality.readings - good - bad);
    }
    if quality.last_good_at.is_none() {
        let before = (now.plus_s(-GOOD_WITHIN_S), now.plus_s(-WINDOW_S));
        each(hub, series, before, |at, found| {
            if found.is_good() {
                quality.last_good_at = Some(at);
            }
        })?;
    }
    Ok(quality)
}

fn each(
    hub: &Inner,
    series: Series,
    (from, to): (Timestamp, Timestamp),
    mut tell: impl FnMut(Timestamp, Quality),
) -> Result<(), Problem> {
    let mut from = from;
    let mut seen = 0;
    while seen < READINGS_MAX {
        let query = SeriesQuery {
            series,
            from,
            to,
            limit: PAGE,
        };
        let page = hub.reader.readings(&query);
        let page = page.map_err(|error| store_problem("look at the quality", &error))?;
        for point in &page.points {
            tell(point.at, point.quality);
        }
        seen += page.points.len() as u64;
        let Some(next) = page.next else {
            return Ok(());
        };
        from = next;
    }
    Ok(())
}
