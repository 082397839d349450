//! Rows in memory on their way to a segment or out of one.

use crate::cell::{Cell, Column};
use rustc_hash::FxHashSet;
use std::collections::BTreeSet;

/// A number of a row.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) struct RowCell {
    pub(crate) column: Column,
    pub(crate) value: f64,
}

/// The fields that a row's cells share; rows are written in the order of this.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    pub(crate) device: u32,
    pub(crate) observed: i64,
    pub(crate) received: i64,
    pub(crate) driver: u16,
    pub(crate) quality: u8,
}

/// Rows: what one device said of one instant, with one quality.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) keys: Vec<RowKey>,
    /// Where the cells of each row end.
    ends: Vec<u32>,
    cells: Vec<RowCell>,
}

impl Rows {
    /// Counts the values in some rows.
    pub(crate) fn readings(&self, rows: &[u32]) -> u64 {
        let cells = rows.iter().flat_map(|row| self.cells(*row as usize));
        cells.filter(|cell| cell.column.part.leads()).count() as u64
    }

    pub(crate) fn reserve(&mut self, rows: usize, cells: usize) {
        self.keys.reserve(rows);
        self.ends.reserve(rows);
        self.cells.reserve(cells);
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, key: RowKey, cells: impl IntoIterator<Item = RowCell>) {
        self.keys.push(key);
        self.cells.extend(cells);
        self.ends
            .push(u32::try_from(self.cells.len()).expect("slices are far below 2^32 cells"));
    }

    pub(crate) fn cells(&self, row: usize) -> &[RowCell] {
        let end = self.ends.get(row).copied().unwrap_or(0);
        let start = row
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied()
            .unwrap_or(0);
        self.cells
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    /// Adds the cells of one device, which get sorted.
    pub(crate) fn push_device(&mut self, device: u32, cells: &mut [Cell]) {
        let key = |cell: &Cell| RowKey {
            device,
            observed: cell.observed,
            received: cell.received,
            driver: cell.driver,
            quality: cell.quality,
        };
        // The parts of a place stay together and in order, since they share all the rest.
        cells.sort_unstable_by_key(|cell| (key(cell), cell.column()));
        for row in cells.chunk_by(|a, b| key(a) == key(b)) {
            let Some(first) = row.first() else { continue };
            self.push(
                key(first),
                row.iter().map(|cell| RowCell {
                    column: cell.column(),
                    value: cell.value,
                }),
            );
        }
    }

    /// Lists the columns that occur.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let mut columns = BTreeSet::new();
        let mut last = None;
        for cell in &self.cells {
            if last != Some(cell.column) {
                columns.insert(cell.column);
                last = Some(cell.column);
            }
        }
        columns.into_iter().collect()
    }

    /// Gives the numbers of the rows that `wanted` picks, in the order of their keys.
    pub(crate) fn sorted(&self, wanted: impl Fn(&RowKey) -> bool) -> Vec<u32> {
        let numbered = self.keys.iter().zip(0u32..);
        let picked = numbered.filter(|(key, _)| wanted(key));
        let mut order: Vec<u32> = picked.map(|(_, row)| row).collect();
        // Stable, as that one makes use of the runs that rows come in.
        order.sort_by_key(|row| self.keys.get(*row as usize));
        order
    }

    /// Drops the rows for which `leaves` holds, in place.
    pub(crate) fn drop_where(&mut self, leaves: impl Fn(&RowKey) -> bool) {
        let (mut kept_rows, mut kept_cells, mut start) = (0, 0, 0);
        for row in 0..self.keys.len() {
            let (Some(&key), Some(&end)) = (self.keys.get(row), self.ends.get(row)) else {
                break;
            };
            let end = end as usize;
            if !leaves(&key) {
                self.cells.copy_within(start..end, kept_cells);
                kept_cells += end - start;
                if let (Some(to), Some(to_end)) =
                    (self.keys.get_mut(kept_rows), self.ends.get_mut(kept_rows))
                {
                    *to = key;
                    *to_end = u32::try_from(kept_cells).unwrap_or(u32::MAX);
                }
                kept_rows += 1;
            }
            start = end;
        }
        self.keys.truncate(kept_rows);
        self.ends.truncate(kept_rows);
        self.cells.truncate(kept_cells);
    }

    /// Drops the cells that are past their age, and the rows that have no others.
    pub(crate) fn drop_past(&mut self, without: &Without) {
        let mut rest = Self::default();
        for (row, key) in self.keys.iter().enumerate() {
            let of_past_device = without.devices.contains(&key.device);
            let is_past = |metric: u16| {
                without.metrics.contains(&metric)
                    || of_past_device && !without.apart.contains(&metric)
            };
            let cells = self.cells(row).iter();
            let mut kept = cells
                .filter(|cell| !is_past(cell.column.metric))
                .copied()
                .peekable();
            if kept.peek().is_some() {
                rest.push(*key, kept);
            }
        }
        *self = rest;
    }
}

/// What is left out of a segment that is written anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Without {
    /// Of whichever device.
    pub(crate) metrics: BTreeSet<u16>,
    /// Devices of a kind that is past its age...
    pub(crate) devices: FxHashSet<u32>,
    /// ...but for the metrics that have an age of their own.
    pub(crate) apart: BTreeSet<u16>,
}

impl Without {
    pub(crate) fn is_empty(&self) -> bool {
        self.metrics.is_empty() && self.devices.is_empty()
    }
}
