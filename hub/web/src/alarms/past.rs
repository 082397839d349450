//! What happened to one alarm, and what people did and said.

use super::no_alarm;
use crate::problem::Problem;
use crate::query::RawParams;
use crate::state::{Shared, store_problem, work};
use axum::Json;
use axum::extract::{Path, State};
use model::Event;
use serde_json::{Map, Value, json};

const PAGE_MAX: usize = 1_000;
const PAGE_DEFAULT: usize = 200;

const WHAT: &str = "tell the history of an alarm";

/// What of the row each entry shows beside who acted.
const FIELDS: [&str; 15] = [
    "actor",
    "comment",
    "severity",
    "state",
    "value",
    "limit",
    "unit",
    "owner",
    "shelved_until",
    "shelve_reason",
    "suppressed_by",
    "verdict",
    "case",
    "note",
    "version",
];

/// `GET /api/v1/alarms/{id}/history`
pub(crate) async fn history(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    let params = raw.only(&["after", "limit"])?;
    let after = params.number("after")?.unwrap_or(0);
    let limit = params.limit(PAGE_DEFAULT, 1..=PAGE_MAX)?;
    work(&shared, WHAT, move |hub| {
        let wrong = |error| store_problem(WHAT, &error);
        let is_known =
            hub.alarms().get(&id).is_some() || hub.reader.alarm(&id).map_err(wrong)?.is_some();
        if !is_known {
            return Err(no_alarm(&id));
        }
        let events = hub.reader.events_about(&id, after, limit).map_err(wrong)?;
        let next = events.last().filter(|_| events.len() == limit);
        let next = next.map(|event| event.seq);
        let items: Vec<Value> = events.iter().map(entry).collect();
        Ok(Json(json!({"items": items, "next": next})))
    })
    .await
}

fn entry(event: &Event) -> Value {
    let cloud: Value = serde_json::from_str(&event.json).unwrap_or_default();
    let row = cloud.get("data");
    let mut entry = Map::new();
    entry.insert("seq".to_owned(), event.seq.into());
    entry.insert(
        "at".to_owned(),
        cloud.get("time").cloned().unwrap_or_default(),
    );
    let kind = event.kind.strip_prefix("cityhub.alarm.");
    entry.insert("kind".to_owned(), kind.unwrap_or(&event.kind).into());
    for name in FIELDS {
        let value = row.and_then(|row| row.get(name)).cloned();
        entry.insert(name.to_owned(), value.unwrap_or_default());
    }
    Value::Object(entry)
}
