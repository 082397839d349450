//! A segment in the catalogue, and its file, which goes when nobody needs it any more.

use crate::error::{Result, StoreError};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// What a segment holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Data,
    Ledger,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Ledger => "ledger",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Data, Self::Ledger]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// A row of the catalogue.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    /// UTC day of the device times (data) or of the received times (ledger).
    pub(crate) day: i64,
    /// First and last device time; for a ledger the same as received.
    pub(crate) observed: (i64, i64),
    pub(crate) received: (i64, i64),
    pub(crate) rows: u64,
    pub(crate) readings: u64,
    pub(crate) bytes: u64,
    /// CRC-32 of the whole file.
    pub(crate) crc: u32,
    /// 0 as sealed, 1 when merged.
    pub(crate) level: u8,
}

pub(crate) fn segment_path(dir: &Path, day: i64, id: u64) -> PathBuf {
    dir.join("segments")
        .join(day.to_string())
        .join(format!("{id}.parquet"))
}

/// A segment and its file. Dropping the last handle of a retired one deletes the file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) row: SegmentRow,
    path: PathBuf,
    /// Kept open where a file may go away, see [`Segment::hold`].
    held: OnceLock<Arc<File>>,
    retired: AtomicBool,
}

impl Segment {
    pub(crate) fn new(dir: &Path, row: SegmentRow) -> Self {
        Self {
            row,
            path: segment_path(dir, row.day, row.id),
            held: OnceLock::new(),
            retired: AtomicBool::new(false),
        }
    }

    /// Marks it as no longer in the catalogue.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Opens the file. It is closed again after its use: ten years are more files than a process may
    /// have open, and opening one is little beside reading it.
    pub(crate) fn file(&self) -> Result<Arc<File>> {
        if let Some(file) = self.held.get() {
            return Ok(Arc::clone(file));
        }
        File::open(&self.path)
            .map(Arc::new)
            .map_err(|source| StoreError::Io {
                what: format!("opening segment {}", self.row.id),
                source,
            })
    }

    /// Keeps the file open from now on, so that it can be read whoever deletes it.
    pub(crate) fn hold(&self) -> Result<()> {
        let file = self.file()?;
        self.held.get_or_init(|| file);
        Ok(())
    }

    /// Sees to it that the file is there and has the size that the catalogue says.
    pub(crate) fn check_size(&self) -> Result<()> {
        let found = std::fs::metadata(&self.path)
            .map_err(|source| StoreError::Io {
                what: format!("looking at segment {}", self.row.id),
                source,
            })?
            .len();
        if found == self.row.bytes {
            return Ok(());
        }
        Err(StoreError::Damaged(format!(
            "segment {} has {found} bytes instead of {}",
            self.row.id, self.row.bytes
        )))
    }

    /// Computes the check sum of the file again.
    pub(crate) fn check(&self) -> Result<(u64, u32)> {
        const CHUNK_BYTES: usize = 1 << 20;
        let file = self.file()?;
        let mut crc = crc32fast::Hasher::new();
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut at = 0u64;
        loop {
            let count = file
                .read_at(&mut buffer, at)
                .map_err(|source| StoreError::Io {
                    what: format!("reading segment {}", self.row.id),
                    source,
                })?;
            let Some(chunk) = buffer.get(..count).filter(|chunk| !chunk.is_empty()) else {
                return Ok((at, crc.finalize()));
            };
            crc.update(chunk);
            at += chunk.len() as u64;
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if !self.retired.load(Ordering::Acquire) {
            return;
        }
        // What cannot be deleted now is deleted at the next start, as it is in no catalogue.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(segment = self.row.id, %error, "segment not deleted");
        }
        if let Some(day) = self.path.parent() {
            // Fails while the day has other segments, which is as it should be.
            drop(std::fs::remove_dir(day));
        }
    }
}
