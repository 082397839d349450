//! Texts that stand for numbers: cut at characters, looked up in a table.

use crate::mapped::{Wrong, number, scaled};
use crate::profile::{Rule, ValueRule};
use model::Value;
use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How a text becomes a number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    /// Where it is cut, and which part counts.
    cut: Option<(Vec<char>, usize)>,
    stand_for: BTreeMap<String, f64>,
    otherwise: Option<f64>,
}

impl Words {
    /// Reads what a profile says of words; none where it says nothing.
    pub(crate) fn of(rule: &ValueRule) -> Result<Option<Self>, String> {
        let cut = match rule.split.as_deref() {
            Some("") => return Err("split names no character".to_owned()),
            Some(at) => Some((at.chars().collect(), rule.part)),
            None if rule.part > 0 => return Err("part needs `split`".to_owned()),
            None => None,
        };
        let mut meant = rule.words.values().chain(&rule.otherwise);
        if !meant.all(|number| number.is_finite()) {
            return Err("words and otherwise must be numbers".to_owned());
        }
        let is_used = cut.is_some() || !rule.words.is_empty() || rule.otherwise.is_some();
        Ok(is_used.then(|| Self {
            cut,
            stand_for: rule.words.clone(),
            otherwise: rule.otherwise,
        }))
    }

    /// Reads what a word stands for, else the number that it is.
    pub(crate) fn read(&self, rule: &Rule, found: &Json) -> Result<Value, Wrong> {
        let text = match found {
            Json::String(text) => Cow::Borrowed(text.as_str()),
            Json::Number(_) | Json::Bool(_) => Cow::Owned(found.to_string()),
            Json::Null | Json::Array(_) | Json::Object(_) => {
                return number(found, false).and_then(|raw| scaled(rule, raw));
            }
        };
        let part = match &self.cut {
            Some((at, part)) => text.split(at.as_slice()).nth(*part),
            None => Some(text.as_ref()),
        };
        let Some(part) = part.map(str::trim) else {
            return Err(("no_value", format!("`{text}` has fewer parts")));
        };
        let meant = self.stand_for.get(part).copied().or(self.otherwise);
        if let Some(meant) = meant.and_then(Value::number) {
            return Ok(meant);
        }
        let raw = number(&Json::from(part), rule.is_flag);
        raw.and_then(|raw| scaled(rule, raw))
    }
}

#[cfg(test)]
mod tests;
