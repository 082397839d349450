//! Reads and writes `silence` rules.

use crate::kind::silence::{Patience, Spec};
use crate::spec::RuleError;
use crate::spec::fields::Fields;
use model::Severity;
use serde_json::{Map, Value, json};

/// A factor of the cadence beyond this is a mistake.
const FACTOR_MAX: f64 = 1000.0;

pub(super) fn read(fields: &mut Fields<'_>) -> Result<Spec, RuleError> {
    let severity = fields.severity()?.unwrap_or(Severity::Warning);
    let patience = match (fields.number("factor")?, fields.seconds("after_s")?) {
        (Some(_), Some(_)) => {
            let reason = "give either `factor` or `after_s`, not both".to_owned();
            return Err(fields.wrong("after_s", reason));
        }
        (None, None) => {
            let reason = "is missing, and so is `after_s`".to_owned();
            return Err(fields.wrong("factor", reason));
        }
        (Some(factor), None) if factor > 0.0 && factor <= FACTOR_MAX => {
            match fields
                .seconds("cadence_s")?
                .filter(|cadence_s| *cadence_s > 0)
            {
                Some(cadence_s) => Patience::FactorOr { factor, cadence_s },
                None => Patience::Factor(factor),
            }
        }
        (Some(factor), None) => {
            let reason = format!("must be above 0 and at most {FACTOR_MAX}, not {factor}");
            return Err(fields.wrong("factor", reason));
        }
        (None, Some(0)) => {
            return Err(fields.wrong("after_s", "must be at least 1".to_owned()));
        }
        (None, Some(after_s)) => Patience::AfterS(after_s),
    };
    Ok(Spec { severity, patience })
}

pub(super) fn write_json(spec: &Spec, fields: &mut Map<String, Value>) {
    fields.insert("severity".to_owned(), json!(spec.severity));
    if let Patience::FactorOr { cadence_s, .. } = spec.patience {
        fields.insert("cadence_s".to_owned(), json!(cadence_s));
    }
    let (key, value) = match spec.patience {
        Patience::Factor(factor) | Patience::FactorOr { factor, .. } => ("factor", json!(factor)),
        Patience::AfterS(after_s) => ("after_s", json!(after_s)),
    };
    fields.insert(key.to_owned(), value);
}
