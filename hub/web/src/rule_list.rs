//! The rules in force, as the API shows them: a list that the writer keeps.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// One rule as it was put.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleEntry {
    pub id: String,
    pub revision: u64,
    /// The rule's public form, as `rules::RuleSpec::to_json` writes it.
    pub spec: Value,
}

impl RuleEntry {
    /// Gives the form of `GET /api/v1/rules/{id}`: the rule with its id and revision.
    pub fn to_json(&self) -> Value {
        let mut row = Map::new();
        row.insert("id".to_owned(), self.id.as_str().into());
        row.insert("revision".to_owned(), self.revision.into());
        if let Value::Object(spec) = &self.spec {
            row.extend(spec.clone());
        }
        Value::Object(row)
    }
}

/// The shared list, changed by the writer after each commit.
#[derive(Clone, Debug, Default)]
pub struct RuleList {
    rules: Arc<RwLock<BTreeMap<String, RuleEntry>>>,
}

impl RuleList {
    pub fn put(&self, entry: RuleEntry) {
        self.rules
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(entry.id.clone(), entry);
    }

    pub fn remove(&self, id: &str) {
        self.rules
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
    }

    pub fn find(&self, id: &str) -> Option<RuleEntry> {
        self.rules
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    /// Lists every rule in the order of its id.
    pub fn all(&self) -> Vec<RuleEntry> {
        self.rules
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }
}
