//! Reads and writes `clock` rules.

use crate::kind::clock::Spec;
use crate::spec::RuleError;
use crate::spec::fields::Fields;
use model::Severity;
use serde_json::{Map, Value, json};

/// The lateness that a hub has unless its configuration says otherwise.
const SKEW_S: u32 = 120;

/// One message alone may have had an accident.
const CONFIRM: u32 = 3;

/// More messages than this would leave a wrong clock unnoticed for days.
const CONFIRM_MAX: u32 = 1000;

pub(super) fn read(fields: &mut Fields<'_>) -> Result<Spec, RuleError> {
    let severity = fields.severity()?.unwrap_or(Severity::Warning);
    let skew_s = fields.seconds("skew_s")?.unwrap_or(SKEW_S);
    if skew_s == 0 {
        return Err(fields.wrong("skew_s", "must be at least 1".to_owned()));
    }
    let confirm = fields.count("confirm")?.unwrap_or(CONFIRM);
    if confirm == 0 || confirm > CONFIRM_MAX {
        let reason = format!("must be from 1 to {CONFIRM_MAX}, not {confirm}");
        return Err(fields.wrong("confirm", reason));
    }
    Ok(Spec {
        severity,
        skew_s,
        confirm,
    })
}

pub(super) fn write_json(spec: &Spec, fields: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("severity", json!(spec.severity));
    put("skew_s", json!(spec.skew_s));
    put("confirm", json!(spec.confirm));
}
