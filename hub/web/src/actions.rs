//! What officers do to alarms: one by one, and in bulk.

use crate::alarms::no_alarm;
use crate::problem::Problem;
use crate::query::{RawParams, json_body};
use crate::state::{Shared, ask};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use futures_util::{StreamExt, stream};
use model::AlarmRow;
use sdk::{Action, Actor, AlarmVerb, Command, CommandError};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;

/// Alarms of one bulk request.
const BULK_MAX: usize = 10_000;

/// Commands of one bulk request that wait for the writer at once; they share its commits.
const BULK_AT_ONCE: usize = 64;

/// Longest comment, in bytes.
const COMMENT_BYTES_MAX: usize = 4_000;

/// Longest `Idempotency-Key`.
const KEY_BYTES_MAX: usize = 200;

/// The public contract's verbs that this version does not have yet.
const LATER: [&str; 7] = [
    "shelve",
    "unshelve",
    "assign",
    "false_alarm",
    "out_of_service",
    "in_service",
    "reset",
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Act {
    version: Option<u64>,
    comment: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bulk {
    action: String,
    ids: Vec<String>,
    comment: Option<String>,
}

/// Who acts, and by which key a repeated request is known.
pub(crate) struct Caller {
    actor: Actor,
    key: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let key = read_key(&parts.headers)?.map(str::to_owned);
        let Some(actor) = parts.extensions.remove::<Actor>() else {
            let detail = "send the header `Authorization: Bearer <token>`";
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                detail,
            ));
        };
        Ok(Self { actor, key })
    }
}

/// `POST /api/v1/alarms/{id}/{action}`
pub(crate) async fn act(
    State(shared): State<Shared>,
    Caller { actor, key }: Caller,
    Path((id, action)): Path<(String, String)>,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let verb = read_verb(&action)?;
    let act: Act = if body.is_empty() {
        Act::default()
    } else {
        json_body(&body)?
    };
    let comment = read_comment(verb, act.comment)?;
    let key = key.map(|key| scoped(&actor, verb, &id, &key));
    let action = Action::Alarm {
        id: id.clone(),
        verb,
        version: act.version,
        comment,
        key,
    };
    let done = shared.operator.commit(Command { actor, action }).await;
    match done {
        Ok(done) => Ok(Json(done.body)),
        Err(CommandError::NotFound(_)) => Err(gone(&shared, id).await?),
        Err(CommandError::Conflict(detail)) => {
            let row = shared.alarms().get(&id).cloned();
            let problem = Problem::conflict(detail);
            Err(match row {
                Some(row) => with_row(problem, &row),
                None => problem,
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// An alarm that nobody can act on: it never was, or it is history.
async fn gone(shared: &Shared, id: String) -> Result<Problem, Problem> {
    let wanted = id.clone();
    let row = ask(shared, "look an alarm up", move |hub| {
        hub.reader.alarm(&wanted)
    })
    .await?;
    Ok(match row {
        None => no_alarm(&id),
        Some(row) => {
            let detail = format!("alarm `{id}` is {} and needs no action", row.state.name());
            with_row(Problem::conflict(detail), &row)
        }
    })
}

fn with_row(problem: Problem, row: &AlarmRow) -> Problem {
    problem
        .with("version", row.version)
        .with("alarm", json!(row))
}

/// `POST /api/v1/alarms/bulk`
pub(crate) async fn bulk(
    State(shared): State<Shared>,
    Caller { actor, key }: Caller,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let bulk: Bulk = json_body(&body)?;
    let verb = read_verb(&bulk.action)?;
    let comment = read_comment(verb, bulk.comment)?;
    if bulk.ids.is_empty() || bulk.ids.len() > BULK_MAX {
        return Err(Problem::invalid(format!(
            "`ids` must name 1 to {BULK_MAX} alarms"
        )));
    }
    let mut seen = HashSet::new();
    let commands: Vec<(String, Command)> = bulk
        .ids
        .into_iter()
        .filter(|id| seen.insert(id.clone()))
        .map(|id| {
            let action = Action::Alarm {
                id: id.clone(),
                verb,
                version: None,
                comment: comment.clone(),
                key: key.as_ref().map(|key| scoped(&actor, verb, &id, key)),
            };
            let actor = actor.clone();
            (id, Command { actor, action })
        })
        .collect();
    let operator = &shared.operator;
    let answers: Vec<(String, Result<sdk::Done, CommandError>)> = stream::iter(commands)
        .map(|(id, command)| async move { (id, operator.commit(command).await) })
        .buffered(BULK_AT_ONCE)
        .collect()
        .await;
    let mut succeeded = 0u64;
    let mut missing = 0u64;
    let mut failed = Vec::new();
    for (id, answer) in &answers {
        match answer {
            Ok(_) => succeeded += 1,
            Err(error) => {
                missing += u64::from(matches!(error, CommandError::NotFound(_)));
                failed.push(json!({
                    "id": id,
                    "code": code(error),
                    "detail": error.to_string(),
                }));
            }
        }
    }
    let matched = (answers.len() as u64).saturating_sub(missing);
    Ok(Json(
        json!({"matched": matched, "succeeded": succeeded, "failed": failed}),
    ))
}

fn code(error: &CommandError) -> &'static str {
    match error {
        CommandError::NotFound(_) => "not_found",
        CommandError::Conflict(_) => "conflict",
        CommandError::Invalid(_) => "invalid",
        CommandError::Busy | CommandError::ShuttingDown => "busy",
    }
}

fn read_verb(action: &str) -> Result<AlarmVerb, Problem> {
    match action {
        "ack" => Ok(AlarmVerb::Ack),
        "comment" => Ok(AlarmVerb::Comment),
        later if LATER.contains(&later) => Err(Problem::not_found(format!(
            "action `{later}` is not available in this version; available: ack, comment"
        ))),
        other => Err(Problem::not_found(format!(
            "there is no action `{other}`; available: ack, comment"
        ))),
    }
}

fn read_comment(verb: AlarmVerb, comment: Option<String>) -> Result<Option<String>, Problem> {
    let comment = comment
        .map(|comment| comment.trim().to_owned())
        .filter(|comment| !comment.is_empty());
    if comment
        .as_ref()
        .is_some_and(|comment| comment.len() > COMMENT_BYTES_MAX)
    {
        let detail = format!("`comment` is longer than {COMMENT_BYTES_MAX} bytes");
        return Err(Problem::invalid(detail));
    }
    if verb == AlarmVerb::Comment && comment.is_none() {
        return Err(Problem::invalid("`comment` is missing"));
    }
    Ok(comment)
}

fn read_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
    key.map(Some).ok_or_else(|| {
        Problem::bad_request(format!(
            "header `idempotency-key` must have 1 to {KEY_BYTES_MAX} visible characters"
        ))
    })
}

/// A key means something only to its own person, action and alarm.
fn scoped(actor: &Actor, verb: AlarmVerb, id: &str, key: &str) -> String {
    format!("{}/{verb:?}/{id}/{key}", actor.name)
}
