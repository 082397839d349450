//! How the mirrors of readings do: what `GET /api/v1/health` and `/metrics` show of each.

use crate::Page;
use model::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Longer than the longest wait between two attempts: by then a server is not away for a moment.
const OWED_AFTER_MS: i64 = 120_000;

/// A mirror that is so far behind is worth a look, though its server takes what it is sent.
const BEHIND_S: i64 = 900;

/// Whether a mirror's server takes what it is sent.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MirrorState {
    Up,
    /// The last attempt failed; the next one comes.
    Retrying,
    /// The server takes nothing before people change something.
    Denied,
    /// It cannot run: what the store or the settings say is in the last error.
    Restarting,
}

/// One mirror; counts are since the hub's start.
#[derive(Clone, Debug, PartialEq)]
pub struct MirrorHealth {
    pub kind: &'static str,
    pub state: MirrorState,
    pub since: Timestamp,
    pub last_error: Option<String>,
    pub attempts: u32,
    /// Everything received before this is with the server for good.
    pub confirmed_before: Timestamp,
    /// The server has everything that there was a second ago.
    pub is_level: bool,
    /// It is sending what was there before it.
    pub is_backfilling: bool,
    /// When the oldest reading that the server lacks was received; nothing if it has all.
    pub oldest_owed: Option<Timestamp>,
    pub owed: u64,
    pub sent_readings: u64,
    pub sent_lines: u64,
    pub failures: u64,
    pub dead_letters: u64,
    pub last_dead_letter: Option<String>,
    pub rewinds: u64,
    /// Retention spares for it what was received from here on.
    pub held_from: Option<Timestamp>,
}

impl MirrorHealth {
    fn lag_s(&self, now: Timestamp) -> i64 {
        let oldest = self.oldest_owed;
        oldest.map_or(0, |oldest| now.since_ms(oldest).max(0) / 1_000)
    }

    /// Tells whether the server has lacked something for long that it should have.
    pub(crate) fn is_owing(&self, now: Timestamp) -> bool {
        match self.state {
            MirrorState::Up => !self.is_backfilling && self.lag_s(now) >= BEHIND_S,
            _ => now.since_ms(self.since) >= OWED_AFTER_MS,
        }
    }

    fn to_json(&self, now: Timestamp) -> Value {
        let is_begun = self.confirmed_before.millis() > 0;
        json!({
            "kind": self.kind,
            "state": self.state,
            "since": self.since,
            "last_error": self.last_error,
            "attempts": self.attempts,
            "confirmed_before": is_begun.then_some(self.confirmed_before),
            "level": self.is_level,
            "backfilling": self.is_backfilling,
            "lag_s": self.lag_s(now),
            "lag_readings": self.owed,
            "sent_readings": self.sent_readings,
            "sent_lines": self.sent_lines,
            "failures": self.failures,
            "dead_letters": self.dead_letters,
            "last_dead_letter": self.last_dead_letter,
            "rewinds": self.rewinds,
            "held_from": self.held_from,
        })
    }
}

/// What `GET /api/v1/health` shows.
pub(crate) fn to_json(mirrors: &BTreeMap<String, MirrorHealth>, now: Timestamp) -> Value {
    let shown = mirrors
        .iter()
        .map(|(name, mirror)| (name.clone(), mirror.to_json(now)));
    Value::Object(shown.collect())
}

/// Puts the figures of all mirrors on the page.
pub(crate) fn put(page: &mut Page, mirrors: &BTreeMap<String, MirrorHealth>, now: Timestamp) {
    for (name, mirror) in mirrors {
        let labels = [("mirror", name.as_str())];
        let is_up = mirror.state == MirrorState::Up;
        page.put("cityhub_mirror_up", &labels, is_up);
        page.put("cityhub_mirror_lag_seconds", &labels, mirror.lag_s(now));
        for (figure, value) in [
            ("cityhub_mirror_lag_readings", mirror.owed),
            ("cityhub_mirror_sent_readings_total", mirror.sent_readings),
            ("cityhub_mirror_sent_lines_total", mirror.sent_lines),
            ("cityhub_mirror_failures_total", mirror.failures),
            ("cityhub_mirror_dead_letters_total", mirror.dead_letters),
            ("cityhub_mirror_rewinds_total", mirror.rewinds),
        ] {
            page.put(figure, &labels, value);
        }
    }
}
