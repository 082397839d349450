//! What is due now and then: merging segments, and forgetting what is past retention.

use crate::db::{delete_segment, put_meta, sqlite_error};
use crate::dedup::{DAY_MS, day_of};
use crate::error::Result;
use crate::journal::{Journal, delete_log_rows};
use crate::maintenance::Job;
use crate::segment::{Kind, Segment};
use model::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// How long after midnight a day counts as closed: most stragglers are in by then.
const DAY_GRACE_MS: i64 = 15 * 60_000;

/// Segments of one level in an open day that are merged into one of the next.
const MERGE_AT_ONCE: usize = 12;

/// Level of a segment that holds a whole closed day.
const WHOLE_DAY: u8 = 9;

/// Late segments after which a merged day is merged again.
const LATE_SEGMENTS: usize = 8;

/// How often chores are looked for, as each of them costs a transaction of its own.
const CHORES_EVERY_MS: i64 = 1_000;

/// How often retention is looked at.
const RETENTION_EVERY_MS: i64 = 60_000;

const IDEMPOTENCY_MS: i64 = DAY_MS;
const LOG_ROWS_A_TICK: u32 = 256;
const EVENTS_A_TICK: u32 = 2_000;

/// When what was done last.
#[derive(Debug, Default)]
pub(crate) struct Chores {
    done_at: Option<Timestamp>,
    retention_at: Option<Timestamp>,
}

impl Journal {
    pub(crate) fn do_chores(&mut self, now: Timestamp) -> Result<()> {
        let is_recent = |at: Timestamp| (1..CHORES_EVERY_MS).contains(&now.since_ms(at));
        if self.chores.done_at.is_some_and(is_recent) {
            return Ok(());
        }
        self.chores.done_at = Some(now);
        self.trim_log()?;
        let is_due = |at: Timestamp| now.since_ms(at) >= RETENTION_EVERY_MS;
        if self.chores.retention_at.is_none_or(is_due) {
            self.chores.retention_at = Some(now);
            self.forget(now)?;
        }
        if self.maintenance.under_way == 0
            && let Some((inputs, level)) = self.choose_merge(now)
        {
            self.maintenance.give(Job::Merge { inputs, level })?;
        }
        Ok(())
    }

    fn trim_log(&mut self) -> Result<()> {
        if self.sealed == self.trimmed {
            return Ok(());
        }
        let failed = sqlite_error("trimming the log");
        let deleted = delete_log_rows(&self.conn, self.sealed, LOG_ROWS_A_TICK).map_err(failed)?;
        if deleted == 0 {
            self.trimmed = self.sealed;
        }
        Ok(())
    }

    /// Finds segments that are better one.
    fn choose_merge(&self, now: Timestamp) -> Option<(Vec<Arc<Segment>>, u8)> {
        let open_from = day_of(now.millis().saturating_sub(DAY_GRACE_MS));
        let mut days = BTreeMap::<(i64, Kind), Vec<Arc<Segment>>>::new();
        for segment in self.shared.view().segments.all() {
            let day = days.entry((segment.row.day, segment.row.kind)).or_default();
            day.push(Arc::clone(segment));
        }
        days.into_iter().find_map(|((day, _), segments)| {
            if day < open_from {
                merge_of_closed(segments)
            } else {
                merge_of_open(&segments)
            }
        })
    }

    /// Forgets what is past retention.
    fn forget(&mut self, now: Timestamp) -> Result<()> {
        let failed = sqlite_error("enforcing retention");
        let past = |days: u32| now.millis().saturating_sub(i64::from(days) * DAY_MS);
        let mut gone: Vec<Arc<Segment>> = Vec::new();
        if let Some(days) = self.options.retention_days {
            let first_kept = day_of(past(days));
            let view = self.shared.view();
            let is_past = |segment: &&Arc<Segment>| segment.row.day < first_kept;
            gone.extend(view.segments.all().filter(is_past).cloned());
        }
        // What a merge is reading goes with a later turn.
        if self.maintenance.under_way > 0 {
            gone.clear();
        }
        let readings: u64 = gone.iter().map(|segment| segment.row.readings).sum();
        let expired = self.shared.view().expired_readings + readings;
        let has_ledgers = gone.iter().any(|segment| segment.row.kind == Kind::Ledger);

        let events_before = self.options.events_retention_days.map(past);
        let last_event = self.shared.view().last_event;
        let tx =
            Transaction::new(&mut self.conn, TransactionBehavior::Immediate).map_err(failed)?;
        for segment in &gone {
            delete_segment(&tx, segment.row.id).map_err(failed)?;
        }
        if readings > 0 {
            put_meta(&tx, "expired_readings", expired).map_err(failed)?;
        }
        if has_ledgers {
            put_meta(&tx, "ledger_expired", 1).map_err(failed)?;
        }
        if let Some(before) = events_before {
            delete_events(&tx, before).map_err(failed)?;
            // What is missing from here on did not expire.
            let oldest = crate::events::range(&tx)?.map_or(last_event + 1, |(oldest, _)| oldest);
            put_meta(&tx, "events_from", oldest).map_err(failed)?;
        }
        let day_ago = now.millis().saturating_sub(IDEMPOTENCY_MS);
        tx.execute("DELETE FROM idempotency WHERE at < ?1", [day_ago])
            .map_err(failed)?;
        tx.commit().map_err(failed)?;

        if !gone.is_empty() {
            let ids: HashSet<u64> = gone.iter().map(|segment| segment.row.id).collect();
            drop(self.replace_segments(&ids, std::iter::empty(), false));
            let mut view = self.shared.view_mut();
            view.expired_readings = expired;
            view.ledger_expired |= has_ledgers;
        }
        for segment in gone {
            segment.retire();
        }
        Ok(())
    }
}

/// Deletes some of the oldest events, and never one after one that stays.
fn delete_events(conn: &Connection, before: i64) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "DELETE FROM event WHERE seq <
           (SELECT min(seq) FROM
             (SELECT min(seq) AS seq FROM event WHERE at >= ?1
              UNION ALL SELECT min(seq) + ?2 FROM event
              UNION ALL SELECT max(seq) + 1 FROM event))",
    )?
    .execute((before, EVENTS_A_TICK))
    .map(drop)
}

/// A closed day becomes one segment; late data joins it when there is enough of it.
fn merge_of_closed(segments: Vec<Arc<Segment>>) -> Option<(Vec<Arc<Segment>>, u8)> {
    if segments.len() < 2 {
        return None;
    }
    let rows = |segments: &mut dyn Iterator<Item = &Arc<Segment>>| -> u64 {
        segments.map(|segment| segment.row.rows).sum()
    };
    let is_whole = |segment: &&Arc<Segment>| segment.row.level == WHOLE_DAY;
    let is_late = |segment: &&Arc<Segment>| segment.row.level != WHOLE_DAY;
    let whole_rows = rows(&mut segments.iter().filter(is_whole));
    let late_rows = rows(&mut segments.iter().filter(is_late));
    let late_count = segments.iter().filter(is_late).count();
    let is_worth_it = whole_rows == 0
        || late_count >= LATE_SEGMENTS
        || late_rows.saturating_mul(10) >= whole_rows;
    is_worth_it.then_some((segments, WHOLE_DAY))
}

/// An open day is kept to few segments of each level, so that each value is rewritten seldom.
fn merge_of_open(segments: &[Arc<Segment>]) -> Option<(Vec<Arc<Segment>>, u8)> {
    (0..WHOLE_DAY - 1).find_map(|level| {
        let of_level = |segment: &&Arc<Segment>| segment.row.level == level;
        let alike: Vec<_> = segments.iter().filter(of_level).cloned().collect();
        (alike.len() >= MERGE_AT_ONCE).then_some((alike, level + 1))
    })
}
