//! Questions about what is committed.

use crate::db::{database_path, sqlite_error};
use crate::dedup::DAY_MS;
use crate::error::{Result, StoreError};
use crate::view::Shared;
use crate::{ChangeRow, QuarantineRow, Seen};
use model::{
    AlarmRow, AlarmState, Counts, DeviceId, DeviceKey, MetricKey, MinSeverity, Quality, Region,
    Series, Severity, Timestamp, Value,
};
use rusqlite::OptionalExtension;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A handle for reading. Cheap to clone; calls may touch the disk.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(crate) shared: Arc<Shared>,
}

/// One value of one series.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Point {
    pub at: Timestamp,
    pub value: Value,
    pub quality: Quality,
}

/// Some points in the order of their time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub points: Vec<Point>,
    /// The `from` of the page after this one.
    pub next: Option<Timestamp>,
}

/// A part of one series' history: `from` is included, `to` is not.
#[derive(Copy, Clone, Debug)]
pub struct SeriesQuery {
    pub series: Series,
    pub from: Timestamp,
    pub to: Timestamp,
    pub limit: usize,
}

/// How the values of a bucket become one (or, for `MinMax`, two).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Agg {
    Mean,
    Min,
    Max,
    Last,
    /// The least and the greatest, each at its own time.
    MinMax,
}

/// Which events to give.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Prefixes of the type; empty lets every type pass.
    pub kinds: Vec<String>,
    pub min_severity: MinSeverity,
    /// Empty lets every place pass.
    pub regions: Vec<Region>,
    /// The place of an event that has no other.
    pub city_code: String,
}

/// Which states of alarms to give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StateFilter {
    /// Everything that is not `normal`.
    #[default]
    Open,
    All,
    Only(Vec<AlarmState>),
}

/// Which alarms to give, newest first.
#[derive(Clone, Debug, Default)]
pub struct AlarmQuery {
    pub states: StateFilter,
    /// Empty lets every severity pass.
    pub severities: Vec<Severity>,
    pub kind: Option<String>,
    pub device: Option<DeviceId>,
    /// Empty lets every place pass.
    pub regions: Vec<Region>,
    /// The place of an alarm that has no other.
    pub city_code: String,
    pub rule: Option<String>,
    /// Raised then or later.
    pub from: Option<Timestamp>,
    /// Raised before.
    pub to: Option<Timestamp>,
    /// Gives also what was raised on incomplete data and taken back: a correction, not history.
    pub withdrawn: bool,
    /// A part of the title, device, site or rule.
    pub q: Option<String>,
    /// The `next` of the page before.
    pub after: Option<String>,
    pub limit: usize,
}

/// Some alarms, newest first.
#[derive(Clone, Debug, Default)]
pub struct AlarmPage {
    pub rows: Vec<AlarmRow>,
    pub next: Option<String>,
}

/// The count of everything that came in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    pub total: Counts,
    /// By the driver's name.
    pub drivers: BTreeMap<String, Counts>,
    pub devices: BTreeMap<DeviceKey, Counts>,
}

/// What the audit chain looks like when every link is computed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditVerdict {
    Whole {
        links: u64,
        /// The hash of the last link; zeros where there is none.
        head: [u8; 32],
        /// Which record it is whose hash was noted elsewhere.
        noted: Option<u64>,
    },
    Broken(AuditBreak),
}

/// The first record of the audit chain that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditBreak {
    /// Numbers below 1 were never given to a record.
    pub number: i64,
    /// The time in the record, where there is one.
    pub at: Option<Timestamp>,
    pub fault: AuditFault,
}

/// What is wrong with a record of the audit chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditFault {
    /// What it says and the record before it do not give its hash.
    Hash,
    /// It is missing; the next one that is there has this number.
    Gap {
        next: u64,
    },
    /// It stands where its number or its time does not belong.
    Order,
    Unreadable {
        column: &'static str,
    },
    /// It is missing, and so are all after it: so many were counted.
    CutOff {
        counted: u64,
    },
    /// It was added by somebody else than the hub, who counted so many.
    Uncounted {
        counted: u64,
    },
    /// The records up to it are gone, and the trail does not say that the hub forgot them.
    NotForgotten,
    /// The chain is whole, but no record has the hash that was noted elsewhere: it was cut off
    /// and counted anew, or written anew.
    HeadMissing,
}

impl fmt::Display for AuditBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "audit record {}", self.number)?;
        if let Some(at) = self.at {
            write!(f, " of {at}")?;
        }
        match &self.fault {
            AuditFault::Hash => f.write_str(" is not as it was written: its hash is wrong"),
            AuditFault::Gap { next } => write!(f, " is missing: the next one is {next}"),
            AuditFault::Order => f.write_str(" is out of order"),
            AuditFault::Unreadable { column } => {
                write!(f, " is not as it was written: its {column} cannot be read")
            }
            AuditFault::CutOff { counted } => {
                write!(
                    f,
                    " is missing: the tail was cut off, {counted} were counted"
                )
            }
            AuditFault::Uncounted { counted } => {
                write!(f, " was not written by the hub, which counted {counted}")
            }
            AuditFault::NotForgotten => f.write_str(
                " is the first there is, and no record says that those before it were past retention",
            ),
            AuditFault::HeadMissing => f.write_str(
                " is the first that can be missing: no record has the hash that was noted, so the \
                 tail was cut off or the chain was written anew",
            ),
        }
    }
}

/// What [`Reader::check`] looked at, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    pub log_rows: u64,
    pub segments: u64,
    pub readings: u64,
    pub events: u64,
    pub audit_links: u64,
    pub ledger: Counts,
    /// In words; empty when all is well.
    pub problems: Vec<String>,
}

/// The size of things.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    pub segments: u64,
    pub segment_bytes: u64,
    /// Readings in segments.
    pub sealed_readings: u64,
    /// Cells in memory that are not in segments yet.
    pub head_cells: u64,
    pub database_bytes: u64,
    pub wal_bytes: u64,
    pub disk_free_bytes: u64,
    pub last_commit: u64,
    pub last_event: u64,
}

impl Reader {
    /// Tells when something was received from a device.
    pub fn seen(&self, device: DeviceKey) -> Option<Seen> {
        let view = self.shared.view();
        let known = view.devices.get(&device.0)?;
        Some(Seen {
            first_received: Timestamp::from_millis(known.first_received),
            last_received: Timestamp::from_millis(known.last_received),
        })
    }

    /// Gives the numbers of the last commit and the last event.
    pub fn mark(&self) -> (u64, u64) {
        let view = self.shared.view();
        (view.last_commit, view.last_event)
    }

    /// Tells from when on the readings of a metric are kept, by their own time, or those of every
    /// metric; `None` where retention has taken nothing.
    pub fn kept_from(&self, metric: Option<MetricKey>) -> Option<Timestamp> {
        let view = self.shared.view();
        let own = match metric {
            Some(metric) => view.horizon.metrics.get(&metric.0).copied(),
            None => view.horizon.metrics.values().max().copied(),
        };
        let day = own.max(view.horizon.all)?;
        Some(Timestamp::from_millis(day.saturating_mul(DAY_MS)))
    }

    /// Tells when this journal was begun, by its first change of the register or the rules.
    pub fn began(&self) -> Result<Option<Timestamp>> {
        let conn = self.shared.pool.take()?;
        let first = conn
            .prepare_cached("SELECT stamp FROM change ORDER BY id LIMIT 1")
            .and_then(|mut query| query.query_row([], |row| row.get(0)).optional())
            .map_err(sqlite_error("reading the first change"))?;
        Ok(first.map(Timestamp::from_millis))
    }

    /// Tells from when on every alarm is kept that was raised.
    pub fn alarms_kept_from(&self) -> Result<Option<Timestamp>> {
        let conn = self.shared.pool.take()?;
        let before = crate::db::get_meta::<i64>(&conn, "alarms_from")?;
        Ok(before.map(Timestamp::from_millis))
    }

    /// Names every device that ever was, deleted ones too.
    pub fn device_names(&self) -> Result<BTreeMap<DeviceKey, DeviceId>> {
        let failed = sqlite_error("reading devices");
        let conn = self.shared.pool.take()?;
        let mut query = conn
            .prepare_cached("SELECT key, id FROM device")
            .map_err(failed)?;
        let mut rows = query.query([]).map_err(failed)?;
        let mut names = BTreeMap::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let id: String = row.get(1).map_err(failed)?;
            let id = DeviceId::new(&id).map_err(|error| StoreError::Damaged(error.to_string()))?;
            names.insert(DeviceKey(row.get(0).map_err(failed)?), id);
        }
        Ok(names)
    }

    /// Gives metric names in the order of their keys.
    pub fn metric_names(&self) -> Vec<String> {
        self.shared.metric_names().to_vec()
    }

    /// Gives driver names in the order of their keys.
    pub fn driver_names(&self) -> Vec<String> {
        self.shared.driver_names().to_vec()
    }

    /// Gives the newest quarantined frames, of one device or of all, newest first.
    pub fn quarantine(&self, of: Option<DeviceKey>, limit: usize) -> Result<Vec<QuarantineRow>> {
        let failed = sqlite_error("reading the quarantine");
        let conn = self.shared.pool.take()?;
        let mut query = conn
            .prepare_cached(
                "SELECT id, at, driver, device, reason, detail, bytes FROM quarantine
                 WHERE ?2 IS NULL OR device = ?2 ORDER BY id DESC LIMIT ?1",
            )
            .map_err(failed)?;
        let rows = query
            .query_map(rusqlite::params![limit, of.map(|key| key.0)], |row| {
                let device: Option<u32> = row.get(3)?;
                Ok(QuarantineRow {
                    id: row.get(0)?,
                    at: Timestamp::from_millis(row.get(1)?),
                    driver: row.get(2)?,
                    device: device.map(DeviceKey),
                    reason: row.get(4)?,
                    detail: row.get(5)?,
                    bytes: row.get(6)?,
                })
            })
            .map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Gives every change of the register and the rules, oldest first.
    pub fn changes(&self) -> Result<Vec<ChangeRow>> {
        self.changes_where("")
    }

    fn changes_where(&self, condition: &str) -> Result<Vec<ChangeRow>> {
        let failed = sqlite_error("reading changes");
        let conn = self.shared.pool.take()?;
        let mut query = conn
            .prepare_cached(&format!(
                "SELECT seq, stamp, json FROM change {condition} ORDER BY id"
            ))
            .map_err(failed)?;
        let rows = query
            .query_map([], |row| {
                Ok(ChangeRow {
                    commit: row.get(0)?,
                    stamp: Timestamp::from_millis(row.get(1)?),
                    json: row.get(2)?,
                })
            })
            .map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Gives the changes of rules alone, oldest first.
    pub fn rule_changes(&self) -> Result<Vec<ChangeRow>> {
        self.changes_where(r#"WHERE json LIKE '{"%\_rule":%' ESCAPE '\'"#)
    }

    /// Gives the answer that a request with this key got within the last day.
    pub fn idempotency(&self, key: &str) -> Result<Option<String>> {
        let conn = self.shared.pool.take()?;
        conn.prepare_cached("SELECT response FROM idempotency WHERE key = ?1")
            .and_then(|mut query| query.query_row([key], |row| row.get(0)).optional())
            .map_err(sqlite_error("reading an answer"))
    }

    /// Tells the size of things.
    pub fn stats(&self) -> Result<Stats> {
        let size = |path: std::path::PathBuf| std::fs::metadata(path).map_or(0, |data| data.len());
        let database = database_path(&self.shared.dir);
        let wal = database.with_extension("db-wal");
        let free = rustix::fs::statvfs(&self.shared.dir).map_err(|error| StoreError::Io {
            what: "asking for free space".to_owned(),
            source: error.into(),
        })?;
        let view = self.shared.view();
        let frozen = view.frozen.as_ref().map_or(0, |frozen| frozen.count);
        let segments = view.segments.all().map(|segment| segment.row);
        Ok(Stats {
            segments: segments.clone().count() as u64,
            segment_bytes: segments.clone().map(|row| row.bytes).sum(),
            sealed_readings: segments.map(|row| row.readings).sum(),
            head_cells: (view.cell_count + frozen) as u64,
            database_bytes: size(database),
            wal_bytes: size(wal),
            disk_free_bytes: free.f_bavail.saturating_mul(free.f_frsize),
            last_commit: view.last_commit,
            last_event: view.last_event,
        })
    }
}
