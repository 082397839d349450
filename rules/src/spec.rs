//! A rule as people write it, in TOML files and as JSON.

use crate::Condition;
use model::{Catalogue, DeviceId, Severity};
use serde::{Deserialize, Serialize};
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
}

/// A rule that cannot be used: what is wrong, where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    pub file: Option<String>,
    pub line: Option<usize>,
    pub rule: Option<String>,
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

impl RuleSpec {
    /// Writes the rule in the form that [`parse_json`] reads.
    pub fn to_json(&self) -> serde_json::Value {
        todo!()
    }

    /// Checks what only the catalogue can tell, such as whether the metric exists.
    pub fn validate(&self, _catalogue: &Catalogue) -> Result<(), RuleError> {
        todo!()
    }

    /// Gives the name of the metric, for a rule that watches one.
    pub fn metric(&self) -> Option<&str> {
        match &self.condition {
            Condition::Threshold(spec) => Some(&spec.metric),
            Condition::Silence(_) => None,
        }
    }

    /// Gives the unit of the alarm's value and limit.
    pub fn unit<'a>(&self, _catalogue: &'a Catalogue) -> Option<&'a str> {
        todo!()
    }

    /// Gives the worst severity that the rule can raise.
    pub fn severity(&self) -> Severity {
        todo!()
    }
}

/// Reads every `[rules.NAME]` table of a file; an error names file, line and key.
pub fn parse_toml(_file_name: &str, _text: &str) -> Result<Vec<(String, RuleSpec)>, RuleError> {
    todo!()
}

/// Reads one rule as the API takes it.
pub fn parse_json(_id: &str, _spec: &serde_json::Value) -> Result<RuleSpec, RuleError> {
    todo!()
}
