//! Opening a directory: what is on disk becomes what is in memory.

use crate::audit;
use crate::db::{self, Pool, get_meta, read_catalogue, read_names, sqlite_error};
use crate::dedup::Tracks;
use crate::error::{Result, StoreError};
use crate::log::{count, each_row};
use crate::reader::Reader;
use crate::record::Record;
use crate::retention::Past;
use crate::segment::{Segment, io_error, segment_path};
use crate::state_file::{self, state_path};
use crate::view::{Horizon, Segments, Shared, View};
use crate::{Recovered, StoredDevice, StoredRule, StoredStatus};
use model::{DeviceHealth, DeviceKey, DeviceStatus, SilenceCause, Timestamp};
use rusqlite::Connection;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// How often a reader tries to get hold of files that a running hub may merge away meanwhile.
const ATTEMPTS: usize = 5;

/// A directory in memory.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) view: View,
    pub(crate) tracks: Tracks,
    pub(crate) recovered: Recovered,
    pub(crate) state_id: Option<u64>,
    pub(crate) audit: audit::Head,
    /// The received time of the oldest commit that is in no segment.
    pub(crate) oldest_stamp: Option<Timestamp>,
}

/// Reads everything, as of one moment.
pub(crate) fn read(conn: &mut Connection, dir: &Path) -> Result<Opened> {
    let failed = sqlite_error("recovering");
    // A read transaction: all that follows is of the same commit.
    let tx = conn.transaction().map_err(failed)?;
    db::check_format(&tx)?;
    let Memory {
        view,
        tracks,
        sealed,
        state_id,
        checkpoint,
        last_stamp,
        oldest_stamp,
    } = read_memory(&tx, dir)?;
    let audit = audit::read_head(&tx)?;
    let recovered = Recovered {
        checkpoint,
        sealed,
        devices: read_devices(&tx)?,
        statuses: read_statuses(&tx)?,
        rules: read_rules(&tx)?,
        subscriptions: crate::subscriptions::read_all(&tx)?,
        alarms: crate::alarms::read_open(&tx)?,
        metrics: read_names(&tx, "metric")?,
        drivers: read_names(&tx, "driver")?,
        salt: get_meta(&tx, "salt")?
            .ok_or_else(|| StoreError::Damaged("the database has no salt".to_owned()))?,
        last_stamp,
        last_commit: view.last_commit,
        last_event: view.last_event,
        audit_head: audit.hash,
    };
    Ok(Opened {
        view,
        tracks,
        recovered,
        state_id,
        audit,
        oldest_stamp,
    })
}

/// What the state file, the catalogue and the log make together.
struct Memory {
    view: View,
    tracks: Tracks,
    sealed: u64,
    state_id: Option<u64>,
    checkpoint: Option<Vec<u8>>,
    last_stamp: Timestamp,
    oldest_stamp: Option<Timestamp>,
}

fn read_memory(tx: &Connection, dir: &Path) -> Result<Memory> {
    let sealed: u64 = get_meta(tx, "sealed")?.unwrap_or(0);
    let state_id: Option<u64> = get_meta(tx, "state_id")?;
    let state = match state_id {
        Some(id) => {
            let path = state_path(dir, id);
            let bytes = std::fs::read(&path).map_err(io_error("reading", &path))?;
            state_file::decode(&bytes)?
        }
        None => state_file::State::default(),
    };
    let mut segments = Vec::new();
    for row in read_catalogue(tx)? {
        let segment = Segment::new(dir, row);
        segment.check_size()?;
        segments.push(Arc::new(segment));
    }
    let mut view = View {
        devices: state.devices,
        totals: state.totals,
        segments: Arc::new(Segments::of(segments)),
        expired_readings: get_meta(tx, "expired_readings")?.unwrap_or(0),
        looked_at: read_looked_at(tx)?,
        ledger_expired: get_meta::<i64>(tx, "ledger_expired")?.is_some(),
        horizon: read_horizon(tx)?,
        last_commit: sealed,
        last_event: crate::events::range(tx)?
            .map(|(_, newest)| newest)
            .max(get_meta(tx, "last_event")?)
            .unwrap_or(0),
        ..View::default()
    };
    view.sum_drivers();
    let mut tracks = state.tracks;
    let mut last_stamp = Timestamp::from_millis(get_meta(tx, "sealed_stamp")?.unwrap_or(0));
    let mut oldest_stamp = None;
    each_row(tx, sealed, &mut |seq, body| {
        let record = Record::open(body)?;
        let counted = count(&record)?;
        for (device, cell) in counted.device_cells() {
            if cell.part.leads() {
                tracks
                    .entry(device)
                    .or_default()
                    .put(cell.metric, cell.observed);
            }
        }
        view.apply(record.stamp, &counted.parts, &counted.cells);
        view.last_commit = seq;
        last_stamp = record.stamp;
        oldest_stamp.get_or_insert(record.stamp);
        Ok(true)
    })?;
    Ok(Memory {
        view,
        tracks,
        sealed,
        state_id,
        checkpoint: state_id.map(|_| state.checkpoint),
        last_stamp,
        oldest_stamp,
    })
}

fn read_horizon(conn: &Connection) -> Result<Horizon> {
    let Some(json) = get_meta::<String>(conn, Horizon::KEY)? else {
        return Ok(Horizon::default());
    };
    serde_json::from_str(&json)
        .map_err(|error| StoreError::Damaged(format!("what is past retention: {error}")))
}

/// What segments were looked at with; whoever does not know looks again.
fn read_looked_at(conn: &Connection) -> Result<BTreeMap<u64, Past>> {
    let json = get_meta::<String>(conn, Past::KEY)?;
    let known = json.and_then(|json| serde_json::from_str(&json).ok());
    Ok(known.unwrap_or_default())
}

pub(crate) fn read_devices(conn: &Connection) -> Result<Vec<StoredDevice>> {
    let failed = sqlite_error("reading devices");
    let mut query = conn
        .prepare("SELECT key, json, secret, grid FROM device WHERE gone = 0 ORDER BY key")
        .map_err(failed)?;
    let mut rows = query.query([]).map_err(failed)?;
    let mut devices = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let key: u32 = row.get(0).map_err(failed)?;
        let json: String = row.get(1).map_err(failed)?;
        devices.push(StoredDevice {
            key: DeviceKey(key),
            device: serde_json::from_str(&json)
                .map_err(|error| StoreError::Damaged(format!("device {key}: {error}")))?,
            secret_hash: row.get(2).map_err(failed)?,
            grid: row.get(3).map_err(failed)?,
        });
    }
    Ok(devices)
}

pub(crate) fn read_statuses(conn: &Connection) -> Result<Vec<StoredStatus>> {
    let failed = sqlite_error("reading the statuses of devices");
    if !db::has_table(conn, "device_status").map_err(failed)? {
        return Ok(Vec::new());
    }
    let mut query = conn
        .prepare("SELECT key, status, since, cause, memory FROM device_status ORDER BY key")
        .map_err(failed)?;
    let mut rows = query.query([]).map_err(failed)?;
    let mut statuses = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let key: u32 = row.get(0).map_err(failed)?;
        let status: String = row.get(1).map_err(failed)?;
        let cause: Option<String> = row.get(3).map_err(failed)?;
        statuses.push(StoredStatus {
            key: DeviceKey(key),
            health: DeviceHealth {
                status: DeviceStatus::parse(&status).ok_or_else(|| {
                    StoreError::Damaged(format!("device {key} has the unknown status `{status}`"))
                })?,
                since: Timestamp::from_millis(row.get(2).map_err(failed)?),
                cause: cause.as_deref().and_then(SilenceCause::parse),
            },
            memory: row.get(4).map_err(failed)?,
        });
    }
    Ok(statuses)
}

pub(crate) fn read_rules(conn: &Connection) -> Result<Vec<StoredRule>> {
    let failed = sqlite_error("reading rules");
    let mut query = conn
        .prepare("SELECT id, revision, spec FROM rule ORDER BY id")
        .map_err(failed)?;
    let mut rows = query.query([]).map_err(failed)?;
    let mut rules = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let id: String = row.get(0).map_err(failed)?;
        let spec: String = row.get(2).map_err(failed)?;
        rules.push(StoredRule {
            spec: serde_json::from_str(&spec)
                .map_err(|error| StoreError::Damaged(format!("rule `{id}`: {error}")))?,
            revision: row.get(1).map_err(failed)?,
            id,
        });
    }
    Ok(rules)
}

/// Deletes every file that the catalogue does not name, and tells the greatest number among all.
pub(crate) fn sweep(conn: &Connection, dir: &Path) -> Result<u64> {
    let mut known = HashSet::new();
    let mut greatest: u64 = get_meta(conn, "next_id")?.unwrap_or(0);
    for row in read_catalogue(conn)? {
        known.insert(segment_path(dir, row.day, row.id));
        greatest = greatest.max(row.id);
    }
    if let Some(id) = get_meta::<u64>(conn, "state_id")? {
        known.insert(state_path(dir, id));
        greatest = greatest.max(id);
    }
    let mut folders = vec![dir.join("state")];
    folders.extend(
        list(&dir.join("segments"))?
            .into_iter()
            .filter(|path| path.is_dir()),
    );
    for folder in folders {
        for path in list(&folder)? {
            let stem = path.file_name().and_then(|name| name.to_str());
            let id = stem.and_then(|name| name.split('.').next()?.parse::<u64>().ok());
            greatest = greatest.max(id.unwrap_or(0));
            if !known.contains(&path) {
                std::fs::remove_file(&path).map_err(io_error("deleting", &path))?;
                tracing::info!(file = %path.display(), "leftover file deleted");
            }
        }
    }
    Ok(greatest)
}

fn list(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let failed = io_error("listing", folder);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(&failed)?.path());
    }
    Ok(paths)
}

/// Opens a data directory for reading, beside a running hub or alone. The reader shows the
/// readings as they were when it was opened; tables, such as events, as they are.
pub fn open_read_only(dir: &Path) -> Result<(Reader, Recovered)> {
    crate::restore::refuse_unfinished(dir)?;
    open_as_it_is(dir)
}

pub(crate) fn open_as_it_is(dir: &Path) -> Result<(Reader, Recovered)> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let pool = Pool::new(dir);
        let opened = {
            let mut conn = pool.take()?;
            read(&mut conn, dir).and_then(|opened| {
                // With the files in hand it does not matter what a running hub merges away. Where
                // there are more than may be open, the newest are held: old days are merged already.
                let mut newest: Vec<_> = opened.view.segments.all().collect();
                newest.sort_by_key(|segment| std::cmp::Reverse(segment.row.day));
                for segment in newest.into_iter().take(files_held_max()) {
                    segment.hold()?;
                }
                Ok(opened)
            })
        };
        match opened {
            Ok(opened) => {
                let recovered = opened.recovered;
                let shared = Shared::new(dir.to_owned(), pool, opened.view, u64::MAX);
                shared.put_names(recovered.metrics.clone(), recovered.drivers.clone());
                let reader = Reader {
                    shared: Arc::new(shared),
                };
                return Ok((reader, recovered));
            }
            Err(StoreError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound && attempts < ATTEMPTS => {}
            Err(error) => return Err(error),
        }
    }
}

/// Files that a command may have open beside those of the history.
const OTHER_FILES: u64 = 64;

/// Lets this process have as many files open as it may, and tells how many can be of the history.
fn files_held_max() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let most = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, most).is_ok() {
            limit = most;
        }
    }
    // None is no limit.
    limit.current.map_or(usize::MAX, |most| {
        usize::try_from(most.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX)
    })
}
