//! Brings the devices and rules of the configuration into force, as commands like any other:
//! durable, audited, and nothing is done for what is in force already.

use crate::rulebook::Rulebook;
use crate::writer;
use anyhow::{Context, Result};
use rules::{RuleError, RuleSpec};
use sdk::{
    Action, Actor, Command, CommandError, Operator, Role, SecretChange, SecretHash, SecretSalt,
};
use sinks::SinkError;
use std::collections::BTreeMap;
use store::Reader;
use web::{Changed, ReloadError, RosterRow, RuleEntry, RuleList};

/// Devices in one command, so that one commit does not hold up the readings of others.
const DEVICES_PER_COMMAND: usize = 1_000;

/// Rules in one command; so many are changed all at once or not at all.
const RULES_PER_COMMAND: usize = 1_000;

/// Names the configuration as the one who acts.
pub(crate) fn actor() -> Actor {
    Actor {
        name: "configuration".to_owned(),
        role: Role::Admin,
    }
}

async fn command(operator: &Operator, action: Action) -> Result<()> {
    let done = operator
        .commit(Command {
            actor: actor(),
            action,
        })
        .await?;
    tracing::debug!(seq = done.seq, "configuration brought into force");
    Ok(())
}

/// Registers the listed devices. A device without a secret in the file keeps the one it has.
pub(crate) async fn put_devices(
    operator: &Operator,
    salt: SecretSalt,
    listed: Vec<RosterRow>,
) -> Result<()> {
    for chunk in listed.chunks(DEVICES_PER_COMMAND) {
        let devices = chunk.iter().map(|listed| {
            let secret = match &listed.secret {
                Some(secret) => SecretChange::Set(SecretHash::of(salt, secret)),
                None => SecretChange::Keep,
            };
            (listed.device.clone(), secret)
        });
        let action = Action::PutDevices(devices.collect());
        command(operator, action)
            .await
            .context("register the configured devices")?;
    }
    Ok(())
}

/// Puts the subscriptions of the configuration that are new or changed, and ends those that came
/// from it and are there no more; their cursors wait for them to come back. All of it, or nothing.
pub(crate) async fn put_subscriptions(
    operator: &Operator,
    actor: Actor,
    wanted: Vec<(String, serde_json::Value)>,
) -> Result<Changed, CommandError> {
    let action = Action::ConfigureSubscriptions(wanted);
    let done = operator.commit(Command { actor, action }).await?;
    Ok(Changed::of(&done.body))
}

/// Reads the `[sinks.*]` tables.
pub(crate) fn subscriptions(
    tables: &BTreeMap<String, config::Value>,
) -> Result<Vec<(String, serde_json::Value)>, SinkError> {
    let read = |(name, table): (&String, &config::Value)| {
        let subscription = sinks::Subscription::read(table.clone())?;
        Ok((name.clone(), subscription.to_json()))
    };
    tables.iter().map(read).collect()
}

/// Puts the rules of the configuration that are new or changed, and removes those that came from it
/// and are there no more. Rules put through the API stay.
pub(crate) async fn put_rules(
    operator: &Operator,
    reader: &Reader,
    actor: Actor,
    rules: (Rulebook, &RuleList),
) -> Result<Changed, ReloadError> {
    let difference = Difference::find(reader, rules).await?;
    difference.carry_out(operator, actor).await
}

/// What the configuration's rules have that those in force have not, and the other way about.
pub(crate) struct Difference {
    put: Vec<(String, RuleSpec)>,
    /// With whether the rule is made of others.
    delete: Vec<(String, bool)>,
    unchanged: usize,
}

impl Difference {
    /// Compares the rules of the configuration with those in force; every mistake is found here.
    pub(crate) async fn find(
        reader: &Reader,
        (book, in_force): (Rulebook, &RuleList),
    ) -> Result<Self, ReloadError> {
        let (reader, in_force) = (reader.clone(), in_force.all());
        let compared = tokio::task::spawn_blocking(move || Self::of(&reader, book, in_force));
        compared
            .await
            .map_err(|panic| ReloadError::Internal(panic.to_string()))?
    }

    /// Brings the rules into force.
    pub(crate) async fn carry_out(
        self,
        operator: &Operator,
        actor: Actor,
    ) -> Result<Changed, ReloadError> {
        let mut changed = Changed {
            unchanged: self.unchanged,
            ..Changed::default()
        };
        for action in self.into_actions() {
            let command = Command {
                actor: actor.clone(),
                action,
            };
            let done = operator.commit(command).await?;
            let now = Changed::of(&done.body);
            changed.put += now.put;
            changed.removed += now.removed;
            changed.unchanged += now.unchanged;
        }
        Ok(changed)
    }

    fn of(reader: &Reader, book: Rulebook, in_force: Vec<RuleEntry>) -> Result<Self, ReloadError> {
        let is_marked = |id: &str| -> Result<bool, ReloadError> {
            let mark = reader.cursor(&writer::file_mark(id));
            let mark = mark.map_err(|error| ReloadError::Internal(error.to_string()))?;
            Ok(mark == Some(1))
        };
        let mut difference = Self {
            put: Vec::new(),
            delete: Vec::new(),
            unchanged: 0,
        };
        let in_force: BTreeMap<String, RuleEntry> = in_force
            .into_iter()
            .map(|rule| (rule.id.clone(), rule))
            .collect();
        for (id, rule) in &in_force {
            if !book.rules.contains_key(id) && is_marked(id)? {
                let kind = rule.spec.get("kind").and_then(serde_json::Value::as_str);
                difference
                    .delete
                    .push((id.clone(), kind.is_some_and(is_composite)));
            }
        }
        difference.check_members(&book, &in_force)?;
        for (id, spec) in book.rules {
            let is_same = in_force
                .get(&id)
                .is_some_and(|rule| rule.spec == spec.to_json());
            // A rule without the mark would outlive its file.
            if is_same && is_marked(&id)? {
                difference.unchanged += 1;
            } else {
                difference.put.push((id, spec));
            }
        }
        // Rules that are made of others come after these, and go before them.
        difference
            .put
            .sort_by_key(|(_, spec)| is_composite(spec.condition.kind()));
        difference
            .delete
            .sort_by_key(|(_, is_composite)| !is_composite);
        Ok(difference)
    }

    /// Demands that no composite is left without a member, before anything is changed.
    fn check_members(
        &self,
        book: &Rulebook,
        in_force: &BTreeMap<String, RuleEntry>,
    ) -> Result<(), RuleError> {
        let stays = |id: &str| !self.delete.iter().any(|(gone, _)| gone == id);
        let kept = in_force
            .iter()
            .filter(|(id, _)| stays(id) && !book.rules.contains_key(*id));
        let kept = kept.filter_map(|(id, rule)| {
            let spec = rules::parse_json(id, &rule.spec).ok()?;
            Some((id.clone(), spec))
        });
        let kept: BTreeMap<String, RuleSpec> = kept.collect();
        let find = |id: &str| book.rules.get(id).or_else(|| kept.get(id));
        for (id, spec) in book.rules.iter().chain(&kept) {
            spec.validate_members(find).map_err(|error| {
                let rule = Some(id.clone());
                book.locate(RuleError { rule, ..error })
            })?;
        }
        Ok(())
    }

    /// First all that is put, then all that goes: a rule may let go of another that goes too.
    fn into_actions(self) -> Vec<Action> {
        let put: Vec<_> = self
            .put
            .iter()
            .map(|(id, spec)| (id.clone(), spec.to_json()))
            .collect();
        let delete: Vec<_> = self.delete.into_iter().map(|(id, _)| id).collect();
        if put.is_empty() && delete.is_empty() {
            return Vec::new();
        }
        if put.len() + delete.len() <= RULES_PER_COMMAND {
            return vec![Action::ChangeRules { put, delete }];
        }
        let puts = put
            .chunks(RULES_PER_COMMAND)
            .map(|put| (put.to_vec(), Vec::new()));
        let deletes = delete
            .chunks(RULES_PER_COMMAND)
            .map(|ids| (Vec::new(), ids.to_vec()));
        puts.chain(deletes)
            .map(|(put, delete)| Action::ChangeRules { put, delete })
            .collect()
    }
}

fn is_composite(kind: &str) -> bool {
    matches!(kind, "any" | "all")
}
