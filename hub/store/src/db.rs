//! `main.db`: its tables, and how connections to it are made.

use crate::error::{Result, StoreError};
use crate::segment::{Kind, SegmentRow};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Version of everything on disk: tables, log rows, segments, state files.
///
/// 2: audit records and metrics may be past retention, which a program of before takes for damage.
pub(crate) const FORMAT: u32 = 2;

const BUSY: Duration = Duration::from_secs(5);

/// Pages of the write-ahead log after which a commit moves them into the database: 16 MiB.
const CHECKPOINT_PAGES: u32 = 2_000;

/// What the write-ahead log may keep of its size once it is empty.
const WAL_BYTES_KEPT: u32 = 32 << 20;

/// Idle connections that are kept for readers.
const POOL_MAX: usize = 8;

const SCHEMA: &str = "
CREATE TABLE meta (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE log (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE segment (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, day INTEGER NOT NULL,
  t0 INTEGER NOT NULL, t1 INTEGER NOT NULL, r0 INTEGER NOT NULL, r1 INTEGER NOT NULL,
  rows INTEGER NOT NULL, readings INTEGER NOT NULL, bytes INTEGER NOT NULL,
  crc INTEGER NOT NULL, level INTEGER NOT NULL);
CREATE TABLE metric (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE driver (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE device (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL, json TEXT NOT NULL, secret BLOB, grid TEXT,
  gone INTEGER NOT NULL DEFAULT 0);
CREATE TABLE device_status (
  key INTEGER PRIMARY KEY, status TEXT NOT NULL, since INTEGER NOT NULL, cause TEXT,
  memory TEXT NOT NULL);
CREATE TABLE canary (
  id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, after INTEGER NOT NULL,
  json TEXT NOT NULL);
CREATE TABLE rule (id TEXT PRIMARY KEY, revision INTEGER NOT NULL, spec TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE alarm (
  id TEXT PRIMARY KEY, raised_at INTEGER NOT NULL, state TEXT NOT NULL, severity TEXT NOT NULL,
  kind TEXT NOT NULL, device TEXT NOT NULL, grid TEXT, rule TEXT NOT NULL, words TEXT NOT NULL,
  json TEXT NOT NULL);
CREATE INDEX alarm_raised ON alarm (raised_at, id);
CREATE INDEX alarm_open ON alarm (raised_at, id) WHERE state <> 'normal';
CREATE INDEX alarm_device ON alarm (device, raised_at);
CREATE TABLE event (
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
  severity TEXT, grid TEXT, json TEXT NOT NULL, crc INTEGER);
CREATE TABLE change (
  id INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL, stamp INTEGER NOT NULL,
  json TEXT NOT NULL);
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL,
  action TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL, hash BLOB NOT NULL);
CREATE TABLE cursor (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE subscription (name TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE parked (
  name TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL,
  again INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, severity TEXT, grid TEXT,
  json TEXT NOT NULL, PRIMARY KEY (name, seq)) WITHOUT ROWID;
CREATE TABLE quarantine (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, driver INTEGER NOT NULL,
  device INTEGER, reason TEXT NOT NULL, detail TEXT NOT NULL, bytes BLOB NOT NULL);
CREATE TABLE idempotency (key TEXT PRIMARY KEY, at INTEGER NOT NULL, response TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency (at);
";

/// What is searched for lies apart from the rows, so that a search reads little. Made in a database
/// of an earlier version, too.
pub(crate) const CASES: &str = "
CREATE TABLE IF NOT EXISTS case_row (
  number INTEGER PRIMARY KEY, open INTEGER NOT NULL, state TEXT NOT NULL, severity TEXT NOT NULL,
  category TEXT NOT NULL, grid TEXT, district TEXT, street TEXT, unit TEXT, kind TEXT NOT NULL,
  device TEXT NOT NULL, unroutable INTEGER NOT NULL, overdue INTEGER NOT NULL,
  opened_at INTEGER NOT NULL, due_at INTEGER, closed_at INTEGER, words TEXT NOT NULL);
DROP INDEX IF EXISTS case_words;
CREATE INDEX IF NOT EXISTS case_text ON case_row (number, open, words) WHERE open = 1;
CREATE INDEX IF NOT EXISTS case_open ON case_row (
  number, open, state, severity, category, grid, district, street, unit, kind, opened_at) WHERE open = 1;
CREATE INDEX IF NOT EXISTS case_overdue ON case_row (number) WHERE overdue = 1 AND open = 1;
CREATE INDEX IF NOT EXISTS case_unroutable ON case_row (number) WHERE unroutable = 1 AND open = 1;
CREATE INDEX IF NOT EXISTS case_grid ON case_row (grid, number);
CREATE INDEX IF NOT EXISTS case_device ON case_row (device, number);
CREATE INDEX IF NOT EXISTS case_opened ON case_row (opened_at, number);
CREATE INDEX IF NOT EXISTS case_closed ON case_row (closed_at) WHERE open = 0;
CREATE TABLE IF NOT EXISTS case_json (number INTEGER PRIMARY KEY, json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS case_version (
  number INTEGER NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (number, version)) WITHOUT ROWID;
";

pub(crate) fn sqlite_error(what: &'static str) -> impl Fn(rusqlite::Error) -> StoreError + Copy {
    move |source| StoreError::Sqlite { what, source }
}

pub(crate) fn database_path(dir: &Path) -> PathBuf {
    dir.join("main.db")
}

/// Opens the writer's connection, making the tables in a new database.
pub(crate) fn open_writer(dir: &Path) -> Result<Connection> {
    let failed = sqlite_error("opening the database");
    let mut conn = Connection::open(database_path(dir)).map_err(failed)?;
    conn.busy_timeout(BUSY).map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.pragma_update(None, "page_size", 8192)
        .map_err(failed)?;
    conn.pragma_update(None, "journal_mode", "WAL")
        .map_err(failed)?;
    for (pragma, value) in [
        ("synchronous", 2), // FULL: the write-ahead log is forced to disk with every commit.
        ("wal_autocheckpoint", CHECKPOINT_PAGES),
        ("journal_size_limit", WAL_BYTES_KEPT),
        ("foreign_keys", 0),
    ] {
        conn.pragma_update(None, pragma, value).map_err(failed)?;
    }
    let tables: u32 = conn
        .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
        .map_err(failed)?;
    if tables == 0 {
        let tx = conn.transaction().map_err(failed)?;
        tx.execute_batch(SCHEMA).map_err(failed)?;
        tx.execute(
            "INSERT INTO meta VALUES ('format', ?1), ('salt', randomblob(16)),
               ('events_from', 1), ('last_event', 0)",
            [FORMAT],
        )
        .map_err(failed)?;
        tx.commit().map_err(failed)?;
    }
    check_format(&conn)?;
    add_event_sums(&mut conn).map_err(failed)?;
    conn.execute_batch("CREATE INDEX IF NOT EXISTS event_subject ON event (subject, seq)")
        .map_err(failed)?;
    add_device_statuses(&conn).map_err(failed)?;
    conn.execute_batch(CASES).map_err(failed)?;
    conn.execute_batch(crate::desk::TABLES).map_err(failed)?;
    add_canary(&conn).map_err(failed)?;
    add_subscriptions(&conn).map_err(failed)?;
    conn.execute_batch(crate::kept_sessions::TABLE)
        .map_err(failed)?;
    conn.execute_batch(crate::proposals::TABLE)
        .map_err(failed)?;
    // Last, so that whatever was cut off before is done again.
    if get_meta(&conn, "format")? != Some(FORMAT) {
        put_meta(&conn, "format", FORMAT).map_err(failed)?;
    }
    Ok(conn)
}

/// Gives a database of an earlier version a place for what is known of the devices.
fn add_device_statuses(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS device_status (
           key INTEGER PRIMARY KEY, status TEXT NOT NULL, since INTEGER NOT NULL, cause TEXT,
           memory TEXT NOT NULL)",
    )
}

/// Gives a database of an earlier version a place for the last event of the canary.
fn add_canary(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS canary (
           id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, after INTEGER NOT NULL,
           json TEXT NOT NULL)",
    )
}

/// Gives a database of an earlier version a place for those who subscribe.
fn add_subscriptions(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS subscription (
           name TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS parked (
           name TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL,
           again INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, severity TEXT,
           grid TEXT, json TEXT NOT NULL, PRIMARY KEY (name, seq)) WITHOUT ROWID;",
    )
}

pub(crate) fn has_table(conn: &Connection, name: &str) -> rusqlite::Result<bool> {
    conn.query_row(
        "SELECT count(*) FROM sqlite_master WHERE name = ?1",
        [name],
        |row| Ok(row.get::<_, u32>(0)? > 0),
    )
}

/// Gives a database of an earlier version what later ones check events with. Its own events have
/// no sum and are not checked; their range is taken as it is found.
fn add_event_sums(conn: &mut Connection) -> rusqlite::Result<()> {
    if has_event_sums(conn)? {
        return Ok(());
    }
    let tx = conn.transaction()?;
    tx.execute_batch(
        "ALTER TABLE event ADD COLUMN crc INTEGER;
         INSERT OR REPLACE INTO meta VALUES ('last_event', max(
           ifnull((SELECT max(seq) FROM event), 0),
           ifnull((SELECT v FROM meta WHERE k = 'last_event'), 0)));
         INSERT OR REPLACE INTO meta VALUES ('events_from', ifnull(
           (SELECT min(seq) FROM event),
           (SELECT v + 1 FROM meta WHERE k = 'last_event')));",
    )?;
    tx.commit()
}

pub(crate) fn has_event_sums(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row(
        "SELECT count(*) FROM pragma_table_info('event') WHERE name = 'crc'",
        [],
        |row| Ok(row.get::<_, u32>(0)? > 0),
    )
}

/// Opens a connection that can only read.
pub(crate) fn open_reader(dir: &Path) -> Result<Connection> {
    let failed = sqlite_error("opening the database for reading");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database_path(dir), flags).map_err(failed)?;
    conn.busy_timeout(BUSY).map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(32);
    // Small, as there are several: what matters is in the system's cache.
    conn.pragma_update(None, "cache_size", -512)
        .map_err(failed)?;
    Ok(conn)
}

pub(crate) fn check_format(conn: &Connection) -> Result<()> {
    let found: u32 = get_meta(conn, "format")?
        .ok_or_else(|| StoreError::Damaged("the database has no format number".to_owned()))?;
    if found > FORMAT {
        return Err(StoreError::NewerFormat {
            found,
            known: FORMAT,
        });
    }
    Ok(())
}

pub(crate) fn get_meta<T: rusqlite::types::FromSql>(
    conn: &Connection,
    key: &str,
) -> Result<Option<T>> {
    conn.prepare_cached("SELECT v FROM meta WHERE k = ?1")
        .and_then(|mut query| query.query_row([key], |row| row.get(0)).optional())
        .map_err(sqlite_error("reading meta"))
}

pub(crate) fn put_meta(
    conn: &Connection,
    key: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?
        .execute((key, value))
        .map(drop)
}

pub(crate) fn read_names(conn: &Connection, table: &'static str) -> Result<Vec<String>> {
    let failed = sqlite_error("reading names");
    let sql = format!("SELECT key, name FROM {table} ORDER BY key");
    let mut query = conn.prepare(&sql).map_err(failed)?;
    let mut rows = query.query([]).map_err(failed)?;
    let mut names = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let key: usize = row.get(0).map_err(failed)?;
        if key != names.len() {
            return Err(StoreError::Damaged(format!(
                "{table} {} is missing",
                names.len()
            )));
        }
        names.push(row.get(1).map_err(failed)?);
    }
    Ok(names)
}

pub(crate) fn read_catalogue(conn: &Connection) -> Result<Vec<SegmentRow>> {
    let failed = sqlite_error("reading the catalogue");
    let mut query = conn
        .prepare(
            "SELECT id, kind, day, t0, t1, r0, r1, rows, readings, bytes, crc, level FROM segment",
        )
        .map_err(failed)?;
    let mut rows = query.query([]).map_err(failed)?;
    let mut catalogue = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let kind: String = row.get(1).map_err(failed)?;
        let kind = Kind::parse(&kind)
            .ok_or_else(|| StoreError::Damaged(format!("a segment of unknown kind `{kind}`")))?;
        let read = || -> rusqlite::Result<SegmentRow> {
            Ok(SegmentRow {
                id: row.get(0)?,
                kind,
                day: row.get(2)?,
                observed: (row.get(3)?, row.get(4)?),
                received: (row.get(5)?, row.get(6)?),
                rows: row.get(7)?,
                readings: row.get(8)?,
                bytes: row.get(9)?,
                crc: row.get(10)?,
                level: row.get(11)?,
            })
        };
        catalogue.push(read().map_err(failed)?);
    }
    Ok(catalogue)
}

pub(crate) fn insert_segment(conn: &Connection, row: &SegmentRow) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT INTO segment VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)")?
        .execute(rusqlite::params![
            row.id,
            row.kind.name(),
            row.day,
            row.observed.0,
            row.observed.1,
            row.received.0,
            row.received.1,
            row.rows,
            row.readings,
            row.bytes,
            row.crc,
            row.level
        ])
        .map(drop)
}

pub(crate) fn delete_segment(conn: &Connection, id: u64) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM segment WHERE id = ?1")?
        .execute([id])
        .map(drop)
}

/// Connections for readers, opened as they are needed.
#[derive(Debug)]
pub(crate) struct Pool {
    dir: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            idle: Mutex::default(),
        }
    }

    pub(crate) fn take(&self) -> Result<Pooled<'_>> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let conn = match idle {
            Some(conn) => conn,
            None => open_reader(&self.dir)?,
        };
        Ok(Pooled {
            conn: Some(conn),
            pool: self,
        })
    }
}

/// A connection on loan; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Pooled<'a> {
    conn: Option<Connection>,
    pool: &'a Pool,
}

impl Deref for Pooled<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.conn.as_ref().expect("it is taken in drop only")
    }
}

impl DerefMut for Pooled<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        self.conn.as_mut().expect("it is taken in drop only")
    }
}

impl Drop for Pooled<'_> {
    fn drop(&mut self) {
        let mut idle = self
            .pool
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(conn) = self.conn.take()
            && idle.len() < POOL_MAX
        {
            idle.push(conn);
        }
    }
}
