//! How much room the disk has, and the room that the journal keeps for itself.

mod growth;

use crate::error::Result;
use crate::segment::io_error;
pub(crate) use growth::Growth;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file whose only content is room: it is let go when the disk is full.
const RESERVE: &str = "reserve";

/// Files that can still be made, below which nothing new is taken: a seal makes three.
const FILES_LEFT_MIN: u64 = 64;

/// Without so much no database is opened: the memory that its log shares with readers is a file, and a
/// process that writes where there is no room for one is ended by the system (SIGBUS).
const START_BYTES_MIN: u64 = 1 << 20;

/// What `st_blocks` counts in, whatever the file system.
const BLOCK_BYTES: u64 = 512;

/// What a file system says of itself.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// What is left to this user.
    pub free_bytes: u64,
    pub total_bytes: u64,
    pub free_inodes: u64,
    /// 0 where there is no such limit.
    pub total_inodes: u64,
}

type Measure = dyn Fn(&Path) -> std::io::Result<Disk> + Send + Sync;

/// Measures the disk of a folder.
#[derive(Clone)]
pub struct Meter(Arc<Measure>);

impl Meter {
    /// Takes the measure of whoever knows better than the system, such as a test.
    pub fn of(measure: impl Fn(&Path) -> std::io::Result<Disk> + Send + Sync + 'static) -> Self {
        Self(Arc::new(measure))
    }

    pub(crate) fn measure(&self, folder: &Path) -> std::io::Result<Disk> {
        (self.0)(folder)
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::of(|folder| {
            let found = statvfs(folder)?;
            Ok(Disk {
                free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
                total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
                free_inodes: found.f_favail,
                total_inodes: found.f_files,
            })
        })
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}

/// How the disk is, and how it goes on.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    pub disk: Disk,
    /// What is to be kept for the hub alone, and what of it is held now.
    pub reserve_bytes: u64,
    pub held_bytes: u64,
    /// Whether anything new can be taken.
    pub is_open: bool,
    /// How much less room there is after a day; known after some hours.
    pub growth_bytes_per_day: Option<i64>,
}

/// The room of the data directory.
#[derive(Debug)]
pub(crate) struct Room {
    dir: PathBuf,
    meter: Meter,
    reserve: u64,
    held: u64,
    disk: Disk,
    is_open: bool,
    pub(crate) growth: Growth,
}

impl Room {
    /// Looks at the disk for the first time; to be called before anything is written.
    pub(crate) fn open(dir: &Path, meter: Meter, reserve: u64) -> Self {
        let mut room = Self {
            dir: dir.to_owned(),
            meter,
            reserve,
            held: held_in(&dir.join(RESERVE)),
            disk: Disk::default(),
            is_open: true,
            growth: Growth::default(),
        };
        if room.look() && room.held != room.reserve {
            room.hold();
        }
        room
    }

    /// Measures, and tells whether anything new can be taken. What was closed opens again only at
    /// more than what closed it.
    pub(crate) fn look(&mut self) -> bool {
        match self.meter.measure(&self.dir) {
            Ok(disk) => self.disk = disk,
            // Whoever cannot tell how full it is must not stop on that account.
            Err(error) => tracing::debug!(%error, "the room on the disk is not known"),
        }
        if self.reserve == 0 || self.disk == Disk::default() {
            return self.is_open;
        }
        if self.is_open && !self.has_left(self.least(), FILES_LEFT_MIN) {
            self.is_open = false;
            self.release();
        } else if !self.is_open && self.has_left(self.least() * 2, FILES_LEFT_MIN * 2) {
            self.is_open = true;
            self.hold();
        }
        self.is_open
    }

    /// Refuses to start where not even the database can be opened.
    pub(crate) fn check_start(&self) -> Result<()> {
        if self.disk == Disk::default() || self.disk.free_bytes >= START_BYTES_MIN {
            return Ok(());
        }
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        Err(io_error("opening the database in", &self.dir)(full))
    }

    /// What must be free beside the reserve: for the write-ahead log and for what is in memory.
    fn least(&self) -> u64 {
        self.reserve / 4
    }

    /// What would be free if nothing were held.
    fn bytes(&self) -> u64 {
        self.disk.free_bytes.saturating_add(self.held)
    }

    fn has_left(&self, beside_the_reserve: u64, files: u64) -> bool {
        self.bytes() >= self.reserve.saturating_add(beside_the_reserve)
            && (self.disk.total_inodes == 0 || self.disk.free_inodes >= files)
    }

    /// Tells whether so much can be written that need not be.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        self.disk == Disk::default()
            || self.is_open && self.disk.free_bytes >= bytes.saturating_add(self.least())
    }

    /// Remembers for the outlook how much room there is; tells whether there is something to keep.
    pub(crate) fn note(&mut self, now_ms: i64) -> bool {
        let bytes = self.bytes();
        self.disk != Disk::default() && self.growth.note(now_ms, bytes)
    }

    pub(crate) fn outlook(&self) -> Outlook {
        Outlook {
            disk: self.disk,
            reserve_bytes: self.reserve,
            held_bytes: self.held,
            is_open: self.is_open,
            growth_bytes_per_day: self.growth.bytes_per_day(),
        }
    }

    /// Takes the reserve. A file system that cannot hold room for a file has it measured instead.
    fn hold(&mut self) {
        let path = self.dir.join(RESERVE);
        let reserve = self.reserve;
        let take = |file: File| -> std::io::Result<()> {
            file.set_len(reserve)?;
            if reserve == 0 {
                return Ok(());
            }
            let taken = fallocate(&file, FallocateFlags::empty(), 0, reserve);
            taken.or_else(|error| file.set_len(0).and(Err(error.into())))
        };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        if reserve > 0 || path.exists() {
            let taken = options.open(&path).and_then(take);
            if let Err(error) = taken.map_err(io_error("holding", &path)) {
                tracing::info!(%error, "no room is held for the hub alone, so that it stops earlier");
            }
        }
        self.settle(&path);
    }

    /// Lets the reserve go, so that what is not a reading can still be written.
    fn release(&mut self) {
        let path = self.dir.join(RESERVE);
        if self.held > 0 {
            let released = OpenOptions::new().write(true).open(&path);
            let released = released.and_then(|file| file.set_len(0));
            if let Err(error) = released.map_err(io_error("releasing", &path)) {
                tracing::warn!(%error, "the reserve stays");
            }
        }
        self.settle(&path);
    }

    fn settle(&mut self, reserve: &Path) {
        self.held = held_in(reserve);
        if let Ok(disk) = self.meter.measure(&self.dir) {
            self.disk = disk;
        }
    }
}

fn held_in(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| {
        found.len().min(found.blocks().saturating_mul(BLOCK_BYTES))
    })
}

#[cfg(test)]
mod tests;
