//! Reads and writes `geofence` rules.

use crate::kind::geofence::{Fences, Ground, Mode, Spec};
use crate::spec::fields::{Fields, wrong};
use crate::spec::node::{Form, Node};
use crate::spec::{RuleError, targets};
use model::Severity;
use model::geo::{Shape, Shapes};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Corners of all fences of a rule; a city's parking plan has some ten thousand.
pub(crate) const VERTICES_MAX: usize = 200_000;

/// A consumer receiver is off by so much between houses, whatever it says of itself; certainty: from
/// memory.
const BUFFER_M: f64 = 10.0;
/// One place alone may be a reflection.
const CONFIRM: u32 = 2;
const CONFIRM_MAX: u32 = 100;
/// No distance in a city, and no speed in it, is beyond this.
const METRES_MAX: f64 = 100_000.0;
const SPEED_MAX_MS: f64 = 1_000.0;

pub(super) fn read(fields: &mut Fields<'_>) -> Result<Spec, RuleError> {
    let mode = match fields.text("mode")?.as_deref() {
        None | Some("outside") => Mode::Outside,
        Some("inside") => Mode::Inside,
        Some(other) => {
            let reason = format!("`{other}` is neither `outside` nor `inside`");
            return Err(fields.wrong("mode", reason));
        }
    };
    let metric = fields.text("metric")?;
    let confirm = fields.count("confirm")?.unwrap_or(CONFIRM);
    if !(1..=CONFIRM_MAX).contains(&confirm) {
        let reason = format!("must be from 1 to {CONFIRM_MAX}, not {confirm}");
        return Err(fields.wrong("confirm", reason));
    }
    let max_speed_ms = fields.number("max_speed_ms")?;
    if let Some(speed) = max_speed_ms
        && !(speed > 0.0 && speed <= SPEED_MAX_MS)
    {
        let reason = format!("must be above 0 and at most {SPEED_MAX_MS}, not {speed}");
        return Err(fields.wrong("max_speed_ms", reason));
    }
    let node = fields
        .take("fences")
        .ok_or_else(|| fields.missing("fences"))?;
    Ok(Spec {
        metric: metric.unwrap_or_else(|| "position".to_owned()),
        severity: fields.severity()?.unwrap_or(Severity::Warning),
        mode,
        fences: read_fences(node)?,
        buffer_m: metres(fields, "buffer_m")?.unwrap_or(BUFFER_M),
        enter_buffer_m: metres(fields, "enter_buffer_m")?.unwrap_or(0.0),
        dwell_s: fields.seconds("dwell_s")?.unwrap_or(0),
        confirm,
        max_speed_ms,
        accuracy_max_m: metres(fields, "accuracy_max_m")?,
        locked: fields.yes("locked")?.unwrap_or(mode == Mode::Outside),
        ground: Ground::default(),
    })
}

fn metres(fields: &mut Fields<'_>, key: &str) -> Result<Option<f64>, RuleError> {
    let metres = fields.number(key)?;
    if let Some(metres) = metres
        && !(0.0..=METRES_MAX).contains(&metres)
    {
        let reason = format!("must be from 0 to {METRES_MAX}, not {metres}");
        return Err(fields.wrong(key, reason));
    }
    Ok(metres)
}

fn read_fences(node: &Node) -> Result<Fences, RuleError> {
    let is_geojson = match &node.form {
        Form::Table(fields) => fields.contains_key("type"),
        Form::Text(path) => {
            let reason = format!(
                "`{path}` would be a file, which only a rule file can name; put the GeoJSON here"
            );
            return Err(wrong(node, "fences", reason));
        }
        _ => false,
    };
    if is_geojson {
        return read_drawn(node, "fences").map(Fences::Drawn);
    }
    let mut fields = Fields::open(node, "fences")?;
    if !fields.has("select") && !fields.has("devices") {
        let reason = "is neither GeoJSON, nor are there `select` or `devices`".to_owned();
        return Err(wrong(node, "fences", reason));
    }
    let which = targets::read(&mut fields)?;
    let drawn = match fields.take("drawn") {
        Some(node) => read_drawn(node, "fences.drawn")?,
        None => Arc::default(),
    };
    fields.refuse_the_rest("fence devices are named by `select` or `devices`, and `drawn`")?;
    Ok(Fences::Devices { which, drawn })
}

/// Reads GeoJSON. Fences without a name are named by their number.
fn read_drawn(node: &Node, key: &str) -> Result<Arc<Shapes>, RuleError> {
    let features = model::geo::read(&node.to_json(), VERTICES_MAX)
        .map_err(|error| wrong(node, key, error.to_string()))?;
    if features.is_empty() {
        return Err(wrong(node, key, "has no features".to_owned()));
    }
    let named = features
        .into_iter()
        .zip(1..)
        .map(|(feature, number)| Shape {
            name: feature.name.unwrap_or_else(|| number.to_string()),
            form: feature.form,
        });
    let shapes = Shapes::new(named.collect());
    let mut names = BTreeSet::new();
    if let Some(double) = shapes.iter().find(|shape| !names.insert(&shape.name)) {
        let reason = format!("two features are named `{}`", double.name);
        return Err(wrong(node, key, reason));
    }
    Ok(Arc::new(shapes))
}

pub(super) fn write_json(spec: &Spec, fields: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    let mode = match spec.mode {
        Mode::Outside => "outside",
        Mode::Inside => "inside",
    };
    put("metric", json!(spec.metric));
    put("mode", json!(mode));
    put("severity", json!(spec.severity));
    put("buffer_m", json!(spec.buffer_m));
    put("enter_buffer_m", json!(spec.enter_buffer_m));
    put("dwell_s", json!(spec.dwell_s));
    put("confirm", json!(spec.confirm));
    put("locked", json!(spec.locked));
    if let Some(speed) = spec.max_speed_ms {
        put("max_speed_ms", json!(speed));
    }
    if let Some(accuracy_m) = spec.accuracy_max_m {
        put("accuracy_max_m", json!(accuracy_m));
    }
    let fences = match &spec.fences {
        Fences::Drawn(shapes) => collection(shapes),
        Fences::Devices { which, drawn } => {
            let mut fields = Map::new();
            targets::write_json(which, &mut fields);
            if !drawn.is_empty() {
                fields.insert("drawn".to_owned(), collection(drawn));
            }
            Value::Object(fields)
        }
    };
    put("fences", fences);
}

fn collection(shapes: &Shapes) -> Value {
    let features: Vec<Value> = shapes.iter().map(Shape::to_geojson).collect();
    json!({"type": "FeatureCollection", "features": features})
}

#[cfg(test)]
mod tests;
