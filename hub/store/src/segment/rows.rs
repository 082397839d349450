//! Rows in memory on their way to a segment or out of one.

use crate::cell::{Cell, Column};

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
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn readings(&self) -> u64 {
        self.cells
            .iter()
            .filter(|cell| cell.column.part.leads())
            .count() as u64
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
        let mut columns = std::collections::BTreeSet::new();
        let mut last = None;
        for cell in &self.cells {
            if last != Some(cell.column) {
                columns.insert(cell.column);
                last = Some(cell.column);
            }
        }
        columns.into_iter().collect()
    }

    /// Gives the numbers of the rows in the order of their keys.
    pub(crate) fn sorted(&self) -> Vec<u32> {
        let mut order: Vec<(RowKey, u32)> = self.keys.iter().copied().zip(0u32..).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, row)| row).collect()
    }

    /// Moves the rows for which `leave` holds to a new set, in the order of their keys.
    pub(crate) fn split(&mut self, leave: impl Fn(&RowKey) -> bool) -> Self {
        let mut left = Self::default();
        let mut stay = Self::default();
        for row in self.sorted() {
            let row = row as usize;
            let Some(key) = self.keys.get(row) else {
                continue;
            };
            let to = if leave(key) { &mut left } else { &mut stay };
            to.push(*key, self.cells(row).iter().copied());
        }
        *self = stay;
        left
    }

    /// Adds all rows of another set.
    pub(crate) fn append(&mut self, other: &Self) {
        self.reserve(other.len(), other.cells.len());
        for (row, key) in other.keys.iter().enumerate() {
            self.push(*key, other.cells(row).iter().copied());
        }
    }
}
