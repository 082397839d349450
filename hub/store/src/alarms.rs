//! Reading alarms: the open ones and all that ever were.

use crate::conditions::Conditions;
use crate::db::sqlite_error;
use crate::error::{Result, StoreError};
use crate::reader::{AlarmPage, AlarmQuery, Reader, StateFilter};
use model::{AlarmRow, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

fn parse(json: &str) -> Result<AlarmRow> {
    serde_json::from_str(json)
        .map_err(|error| StoreError::Damaged(format!("the row of an alarm: {error}")))
}

pub(crate) fn read_open(conn: &Connection) -> Result<Vec<AlarmRow>> {
    read(
        conn,
        "WHERE state <> 'normal' ORDER BY raised_at, length(id), id",
        Vec::new(),
    )
}

fn read(conn: &Connection, rest: &str, params: Vec<Value>) -> Result<Vec<AlarmRow>> {
    let failed = sqlite_error("reading alarms");
    let sql = format!("SELECT json FROM alarm {rest}");
    let mut query = conn.prepare_cached(&sql).map_err(failed)?;
    let mut rows = query.query(params_from_iter(params)).map_err(failed)?;
    let mut alarms = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let json = row.get_ref(0).and_then(|value| Ok(value.as_str()?));
        alarms.push(parse(json.map_err(failed)?)?);
    }
    Ok(alarms)
}

fn conditions_of(query: &AlarmQuery) -> Result<Conditions> {
    let mut conditions = Conditions::default();
    match &query.states {
        StateFilter::Open => conditions.add("state <> 'normal'", []),
        StateFilter::All => conditions.add("1", []),
        StateFilter::Only(states) => {
            conditions.any_of("state", states.iter().map(|state| state.name()));
        }
    }
    if !query.severities.is_empty() {
        let names = query.severities.iter().map(|severity| severity.name());
        conditions.any_of("severity", names);
    }
    conditions.equal("kind", query.kind.as_deref());
    conditions.equal("device", query.device.as_ref().map(|id| id.as_str()));
    conditions.in_regions("grid", &query.regions, &query.city_code);
    conditions.equal("rule", query.rule.as_deref());
    if let Some(from) = query.from {
        conditions.add("raised_at >= ?", [from.millis().into()]);
    }
    if let Some(to) = query.to {
        conditions.add("raised_at < ?", [to.millis().into()]);
    }
    if !query.withdrawn {
        // What is open cannot be withdrawn, so that its JSON need not be looked into.
        conditions.add(
            "(state <> 'normal' OR json_extract(json, '$.note') IS NOT 'withdrawn')",
            [],
        );
    }
    if let Some(q) = query.q.as_deref().filter(|q| !q.is_empty()) {
        conditions.add("instr(words, ?) > 0", [Value::from(q.to_lowercase())]);
    }
    if let Some(after) = &query.after {
        let (raised_at, id) = parse_cursor(after)?;
        // The first condition alone can use the index.
        conditions.add("raised_at <= ?", [Value::from(raised_at)]);
        conditions.add(
            "(raised_at, length(id), id) < (?, length(?), ?)",
            [raised_at.into(), id.to_owned().into(), id.to_owned().into()],
        );
    }
    Ok(conditions)
}

fn parse_cursor(cursor: &str) -> Result<(i64, &str)> {
    cursor
        .split_once('.')
        .and_then(|(raised_at, id)| Some((raised_at.parse().ok()?, id)))
        .ok_or_else(|| StoreError::Invalid(format!("`{cursor}` is no cursor of this list")))
}

impl Reader {
    /// Gives alarms, newest first; among those of one instant the number in the id decides, so
    /// that a10 is newer than a9.
    pub fn alarms(&self, query: &AlarmQuery) -> Result<AlarmPage> {
        let mut conditions = conditions_of(query)?;
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        // One more than asked for tells whether there is a next page.
        conditions.params.push(limit.saturating_add(1).into());
        let rest = format!(
            "WHERE {} ORDER BY raised_at DESC, length(id) DESC, id DESC LIMIT ?",
            conditions.sql.join(" AND ")
        );
        let conn = self.shared.pool.take()?;
        let mut rows = read(&conn, &rest, conditions.params)?;
        let has_more = rows.len() > query.limit;
        rows.truncate(query.limit);
        let next = rows.last().filter(|_| has_more);
        let next = next.map(|row| format!("{}.{}", row.raised_at.millis(), row.id));
        Ok(AlarmPage { rows, next })
    }

    pub fn alarm(&self, id: &str) -> Result<Option<AlarmRow>> {
        let conn = self.shared.pool.take()?;
        let json: Option<String> = conn
            .prepare_cached("SELECT json FROM alarm WHERE id = ?1")
            .and_then(|mut query| query.query_row([id], |row| row.get(0)).optional())
            .map_err(sqlite_error("reading an alarm"))?;
        json.as_deref().map(parse).transpose()
    }

    /// Gives every alarm raised in the range (`from` included, `to` not), oldest first.
    pub fn alarms_between(&self, from: Timestamp, to: Timestamp) -> Result<Vec<AlarmRow>> {
        let conn = self.shared.pool.take()?;
        read(
            &conn,
            "WHERE raised_at >= ? AND raised_at < ? ORDER BY raised_at, length(id), id",
            vec![from.millis().into(), to.millis().into()],
        )
    }
}
