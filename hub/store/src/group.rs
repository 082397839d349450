//! One group: everything that one fsync makes durable.

use crate::error::Result;
use crate::{Admission, Journal, NewEvent, StoredDevice};
use model::{AlarmRow, DeviceKey, Reading, Reason, Timestamp};

/// What will be committed together. Made by [`Journal::begin`], ended by [`Journal::commit`].
#[derive(Debug)]
pub struct Group {
    stamp: Timestamp,
}

impl Group {
    pub fn stamp(&self) -> Timestamp {
        self.stamp
    }

    /// Starts what came in for one device; `received` counts its values, good and bad.
    pub fn part(&mut self, driver: u16, device: DeviceKey, received: u32) {
        let _ = (driver, device, received);
        todo!()
    }

    /// Takes a reading of the current part, unless one of its series and device time is stored.
    pub fn observe(
        &mut self,
        journal: &mut Journal,
        reading: &Reading,
        late: bool,
    ) -> Result<Admission> {
        let _ = (journal, reading, late);
        todo!()
    }

    /// Counts values of the current part that are not stored, and why.
    pub fn reject(&mut self, reason: &Reason, count: u32) {
        let _ = (reason, count);
        todo!()
    }

    /// Counts messages that were turned away before they could be decoded for a device.
    pub fn refuse(&mut self, driver: u16, reason: &Reason, count: u64) {
        let _ = (driver, reason, count);
        todo!()
    }

    /// Records a command that was carried out, for the replay after a restart.
    pub fn command(&mut self, json: &str) {
        let _ = json;
        todo!()
    }

    /// Records the check sum over the engine's changes, for the replay after a restart.
    pub fn changes_crc(&mut self, crc: u32) {
        let _ = crc;
        todo!()
    }

    /// Numbers an event and writes its CloudEvents form.
    pub fn event(&mut self, event: &NewEvent<'_>) -> u64 {
        let _ = event;
        todo!()
    }

    /// Puts an alarm's row, replacing the one with its id.
    pub fn alarm(&mut self, row: &AlarmRow) {
        let _ = row;
        todo!()
    }

    pub fn put_device(&mut self, device: &StoredDevice) {
        let _ = device;
        todo!()
    }

    /// Takes a device out of the register; its key and name stay known to history.
    pub fn delete_device(&mut self, key: DeviceKey) {
        let _ = key;
        todo!()
    }

    pub fn put_rule(&mut self, id: &str, revision: u64, spec: &serde_json::Value) {
        let _ = (id, revision, spec);
        todo!()
    }

    pub fn delete_rule(&mut self, id: &str) {
        let _ = id;
        todo!()
    }

    /// Keeps a change of the register or the rules for ever.
    pub fn change(&mut self, json: &str) {
        let _ = json;
        todo!()
    }

    /// Adds a link to the audit chain; `detail` is JSON text.
    pub fn audit(&mut self, actor: &str, role: &str, action: &str, subject: &str, detail: &str) {
        let _ = (actor, role, action, subject, detail);
        todo!()
    }

    /// Remembers how far a subscriber has come.
    pub fn cursor(&mut self, name: &str, seq: u64) {
        let _ = (name, seq);
        todo!()
    }

    /// Keeps a frame that could not be decoded, in a ring of the last 10,000.
    pub fn quarantine(
        &mut self,
        driver: u16,
        device: Option<DeviceKey>,
        reason: &Reason,
        detail: &str,
        bytes: &[u8],
    ) {
        let _ = (driver, device, reason, detail, bytes);
        todo!()
    }

    /// Keeps the answer to a request for a day, for when the same request comes again.
    pub fn idempotency(&mut self, key: &str, response: &str) {
        let _ = (key, response);
        todo!()
    }
}
