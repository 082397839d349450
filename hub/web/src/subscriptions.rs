//! The subscriptions: reading, putting, pausing and replaying them, and what they refused.

use crate::problem::Problem;
use crate::query::{RawParams, json_body};
use crate::state::{Shared, ask};
use crate::subscriber::Subscriber;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use sdk::{Action, Actor, Command, SubscriptionVerb};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use store::ParkedEvent;

/// Longest name; it stands in metrics and in the audit.
const NAME_BYTES_MAX: usize = 64;

const PARKED_DEFAULT: usize = 100;
const PARKED_PAGE_MAX: usize = 1_000;

/// `GET /api/v1/subscriptions`
pub(crate) async fn list(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let all = shared.subscribers.all();
    let items: Vec<Value> = all.iter().map(Subscriber::to_json).collect();
    Ok(Json(json!({ "items": items })))
}

/// `GET /api/v1/subscriptions/{name}`
pub(crate) async fn one(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    Ok(Json(find(&shared, &name)?.to_json()))
}

fn find(shared: &Shared, name: &str) -> Result<Subscriber, Problem> {
    let found = shared.subscribers.find(name);
    found.ok_or_else(|| Problem::not_found(format!("there is no subscription `{name}`")))
}

/// `PUT /api/v1/subscriptions/{name}`
pub(crate) async fn put(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    check_name(&name)?;
    let mut spec: Map<String, Value> = json_body(&body)?;
    // What GET shows can be put back: the name must agree, a revision guards against lost edits.
    if let Some(given) = spec.remove("name")
        && given != name.as_str()
    {
        let detail = format!("`name` is {given}, but the path says `{name}`");
        return Err(Problem::invalid(detail));
    }
    if let Some(given) = spec.remove("revision") {
        let present = shared.subscribers.find(&name);
        let revision = present.map_or(0, |present| present.revision);
        if given != revision {
            let detail = format!("subscription `{name}` has moved on to revision {revision}");
            return Err(Problem::conflict(detail).with("revision", revision));
        }
    }
    for shown in ["configured", "paused"] {
        spec.remove(shown);
    }
    let action = Action::PutSubscription {
        name,
        spec: Value::Object(spec),
        configured: false,
    };
    let done = shared.operator.commit(Command { actor, action }).await?;
    Ok(Json(done.body))
}

fn check_name(name: &str) -> Result<(), Problem> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "the name `{name}` must have 1 to {NAME_BYTES_MAX} lower-case letters, digits, _ or -"
    )))
}

/// `DELETE /api/v1/subscriptions/{name}`
pub(crate) async fn delete(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    raw: RawParams,
) -> Result<StatusCode, Problem> {
    raw.only(&[])?;
    let action = Action::DeleteSubscription {
        name,
        configured: false,
    };
    shared.operator.commit(Command { actor, action }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where to send from once more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    from: Value,
}

/// `POST /api/v1/subscriptions/{name}/{action}`
pub(crate) async fn act(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path((name, action)): Path<(String, String)>,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let verb = match action.as_str() {
        "pause" => SubscriptionVerb::Pause,
        "resume" => SubscriptionVerb::Resume,
        "replay" => {
            let Replay { from } = json_body(&body)?;
            let after = if from == "beginning" {
                Some(0)
            } else {
                from.as_u64()
            };
            let Some(after) = after else {
                let detail = "`from` is neither `beginning` nor the number of an event";
                return Err(Problem::invalid(detail));
            };
            SubscriptionVerb::Replay { after }
        }
        other => {
            let detail = format!("`{other}` is none of pause, resume, replay");
            return Err(Problem::not_found(detail));
        }
    };
    change(&shared, actor, name, verb).await.map(Json)
}

async fn change(
    shared: &Shared,
    actor: Actor,
    name: String,
    verb: SubscriptionVerb,
) -> Result<Value, Problem> {
    let action = Action::Subscription { name, verb };
    let done = shared.operator.commit(Command { actor, action }).await?;
    Ok(done.body)
}

/// `GET /api/v1/subscriptions/{name}/parked`
pub(crate) async fn parked(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    let params = raw.only(&["after", "limit"])?;
    let after = params.number("after")?.unwrap_or(0);
    let limit = params.limit(PARKED_DEFAULT, 1..=PARKED_PAGE_MAX)?;
    find(&shared, &name)?;
    let rows = ask(&shared, "read parked events", move |hub| {
        hub.reader.parked(&name, after, limit, false)
    })
    .await?;
    let is_last = rows.len() < limit;
    let next = rows.last().filter(|_| !is_last).map(|row| row.event.seq);
    let items = rows.into_iter().map(row_of);
    let items = items.collect::<Result<Vec<Value>, Problem>>()?;
    Ok(Json(json!({ "items": items, "next": next })))
}

fn row_of(row: ParkedEvent) -> Result<Value, Problem> {
    let unreadable = |error: serde_json::Error| Problem::internal("read parked events", &error);
    let event = RawValue::from_string(row.event.json).map_err(unreadable)?;
    Ok(json!({
        "seq": row.event.seq,
        "parked_at": row.at,
        "reason": row.reason,
        "resending": row.again,
        "event": event,
    }))
}

/// `POST /api/v1/subscriptions/{name}/parked/resend`
pub(crate) async fn resend_all(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let verb = SubscriptionVerb::Resend { seq: None };
    change(&shared, actor, name, verb).await.map(Json)
}

/// `POST /api/v1/subscriptions/{name}/parked/{seq}/resend`
pub(crate) async fn resend_one(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path((name, seq)): Path<(String, String)>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let seq = Some(read_seq(&seq)?);
    let verb = SubscriptionVerb::Resend { seq };
    change(&shared, actor, name, verb).await.map(Json)
}

/// `DELETE /api/v1/subscriptions/{name}/parked`
pub(crate) async fn drop_all(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    raw: RawParams,
) -> Result<StatusCode, Problem> {
    raw.only(&[])?;
    let verb = SubscriptionVerb::Drop { seq: None };
    change(&shared, actor, name, verb).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/v1/subscriptions/{name}/parked/{seq}`
pub(crate) async fn drop_one(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path((name, seq)): Path<(String, String)>,
    raw: RawParams,
) -> Result<StatusCode, Problem> {
    raw.only(&[])?;
    let seq = Some(read_seq(&seq)?);
    change(&shared, actor, name, SubscriptionVerb::Drop { seq }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn read_seq(text: &str) -> Result<u64, Problem> {
    let seq = text.parse().ok();
    seq.ok_or_else(|| Problem::bad_request(format!("`{text}` is no number of an event")))
}
