//! The numbered facts: their CloudEvents form, and reading them by cursor.

use crate::db::sqlite_error;
use crate::error::{Result, StoreError};
use crate::reader::{EventFilter, Reader};
use crate::{CanaryEvent, NewEvent};
use model::{Event, Severity, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use serde_json::value::RawValue;

/// CloudEvents 1.0, JSON format; `sequence` is its extension of that name.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    r#type: &'a str,
    subject: &'a str,
    time: Timestamp,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

pub(crate) fn cloud_event(seq: u64, source: &str, event: &NewEvent<'_>) -> String {
    let sequence = Some(Event::sequence_text(seq));
    write(seq.to_string(), sequence, source, event)
}

/// Writes an event of the canary: like all others, but without a place in the sequence.
pub(crate) fn canary_event(number: u64, source: &str, event: &NewEvent<'_>) -> String {
    write(format!("canary-{number}"), None, source, event)
}

fn write(id: String, sequence: Option<String>, source: &str, event: &NewEvent<'_>) -> String {
    let cloud_event = CloudEvent {
        specversion: "1.0",
        id,
        source,
        r#type: event.kind,
        subject: event.subject,
        time: event.time,
        datacontenttype: "application/json",
        sequence,
        // What is no JSON would make the whole event unreadable; an event without data is not.
        data: serde_json::from_str(event.data).ok(),
    };
    serde_json::to_string(&cloud_event).expect("texts and JSON always have a JSON form")
}

/// Rows looked at for one page, so that a filter that fits nothing still ends.
const ROWS_AT_ONCE: usize = 1_000;

/// Events that are searched for one subject: they are kept by number, not by subject.
const ROWS_SEARCHED: u64 = 100_000;

impl Reader {
    /// Gives events after `after`, in order, without a hole but for what the filter leaves out.
    pub fn events(&self, after: u64, limit: usize, filter: &EventFilter) -> Result<Vec<Event>> {
        self.events_page(after, limit, filter).map(|page| page.0)
    }

    /// Gives events after `after`, and the number after which to go on: that of the last event
    /// looked at, whether the filter let it pass or not.
    pub fn events_page(
        &self,
        after: u64,
        limit: usize,
        filter: &EventFilter,
    ) -> Result<(Vec<Event>, u64)> {
        let conn = self.shared.pool.take()?;
        let last_event = self.shared.view().last_event;
        let oldest = range(&conn)?.map_or(last_event + 1, |(oldest, _)| oldest);
        if after.saturating_add(1) < oldest {
            return Err(StoreError::Expired { oldest });
        }
        let mut events = Vec::new();
        let mut after = after;
        loop {
            let wanted = ROWS_AT_ONCE.min(limit - events.len());
            let rows = read_events(&conn, after, wanted)?;
            let Some(last) = rows.last() else {
                return Ok((events, after));
            };
            after = last.seq;
            let exhausted = rows.len() < wanted;
            events.extend(rows.into_iter().filter(|event| filter.lets_pass(event)));
            if exhausted || events.len() >= limit {
                return Ok((events, after));
            }
        }
    }

    /// Gives the numbers of the oldest and the newest event that are kept.
    pub fn event_range(&self) -> Result<Option<(u64, u64)>> {
        let conn = self.shared.pool.take()?;
        range(&conn)
    }

    /// Gives the events about a subject after `after` that are kept, in order.
    pub fn events_about(&self, subject: &str, after: u64, limit: usize) -> Result<Vec<Event>> {
        let failed = sqlite_error("reading the events about a subject");
        let conn = self.shared.pool.take()?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let mut query = conn
            .prepare_cached(
                "SELECT seq, kind, subject, severity, grid, json FROM event
                 WHERE subject = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
            )
            .map_err(failed)?;
        let rows = query
            .query_map((subject, after, limit), event_of)
            .map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Gives the last event about a subject that happened up to `until`, of the newest
    /// [`ROWS_SEARCHED`].
    pub fn last_event_about(&self, subject: &str, until: Timestamp) -> Result<Option<Event>> {
        let conn = self.shared.pool.take()?;
        let last_event = self.shared.view().last_event;
        conn.prepare_cached(
            "SELECT seq, kind, subject, severity, grid, json FROM event
             WHERE seq > ?1 AND subject = ?2 AND at <= ?3 ORDER BY seq DESC LIMIT 1",
        )
        .and_then(|mut query| {
            let first = last_event.saturating_sub(ROWS_SEARCHED);
            let params = (first, subject, until.millis());
            query.query_row(params, event_of).optional()
        })
        .map_err(sqlite_error("reading the last event about a subject"))
    }

    /// Gives the last event of the canary.
    pub fn canary(&self) -> Result<Option<CanaryEvent>> {
        let conn = self.shared.pool.take()?;
        conn.prepare_cached("SELECT number, after, json FROM canary")
            .and_then(|mut query| {
                let event = |row: &Row<'_>| {
                    Ok(CanaryEvent {
                        number: row.get(0)?,
                        after: row.get(1)?,
                        json: row.get(2)?,
                    })
                };
                query.query_row([], event).optional()
            })
            .map_err(sqlite_error("reading the canary's event"))
    }

    /// Tells how far a subscriber has come.
    pub fn cursor(&self, name: &str) -> Result<Option<u64>> {
        let conn = self.shared.pool.take()?;
        conn.prepare_cached("SELECT seq FROM cursor WHERE name = ?1")
            .and_then(|mut query| query.query_row([name], |row| row.get(0)).optional())
            .map_err(sqlite_error("reading a cursor"))
    }
}

impl EventFilter {
    pub fn lets_pass(&self, event: &Event) -> bool {
        let kind_fits =
            || self.kinds.is_empty() || self.kinds.iter().any(|kind| event.kind.starts_with(kind));
        let place_fits = || {
            let place = event.place();
            let place = place.as_deref().unwrap_or(&self.city_code);
            self.regions.is_empty() || self.regions.iter().any(|region| region.holds(place))
        };
        kind_fits() && self.min_severity.lets_pass(event) && place_fits()
    }
}

pub(crate) fn range(conn: &Connection) -> Result<Option<(u64, u64)>> {
    // Two look-ups in the index; min and max in one query would scan.
    conn.prepare_cached("SELECT (SELECT min(seq) FROM event), (SELECT max(seq) FROM event)")
        .and_then(|mut query| {
            query.query_row([], |row| {
                let oldest: Option<u64> = row.get(0)?;
                let newest: Option<u64> = row.get(1)?;
                Ok(oldest.zip(newest))
            })
        })
        .map_err(sqlite_error("reading the range of events"))
}

fn read_events(conn: &Connection, after: u64, limit: usize) -> Result<Vec<Event>> {
    let failed = sqlite_error("reading events");
    // A cursor beyond what SQLite can hold has nothing after it.
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut query = conn
        .prepare_cached(
            "SELECT seq, kind, subject, severity, grid, json FROM event
             WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )
        .map_err(failed)?;
    let rows = query.query_map((after, limit), event_of).map_err(failed)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failed)
}

fn event_of(row: &Row<'_>) -> rusqlite::Result<Event> {
    let severity: Option<String> = row.get(3)?;
    Ok(Event {
        seq: row.get(0)?,
        kind: row.get(1)?,
        subject: row.get(2)?,
        severity: severity.as_deref().and_then(Severity::parse),
        grid: row.get(4)?,
        json: row.get(5)?,
    })
}
