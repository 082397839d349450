//! The alarms: those that are not normal from the book, history from the store.

mod filter;
mod past;
mod shown;

pub(crate) use filter::{Sort, pick};
pub(crate) use past::history;
pub(crate) use shown::Shown;
pub use shown::alarm_row;

use crate::problem::Problem;
use crate::query::{Params, RawParams};
use crate::roll::Roll;
use crate::state::{Inner, Shared, ask, store_problem, work};
use crate::written::Written;
use axum::Json;
use axum::extract::{Path, State};
use filter::SORTS;
use model::{AlarmRow, AlarmState, DeviceId, Severity};
use serde::Serialize;
use serde_json::{Map, Value, json};
use shown::rules_of;
use std::collections::BTreeMap;
use store::{AlarmQuery, StateFilter};

const PAGE_MAX: usize = 10_000;
const PAGE_DEFAULT: usize = 1_000;

/// `GET /api/v1/alarms`
pub(crate) async fn list(State(shared): State<Shared>, raw: RawParams) -> Result<Written, Problem> {
    let params = raw.only(&[
        "state",
        "severity",
        "kind",
        "device",
        "grid",
        "rule",
        "from",
        "to",
        "withdrawn",
        "q",
        "sort",
        "limit",
        "cursor",
    ])?;
    let query = read_query(&shared, &params)?;
    let sort = params.word("sort", &SORTS)?;
    work(&shared, "list the alarms", move |hub| {
        page(hub, &query, sort)
    })
    .await
}

pub(crate) fn read_query(shared: &Inner, params: &Params) -> Result<AlarmQuery, Problem> {
    let text = |name: &str| params.text(name).map(str::to_owned);
    let device = params
        .text("device")
        .map(DeviceId::new)
        .transpose()
        .map_err(|error| Problem::bad_request(format!("query parameter `device`: {error}")))?;
    Ok(AlarmQuery {
        states: read_states(params)?,
        severities: params.words("severity", &Severity::ALL.map(|s| (s.name(), s)))?,
        kind: text("kind"),
        device,
        regions: params.regions()?,
        city_code: shared.city.code.clone(),
        rule: text("rule"),
        from: params.time("from")?,
        to: params.time("to")?,
        withdrawn: params.flag("withdrawn")?,
        q: text("q"),
        after: text("cursor"),
        limit: params.limit(PAGE_DEFAULT, 1..=PAGE_MAX)?,
    })
}

fn read_states(params: &Params) -> Result<StateFilter, Problem> {
    match params.text("state") {
        None | Some("open") => Ok(StateFilter::Open),
        Some("all") => Ok(StateFilter::All),
        Some(_) => {
            let words = AlarmState::ALL.map(|state| (state.name(), state));
            params.words("state", &words).map(StateFilter::Only)
        }
    }
}

fn page(hub: &Inner, query: &AlarmQuery, sort: Option<Sort>) -> Result<Written, Problem> {
    // The mark is read first: what the list shows is at least as new as it says, so a stream from
    // there on can repeat an event, but never miss one.
    let as_of_seq = hub.tail.mark.borrow().event;
    let is_open = match &query.states {
        StateFilter::Open => true,
        StateFilter::Only(states) => !states.contains(&AlarmState::Normal),
        StateFilter::All => false,
    };
    let mut counts = counts(&hub.alarms());
    let (rows, next) = if is_open {
        let picked = pick(hub, query, sort.unwrap_or(Sort::Newest))?;
        if let Some(counts) = counts.as_object_mut() {
            counts.insert("matched".to_owned(), picked.matched.into());
            counts.insert("filtered".to_owned(), picked.counts);
        }
        (picked.rows, picked.next)
    } else if sort == Some(Sort::Priority) {
        let detail = "query parameter `sort`: history is listed by `newest` only";
        return Err(Problem::bad_request(detail));
    } else {
        from_store(hub, query)?
    };
    let items: Vec<Shown> = rows.into_iter().map(|row| Shown::of(hub, row)).collect();
    Written::json(&Page {
        rules: rules_of(hub, items.iter()),
        items,
        counts,
        as_of_seq,
        next,
    })
}

/// One answer of the list.
#[derive(Debug, Serialize)]
struct Page {
    items: Vec<Shown>,
    /// What the rows have in common, by the id of their rule.
    rules: Map<String, Value>,
    counts: Value,
    as_of_seq: u64,
    next: Option<String>,
}

fn from_store(hub: &Inner, query: &AlarmQuery) -> Result<(Vec<AlarmRow>, Option<String>), Problem> {
    let page = hub
        .reader
        .alarms(query)
        .map_err(|error| store_problem("list the alarms", &error))?;
    let book = hub.alarms();
    // The store has a row as of its last event; the book knows the latest value.
    let items = page
        .rows
        .into_iter()
        .map(|row| book.get(&row.id).cloned().unwrap_or(row))
        .collect();
    Ok((items, page.next))
}

/// Counts everything that is not normal, whatever the request filters by.
pub(crate) fn counts(roll: &Roll) -> Value {
    let mut severities: BTreeMap<&str, u64> = Severity::ALL.map(|s| (s.name(), 0)).into();
    let mut states: BTreeMap<&str, u64> = AlarmState::ALL
        .iter()
        .filter(|state| **state != AlarmState::Normal)
        .map(|state| (state.name(), 0))
        .collect();
    let mut matrix: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    let mut total = 0;
    for ((state, severity), count) in roll.counts() {
        let row = matrix.entry(state.name()).or_default();
        row.insert(severity.name(), *count);
        *severities.entry(severity.name()).or_default() += count;
        *states.entry(state.name()).or_default() += count;
        total += count;
    }
    json!({"total": total, "severity": severities, "state": states, "matrix": matrix})
}

/// `GET /api/v1/alarms/{id}`
pub(crate) async fn one(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let known = shared.alarms().get(&id).cloned();
    let row = match known {
        Some(row) => Some(row),
        None => {
            let wanted = id.clone();
            ask(&shared, "look an alarm up", move |hub| {
                hub.reader.alarm(&wanted)
            })
            .await?
        }
    };
    let row = row.ok_or_else(|| no_alarm(&id))?;
    let shown = [Shown::of(&shared, row)];
    let rule = rules_of(&shared, shown.iter()).into_iter().next();
    let [shown] = shown;
    let mut body = json!(shown);
    if let Some(fields) = body.as_object_mut() {
        let advice = rule.and_then(|(_, rule)| rule.get("advice").cloned());
        fields.insert("advice".to_owned(), advice.unwrap_or_default());
    }
    Ok(Json(body))
}

pub(crate) fn no_alarm(id: &str) -> Problem {
    Problem::not_found(format!("there is no alarm `{id}`"))
}
