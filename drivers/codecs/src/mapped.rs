//! JSON of any shape, by a table of pointers: what the table names is taken, the rest is not looked at.

use crate::profile::{Plan, Rule, Take};
use crate::{Decoded, Undecodable, instant, json};
use model::{Catalogue, Observation, Position, Timestamp, Value};
use serde_json::Value as Json;

/// Texts that stand for "no value".
const NOTHING: [&str; 4] = ["", "-", "--", "null"];

pub(crate) fn decode(
    catalogue: &Catalogue,
    plan: &Plan,
    payload: &[u8],
    out: &mut Decoded,
) -> Result<(), Undecodable> {
    let tree: Json = json::parse(payload, |bytes| serde_json::from_slice(bytes))?;
    for record in records(plan, &tree)? {
        take(catalogue, plan, record, None, out);
    }
    Ok(())
}

/// Gives the records of a payload.
pub(crate) fn records<'a>(plan: &Plan, tree: &'a Json) -> Result<&'a [Json], Undecodable> {
    let at = plan.records.as_ref().map_or("", |at| at.as_str());
    let found = tree.pointer(at);
    match found {
        Some(Json::Array(records)) => Ok(records),
        Some(one) => Ok(std::slice::from_ref(one)),
        None => {
            let detail = format!("there is nothing at `{at}`, where the records are");
            Err(json::undecodable("wrong_shape", detail))
        }
    }
}

/// Takes one record; `at` is its time where the record itself has none.
pub(crate) fn take(
    catalogue: &Catalogue,
    plan: &Plan,
    record: &Json,
    at: Option<Timestamp>,
    out: &mut Decoded,
) {
    let time = plan
        .time
        .as_ref()
        .and_then(|at| record.pointer(at.as_str()));
    let own = time.map_or(Ok(None), |time| {
        instant::read(time, plan.time_format, plan.utc_offset_min)
    });
    let before = out.received;
    for rule in &plan.rules {
        let Some(read) = read(rule, record) else {
            continue;
        };
        match (read, &own) {
            (Ok(value), Ok(own)) => put(catalogue, rule, value, own.or(at), out),
            (Err((reason, detail)), _) => out.reject(Some(&rule.name), reason, || detail),
            (Ok(_), Err(wrong)) => {
                out.reject(Some(&rule.name), "bad_timestamp", || wrong.clone());
            }
        }
    }
    if out.received == before {
        let detail = || "nothing of what the profile names is there".to_owned();
        out.reject(None, "no_values", detail);
    }
}

/// Counts one value, and keeps it.
pub(crate) fn put(
    catalogue: &Catalogue,
    rule: &Rule,
    value: Value,
    at: Option<Timestamp>,
    out: &mut Decoded,
) {
    out.received = out.received.saturating_add(1);
    out.observations.push(Observation {
        metric: rule.metric,
        value,
        quality: catalogue.judge(rule.metric, &value),
        observed_at: at,
    });
}

pub(crate) type Wrong = (&'static str, String);

/// Reads what a rule names; `None` if it is not there.
fn read(rule: &Rule, record: &Json) -> Option<Result<Value, Wrong>> {
    match &rule.take {
        Take::Named { .. } | Take::Halves { .. } => None,
        Take::At(at) => {
            let found = record.pointer(at.as_str())?;
            if let Some(words) = &rule.words {
                return Some(words.read(rule, found));
            }
            Some(number(found, rule.is_flag).and_then(|raw| scaled(rule, raw)))
        }
        Take::Position { lon, lat } => {
            let (lon, lat) = (record.pointer(lon.as_str()), record.pointer(lat.as_str()));
            if lon.is_none() && lat.is_none() {
                return None;
            }
            let read = |found: Option<&Json>| {
                let raw = number(found.unwrap_or(&Json::Null), false)?;
                without_sentinel(rule, raw)
            };
            Some(read(lon).and_then(|lon| {
                Ok(Value::Position(Position {
                    lon,
                    lat: read(lat)?,
                    accuracy_m: None,
                    locked: None,
                }))
            }))
        }
    }
}

fn without_sentinel(rule: &Rule, raw: f64) -> Result<f64, Wrong> {
    // A sentinel is written, not computed, so it is met exactly.
    if rule.sentinels.contains(&raw) {
        return Err(("sentinel", format!("{raw} stands for no value")));
    }
    Ok(raw)
}

/// Makes a number of the device one of the metric.
pub(crate) fn scaled(rule: &Rule, raw: f64) -> Result<Value, Wrong> {
    let raw = without_sentinel(rule, raw)?;
    // 402 × 0.01 is 4.0200000000000005, and 402 / 100 is 4.02.
    let parts = (1.0 / rule.scale).round();
    let is_part = parts.abs() > 1.0 && (parts * rule.scale - 1.0).abs() < f64::EPSILON;
    let number = if is_part {
        raw / parts
    } else {
        raw * rule.scale
    };
    let number = number + rule.offset;
    Value::number(number).ok_or_else(|| ("not_finite", format!("found {number}")))
}

/// Reads a number, also one that is written as text.
pub(crate) fn number(found: &Json, is_flag: bool) -> Result<f64, Wrong> {
    let wrong = |what: &str| Err(("wrong_type", format!("expected a number, found {what}")));
    match found {
        Json::Number(number) => {
            let number = number.as_f64();
            number.ok_or_else(|| ("wrong_type", "expected a number".to_owned()))
        }
        Json::String(text) => {
            let text = text.trim();
            if NOTHING.contains(&text) {
                return Err(("no_value", "the text stands for no value".to_owned()));
            }
            match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(number),
                Ok(number) => Err(("not_finite", format!("found {number}"))),
                Err(_) => wrong("a text"),
            }
        }
        Json::Bool(flag) if is_flag => Ok(f64::from(u8::from(*flag))),
        Json::Bool(_) => wrong("a boolean"),
        Json::Null => Err(("no_value", "found null".to_owned())),
        Json::Array(_) => wrong("an array"),
        Json::Object(_) => wrong("an object"),
    }
}

#[cfg(test)]
mod tests;
