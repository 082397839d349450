//! How far mirrors came: their cursors in the commit, and what retention is to spare for them.

use super::Writer;
use anyhow::Result;
use model::Timestamp;
use sdk::Mirrored;
use store::{Group, Reader};

impl Writer {
    pub(super) fn note_mirrored(&mut self, group: &mut Group, word: &Mirrored) {
        for (name, seq) in &word.cursors {
            group.cursor(name, *seq);
        }
        self.journal.hold_from(word.hold_from);
    }
}

/// The earliest moment from which on a mirror lacks something; nothing without mirrors.
pub(super) fn unconfirmed(reader: &Reader, cursors: &[String]) -> Result<Option<Timestamp>> {
    let mut earliest = None;
    for name in cursors {
        let cursor = reader.cursor(name)?.unwrap_or(0);
        let before = Timestamp::from_millis(i64::try_from(cursor).unwrap_or(i64::MAX));
        earliest = Some(earliest.map_or(before, |other: Timestamp| other.min(before)));
    }
    Ok(earliest)
}
