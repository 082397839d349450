//! Forgets what is past its age or beyond the size that a city gives its history.
//!
//! Readings go by the UTC day of their device time: whole segments when nothing of a day is wanted any
//! more, columns or rows of a segment when some metrics or devices are kept for less than others. What is
//! gone is counted, and from when on each metric is kept is noted in the same transaction.

mod ages;

pub(crate) use ages::Past;

use crate::Options;
use crate::db::{delete_segment, put_meta, sqlite_error};
use crate::dedup::DAY_MS;
use crate::error::Result;
use crate::journal::Journal;
use crate::maintenance::Job;
use crate::room::Growth;
use crate::segment::{Kind, Segment, Without};
use crate::view::Horizon;
use ages::Ages;
use model::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use rustc_hash::FxHashSet;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

const IDEMPOTENCY_MS: i64 = DAY_MS;
const EVENTS_A_TICK: u32 = 2_000;
const ROWS_A_TICK: u32 = 500;

/// What is to become of a segment.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    /// All of it stays until something else is past.
    Looked(Past),
    /// All of it goes, with everything of its day.
    Gone,
    /// All of it goes, as each of its metrics is past its own age.
    Spent(BTreeSet<u16>),
    /// Some of it goes.
    Thinned(Thinning),
}

/// What is to be written anew, and without what.
#[derive(Debug, PartialEq, Eq)]
struct Thinning {
    without: Without,
    /// Metrics of which not all is there any more.
    metrics: BTreeSet<u16>,
    past: Past,
}

/// What goes in one turn.
#[derive(Debug, Default)]
struct Going {
    segments: Vec<Arc<Segment>>,
    horizon: Horizon,
    thinned: Option<(Arc<Segment>, Thinning)>,
    /// Segments that were looked at, and keep what they have.
    looked_at: Vec<(u64, Past)>,
    /// More is to be looked at than one turn takes.
    is_cut_short: bool,
}

/// Segments of which the columns are looked at in one turn: each costs the reading of a footer, and
/// commits wait for it.
const LOOKS_MAX: usize = 32;

impl Journal {
    /// Keeps whatever was received at or after this moment from being forgotten, however old it
    /// gets: somebody, such as a mirror, has not confirmed it yet.
    pub fn hold_from(&mut self, received: Option<Timestamp>) {
        self.held_from = received.map_or(i64::MAX, Timestamp::millis);
    }

    /// Forgets what is past retention.
    pub(crate) fn forget(&mut self, now: Timestamp) -> Result<()> {
        let failed = sqlite_error("enforcing retention");
        // What a merge is reading goes with a later turn.
        let going = match self.maintenance.under_way {
            0 => self.choose_going(now)?,
            _ => Going::default(),
        };
        let gone = going.segments;
        let readings: u64 = gone.iter().map(|segment| segment.row.readings).sum();
        let expired = self.shared.view().expired_readings + readings;
        let has_ledgers = gone.iter().any(|segment| segment.row.kind == Kind::Ledger);
        let mut horizon = self.shared.view().horizon.clone();
        let is_further = horizon.join(&going.horizon);
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
        if is_further {
            put_meta(&tx, Horizon::KEY, horizon.to_json()).map_err(failed)?;
        }
        let past = |days: u32| now.millis().saturating_sub(i64::from(days) * DAY_MS);
        let last_event = self.shared.view().last_event;
        forget_rows(&tx, &self.options, (now, last_event))?;
        if self.room.note(now.millis()) {
            put_meta(&tx, Growth::KEY, self.room.growth.to_json()).map_err(failed)?;
        }
        let stamp = now.max(self.last_stamp);
        let mut audit = self.audit;
        if let Some(before) = self.options.audit_retention_days.map(past) {
            crate::audit::forget(&tx, &mut audit, (before, stamp))?;
        }
        tx.commit().map_err(failed)?;

        if audit != self.audit {
            (self.audit, self.last_stamp) = (audit, stamp);
        }
        if !gone.is_empty() {
            let ids: HashSet<u64> = gone.iter().map(|segment| segment.row.id).collect();
            drop(self.replace_segments(&ids, std::iter::empty(), false));
            let mut view = self.shared.view_mut();
            view.expired_readings = expired;
            view.ledger_expired |= has_ledgers;
            view.horizon = horizon;
            tracing::info!(
                segments = gone.len(),
                readings,
                "history past its age is gone"
            );
        }
        for segment in gone {
            segment.retire();
        }
        if !going.looked_at.is_empty() {
            self.shared.view_mut().looked_at.extend(going.looked_at);
        }
        self.give_thinning(going.thinned, going.is_cut_short)
    }

    /// Has a segment written anew, if there is room for a second one.
    fn give_thinning(
        &mut self,
        thinned: Option<(Arc<Segment>, Thinning)>,
        is_cut_short: bool,
    ) -> Result<()> {
        let thinned = thinned.filter(|(input, _)| self.room.fits(input.row.bytes));
        self.chores.hurries = is_cut_short || thinned.is_some();
        let Some((input, thinning)) = thinned else {
            return Ok(());
        };
        self.maintenance.give(Job::Thin {
            input,
            without: thinning.without,
            metrics: thinning.metrics,
            past: thinning.past,
        })
    }

    fn choose_going(&self, now: Timestamp) -> Result<Going> {
        let mut going = Going::default();
        let names = self.shared.metric_names();
        let ages = Ages::of(&self.options, &names, now);
        let (segments, looked_at) = {
            let view = self.shared.view();
            let segments: Vec<Arc<Segment>> = view.segments.all().cloned().collect();
            (segments, view.looked_at.clone())
        };
        let mut kept = BTreeMap::<i64, Vec<Arc<Segment>>>::new();
        let mut looks = 0;
        for segment in segments {
            let day = segment.row.day;
            let known = looked_at.get(&segment.row.id);
            let fate = match self.fate_unseen(&segment, &ages, known) {
                Some(fate) => fate,
                None if looks < LOOKS_MAX && going.thinned.is_none() => {
                    looks += 1;
                    self.fate_by_columns(&segment, &ages)?
                }
                None => {
                    going.is_cut_short = true;
                    Fate::Kept
                }
            };
            match fate {
                Fate::Kept => kept.entry(day).or_default().push(segment),
                Fate::Looked(past) => {
                    going.looked_at.push((segment.row.id, past));
                    kept.entry(day).or_default().push(segment);
                }
                Fate::Gone => {
                    // Counts by minute have no part in what readings there are.
                    if segment.row.kind == Kind::Data {
                        going.horizon.forget_day(day);
                    }
                    going.segments.push(segment);
                }
                Fate::Spent(metrics) => {
                    going.horizon.forget_metrics(day, &metrics);
                    going.segments.push(segment);
                }
                Fate::Thinned(thinning) => {
                    kept.entry(day).or_default().push(Arc::clone(&segment));
                    going.thinned.get_or_insert((segment, thinning));
                }
            }
        }
        self.shrink(kept, &mut going);
        Ok(going)
    }

    /// Decides by the catalogue alone, where that is enough.
    fn fate_unseen(&self, segment: &Segment, ages: &Ages, known: Option<&Past>) -> Option<Fate> {
        let day = segment.row.day;
        if self.is_held(segment) {
            return Some(Fate::Kept);
        }
        if segment.row.kind == Kind::Ledger || ages.are_alike() {
            let is_past = day < ages.rest();
            return Some(if is_past { Fate::Gone } else { Fate::Kept });
        }
        let past = ages.past(day);
        (past.is_nothing() || known == Some(&past)).then_some(Fate::Kept)
    }

    fn fate_by_columns(&self, segment: &Segment, ages: &Ages) -> Result<Fate> {
        let names = self.shared.metric_names();
        let reader = self.shared.metas.open(segment, &names)?;
        let metrics: BTreeSet<u16> = reader.columns().map(|column| column.metric).collect();
        let past = ages.past(segment.row.day);
        let share = ages.share(&past, &metrics);
        if share.whole.len() == metrics.len() {
            return Ok(Fate::Spent(share.whole));
        }
        if share.whole.is_empty() && share.part.is_empty() {
            return Ok(Fate::Looked(past));
        }
        let devices = match share.part.is_empty() {
            true => FxHashSet::default(),
            false => self.devices_where(|kind| ages.is_past(&past, kind))?,
        };
        Ok(Fate::Thinned(Thinning {
            metrics: share.whole.union(&share.part).copied().collect(),
            without: Without {
                metrics: share.whole,
                devices,
                apart: ages.own_metrics(),
            },
            past,
        }))
    }

    /// Finds the devices of some kinds, removed ones too.
    fn devices_where(&self, is_wanted: impl Fn(&str) -> bool) -> Result<FxHashSet<u32>> {
        let failed = sqlite_error("reading the kinds of devices");
        let mut query = self
            .conn
            .prepare_cached("SELECT key, json_extract(json, '$.kind') FROM device")
            .map_err(failed)?;
        let mut rows = query.query([]).map_err(failed)?;
        let mut devices = FxHashSet::default();
        while let Some(row) = rows.next().map_err(failed)? {
            let kind: Option<String> = row.get(1).map_err(failed)?;
            if kind.as_deref().is_some_and(&is_wanted) {
                devices.insert(row.get(0).map_err(failed)?);
            }
        }
        Ok(devices)
    }

    fn is_held(&self, segment: &Segment) -> bool {
        segment.row.received.1 >= self.held_from
    }

    /// Lets whole days go, the oldest first, until the rest is within the size; never the newest.
    fn shrink(&self, mut kept: BTreeMap<i64, Vec<Arc<Segment>>>, going: &mut Going) {
        let Some(most) = self.options.size_bytes_max else {
            return;
        };
        let all = kept.values().flatten();
        let mut bytes: u64 = all.map(|segment| segment.row.bytes).sum();
        while bytes > most && kept.len() > 1 {
            let Some((day, segments)) = kept.pop_first() else {
                return;
            };
            if segments.iter().any(|segment| self.is_held(segment)) {
                return;
            }
            bytes -= segments
                .iter()
                .map(|segment| segment.row.bytes)
                .sum::<u64>();
            let is_of_day = |(segment, _): &mut (Arc<Segment>, _)| segment.row.day == day;
            going.thinned.take_if(is_of_day);
            going.horizon.forget_day(day);
            going.segments.extend(segments);
        }
    }
}

/// Deletes what is past its age among events, alarms, cases and answers.
fn forget_rows(
    tx: &Connection,
    options: &Options,
    (now, last_event): (Timestamp, u64),
) -> Result<()> {
    let failed = sqlite_error("enforcing retention");
    let past = |days: u32| now.millis().saturating_sub(i64::from(days) * DAY_MS);
    if let Some(before) = options.events_retention_days.map(past) {
        delete_events(tx, before).map_err(failed)?;
        // What is missing from here on did not expire.
        let oldest = crate::events::range(tx)?.map_or(last_event + 1, |(oldest, _)| oldest);
        put_meta(tx, "events_from", oldest).map_err(failed)?;
    }
    if let Some(before) = options.alarms_retention_days.map(past) {
        delete_alarms(tx, before).map_err(failed)?;
    }
    if let Some(before) = options.cases_retention_days.map(past) {
        delete_cases(tx, before).map_err(failed)?;
    }
    let day_ago = now.millis().saturating_sub(IDEMPOTENCY_MS);
    tx.execute("DELETE FROM idempotency WHERE at < ?1", [day_ago])
        .map_err(failed)
        .map(drop)
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

/// Deletes some alarms that are over, and notes before when not all are there any more.
fn delete_alarms(conn: &Connection, before: i64) -> rusqlite::Result<()> {
    let text = Timestamp::from_millis(before).to_string();
    let deleted = conn
        .prepare_cached(
            "DELETE FROM alarm WHERE id IN (SELECT id FROM alarm
               WHERE raised_at < ?1 AND state = 'normal'
                 AND ifnull(json_extract(json, '$.cleared_at'), '') < ?2
               ORDER BY raised_at, id LIMIT ?3)",
        )?
        .execute((before, text, ROWS_A_TICK))?;
    if deleted > 0 {
        put_meta(conn, "alarms_from", before)?;
    }
    Ok(())
}

/// Deletes some cases that are closed; the last one stays, so that no number is given twice.
fn delete_cases(conn: &Connection, before: i64) -> rusqlite::Result<()> {
    let mut query = conn.prepare_cached(
        "SELECT number FROM case_row WHERE open = 0 AND closed_at < ?1
           AND number < (SELECT max(number) FROM case_row) LIMIT ?2",
    )?;
    let numbers: rusqlite::Result<Vec<i64>> = query
        .query_map((before, ROWS_A_TICK), |row| row.get(0))?
        .collect();
    for number in numbers? {
        for sql in [
            "DELETE FROM case_row WHERE number = ?1",
            "DELETE FROM case_json WHERE number = ?1",
            "DELETE FROM case_version WHERE number = ?1",
        ] {
            conn.prepare_cached(sql)?.execute([number])?;
        }
    }
    Ok(())
}
