//! A rule as people write it, in TOML files and as JSON.

mod fields;
mod kinds;
mod limits;
mod node;
mod read;
mod schedule;
mod targets;

pub use read::{Beside, parse_json, parse_toml, parse_toml_beside};

use crate::{Condition, Schedule};
use model::{Catalogue, DeviceId, MetricShape, Severity};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// Which devices a rule watches by what they are; an empty selection means every device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Select {
    pub kind: Option<String>,
    pub site: Option<String>,
    pub tags: BTreeMap<String, String>,
}

/// Which devices a rule watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Targets {
    Select(Select),
    Devices(Vec<DeviceId>),
}

/// One rule. Its public form is that of [`parse_toml`], [`parse_json`] and [`RuleSpec::to_json`];
/// the serde form is the engine's own, for its checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleSpec {
    pub title: String,
    pub targets: Targets,
    pub condition: Condition,
    /// Event category code (事件类别) of the city's table.
    pub category: Option<String>,
    pub enabled: bool,
    /// Runs and shows, but announces nothing.
    pub shadow: bool,
    /// When the rule counts.
    pub schedule: Schedule,
    /// Where the limit comes from: standard and clause, or document.
    pub source: Option<String>,
    /// How far the source can be relied on, in the words or marks of whoever wrote the rule.
    pub certainty: Option<String>,
    /// What to do about an alarm of it (预案), step by step, for whoever answers.
    pub advice: Option<String>,
    /// An alarm that has cleared stays until somebody resets it.
    pub latch: bool,
    pub uncertain: Uncertain,
}

/// What a rule does with readings of uncertain quality; bad ones are never used.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Uncertain {
    #[default]
    Use,
    Ignore,
}

/// A rule that cannot be used: what is wrong, where, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleError {
    pub file: Option<String>,
    pub line: Option<usize>,
    pub rule: Option<String>,
    /// Such as `deadband` or `levels[1].above`.
    pub key: Option<String>,
    pub reason: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}")?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        if let Some(rule) = &self.rule {
            write!(f, "rule `{rule}`: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "key `{key}`: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for RuleError {}

/// Longest code of a category.
const CODE_BYTES_MAX: usize = 32;

/// Tells whether a text can be the code of a category; which codes there are, the city's tables say.
fn is_code(text: &str) -> bool {
    let fits = (1..=CODE_BYTES_MAX).contains(&text.len());
    fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl RuleSpec {
    /// Writes the rule in the form that [`parse_json`] reads.
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("title".to_owned(), json!(self.title));
        fields.insert("kind".to_owned(), json!(self.condition.kind()));
        targets::write_json(&self.targets, &mut fields);
        kinds::write_json(&self.condition, &mut fields);
        if let Some(category) = &self.category {
            fields.insert("category".to_owned(), json!(category));
        }
        if !self.schedule.is_always() {
            fields.insert("schedule".to_owned(), self.schedule.to_json());
        }
        for (key, text) in [
            ("source", &self.source),
            ("certainty", &self.certainty),
            ("advice", &self.advice),
        ] {
            if let Some(text) = text {
                fields.insert(key.to_owned(), json!(text));
            }
        }
        fields.insert("enabled".to_owned(), json!(self.enabled));
        fields.insert("shadow".to_owned(), json!(self.shadow));
        if self.latch {
            fields.insert("latch".to_owned(), json!(true));
        }
        if self.uncertain == Uncertain::Ignore {
            fields.insert("uncertain".to_owned(), json!("ignore"));
        }
        Value::Object(fields)
    }

    /// Checks what only the catalogue can tell: whether the metric and the kind of device exist.
    pub fn validate(&self, catalogue: &Catalogue) -> Result<(), RuleError> {
        let wrong = |key: &str, reason: String| {
            Err(RuleError {
                key: Some(key.to_owned()),
                reason,
                ..RuleError::default()
            })
        };
        if let Some(code) = self.category.as_ref().filter(|code| !is_code(code)) {
            let reason = format!("`{code}` is no code: 1 to {CODE_BYTES_MAX} letters or digits");
            return wrong("category", reason);
        }
        if let Targets::Select(Select {
            kind: Some(kind), ..
        }) = &self.targets
            && !catalogue.has_kind(kind)
        {
            return wrong("select.kind", format!("there is no device kind `{kind}`"));
        }
        let Some(metric) = self.metric() else {
            return Ok(());
        };
        let def = catalogue.find(metric).and_then(|key| catalogue.def(key));
        let is_of_places = matches!(self.condition, Condition::Geofence(_));
        match def.map(|def| def.shape) {
            None => wrong("metric", format!("there is no metric `{metric}`")),
            Some(MetricShape::Position) if !is_of_places => {
                wrong("metric", format!("`{metric}` is a place, not a number"))
            }
            Some(MetricShape::Number) if is_of_places => {
                wrong("metric", format!("`{metric}` is a number, not a place"))
            }
            Some(MetricShape::Position | MetricShape::Number) => Ok(()),
        }?;
        let unit = def.map_or("", |def| def.unit.as_str());
        match &self.condition {
            Condition::Window(spec) if spec.is_of_levels() && !unit.starts_with("dB") => {
                let reason = format!(
                    "`leq` is the energy mean of levels in dB, but `{metric}` is in {unit}"
                );
                wrong("aggregate", reason)
            }
            _ => Ok(()),
        }
    }

    /// Checks what only the other rules can tell: whether the members of a composite exist, and
    /// are none themselves. `find` looks a rule up by its id.
    pub fn validate_members<'a>(
        &self,
        find: impl Fn(&str) -> Option<&'a Self>,
    ) -> Result<(), RuleError> {
        for (place, id) in self.members().iter().enumerate() {
            let reason = match find(id) {
                None => format!("there is no rule `{id}`"),
                Some(member) if !member.members().is_empty() => {
                    format!("`{id}` is an `{}` rule itself", member.condition.kind())
                }
                Some(_) => continue,
            };
            return Err(RuleError {
                key: Some(format!("of[{place}]")),
                reason,
                ..RuleError::default()
            });
        }
        Ok(())
    }

    /// Gives the ids of the rules whose alarms an `any` or `all` rule takes; none for any other.
    pub fn members(&self) -> &[String] {
        match &self.condition {
            Condition::Composite(spec) => &spec.of,
            _ => &[],
        }
    }

    /// Gives the name of the metric, for a rule that watches one.
    pub fn metric(&self) -> Option<&str> {
        self.condition.metric()
    }

    /// Gives the unit of the alarm's value and limit.
    pub fn unit<'a>(&self, catalogue: &'a Catalogue) -> Option<&'a str> {
        match &self.condition {
            Condition::Silence(_) | Condition::Frozen(_) | Condition::Clock(_) => Some("s"),
            Condition::Geofence(_) => Some("m"),
            Condition::Rate(spec) if spec.is_percent => Some("%"),
            // It counts readings, whatever they measure.
            Condition::Window(spec) if spec.counts() => None,
            Condition::Threshold(_)
            | Condition::Window(_)
            | Condition::Rate(_)
            | Condition::Occupancy(_) => {
                let def = catalogue.def(catalogue.find(self.metric()?)?)?;
                Some(&def.unit)
            }
            Condition::Composite(_) => None,
        }
    }

    /// Gives the worst severity that the rule can raise.
    pub fn severity(&self) -> Severity {
        self.condition.severity()
    }
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
