//! Commits to the journal and answers questions about history.
//!
//! One [`Journal`] writes: `main.db` (SQLite, WAL, one fsync a commit) is the durable log, the
//! catalogue and everything relational; readings move from there into immutable Parquet segments.
//! Any number of [`Reader`]s see what is committed, and nothing else. All calls are synchronous.

mod alarms;
mod audit;
mod backup;
mod buckets;
mod cases;
mod cell;
mod check;
mod conditions;
mod db;
mod dedup;
mod desk;
mod entries;
mod error;
mod events;
mod folder;
mod group;
mod history;
mod housekeeping;
mod journal;
mod kept_sessions;
mod ledger;
mod log;
mod maintenance;
mod onward;
mod options;
mod proposals;
mod reader;
mod record;
mod recover;
mod replay;
mod restore;
mod retention;
mod room;
mod scan;
mod segment;
mod sheet;
mod state_file;
mod statements;
mod subscriptions;
mod survey;
mod swap;
mod view;
mod wire;

pub use audit::verify_audit;
pub use backup::manifest::{Cut, FileSum, Manifest};
pub use backup::{BackupPlan, backup};
pub use buckets::Buckets;
pub use cases::{CaseFilter, CasePage, CaseQuery};
pub use desk::{ShiftEntry, StoredHandover};
pub use entries::{
    Admission, AuditRow, CanaryEvent, ChangeRow, LiveReadings, LogGroup, LogReading, NewEvent,
    ParkedEvent, QuarantineRow, Recovered, Seen, StoredDevice, StoredRule, StoredSession,
    StoredStatus, StoredSubscription,
};
pub use error::StoreError;
pub use group::Group;
pub use journal::{Journal, open};
pub use onward::{Followed, Onward, Sealed, SealedPart};
pub use options::Options;
pub use reader::{
    Agg, AlarmPage, AlarmQuery, AuditBreak, AuditFault, AuditVerdict, CheckReport, EventFilter,
    Ledger, Page, Point, Reader, SeriesQuery, StateFilter, Stats,
};
pub use recover::open_read_only;
pub use replay::Replay;
pub use restore::{check_backup, restore};
pub use room::{Disk, Meter, Outlook};
pub use sheet::{ColumnKind, Field, Sheet};
pub use survey::{DatabaseVerdict, Delivery, Survey, survey};
