//! The rules: reading, putting and deleting them.

use crate::problem::Problem;
use crate::proposal::Proposal;
use crate::query::{RawParams, json_body};
use crate::rule_list::RuleEntry;
use crate::state::{Shared, ask};
use crate::versions;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::{AlarmRow, Timestamp};
use rules::{RuleError, RuleSpec};
use sdk::{Action, Actor, Command, Done};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Longest id of a rule; it stands in every alarm row.
const RULE_ID_BYTES_MAX: usize = 128;

/// Longest reason for a change.
const REASON_BYTES_MAX: usize = 2_000;

const WEEK_S: i64 = 7 * 86_400;

/// `GET /api/v1/rules`
pub(crate) async fn list(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    let figures = raw.only(&["figures"])?.word("figures", &[("7d", ())])?;
    let mut items: Vec<Value> = shared.rules.all().iter().map(RuleEntry::to_json).collect();
    if figures.is_some() {
        let week = ask(&shared, "count the alarms of the week", |hub| {
            let from = hub.clock.now().plus_s(-WEEK_S);
            Ok(count(&hub.reader.alarms_between(from, Timestamp::MAX)?))
        })
        .await?;
        for item in &mut items {
            let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
            let figures = week.get(id).copied().unwrap_or_default();
            if let Some(fields) = item.as_object_mut() {
                fields.insert("figures_7d".to_owned(), json!(figures));
            }
        }
    }
    let pending = shared.rules.pending();
    let pending: Vec<Value> = pending
        .iter()
        .map(|of| versions::proposed(&shared, of))
        .collect();
    Ok(Json(json!({"items": items, "pending": pending})))
}

/// How the alarms of one rule did that were raised in the last seven days.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Figures {
    announced: u64,
    false_alarms: u64,
    chattering: u64,
    /// Raised by the rule in shadow, of which nobody was told.
    shadow: u64,
}

fn count(alarms: &[AlarmRow]) -> BTreeMap<String, Figures> {
    let mut week: BTreeMap<String, Figures> = BTreeMap::new();
    for row in alarms {
        let of = week.entry(row.rule.clone()).or_default();
        of.shadow += u64::from(row.shadow);
        if row.shadow || row.announced_at.is_none() {
            continue;
        }
        of.announced += 1;
        of.false_alarms += u64::from(row.verdict.as_deref() == Some("false_alarm"));
        of.chattering += u64::from(row.chattering);
    }
    week
}

/// `GET /api/v1/rules/{id}`
pub(crate) async fn one(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let mut rule = find(&shared, &id)?.to_json();
    let pending = shared.rules.proposal(&id).filter(Proposal::waits);
    if let (Some(pending), Some(fields)) = (pending, rule.as_object_mut()) {
        fields.insert("pending".to_owned(), versions::proposed(&shared, &pending));
    }
    Ok(Json(rule))
}

fn find(shared: &Shared, id: &str) -> Result<RuleEntry, Problem> {
    shared
        .rules
        .find(id)
        .ok_or_else(|| Problem::not_found(format!("there is no rule `{id}`")))
}

/// `PUT /api/v1/rules/{id}`
pub(crate) async fn put(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    raw: RawParams,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let reason = reason(raw.only(&["reason"])?.text("reason"))?;
    check_id(&id)?;
    let mut spec: Map<String, Value> = json_body(&body)?;
    let present = shared.rules.find(&id);
    for shown in ["pending", "figures_7d"] {
        spec.remove(shown);
    }
    // What GET shows can be put back: the id must agree, and a revision guards against lost edits.
    if let Some(given) = spec.remove("id")
        && given != id.as_str()
    {
        return Err(Problem::invalid(format!(
            "`id` is {given}, but the path says `{id}`"
        )));
    }
    if let Some(given) = spec.remove("revision") {
        let revision = present.map_or(0, |rule| rule.revision);
        if given != revision {
            let detail = format!("rule `{id}` has moved on to revision {revision}");
            return Err(Problem::conflict(detail).with("revision", revision));
        }
    }
    let spec = Value::Object(spec);
    let parsed = rules::parse_json(&id, &spec).map_err(|error| rule_problem(&error))?;
    parsed
        .validate(&shared.catalogue)
        .map_err(|error| rule_problem(&error))?;
    check_members(&shared, &parsed)?;
    let action = Action::PutRule { id, spec, reason };
    let done = shared.operator.commit(Command { actor, action }).await?;
    Ok(accepted(done))
}

/// `DELETE /api/v1/rules/{id}`
pub(crate) async fn delete(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    raw: RawParams,
) -> Result<Response, Problem> {
    let reason = reason(raw.only(&["reason"])?.text("reason"))?;
    let action = Action::DeleteRule { id, reason };
    let done = shared.operator.commit(Command { actor, action }).await?;
    Ok(match done.body {
        Value::Null => StatusCode::NO_CONTENT.into_response(),
        _ => accepted(done).into_response(),
    })
}

/// Reads why somebody changes a rule.
pub(crate) fn reason(given: Option<&str>) -> Result<Option<String>, Problem> {
    let reason = given.map(str::trim).filter(|reason| !reason.is_empty());
    if reason.is_some_and(|reason| reason.len() > REASON_BYTES_MAX) {
        let detail = format!("`reason` is longer than {REASON_BYTES_MAX} bytes");
        return Err(Problem::invalid(detail).with("field", "reason"));
    }
    Ok(reason.map(str::to_owned))
}

/// Tells whoever changes a rule whether it is in force (200) or waits for a second person (202).
pub(crate) fn accepted(done: Done) -> (StatusCode, Json<Value>) {
    let waits = done
        .body
        .get("state")
        .is_some_and(|state| state == "pending");
    let status = if waits {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    (status, Json(done.body))
}

/// Says which member of a composite is none; the writer asks again when it commits.
fn check_members(shared: &Shared, spec: &RuleSpec) -> Result<(), Problem> {
    let mut known = BTreeMap::new();
    for id in spec.members() {
        let Some(entry) = shared.rules.find(id) else {
            continue;
        };
        let member = rules::parse_json(id, &entry.spec)
            .map_err(|error| Problem::internal("read the rules in force", &error))?;
        known.insert(id.as_str(), member);
    }
    spec.validate_members(|id| known.get(id))
        .map_err(|error| rule_problem(&error))
}

pub(crate) fn check_id(id: &str) -> Result<(), Problem> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if (1..=RULE_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(plain) {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "rule id `{id}` must have 1 to {RULE_ID_BYTES_MAX} letters, digits, _ - or ."
    )))
}

pub(crate) fn rule_problem(error: &RuleError) -> Problem {
    let mut problem = Problem::invalid(error.to_string()).with("reason", error.reason.as_str());
    let texts = [
        ("file", &error.file),
        ("rule", &error.rule),
        ("key", &error.key),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            problem = problem.with(name, text.as_str());
        }
    }
    match error.line {
        Some(line) => problem.with("line", line),
        None => problem,
    }
}
