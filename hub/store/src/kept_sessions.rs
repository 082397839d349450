//! What is kept of the sessions of subscribers: it survives the hub, as their cursors do.

use crate::StoredSession;
use crate::db::sqlite_error;
use crate::error::Result;
use crate::reader::Reader;
use crate::statements::Op;
use model::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Sessions that are kept; another one is not, and its client is told so when it is back.
const SESSIONS_MAX: u32 = 1_000;

/// Expiry that means: never (MQTT 5.0, 3.1.2.11.2).
const EXPIRY_NEVER_S: u32 = u32::MAX;

/// Made in a database of an earlier version, too.
pub(crate) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS kept_session (
  name TEXT PRIMARY KEY, filters TEXT NOT NULL, expiry_s INTEGER NOT NULL, expires_at INTEGER)
WITHOUT ROWID;";

pub(crate) fn write(conn: &Connection, stamp: Timestamp, op: &Op) -> rusqlite::Result<()> {
    match op {
        Op::KeepSession(session) => keep(conn, stamp, session),
        Op::EndSession(name) => {
            conn.prepare_cached("DELETE FROM kept_session WHERE name = ?1")?
                .execute([name])?;
            conn.prepare_cached("DELETE FROM cursor WHERE name = ?1")?
                .execute([name])
                .map(drop)
        }
        Op::LeaveSessions(left_at) => conn
            .prepare_cached(
                "UPDATE kept_session SET expires_at = ?1 + expiry_s * 1000
                 WHERE expires_at IS NULL AND expiry_s < ?2",
            )?
            .execute(params![left_at.millis(), EXPIRY_NEVER_S])
            .map(drop),
        _ => Ok(()),
    }
}

fn keep(conn: &Connection, stamp: Timestamp, session: &StoredSession) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM kept_session WHERE expires_at <= ?1 AND name <> ?2")?
        .execute(params![stamp.millis(), session.name])?;
    conn.prepare_cached(
        "INSERT OR REPLACE INTO kept_session SELECT ?1, ?2, ?3, ?4
         WHERE EXISTS (SELECT 1 FROM kept_session WHERE name = ?1)
            OR (SELECT count(*) FROM kept_session) < ?5",
    )?
    .execute(params![
        session.name,
        session.filters,
        session.expiry_s,
        session.expires_at.map(Timestamp::millis),
        SESSIONS_MAX
    ])?;
    let Some(after) = session.begins_after else {
        return Ok(());
    };
    conn.prepare_cached("INSERT OR IGNORE INTO cursor VALUES (?1, ?2)")?
        .execute(params![session.name, after])
        .map(drop)
}

impl Reader {
    /// Gives what is kept of a session, expired or not.
    pub fn session(&self, name: &str) -> Result<Option<StoredSession>> {
        let session_of = |row: &Row<'_>| {
            let expires_at: Option<i64> = row.get(2)?;
            Ok(StoredSession {
                name: name.to_owned(),
                filters: row.get(0)?,
                expiry_s: row.get(1)?,
                expires_at: expires_at.map(Timestamp::from_millis),
                begins_after: None,
            })
        };
        let conn = self.shared.pool.take()?;
        conn.prepare_cached(
            "SELECT filters, expiry_s, expires_at FROM kept_session WHERE name = ?1",
        )
        .and_then(|mut query| query.query_row([name], session_of).optional())
        .map_err(sqlite_error("reading a session"))
    }
}
