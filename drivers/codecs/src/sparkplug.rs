//! Sparkplug B payloads: protobuf in; metrics are named by themselves, or by the alias of a birth.

mod wire;

use crate::position::{Axis, Halves};
use crate::profile::{Plan, Rule, Take};
use crate::{Decoded, Undecodable, json, mapped};
use model::{Catalogue, Cause, MetricShape, Quality, Timestamp};
use prost::Message;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::Arc;
use wire::{Metric, Scalar, datatype};

/// What asks a node to announce everything again (Sparkplug 3.0, 5.11).
const REBIRTH: &str = "Node Control/Rebirth";

/// Numbers the lives of a node, so that its death tells which one ended.
const LIFE: &str = "bdSeq";

/// Names that are of the node itself and measure nothing (Sparkplug 3.0, 6.4.10 and 6.4.12).
const OWN: [&str; 5] = [
    "Node Control/",
    "Device Control/",
    "Node Info/",
    "Device Info/",
    "Properties/",
];

/// A message whose protobuf was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload(wire::Payload);

/// What a birth said of one metric.
#[derive(Debug)]
struct Known {
    name: String,
    datatype: Option<u32>,
    unit: Option<String>,
}

/// The metrics that the last birth of a node or a device announced.
#[derive(Clone, Debug, Default)]
pub struct Birth {
    by_alias: HashMap<u64, Arc<Known>>,
    by_name: HashMap<String, Arc<Known>>,
}

impl Payload {
    pub fn read(bytes: &[u8]) -> Result<Self, Undecodable> {
        if bytes.is_empty() {
            return Err(json::undecodable(
                "empty_payload",
                "there is no byte".to_owned(),
            ));
        }
        let read = wire::Payload::decode(bytes).map(Self);
        read.map_err(|error| json::undecodable("invalid_protobuf", error.to_string()))
    }

    /// The number of the message within the life of its node.
    pub fn seq(&self) -> Option<u64> {
        self.0.seq
    }

    /// The life of the node that this message begins or ends.
    pub fn life(&self) -> Option<u64> {
        let named = |metric: &&Metric| metric.name.as_deref() == Some(LIFE.as_bytes());
        match self.0.metrics.iter().find(named)?.value {
            Some(Scalar::Int(life)) => Some(u64::from(life)),
            Some(Scalar::Long(life)) => Some(life),
            _ => None,
        }
    }

    /// Tells whether this asks a node for its births.
    pub fn asks_for_rebirth(&self) -> bool {
        self.0.metrics.iter().any(|metric| {
            metric.name.as_deref() == Some(REBIRTH.as_bytes())
                && metric.value == Some(Scalar::Boolean(true))
        })
    }

    pub fn metrics(&self) -> usize {
        self.0.metrics.len()
    }
}

/// Writes the command that asks a node for its births.
pub fn rebirth(now: Timestamp) -> Vec<u8> {
    let at = u64::try_from(now.millis()).ok();
    let metric = Metric {
        name: Some(REBIRTH.as_bytes().to_vec()),
        timestamp: at,
        datatype: Some(datatype::BOOLEAN),
        value: Some(Scalar::Boolean(true)),
        ..Metric::default()
    };
    let command = wire::Payload {
        timestamp: at,
        metrics: vec![metric],
        seq: None,
    };
    command.encode_to_vec()
}

/// Writes what the host application says of itself, retained, to `spBv1.0/STATE/{host}`.
pub fn host_state(online: bool, since: Timestamp) -> String {
    let since = since.millis();
    format!(r#"{{"online":{online},"timestamp":{since}}}"#)
}

impl Birth {
    /// Remembers what a birth announces.
    pub fn of(message: &Payload) -> Self {
        let mut birth = Self::default();
        for metric in &message.0.metrics {
            let Some(name) = metric.called() else {
                continue;
            };
            let known = Arc::new(Known {
                name: name.clone(),
                datatype: metric.kind(),
                unit: metric.unit(),
            });
            if let Some(alias) = metric.alias {
                birth.by_alias.insert(alias, Arc::clone(&known));
            }
            birth.by_name.insert(name, known);
        }
        birth
    }

    /// How many metrics it announced.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    fn find(&self, metric: &Metric) -> Option<&Arc<Known>> {
        match (metric.called(), metric.alias) {
            (Some(name), _) => self.by_name.get(&name),
            (None, Some(alias)) => self.by_alias.get(&alias),
            (None, None) => None,
        }
    }
}

/// A metric of a message with what is known of it.
#[derive(Debug)]
struct Named<'a> {
    name: String,
    unit: Option<String>,
    datatype: Option<u32>,
    at: Option<Timestamp>,
    metric: &'a Metric,
}

type Wrong = (&'static str, String);

/// Takes the metrics of a message; false if one has no name and the birth gave none.
pub(crate) fn take(
    catalogue: &Catalogue,
    plan: &Plan,
    message: &Payload,
    birth: Option<&Birth>,
    out: &mut Decoded,
) -> bool {
    let mut all_known = true;
    let mut named = Vec::new();
    for metric in &message.0.metrics {
        let known = birth.and_then(|birth| birth.find(metric));
        let name = metric
            .called()
            .or_else(|| known.map(|known| known.name.clone()));
        let Some(name) = name else {
            all_known = false;
            reject_unknown(metric, out);
            continue;
        };
        named.push(Named {
            name,
            unit: metric
                .unit()
                .or_else(|| known.and_then(|known| known.unit.clone())),
            datatype: metric
                .kind()
                .or_else(|| known.and_then(|known| known.datatype)),
            at: instant(metric.timestamp).or_else(|| instant(message.0.timestamp)),
            metric,
        });
    }
    let mut halves = Halves::default();
    for metric in named.iter().filter(|metric| is_measured(&metric.name)) {
        if plan.rules.is_empty() {
            take_plain(catalogue, metric, out);
        } else {
            take_by_rules(catalogue, plan, metric, &mut halves, out);
        }
    }
    halves.finish(out);
    all_known
}

fn instant(millis: Option<u64>) -> Option<Timestamp> {
    let millis = i64::try_from(millis?).ok()?;
    // Clocks that were never set send zero.
    (millis > 0).then(|| Timestamp::from_millis(millis))
}

fn is_measured(name: &str) -> bool {
    name != LIFE && !OWN.iter().any(|own| name.starts_with(own))
}

fn reject_unknown(metric: &Metric, out: &mut Decoded) {
    match metric.alias {
        Some(alias) => out.reject(None, "unknown_alias_request_rebirth", || {
            format!("no birth told what the alias {alias} is")
        }),
        None => out.reject(None, "no_name", || {
            "the metric has neither name nor alias".to_owned()
        }),
    }
}

/// Takes a metric that is called as one of ours.
fn take_plain(catalogue: &Catalogue, metric: &Named<'_>, out: &mut Decoded) {
    let found = catalogue.find(&metric.name);
    match found.and_then(|key| Some((key, catalogue.def(key)?))) {
        Some((key, def)) if def.shape == MetricShape::Number => {
            take_one(catalogue, &Rule::plain(key, def), metric, out);
        }
        _ if metric.is_structure() => {
            let detail = || "data sets, templates and arrays are not taken apart".to_owned();
            out.reject(Some(&metric.name), "unsupported_datatype", detail);
        }
        // Texts and bytes are labels, not values of a metric that we lack.
        _ if metric.is_number() => {
            let detail = || "the metric catalogue has no such metric".to_owned();
            out.reject(Some(&metric.name), "unknown_metric", detail);
        }
        _ => {}
    }
}

/// Takes a metric that the profile names, as often as it does.
fn take_by_rules<'a>(
    catalogue: &Catalogue,
    plan: &'a Plan,
    metric: &Named<'_>,
    halves: &mut Halves<'a>,
    out: &mut Decoded,
) {
    for rule in &plan.rules {
        match &rule.take {
            Take::Named { name, unit, .. } if *name == metric.name => match unit {
                Some(unit) if metric.unit.as_ref() != Some(unit) => {
                    out.reject(Some(&rule.name), "wrong_unit", || {
                        let found = metric.unit.as_deref().unwrap_or("none");
                        format!("the profile has {unit}, the node {found}")
                    });
                }
                _ => take_one(catalogue, rule, metric, out),
            },
            Take::Halves { lon, lat } => {
                let axis = if *lon == metric.name {
                    Axis::Lon
                } else if *lat == metric.name {
                    Axis::Lat
                } else {
                    continue;
                };
                take_half(catalogue, (rule, axis), metric, halves, out);
            }
            _ => {}
        }
    }
}

fn take_one(catalogue: &Catalogue, rule: &Rule, metric: &Named<'_>, out: &mut Decoded) {
    match metric
        .number(rule.is_flag)
        .and_then(|raw| mapped::scaled(rule, raw))
    {
        Ok(value) => {
            mapped::put(catalogue, rule, value, metric.at, out);
            metric.mark(out);
        }
        Err((reason, detail)) => out.reject(Some(&rule.name), reason, || detail),
    }
}

fn take_half<'a>(
    catalogue: &Catalogue,
    (rule, axis): (&'a Rule, Axis),
    metric: &Named<'_>,
    halves: &mut Halves<'a>,
    out: &mut Decoded,
) {
    let scaled = metric
        .number(false)
        .and_then(|raw| mapped::scaled(rule, raw));
    match scaled.map(|value| value.as_number().unwrap_or_default()) {
        Ok(degrees) => {
            if halves.take((catalogue, rule), ("", metric.at), (axis, degrees), out) {
                metric.mark(out);
            }
        }
        Err((reason, detail)) => out.reject(Some(&rule.name), reason, || detail),
    }
}

impl Named<'_> {
    /// Puts the node's own judgement to the value that was just taken.
    fn mark(&self, out: &mut Decoded) {
        let (Some(said), Some(last)) = (self.metric.quality(), out.observations.last_mut()) else {
            return;
        };
        last.quality = last.quality.worst(quality_of(said));
    }

    fn is_structure(&self) -> bool {
        self.datatype.is_some_and(datatype::is_structure)
    }

    fn is_number(&self) -> bool {
        let is_text = matches!(self.metric.value, Some(Scalar::Text(_)) | None);
        !is_text && !self.datatype.is_some_and(datatype::is_text)
    }

    fn number(&self, is_flag: bool) -> Result<f64, Wrong> {
        let wrong = |what: &str| Err(("wrong_type", format!("expected a number, found {what}")));
        if self.metric.is_null == Some(true) {
            return Err(("no_value", "the metric is null".to_owned()));
        }
        if self.is_structure() {
            let datatype = self.datatype.unwrap_or_default();
            return Err((
                "unsupported_datatype",
                format!("the datatype is {datatype}"),
            ));
        }
        match &self.metric.value {
            None => Err(("no_value", "the metric has no value".to_owned())),
            Some(Scalar::Int(number)) => whole(self.datatype, u64::from(*number), true, is_flag),
            Some(Scalar::Long(number)) => whole(self.datatype, *number, false, is_flag),
            Some(Scalar::Float(number)) => shortest(*number),
            Some(Scalar::Double(number)) => Ok(*number),
            Some(Scalar::Boolean(flag)) if is_flag => Ok(f64::from(u8::from(*flag))),
            Some(Scalar::Boolean(_)) => wrong("a boolean"),
            Some(Scalar::Text(text)) => {
                let text = String::from_utf8_lossy(text);
                mapped::number(&Json::from(text.as_ref()), false)
            }
        }
    }
}

/// Widens a float to the number that its shortest decimal form says: 21.3 stays 21.3.
fn shortest(number: f32) -> Result<f64, Wrong> {
    let widened = number.to_string().parse::<f64>();
    widened.map_err(|_| ("not_finite", format!("found {number}")))
}

/// Reads a whole number, which travels without a sign: negative ones as their two's complement.
#[expect(
    clippy::cast_precision_loss,
    reason = "beyond 2^53 no sensor counts by ones"
)]
fn whole(datatype: Option<u32>, number: u64, is_int: bool, is_flag: bool) -> Result<f64, Wrong> {
    let [a, b, c, d, ..] = number.to_le_bytes();
    Ok(match datatype {
        Some(datatype::INT8) => f64::from(i8::from_le_bytes([a])),
        Some(datatype::INT16) => f64::from(i16::from_le_bytes([a, b])),
        Some(datatype::INT32) => f64::from(i32::from_le_bytes([a, b, c, d])),
        Some(datatype::INT64) if is_int => f64::from(i32::from_le_bytes([a, b, c, d])),
        Some(datatype::INT64) => i64::from_le_bytes(number.to_le_bytes()) as f64,
        // Some write a flag as a number.
        Some(datatype::BOOLEAN) if is_flag => f64::from(u8::from(number != 0)),
        Some(datatype) if datatype::is_whole(datatype) => number as f64,
        // Without a datatype the sign is not known where there could be one.
        None if number <= u64::from(i32::MAX.unsigned_abs()) => number as f64,
        None => {
            let detail = "no birth told the datatype of the number".to_owned();
            return Err(("unknown_datatype", detail));
        }
        Some(datatype) => {
            let detail = format!("a whole number of datatype {datatype}");
            return Err(("wrong_type", detail));
        }
    })
}

/// Reads the property `Quality` (Sparkplug 3.0, 6.4.8): 192 is good, 0 bad, 500 stale; nodes that pass
/// on what an OPC server says use its 64 to 127 for uncertain, and 192 to 255 for good.
fn quality_of(code: u32) -> Quality {
    match code {
        192..=255 => Quality::GOOD,
        64..=127 => Quality::uncertain(Cause::Flag),
        _ => Quality::bad(Cause::Flag),
    }
}

#[cfg(test)]
mod tests;
