//! Carries out the rules of the configuration, many at once.

use super::carry_out::Answer;
use super::{Staged, Writer};
use model::Timestamp;
use sdk::{Actor, CommandError, Done};
use serde_json::{Value, json};
use std::collections::BTreeSet;
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
        let (mut changed, mut removed) = (0, 0);
        for (id, spec) in put {
            let before = self.engine.rule(id).map(|rule| rule.revision);
            self.put_rule(group, staged, now, (actor, id, spec))?;
            let after = self.engine.rule(id).map(|rule| rule.revision);
            changed += usize::from(before != after);
            group.cursor(&file_mark(id), 1);
        }
        for id in delete {
            group.cursor(&file_mark(id), 0);
            // Whoever deleted it meanwhile has done what was wanted.
            if self.engine.rule(id).is_some() {
                self.delete_rule(group, staged, now, (actor, id))?;
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
            let invalid = |error: rules::RuleError| CommandError::Invalid(error.to_string());
            let spec = rules::parse_json(id, spec).map_err(invalid)?;
            spec.validate(&self.catalogue).map_err(invalid)?;
            if !ids.insert(id) {
                return Err(CommandError::Invalid(format!("rule `{id}` is put twice")));
            }
        }
        Ok(())
    }
}
