//! Orders for a device that is connected now: read an interval back, set its clock.

use crate::devices::find;
use crate::problem::Problem;
use crate::query::{RawParams, json_body};
use crate::state::Shared;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use sdk::{Action, Actor, Command, OrderError};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Longest name of an order.
const COMMAND_CHARS_MAX: usize = 64;

/// What the device shall do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    command: String,
    #[serde(default)]
    args: Map<String, Value>,
}

/// `POST /api/v1/devices/{id}/commands`: waits for the device's own answer. Who asked for what is in
/// the audit trail before the device hears of it, and how it ended is there after.
pub(crate) async fn order(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let asked: Asked = json_body(&body)?;
    let name = asked.command;
    if name.is_empty() || name.chars().count() > COMMAND_CHARS_MAX {
        let detail = format!("`command` must have 1 to {COMMAND_CHARS_MAX} characters");
        return Err(Problem::bad_request(detail));
    }
    let entry = find(&shared, &id)?;
    if !shared.downlink.is_connected(entry.key) {
        return Err(problem(&OrderError::NotConnected));
    }
    let args = Value::Object(asked.args);
    let said = json!({"command": name, "args": args});
    note(&shared, &actor, ("command_device", &id), said.clone()).await?;
    let answered = shared.downlink.order(entry.key, name, args).await;
    let mut outcome = said;
    if let Some(fields) = outcome.as_object_mut() {
        match &answered {
            Ok(answer) => fields.insert("answer".to_owned(), answer.clone()),
            Err(error) => fields.insert("error".to_owned(), json!(error.to_string())),
        };
    }
    note(&shared, &actor, ("device_answer", &id), outcome).await?;
    match answered {
        Ok(answer) => Ok(Json(json!({"answer": answer}))),
        Err(error) => Err(problem(&error)),
    }
}

async fn note(
    shared: &Shared,
    actor: &Actor,
    (action, subject): (&str, &str),
    detail: Value,
) -> Result<(), Problem> {
    let action = Action::Note {
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail,
        marks: Vec::new(),
    };
    let actor = actor.clone();
    shared.operator.commit(Command { actor, action }).await?;
    Ok(())
}

fn problem(error: &OrderError) -> Problem {
    let detail = error.to_string();
    match error {
        OrderError::NotConnected => Problem::new(StatusCode::CONFLICT, "not-connected", detail),
        OrderError::Refused(_) => Problem::new(StatusCode::CONFLICT, "device-refused", detail),
        OrderError::Unsupported(_) | OrderError::Invalid(_) => Problem::invalid(detail),
        OrderError::NoAnswer => Problem::new(StatusCode::GATEWAY_TIMEOUT, "no-answer", detail),
    }
}
