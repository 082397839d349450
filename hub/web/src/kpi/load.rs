//! How much the alarms of a period asked of people: EEMUA 191 and ISA-18.2; how soon they acknowledged.

use super::cases::{Period, rate};
use model::{AlarmRow, Severity, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

const TEN_MINUTES_MS: i64 = 600_000;
const HOUR_MS: i64 = 3_600_000;

/// More alarms than this in ten minutes are a flood (EEMUA 191).
const FLOOD_ABOVE: u64 = 10;
/// A flood is over with fewer than this in ten minutes (ISA-18.2).
const FLOOD_OVER_BELOW: u64 = 5;
/// More alarms than this in an hour are too many (ISA-18.2).
const HOUR_ABOVE: u64 = 30;
/// The most frequent sources that are looked at (EEMUA 191).
const TOP: usize = 10;
/// Days of data that make the figures meaningful (EEMUA 191, sample).
const SAMPLE_DAYS: f64 = 30.0;

/// From being told to the first acknowledgement, in milliseconds.
pub(super) type Delays = BTreeMap<Severity, Vec<i64>>;

/// Computes the figures over alarms that were announced in the period, of which the hub was there
/// from `since` on: what was before says nothing of how much a desk can bear.
pub(super) fn measure<'a>(
    alarms: impl Iterator<Item = &'a AlarmRow> + Clone,
    (whole, since): (Period, Timestamp),
    delays: Delays,
) -> Value {
    let period = (whole.0.max(since), whole.1);
    let total = alarms.clone().count() as u64;
    let (tens, hours) = (length(period, TEN_MINUTES_MS), length(period, HOUR_MS));
    let by_ten = counts(alarms.clone(), TEN_MINUTES_MS);
    let by_hour = counts(alarms.clone(), HOUR_MS);
    let over = |counts: &BTreeMap<i64, u64>, limit: u64| {
        counts.values().filter(|count| **count > limit).count() as u64
    };
    let peak = |counts: &BTreeMap<i64, u64>| counts.values().max().copied().unwrap_or(0);
    let (sources, top) = top_sources(alarms.clone());
    let of = |wanted: &[Severity]| {
        let fits = |alarm: &&AlarmRow| wanted.contains(&alarm.severity);
        rate(alarms.clone().filter(fits).count() as u64, total)
    };
    let marked = |is_so: fn(&AlarmRow) -> bool| alarms.clone().filter(|a| is_so(a)).count();
    let days = period.1.since_ms(period.0).max(0) as f64 / 86_400_000.0;
    let mut figures = Map::new();
    for (name, value) in [
        ("per_10min", mean(total, tens)),
        ("per_hour", mean(total, hours)),
        ("peak_10min", json!(peak(&by_ten))),
        ("peak_hour", json!(peak(&by_hour))),
        ("over_10_share", rate(over(&by_ten, FLOOD_ABOVE), tens)),
        ("over_30_share", rate(over(&by_hour, HOUR_ABOVE), hours)),
        ("flood_share", rate(in_flood(&by_ten), tens)),
        ("top10_share", rate(top, total)),
        ("chattering", json!(marked(|alarm| alarm.chattering))),
        ("stale", json!(marked(|alarm| alarm.stale))),
        ("low_share", of(&[Severity::Warning, Severity::Minor])),
        ("medium_share", of(&[Severity::Major])),
        ("high_share", of(&[Severity::Critical])),
    ] {
        figures.insert(name.to_owned(), value);
    }
    json!({
        "figures": figures,
        "announced": total,
        "since": period.0,
        "days": days,
        // The figures are meant for a month or more.
        "enough_data": days >= SAMPLE_DAYS,
        "top": sources,
        "ack": delays.into_iter().map(|(severity, of)| (severity.name().to_owned(), quantiles(of))).collect::<Map<_, _>>(),
    })
}

/// By nearest rank.
fn quantiles(mut delays: Vec<i64>) -> Value {
    delays.sort_unstable();
    let at = |percent: usize| {
        let rank = (delays.len() * percent).div_ceil(100);
        delays.get(rank.saturating_sub(1))
    };
    json!({ "count": delays.len(), "p50_ms": at(50), "p90_ms": at(90) })
}

/// How many whole or begun blocks the period has.
fn length((from, to): Period, block_ms: i64) -> u64 {
    let span = to.since_ms(from).max(0);
    (span.unsigned_abs()).div_ceil(block_ms.unsigned_abs())
}

fn mean(total: u64, blocks: u64) -> Value {
    if blocks == 0 {
        return Value::Null;
    }
    json!((total as f64 / blocks as f64 * 1_000.0).round() / 1_000.0)
}

fn announced(alarm: &AlarmRow) -> Timestamp {
    alarm.announced_at.unwrap_or(alarm.raised_at)
}

/// Counts by blocks of the clock; blocks without an alarm are left out.
fn counts<'a>(alarms: impl Iterator<Item = &'a AlarmRow>, block_ms: i64) -> BTreeMap<i64, u64> {
    let mut counts = BTreeMap::new();
    for alarm in alarms {
        let block = announced(alarm).millis().div_euclid(block_ms);
        *counts.entry(block).or_default() += 1;
    }
    counts
}

/// Counts the blocks in flood: from more than ten alarms to the first with fewer than five.
fn in_flood(by_ten: &BTreeMap<i64, u64>) -> u64 {
    let mut blocks = 0;
    let mut last: Option<i64> = None;
    for (block, count) in by_ten {
        // A block that is not there had no alarm, and no flood outlives it.
        let goes_on = last.is_some_and(|last| last + 1 == *block) && *count >= FLOOD_OVER_BELOW;
        if goes_on || *count > FLOOD_ABOVE {
            blocks += 1;
            last = Some(*block);
        } else {
            last = None;
        }
    }
    blocks
}

/// Gives the most frequent pairs of rule and device, and how many alarms are theirs.
fn top_sources<'a>(alarms: impl Iterator<Item = &'a AlarmRow>) -> (Vec<Value>, u64) {
    let mut sources: HashMap<(&str, &str), u64> = HashMap::new();
    for alarm in alarms {
        let source = (alarm.rule.as_str(), alarm.device.as_str());
        *sources.entry(source).or_default() += 1;
    }
    let mut sources: Vec<_> = sources.into_iter().collect();
    sources.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
    sources.truncate(TOP);
    let sum = sources.iter().map(|(_, count)| count).sum();
    let named = sources
        .into_iter()
        .map(|((rule, device), count)| json!({ "rule": rule, "device": device, "alarms": count }));
    (named.collect(), sum)
}
