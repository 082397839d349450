//! What one shift tells the next: the log, the handover that both sign, and those that are frozen.

mod draft;
mod sections;

pub use draft::{HandoverChange, HandoverDraft, Handovers, Opinions, Signature};

use crate::problem::Problem;
use crate::proof::{Claim, Peer, prove};
use crate::query::{RawParams, json_body};
use crate::right::Right;
use crate::state::{Inner, Shared, ask, work};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use model::Timestamp;
use sdk::{Action, Actor, Command, HandoverPart};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use store::{ShiftEntry, StoredHandover};

/// What an entry of the log is about.
const KINDS: [&str; 5] = ["note", "patrol", "sound_test", "call", "instruction"];

/// What must be gone through before the outgoing person signs.
const MUST_EXPLAIN: &str = "set_aside";

const TEXT_BYTES_MAX: usize = 4_000;
const PAGE_MAX: usize = 1_000;
const PAGE_DEFAULT: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    version: u64,
    #[serde(default)]
    explained: std::collections::BTreeMap<String, bool>,
    #[serde(default)]
    checklist: std::collections::BTreeMap<String, bool>,
    #[serde(default)]
    opinions: PutOpinions,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PutOpinions {
    outgoing: Option<String>,
    incoming: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sign {
    part: HandoverPart,
    user: String,
    password: String,
    version: u64,
}

fn entry_json(entry: &ShiftEntry) -> Value {
    json!({
        "id": entry.id, "at": entry.at, "actor": entry.actor, "kind": entry.kind,
        "text": entry.text,
    })
}

/// `GET /api/v1/shift-log`
pub(crate) async fn log(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    let params = raw.only(&["from", "after", "limit"])?;
    let from = params.time("from")?;
    let from = from.unwrap_or_else(|| shared.handovers.draft().began_at);
    let after = params.number("after")?.unwrap_or(0);
    let limit = params.limit(PAGE_DEFAULT, 1..=PAGE_MAX)?;
    let entries = ask(&shared, "read the shift log", move |hub| {
        hub.reader.shift_log(from, after, limit)
    })
    .await?;
    let next = entries.last().filter(|_| entries.len() == limit);
    let next = next.map(|entry| entry.id);
    let items: Vec<Value> = entries.iter().map(entry_json).collect();
    Ok(Json(json!({"from": from, "items": items, "next": next})))
}

/// `POST /api/v1/shift-log`
pub(crate) async fn add(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let Entry { kind, text } = json_body(&body)?;
    if !KINDS.contains(&kind.as_str()) {
        let detail = format!("`kind` must be one of {}", KINDS.join(", "));
        return Err(Problem::invalid(detail).with("field", "kind"));
    }
    let text = said("text", &text)?;
    if text.is_empty() && kind == "note" {
        return Err(Problem::invalid("a note needs a `text`").with("field", "text"));
    }
    let action = Action::ShiftLog { kind, text };
    let done = shared.operator.commit(Command { actor, action }).await?;
    Ok(Json(done.body))
}

fn said(field: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.len() > TEXT_BYTES_MAX {
        let detail = format!("`{field}` is longer than {TEXT_BYTES_MAX} bytes");
        return Err(Problem::invalid(detail).with("field", field));
    }
    Ok(text.to_owned())
}

/// `GET /api/v1/handover`
pub(crate) async fn draft(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    work(&shared, "show the handover", |hub| {
        let draft = hub.handovers.draft();
        let as_of_seq = hub.tail.mark.borrow().event;
        let sections = sections::all(hub, &draft)?;
        let mut body = json!(draft);
        if let Some(fields) = body.as_object_mut() {
            fields.insert("state".to_owned(), "draft".into());
            fields.insert("as_of_seq".to_owned(), as_of_seq.into());
            fields.insert("sections".to_owned(), Value::Object(sections));
        }
        Ok(Json(named(hub, body)))
    })
    .await
}

/// `PUT /api/v1/handover`
pub(crate) async fn put(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let put: Put = json_body(&body)?;
    let opinion = |field, text: Option<String>| text.map(|text| said(field, &text)).transpose();
    let change = HandoverChange {
        explained: put.explained,
        checklist: put.checklist,
        outgoing: opinion("opinions.outgoing", put.opinions.outgoing)?,
        incoming: opinion("opinions.incoming", put.opinions.incoming)?,
    };
    let action = Action::PutHandover {
        version: put.version,
        change: json!(change),
    };
    let done = shared.operator.commit(Command { actor, action }).await?;
    Ok(Json(done.body))
}

/// `POST /api/v1/handover/sign`: by the password of who signs, whoever is signed in.
pub(crate) async fn sign(
    State(shared): State<Shared>,
    Extension(signed_in): Extension<Actor>,
    peer: Peer,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let sign: Sign = json_body(&body)?;
    let claim = Claim {
        name: sign.user,
        password: sign.password,
        peer,
        session: None,
        purpose: "sign_handover",
    };
    let Some(person) = prove(&shared, claim).await? else {
        let detail = "the name or the password is wrong";
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "signature_failed",
            detail,
        ));
    };
    let actor = person.actor;
    if !Right::SignHandover.is_held_by(actor.role) {
        let detail = format!("role `{}` signs no handover", actor.role.name());
        let holders = Right::SignHandover.holders();
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail).with("roles", holders));
    }
    let (part, version) = (sign.part, sign.version);
    let entered_by = signed_in.name;
    let snapshot = work(&shared, "put a handover together", move |hub| {
        let draft = hub.handovers.draft();
        let as_of_seq = hub.tail.mark.borrow().event;
        let sections = sections::all(hub, &draft)?;
        let count = sections.get(MUST_EXPLAIN).and_then(|of| of.get("count"));
        let is_empty = count.and_then(Value::as_u64) == Some(0);
        let is_explained = draft.explained.get(MUST_EXPLAIN) == Some(&true);
        if part == HandoverPart::Outgoing && !is_empty && !is_explained {
            let detail = "what is shelved, suppressed or out of service was not gone through";
            return Err(Problem::conflict(detail).with("section", MUST_EXPLAIN));
        }
        Ok(json!({"as_of_seq": as_of_seq, "sections": sections, "entered_by": entered_by}))
    })
    .await?;
    let action = Action::SignHandover {
        part,
        version,
        snapshot,
    };
    let done = shared.operator.commit(Command { actor, action }).await?;
    Ok(Json(done.body))
}

/// `GET /api/v1/handovers`
pub(crate) async fn list(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    let params = raw.only(&["before", "limit"])?;
    let before = params.number("before")?.unwrap_or(u64::MAX);
    let limit = params.limit(PAGE_DEFAULT, 1..=PAGE_MAX)?;
    let rows = ask(&shared, "read the handovers", move |hub| {
        hub.reader.handovers(before, limit)
    })
    .await?;
    let next = rows
        .last()
        .filter(|_| rows.len() == limit)
        .map(|row| row.id);
    let items: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut shown = named(&shared, frozen(row));
            if let Some(fields) = shown.as_object_mut() {
                fields.remove("sections");
            }
            shown
        })
        .collect();
    Ok(Json(json!({"items": items, "next": next})))
}

/// `GET /api/v1/handovers/{id}`
pub(crate) async fn one(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let missing = || Problem::not_found(format!("there is no frozen handover `{id}`"));
    let number: u64 = id.parse().map_err(|_| missing())?;
    let row = ask(&shared, "read a handover", move |hub| {
        hub.reader.handover(number)
    })
    .await?;
    let row = row
        .filter(|row| row.frozen_at.is_some())
        .ok_or_else(missing)?;
    Ok(Json(named(&shared, frozen(&row))))
}

/// Adds what people call those who signed, and who answers for the shift; it is no part of what was
/// signed.
fn named(hub: &Inner, mut shown: Value) -> Value {
    let called = |of: &Value, name: &str| {
        let name = of.get(name).and_then(Value::as_str);
        json!(name.and_then(|name| hub.accounts.display_name(name)))
    };
    let responsible = called(&shown, "responsible");
    let signatures = shown.get_mut("signatures").and_then(Value::as_array_mut);
    for signature in signatures.into_iter().flatten() {
        let name = called(signature, "name");
        if let Some(fields) = signature.as_object_mut() {
            fields.insert("display_name".to_owned(), name);
        }
    }
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("responsible_name".to_owned(), responsible);
    }
    shown
}

/// Shows a frozen handover, and whether it is what was signed.
fn frozen(row: &StoredHandover) -> Value {
    let mut shown: Value = serde_json::from_str(&row.json).unwrap_or_default();
    let hash = handover_hash(&row.json);
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("state".to_owned(), "frozen".into());
        fields.insert("frozen_at".to_owned(), json!(row.frozen_at));
        fields.insert(
            "intact".to_owned(),
            (row.hash.as_ref() == Some(&hash)).into(),
        );
        fields.insert("hash".to_owned(), json!(row.hash));
    }
    shown
}

/// The SHA-256 of a handover's text, as hexadecimal digits.
pub fn handover_hash(json: &str) -> String {
    let sum = Sha256::digest(json.as_bytes());
    sum.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes any text");
        hex
    })
}

/// What the writer answers to a change of the draft.
pub fn handover_json(draft: &HandoverDraft, frozen: Option<(Timestamp, &str)>) -> Value {
    let mut body = json!(draft);
    if let Some(fields) = body.as_object_mut() {
        let state = if frozen.is_some() { "frozen" } else { "draft" };
        fields.insert("state".to_owned(), state.into());
        if let Some((at, hash)) = frozen {
            fields.insert("frozen_at".to_owned(), json!(at));
            fields.insert("hash".to_owned(), hash.into());
        }
    }
    body
}
