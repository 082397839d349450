//! What officers do to alarms: one by one, and in bulk.

use crate::alarms::{self, Sort, no_alarm, read_query};
use crate::problem::Problem;
use crate::query::{Params, RawParams, json_body};
use crate::state::{Shared, ask, work};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::{StreamExt, stream};
use model::{AlarmRow, AlarmState, Severity};
use rules::{ActError, Verb};
use sdk::{Action, Actor, AlarmArgs, AlarmVerb, Command, CommandError};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use store::StateFilter;

/// Alarms of one bulk request.
const BULK_MAX: usize = 10_000;

/// Commands of one bulk request that wait for the writer at once; they share its commits.
const BULK_AT_ONCE: usize = 64;

/// What a bulk request can filter by.
const FILTERS: [&str; 7] = ["severity", "state", "kind", "device", "grid", "rule", "q"];

/// Longest comment, in bytes.
const COMMENT_BYTES_MAX: usize = 4_000;

/// Longest `Idempotency-Key`.
const KEY_BYTES_MAX: usize = 200;

/// Longest name of an owner.
const OWNER_BYTES_MAX: usize = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Act {
    version: Option<u64>,
    comment: Option<String>,
    minutes: Option<u32>,
    reason: Option<String>,
    owner: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bulk {
    action: String,
    #[serde(default)]
    ids: Vec<String>,
    /// Instead of ids: the filters of the list, all that are open if it is empty.
    filter: Option<BTreeMap<String, String>>,
    comment: Option<String>,
    minutes: Option<u32>,
    reason: Option<String>,
    owner: Option<String>,
}

/// What an action says, once it is checked.
#[derive(Clone, Debug)]
struct Said {
    verb: AlarmVerb,
    comment: Option<String>,
    args: AlarmArgs,
}

/// Who acts, and by which key a repeated request is known.
pub(crate) struct Caller {
    pub(crate) actor: Actor,
    pub(crate) key: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        demand_json(&parts.headers)?;
        let key = read_key(&parts.headers)?.map(str::to_owned);
        let Some(actor) = parts.extensions.remove::<Actor>() else {
            let detail = "sign in, or send the header `Authorization: Bearer <token>`";
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
    let args = AlarmArgs {
        minutes: act.minutes,
        reason: act.reason,
        owner: act.owner,
    };
    let Said {
        verb,
        comment,
        args,
    } = check(verb, act.comment, args)?;
    let action = Action::Alarm {
        id: id.clone(),
        verb,
        version: act.version,
        comment,
        args,
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
    let args = AlarmArgs {
        minutes: bulk.minutes,
        reason: bulk.reason,
        owner: bulk.owner,
    };
    let said = check(verb, bulk.comment, args)?;
    let verb = said.verb;
    let Chosen { ids, kept } = choose(&shared, bulk.ids, bulk.filter).await?;
    let mut seen = HashSet::new();
    let commands: Vec<(String, Command)> = ids
        .into_iter()
        .filter(|id| seen.insert(id.clone()))
        .map(|id| {
            let action = Action::Alarm {
                id: id.clone(),
                verb,
                version: None,
                comment: said.comment.clone(),
                args: said.args.clone(),
                key: key.clone(),
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
    failed.extend(kept.iter().map(|id| {
        let detail = "critical and major alarms are acted on by id, not by filter";
        json!({"id": id, "code": "needs_id", "detail": detail})
    }));
    let matched = ((answers.len() + kept.len()) as u64).saturating_sub(missing);
    Ok(Json(
        json!({"matched": matched, "succeeded": succeeded, "failed": failed}),
    ))
}

/// The alarms of a bulk request.
struct Chosen {
    ids: Vec<String>,
    /// Those that a filter alone does not reach: nobody acts on a critical or major alarm that was
    /// not seen.
    kept: Vec<String>,
}

async fn choose(
    shared: &Shared,
    ids: Vec<String>,
    filter: Option<BTreeMap<String, String>>,
) -> Result<Chosen, Problem> {
    let Some(filter) = filter else {
        if ids.is_empty() || ids.len() > BULK_MAX {
            let detail = format!("`ids` must name 1 to {BULK_MAX} alarms");
            return Err(Problem::invalid(detail));
        }
        return Ok(Chosen {
            ids,
            kept: Vec::new(),
        });
    };
    if !ids.is_empty() {
        return Err(Problem::invalid("`ids` and `filter` exclude each other"));
    }
    if let Some(name) = filter.keys().find(|name| !FILTERS.contains(&name.as_str())) {
        let known = FILTERS.join(", ");
        let detail = format!("`filter.{name}` is no filter; known: {known}");
        return Err(Problem::invalid(detail).with("field", name.as_str()));
    }
    let mut query = read_query(shared, &Params::of(filter))?;
    query.limit = BULK_MAX;
    let is_open = match &query.states {
        StateFilter::Open => true,
        StateFilter::Only(states) => !states.contains(&AlarmState::Normal),
        StateFilter::All => false,
    };
    if !is_open {
        return Err(Problem::invalid("`filter.state` must not ask for history"));
    }
    let picked = work(shared, "choose the alarms", move |hub| {
        alarms::pick(hub, &query, Sort::Priority)
    })
    .await?;
    if picked.next.is_some() {
        let detail = format!("{} alarms match; {BULK_MAX} are the most", picked.matched);
        return Err(Problem::invalid(detail).with("matched", picked.matched));
    }
    let (kept, ids): (Vec<AlarmRow>, Vec<AlarmRow>) = picked
        .rows
        .into_iter()
        .partition(|row| row.severity >= Severity::Major);
    let id = |row: AlarmRow| row.id;
    Ok(Chosen {
        ids: ids.into_iter().map(id).collect(),
        kept: kept.into_iter().map(id).collect(),
    })
}

fn code(error: &CommandError) -> &'static str {
    match error {
        CommandError::NotFound(_) => "not_found",
        CommandError::Conflict(_) | CommandError::Refused { .. } => "conflict",
        CommandError::Invalid(_) => "invalid",
        CommandError::Forbidden(_) => "forbidden",
        CommandError::Busy | CommandError::ShuttingDown => "busy",
    }
}

fn read_verb(action: &str) -> Result<Verb, Problem> {
    Verb::parse(action).ok_or_else(|| {
        let names = Verb::ALL.map(Verb::name).join(", ");
        Problem::not_found(format!("there is no action `{action}`; available: {names}"))
    })
}

/// Checks that an action says what it must; names the field that is missing or wrong.
fn check(verb: Verb, comment: Option<String>, args: AlarmArgs) -> Result<Said, Problem> {
    let comment = trimmed("comment", comment, COMMENT_BYTES_MAX)?;
    let reason = trimmed("reason", args.reason, COMMENT_BYTES_MAX)?;
    let owner = trimmed("owner", args.owner, OWNER_BYTES_MAX)?;
    let action = rules::Action {
        comment: comment.as_deref(),
        minutes: args.minutes,
        reason: reason.as_deref(),
        owner: owner.as_deref(),
        ..rules::Action::new(verb, "")
    };
    action.check().map_err(|error| {
        let problem = Problem::invalid(error.to_string());
        match error {
            ActError::Missing { field, .. } => problem.with("field", field),
            ActError::TooLong { .. } => problem.with("field", "minutes"),
            _ => problem,
        }
    })?;
    Ok(Said {
        verb: command(verb),
        comment,
        args: AlarmArgs {
            minutes: args.minutes,
            reason,
            owner,
        },
    })
}

fn trimmed(
    name: &'static str,
    text: Option<String>,
    bytes_max: usize,
) -> Result<Option<String>, Problem> {
    let text = text
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    if text.as_ref().is_some_and(|text| text.len() > bytes_max) {
        let detail = format!("`{name}` is longer than {bytes_max} bytes");
        return Err(Problem::invalid(detail).with("field", name));
    }
    Ok(text)
}

fn command(verb: Verb) -> AlarmVerb {
    match verb {
        Verb::Ack => AlarmVerb::Ack,
        Verb::Shelve => AlarmVerb::Shelve,
        Verb::Unshelve => AlarmVerb::Unshelve,
        Verb::Assign => AlarmVerb::Assign,
        Verb::Comment => AlarmVerb::Comment,
        Verb::FalseAlarm => AlarmVerb::FalseAlarm,
        Verb::OutOfService => AlarmVerb::OutOfService,
        Verb::InService => AlarmVerb::InService,
        Verb::Reset => AlarmVerb::Reset,
    }
}

/// Refuses what says of itself that it is something else than JSON. A form is what `curl -d` says
/// where nobody says anything.
fn demand_json(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let kind = text.split(';').next().unwrap_or_default().trim();
    let is_json = kind.ends_with("/json") || kind.ends_with("+json");
    if is_json || kind == "application/x-www-form-urlencoded" {
        return Ok(());
    }
    let detail = format!("`{kind}` is not taken here; send application/json");
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Err(Problem::new(status, "unsupported-media-type", detail))
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
