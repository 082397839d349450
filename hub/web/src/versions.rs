//! The versions of a rule: what each of them changed and who put it, and the way back to one.

use crate::past::{RuleStep, rule_steps};
use crate::problem::Problem;
use crate::query::{RawParams, json_body};
use crate::state::{Inner, Shared, ask, store_problem, work};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use model::Timestamp;
use sdk::{Action, Actor, Command};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use store::{Reader, StoreError};

/// What the audit trail says of a version.
const PUTS: [&str; 2] = ["put_rule", "rollback_rule"];

/// One version of a rule since it was last begun.
struct Version {
    revision: u64,
    at: Timestamp,
    spec: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    revision: u64,
}

/// `GET /api/v1/rules/{id}/versions`
pub(crate) async fn list(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let body = work(&shared, "read the versions of the rule", move |hub| {
        let Some(present) = hub.rules.find(&id) else {
            return Err(no_rule(&id));
        };
        let items = shown(hub, &id)
            .map_err(|error| store_problem("read the versions of the rule", &error))?;
        Ok(json!({"id": id, "revision": present.revision, "items": items}))
    })
    .await?;
    Ok(Json(body))
}

/// `POST /api/v1/rules/{id}/rollback`
pub(crate) async fn roll_back(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let Wanted { revision } = json_body(&body)?;
    let Some(present) = shared.rules.find(&id) else {
        return Err(no_rule(&id));
    };
    if present.revision == revision {
        let detail = format!("rule `{id}` runs in its version {revision} already");
        return Err(Problem::conflict(detail).with("revision", revision));
    }
    let wanted = id.clone();
    let found = ask(&shared, "read the versions of the rule", move |hub| {
        let versions = versions(&hub.reader, &wanted)?;
        Ok(versions.into_iter().find(|of| of.revision == revision))
    })
    .await?;
    let Some(version) = found else {
        let detail = format!("rule `{id}` has no version {revision}");
        return Err(Problem::not_found(detail));
    };
    let action = Action::RollBackRule {
        id,
        to: revision,
        spec: version.spec,
    };
    let done = shared.operator.commit(Command { actor, action }).await?;
    Ok(Json(done.body))
}

fn no_rule(id: &str) -> Problem {
    Problem::not_found(format!("there is no rule `{id}`"))
}

/// Reads the versions since the rule was put for the first time, or again after it was deleted.
fn versions(reader: &Reader, id: &str) -> Result<Vec<Version>, StoreError> {
    let mut versions = Vec::new();
    for (at, step) in rule_steps(reader)? {
        match step {
            RuleStep::Put(put) if put.id == id => versions.push(Version {
                revision: put.revision,
                at,
                spec: put.spec,
            }),
            RuleStep::Delete(gone) if gone == id => versions.clear(),
            RuleStep::Put(_) | RuleStep::Delete(_) => {}
        }
    }
    Ok(versions)
}

/// Writes the versions, the newest first, each with what it changed of the one before.
fn shown(hub: &Inner, id: &str) -> Result<Vec<Value>, StoreError> {
    let mut items = Vec::new();
    let mut before: Option<Value> = None;
    for version in versions(&hub.reader, id)? {
        let links = hub.reader.audit_at(version.at)?;
        let is_put = |action: &str| PUTS.contains(&action);
        let link = links
            .iter()
            .find(|link| link.subject == id && is_put(&link.action));
        let of = link
            .filter(|link| link.action == "rollback_rule")
            .and_then(|link| crate::records::detail(&link.detail).get("of").cloned());
        let by = link.map(|link| link.actor.as_str());
        items.push(json!({
            "revision": version.revision,
            "at": version.at,
            "by": by,
            "display_name": by.and_then(|by| hub.accounts.display_name(by)),
            "rolled_back_to": of,
            "changed": before.as_ref().map(|before| changed(before, &version.spec)),
            "rule": version.spec,
        }));
        before = Some(version.spec);
    }
    items.reverse();
    Ok(items)
}

/// Names the keys that differ, with both values; one that is not there is null.
fn changed(before: &Value, after: &Value) -> Vec<Value> {
    let none = Map::new();
    let (before, after) = (
        before.as_object().unwrap_or(&none),
        after.as_object().unwrap_or(&none),
    );
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ = keys
        .into_iter()
        .filter(|key| before.get(*key) != after.get(*key));
    differ
        .map(|key| json!({"key": key, "from": before.get(key), "to": after.get(key)}))
        .collect()
}
