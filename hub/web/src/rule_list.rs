//! The rules in force and what waits to be, as the API shows them: lists that the writer keeps.

use crate::proposal::Proposal;
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
    /// What was proposed last, for rules whose changes a second person approves.
    proposals: Arc<RwLock<BTreeMap<String, Proposal>>>,
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

    /// Shows what is proposed for a rule, or that nothing is.
    pub fn propose(&self, id: &str, proposal: Option<Proposal>) {
        let mut proposals = self
            .proposals
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        match proposal {
            Some(proposal) => proposals.insert(id.to_owned(), proposal),
            None => proposals.remove(id),
        };
    }

    /// Gives what was proposed for a rule last, whether it waits or was turned away.
    pub fn proposal(&self, id: &str) -> Option<Proposal> {
        self.proposals
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    /// Lists what waits for a second person.
    pub fn pending(&self) -> Vec<Proposal> {
        let proposals = self
            .proposals
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        proposals
            .values()
            .filter(|of| of.waits())
            .cloned()
            .collect()
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
