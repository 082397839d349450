//! Reads and writes `threshold` rules.

use crate::kind::threshold::Spec;
use crate::spec::RuleError;
use crate::spec::fields::Fields;
use crate::spec::limits::{self, Keys};
use serde_json::{Map, Value, json};

pub(super) fn read(fields: &mut Fields<'_>) -> Result<Spec, RuleError> {
    Ok(Spec {
        metric: fields.needed("metric")?,
        limits: limits::read(fields, Keys::Sides, None)?,
    })
}

pub(super) fn write_json(spec: &Spec, fields: &mut Map<String, Value>) {
    fields.insert("metric".to_owned(), json!(spec.metric));
    limits::write_json(&spec.limits, Keys::Sides, fields);
}
