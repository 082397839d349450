//! Reads and writes `rate` rules.

use super::window_s;
use crate::kind::rate::{Direction, Spec};
use crate::spec::RuleError;
use crate::spec::fields::Fields;
use crate::spec::limits::{self, Keys};
use serde_json::{Map, Value, json};

/// The keys for an amount, in units of the metric and in percent.
const AMOUNTS: [(&str, Direction, bool); 4] = [
    ("fall", Direction::Fall, false),
    ("rise", Direction::Rise, false),
    ("fall_pct", Direction::Fall, true),
    ("rise_pct", Direction::Rise, true),
];

pub(super) fn read(fields: &mut Fields<'_>) -> Result<Spec, RuleError> {
    let metric = fields.needed("metric")?;
    let window_s = window_s(fields)?;
    let (key, direction, in_key) = match find_amount(fields) {
        // `pct = 20.0` by itself.
        Err(_) if matches!(fields.number("pct"), Ok(Some(_))) => ("pct", Direction::Fall, true),
        found => found?,
    };
    let pct = match key {
        "pct" => None,
        _ => fields.yes("pct")?,
    };
    if in_key && pct == Some(false) {
        let reason = format!("`{key}` is in percent already");
        return Err(fields.wrong("pct", reason));
    }
    let is_percent = in_key || pct == Some(true);
    let normal_max = fields.number("normal_max")?;
    if normal_max.is_some() && direction == Direction::Rise {
        let reason = "goes with a fall only".to_owned();
        return Err(fields.wrong("normal_max", reason));
    }
    let limits = limits::read(fields, Keys::Amount(key), None)?;
    let most = limits.levels.iter().filter_map(|level| level.above);
    if let Some(most) = most.reduce(f64::max)
        && is_percent
        && direction == Direction::Fall
        && most > 100.0
    {
        let reason = format!("nothing falls by {most} %");
        return Err(fields.wrong(key, reason));
    }
    Ok(Spec {
        metric,
        window_s,
        direction,
        is_percent,
        normal_max,
        limits,
    })
}

/// Finds the one key by which this rule gives its amounts.
fn find_amount(fields: &mut Fields<'_>) -> Result<(&'static str, Direction, bool), RuleError> {
    let mut present = AMOUNTS
        .into_iter()
        .filter(|(key, ..)| fields.has(key) || fields.has_in_list("levels", key));
    let found = present.next();
    if let Some((other, ..)) = present.next() {
        let reason = "give one of `fall`, `rise`, `fall_pct` and `rise_pct`".to_owned();
        return Err(fields.wrong(other, reason));
    }
    found.ok_or_else(|| {
        let reason = "is missing, and so are `rise`, `fall_pct` and `rise_pct`".to_owned();
        fields.wrong("fall", reason)
    })
}

pub(super) fn write_json(spec: &Spec, fields: &mut Map<String, Value>) {
    fields.insert("metric".to_owned(), json!(spec.metric));
    fields.insert("window_s".to_owned(), json!(spec.window_s));
    if let Some(max) = spec.normal_max {
        fields.insert("normal_max".to_owned(), json!(max));
    }
    let same = |(_, direction, is_percent): &&(&str, Direction, bool)| {
        (*direction, *is_percent) == (spec.direction, spec.is_percent)
    };
    if let Some((key, ..)) = AMOUNTS.iter().find(same) {
        limits::write_json(&spec.limits, Keys::Amount(key), fields);
    }
}
