//! Carries out what people and programs asked for.

use super::proposed::no_rule;
use super::{Recorded, Staged, Writer, health};
use crate::rulebook::unknown_category;
use model::{Device, DeviceId, DeviceKey, Timestamp};
use rules::{DeviceView, Rule, RuleSpec};
use sdk::{Action, Actor, Command, CommandError, DeviceEntry, Done, SecretChange, SecretHash};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use store::{Group, StoreError, StoredDevice};
use web::Proposal;

pub(super) type Answer = Result<Done, CommandError>;

/// A version of a rule to put.
#[derive(Copy, Clone)]
pub(super) struct Put<'a> {
    pub(super) id: &'a str,
    pub(super) spec: &'a Value,
    /// The version that it repeats.
    pub(super) rolled_back_to: Option<u64>,
    pub(super) reason: Option<&'a str>,
    pub(super) approved: Option<Approved<'a>>,
}

/// What was proposed, and what whoever approves it says.
pub(super) type Approved<'a> = (&'a Proposal, Option<&'a str>);

impl<'a> Put<'a> {
    pub(super) fn new(id: &'a str, spec: &'a Value) -> Self {
        Self {
            id,
            spec,
            rolled_back_to: None,
            reason: None,
            approved: None,
        }
    }

    /// Says in the audit trail what was done.
    fn audited(&self, revision: u64, spec: &Value) -> (&'static str, Value) {
        if let Some(approved) = self.approved {
            return ("approve_rule", audited(approved, Some(spec)));
        }
        let mut detail = Map::from_iter([
            ("revision".to_owned(), revision.into()),
            ("spec".to_owned(), spec.clone()),
        ]);
        let mut action = "put_rule";
        if let Some(of) = self.rolled_back_to {
            action = "rollback_rule";
            detail.insert("of".to_owned(), of.into());
        }
        (action, reasoned(detail, self.reason))
    }
}

fn audited((proposal, comment): Approved<'_>, spec: Option<&Value>) -> Value {
    json!({
        "revision": proposal.revision, "spec": spec, "of": proposal.rolled_back_to,
        "reason": proposal.reason, "proposed_by": proposal.by, "proposed_at": proposal.at,
        "comment": comment,
    })
}

fn reasoned(mut detail: Map<String, Value>, reason: Option<&str>) -> Value {
    detail.extend(reason.map(|reason| ("reason".to_owned(), reason.into())));
    Value::Object(detail)
}

impl Writer {
    pub(super) fn carry_out(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        command: &Command,
    ) -> Result<Answer, StoreError> {
        let actor = &command.actor;
        Ok(match &command.action {
            Action::PutDevices(devices) => self.put_devices(group, staged, now, (actor, devices)),
            Action::DeleteDevice(id) => self.delete_device(group, staged, now, (actor, id)),
            Action::PutRule { .. }
            | Action::RollBackRule { .. }
            | Action::DeleteRule { .. }
            | Action::DecideRule { .. } => {
                self.change_rule(group, staged, now, (actor, &command.action))
            }
            Action::ChangeRules { put, delete } => {
                self.change_rules(group, staged, now, (actor, put, delete))
            }
            Action::Note {
                action,
                subject,
                detail,
                marks,
            } => {
                let detail = detail.to_string();
                group.audit(&actor.name, actor.role.name(), action, subject, &detail);
                for (name, mark) in marks {
                    group.cursor(name, *mark);
                }
                Ok(Done {
                    seq: 0,
                    body: Value::Null,
                })
            }
            Action::Alarm { .. } => return self.act(group, staged, now, command),
            Action::CaseStep { .. } => return self.step_case(group, staged, now, command),
            Action::ShiftLog { .. } | Action::PutHandover { .. } | Action::SignHandover { .. } => {
                self.desk(group, staged, now, (actor, &command.action))
            }
            Action::PutSubscription { .. }
            | Action::DeleteSubscription { .. }
            | Action::Subscription { .. }
            | Action::ConfigureSubscriptions(_) => {
                return self.subscribe(group, staged, now, (actor, &command.action));
            }
        })
    }

    /// Finds a device, changed or not by this very group.
    pub(super) fn device(&self, staged: &Staged, key: DeviceKey) -> Option<Arc<DeviceEntry>> {
        match staged.devices.get(&key) {
            // A device that is being removed is still the device of the alarms that end with it.
            Some(Some(entry)) => Some(Arc::new(entry.clone())),
            Some(None) | None => self.published.devices.get(key),
        }
    }

    pub(super) fn device_named(&self, staged: &Staged, id: &DeviceId) -> Option<Arc<DeviceEntry>> {
        let changed = staged
            .devices
            .values()
            .flatten()
            .find(|entry| entry.device.id == *id);
        if let Some(entry) = changed {
            return Some(Arc::new(entry.clone()));
        }
        let found = self.published.devices.find(id.as_str())?;
        (!staged.devices.contains_key(&found.key)).then_some(found)
    }

    fn put_devices(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, devices): (&Actor, &[(Device, SecretChange)]),
    ) -> Answer {
        if let Some((device, _)) = devices.iter().find(|(device, _)| device.id.is_own()) {
            let reason = format!(
                "device `{}`: ids that begin with `{}` are the hub's own",
                device.id,
                health::OWN
            );
            return Err(CommandError::Invalid(reason));
        }
        for (device, secret) in devices {
            let known = self.device_named(staged, &device.id);
            let secret = match secret {
                SecretChange::Set(hash) => Some(*hash),
                SecretChange::Keep => known.as_ref().and_then(|entry| entry.secret),
            };
            let grid = device
                .location
                .as_ref()
                .and_then(|place| self.grids.find(place));
            let entry = DeviceEntry {
                key: known
                    .as_ref()
                    .map_or_else(|| self.journal.next_device_key(), |e| e.key),
                device: device.clone(),
                secret,
                grid: grid.map(str::to_owned),
            };
            self.put_device(group, staged, now, (actor, entry, known.as_deref()));
        }
        Ok(Done {
            seq: 0,
            body: json!({ "put": devices.len() }),
        })
    }

    fn put_device(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, entry, known): (&Actor, DeviceEntry, Option<&DeviceEntry>),
    ) {
        let same = |known: &DeviceEntry| {
            known.device == entry.device && known.secret == entry.secret && known.grid == entry.grid
        };
        if known.is_some_and(same) {
            return;
        }
        group.put_device(&StoredDevice {
            key: entry.key,
            device: entry.device.clone(),
            secret_hash: entry.secret.as_ref().map(SecretHash::bytes).copied(),
            grid: entry.grid.clone(),
        });
        if known.is_none_or(|known| (&known.device, &known.grid) != (&entry.device, &entry.grid)) {
            let device = entry.device.clone();
            record(
                group,
                &Recorded::PutDevice {
                    key: entry.key,
                    device: Box::new(device),
                    grid: entry.grid.clone(),
                },
            );
            let view = DeviceView::new(entry.key, &entry.device, entry.grid.as_deref());
            self.engine.put_device(now, view, &mut self.changes);
        }
        let detail = json!({ "device": entry.device, "secret_changed":
            known.and_then(|known| known.secret) != entry.secret });
        let id = entry.device.id.as_str().to_owned();
        group.audit(
            &actor.name,
            actor.role.name(),
            "put_device",
            &id,
            &detail.to_string(),
        );
        self.published.knocks.forget(&id);
        staged.devices.insert(entry.key, Some(entry.clone()));
        self.register_health(group, staged, now, (&entry, known.is_none()));
    }

    fn delete_device(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, id): (&Actor, &DeviceId),
    ) -> Answer {
        let entry = self.device_named(staged, id);
        let Some(entry) = entry.filter(|entry| !entry.device.id.is_own()) else {
            return Err(CommandError::NotFound(format!("there is no device `{id}`")));
        };
        group.delete_device(entry.key);
        record(group, &Recorded::DeleteDevice { key: entry.key });
        group.audit(
            &actor.name,
            actor.role.name(),
            "delete_device",
            id.as_str(),
            "{}",
        );
        self.engine.remove_device(now, entry.key, &mut self.changes);
        self.forget_health(group, staged, entry.key);
        staged.devices.insert(entry.key, None);
        Ok(Done {
            seq: 0,
            body: Value::Null,
        })
    }

    pub(super) fn put_rule(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, put): (&Actor, Put<'_>),
    ) -> Answer {
        let (id, spec) = (put.id, self.read_rule(&put)?);
        let known = self.engine.rule(id);
        if let Some(known) = known.filter(|known| known.spec == spec && put.approved.is_none()) {
            let body = self.put_rule_body(id, known.revision, &spec);
            return Ok(Done { seq: 0, body });
        }
        let approved = put.approved.map(|(proposal, _)| proposal.revision);
        let revision = approved.unwrap_or_else(|| self.next_revision(staged, id));
        self.settle_proposal(group, staged, (actor, id), approved);
        let json = spec.to_json();
        group.put_rule(id, revision, &json);
        let recorded = Recorded::PutRule {
            id: id.to_owned(),
            revision,
            spec: json.clone(),
        };
        record(group, &recorded);
        let (action, detail) = put.audited(revision, &json);
        let detail = detail.to_string();
        group.audit(&actor.name, actor.role.name(), action, id, &detail);
        let body = self.put_rule_body(id, revision, &spec);
        let rule = Rule {
            id: id.to_owned(),
            revision,
            spec,
        };
        self.engine.put_rule(now, rule.clone(), &mut self.changes);
        staged.rules.insert(id.to_owned(), Some(rule));
        Ok(Done { seq: 0, body })
    }

    /// Answers whoever put a rule. A category that no table knows is a warning: the alarms are what
    /// guards people, and the cases wait in the queue of the unroutable.
    pub(super) fn put_rule_body(&self, id: &str, revision: u64, spec: &RuleSpec) -> Value {
        let mut body = json!({ "id": id, "revision": revision });
        let category = spec.category.as_deref();
        let unknown = category.filter(|code| !self.cases.codes.knows(code));
        if let (Some(code), Some(body)) = (unknown, body.as_object_mut()) {
            let warning = unknown_category(id, code).to_string();
            body.insert("warnings".to_owned(), json!([warning]));
        }
        body
    }

    /// A composite would be left without a member, or have another composite as one.
    pub(super) fn refuse_if_member(&self, id: &str) -> Result<(), CommandError> {
        let is_of = |rule: &&Rule| rule.spec.members().iter().any(|member| member == id);
        self.engine.rules().find(is_of).map_or(Ok(()), |composite| {
            let reason = format!("rule `{id}` is a member of rule `{}`", composite.id);
            Err(CommandError::Conflict(reason))
        })
    }

    pub(super) fn delete_rule(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, id, reason): (&Actor, &str, Option<&str>),
    ) -> Answer {
        self.remove_rule(group, staged, now, (actor, id, (reason, None)))
    }

    /// Takes a rule out of force, by one person or, approved, by two.
    pub(super) fn remove_rule(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, id, (reason, approved)): (&Actor, &str, (Option<&str>, Option<Approved<'_>>)),
    ) -> Answer {
        if health::is_own(id) || self.engine.rule(id).is_none() {
            return Err(no_rule(id));
        }
        self.refuse_if_member(id)?;
        let revision = approved.map(|(proposal, _)| proposal.revision);
        self.settle_proposal(group, staged, (actor, id), revision);
        group.delete_rule(id);
        record(group, &Recorded::DeleteRule { id: id.to_owned() });
        let (action, detail) = match approved {
            Some(approved) => ("approve_rule", audited(approved, None)),
            None => ("delete_rule", reasoned(Map::new(), reason)),
        };
        let detail = detail.to_string();
        group.audit(&actor.name, actor.role.name(), action, id, &detail);
        self.engine.remove_rule(now, id, &mut self.changes);
        staged.rules.insert(id.to_owned(), None);
        Ok(gone())
    }
}

/// The answer to whoever took something away.
pub(super) fn gone() -> Done {
    Done {
        seq: 0,
        body: Value::Null,
    }
}

/// Refuses the ids of the hub's own rules.
pub(super) fn refuse_own(id: &str) -> Result<(), CommandError> {
    if !health::is_own(id) {
        return Ok(());
    }
    let reason = format!(
        "rule ids that begin with `{}` are the hub's own",
        health::OWN
    );
    Err(CommandError::Invalid(reason))
}

/// Writes a change where the restart finds it, and where history keeps it.
pub(super) fn record(group: &mut Group, recorded: &Recorded) {
    let json = recorded.to_json();
    group.command(&json);
    group.change(&json);
}
