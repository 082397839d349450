//! Changes of rules that wait for a second person: no rule of the engine until one approves.

use crate::db::sqlite_error;
use crate::error::Result;
use crate::reader::Reader;
use crate::statements::Op;
use rusqlite::{Connection, params};

/// Made in a database of an earlier version, too.
pub(crate) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS proposal (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;";

pub(crate) fn write(conn: &Connection, op: &Op) -> rusqlite::Result<()> {
    match op {
        Op::PutProposal { id, json } => conn
            .prepare_cached("INSERT OR REPLACE INTO proposal VALUES (?1, ?2)")?
            .execute(params![id, json])
            .map(drop),
        Op::DeleteProposal(id) => conn
            .prepare_cached("DELETE FROM proposal WHERE id = ?1")?
            .execute([id])
            .map(drop),
        _ => Ok(()),
    }
}

impl Reader {
    /// Gives what was proposed for each rule last, as JSON.
    pub fn proposals(&self) -> Result<Vec<String>> {
        let failed = sqlite_error("reading what waits for approval");
        let conn = self.shared.pool.take()?;
        let mut query = conn
            .prepare_cached("SELECT json FROM proposal ORDER BY id")
            .map_err(failed)?;
        let rows = query.query_map([], |row| row.get(0));
        rows.and_then(Iterator::collect).map_err(failed)
    }
}
