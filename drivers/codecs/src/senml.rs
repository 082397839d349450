//! SenML (RFC 8428) in JSON and CBOR: base fields resolved, then named by the profile.

use crate::position::{Axis, Halves};
use crate::profile::{Plan, Rule, Take};
use crate::{Decoded, Undecodable, instant, json, mapped};
use ciborium::Value as Cbor;
use model::{Catalogue, MetricShape, Timestamp};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Times below this count from now (RFC 8428 4.5.3): 2^28 seconds.
const RELATIVE_BELOW_S: f64 = 268_435_456.0;

/// The version that this reads (RFC 8428 4.4).
const VERSION: f64 = 10.0;

/// A pack is an array of maps of scalars.
const DEPTH_MAX: usize = 16;

/// Labels of CBOR, RFC 8428 table 4.
const LABELS: [(i8, &str); 15] = [
    (-6, "bs"),
    (-5, "bv"),
    (-4, "bu"),
    (-3, "bt"),
    (-2, "bn"),
    (-1, "bver"),
    (0, "n"),
    (1, "u"),
    (2, "v"),
    (3, "vs"),
    (4, "vb"),
    (5, "s"),
    (6, "t"),
    (7, "ut"),
    (8, "vd"),
];

/// A field of a record, in either encoding.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Held {
    Number(f64),
    Text(String),
    Flag(bool),
    /// Data, or what no field of SenML can be.
    Other,
}

type Fields = BTreeMap<String, Held>;

/// A record with its base fields worked in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) unit: Option<String>,
    /// Since the epoch, or since now if `is_relative`.
    pub(crate) seconds: f64,
    pub(crate) is_relative: bool,
    /// None only beside a sum.
    pub(crate) value: Option<Held>,
    pub(crate) sum: Option<f64>,
}

impl Record {
    /// Gives the instant of a record; `None` is that of arrival.
    fn at(&self, arrival: Timestamp) -> Option<Timestamp> {
        if !self.is_relative {
            return instant::of_seconds(self.seconds);
        }
        if self.seconds == 0.0 {
            return None;
        }
        let since = instant::of_seconds(self.seconds)?;
        Some(arrival.plus_ms(since.millis()))
    }

    /// Tells whether its time, if it gives one, is a time.
    fn is_timed(&self, at: Option<Timestamp>) -> bool {
        at.is_some() || (self.is_relative && self.seconds == 0.0)
    }

    /// The part of the name that a metric is called by.
    fn short(&self) -> &str {
        self.name
            .rsplit([':', '/'])
            .next()
            .unwrap_or(self.name.as_str())
    }

    /// The coordinate that this is by its unit (RFC 8428 table 1) or its name, and of what.
    fn coordinate(&self) -> Option<(Axis, &str)> {
        let short = self.short();
        let is = |units: &str, names: [&str; 2]| {
            let named = names.iter().any(|name| short.eq_ignore_ascii_case(name));
            self.unit.as_deref() == Some(units) || named
        };
        let axis = if is("lon", ["lon", "longitude"]) {
            Axis::Lon
        } else if is("lat", ["lat", "latitude"]) {
            Axis::Lat
        } else {
            return None;
        };
        Some((axis, self.name.strip_suffix(short).unwrap_or_default()))
    }
}

pub(crate) fn decode(
    catalogue: &Catalogue,
    plan: &Plan,
    payload: &[u8],
    arrival: Timestamp,
    out: &mut Decoded,
) -> Result<(), Undecodable> {
    let before = out.received;
    let records = resolve(payload)?;
    let position = bare_position(catalogue);
    let mut halves = Halves::default();
    for record in &records {
        let at = record.at(arrival);
        if plan.rules.is_empty() {
            let coordinate = record.coordinate();
            match (&position, coordinate) {
                (Some(rule), Some(found)) => {
                    take_half(catalogue, (rule, found), (record, at), &mut halves, out);
                }
                _ => take_named(catalogue, record, at, out),
            }
            continue;
        }
        for rule in &plan.rules {
            if let Some(found) = half_of(rule, record) {
                take_half(catalogue, (rule, found), (record, at), &mut halves, out);
            } else if fits(rule, record) {
                take(catalogue, rule, record, at, out);
            }
        }
    }
    halves.finish(out);
    if out.received == before {
        let detail = || "no record of the pack is a metric's".to_owned();
        out.reject(None, "no_values", detail);
    }
    Ok(())
}

/// The rule for coordinates without a profile.
fn bare_position(catalogue: &Catalogue) -> Option<Rule> {
    let key = catalogue.find("position")?;
    Some(Rule::plain(key, catalogue.def(key)?))
}

/// Takes a longitude or a latitude.
fn take_half<'a>(
    catalogue: &Catalogue,
    (rule, (axis, thing)): (&'a Rule, (Axis, &'a str)),
    (record, at): (&'a Record, Option<Timestamp>),
    halves: &mut Halves<'a>,
    out: &mut Decoded,
) {
    match degrees(rule, record, at) {
        Ok(degrees) => {
            halves.take((catalogue, rule), (thing, at), (axis, degrees), out);
        }
        Err((reason, detail)) => out.reject(Some(&rule.name), reason, || detail),
    }
}

fn degrees(
    rule: &Rule,
    record: &Record,
    at: Option<Timestamp>,
) -> Result<f64, (&'static str, String)> {
    let value = mapped::scaled(rule, found(rule, record)?)?;
    if !record.is_timed(at) {
        return Err(("bad_timestamp", format!("{} s is no time", record.seconds)));
    }
    Ok(value.as_number().unwrap_or_default())
}

/// Takes a record whose name ends with that of a metric.
fn take_named(catalogue: &Catalogue, record: &Record, at: Option<Timestamp>, out: &mut Decoded) {
    let found = catalogue.find(record.short());
    match found.and_then(|key| Some((key, catalogue.def(key)?))) {
        Some((key, def)) if def.shape == MetricShape::Number => {
            take(catalogue, &Rule::plain(key, def), record, at, out);
        }
        // Texts and data are labels, not values of a metric that we lack.
        _ if matches!(record.value, Some(Held::Number(_) | Held::Flag(_))) => {
            let detail = || "the metric catalogue has no such metric".to_owned();
            out.reject(Some(record.short()), "unknown_metric", detail);
        }
        _ => {}
    }
}

/// Tells what stands before the end of a name, if that is its end.
fn before<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    let before = name.strip_suffix(end)?;
    let is_part = before.is_empty() || before.ends_with([':', '/', '.', '_', '-']);
    is_part.then_some(before)
}

/// The coordinate that a rule takes from this record, and of what it is.
fn half_of<'a>(rule: &Rule, record: &'a Record) -> Option<(Axis, &'a str)> {
    let Take::Halves { lon, lat } = &rule.take else {
        return None;
    };
    let of = |axis, end| before(&record.name, end).map(|thing| (axis, thing));
    of(Axis::Lon, lon).or_else(|| of(Axis::Lat, lat))
}

/// Tells whether a rule means this record: by the end of its name, and by its unit if it gives one.
fn fits(rule: &Rule, record: &Record) -> bool {
    let Take::Named { name, unit, .. } = &rule.take else {
        return false;
    };
    before(&record.name, name).is_some()
        && unit
            .as_ref()
            .is_none_or(|unit| record.unit.as_ref() == Some(unit))
}

/// Reads the number that a rule takes from a record.
fn found(rule: &Rule, record: &Record) -> Result<f64, (&'static str, String)> {
    let is_sum = matches!(rule.take, Take::Named { sum: true, .. });
    match (&record.value, record.sum) {
        (_, Some(sum)) if is_sum => Ok(sum),
        _ if is_sum => Err(("no_value", "the record has no sum".to_owned())),
        (Some(Held::Number(number)), _) => Ok(*number),
        (Some(Held::Flag(flag)), _) if rule.is_flag => Ok(f64::from(u8::from(*flag))),
        (Some(Held::Text(text)), _) => mapped::number(&Json::from(text.as_str()), false),
        (Some(_), _) => Err(("wrong_type", "expected a number".to_owned())),
        (None, _) => Err(("no_value", "the record has only a sum".to_owned())),
    }
}

fn take(
    catalogue: &Catalogue,
    rule: &Rule,
    record: &Record,
    at: Option<Timestamp>,
    out: &mut Decoded,
) {
    match found(rule, record).and_then(|raw| mapped::scaled(rule, raw)) {
        Ok(_) if !record.is_timed(at) => {
            let detail = || format!("{} s is no time", record.seconds);
            out.reject(Some(&rule.name), "bad_timestamp", detail);
        }
        Ok(value) => mapped::put(catalogue, rule, value, at, out),
        Err((reason, detail)) => out.reject(Some(&rule.name), reason, || detail),
    }
}

/// Reads a pack and works its base fields in. One bad record makes a bad pack, for base fields
/// reach from one record into the next.
pub(crate) fn resolve(payload: &[u8]) -> Result<Vec<Record>, Undecodable> {
    let is_cbor = payload
        .first()
        .is_some_and(|first| (0x80..=0x9f).contains(first));
    let pack = if is_cbor {
        of_cbor(payload)?
    } else {
        of_json(payload)?
    };
    let mut base = Base::default();
    let mut records = Vec::with_capacity(pack.len());
    for fields in pack {
        records.extend(base.resolve(&fields)?);
    }
    Ok(records)
}

fn refused(reason: &'static str, detail: impl Into<String>) -> Undecodable {
    json::undecodable(reason, detail.into())
}

fn of_json(payload: &[u8]) -> Result<Vec<Fields>, Undecodable> {
    let Json::Array(records) = json::parse(payload, |bytes| serde_json::from_slice(bytes))? else {
        return Err(refused(
            "not_an_array",
            "a SenML pack is an array of records",
        ));
    };
    let held = |value: Json| match value {
        Json::Number(number) => number.as_f64().map_or(Held::Other, Held::Number),
        Json::String(text) => Held::Text(text),
        Json::Bool(flag) => Held::Flag(flag),
        Json::Null | Json::Array(_) | Json::Object(_) => Held::Other,
    };
    let fields = |record: Json| match record {
        Json::Object(fields) => Ok(fields
            .into_iter()
            .map(|(name, value)| (name, held(value)))
            .collect()),
        _ => Err(refused("wrong_shape", "a SenML record is an object")),
    };
    records.into_iter().map(fields).collect()
}

fn of_cbor(payload: &[u8]) -> Result<Vec<Fields>, Undecodable> {
    let mut rest = payload;
    let read = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEPTH_MAX);
    let pack: Cbor = read.map_err(|error| refused("invalid_cbor", error.to_string()))?;
    if !rest.is_empty() {
        let detail = format!("{} bytes follow the pack", rest.len());
        return Err(refused("invalid_cbor", detail));
    }
    let Cbor::Array(records) = pack else {
        return Err(refused(
            "not_an_array",
            "a SenML pack is an array of records",
        ));
    };
    let fields = |record: Cbor| match record {
        Cbor::Map(fields) => Ok(fields
            .into_iter()
            .map(|(label, value)| (label_of(&label), held_cbor(value)))
            .collect()),
        _ => Err(refused("wrong_shape", "a SenML record is a map")),
    };
    records.into_iter().map(fields).collect()
}

fn label_of(label: &Cbor) -> String {
    match label {
        Cbor::Text(name) => name.clone(),
        Cbor::Integer(number) => {
            let number = i128::from(*number);
            let known = LABELS
                .iter()
                .find(|(label, _)| i128::from(*label) == number);
            known.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
        }
        _ => "?".to_owned(),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "beyond 2^53 no sensor counts by ones"
)]
fn held_cbor(value: Cbor) -> Held {
    match value {
        Cbor::Integer(number) => Held::Number(i128::from(number) as f64),
        Cbor::Float(number) => Held::Number(number),
        Cbor::Text(text) => Held::Text(text),
        Cbor::Bool(flag) => Held::Flag(flag),
        _ => Held::Other,
    }
}

/// The base fields that hold from a record on (RFC 8428 4.1).
#[derive(Debug, Default)]
struct Base {
    name: String,
    seconds: f64,
    unit: Option<String>,
    value: f64,
    sum: f64,
}

impl Base {
    fn resolve(&mut self, fields: &Fields) -> Result<Option<Record>, Undecodable> {
        if let Some(name) = fields.keys().find(|name| name.ends_with('_')) {
            let detail = format!("the field `{name}` must be understood (RFC 8428 4.4)");
            return Err(refused("unsupported_field", detail));
        }
        if number(fields, "bver")?.is_some_and(|version| version > VERSION) {
            return Err(refused("unsupported_version", "`bver` is above 10"));
        }
        if let Some(name) = text(fields, "bn")? {
            self.name = name;
        }
        if let Some(unit) = text(fields, "bu")? {
            self.unit = Some(unit);
        }
        self.seconds = number(fields, "bt")?.unwrap_or(self.seconds);
        self.value = number(fields, "bv")?.unwrap_or(self.value);
        self.sum = number(fields, "bs")?.unwrap_or(self.sum);
        let values = ["v", "vs", "vb", "vd"];
        let mut values = values.iter().filter_map(|label| fields.get(*label));
        let sum = number(fields, "s")?.map(|sum| sum + self.sum);
        let value = match (values.next(), values.next()) {
            (Some(_), Some(_)) => {
                return Err(refused("several_values", "a record has one value"));
            }
            (Some(Held::Number(number)), None) => Some(Held::Number(number + self.value)),
            (value, _) => value.cloned(),
        };
        let only_base = fields.keys().all(|name| name.starts_with('b'));
        if value.is_none() && sum.is_none() {
            if only_base && !fields.is_empty() {
                return Ok(None);
            }
            return Err(refused(
                "record_without_value",
                "a record has neither value nor sum",
            ));
        }
        let seconds = self.seconds + number(fields, "t")?.unwrap_or(0.0);
        let name = format!("{}{}", self.name, text(fields, "n")?.unwrap_or_default());
        if !name.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            let detail = "a name starts with a letter or a digit (RFC 8428 4.5.1)";
            return Err(refused("bad_name", detail));
        }
        Ok(Some(Record {
            name,
            unit: text(fields, "u")?.or_else(|| self.unit.clone()),
            seconds,
            is_relative: seconds < RELATIVE_BELOW_S,
            value,
            sum,
        }))
    }
}

fn number(fields: &Fields, label: &str) -> Result<Option<f64>, Undecodable> {
    match fields.get(label) {
        None => Ok(None),
        Some(Held::Number(number)) => Ok(Some(*number)),
        Some(_) => Err(refused("wrong_shape", format!("`{label}` is no number"))),
    }
}

fn text(fields: &Fields, label: &str) -> Result<Option<String>, Undecodable> {
    match fields.get(label) {
        None => Ok(None),
        Some(Held::Text(text)) => Ok(Some(text.clone())),
        Some(_) => Err(refused("wrong_shape", format!("`{label}` is no text"))),
    }
}

#[cfg(test)]
mod tests;
