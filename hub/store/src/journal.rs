//! The one place that writes.

use crate::error::Result;
use crate::{Group, Options, Reader, Recovered};
use model::{DeviceKey, Series, Timestamp};
use std::path::Path;

/// The writer's end of the store. After any error it refuses everything: exit and recover.
#[derive(Debug)]
pub struct Journal {}

/// Opens a data directory for writing, creating it if need be, and recovers what it holds.
pub fn open(dir: &Path, options: Options) -> Result<(Journal, Reader, Recovered)> {
    let _ = (dir, options);
    todo!()
}

impl Journal {
    /// Gives every name a key, for ever, and returns all names in the order of their keys.
    pub fn number_metrics(&mut self, names: &[&str]) -> Result<Vec<String>> {
        let _ = names;
        todo!()
    }

    /// Gives a driver instance its key, for ever.
    pub fn number_driver(&mut self, name: &str) -> Result<u16> {
        let _ = name;
        todo!()
    }

    /// Gives a key that no device ever had.
    pub fn next_device_key(&mut self) -> DeviceKey {
        todo!()
    }

    /// Starts a group; the stamp may not be less than the last one's.
    pub fn begin(&mut self, stamp: Timestamp) -> Group {
        let _ = stamp;
        todo!()
    }

    /// Gives the first instant from `now` on at which nothing of that series is stored or staged,
    /// for a value that came without a time of its own.
    pub fn free_instant(
        &mut self,
        group: &Group,
        series: Series,
        now: Timestamp,
    ) -> Result<Timestamp> {
        let _ = (group, series, now);
        todo!()
    }

    /// Makes a group durable with one transaction and one fsync, then shows it to the readers.
    /// Returns the commit's number.
    pub fn commit(&mut self, group: Group) -> Result<u64> {
        let _ = group;
        todo!()
    }

    /// Tells whether it is time to call [`Journal::seal`].
    pub fn wants_seal(&self, now: Timestamp) -> bool {
        let _ = now;
        todo!()
    }

    /// Starts to move everything committed so far into segments. `checkpoint` is the engine's
    /// state as of the last commit; it comes back in [`Recovered`].
    pub fn seal(&mut self, checkpoint: Vec<u8>) -> Result<()> {
        let _ = checkpoint;
        todo!()
    }

    /// Does what is due between commits: finishes seals, compacts, enforces retention.
    /// To be called about once a second.
    pub fn tick(&mut self, now: Timestamp) -> Result<()> {
        let _ = now;
        todo!()
    }

    /// Waits until a seal that is under way is finished; for shutdown and tests.
    pub fn settle(&mut self) -> Result<()> {
        todo!()
    }

    /// Closes the database and lets the directory go.
    pub fn close(self) -> Result<()> {
        todo!()
    }
}
