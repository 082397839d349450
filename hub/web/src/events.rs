//! Events by cursor: gapless, and for ever repeatable within retention.

use crate::problem::Problem;
use crate::query::{Params, RawParams};
use crate::schemas::knows_event_type;
use crate::state::{Inner, Shared, ask};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{MinSeverity, Severity};
use serde::Serialize;
use serde_json::value::RawValue;
use store::{EventFilter, StoreError};

const PAGE_MAX: usize = 10_000;
const PAGE_DEFAULT: usize = 1_000;

/// Types of one request.
const TYPES_MAX: usize = 32;

#[derive(Debug, Serialize)]
struct Page {
    /// The CloudEvents as the journal keeps them, not parsed again.
    items: Vec<Box<RawValue>>,
    /// The `after` of the next request.
    next: u64,
}

/// Which events are kept: everything after `before_oldest`, up to `newest`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Kept {
    #[serde(skip)]
    pub(crate) before_oldest: u64,
    pub(crate) oldest: u64,
    pub(crate) newest: u64,
}

impl Kept {
    pub(crate) fn of(hub: &Inner) -> Result<Self, StoreError> {
        let mark = hub.tail.mark.borrow().event;
        let (oldest, newest) = match hub.reader.event_range()? {
            Some((oldest, newest)) => (oldest, newest.max(mark)),
            // Nothing is kept: the next event will be the oldest one.
            None => (mark.saturating_add(1), mark),
        };
        Ok(Self {
            before_oldest: oldest.saturating_sub(1),
            oldest,
            newest,
        })
    }
}

/// `GET /api/v1/events`
pub(crate) async fn list(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Response, Problem> {
    let params = raw.only(&["after", "limit", "types", "min_severity", "grid"])?;
    let after = params.number("after")?.unwrap_or(0);
    let limit = params.limit(PAGE_DEFAULT, 1..=PAGE_MAX)?;
    let filter = read_filter(&shared, &params)?;
    let (kept, mark, events) = ask(&shared, "read events", move |hub| {
        // The mark is read first: a page that is not full has seen everything up to it.
        let mark = hub.tail.mark.borrow().event;
        let kept = Kept::of(hub)?;
        let events = if after >= kept.before_oldest {
            hub.reader.events(after, limit, &filter)?
        } else if after == 0 {
            // Whoever begins, begins with the oldest that is kept.
            hub.reader.events(kept.before_oldest, limit, &filter)?
        } else {
            return Err(StoreError::Expired {
                oldest: kept.oldest,
            });
        };
        Ok((kept, mark, events))
    })
    .await?;
    if after > kept.newest {
        let detail = format!(
            "event {after} does not exist yet; the newest is {}",
            kept.newest
        );
        let problem = Problem::new(StatusCode::CONFLICT, "cursor-ahead", detail);
        return Err(problem.with("newest", kept.newest));
    }
    let last = events.last().map_or(after, |event| event.seq);
    let next = if events.len() < limit {
        last.max(mark)
    } else {
        last
    };
    let items = events
        .into_iter()
        .map(|event| RawValue::from_string(event.json))
        .collect::<Result<_, _>>()
        .map_err(|error| Problem::internal("read events", &error))?;
    let body = serde_json::to_string(&Page { items, next })
        .map_err(|error| Problem::internal("write events", &error))?;
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], body).into_response())
}

/// Reads what is asked of the events of the list and of the stream alike.
pub(crate) fn read_filter(shared: &Shared, params: &Params) -> Result<EventFilter, Problem> {
    let severities = Severity::ALL.map(|severity| (severity.name(), severity));
    Ok(EventFilter {
        kinds: read_types(params)?,
        min_severity: MinSeverity(params.word("min_severity", &severities)?),
        regions: params.regions()?,
        city_code: shared.city.code.clone(),
    })
}

/// Reads a list of types; each stands for itself and all that begin with it.
fn read_types(params: &Params) -> Result<Vec<String>, Problem> {
    let types = params.list("types");
    if types.len() > TYPES_MAX {
        let detail = format!("query parameter `types` may hold {TYPES_MAX} types");
        return Err(Problem::bad_request(detail));
    }
    types
        .into_iter()
        .map(|text| {
            let prefix = text.trim_end_matches('*');
            if knows_event_type(prefix) && !prefix.is_empty() {
                return Ok(prefix.to_owned());
            }
            Err(Problem::bad_request(format!(
                "query parameter `types`: `{text}` is no type such as `cityhub.alarm.raised`, nor \
                 the beginning of one such as `cityhub.alarm.*`; GET /api/v1/schemas lists them"
            )))
        })
        .collect()
}
