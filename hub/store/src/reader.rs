//! Questions about what is committed.

use crate::error::Result;
use crate::{AuditRow, ChangeRow, LiveReadings, LogGroup, QuarantineRow, Recovered, Seen};
use model::{
    AlarmRow, AlarmState, Counts, DeviceId, DeviceKey, Event, MinSeverity, Quality, Reading,
    Series, Severity, Timestamp, Value,
};
use std::collections::BTreeMap;
use std::path::Path;

/// A handle for reading. Cheap to clone; calls may touch the disk.
#[derive(Clone, Debug)]
pub struct Reader {}

/// Opens a data directory for reading, beside a running hub or alone. The reader shows the
/// readings as they were when it was opened.
pub fn open_read_only(dir: &Path) -> Result<(Reader, Recovered)> {
    let _ = dir;
    todo!()
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
    pub grid: Option<String>,
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
    pub grid: Option<String>,
    pub rule: Option<String>,
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
    Whole { links: u64 },
    Broken { at: u64 },
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

/// Every stored reading of a range, chunk by chunk, in the order of
/// (received_at, device, metric, observed_at).
#[derive(Debug)]
pub struct Replay {}

impl Iterator for Replay {
    type Item = Result<Vec<Reading>>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

impl Reader {
    pub fn readings(&self, query: &SeriesQuery) -> Result<Page> {
        let _ = query;
        todo!()
    }

    /// Gives one value per bucket of `step_ms`, aligned to the epoch. Bad values count only where
    /// a bucket has no others; a place is always the last one.
    pub fn buckets(&self, query: &SeriesQuery, step_ms: i64, agg: Agg) -> Result<Page> {
        let _ = (query, step_ms, agg);
        todo!()
    }

    pub fn latest(&self, device: DeviceKey) -> Vec<Reading> {
        let _ = device;
        todo!()
    }

    pub fn latest_all(&self, keep: impl FnMut(DeviceKey) -> bool) -> Vec<Reading> {
        drop(keep);
        todo!()
    }

    pub fn seen(&self, device: DeviceKey) -> Option<Seen> {
        let _ = device;
        todo!()
    }

    /// Gives events after `after`, in order, without a hole but for what the filter leaves out.
    pub fn events(&self, after: u64, limit: usize, filter: &EventFilter) -> Result<Vec<Event>> {
        let _ = (after, limit, filter);
        todo!()
    }

    /// Gives the numbers of the oldest and the newest event that are kept.
    pub fn event_range(&self) -> Result<Option<(u64, u64)>> {
        todo!()
    }

    pub fn cursor(&self, name: &str) -> Result<Option<u64>> {
        let _ = name;
        todo!()
    }

    pub fn alarms(&self, query: &AlarmQuery) -> Result<AlarmPage> {
        let _ = query;
        todo!()
    }

    pub fn alarm(&self, id: &str) -> Result<Option<AlarmRow>> {
        let _ = id;
        todo!()
    }

    /// Gives every alarm raised in the range, oldest first.
    pub fn alarms_between(&self, from: Timestamp, to: Timestamp) -> Result<Vec<AlarmRow>> {
        let _ = (from, to);
        todo!()
    }

    /// Sums the ledger by whole minutes of received time; without bounds since the beginning.
    pub fn ledger(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Ledger> {
        let _ = (from, to);
        todo!()
    }

    /// Names every device that ever was, deleted ones too.
    pub fn device_names(&self) -> Result<BTreeMap<DeviceKey, DeviceId>> {
        todo!()
    }

    pub fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRow>> {
        let _ = (after, limit);
        todo!()
    }

    pub fn verify_audit(&self) -> Result<AuditVerdict> {
        todo!()
    }

    /// Gives the newest quarantined frames, newest first.
    pub fn quarantine(&self, limit: usize) -> Result<Vec<QuarantineRow>> {
        let _ = limit;
        todo!()
    }

    /// Gives every change of the register and the rules, oldest first.
    pub fn changes(&self) -> Result<Vec<ChangeRow>> {
        todo!()
    }

    pub fn idempotency(&self, key: &str) -> Result<Option<String>> {
        let _ = key;
        todo!()
    }

    /// Reads the log after a commit, group by group, until `each` says stop (`false`).
    pub fn log(&self, after: u64, each: &mut dyn FnMut(LogGroup) -> bool) -> Result<()> {
        let _ = (after, each);
        todo!()
    }

    /// Gives readings of commits after `after` that are still in the log, about `limit` of them.
    pub fn live(&self, after: u64, limit: usize) -> Result<LiveReadings> {
        let _ = (after, limit);
        todo!()
    }

    /// Gives every reading received in the range (`from` included, `to` not).
    pub fn replay(&self, from: Timestamp, to: Timestamp) -> Result<Replay> {
        let _ = (from, to);
        todo!()
    }

    /// Computes every check sum again and compares whatever is known twice.
    pub fn check(&self) -> Result<CheckReport> {
        todo!()
    }

    pub fn stats(&self) -> Result<Stats> {
        todo!()
    }

    /// Gives the numbers of the last commit and the last event.
    pub fn mark(&self) -> (u64, u64) {
        todo!()
    }
}
