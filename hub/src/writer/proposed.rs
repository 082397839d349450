//! Changes of rules that a person makes: those that a second one must approve are kept until then,
//! and the rule as it is goes on guarding.

use super::carry_out::{Answer, Put, gone, refuse_own};
use super::{Staged, Writer, health};
use model::Timestamp;
use rules::RuleSpec;
use sdk::{Action, Actor, CommandError, Done};
use serde_json::json;
use store::Group;
use web::{End, EndState, Proposal};

/// Whether somebody brings a proposal into force, and why.
struct Decision<'a> {
    id: &'a str,
    revision: u64,
    approve: bool,
    reason: Option<&'a str>,
}

impl Writer {
    pub(super) fn change_rule(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, action): (&Actor, &Action),
    ) -> Answer {
        match action {
            Action::PutRule { id, spec, reason } => {
                let put = Put {
                    reason: reason.as_deref(),
                    ..Put::new(id, spec)
                };
                self.edit_rule(group, staged, now, (actor, put))
            }
            Action::RollBackRule {
                id,
                to,
                spec,
                reason,
            } => {
                let put = Put {
                    rolled_back_to: Some(*to),
                    reason: reason.as_deref(),
                    ..Put::new(id, spec)
                };
                self.edit_rule(group, staged, now, (actor, put))
            }
            Action::DeleteRule { id, reason } => {
                self.edit_away(group, staged, now, (actor, id, reason.as_deref()))
            }
            Action::DecideRule {
                id,
                revision,
                approve,
                reason,
            } => {
                let decision = Decision {
                    id,
                    revision: *revision,
                    approve: *approve,
                    reason: reason.as_deref(),
                };
                self.decide_rule(group, staged, now, (actor, decision))
            }
            _ => Err(CommandError::Invalid(
                "this is no change of a rule".to_owned(),
            )),
        }
    }

    /// Puts a rule, now or when it is approved.
    fn edit_rule(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, put): (&Actor, Put<'_>),
    ) -> Answer {
        let spec = self.read_rule(&put)?;
        let known = self.engine.rule(put.id).map(|known| &known.spec);
        if known == Some(&spec) {
            // What runs is wanted, and nothing else any more.
            self.withdraw(group, staged, now, (actor, put.id));
            return self.put_rule(group, staged, now, (actor, put));
        }
        if !self.asks_approval([known, Some(&spec)]) {
            return self.put_rule(group, staged, now, (actor, put));
        }
        let proposal = Proposal {
            rule: Some(spec.to_json()),
            rolled_back_to: put.rolled_back_to,
            ..self.proposal_of(staged, now, (actor, put.id, put.reason))
        };
        let mut body = self.put_rule_body(put.id, proposal.revision, &spec);
        if let Some(body) = body.as_object_mut() {
            body.insert("state".to_owned(), "pending".into());
        }
        propose(group, staged, actor, proposal);
        Ok(Done { seq: 0, body })
    }

    /// Deletes a rule, now or when it is approved; one that only waits is withdrawn.
    fn edit_away(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, id, reason): (&Actor, &str, Option<&str>),
    ) -> Answer {
        let known = self.engine.rule(id).filter(|_| !health::is_own(id));
        let Some(known) = known else {
            if self.withdraw(group, staged, now, (actor, id)) {
                return Ok(gone());
            }
            return Err(no_rule(id));
        };
        if !self.asks_approval([Some(&known.spec), None]) {
            return self.delete_rule(group, staged, now, (actor, id, reason));
        }
        self.refuse_if_member(id)?;
        let proposal = self.proposal_of(staged, now, (actor, id, reason));
        let body = json!({ "id": id, "revision": proposal.revision, "state": "pending" });
        propose(group, staged, actor, proposal);
        Ok(Done { seq: 0, body })
    }

    /// Approves or rejects what waits.
    fn decide_rule(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, decision): (&Actor, Decision<'_>),
    ) -> Answer {
        let (id, revision) = (decision.id, decision.revision);
        let waiting = self.proposal(staged, id).filter(Proposal::waits);
        let Some(proposal) = waiting else {
            let reason = format!("nothing waits for approval for rule `{id}`");
            return Err(CommandError::NotFound(reason));
        };
        if proposal.revision != revision {
            return Err(CommandError::Refused {
                reason: format!("version {} of rule `{id}` waits", proposal.revision),
                facts: json!({ "revision": proposal.revision }),
            });
        }
        if proposal.by == actor.name {
            let reason = format!("version {revision} of rule `{id}` is your own");
            return Err(CommandError::Forbidden(reason));
        }
        if decision.approve {
            return self.approve(group, staged, now, (actor, proposal, decision.reason));
        }
        let detail = json!({ "revision": revision, "reason": decision.reason,
            "proposed_by": proposal.by, "spec": proposal.rule });
        let (role, detail) = (actor.role.name(), detail.to_string());
        group.audit(&actor.name, role, "reject_rule", id, &detail);
        let why = (EndState::Rejected, decision.reason);
        end(group, staged, now, (actor, proposal, why));
        let body = json!({ "id": id, "revision": revision, "state": "rejected" });
        Ok(Done { seq: 0, body })
    }

    fn approve(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, proposal, reason): (&Actor, Proposal, Option<&str>),
    ) -> Answer {
        let id = proposal.id.clone();
        let approved = Some((&proposal, reason));
        let Some(rule) = &proposal.rule else {
            return self.remove_rule(group, staged, now, (actor, &id, (None, approved)));
        };
        let put = Put {
            rolled_back_to: proposal.rolled_back_to,
            approved,
            ..Put::new(&id, rule)
        };
        self.put_rule(group, staged, now, (actor, put))
    }

    /// Finds what was proposed last, by this very group or before.
    fn proposal(&self, staged: &Staged, id: &str) -> Option<Proposal> {
        match staged.proposals.get(id) {
            Some(changed) => changed.clone(),
            None => self.published.rules.proposal(id),
        }
    }

    /// Gives the number of the next version: none is given twice, also when it was turned away.
    pub(super) fn next_revision(&self, staged: &Staged, id: &str) -> u64 {
        let known = self.engine.rule(id).map_or(0, |known| known.revision);
        let proposed = self.proposal(staged, id).map_or(0, |of| of.revision);
        known.max(proposed) + 1
    }

    fn asks_approval(&self, specs: [Option<&RuleSpec>; 2]) -> bool {
        let mut specs = specs.into_iter().flatten();
        specs.any(|spec| self.approval.asks(spec.severity()))
    }

    fn proposal_of(
        &self,
        staged: &Staged,
        now: Timestamp,
        (actor, id, reason): (&Actor, &str, Option<&str>),
    ) -> Proposal {
        Proposal {
            id: id.to_owned(),
            revision: self.next_revision(staged, id),
            at: now,
            by: actor.name.clone(),
            reason: reason.map(str::to_owned),
            rolled_back_to: None,
            rule: None,
            end: None,
        }
    }

    /// Ends what waits, if anything does.
    fn withdraw(
        &self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, id): (&Actor, &str),
    ) -> bool {
        let waiting = self.proposal(staged, id).filter(Proposal::waits);
        let Some(proposal) = waiting else {
            return false;
        };
        note_withdrawn(group, actor, &proposal);
        end(
            group,
            staged,
            now,
            (actor, proposal, (EndState::Withdrawn, None)),
        );
        true
    }

    /// Forgets what was proposed for a rule that has a new version now, or none any more.
    pub(super) fn settle_proposal(
        &self,
        group: &mut Group,
        staged: &mut Staged,
        (actor, id): (&Actor, &str),
        approved: Option<u64>,
    ) {
        let Some(proposal) = self.proposal(staged, id) else {
            return;
        };
        if proposal.waits() && approved != Some(proposal.revision) {
            note_withdrawn(group, actor, &proposal);
        }
        group.delete_proposal(id);
        staged.proposals.insert(id.to_owned(), None);
    }

    pub(super) fn read_rule(&self, put: &Put<'_>) -> Result<RuleSpec, CommandError> {
        refuse_own(put.id)?;
        let invalid = |error: rules::RuleError| CommandError::Invalid(error.to_string());
        let spec = rules::parse_json(put.id, put.spec).map_err(invalid)?;
        spec.validate(&self.catalogue).map_err(invalid)?;
        spec.validate_members(|id| self.engine.rule(id).map(|rule| &rule.spec))
            .map_err(invalid)?;
        if !spec.members().is_empty() {
            self.refuse_if_member(put.id)?;
        }
        Ok(spec)
    }
}

pub(super) fn no_rule(id: &str) -> CommandError {
    CommandError::NotFound(format!("there is no rule `{id}`"))
}

fn propose(group: &mut Group, staged: &mut Staged, actor: &Actor, proposal: Proposal) {
    let detail = json!({ "revision": proposal.revision, "of": proposal.rolled_back_to,
        "reason": proposal.reason, "spec": proposal.rule });
    let (role, detail) = (actor.role.name(), detail.to_string());
    group.audit(&actor.name, role, "propose_rule", &proposal.id, &detail);
    keep(group, staged, proposal);
}

fn note_withdrawn(group: &mut Group, actor: &Actor, proposal: &Proposal) {
    let detail = json!({ "revision": proposal.revision, "proposed_by": proposal.by });
    let (role, detail) = (actor.role.name(), detail.to_string());
    group.audit(&actor.name, role, "withdraw_rule", &proposal.id, &detail);
}

fn end(
    group: &mut Group,
    staged: &mut Staged,
    now: Timestamp,
    (actor, proposal, (state, reason)): (&Actor, Proposal, (EndState, Option<&str>)),
) {
    let end = End {
        state,
        at: now,
        by: actor.name.clone(),
        reason: reason.map(str::to_owned),
    };
    let end = Some(end);
    keep(group, staged, Proposal { end, ..proposal });
}

/// Writes a proposal where the restart finds it; the engine knows nothing of it.
fn keep(group: &mut Group, staged: &mut Staged, proposal: Proposal) {
    group.put_proposal(&proposal.id, json!(proposal).to_string());
    staged.proposals.insert(proposal.id.clone(), Some(proposal));
}
