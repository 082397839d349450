//! The alarms: those that are not normal from the book, history from the store.

use crate::problem::Problem;
use crate::query::{Params, RawParams, bad_cursor};
use crate::state::{Inner, Shared, ask, store_problem, work};
use crate::written::Written;
use axum::Json;
use axum::extract::{Path, State};
use model::{AlarmRow, AlarmState, DeviceId, Severity};
use rules::AlarmBook;
use serde::Serialize;
use serde_json::{Value, json};
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
        "withdrawn",
        "q",
        "limit",
        "cursor",
    ])?;
    let query = read_query(&params)?;
    work(&shared, "list the alarms", move |hub| page(hub, &query)).await
}

fn read_query(params: &Params) -> Result<AlarmQuery, Problem> {
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
        grid: text("grid"),
        rule: text("rule"),
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

fn page(hub: &Inner, query: &AlarmQuery) -> Result<Written, Problem> {
    // The mark is read first: what the list shows is at least as new as it says, so a stream from
    // there on can repeat an event, but never miss one.
    let as_of_seq = hub.tail.mark.borrow().event;
    let (items, matched, next) = match &query.states {
        StateFilter::Open => from_book(hub, query, None)?,
        StateFilter::Only(states) if !states.contains(&AlarmState::Normal) => {
            from_book(hub, query, Some(states))?
        }
        StateFilter::All | StateFilter::Only(_) => from_store(hub, query)?,
    };
    let mut counts = counts(&hub.alarms());
    if let (Some(counts), Some(matched)) = (counts.as_object_mut(), matched) {
        counts.insert("matched".to_owned(), matched.into());
    }
    Written::json(&Page {
        items,
        counts,
        as_of_seq,
        next,
    })
}

/// One answer of the list.
#[derive(Debug, Serialize)]
struct Page {
    items: Vec<AlarmRow>,
    counts: Value,
    as_of_seq: u64,
    next: Option<String>,
}

type Rows = (Vec<AlarmRow>, Option<u64>, Option<String>);

/// A row's place in the list: when it was raised, then its number.
type Place = (i64, u64);

fn place(row: &AlarmRow) -> Place {
    (row.raised_at.millis(), number(&row.id).unwrap_or_default())
}

fn read_place(cursor: &str) -> Option<Place> {
    let (raised_ms, number) = cursor.split_once('.')?;
    Some((raised_ms.parse().ok()?, number.parse().ok()?))
}

/// Newest first.
fn from_book(
    hub: &Inner,
    query: &AlarmQuery,
    states: Option<&[AlarmState]>,
) -> Result<Rows, Problem> {
    let after = match &query.after {
        None => None,
        Some(cursor) => Some(read_place(cursor).ok_or_else(|| bad_cursor(cursor))?),
    };
    let filter = Filter::new(query, states);
    let book = hub.alarms();
    let mut matching: Vec<&AlarmRow> = book.rows().filter(|row| filter.matches(row)).collect();
    let matched = matching.len() as u64;
    matching.sort_unstable_by_key(|row| std::cmp::Reverse(place(row)));
    let mut rest = matching
        .into_iter()
        .filter(|row| after.is_none_or(|after| place(row) < after));
    let shown: Vec<&AlarmRow> = rest.by_ref().take(query.limit).collect();
    let next = rest.next().and(shown.last()).map(|row| {
        let (raised_ms, number) = place(row);
        format!("{raised_ms}.{number}")
    });
    // Rows are copied, not written, while the book is held: the writer waits for it.
    let items = shown.into_iter().cloned().collect();
    Ok((items, Some(matched), next))
}

/// The number in an alarm's id.
fn number(id: &str) -> Option<u64> {
    id.strip_prefix('a')?.parse().ok()
}

fn from_store(hub: &Inner, query: &AlarmQuery) -> Result<Rows, Problem> {
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
    Ok((items, None, page.next))
}

struct Filter<'a> {
    query: &'a AlarmQuery,
    states: Option<&'a [AlarmState]>,
    /// Lower case.
    q: Option<String>,
}

impl<'a> Filter<'a> {
    fn new(query: &'a AlarmQuery, states: Option<&'a [AlarmState]>) -> Self {
        Self {
            query,
            states,
            q: query.q.as_ref().map(|q| q.to_lowercase()),
        }
    }

    fn matches(&self, row: &AlarmRow) -> bool {
        let Self { query, states, q } = self;
        states.is_none_or(|states| states.contains(&row.state))
            && (query.severities.is_empty() || query.severities.contains(&row.severity))
            && query.kind.as_ref().is_none_or(|kind| *kind == row.kind)
            && query
                .device
                .as_ref()
                .is_none_or(|device| *device == row.device)
            && query
                .grid
                .as_ref()
                .is_none_or(|grid| Some(grid) == row.grid.as_ref())
            && query.rule.as_ref().is_none_or(|rule| *rule == row.rule)
            && q.as_ref().is_none_or(|q| {
                let site = row.site.as_deref().unwrap_or_default();
                [&*row.title, row.device.as_str(), site, &*row.rule]
                    .into_iter()
                    .any(|text| text.to_lowercase().contains(q))
            })
    }
}

/// Counts everything that is not normal, whatever the request filters by.
pub(crate) fn counts(book: &AlarmBook) -> Value {
    let mut severities: BTreeMap<&str, u64> = Severity::ALL.map(|s| (s.name(), 0)).into();
    let mut states: BTreeMap<&str, u64> = AlarmState::ALL
        .iter()
        .filter(|state| **state != AlarmState::Normal)
        .map(|state| (state.name(), 0))
        .collect();
    let mut matrix: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    let mut total = 0;
    for ((state, severity), count) in book.counts() {
        let row = matrix.entry(state.name()).or_default();
        row.insert(severity.name(), count);
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
    if let Some(row) = shared.alarms().get(&id) {
        return Ok(Json(json!(row)));
    }
    let wanted = id.clone();
    let row = ask(&shared, "look an alarm up", move |hub| {
        hub.reader.alarm(&wanted)
    })
    .await?;
    row.map(|row| Json(json!(row))).ok_or_else(|| no_alarm(&id))
}

pub(crate) fn no_alarm(id: &str) -> Problem {
    Problem::not_found(format!("there is no alarm `{id}`"))
}
