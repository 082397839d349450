//! The shift log and the handovers: what one shift tells the next.

use crate::db::sqlite_error;
use crate::error::Result;
use crate::reader::Reader;
use crate::statements::{Context, Op};
use model::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// The tables, made in a database of an earlier version too.
pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS shift_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, actor TEXT NOT NULL,
  kind TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shift_log_at ON shift_log (at);
CREATE TABLE IF NOT EXISTS handover (
  id INTEGER PRIMARY KEY, frozen_at INTEGER, hash TEXT, json TEXT NOT NULL);
";

/// An entry of the shift log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShiftEntry {
    pub id: u64,
    pub at: Timestamp,
    pub actor: String,
    pub kind: String,
    pub text: String,
}

/// A handover: a draft, or frozen with its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHandover {
    pub id: u64,
    pub frozen_at: Option<Timestamp>,
    pub hash: Option<String>,
    pub json: String,
}

pub(crate) fn write(conn: &Connection, op: &Op, cx: &Context) -> rusqlite::Result<()> {
    match op {
        Op::ShiftLog { actor, kind, text } => conn
            .prepare_cached(
                "INSERT INTO shift_log (at, actor, kind, text) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![cx.stamp.millis(), actor, kind, text])
            .map(drop),
        Op::Handover(row) => conn
            .prepare_cached("INSERT OR REPLACE INTO handover VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                row.id,
                row.frozen_at.map(Timestamp::millis),
                row.hash,
                row.json
            ])
            .map(drop),
        _ => Ok(()),
    }
}

fn handover_of(row: &Row<'_>) -> rusqlite::Result<StoredHandover> {
    Ok(StoredHandover {
        id: row.get(0)?,
        frozen_at: row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis),
        hash: row.get(2)?,
        json: row.get(3)?,
    })
}

impl Reader {
    /// Gives entries from `from` on that come after `after`, oldest first.
    pub fn shift_log(&self, from: Timestamp, after: u64, limit: usize) -> Result<Vec<ShiftEntry>> {
        let failed = sqlite_error("reading the shift log");
        let conn = self.shared.pool.take()?;
        let mut query = conn
            .prepare_cached(
                "SELECT id, at, actor, kind, text FROM shift_log
                 WHERE at >= ?1 AND id > ?2 ORDER BY id LIMIT ?3",
            )
            .map_err(failed)?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let rows = query.query_map(params![from.millis(), after, limit], |row| {
            Ok(ShiftEntry {
                id: row.get(0)?,
                at: Timestamp::from_millis(row.get(1)?),
                actor: row.get(2)?,
                kind: row.get(3)?,
                text: row.get(4)?,
            })
        });
        rows.and_then(Iterator::collect).map_err(failed)
    }

    /// Gives the handover that is not signed by both yet.
    pub fn handover_draft(&self) -> Result<Option<StoredHandover>> {
        self.handover_where("frozen_at IS NULL ORDER BY id DESC LIMIT 1", None)
    }

    pub fn handover(&self, id: u64) -> Result<Option<StoredHandover>> {
        self.handover_where("id = ?1", Some(id))
    }

    fn handover_where(&self, wanted: &str, id: Option<u64>) -> Result<Option<StoredHandover>> {
        let conn = self.shared.pool.take()?;
        let sql = format!("SELECT id, frozen_at, hash, json FROM handover WHERE {wanted}");
        conn.prepare_cached(&sql)
            .and_then(|mut query| {
                let id = id.map(|id| i64::try_from(id).unwrap_or(i64::MAX));
                query
                    .query_row(rusqlite::params_from_iter(id), handover_of)
                    .optional()
            })
            .map_err(sqlite_error("reading a handover"))
    }

    /// Gives frozen handovers before `before`, the newest first.
    pub fn handovers(&self, before: u64, limit: usize) -> Result<Vec<StoredHandover>> {
        let failed = sqlite_error("reading handovers");
        let conn = self.shared.pool.take()?;
        let mut query = conn
            .prepare_cached(
                "SELECT id, frozen_at, hash, json FROM handover
                 WHERE frozen_at IS NOT NULL AND id < ?1 ORDER BY id DESC LIMIT ?2",
            )
            .map_err(failed)?;
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let rows = query.query_map(params![before, limit], handover_of);
        rows.and_then(Iterator::collect).map_err(failed)
    }
}
