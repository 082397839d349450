//! Makes as few requests as possible of the registers that a map needs.

use super::{Block, Spot, Table};
use std::collections::{BTreeMap, BTreeSet};

/// Registers that a map needs, a value's together.
#[derive(Debug)]
pub(super) struct Needs {
    gap: u16,
    /// First and last register of each value.
    values: BTreeMap<Table, BTreeSet<(u16, u16)>>,
}

impl Needs {
    pub(super) fn new(gap: u16) -> Self {
        Self {
            gap,
            values: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, table: Table, at: u16, width: u16) -> Result<(), String> {
        let last = at.checked_add(width.saturating_sub(1));
        let last = last.ok_or_else(|| format!("register {at} has no neighbour above it"))?;
        self.values.entry(table).or_default().insert((at, last));
        Ok(())
    }

    /// Groups neighbours; no value is ever split between two requests.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for (&table, values) in &self.values {
            let mut open: Option<(u16, u16)> = None;
            for &(first, last) in values {
                let joined = open.filter(|(start, end)| {
                    let near = first.saturating_sub(*end) <= self.gap.saturating_add(1);
                    near && last.saturating_sub(*start) < table.count_max()
                });
                open = match (joined, open) {
                    (Some((start, end)), _) => Some((start, end.max(last))),
                    (None, before) => {
                        blocks.extend(before.map(|span| block(table, span)));
                        Some((first, last))
                    }
                };
            }
            blocks.extend(open.map(|span| block(table, span)));
        }
        blocks
    }
}

fn block(table: Table, (first, last): (u16, u16)) -> Block {
    Block {
        table,
        at: first,
        count: (last - first).saturating_add(1),
    }
}

/// Finds a register in the blocks.
pub(super) fn spot(blocks: &[Block], table: Table, at: u16) -> Option<Spot> {
    let inside = |block: &Block| {
        let index = at.checked_sub(block.at)?;
        (block.table == table && index < block.count).then_some(index)
    };
    blocks.iter().enumerate().find_map(|(block, found)| {
        let index = inside(found)?;
        Some(Spot { block, index })
    })
}
