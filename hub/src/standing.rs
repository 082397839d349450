//! Brings the devices and rules of the configuration into force at start, as commands like any
//! other: durable, audited, and nothing is done for what is in force already.

use anyhow::{Context, Result};
use rules::RuleSpec;
use sdk::{Action, Actor, Command, Ingest, Operator, Role, SecretChange, SecretHash, SecretSalt};
use std::collections::BTreeMap;
use store::Reader;
use web::RosterRow;

/// Devices in one command, so that one commit does not hold up the readings of others.
const DEVICES_PER_COMMAND: usize = 1_000;

fn actor() -> Actor {
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

/// Names the mark by which a rule is known to have come from a file.
fn file_mark(id: &str) -> String {
    format!("rule-file:{id}")
}

/// Puts the rules of the files, and removes those that came from a file which no longer has them.
/// Rules put through the API stay.
pub(crate) async fn put_rules(
    operator: &Operator,
    marks: &Ingest,
    reader: &Reader,
    (files, in_force): (BTreeMap<String, RuleSpec>, Vec<String>),
) -> Result<()> {
    for id in in_force {
        let from_file = reader.cursor(&file_mark(&id))? == Some(1);
        if from_file && !files.contains_key(&id) {
            let action = Action::DeleteRule { id: id.clone() };
            command(operator, action)
                .await
                .with_context(|| format!("remove rule `{id}`"))?;
            marks.move_cursor(&file_mark(&id), 0).await?;
        }
    }
    for (id, spec) in files {
        // The mark first: a rule without a mark would outlive its file.
        if reader.cursor(&file_mark(&id))? != Some(1) {
            marks.move_cursor(&file_mark(&id), 1).await?;
        }
        let action = Action::PutRule {
            id: id.clone(),
            spec: spec.to_json(),
        };
        command(operator, action)
            .await
            .with_context(|| format!("put rule `{id}`"))?;
    }
    Ok(())
}
