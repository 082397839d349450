//! Immutable Parquet files with what has left the log.

mod column;
mod file;
mod ledger_file;
mod merge;
mod read;
mod rows;
mod write;

pub(crate) use file::{Kind, Segment, SegmentRow, segment_path};
pub(crate) use ledger_file::{merge_ledgers, read_ledger, write_ledger};
pub(crate) use merge::{SLICE_ROWS, merge_data};
pub(crate) use read::MetaCache;
pub(crate) use rows::{RowCell, RowKey, Rows, Without};
pub(crate) use write::{SegmentWriter, Written, io_error, parquet_error, sync_folder};

#[cfg(test)]
mod tests;
