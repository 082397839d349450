//! What is due now and then: merging segments, trimming the log, looking at retention.

use crate::db::sqlite_error;
use crate::dedup::day_of;
use crate::error::Result;
use crate::journal::{Journal, delete_log_rows};
use crate::maintenance::Job;
use crate::segment::{Kind, Segment};
use model::Timestamp;
use std::collections::BTreeMap;
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

const LOG_ROWS_A_TICK: u32 = 256;

/// When what was done last.
#[derive(Debug, Default)]
pub(crate) struct Chores {
    done_at: Option<Timestamp>,
    retention_at: Option<Timestamp>,
    /// Retention has more to do than it did last time.
    pub(crate) hurries: bool,
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
        let goes_on = self.chores.hurries && self.maintenance.under_way == 0;
        if goes_on || self.chores.retention_at.is_none_or(is_due) {
            self.chores.retention_at = Some(now);
            self.forget(now)?;
        }
        if self.maintenance.under_way == 0
            && let Some((inputs, level)) = self.choose_merge(now)
            && self
                .room
                .fits(inputs.iter().map(|input| input.row.bytes).sum())
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
