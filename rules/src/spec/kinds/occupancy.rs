//! Reads and writes `occupancy` rules.

use crate::kind::occupancy::Spec;
use crate::spec::RuleError;
use crate::spec::fields::Fields;
use crate::spec::limits::{self, Keys};
use serde_json::{Map, Value, json};

/// What a fence counts.
const METRIC: &str = "parked_count";

const KEYS: Keys = Keys::Amount("capacity_ratio");

pub(super) fn read(fields: &mut Fields<'_>) -> Result<Spec, RuleError> {
    let metric = fields.text("metric")?.unwrap_or_else(|| METRIC.to_owned());
    let capacity = fields.number("capacity")?;
    if let Some(capacity) = capacity.filter(|capacity| *capacity < 0.0) {
        return Err(fields.wrong("capacity", format!("must not be negative: {capacity}")));
    }
    Ok(Spec {
        metric,
        capacity,
        limits: limits::read(fields, KEYS, Some(1.0))?,
    })
}

pub(super) fn write_json(spec: &Spec, fields: &mut Map<String, Value>) {
    fields.insert("metric".to_owned(), json!(spec.metric));
    if let Some(capacity) = spec.capacity {
        fields.insert("capacity".to_owned(), json!(capacity));
    }
    limits::write_json(&spec.limits, KEYS, fields);
}
