//! How far the values of a device could be trusted lately, metric by metric.

use crate::problem::Problem;
use crate::state::{Inner, store_problem};
use model::{DeviceKey, Reading, Series, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use store::SeriesQuery;

/// The time over which shares are taken, by when the readings came: a clock that is off must not
/// hide what the device sends.
const WINDOW_S: i64 = 3_600;

/// How far back the last good value is looked for, and how much older than the newest one a reading
/// may be that came just now.
const GOOD_WITHIN_S: i64 = 86_400;

const PAGE: usize = 10_000;

/// Readings that are looked at for one metric, at most: a day of ten a second.
const READINGS_MAX: usize = 1_000_000;

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
    /// The time of the newest good value that came in the last 24 hours.
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
        let from = now.min(reading.observed_at).plus_s(-GOOD_WITHIN_S);
        all.insert(def.name.clone(), of(hub, series, (from, now))?);
    }
    Ok(all)
}

fn of(
    hub: &Inner,
    series: Series,
    (from, now): (Timestamp, Timestamp),
) -> Result<SeriesQuality, Problem> {
    let mut quality = SeriesQuality {
        window_s: WINDOW_S,
        ..SeriesQuality::default()
    };
    let (recent, good_since) = (now.plus_s(-WINDOW_S), now.plus_s(-GOOD_WITHIN_S));
    let (mut good, mut bad) = (0u64, 0u64);
    each(hub, series, from, |reading| {
        let found = reading.quality;
        if found.is_good() && reading.received_at >= good_since {
            // They come in the order of their own times.
            quality.last_good_at = Some(reading.observed_at);
        }
        if reading.received_at < recent {
            return;
        }
        quality.readings += 1;
        good += u64::from(found.is_good());
        bad += u64::from(found.is_bad());
        if !found.is_good() {
            *quality.causes.entry(found.to_string()).or_default() += 1;
        }
    })?;
    if quality.readings > 0 {
        let share = |count: u64| Some(count as f64 / quality.readings as f64);
        quality.good = share(good);
        quality.bad = share(bad);
        quality.uncertain = share(quality.readings - good - bad);
    }
    Ok(quality)
}

fn each(
    hub: &Inner,
    series: Series,
    mut from: Timestamp,
    mut tell: impl FnMut(&Reading),
) -> Result<(), Problem> {
    let mut seen = 0;
    while seen < READINGS_MAX {
        let query = SeriesQuery {
            series,
            from,
            to: Timestamp::MAX,
            limit: PAGE,
        };
        let page = hub.reader.arrivals(&query);
        let page = page.map_err(|error| store_problem("look at the quality", &error))?;
        page.iter().for_each(&mut tell);
        seen += page.len();
        match page.last() {
            Some(last) if page.len() == PAGE => from = last.observed_at.plus_ms(1),
            _ => return Ok(()),
        }
    }
    Ok(())
}
