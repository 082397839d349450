//! A look at a data directory that changes nothing in it, for `cityhub doctor`.

use crate::db::{self, database_path, get_meta, has_table, read_catalogue, sqlite_error};
use crate::error::{Result, StoreError};
use crate::record::Record;
use crate::recover::{read_devices, read_rules, read_statuses};
use crate::segment::{Kind, Segment};
use crate::{StoredDevice, StoredRule, StoredStatus};
use model::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Segments that are named one by one; where more are faulty, that is a deeper problem.
const NAMED_MAX: usize = 5;

/// How a data directory looks from outside.
#[derive(Debug)]
pub struct Survey {
    pub format: u32,
    /// The newest format that this program knows. Of a newer directory nothing else is read.
    pub known_format: u32,
    pub database: DatabaseVerdict,
    pub segments: u64,
    /// Segments of the catalogue whose file is missing or has another size, in words.
    pub faulty_segments: Vec<String>,
    /// Bytes of readings by UTC day (days since 1970) of their own time.
    pub bytes_by_day: BTreeMap<i64, u64>,
    pub devices: Vec<StoredDevice>,
    pub statuses: Vec<StoredStatus>,
    pub rules: Vec<StoredRule>,
    pub deliveries: Vec<Delivery>,
    /// The stamp of the last commit.
    pub last_stamp: Timestamp,
    /// When `cityhub backup` was last noted in the audit trail.
    pub last_backup: Option<Timestamp>,
}

/// What SQLite says of its own file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseVerdict {
    Whole,
    Faulty(String),
    /// It was not through in the time that it was given.
    Unfinished,
}

/// How far a delivery is, as it stands on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub name: String,
    /// The subscription as JSON.
    pub json: String,
    /// Events after its cursor.
    pub lag_events: u64,
    /// When the oldest of them happened.
    pub owed_since: Option<Timestamp>,
    /// Events that its receiver refused for good.
    pub parked: u64,
}

/// Looks at a directory. `patience` is how long SQLite may check its file; `cursor_of` names the
/// cursor of a subscription.
pub fn survey(
    dir: &Path,
    patience: Duration,
    cursor_of: &dyn Fn(&str) -> String,
) -> Result<Survey> {
    crate::restore::refuse_unfinished(dir)?;
    let mut conn = open(dir)?;
    let database = quick_check(&conn, patience)?;
    let tx = conn
        .transaction()
        .map_err(sqlite_error("looking at the database"))?;
    look(&tx, dir, database, cursor_of)
}

/// Opens the database so that nothing is made beside it: as one that cannot change where no
/// write-ahead log is left, which is how a hub that stopped in order leaves it.
fn open(dir: &Path) -> Result<Connection> {
    let path = database_path(dir);
    let is_in_use = std::fs::metadata(wal_of(&path)).is_ok_and(|wal| wal.len() > 0);
    if is_in_use {
        return db::open_reader(dir);
    }
    std::fs::metadata(&path).map_err(|source| StoreError::Io {
        what: format!("looking at {}", path.display()),
        source,
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", escaped(&path));
    Connection::open_with_flags(uri, flags)
        .map_err(sqlite_error("opening the database for reading"))
}

fn wal_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// A path as part of a URI (RFC 3986): whatever is not unreserved is escaped.
fn escaped(path: &Path) -> String {
    let mut uri = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

fn quick_check(conn: &Connection, patience: Duration) -> Result<DatabaseVerdict> {
    let interrupt = conn.get_interrupt_handle();
    let (done, is_done) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // An end of the channel is an end of the check.
            if is_done.recv_timeout(patience) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                interrupt.interrupt();
            }
        });
        let checked = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        drop(done);
        match checked {
            Ok(verdict) if verdict == "ok" => Ok(DatabaseVerdict::Whole),
            Ok(verdict) => Ok(DatabaseVerdict::Faulty(verdict)),
            Err(error) => match error.sqlite_error_code() {
                Some(ErrorCode::OperationInterrupted) => Ok(DatabaseVerdict::Unfinished),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    Ok(DatabaseVerdict::Faulty(error.to_string()))
                }
                _ => Err(sqlite_error("checking the database")(error)),
            },
        }
    })
}

fn look(
    conn: &Connection,
    dir: &Path,
    database: DatabaseVerdict,
    cursor_of: &dyn Fn(&str) -> String,
) -> Result<Survey> {
    let format = match &database {
        DatabaseVerdict::Faulty(_) => get_meta(conn, "format").ok().flatten().unwrap_or(0),
        _ => get_meta(conn, "format")?
            .ok_or_else(|| StoreError::Damaged("the database has no format number".to_owned()))?,
    };
    let mut survey = Survey {
        format,
        known_format: db::FORMAT,
        database,
        segments: 0,
        faulty_segments: Vec::new(),
        bytes_by_day: BTreeMap::new(),
        devices: Vec::new(),
        statuses: Vec::new(),
        rules: Vec::new(),
        deliveries: Vec::new(),
        last_stamp: Timestamp::from_millis(0),
        last_backup: None,
    };
    if format > db::FORMAT || matches!(survey.database, DatabaseVerdict::Faulty(_)) {
        return Ok(survey);
    }
    look_at_segments(conn, dir, &mut survey)?;
    survey.devices = read_devices(conn)?;
    survey.statuses = read_statuses(conn)?;
    survey.rules = read_rules(conn)?;
    survey.deliveries = deliveries(conn, cursor_of)?;
    survey.last_stamp = last_stamp(conn)?;
    survey.last_backup = last_backup(conn)?;
    Ok(survey)
}

fn look_at_segments(conn: &Connection, dir: &Path, survey: &mut Survey) -> Result<()> {
    for row in read_catalogue(conn)? {
        survey.segments += 1;
        if row.kind == Kind::Data {
            *survey.bytes_by_day.entry(row.day).or_default() += row.bytes;
        }
        if let Err(error) = Segment::new(dir, row).check_size()
            && survey.faulty_segments.len() < NAMED_MAX
            // A running hub may have merged it away since; what is still in the catalogue is missing.
            && is_in_catalogue(dir, row.id)?
        {
            survey.faulty_segments.push(error.to_string());
        }
    }
    Ok(())
}

fn is_in_catalogue(dir: &Path, id: u64) -> Result<bool> {
    let rows = read_catalogue(&open(dir)?)?;
    let ids: BTreeSet<u64> = rows.iter().map(|row| row.id).collect();
    Ok(ids.contains(&id))
}

fn deliveries(conn: &Connection, cursor_of: &dyn Fn(&str) -> String) -> Result<Vec<Delivery>> {
    let failed = sqlite_error("reading deliveries");
    let newest: u64 = get_meta(conn, "last_event")?.unwrap_or(0);
    let mut deliveries = Vec::new();
    for subscription in crate::subscriptions::read_all(conn)? {
        let cursor: Option<u64> = conn
            .prepare_cached("SELECT seq FROM cursor WHERE name = ?1")
            .and_then(|mut query| {
                let name = cursor_of(&subscription.name);
                query.query_row([name], |row| row.get(0)).optional()
            })
            .map_err(failed)?;
        let cursor = cursor.unwrap_or(0);
        let owed_since: Option<i64> = conn
            .prepare_cached("SELECT at FROM event WHERE seq > ?1 ORDER BY seq LIMIT 1")
            .and_then(|mut query| query.query_row([cursor], |row| row.get(0)).optional())
            .map_err(failed)?;
        let parked: u64 = conn
            .prepare_cached("SELECT count(*) FROM parked WHERE name = ?1")
            .and_then(|mut query| query.query_row([&subscription.name], |row| row.get(0)))
            .map_err(failed)?;
        deliveries.push(Delivery {
            lag_events: newest.saturating_sub(cursor),
            owed_since: owed_since.map(Timestamp::from_millis),
            parked,
            name: subscription.name,
            json: subscription.json,
        });
    }
    Ok(deliveries)
}

fn last_stamp(conn: &Connection) -> Result<Timestamp> {
    let body: Option<Vec<u8>> = conn
        .query_row(
            "SELECT body FROM log ORDER BY seq DESC LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()
        .map_err(sqlite_error("reading the last commit"))?;
    match body {
        Some(body) => Ok(Record::open(&body)?.stamp),
        None => Ok(Timestamp::from_millis(
            get_meta(conn, "sealed_stamp")?.unwrap_or(0),
        )),
    }
}

fn last_backup(conn: &Connection) -> Result<Option<Timestamp>> {
    if !has_table(conn, "audit").map_err(sqlite_error("reading the audit trail"))? {
        return Ok(None);
    }
    let sql = "SELECT max(at) FROM audit WHERE action = 'backup'";
    let at: Option<i64> = conn
        .query_row(sql, [], |row| row.get(0))
        .map_err(sqlite_error("reading the audit trail"))?;
    Ok(at.map(Timestamp::from_millis))
}

#[cfg(test)]
mod tests {
    use super::{DatabaseVerdict, Survey, escaped, survey};
    use crate::Options;
    use model::Timestamp;
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    const PATIENCE: Duration = Duration::from_secs(10);

    fn look(dir: &Path) -> crate::error::Result<Survey> {
        survey(dir, PATIENCE, &|name| format!("sink/{name}"))
    }

    /// Name, size and time of every file.
    fn files(dir: &Path) -> BTreeMap<String, (u64, SystemTime)> {
        let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
        entries
            .map(|entry| {
                let data = entry.metadata().unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, (data.len(), data.modified().unwrap()))
            })
            .collect()
    }

    #[test]
    fn a_directory_that_was_closed_is_read_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        // A name in which everything must be escaped.
        let dir = folder.path().join("50% of #1? 城");
        let (mut journal, _reader, _) = crate::open(&dir, Options::default()).unwrap();
        let at = Timestamp::from_millis(1_763_700_000_000);
        let group = journal.begin(at);
        journal.commit(group).unwrap();
        journal.close().unwrap();
        let before = files(&dir);
        let seen = look(&dir).unwrap();
        assert_eq!(seen.database, DatabaseVerdict::Whole);
        assert_eq!((seen.format, seen.last_stamp), (seen.known_format, at));
        assert_eq!(files(&dir), before);
    }

    #[test]
    fn a_database_that_is_no_longer_whole_is_named_and_a_missing_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let (journal, _reader, _) = crate::open(dir, Options::default()).unwrap();
        journal.close().unwrap();
        let path = dir.join("main.db");
        let mut bytes = fs::read(&path).unwrap();
        // The second page is a table's; the first has the header of the file.
        for byte in bytes.iter_mut().skip(8192).take(8192) {
            *byte = 0xa5;
        }
        fs::write(&path, bytes).unwrap();
        let seen = look(dir).unwrap();
        assert!(
            matches!(seen.database, DatabaseVerdict::Faulty(_)),
            "{seen:?}"
        );
        fs::remove_file(&path).unwrap();
        assert!(look(dir).is_err());
        assert!(!path.exists());
    }

    #[test]
    fn what_is_not_plain_in_a_path_is_escaped() {
        assert_eq!(escaped(Path::new("/a b/c?d#e%f")), "/a%20b/c%3Fd%23e%25f");
    }
}
