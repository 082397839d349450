//! Reads and writes `window` rules.

use super::window_s;
use crate::kind::latch::Limits;
use crate::kind::window::{Aggregate, Align, Spec};
use crate::spec::RuleError;
use crate::spec::fields::Fields;
use crate::spec::limits::{self, Keys};
use serde_json::{Map, Value, json};

const AGGREGATES: &str = "`mean`, `leq`, `max`, `min`, `sum` or `count_above`";

/// How much of a window must be covered, unless the rule says so: a mean over less than half would
/// not be one, and a low value may hide in a gap; a high value or a number of events that was
/// seen was there.
const COVERAGE_PCT: f64 = 50.0;

/// Blocks longer than a day would not begin at a date.
const BLOCK_S_MAX: u32 = 86_400;

pub(super) fn read(fields: &mut Fields<'_>) -> Result<Spec, RuleError> {
    let metric = fields.needed("metric")?;
    let window_s = window_s(fields)?;
    let aggregate = read_aggregate(fields)?;
    let align = read_align(fields, window_s)?;
    let min_coverage_pct = match fields.number("min_coverage_pct")? {
        Some(pct) if (0.0..=100.0).contains(&pct) => pct,
        Some(pct) => {
            let reason = format!("must be from 0 to 100, not {pct}");
            return Err(fields.wrong("min_coverage_pct", reason));
        }
        None => default_coverage_pct(aggregate),
    };
    Ok(Spec {
        metric,
        window_s,
        aggregate,
        align,
        min_coverage_pct,
        limits: read_limits(fields, aggregate)?,
    })
}

fn default_coverage_pct(aggregate: Aggregate) -> f64 {
    match aggregate {
        Aggregate::Mean | Aggregate::Leq | Aggregate::Min => COVERAGE_PCT,
        Aggregate::Max
        | Aggregate::Sum
        | Aggregate::CountAbove(_)
        | Aggregate::CountReaching(_) => 0.0,
    }
}

fn read_aggregate(fields: &mut Fields<'_>) -> Result<Aggregate, RuleError> {
    let name = fields.needed("aggregate")?;
    let count_above = fields.number("count_above_value")?;
    let aggregate = match name.as_str() {
        "mean" => Aggregate::Mean,
        "leq" => Aggregate::Leq,
        "max" => Aggregate::Max,
        "min" => Aggregate::Min,
        "sum" => Aggregate::Sum,
        "count_above" => {
            if let Some(value) = count_above {
                return Ok(Aggregate::CountAbove(value));
            }
            let value = fields.number("above")?.ok_or_else(|| {
                let reason = "is missing; `count_above` counts the readings above it".to_owned();
                fields.wrong("above", reason)
            })?;
            return Ok(Aggregate::CountReaching(value));
        }
        name => {
            let reason = format!("must be {AGGREGATES}, not `{name}`");
            return Err(fields.wrong("aggregate", reason));
        }
    };
    if count_above.is_some() {
        let reason = format!("means nothing to the aggregate `{name}`, only to `count_above`");
        return Err(fields.wrong("count_above_value", reason));
    }
    Ok(aggregate)
}

/// Reads the limits of the figure; where `above` is the value that counts, `count` limits the number
/// of readings, and one is enough.
fn read_limits(fields: &mut Fields<'_>, aggregate: Aggregate) -> Result<Limits, RuleError> {
    if !matches!(aggregate, Aggregate::CountReaching(_)) {
        return limits::read(fields, Keys::Sides, None);
    }
    fields.count("count")?;
    limits::read(fields, Keys::Amount("count"), Some(1.0))
}

fn read_align(fields: &mut Fields<'_>, window_s: u32) -> Result<Align, RuleError> {
    match fields.text("align")?.as_deref() {
        None => Ok(Align::Trailing),
        Some("clock") if window_s <= BLOCK_S_MAX && BLOCK_S_MAX.is_multiple_of(window_s) => {
            Ok(Align::Clock)
        }
        Some("clock") => {
            let reason = format!(
                "blocks of {window_s} s do not fill a day; `window_s` must divide {BLOCK_S_MAX}"
            );
            Err(fields.wrong("align", reason))
        }
        Some(other) => {
            let reason = format!("must be `clock` or left out, not `{other}`");
            Err(fields.wrong("align", reason))
        }
    }
}

pub(super) fn write_json(spec: &Spec, fields: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("metric", json!(spec.metric));
    put("window_s", json!(spec.window_s));
    let name = match spec.aggregate {
        Aggregate::Mean => "mean",
        Aggregate::Leq => "leq",
        Aggregate::Max => "max",
        Aggregate::Min => "min",
        Aggregate::Sum => "sum",
        Aggregate::CountAbove(value) => {
            put("count_above_value", json!(value));
            "count_above"
        }
        Aggregate::CountReaching(value) => {
            put("above", json!(value));
            "count_above"
        }
    };
    put("aggregate", json!(name));
    if spec.align == Align::Clock {
        put("align", json!("clock"));
    }
    put("min_coverage_pct", json!(spec.min_coverage_pct));
    let keys = match spec.aggregate {
        Aggregate::CountReaching(_) => Keys::Amount("count"),
        _ => Keys::Sides,
    };
    limits::write_json(&spec.limits, keys, fields);
}
