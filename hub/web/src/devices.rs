//! The register of devices: putting, finding, deleting, and what each of them says now.

use crate::problem::Problem;
use crate::quality;
use crate::query::{Params, RawParams};
use crate::roster::{Roster, RowNote};
use crate::state::{Inner, Shared, work};
use crate::status::{self, DeviceRow, STATUS_WORDS};
use crate::written::Written;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use model::{DeviceId, DeviceStatus};
use sdk::{Action, Actor, Command, DeviceEntry, SecretChange, SecretHash};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of one page, at most.
const PAGE_MAX: usize = 1_000;
const PAGE_DEFAULT: usize = 100;

/// Wrong rows that one answer names; all of them are counted.
const ERRORS_SHOWN_MAX: usize = 200;

/// `GET /api/v1/devices`
pub(crate) async fn list(State(shared): State<Shared>, raw: RawParams) -> Result<Written, Problem> {
    let params = raw.only(&[
        "kind", "status", "q", "site", "parent", "grid", "limit", "cursor",
    ])?;
    let filter = Filter::read(&params)?;
    work(&shared, "list the devices", move |hub| page(hub, &filter)).await
}

struct Filter {
    kind: Option<String>,
    statuses: Vec<DeviceStatus>,
    /// Lower case.
    q: Option<String>,
    site: Option<String>,
    parent: Option<String>,
    grid: Option<String>,
    limit: usize,
    /// The id after which the page begins.
    cursor: Option<String>,
}

impl Filter {
    fn read(params: &Params) -> Result<Self, Problem> {
        let text = |name: &str| params.text(name).map(str::to_owned);
        Ok(Self {
            kind: text("kind"),
            statuses: params.words("status", &STATUS_WORDS)?,
            q: params.text("q").map(str::to_lowercase),
            site: text("site"),
            parent: text("parent"),
            grid: text("grid"),
            limit: params.limit(PAGE_DEFAULT, 0..=PAGE_MAX)?,
            cursor: text("cursor"),
        })
    }

    fn matches(&self, entry: &DeviceEntry) -> bool {
        let device = &entry.device;
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| Some(wanted.as_str()) == value)
        };
        is(&self.kind, Some(&device.kind))
            && is(&self.site, device.site.as_deref())
            && is(&self.parent, device.parent.as_ref().map(DeviceId::as_str))
            && is(&self.grid, entry.grid.as_deref())
            && self.q.as_ref().is_none_or(|q| {
                [
                    Some(device.id.as_str()),
                    device.name.as_deref(),
                    device.site.as_deref(),
                ]
                .into_iter()
                .flatten()
                .any(|text| text.to_lowercase().contains(q))
            })
    }
}

/// The counts are over all that match but for `status`, so that each status is a way to filter.
fn page(hub: &Inner, filter: &Filter) -> Result<Written, Problem> {
    let mut counts: BTreeMap<&str, u64> = STATUS_WORDS.iter().map(|(word, _)| (*word, 0)).collect();
    let mut items: Vec<Value> = Vec::new();
    let mut total = 0u64;
    let mut next = None;
    for entry in hub.devices.all() {
        if !filter.matches(&entry) {
            continue;
        }
        let health = hub.statuses.of(entry.key);
        *counts.entry(health.status.name()).or_default() += 1;
        if !filter.statuses.is_empty() && !filter.statuses.contains(&health.status) {
            continue;
        }
        total += 1;
        let id = entry.device.id.as_str();
        if filter.cursor.as_deref().is_some_and(|cursor| id <= cursor) || next.is_some() {
            continue;
        }
        if items.len() >= filter.limit {
            next = items.last().and_then(|row| row.get("id")).cloned();
            // Without a row there is no place to go on from.
            next = next.or(Some(Value::Null));
            continue;
        }
        items.push(json!(row(hub, &entry)));
    }
    let next = next.unwrap_or(Value::Null);
    Written::json(&json!({"items": items, "counts": counts, "total": total, "next": next}))
}

fn row<'a>(hub: &Inner, entry: &'a DeviceEntry) -> DeviceRow<'a> {
    let latest = status::latest_by_metric(&hub.catalogue, &hub.reader.latest(entry.key));
    let last_seen = hub.reader.seen(entry.key).map(|seen| seen.last_received);
    DeviceRow::new(entry, hub.statuses.of(entry.key), last_seen, latest)
}

/// `GET /api/v1/devices/unclaimed`
pub(crate) async fn unclaimed(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    Ok(Json(json!({"items": shared.knocks.list()})))
}

/// `GET /api/v1/devices/{id}`
pub(crate) async fn one(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let entry = find(&shared, &id)?;
    work(&shared, "look a device up", move |hub| {
        let quality = quality::by_metric(hub, entry.key, &hub.reader.latest(entry.key))?;
        let mut shown = json!(row(hub, &entry));
        if let Some(fields) = shown.as_object_mut() {
            let rejected = hub.reader.device_totals(entry.key).rejected;
            fields.insert("quality".to_owned(), json!(quality));
            fields.insert("rejected".to_owned(), json!(rejected));
        }
        Ok(Json(shown))
    })
    .await
}

pub(crate) fn find(shared: &Shared, id: &str) -> Result<Arc<DeviceEntry>, Problem> {
    shared
        .devices
        .find(id)
        .ok_or_else(|| Problem::not_found(format!("no device `{id}` is registered")))
}

/// `PUT /api/v1/devices`: all rows or none.
pub(crate) async fn put(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    raw: RawParams,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let params = raw.only(&["dry_run"])?;
    let dry_run = params.flag("dry_run")?;
    let form = Form::of(&headers)?;
    let (roster, rows) = work(&shared, "check the devices", move |hub| {
        let mut roster = match form {
            Form::Json => Roster::from_json(&body),
            Form::Csv => Roster::from_csv(&body),
        }
        .map_err(Problem::bad_request)?;
        roster.check(&hub.catalogue, &hub.devices);
        if !roster.errors.is_empty() {
            return Err(row_problem(&roster.errors));
        }
        let rows = changes(hub, &roster);
        Ok((roster, rows))
    })
    .await?;
    let received = rows.len();
    let known = |id: &DeviceId| shared.devices.find(id.as_str()).is_some();
    let updated = roster
        .rows
        .iter()
        .filter(|row| known(&row.device.id))
        .count();
    let ids: Vec<DeviceId> = rows.iter().map(|(device, _)| device.id.clone()).collect();
    let mut seq = None;
    if !dry_run && !rows.is_empty() {
        let action = Action::PutDevices(rows);
        let done = shared.operator.commit(Command { actor, action }).await?;
        seq = Some(done.seq);
        for id in ids {
            shared.knocks.forget(id.as_str());
        }
    }
    Ok(Json(json!({
        "received": received,
        "created": received - updated,
        "updated": updated,
        "dry_run": dry_run,
        "commit": seq,
        "warnings": roster.warnings.iter().take(ERRORS_SHOWN_MAX).collect::<Vec<_>>(),
        "warnings_total": roster.warnings.len(),
    })))
}

/// How the list of devices is written.
#[derive(Copy, Clone, Debug)]
enum Form {
    Json,
    Csv,
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else {
            return Ok(Self::Json);
        };
        let media = value.to_str().unwrap_or_default();
        match media.split(';').next().unwrap_or_default().trim() {
            "text/csv" => Ok(Self::Csv),
            // What curl says when it is told nothing.
            "application/json" | "application/x-www-form-urlencoded" => Ok(Self::Json),
            other => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                format!("`{other}` is neither `application/json` nor `text/csv`"),
            )),
        }
    }
}

fn changes(hub: &Inner, roster: &Roster) -> Vec<(model::Device, SecretChange)> {
    let salt = hub.devices.salt();
    let rows = roster.rows.iter();
    rows.map(|row| {
        let secret = row.secret.as_ref().map_or(SecretChange::Keep, |secret| {
            SecretChange::Set(SecretHash::of(salt, secret))
        });
        (row.device.clone(), secret)
    })
    .collect()
}

fn row_problem(errors: &[RowNote]) -> Problem {
    let first = errors.first().map(ToString::to_string).unwrap_or_default();
    let detail = match errors.len() {
        1 => format!("nothing was written: {first}"),
        n => format!("nothing was written: {n} mistakes, the first in {first}"),
    };
    let shown: Vec<_> = errors.iter().take(ERRORS_SHOWN_MAX).collect();
    Problem::invalid(detail)
        .with("errors", json!(shown))
        .with("errors_total", errors.len())
}

/// `DELETE /api/v1/devices/{id}`
pub(crate) async fn delete(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    raw: RawParams,
) -> Result<StatusCode, Problem> {
    raw.only(&[])?;
    let entry = find(&shared, &id)?;
    let id = entry.device.id.clone();
    let is_child = |other: &&Arc<DeviceEntry>| other.device.parent.as_ref() == Some(&id);
    let all = shared.devices.all();
    let children = all.iter().filter(is_child).count();
    if children > 0 {
        let detail = format!("`{id}` is the parent of {children} devices; give them another first");
        return Err(Problem::conflict(detail).with("children", children));
    }
    let action = Action::DeleteDevice(id.clone());
    shared.operator.commit(Command { actor, action }).await?;
    Ok(StatusCode::NO_CONTENT)
}
