//! Plain JSON without a table: names are those of metrics, nested ones joined by dots, and the time
//! has one of its usual names.

use crate::profile::Plan;
use crate::{Decoded, Undecodable, instant, json, mapped};
use model::{Catalogue, MetricShape, Observation, Position, Timestamp, Value};
use serde_json::{Map, Value as Json};

/// What a time is called, in whatever case; the surest first, for `t` may be a temperature.
const TIMES: [&str; 4] = ["ts", "timestamp", "time", "t"];

/// What a lone number is called.
const LONE: &str = "value";

/// One record, its time read and its values found but not judged.
#[derive(Debug, Default)]
pub(crate) struct Record<'a> {
    pub(crate) time: Option<Result<Option<Timestamp>, String>>,
    pub(crate) leaves: Vec<(String, &'a Json)>,
}

pub(crate) fn decode(
    catalogue: &Catalogue,
    plan: &Plan,
    payload: &[u8],
    out: &mut Decoded,
) -> Result<(), Undecodable> {
    let tree: Json = json::parse(payload, |bytes| serde_json::from_slice(bytes))?;
    for record in mapped::records(plan, &tree)? {
        take(catalogue, &read(catalogue, plan, record), None, out);
    }
    Ok(())
}

/// Spreads a record: objects that are no position become names with dots.
pub(crate) fn read<'a>(catalogue: &Catalogue, plan: &Plan, record: &'a Json) -> Record<'a> {
    let mut read = Record::default();
    let Json::Object(fields) = record else {
        read.leaves.push((LONE.to_owned(), record));
        return read;
    };
    let usual = |name: &&str| {
        fields
            .iter()
            .find(|field| field.0.eq_ignore_ascii_case(name))
    };
    let time = match &plan.time {
        Some(at) => record.pointer(at.as_str()),
        None => TIMES.iter().find_map(usual).map(|field| field.1),
    };
    let mut spread = Spread {
        catalogue,
        leaves: &mut read.leaves,
    };
    for (name, value) in fields {
        match value {
            _ if time.is_some_and(|time| std::ptr::eq(time, value)) => {}
            Json::Object(values) if name == "values" => spread.all("", values),
            _ => spread.one(name.clone(), value),
        }
    }
    read.time = time.map(|time| instant::read(time, plan.time_format, plan.utc_offset_min));
    read
}

struct Spread<'a, 'b> {
    catalogue: &'b Catalogue,
    leaves: &'b mut Vec<(String, &'a Json)>,
}

impl<'a> Spread<'a, '_> {
    fn all(&mut self, before: &str, fields: &'a Map<String, Json>) {
        for (name, value) in fields {
            let dot = if before.is_empty() { "" } else { "." };
            self.one(format!("{before}{dot}{name}"), value);
        }
    }

    fn one(&mut self, name: String, value: &'a Json) {
        match value {
            Json::Object(fields) if self.catalogue.find(&name).is_none() => self.all(&name, fields),
            _ => self.leaves.push((name, value)),
        }
    }
}

/// Counts the values of a record, and keeps those of metrics.
pub(crate) fn take(
    catalogue: &Catalogue,
    record: &Record<'_>,
    at: Option<Timestamp>,
    out: &mut Decoded,
) {
    let before = out.received;
    for (name, found) in &record.leaves {
        let Some(key) = catalogue.find(name) else {
            // A text that is no number is a label, not a value of a metric that we lack.
            if mapped::number(found, true).is_ok() {
                let detail = || "the metric catalogue has no such metric".to_owned();
                out.reject(Some(name), "unknown_metric", detail);
            }
            continue;
        };
        let Some(def) = catalogue.def(key) else {
            continue;
        };
        let is_flag = def.min == Some(0.0) && def.max == Some(1.0);
        let value = match def.shape {
            MetricShape::Number => mapped::number(found, is_flag).and_then(|number| {
                let value = Value::number(number);
                value.ok_or_else(|| ("not_finite", format!("found {number}")))
            }),
            MetricShape::Position => position(found),
        };
        let own = record.time.clone().unwrap_or(Ok(None));
        match (value, own) {
            (Ok(value), Ok(own)) => {
                out.received = out.received.saturating_add(1);
                out.observations.push(Observation {
                    metric: key,
                    value,
                    quality: catalogue.judge(key, &value),
                    observed_at: own.or(at),
                });
            }
            (Err((reason, detail)), _) => out.reject(Some(name), reason, || detail),
            (Ok(_), Err(wrong)) => out.reject(Some(name), "bad_timestamp", || wrong),
        }
    }
    if out.received == before {
        let detail = || "the record names no metric".to_owned();
        out.reject(None, "no_values", detail);
    }
}

fn position(found: &Json) -> Result<Value, (&'static str, String)> {
    let coordinate = |name: &str| mapped::number(found.get(name).unwrap_or(&Json::Null), false);
    Ok(Value::Position(Position {
        lon: coordinate("lon")?,
        lat: coordinate("lat")?,
        accuracy_m: found.get("accuracy_m").and_then(Json::as_f64),
        locked: found.get("locked").and_then(Json::as_bool),
    }))
}

#[cfg(test)]
mod tests;
