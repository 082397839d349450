//! Reading the log: for recovery, for the engine's catch-up, and for what follows live.

use crate::cell::{Cell, push_cells};
use crate::db::sqlite_error;
use crate::error::{Result, StoreError};
use crate::ledger::Tally;
use crate::reader::Reader;
use crate::record::{Item, Record};
use crate::view::PartCount;
use crate::{LiveReadings, LogGroup, LogReading};
use model::{DeviceKey, Reading, Reason, Series};
use rusqlite::Connection;

/// Hands over the rows after `after`, in order, until `each` says stop (`false`).
pub(crate) fn each_row(
    conn: &Connection,
    after: u64,
    each: &mut dyn FnMut(u64, &[u8]) -> Result<bool>,
) -> Result<()> {
    let failed = sqlite_error("reading the log");
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut query = conn
        .prepare_cached("SELECT seq, body FROM log WHERE seq > ?1 ORDER BY seq")
        .map_err(failed)?;
    let mut rows = query.query([after]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let seq = row.get(0).map_err(failed)?;
        let body = row
            .get_ref(1)
            .and_then(|body| Ok(body.as_blob()?))
            .map_err(failed)?;
        let goes_on = each(seq, body).map_err(|error| match error {
            StoreError::Damaged(what) => StoreError::Damaged(format!("commit {seq}: {what}")),
            other => other,
        })?;
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// A log row as the view and the ledger take it.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) parts: Vec<PartCount>,
    pub(crate) cells: Vec<Cell>,
}

impl Counted {
    /// Gives every cell with its device.
    pub(crate) fn device_cells(&self) -> impl Iterator<Item = (u32, &Cell)> {
        let mut cells = self.cells.iter();
        self.parts.iter().flat_map(move |part| {
            let own: Vec<_> = cells.by_ref().take(part.cells).collect();
            own.into_iter().map(|cell| (part.device, cell))
        })
    }
}

fn reading_of(
    record: &Record<'_>,
    part: Option<&PartCount>,
    observed: &crate::record::Observed,
) -> Result<(Reading, u16)> {
    let part = part.ok_or_else(|| StoreError::Damaged("an observation of no part".to_owned()))?;
    let reading = Reading {
        series: Series {
            device: DeviceKey(part.device),
            metric: observed.metric,
        },
        value: observed.value,
        quality: observed.quality,
        observed_at: observed.observed_at,
        received_at: record.stamp,
    };
    Ok((reading, part.driver))
}

/// Reads what a row adds to memory.
pub(crate) fn count(record: &Record<'_>) -> Result<Counted> {
    let mut counted = Counted::default();
    let mut refused = Vec::new();
    for item in record.items() {
        match item? {
            Item::Part {
                driver,
                device,
                received,
            } => counted.parts.push(PartCount {
                driver,
                device,
                tally: Tally {
                    received: received.into(),
                    ..Tally::default()
                },
                cells: 0,
            }),
            Item::Observation(observed) => {
                let (reading, driver) = reading_of(record, counted.parts.last(), &observed)?;
                let before = counted.cells.len();
                push_cells(&reading, driver, observed.late, &mut counted.cells);
                if let Some(part) = counted.parts.last_mut() {
                    part.cells += counted.cells.len() - before;
                    part.tally.stored += 1;
                    part.tally.late += u64::from(observed.late);
                }
            }
            Item::Duplicates(count) => {
                if let Some(part) = counted.parts.last_mut() {
                    part.tally.duplicate += u64::from(count);
                }
            }
            Item::Rejected { reason, count } => {
                if let Some(part) = counted.parts.last_mut() {
                    part.tally
                        .reject(&Reason::from(reason.to_owned()), count.into());
                }
            }
            Item::Refused {
                driver,
                reason,
                count,
            } => refused.push(PartCount::refused(driver, &reason.to_owned().into(), count)),
            Item::Command(_) | Item::ChangesCrc(_) => {}
        }
    }
    counted.parts.append(&mut refused);
    Ok(counted)
}

/// Adds the readings of a row, in the order of their arrival.
pub(crate) fn readings_of_row(record: &Record<'_>, readings: &mut Vec<Reading>) -> Result<()> {
    let mut part = None;
    for item in record.items() {
        match item? {
            Item::Part { driver, device, .. } => {
                part = Some(PartCount {
                    driver,
                    device,
                    ..PartCount::default()
                });
            }
            Item::Observation(observed) => {
                readings.push(reading_of(record, part.as_ref(), &observed)?.0);
            }
            _ => {}
        }
    }
    Ok(())
}

fn group_of(seq: u64, record: &Record<'_>) -> Result<LogGroup> {
    let mut group = LogGroup {
        seq,
        stamp: record.stamp,
        ..LogGroup::default()
    };
    let mut part = None;
    for item in record.items() {
        match item? {
            Item::Part { driver, device, .. } => {
                part = Some(PartCount {
                    driver,
                    device,
                    ..PartCount::default()
                });
            }
            Item::Observation(observed) => {
                let (reading, driver) = reading_of(record, part.as_ref(), &observed)?;
                group.readings.push(LogReading {
                    reading,
                    driver,
                    late: observed.late,
                });
            }
            Item::Command(json) => group.commands.push(json.to_owned()),
            Item::ChangesCrc(crc) => group.changes_crc = Some(crc),
            Item::Duplicates(_) | Item::Rejected { .. } | Item::Refused { .. } => {}
        }
    }
    Ok(group)
}

impl Reader {
    /// Reads the log after a commit, group by group, until `each` says stop (`false`).
    pub fn log(&self, after: u64, each: &mut dyn FnMut(LogGroup) -> bool) -> Result<()> {
        let conn = self.shared.pool.take()?;
        each_row(&conn, after, &mut |seq, body| {
            Ok(each(group_of(seq, &Record::open(body)?)?))
        })
    }

    /// Gives readings of commits after `after` that are still in the log: whole commits, as many
    /// as it takes to reach `limit` readings.
    pub fn live(&self, after: u64, limit: usize) -> Result<LiveReadings> {
        let mut live = LiveReadings {
            commit: after,
            readings: Vec::new(),
        };
        self.log(after, &mut |group| {
            live.commit = group.seq;
            let readings = group.readings.iter().map(|entry| entry.reading);
            live.readings.extend(readings);
            live.readings.len() < limit
        })?;
        Ok(live)
    }
}
