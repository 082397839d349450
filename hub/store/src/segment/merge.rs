//! Merges the segments of a day into one, slice by slice, with few slices in memory.

use super::file::Segment;
use super::read::MetaCache;
use super::rows::{Rows, Without};
use super::write::{SegmentWriter, Written};
use crate::error::Result;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Rows of a merged slice: more are denser at rest, fewer take less memory to read whole.
pub(crate) const SLICE_ROWS: usize = 1 << 20;

/// A slice that waits to be merged.
struct Input<'a> {
    segment: &'a Segment,
    group: usize,
    from: i64,
}

/// Writes everything in `inputs` but what is past its age to one file at `path`, as slices that follow one
/// another in time.
pub(crate) fn merge_data(
    inputs: &[Arc<Segment>],
    path: &Path,
    (metrics, without): (&[String], &Without),
    slice_rows: usize,
) -> Result<Written> {
    // A cache of its own: what is about to go is not worth remembering.
    let cache = MetaCache::default();
    let mut columns = BTreeSet::new();
    let mut waiting = Vec::new();
    for segment in inputs {
        let reader = cache.open(segment, metrics)?;
        columns.extend(
            reader
                .columns()
                .filter(|column| !without.metrics.contains(&column.metric)),
        );
        for (group, slice) in reader.meta.slices.iter().enumerate() {
            waiting.push(Input {
                segment,
                group,
                from: slice.observed.0,
            });
        }
    }
    // The earliest is at the end, to be popped.
    waiting.sort_by_key(|input| std::cmp::Reverse(input.from));
    let mut writer = SegmentWriter::create(path, columns.into_iter().collect(), metrics)?;
    let mut held = Rows::default();
    while let Some(input) = waiting.pop() {
        // One file is open at a time, however many the day has.
        let reader = cache.open(input.segment, metrics)?;
        reader.read_slice(input.group, &mut held)?;
        drop(reader);
        if !without.is_empty() {
            held.drop_past(without);
        }
        let complete_until = waiting.last().map(|next| next.from);
        write_complete(&mut writer, &mut held, complete_until, slice_rows)?;
    }
    writer.finish()
}

/// Writes full slices of what no later input can precede; at the end, everything.
fn write_complete(
    writer: &mut SegmentWriter,
    held: &mut Rows,
    until: Option<i64>,
    slice_rows: usize,
) -> Result<()> {
    loop {
        let is_complete = |at: i64| until.is_none_or(|until| at < until);
        let mut complete: Vec<i64> = held
            .keys
            .iter()
            .map(|key| key.observed)
            .filter(|at| is_complete(*at))
            .collect();
        if complete.len() <= slice_rows {
            if until.is_none() {
                writer.slice(held, |_| true)?;
            }
            return Ok(());
        }
        let (_, &mut last, _) = complete.select_nth_unstable(slice_rows - 1);
        drop(complete);
        writer.slice(held, |key| key.observed <= last)?;
        held.drop_where(|key| key.observed <= last);
    }
}
