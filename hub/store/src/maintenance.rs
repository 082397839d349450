//! The one thread that writes segments: it seals what is frozen and merges what is done with.

use crate::dedup::{DAY_MS, day_of};
use crate::error::{Result, StoreError};
use crate::ledger::{MINUTE_MS, Minute, Tally, minutes_of};
use crate::retention::Past;
use crate::segment::{
    Kind, Rows, SLICE_ROWS, Segment, SegmentRow, SegmentWriter, Without, Written, io_error,
    merge_data, merge_ledgers, segment_path, sync_folder, write_ledger,
};
use crate::state_file::state_path;
use crate::view::{Frozen, Shared};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

/// Work that may wait; the journal gives no more before it has the answer.
const JOBS_MAX: usize = 2;

/// Something to do.
#[derive(Debug)]
pub(crate) enum Job {
    Seal {
        frozen: Arc<Frozen>,
        /// The bytes of the state file.
        state: Vec<u8>,
        /// The commit up to which everything is in `frozen` or in older segments.
        sealed: u64,
        stamp: i64,
    },
    /// Makes one segment of several of the same day and kind.
    Merge {
        inputs: Vec<Arc<Segment>>,
        level: u8,
    },
    /// Makes a segment without what is past its age.
    Thin {
        input: Arc<Segment>,
        without: Without,
        /// Metrics of which not all is there afterwards.
        metrics: BTreeSet<u16>,
        past: Past,
    },
}

/// Something that was done, all of it forced to disk.
#[derive(Debug)]
pub(crate) enum Done {
    Sealed {
        segments: Vec<SegmentRow>,
        state_id: u64,
        sealed: u64,
        stamp: i64,
    },
    Merged {
        inputs: Vec<Arc<Segment>>,
        output: SegmentRow,
    },
    Thinned {
        input: Arc<Segment>,
        metrics: BTreeSet<u16>,
        past: Past,
        /// Nothing where nothing was left.
        output: Option<SegmentRow>,
    },
}

/// The journal's end of the thread.
#[derive(Debug)]
pub(crate) struct Maintenance {
    jobs: Option<SyncSender<Job>>,
    done: Receiver<Result<Done>>,
    thread: Option<JoinHandle<()>>,
    /// Jobs without an answer yet.
    pub(crate) under_way: usize,
}

impl Maintenance {
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Self> {
        let (jobs, inbox) = sync_channel::<Job>(JOBS_MAX);
        let (outbox, done) = sync_channel::<Result<Done>>(JOBS_MAX);
        let shared = Arc::clone(shared);
        let thread = std::thread::Builder::new()
            .name("store-maintenance".to_owned())
            .spawn(move || work(&shared, &inbox, &outbox))
            .map_err(|source| StoreError::Io {
                what: "starting the maintenance thread".to_owned(),
                source,
            })?;
        Ok(Self {
            jobs: Some(jobs),
            done,
            thread: Some(thread),
            under_way: 0,
        })
    }

    pub(crate) fn give(&mut self, job: Job) -> Result<()> {
        let gone = || StoreError::Broken("the maintenance thread is gone".to_owned());
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job).map_err(|_| gone())?;
        self.under_way += 1;
        Ok(())
    }

    /// Takes an answer, if there is one.
    pub(crate) fn poll(&mut self) -> Result<Option<Done>> {
        match self.done.try_recv() {
            Ok(done) => {
                self.under_way -= 1;
                done.map(Some)
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(StoreError::Broken(
                "the maintenance thread is gone".to_owned(),
            )),
        }
    }

    /// Waits for an answer, if one is to come.
    pub(crate) fn wait(&mut self) -> Result<Option<Done>> {
        if self.under_way == 0 {
            return Ok(None);
        }
        let done = self
            .done
            .recv()
            .map_err(|_| StoreError::Broken("the maintenance thread is gone".to_owned()))?;
        self.under_way -= 1;
        done.map(Some)
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        drop(self.jobs.take());
        while self.under_way > 0 && self.done.recv().is_ok() {
            self.under_way -= 1;
        }
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported as the missing answer.
            drop(thread.join());
        }
    }
}

fn work(shared: &Shared, inbox: &Receiver<Job>, outbox: &SyncSender<Result<Done>>) {
    while let Ok(job) = inbox.recv() {
        let done = match job {
            Job::Seal {
                frozen,
                state,
                sealed,
                stamp,
            } => seal(shared, &frozen, &state).map(|(segments, state_id)| Done::Sealed {
                segments,
                state_id,
                sealed,
                stamp,
            }),
            Job::Merge { inputs, level } => merge(shared, inputs, level),
            Job::Thin {
                input,
                without,
                metrics,
                past,
            } => thin(shared, &input, &without).map(|output| Done::Thinned {
                input,
                metrics,
                past,
                output,
            }),
        };
        if outbox.send(done).is_err() {
            return;
        }
    }
}

fn seal(shared: &Shared, frozen: &Frozen, state: &[u8]) -> Result<(Vec<SegmentRow>, u64)> {
    let mut segments = Vec::new();
    for (day, rows) in rows_by_day(frozen) {
        segments.push(seal_day(shared, day, &rows)?);
    }
    let mut by_day = BTreeMap::<i64, Vec<(Minute, Tally)>>::new();
    for (minute, tally) in minutes_of(&frozen.cells, &frozen.beside) {
        let day = minute.minute.div_euclid(DAY_MS / MINUTE_MS);
        by_day.entry(day).or_default().push((minute, tally));
    }
    for (day, counts) in by_day {
        let id = shared.next_id();
        let written = write_ledger(&segment_path(&shared.dir, day, id), &counts)?;
        segments.push(row_of(id, Kind::Ledger, day, &written, 0));
    }
    let state_id = shared.next_id();
    write_state(shared, state_id, state)?;
    Ok((segments, state_id))
}

fn rows_by_day(frozen: &Frozen) -> BTreeMap<i64, Rows> {
    let mut days = BTreeMap::<i64, Rows>::new();
    let mut devices: Vec<_> = frozen.cells.iter().collect();
    devices.sort_unstable_by_key(|(device, _)| **device);
    for (device, cells) in devices {
        let mut cells = cells.clone();
        cells.sort_by_key(|cell| cell.observed);
        for day in cells.chunk_by_mut(|a, b| day_of(a.observed) == day_of(b.observed)) {
            let Some(number) = day.first().map(|cell| day_of(cell.observed)) else {
                continue;
            };
            days.entry(number).or_default().push_device(*device, day);
        }
    }
    days
}

fn seal_day(shared: &Shared, day: i64, rows: &Rows) -> Result<SegmentRow> {
    let id = shared.next_id();
    let path = segment_path(&shared.dir, day, id);
    let metrics = shared.metric_names();
    let mut writer = SegmentWriter::create(&path, rows.columns(), &metrics)?;
    writer.slice(rows, |_| true)?;
    Ok(row_of(id, Kind::Data, day, &writer.finish()?, 0))
}

fn row_of(id: u64, kind: Kind, day: i64, written: &Written, level: u8) -> SegmentRow {
    SegmentRow {
        id,
        kind,
        day,
        observed: written.observed,
        received: written.received,
        rows: written.rows,
        readings: written.readings,
        bytes: written.bytes,
        crc: written.crc,
        level,
    }
}

fn write_state(shared: &Shared, id: u64, bytes: &[u8]) -> Result<()> {
    let path = state_path(&shared.dir, id);
    let folder = shared.dir.join("state");
    std::fs::create_dir_all(&folder).map_err(io_error("making folder", &folder))?;
    let temporary = path.with_extension("state.tmp");
    let write = || {
        use std::io::Write;
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)
    };
    write().map_err(io_error("writing", &path))?;
    sync_folder(&folder)?;
    sync_folder(&shared.dir)
}

fn merge(shared: &Shared, inputs: Vec<Arc<Segment>>, level: u8) -> Result<Done> {
    let first = inputs
        .first()
        .ok_or_else(|| StoreError::Invalid("nothing to merge".to_owned()))?
        .row;
    let id = shared.next_id();
    let path = segment_path(&shared.dir, first.day, id);
    let written = match first.kind {
        Kind::Data => {
            let names = shared.metric_names();
            merge_data(&inputs, &path, (&names, &Without::default()), SLICE_ROWS)?
        }
        Kind::Ledger => merge_ledgers(&inputs, &path)?,
    };
    let sum = |of: fn(&SegmentRow) -> u64| inputs.iter().map(|input| of(&input.row)).sum::<u64>();
    if first.kind == Kind::Data
        && (written.rows, written.readings) != (sum(|row| row.rows), sum(|row| row.readings))
    {
        // Better two files too many than a reading too few.
        return Err(StoreError::Damaged(format!(
            "merging day {} lost or invented rows",
            first.day
        )));
    }
    Ok(Done::Merged {
        output: row_of(id, first.kind, first.day, &written, level),
        inputs,
    })
}

fn thin(shared: &Shared, input: &Arc<Segment>, without: &Without) -> Result<Option<SegmentRow>> {
    let (row, id) = (input.row, shared.next_id());
    let path = segment_path(&shared.dir, row.day, id);
    let inputs = [Arc::clone(input)];
    let names = shared.metric_names();
    let written = merge_data(&inputs, &path, (&names, without), SLICE_ROWS)?;
    if written.rows == 0 {
        // In no catalogue, so that a leftover is deleted at the next start.
        drop(std::fs::remove_file(&path));
        return Ok(None);
    }
    Ok(Some(row_of(id, row.kind, row.day, &written, row.level)))
}
