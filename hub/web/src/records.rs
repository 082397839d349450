//! What is kept for those who look after the hub: the audit trail, the quarantine, the catalogue.

use crate::devices;
use crate::problem::Problem;
use crate::proof::note;
use crate::query::RawParams;
use crate::state::{Shared, ask};
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use sdk::Actor;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fmt::Write as _;
use store::AuditVerdict;

const PAGE_MAX: usize = 1_000;
const PAGE_DEFAULT: usize = 100;

/// Bytes of a quarantined frame that are shown.
const FRAME_BYTES_SHOWN_MAX: usize = 4_096;

/// `GET /api/v1/audit`
pub(crate) async fn audit(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    let params = raw.only(&["after", "limit"])?;
    let after = params.number("after")?.unwrap_or(0);
    let limit = params.limit(PAGE_DEFAULT, 1..=PAGE_MAX)?;
    let (rows, head) = ask(&shared, "read the audit trail", move |hub| {
        // The head first: it is never ahead of what a full page shows.
        let head = hub.reader.audit_head()?;
        Ok((hub.reader.audit(after, limit)?, head))
    })
    .await?;
    let items: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "seq": row.seq,
                "at": row.at,
                "actor": row.actor,
                "display_name": shared.accounts.display_name(&row.actor),
                "role": row.role,
                "action": row.action,
                "subject": row.subject,
                "detail": detail(&row.detail),
                "hash": hex(&row.hash),
            })
        })
        .collect();
    let next = rows.last().map_or(after, |row| row.seq);
    let head = json!({"seq": head.0, "hash": hex(&head.1)});
    Ok(Json(json!({"items": items, "next": next, "head": head})))
}

/// `GET /api/v1/audit/check`: every link of the chain is computed again.
pub(crate) async fn check(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let verdict = ask(&shared, "walk the audit trail", |hub| {
        hub.reader.verify_audit()
    });
    Ok(Json(match verdict.await? {
        AuditVerdict::Whole { links, head, .. } => {
            json!({"whole": true, "links": links, "head": hex(&head)})
        }
        AuditVerdict::Broken(broken) => {
            json!({"whole": false, "number": broken.number, "reason": broken.to_string()})
        }
    }))
}

/// `POST /api/v1/canary`: sends the test sensor now.
pub(crate) async fn canary(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    raw: RawParams,
) -> Result<StatusCode, Problem> {
    raw.only(&[])?;
    if shared.health.canary().is_none() {
        let detail = "the canary is turned off in the configuration (`[canary]`)";
        return Err(Problem::conflict(detail));
    }
    note(&shared, &actor, ("send_canary", "canary"), json!({})).await?;
    shared.health.want_canary();
    Ok(StatusCode::ACCEPTED)
}

/// The detail is JSON text; should it not be, it is shown as it is.
pub(crate) fn detail(text: &str) -> Value {
    RawValue::from_string(text.to_owned())
        .ok()
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_else(|| text.into())
}

/// `GET /api/v1/quarantine`
pub(crate) async fn quarantine(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    let params = raw.only(&["device", "limit"])?;
    let limit = params.limit(PAGE_DEFAULT, 1..=PAGE_MAX)?;
    let of = params
        .text("device")
        .map(|id| devices::find(&shared, id).map(|entry| entry.key))
        .transpose()?;
    let items = ask(&shared, "read the quarantine", move |hub| {
        let rows = hub.reader.quarantine(of, limit)?;
        let rows = rows.iter().map(|row| {
            let shown = row.bytes.get(..FRAME_BYTES_SHOWN_MAX).unwrap_or(&row.bytes);
            let device = row.device.and_then(|key| hub.devices.get(key));
            json!({
                "id": row.id,
                "at": row.at,
                "driver": hub.driver_names.get(usize::from(row.driver)),
                "device": device.map(|entry| entry.device.id.clone()),
                "reason": row.reason,
                "detail": row.detail,
                "bytes": row.bytes.len(),
                "text": std::str::from_utf8(shown).ok(),
                "hex": hex(shown),
            })
        });
        Ok(rows.collect::<Vec<Value>>())
    })
    .await?;
    Ok(Json(json!({"items": items})))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes any text");
        text
    })
}

/// `GET /api/v1/catalogue`
pub(crate) async fn catalogue(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let kinds: Vec<&str> = shared.catalogue.kinds().collect();
    Ok(Json(
        json!({"metrics": shared.catalogue.defs(), "kinds": kinds}),
    ))
}
