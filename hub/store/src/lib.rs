//! Commits to the journal and answers questions about history.
//!
//! One [`Journal`] writes: `main.db` (SQLite, WAL, one fsync a commit) is the durable log, the
//! catalogue and everything relational; readings move from there into immutable Parquet segments.
//! Any number of [`Reader`]s see what is committed, and nothing else. All calls are synchronous.

mod entries;
mod error;
mod group;
mod journal;
mod options;
mod reader;

pub use entries::{
    Admission, AuditRow, ChangeRow, LiveReadings, LogGroup, LogReading, NewEvent, QuarantineRow,
    Recovered, Seen, StoredDevice, StoredRule,
};
pub use error::StoreError;
pub use group::Group;
pub use journal::{Journal, open};
pub use options::Options;
pub use reader::{
    Agg, AlarmPage, AlarmQuery, AuditVerdict, CheckReport, EventFilter, Ledger, Page, Point,
    Reader, Replay, SeriesQuery, StateFilter, Stats, open_read_only,
};
