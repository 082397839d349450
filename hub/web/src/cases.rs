//! The cases: the list, one of them, and the steps that platforms report.

use crate::actions::Caller;
use crate::problem::Problem;
use crate::query::{Params, RawParams, bad_cursor};
use crate::state::{Inner, Shared, ask, store_problem, work};
use crate::written::Written;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use model::{CaseRow, CaseState, DeviceId, Severity};
use sdk::{Action, Command, StepReport};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::PoisonError;
use store::{CaseFilter, CaseQuery};

const PAGE_MAX: usize = 1_000;
const PAGE_DEFAULT: usize = 100;

/// `GET /api/v1/cases`
pub(crate) async fn list(State(shared): State<Shared>, raw: RawParams) -> Result<Written, Problem> {
    let params = raw.only(&[
        "state", "severity", "category", "grid", "district", "street", "unit", "kind", "device",
        "overdue", "queue", "q", "from", "to", "limit", "cursor",
    ])?;
    let query = read_query(&params)?;
    work(&shared, "list the cases", move |hub| page(hub, &query)).await
}

fn read_query(params: &Params) -> Result<CaseQuery, Problem> {
    let text = |name: &str| params.text(name).map(str::to_owned);
    let device = params
        .text("device")
        .map(DeviceId::new)
        .transpose()
        .map_err(|error| Problem::bad_request(format!("query parameter `device`: {error}")))?;
    let after = params.text("cursor").map(|cursor| {
        let number = cursor.strip_prefix('c').and_then(|text| text.parse().ok());
        number.ok_or_else(|| bad_cursor(cursor))
    });
    Ok(CaseQuery {
        states: match params.text("state") {
            None | Some("open") => CaseFilter::Open,
            Some("all") => CaseFilter::All,
            Some(_) => {
                let words = CaseState::ALL.map(|state| (state.name(), state));
                CaseFilter::Only(params.words("state", &words)?)
            }
        },
        severities: params.words("severity", &Severity::ALL.map(|s| (s.name(), s)))?,
        category: text("category"),
        grid: text("grid"),
        district: text("district"),
        street: text("street"),
        unit: text("unit"),
        kind: text("kind"),
        device,
        overdue: params.flag("overdue")?,
        unroutable: params.word("queue", &[("unroutable", ())])?.is_some(),
        q: text("q"),
        opened_from: params.time("from")?,
        opened_to: params.time("to")?,
        after: after.transpose()?,
        limit: params.limit(PAGE_DEFAULT, 1..=PAGE_MAX)?,
    })
}

/// One answer of the list.
#[derive(Debug, Serialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    counts: Value,
    as_of_seq: u64,
    next: Option<String>,
}

fn page(hub: &Inner, query: &CaseQuery) -> Result<Written, Problem> {
    const WHAT: &str = "list the cases";
    // The mark is read first: what the list shows is at least as new as it says.
    let as_of_seq = hub.tail.mark.borrow().event;
    let page = hub.reader.cases(query);
    let page = page.map_err(|error| store_problem(WHAT, &error))?;
    // A row is written as it lies in the store: reading it would cost more than finding it.
    let rows = page.numbers.iter().zip(page.rows);
    let items = rows.map(|(number, row)| RawValue::from_string(live_text(hub, *number, row)));
    let items: Result<Vec<_>, _> = items.collect();
    let mut counts = counts(hub);
    if let Some(counts) = counts.as_object_mut() {
        counts.insert("matched".to_owned(), page.matched.into());
    }
    Written::json(&Page {
        items: items.map_err(|error| Problem::internal(WHAT, &error))?,
        counts,
        as_of_seq,
        next: page.next.map(|number| format!("c{number}")),
    })
}

/// Gives a row as it is now: its figures may have moved since it was written to the store.
pub(crate) fn live(hub: &Inner, row: CaseRow) -> CaseRow {
    let moved = hub.moved_cases.read();
    let moved = moved.unwrap_or_else(PoisonError::into_inner);
    match moved.get(&row.id) {
        Some(moved) if moved.version >= row.version => moved.clone(),
        _ => row,
    }
}

fn live_text(hub: &Inner, number: u64, row: String) -> String {
    /// What tells which of two rows is newer.
    #[derive(Deserialize)]
    struct Age {
        version: u64,
    }
    let moved = hub.moved_cases.read();
    let moved = moved.unwrap_or_else(PoisonError::into_inner);
    let Some(moved) = moved.get(&format!("c{number}")) else {
        return row;
    };
    match serde_json::from_str(&row) {
        Ok(Age { version }) if moved.version >= version => json!(moved).to_string(),
        _ => row,
    }
}

/// Counts all that is open, whatever the request filters by.
fn counts(hub: &Inner) -> Value {
    let counts = hub.cases.read().unwrap_or_else(PoisonError::into_inner);
    let mut severities: BTreeMap<&str, u64> = Severity::ALL.map(|s| (s.name(), 0)).into();
    let open = CaseState::ALL.into_iter().filter(|state| state.is_open());
    let mut states: BTreeMap<&str, u64> = open.map(|state| (state.name(), 0)).collect();
    let mut total = 0;
    for ((state, severity), count) in &counts.by_state {
        *severities.entry(severity.name()).or_default() += count;
        *states.entry(state.name()).or_default() += count;
        total += count;
    }
    json!({
        "total": total,
        "severity": severities,
        "state": states,
        "overdue": counts.overdue,
        "unroutable": counts.unroutable,
        "supervised": counts.supervised,
    })
}

/// `GET /api/v1/cases/{id}`
pub(crate) async fn one(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let wanted = id.clone();
    let row = ask(&shared, "look a case up", move |hub| {
        let row = hub.reader.case(&wanted)?;
        Ok(row.map(|row| live(hub, row)))
    })
    .await?;
    row.map(|row| Json(json!(row)))
        .ok_or_else(|| Problem::not_found(format!("there is no case `{id}`")))
}

/// `POST /api/v1/cases/{id}/steps`
pub(crate) async fn step(
    State(shared): State<Shared>,
    Caller { actor, key }: Caller,
    Path(id): Path<String>,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let report = StepReport::parse(&body)
        .map_err(|reason| Problem::bad_request(format!("body: {reason}")))?;
    let action = Action::CaseStep { id, report, key };
    let done = shared.operator.commit(Command { actor, action }).await?;
    Ok(Json(done.body))
}
