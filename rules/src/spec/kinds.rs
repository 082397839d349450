//! Reads and writes what is the kind's own in a rule: one file for each kind.

mod silence;
mod threshold;

use super::RuleError;
use super::fields::Fields;
use crate::Condition;
use serde_json::{Map, Value};

/// Kinds of the contract that a later version brings.
const KINDS_TO_COME: [&str; 7] = [
    "window",
    "rate",
    "frozen",
    "geofence",
    "occupancy",
    "any",
    "all",
];

/// Reads the keys of a kind; the caller refuses those that are left.
pub(super) fn read(kind: &str, fields: &mut Fields<'_>) -> Result<Condition, RuleError> {
    match kind {
        "threshold" => threshold::read(fields).map(Condition::Threshold),
        "silence" => silence::read(fields).map(Condition::Silence),
        kind if KINDS_TO_COME.contains(&kind) => {
            let reason = format!("kind `{kind}` is not supported by this version");
            Err(fields.wrong("kind", reason))
        }
        kind => {
            let reason =
                format!("`{kind}` is no kind of rule; there are `threshold` and `silence`");
            Err(fields.wrong("kind", reason))
        }
    }
}

/// Writes the keys of a kind as [`read`] reads them.
pub(super) fn write_json(condition: &Condition, fields: &mut Map<String, Value>) {
    match condition {
        Condition::Threshold(spec) => threshold::write_json(spec, fields),
        Condition::Silence(spec) => silence::write_json(spec, fields),
    }
}
