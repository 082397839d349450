//! Those who are sent events: what they asked for, and what they refused.

use crate::db::{has_table, sqlite_error};
use crate::error::Result;
use crate::reader::Reader;
use crate::statements::Op;
use crate::{ParkedEvent, StoredSubscription};
use model::{Event, Severity, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;

pub(crate) fn write(conn: &Connection, op: &Op) -> rusqlite::Result<()> {
    match op {
        Op::PutSubscription(put) => conn
            .prepare_cached("INSERT OR REPLACE INTO subscription VALUES (?1, ?2)")?
            .execute(params![put.name, put.json])
            .map(drop),
        Op::DeleteSubscription { name, cursor } => {
            conn.prepare_cached("DELETE FROM subscription WHERE name = ?1")?
                .execute([name])?;
            let Some(cursor) = cursor else { return Ok(()) };
            conn.prepare_cached("DELETE FROM parked WHERE name = ?1")?
                .execute([name])?;
            conn.prepare_cached("DELETE FROM cursor WHERE name = ?1")?
                .execute([cursor])
                .map(drop)
        }
        Op::Park { name, parked } => park(conn, name, parked),
        Op::SendAgain { name, seq } => conn
            .prepare_cached(
                "UPDATE parked SET again = 1 WHERE name = ?1 AND (?2 IS NULL OR seq = ?2)",
            )?
            .execute(params![name, seq])
            .map(drop),
        Op::Unpark { name, seq } => conn
            .prepare_cached("DELETE FROM parked WHERE name = ?1 AND (?2 IS NULL OR seq = ?2)")?
            .execute(params![name, seq])
            .map(drop),
        _ => Ok(()),
    }
}

fn park(conn: &Connection, name: &str, parked: &ParkedEvent) -> rusqlite::Result<()> {
    let event = &parked.event;
    conn.prepare_cached(
        "INSERT OR REPLACE INTO parked VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        name,
        event.seq,
        parked.at.millis(),
        parked.reason,
        parked.again,
        event.kind,
        event.subject,
        event.severity.map(Severity::name),
        event.grid,
        event.json
    ])
    .map(drop)
}

fn parked_of(row: &Row<'_>) -> rusqlite::Result<ParkedEvent> {
    let severity: Option<String> = row.get(6)?;
    Ok(ParkedEvent {
        at: Timestamp::from_millis(row.get(1)?),
        reason: row.get(2)?,
        again: row.get(3)?,
        event: Event {
            seq: row.get(0)?,
            kind: row.get(4)?,
            subject: row.get(5)?,
            severity: severity.as_deref().and_then(Severity::parse),
            grid: row.get(7)?,
            json: row.get(8)?,
        },
    })
}

pub(crate) fn read_all(conn: &Connection) -> Result<Vec<StoredSubscription>> {
    let failed = sqlite_error("reading subscriptions");
    if !has_table(conn, "subscription").map_err(failed)? {
        return Ok(Vec::new());
    }
    let mut query = conn
        .prepare("SELECT name, json FROM subscription ORDER BY name")
        .map_err(failed)?;
    let rows = query.query_map([], |row| {
        Ok(StoredSubscription {
            name: row.get(0)?,
            json: row.get(1)?,
        })
    });
    rows.and_then(Iterator::collect).map_err(failed)
}

impl Reader {
    /// Gives parked events of a subscriber after `after`, in order; of those that are to be sent
    /// again only, if `again`.
    pub fn parked(
        &self,
        name: &str,
        after: u64,
        limit: usize,
        again: bool,
    ) -> Result<Vec<ParkedEvent>> {
        let failed = sqlite_error("reading parked events");
        let conn = self.shared.pool.take()?;
        let mut query = conn
            .prepare_cached(
                "SELECT seq, at, reason, again, kind, subject, severity, grid, json FROM parked
                 WHERE name = ?1 AND seq > ?2 AND (again OR NOT ?4) ORDER BY seq LIMIT ?3",
            )
            .map_err(failed)?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let rows = query.query_map(params![name, after, limit, again], parked_of);
        rows.and_then(Iterator::collect).map_err(failed)
    }

    /// Tells whether an event is parked for a subscriber.
    pub fn is_parked(&self, name: &str, seq: u64) -> Result<bool> {
        let conn = self.shared.pool.take()?;
        conn.prepare_cached("SELECT 1 FROM parked WHERE name = ?1 AND seq = ?2")
            .and_then(|mut query| query.query_row(params![name, seq], |_| Ok(())).optional())
            .map(|found| found.is_some())
            .map_err(sqlite_error("reading parked events"))
    }

    /// Counts the parked events of each subscriber that has any.
    pub fn parked_counts(&self) -> Result<BTreeMap<String, u64>> {
        let failed = sqlite_error("counting parked events");
        let conn = self.shared.pool.take()?;
        let mut query = conn
            .prepare_cached("SELECT name, count(*) FROM parked GROUP BY name")
            .map_err(failed)?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.and_then(Iterator::collect).map_err(failed)
    }

    /// Tells when an event happened; nothing if it is not kept or not there yet.
    pub fn event_time(&self, seq: u64) -> Result<Option<Timestamp>> {
        let conn = self.shared.pool.take()?;
        conn.prepare_cached("SELECT at FROM event WHERE seq = ?1")
            .and_then(|mut query| query.query_row([seq], |row| row.get(0)).optional())
            .map(|at| at.map(Timestamp::from_millis))
            .map_err(sqlite_error("reading the time of an event"))
    }
}
