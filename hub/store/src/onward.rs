//! Reading for somebody who takes everything over and remembers how far: from the log where that still has
//! it, from segments where it has not.
//!
//! How far is told by the time of receipt, which every reading keeps wherever it lies: merging segments and
//! trimming the log change nothing about it.

use crate::db::{get_meta, sqlite_error};
use crate::error::{Result, StoreError};
use crate::log::{each_row, readings_of_row};
use crate::reader::Reader;
use crate::record::Record;
use crate::replay::push_readings;
use crate::segment::{Rows, Segment};
use model::{Reading, Timestamp};
use rusqlite::{Connection, OptionalExtension};
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Where everything is that was received at or after some moment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Onward {
    /// All of it is in the log, after this commit.
    Log { after: u64 },
    /// What was received up to `until` may be in segments alone; with that, all of this commit and those
    /// before it is there, and the log has the rest.
    Segments { until: Timestamp, after: u64 },
}

/// Readings of some commits that follow one another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Followed {
    /// The last commit that was looked at, and its time.
    pub commit: u64,
    pub stamp: Option<Timestamp>,
    pub readings: Vec<Reading>,
    /// There may be more at once.
    pub has_more: bool,
}

/// Readings of one UTC day of device times.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SealedPart {
    pub day: i64,
    pub readings: Vec<Reading>,
}

/// What was received within a range and is in segments: days in order, within a day as it lies. One
/// slice of a segment is in memory.
#[derive(Debug)]
pub struct Sealed {
    reader: Reader,
    received: RangeInclusive<i64>,
    segments: VecDeque<Arc<Segment>>,
    /// The next slice of the first segment.
    group: usize,
    day: i64,
    rows: Rows,
    order: Vec<u32>,
    next: usize,
}

impl Reader {
    /// Counts the readings that were ever stored.
    pub fn stored(&self) -> u64 {
        let view = self.shared.view();
        view.drivers.values().map(|tally| tally.stored).sum()
    }

    /// Estimates how many readings were received at or after `from`: of a segment that was begun before, the share
    /// of its time counts, and what is not in segments yet counts whole.
    pub fn received_since(&self, from: Timestamp) -> u64 {
        let view = self.shared.view();
        let frozen = view.frozen.as_ref().map_or(0, |frozen| frozen.count);
        let share = |segment: &Arc<Segment>| {
            let ((first, last), from) = (segment.row.received, from.millis());
            let span = i128::from(last) - i128::from(first) + 1;
            let wanted = (i128::from(last) - i128::from(first.max(from)) + 1).clamp(0, span);
            u64::try_from(i128::from(segment.row.readings) * wanted / span.max(1)).unwrap_or(0)
        };
        let sealed: u64 = view.segments.data.iter().map(share).sum();
        sealed + (view.cell_count + frozen) as u64
    }

    /// Finds everything that was received at or after `from`.
    pub fn onward(&self, from: Timestamp) -> Result<Onward> {
        let conn = self.shared.pool.take()?;
        // Rows leave the log only after the segments that have them are in the view; so the view is asked later.
        let tx = conn
            .unchecked_transaction()
            .map_err(sqlite_error("reading the log"))?;
        let first = first_row(&tx)?;
        if let Some((_, stamp)) = first
            && stamp < from
        {
            return Ok(Onward::Log {
                after: last_before(&tx, from)?,
            });
        }
        let sealed: u64 = get_meta(&tx, "sealed")?.unwrap_or(0);
        drop(tx);
        let after = first.map_or(sealed, |(seq, _)| seq.saturating_sub(1));
        let segments = Arc::clone(&self.shared.view().segments);
        let newest = segments.data.iter().map(|one| one.row.received.1).max();
        let newest = newest.map(Timestamp::from_millis);
        match newest.filter(|newest| *newest >= from) {
            None => Ok(Onward::Log { after }),
            Some(newest) => Ok(Onward::Segments {
                until: first.map_or(newest, |(_, stamp)| stamp),
                after,
            }),
        }
    }

    /// Gives the readings of commits after `after`, whole commits, as many as it takes to reach `limit`
    /// readings; `None` if the log has lost some of them to segments.
    pub fn follow(&self, after: u64, limit: usize) -> Result<Option<Followed>> {
        let (last, _) = self.mark();
        let conn = self.shared.pool.take()?;
        let mut followed = Followed {
            commit: after,
            ..Followed::default()
        };
        let mut has_gap = false;
        each_row(&conn, after, &mut |seq, body| {
            if seq != followed.commit.saturating_add(1) {
                has_gap = true;
                return Ok(false);
            }
            let record = Record::open(body)?;
            readings_of_row(&record, &mut followed.readings)?;
            followed.commit = seq;
            followed.stamp = Some(record.stamp);
            followed.has_more = followed.readings.len() >= limit;
            Ok(!followed.has_more)
        })?;
        let is_lost = has_gap || followed.stamp.is_none() && last > after;
        Ok((!is_lost).then_some(followed))
    }

    /// Gives what was received within a range and is in segments, but for days before `from_day`.
    pub fn sealed(&self, received: RangeInclusive<Timestamp>, from_day: i64) -> Sealed {
        let received = received.start().millis()..=received.end().millis();
        let segments = Arc::clone(&self.shared.view().segments);
        let overlaps = |segment: &&Arc<Segment>| {
            let (first, last) = segment.row.received;
            segment.row.day >= from_day && first <= *received.end() && last >= *received.start()
        };
        Sealed {
            segments: segments.data.iter().filter(overlaps).cloned().collect(),
            reader: self.clone(),
            received,
            group: 0,
            day: from_day,
            rows: Rows::default(),
            order: Vec::new(),
            next: 0,
        }
    }
}

impl Sealed {
    /// Gives the next readings, about `limit` of them, all of one day; `None` at the end.
    pub fn part(&mut self, limit: usize) -> Result<Option<SealedPart>> {
        while self.next >= self.order.len() {
            if !self.load()? {
                return Ok(None);
            }
        }
        let mut part = SealedPart {
            day: self.day,
            readings: Vec::with_capacity(limit),
        };
        while let Some(row) = self.order.get(self.next) {
            if part.readings.len() >= limit {
                break;
            }
            let row = *row as usize;
            if let Some(key) = self.rows.keys.get(row) {
                push_readings(key, &self.rows, row, &mut part.readings);
            }
            self.next += 1;
        }
        Ok(Some(part))
    }

    /// Tells how many readings are to come, at most: a segment that has a wanted one counts whole.
    pub fn left(&self) -> u64 {
        let waiting = self.segments.iter().map(|one| one.row.readings);
        waiting.sum::<u64>() + (self.order.len().saturating_sub(self.next)) as u64
    }

    /// Tells when the first of what is to come was received, at the earliest.
    pub fn oldest(&self) -> Option<Timestamp> {
        let waiting = self.segments.iter().map(|one| one.row.received.0);
        let oldest = waiting.min()?.max(*self.received.start());
        Some(Timestamp::from_millis(oldest))
    }

    /// Brings the next slice into memory; tells whether there was one.
    fn load(&mut self) -> Result<bool> {
        (self.rows, self.order, self.next) = Default::default();
        let Some(segment) = self.segments.front() else {
            return Ok(false);
        };
        let shared = &self.reader.shared;
        let reader = shared.metas.open(segment, &shared.metric_names())?;
        let Some(slice) = reader.meta.slices.get(self.group) else {
            self.segments.pop_front();
            self.group = 0;
            return Ok(true);
        };
        let (group, day) = (self.group, segment.row.day);
        self.group += 1;
        let (first, last) = slice.received;
        if first > *self.received.end() || last < *self.received.start() {
            return Ok(true);
        }
        reader.read_slice(group, &mut self.rows)?;
        let received = self.received.clone();
        self.order = self.rows.sorted(|key| received.contains(&key.received));
        self.day = day;
        Ok(true)
    }
}

fn first_row(conn: &Connection) -> Result<Option<(u64, Timestamp)>> {
    let failed = sqlite_error("reading the log");
    let row: Option<(u64, Vec<u8>)> = conn
        .prepare_cached("SELECT seq, body FROM log ORDER BY seq LIMIT 1")
        .and_then(|mut query| {
            query
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .map_err(failed)?;
    row.map(|(seq, body)| Ok((seq, Record::open(&body)?.stamp)))
        .transpose()
}

/// Gives the last commit whose time is before `from`; times never go back from commit to commit.
fn last_before(conn: &Connection, from: Timestamp) -> Result<u64> {
    let failed = sqlite_error("reading the log");
    let (mut low, end): (u64, u64) = conn
        .prepare_cached("SELECT min(seq), max(seq) FROM log")
        .and_then(|mut query| query.query_row([], |row| Ok((row.get(0)?, row.get(1)?))))
        .map_err(failed)?;
    let mut high = end.saturating_add(1);
    while high - low > 1 {
        let middle = low.midpoint(high);
        let body: Option<Vec<u8>> = conn
            .prepare_cached("SELECT body FROM log WHERE seq = ?1")
            .and_then(|mut query| query.query_row([middle], |row| row.get(0)).optional())
            .map_err(failed)?;
        let body = body
            .ok_or_else(|| StoreError::Damaged(format!("commit {middle} is missing in the log")))?;
        if Record::open(&body)?.stamp < from {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
