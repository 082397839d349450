//! The one place that writes.

use crate::audit;
use crate::db::{self, Pool, sqlite_error};
use crate::dedup::{Dedup, Staged};
use crate::error::{Result, StoreError};
use crate::folder;
use crate::housekeeping::Chores;
use crate::maintenance::{Job, Maintenance};
use crate::recover;
use crate::room::{Growth, Outlook, Room};
use crate::segment::io_error;
use crate::state_file;
use crate::statements::Context;
use crate::swap::Swap;
use crate::view::{Frozen, Shared};
use crate::{Group, Options, Reader, Recovered};
use model::{DeviceKey, Series, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;

/// Bytes of log after which a seal is due, however few values they hold.
const SEAL_LOG_BYTES: usize = 64 << 20;

/// How far memory may outgrow `seal_cells` before commits wait for the seal under way.
const OVERGROWTH: usize = 4;

/// Sealed log rows that each commit deletes on the side.
pub(crate) const LOG_ROWS_A_COMMIT: u32 = 16;

/// The writer's end of the store. After any error it refuses everything: exit and recover.
#[derive(Debug)]
pub struct Journal {
    pub(crate) conn: Connection,
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: Options,
    pub(crate) room: Room,
    pub(crate) maintenance: Maintenance,
    pub(crate) dedup: Dedup,
    pub(crate) chores: Chores,
    pub(crate) audit: audit::Head,
    source: Arc<str>,
    next_device: u32,
    pub(crate) last_stamp: Timestamp,
    /// Nothing that was received at or after this is forgotten.
    pub(crate) held_from: i64,
    /// Whether a group was begun and not committed yet.
    is_open: bool,
    broken: Option<String>,
    /// The commit up to which log rows may be deleted.
    pub(crate) sealed: u64,
    /// The commit up to which none is left to delete.
    pub(crate) trimmed: u64,
    pub(crate) state_id: Option<u64>,
    pub(crate) is_sealing: bool,
    /// The stamp of the oldest commit since the last seal began.
    unsealed_since: Option<Timestamp>,
    unsealed_bytes: usize,
    last_body_bytes: usize,
    /// Held for as long as the journal lives.
    _lock: File,
}

/// Opens a data directory for writing, creating it if need be, and recovers what it holds.
pub fn open(dir: &Path, options: Options) -> Result<(Journal, Reader, Recovered)> {
    crate::restore::refuse_unfinished(dir)?;
    folder::open(dir)?;
    let lock = lock(dir)?;
    // First of all: a database can only be opened where something can be written.
    let mut room = Room::open(dir, options.meter.clone(), options.reserve_bytes);
    room.check_start()?;
    let mut conn = db::open_writer(dir)?;
    if let Some(text) = db::get_meta::<String>(&conn, Growth::KEY)? {
        room.growth = Growth::of_json(&text);
    }
    let greatest_id = recover::sweep(&conn, dir)?;
    let opened = recover::read(&mut conn, dir)?;
    let next_device: Option<u32> = conn
        .query_row("SELECT max(key) FROM device", [], |row| row.get(0))
        .optional()
        .map(Option::flatten)
        .map_err(sqlite_error("reading devices"))?;
    let recovered = opened.recovered;
    let shared = Shared::new(dir.to_owned(), Pool::new(dir), opened.view, greatest_id + 1);
    shared.put_names(recovered.metrics.clone(), recovered.drivers.clone());
    let shared = Arc::new(shared);
    let journal = Journal {
        maintenance: Maintenance::start(&shared)?,
        dedup: Dedup::with(opened.tracks),
        chores: Chores::default(),
        audit: opened.audit,
        source: options.source.as_str().into(),
        next_device: next_device.map_or(1, |greatest| greatest + 1),
        last_stamp: recovered.last_stamp,
        held_from: i64::MAX,
        is_open: false,
        broken: None,
        sealed: recovered.sealed,
        trimmed: 0,
        state_id: opened.state_id,
        is_sealing: false,
        unsealed_since: opened.oldest_stamp,
        unsealed_bytes: 0,
        last_body_bytes: 0,
        _lock: lock,
        conn,
        options,
        room,
        shared: Arc::clone(&shared),
    };
    Ok((journal, Reader { shared }, recovered))
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let failed = io_error("opening", &path);
    let file = File::create(&path).map_err(&failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

impl Journal {
    /// Does something after which, if it fails, nothing can be relied on.
    pub(crate) fn guarded<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if let Some(reason) = &self.broken {
            return Err(StoreError::Broken(reason.clone()));
        }
        act(self).inspect_err(|error| self.broken = Some(error.to_string()))
    }

    /// Breaks the journal on account of its caller.
    pub(crate) fn fail(&mut self, reason: String) -> StoreError {
        self.broken.get_or_insert_with(|| reason.clone());
        StoreError::Broken(reason)
    }

    /// Measures the disk, and tells whether anything new can be taken.
    pub fn has_room(&mut self) -> bool {
        self.room.look()
    }

    /// Tells how the disk was when it was last measured.
    pub fn outlook(&self) -> Outlook {
        self.room.outlook()
    }

    /// Gives every name a key, for ever, and returns all names in the order of their keys.
    pub fn number_metrics(&mut self, names: &[&str]) -> Result<Vec<String>> {
        self.guarded(|journal| {
            let known = journal.shared.metric_names();
            let numbered = journal.number("metric", &known, names)?;
            let drivers = journal.shared.driver_names().to_vec();
            journal.shared.put_names(numbered.clone(), drivers);
            Ok(numbered)
        })
    }

    /// Gives a driver instance its key, for ever.
    pub fn number_driver(&mut self, name: &str) -> Result<u16> {
        self.guarded(|journal| {
            let known = journal.shared.driver_names();
            let numbered = journal.number("driver", &known, &[name])?;
            let place = numbered.iter().position(|known| known == name);
            let metrics = journal.shared.metric_names().to_vec();
            journal.shared.put_names(metrics, numbered);
            place
                .and_then(|place| u16::try_from(place).ok())
                .ok_or_else(|| StoreError::Invalid("too many drivers".to_owned()))
        })
    }

    fn number(
        &mut self,
        table: &'static str,
        known: &[String],
        names: &[&str],
    ) -> Result<Vec<String>> {
        let failed = sqlite_error("numbering names");
        let mut numbered = known.to_vec();
        let tx = self.conn.transaction().map_err(failed)?;
        for name in names {
            if numbered.iter().any(|known| known == name) {
                continue;
            }
            tx.execute(
                &format!("INSERT INTO {table} VALUES (?1, ?2)"),
                (numbered.len(), name),
            )
            .map_err(failed)?;
            numbered.push((*name).to_owned());
        }
        if numbered.len() > usize::from(u16::MAX) {
            return Err(StoreError::Invalid(format!("too many names: {table}")));
        }
        tx.commit().map_err(failed)?;
        Ok(numbered)
    }

    /// Gives a key that no device ever had.
    pub fn next_device_key(&mut self) -> DeviceKey {
        let key = DeviceKey(self.next_device);
        self.next_device = self.next_device.saturating_add(1);
        key
    }

    /// Starts a group; a stamp before the last one's is taken as the last one's.
    pub fn begin(&mut self, stamp: Timestamp) -> Group {
        if self.is_open {
            self.fail("a group was dropped without a commit".to_owned());
        }
        self.is_open = true;
        let last_event = self.shared.view().last_event;
        let stamp = stamp.max(self.last_stamp);
        Group::new(stamp, last_event, &self.source, self.last_body_bytes)
    }

    pub(crate) fn admit(&mut self, key: (u32, u16, i64), staged: Staged<'_>) -> Result<bool> {
        self.guarded(|journal| journal.dedup.admit(&journal.shared, key, staged))
    }

    /// Gives the first instant from `now` on at which nothing of that series is stored or staged,
    /// for a value that came without a time of its own.
    pub fn free_instant(
        &mut self,
        group: &Group,
        series: Series,
        now: Timestamp,
    ) -> Result<Timestamp> {
        self.guarded(|journal| {
            let mut at = now;
            loop {
                let key = (series.device.0, series.metric.0, at.millis());
                if !journal
                    .dedup
                    .is_known(&journal.shared, key, group.staged())?
                {
                    return Ok(at);
                }
                at = at.plus_ms(1);
            }
        })
    }

    /// Makes a group durable with one transaction and one fsync, then shows it to the readers.
    /// Returns the commit's number.
    pub fn commit(&mut self, group: Group) -> Result<u64> {
        self.guarded(|journal| {
            if !std::mem::take(&mut journal.is_open) {
                return Err(StoreError::Invalid("the group is of no journal".to_owned()));
            }
            journal.commit_group(group)
        })
    }

    fn commit_group(&mut self, mut group: Group) -> Result<u64> {
        group.end_part();
        let (stamp, last_event) = (group.stamp, group.last_event);
        let mut parts = group.parts;
        parts.append(&mut group.refused);
        let body = group.record.finish();
        let swap = self.maintenance.poll()?.map(Swap::of);
        // Never used again: rows are deleted only up to `meta.sealed`, from which recovery goes on.
        let commit = self.shared.view().last_commit + 1;

        let failed = sqlite_error("committing a group");
        let behavior = TransactionBehavior::Immediate;
        let tx = Transaction::new(&mut self.conn, behavior).map_err(failed)?;
        insert_log(&tx, commit, &body).map_err(failed)?;
        let mut cx = Context {
            commit,
            stamp,
            audit: self.audit,
        };
        for op in &group.ops {
            op.execute(&tx, &mut cx)?;
        }
        if last_event > self.shared.view().last_event {
            // Kept beside the events, so that a last one that is cut off is missed.
            db::put_meta(&tx, "last_event", last_event).map_err(failed)?;
        }
        if let Some(swap) = &swap {
            swap.write(&tx, &self.shared).map_err(failed)?;
        }
        let is_trimmed = self.sealed == self.trimmed
            || delete_log_rows(&tx, self.sealed, LOG_ROWS_A_COMMIT).map_err(failed)? == 0;
        tx.commit().map_err(failed)?;

        if is_trimmed {
            self.trimmed = self.sealed;
        }
        self.audit = cx.audit;
        self.last_stamp = stamp;
        self.unsealed_since.get_or_insert(stamp);
        self.unsealed_bytes += body.len();
        self.last_body_bytes = body.len();
        {
            let mut view = self.shared.view_mut();
            view.apply(stamp, &parts, &group.cells);
            view.last_commit = commit;
            view.last_event = last_event;
        }
        if let Some(swap) = swap {
            self.finish_swap(swap);
        }
        self.wait_if_overgrown()?;
        Ok(commit)
    }

    /// Slows the commits down to what the disk can seal.
    fn wait_if_overgrown(&mut self) -> Result<()> {
        let limit = self.options.seal_cells.saturating_mul(OVERGROWTH);
        while self.is_sealing && self.shared.view().cell_count > limit {
            let Some(done) = self.maintenance.wait()? else {
                return Ok(());
            };
            self.swap_alone(Swap::of(done))?;
        }
        Ok(())
    }

    /// Tells whether it is time to call [`Journal::seal`].
    pub fn wants_seal(&self, now: Timestamp) -> bool {
        let Some(since) = self.unsealed_since else {
            return false;
        };
        if self.is_sealing || self.is_open || self.broken.is_some() {
            return false;
        }
        now.since_ms(since) >= i64::from(self.options.seal_after_s) * 1000
            || self.unsealed_bytes >= SEAL_LOG_BYTES
            || self.shared.view().cell_count >= self.options.seal_cells
    }

    /// Starts to move everything committed so far into segments. `checkpoint` is the engine's
    /// state as of the last commit; it comes back in [`Recovered`].
    ///
    /// If a seal is under way, it is waited for.
    pub fn seal(&mut self, checkpoint: Vec<u8>) -> Result<()> {
        self.guarded(|journal| {
            if journal.is_open {
                return Err(StoreError::Invalid("a seal within a group".to_owned()));
            }
            while journal.is_sealing {
                let Some(done) = journal.maintenance.wait()? else {
                    break;
                };
                journal.swap_alone(Swap::of(done))?;
            }
            let (state, frozen, sealed) = journal.freeze(&checkpoint);
            drop(checkpoint);
            journal.dedup.seal();
            journal.is_sealing = true;
            journal.unsealed_since = None;
            journal.unsealed_bytes = 0;
            journal.maintenance.give(Job::Seal {
                frozen,
                state,
                sealed,
                stamp: journal.last_stamp.millis(),
            })
        })
    }

    fn freeze(&self, checkpoint: &[u8]) -> (Vec<u8>, Arc<Frozen>, u64) {
        let state = state_file::encode(&self.shared.view(), &self.dedup.tracks, checkpoint);
        let mut view = self.shared.view_mut();
        let frozen = Arc::new(Frozen {
            cells: std::mem::take(&mut view.cells),
            beside: std::mem::take(&mut view.beside),
            count: std::mem::take(&mut view.cell_count),
        });
        view.frozen = Some(Arc::clone(&frozen));
        (state, frozen, view.last_commit)
    }

    /// Does what is due between commits: finishes seals, compacts, enforces retention.
    /// To be called at least once a second; more often costs next to nothing.
    pub fn tick(&mut self, now: Timestamp) -> Result<()> {
        self.guarded(|journal| {
            if journal.is_open {
                return Ok(());
            }
            if let Some(done) = journal.maintenance.poll()? {
                journal.swap_alone(Swap::of(done))?;
            }
            journal.do_chores(now)
        })
    }

    /// Waits until all work of the maintenance thread is done; for shutdown and tests.
    pub fn settle(&mut self) -> Result<()> {
        self.guarded(|journal| {
            while let Some(done) = journal.maintenance.wait()? {
                journal.swap_alone(Swap::of(done))?;
            }
            Ok(())
        })
    }

    /// Closes the database and lets the directory go.
    pub fn close(mut self) -> Result<()> {
        self.settle()?;
        self.conn
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .map_err(sqlite_error("closing the database"))
    }
}

fn insert_log(conn: &Connection, commit: u64, body: &[u8]) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT INTO log VALUES (?1, ?2)")?
        .execute((commit, body))
        .map(drop)
}

/// Deletes some of the log rows whose content is in segments, oldest first.
pub(crate) fn delete_log_rows(
    conn: &Connection,
    sealed: u64,
    limit: u32,
) -> rusqlite::Result<usize> {
    conn.prepare_cached(
        "DELETE FROM log WHERE seq IN
           (SELECT seq FROM log WHERE seq <= ?1 ORDER BY seq LIMIT ?2)",
    )?
    .execute((sealed, limit))
}
