//! Brings the devices and rules of the configuration into force, as commands like any other:
//! durable, audited, and nothing is done for what is in force already.

use crate::writer;
use anyhow::{Context, Result};
use rules::RuleSpec;
use sdk::{Action, Actor, Command, Operator, Role, SecretChange, SecretHash, SecretSalt};
use std::collections::BTreeMap;
use store::{Reader, StoreError};
use web::{ReloadError, Reloaded, RosterRow, RuleEntry, RuleList};

/// Devices in one command, so that one commit does not hold up the readings of others.
const DEVICES_PER_COMMAND: usize = 1_000;

/// Rules in one command, for the same reason: each is compared with every device.
const RULES_PER_COMMAND: usize = 200;

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

/// Puts the rules of the configuration that are new or changed, and removes those that came from it
/// and are there no more. Rules put through the API stay.
pub(crate) async fn put_rules(
    operator: &Operator,
    reader: &Reader,
    actor: Actor,
    (wanted, in_force): (BTreeMap<String, RuleSpec>, &RuleList),
) -> Result<Reloaded, ReloadError> {
    let (reader, in_force) = (reader.clone(), in_force.all());
    let compared = tokio::task::spawn_blocking(move || Difference::of(&reader, wanted, in_force));
    let internal = |error: &dyn std::fmt::Display| ReloadError::Internal(error.to_string());
    let difference = compared
        .await
        .map_err(|panic| internal(&panic))?
        .map_err(|error| internal(&error))?;
    let mut reloaded = Reloaded {
        unchanged: difference.unchanged,
        ..Reloaded::default()
    };
    for action in difference.into_actions() {
        let command = Command {
            actor: actor.clone(),
            action,
        };
        let done = operator.commit(command).await?;
        let count = |name: &str| {
            let count = done.body.get(name).and_then(serde_json::Value::as_u64);
            count
                .and_then(|count| usize::try_from(count).ok())
                .unwrap_or(0)
        };
        reloaded.put += count("put");
        reloaded.removed += count("removed");
        reloaded.unchanged += count("unchanged");
    }
    Ok(reloaded)
}

/// What the configuration's rules have that those in force have not, and the other way about.
struct Difference {
    put: Vec<(String, RuleSpec)>,
    /// With whether the rule is made of others.
    delete: Vec<(String, bool)>,
    unchanged: usize,
}

impl Difference {
    fn of(
        reader: &Reader,
        wanted: BTreeMap<String, RuleSpec>,
        in_force: Vec<RuleEntry>,
    ) -> Result<Self, StoreError> {
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
            if !wanted.contains_key(id) && reader.cursor(&writer::file_mark(id))? == Some(1) {
                let kind = rule.spec.get("kind").and_then(serde_json::Value::as_str);
                difference
                    .delete
                    .push((id.clone(), kind.is_some_and(is_composite)));
            }
        }
        for (id, spec) in wanted {
            let is_same = in_force
                .get(&id)
                .is_some_and(|rule| rule.spec == spec.to_json());
            // A rule without the mark would outlive its file.
            if is_same && reader.cursor(&writer::file_mark(&id))? == Some(1) {
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

    /// First all that is put, then all that goes: a rule may let go of another that goes too.
    fn into_actions(self) -> Vec<Action> {
        let put: Vec<_> = self
            .put
            .iter()
            .map(|(id, spec)| (id.clone(), spec.to_json()))
            .collect();
        let delete: Vec<_> = self.delete.into_iter().map(|(id, _)| id).collect();
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
