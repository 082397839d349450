//! Carries out the rules of the configuration, many at once.

use super::carry_out::{Answer, Put, refuse_own};
use super::{Staged, Writer};
use model::Timestamp;
use rules::{RuleError, RuleSpec};
use sdk::{Actor, CommandError, Done};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use store::Group;

/// Names the mark by which a rule is known to have come from the configuration.
pub(crate) fn file_mark(id: &str) -> String {
    format!("rule-file:{id}")
}

impl Writer {
    /// Puts and deletes rules, all of them or none, and marks where they came from.
    pub(super) fn change_rules(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, put, delete): (&Actor, &[(String, Value)], &[String]),
    ) -> Answer {
        self.check_rules(put)?;
        self.check_members(put, delete)?;
        let (mut changed, mut removed) = (0, 0);
        for (id, spec) in put {
            let before = self.engine.rule(id).map(|rule| rule.revision);
            self.put_rule(group, staged, now, (actor, Put::new(id, spec)))?;
            let after = self.engine.rule(id).map(|rule| rule.revision);
            changed += usize::from(before != after);
            group.cursor(&file_mark(id), 1);
        }
        for id in delete {
            group.cursor(&file_mark(id), 0);
            // Whoever deleted it meanwhile has done what was wanted.
            if self.engine.rule(id).is_some() {
                self.delete_rule(group, staged, now, (actor, id, None))?;
                removed += 1;
            }
        }
        let unchanged = put.len() - changed;
        let body = json!({ "put": changed, "removed": removed, "unchanged": unchanged });
        Ok(Done { seq: 0, body })
    }

    /// Finds what would be refused before anything is changed.
    fn check_rules(&self, put: &[(String, Value)]) -> Result<(), CommandError> {
        let mut ids = BTreeSet::new();
        for (id, spec) in put {
            refuse_own(id)?;
            let invalid = |error: RuleError| CommandError::Invalid(error.to_string());
            let spec = rules::parse_json(id, spec).map_err(invalid)?;
            spec.validate(&self.catalogue).map_err(invalid)?;
            if !ids.insert(id) {
                return Err(CommandError::Invalid(format!("rule `{id}` is put twice")));
            }
        }
        Ok(())
    }

    /// Finds composites that would be left without a member.
    fn check_members(
        &self,
        put: &[(String, Value)],
        delete: &[String],
    ) -> Result<(), CommandError> {
        let invalid = |error: RuleError| CommandError::Invalid(error.to_string());
        let mut after: BTreeMap<String, RuleSpec> = BTreeMap::new();
        for (id, spec) in put {
            after.insert(id.clone(), rules::parse_json(id, spec).map_err(invalid)?);
        }
        let find = |id: &str| {
            let kept = || self.engine.rule(id).map(|rule| &rule.spec);
            let is_gone = delete.iter().any(|gone| gone == id);
            after.get(id).or_else(|| kept().filter(|_| !is_gone))
        };
        let kept = self.engine.rules().map(|rule| &rule.id);
        for id in kept.chain(after.keys()) {
            let Some(spec) = find(id) else { continue };
            spec.validate_members(find).map_err(|error| {
                CommandError::Conflict(
                    RuleError {
                        rule: Some(id.clone()),
                        ..error
                    }
                    .to_string(),
                )
            })?;
        }
        Ok(())
    }
}
