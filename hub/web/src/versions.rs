//! The versions of a rule: what each of them changed, who put it and why; the way back to one, and
//! the second person's word on one that waits.

use crate::past::{RuleStep, rule_steps};
use crate::problem::Problem;
use crate::proposal::{EndState, Proposal};
use crate::query::{RawParams, json_body};
use crate::rulebook;
use crate::state::{Inner, Shared, ask, store_problem, work};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use model::Timestamp;
use sdk::{Action, Actor, Command};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use store::{Reader, StoreError};

/// What the audit trail says of a version.
const PUTS: [&str; 3] = ["put_rule", "rollback_rule", "approve_rule"];

/// One version of a rule since it was last begun.
struct Version {
    revision: u64,
    at: Timestamp,
    spec: Value,
}

/// A version and why somebody wants what of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    revision: u64,
    reason: Option<String>,
}

/// What became of a version.
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Life {
    InForce,
    Former,
    Pending,
    Rejected,
    Withdrawn,
}

/// `GET /api/v1/rules/{id}/versions`
pub(crate) async fn list(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let body = work(&shared, "read the versions of the rule", move |hub| {
        let (present, proposal) = (hub.rules.find(&id), hub.rules.proposal(&id));
        if present.is_none() && proposal.as_ref().is_none_or(|of| !of.waits()) {
            return Err(no_rule(&id));
        }
        let mut items = shown(hub, &id)
            .map_err(|error| store_problem("read the versions of the rule", &error))?;
        if let Some(proposal) = proposal {
            items.insert(0, proposed(hub, &proposal));
        }
        let revision = present.map(|rule| rule.revision);
        Ok(json!({"id": id, "revision": revision, "items": items}))
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
) -> Result<(StatusCode, Json<Value>), Problem> {
    raw.only(&[])?;
    let Wanted { revision, reason } = json_body(&body)?;
    let reason = rulebook::reason(reason.as_deref())?;
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
        reason,
    };
    let done = shared.operator.commit(Command { actor, action }).await?;
    Ok(rulebook::accepted(done))
}

/// `POST /api/v1/rules/{id}/approve`
pub(crate) async fn approve(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    decide(&shared, actor, (id, true), json_body(&body)?).await
}

/// `POST /api/v1/rules/{id}/reject`
pub(crate) async fn reject(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let wanted: Wanted = json_body(&body)?;
    if rulebook::reason(wanted.reason.as_deref())?.is_none() {
        let detail = "to turn a version away needs a `reason`";
        return Err(Problem::invalid(detail).with("field", "reason"));
    }
    decide(&shared, actor, (id, false), wanted).await
}

async fn decide(
    shared: &Shared,
    actor: Actor,
    (id, approve): (String, bool),
    wanted: Wanted,
) -> Result<Json<Value>, Problem> {
    let action = Action::DecideRule {
        id,
        revision: wanted.revision,
        approve,
        reason: rulebook::reason(wanted.reason.as_deref())?,
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

/// Finds what the audit trail says of a version, and who brought it into force.
fn told(hub: &Inner, id: &str, version: &Version) -> Result<Option<(Value, String)>, StoreError> {
    let links = hub.reader.audit_at(version.at)?.into_iter();
    let puts = links.filter(|link| link.subject == id && PUTS.contains(&link.action.as_str()));
    let mut puts = puts.map(|link| (crate::records::detail(&link.detail), link.actor));
    Ok(puts.find(|(detail, _)| {
        detail.get("revision").and_then(Value::as_u64) == Some(version.revision)
    }))
}

/// Writes the versions, the newest first, each with what it changed of the one before.
fn shown(hub: &Inner, id: &str) -> Result<Vec<Value>, StoreError> {
    let mut items = Vec::new();
    let mut before: Option<Value> = None;
    let versions = versions(&hub.reader, id)?;
    let last = versions.last().map(|version| version.revision);
    for version in versions {
        let (detail, actor) = told(hub, id, &version)?.unzip();
        let of = |key: &str| detail.as_ref().and_then(|detail| detail.get(key)).cloned();
        let author = of("proposed_by").and_then(|name| name.as_str().map(str::to_owned));
        let approved_by = actor.clone().filter(|_| author.is_some());
        let by = author.or(actor);
        let is_last = last == Some(version.revision);
        items.push(json!({
            "revision": version.revision,
            "state": if is_last { Life::InForce } else { Life::Former },
            "at": version.at,
            "by": by,
            "display_name": name_of(hub, by.as_deref()),
            "reason": of("reason"),
            "approved_by": approved_by,
            "approved_by_name": name_of(hub, approved_by.as_deref()),
            "rolled_back_to": of("of"),
            "changed": before.as_ref().map(|before| changed(before, &version.spec)),
            "rule": version.spec,
        }));
        before = Some(version.spec);
    }
    items.reverse();
    Ok(items)
}

/// Writes a version that is not in force, with what it would change of the one that is.
pub(crate) fn proposed(hub: &Inner, proposal: &Proposal) -> Value {
    let present = hub.rules.find(&proposal.id);
    let spec = proposal.rule.as_ref();
    let changed = present
        .zip(spec)
        .map(|(present, spec)| changed(&present.spec, spec));
    let end = proposal.end.as_ref();
    let state = match end.map(|end| end.state) {
        None => Life::Pending,
        Some(EndState::Rejected) => Life::Rejected,
        Some(EndState::Withdrawn) => Life::Withdrawn,
    };
    json!({
        "id": proposal.id,
        "revision": proposal.revision,
        "state": state,
        "at": proposal.at,
        "by": proposal.by,
        "display_name": name_of(hub, Some(&proposal.by)),
        "reason": proposal.reason,
        "rolled_back_to": proposal.rolled_back_to,
        "changed": changed,
        // Without one the rule would be deleted.
        "rule": spec,
        "end": end.map(|end| json!({
            "at": end.at, "by": end.by, "display_name": name_of(hub, Some(&end.by)),
            "reason": end.reason,
        })),
    })
}

fn name_of(hub: &Inner, user: Option<&str>) -> Option<String> {
    user.and_then(|user| hub.accounts.display_name(user))
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
