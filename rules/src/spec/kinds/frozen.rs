//! Reads and writes `frozen` rules.

use crate::kind::frozen::Spec;
use crate::spec::RuleError;
use crate::spec::fields::Fields;
use model::Severity;
use serde_json::{Map, Value, json};

pub(super) fn read(fields: &mut Fields<'_>) -> Result<Spec, RuleError> {
    let metric = fields.needed("metric")?;
    let severity = fields.severity()?.unwrap_or(Severity::Warning);
    let after_s = fields
        .seconds("after_s")?
        .ok_or_else(|| fields.missing("after_s"))?;
    if after_s == 0 {
        return Err(fields.wrong("after_s", "must be at least 1".to_owned()));
    }
    let epsilon = fields.number("epsilon")?.unwrap_or(0.0);
    if epsilon < 0.0 {
        return Err(fields.wrong("epsilon", format!("must not be negative: {epsilon}")));
    }
    Ok(Spec {
        metric,
        severity,
        after_s,
        epsilon,
    })
}

pub(super) fn write_json(spec: &Spec, fields: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("metric", json!(spec.metric));
    put("severity", json!(spec.severity));
    put("after_s", json!(spec.after_s));
    put("epsilon", json!(spec.epsilon));
}
