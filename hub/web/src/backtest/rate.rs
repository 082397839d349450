//! How many alarms people would have had to take in, by the measure of EEMUA 191 and ISA-18.2.

use super::TestedAlarm;
use model::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The period by which both count.
const PERIOD_MS: i64 = 10 * 60 * 1000;

/// EEMUA 191: one alarm in ten minutes is a steady state that one person can handle.
const STEADY_PER_PERIOD: f64 = 1.0;

/// ISA-18.2: two in ten minutes (12 an hour, 300 a day) is the most that is manageable.
const MANAGEABLE_PER_PERIOD: f64 = 2.0;

/// EEMUA 191: more than ten in ten minutes is a flood.
const FLOOD_PER_PERIOD: u64 = 10;

/// ISA-18.2: periods of flood are less than a hundredth of the time.
const FLOOD_SHARE_MAX_PCT: f64 = 1.0;

/// Announced alarms by periods of ten minutes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rate {
    pub announced: u64,
    pub periods: u64,
    pub mean: f64,
    pub max: u64,
    pub max_at: Option<Timestamp>,
    /// How many periods had so many alarms.
    pub histogram: BTreeMap<&'static str, u64>,
    /// The share of periods with more than ten.
    pub flood_pct: f64,
    /// How often more than ten within ten minutes began (ISA-18.2).
    pub floods: u64,
}

impl Rate {
    pub(super) fn of(alarms: &[TestedAlarm], (from, until): (Timestamp, Timestamp)) -> Self {
        let period = |at: Timestamp| at.millis().div_euclid(PERIOD_MS);
        let mut counts = BTreeMap::<i64, u64>::new();
        let told = alarms.iter().filter_map(|alarm| alarm.row.announced_at);
        let mut announced: Vec<Timestamp> = told.collect();
        announced.sort_unstable();
        for at in &announced {
            *counts.entry(period(*at)).or_default() += 1;
        }
        // An alarm may be told at the time of its readings, before they were received.
        let first = counts
            .keys()
            .next()
            .copied()
            .unwrap_or(i64::MAX)
            .min(period(from));
        let last = counts.keys().last().copied().unwrap_or(i64::MIN);
        let last = last.max(period(until.plus_ms(-1))).max(first);
        let periods = last.abs_diff(first) + 1;
        let mut histogram: BTreeMap<&'static str, u64> = ["0", "1", "2", "3-5", "6-10", "over 10"]
            .map(|name| (name, 0))
            .into();
        let mut flooded = 0;
        for count in counts.values() {
            *histogram.entry(class(*count)).or_default() += 1;
            flooded += u64::from(*count > FLOOD_PER_PERIOD);
        }
        *histogram.entry("0").or_default() += periods - counts.len() as u64;
        let peak = counts.iter().max_by_key(|(at, count)| (**count, -**at));
        Self {
            announced: announced.len() as u64,
            periods,
            mean: announced.len() as f64 / periods as f64,
            max: peak.map_or(0, |(_, count)| *count),
            max_at: peak.map(|(at, _)| Timestamp::from_millis(at.saturating_mul(PERIOD_MS))),
            histogram,
            flood_pct: 100.0 * f64::from(u32::try_from(flooded).unwrap_or(u32::MAX))
                / periods as f64,
            floods: rules::count_floods(announced),
        }
    }
}

fn class(count: u64) -> &'static str {
    match count {
        0 => "0",
        1 => "1",
        2 => "2",
        3..=5 => "3-5",
        6..=FLOOD_PER_PERIOD => "6-10",
        _ => "over 10",
    }
}

/// Gives the figures to measure a rate by.
pub(super) fn reference() -> Value {
    json!({
        "steady": STEADY_PER_PERIOD,
        "manageable": MANAGEABLE_PER_PERIOD,
        "flood_over": FLOOD_PER_PERIOD,
        "flood_pct_max": FLOOD_SHARE_MAX_PCT,
        "source": "EEMUA 191, ISA-18.2, for one person",
    })
}
