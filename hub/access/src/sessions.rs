//! Sessions: who is signed in, since when, and whether the console is locked.
//!
//! The cookie is 256 random bits; what is kept is its SHA-256, in memory and in `sessions.json`, so
//! that a duty desk stays signed in over a restart of the hub.

use crate::file::{read_json, write_json};
use crate::{AccessError, Settings};
use model::Timestamp;
use sdk::TokenHash;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

pub(crate) const FILE: &str = "sessions.json";

/// Sessions of one user at once; the one that was quiet longest makes room.
const SESSIONS_PER_USER_MAX: usize = 16;

/// How often what only moves on is written.
const WRITE_EVERY_S: i64 = 60;

/// Names a session without letting anybody in.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub(crate) TokenHash);

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRow {
    pub user: String,
    /// The mark of the password that it was made with.
    pub(crate) password: String,
    pub since: Timestamp,
    /// The last action, or sign of life of whoever sits there.
    pub active_at: Timestamp,
    /// Locked by hand, or found idle.
    pub(crate) locked: bool,
    pub peer: String,
}

impl SessionRow {
    pub(crate) fn is_over(&self, now: Timestamp, settings: &Settings) -> bool {
        now >= self.ends_at(settings)
    }

    pub(crate) fn ends_at(&self, settings: &Settings) -> Timestamp {
        self.since.plus_s(settings.max_age_s.into())
    }

    pub(crate) fn is_locked(&self, now: Timestamp, settings: &Settings) -> bool {
        self.locked || now >= self.active_at.plus_s(settings.lock_after_s.into())
    }
}

/// What `sessions.json` holds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    sessions: BTreeMap<String, SessionRow>,
    last_seen: BTreeMap<String, Timestamp>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: HashMap<SessionId, SessionRow>,
    last_seen: BTreeMap<String, Timestamp>,
    /// Something moved on that is not written yet.
    is_stale: bool,
    written_at: Option<Timestamp>,
}

impl Sessions {
    pub(crate) fn read(folder: &Path) -> Result<Self, AccessError> {
        let stored: Stored = read_json(&folder.join(FILE))?.unwrap_or_default();
        let open = stored.sessions.into_iter();
        Ok(Self {
            open: open
                .filter_map(|(hash, row)| Some((SessionId(TokenHash::from_hex(&hash)?), row)))
                .collect(),
            last_seen: stored.last_seen,
            is_stale: false,
            written_at: None,
        })
    }

    /// Gives what is to be written, so that nobody waits for the disk.
    pub(crate) fn written(&mut self, now: Timestamp) -> impl Serialize + use<> {
        self.is_stale = false;
        self.written_at = Some(now);
        let open = self.open.iter();
        Stored {
            sessions: open.map(|(id, row)| (id.0.to_hex(), row.clone())).collect(),
            last_seen: self.last_seen.clone(),
        }
    }

    pub(crate) fn wants_write(&self, now: Timestamp) -> bool {
        let is_due = |at: Timestamp| now >= at.plus_s(WRITE_EVERY_S);
        self.is_stale && self.written_at.is_none_or(is_due)
    }

    pub(crate) fn find(&self, id: SessionId) -> Option<&SessionRow> {
        self.open.get(&id)
    }

    pub(crate) fn put(&mut self, id: SessionId, row: SessionRow) {
        self.last_seen.insert(row.user.clone(), row.active_at);
        let of_user = |known: &SessionRow| known.user == row.user;
        if self.open.values().filter(|known| of_user(known)).count() >= SESSIONS_PER_USER_MAX {
            let mine = self.open.iter().filter(|(_, known)| of_user(known));
            let quietest = mine.min_by_key(|(_, known)| known.active_at);
            if let Some(id) = quietest.map(|(id, _)| *id) {
                self.open.remove(&id);
            }
        }
        self.open.insert(id, row);
    }

    /// Changes a session that is there.
    pub(crate) fn change(&mut self, id: SessionId, change: impl FnOnce(&mut SessionRow)) {
        if let Some(row) = self.open.get_mut(&id) {
            change(row);
            let seen = self.last_seen.entry(row.user.clone());
            let seen = seen.or_insert(row.active_at);
            *seen = (*seen).max(row.active_at);
            self.is_stale = true;
        }
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<SessionRow> {
        self.open.remove(&id)
    }

    pub(crate) fn last_seen(&self, user: &str) -> Option<Timestamp> {
        self.last_seen.get(user).copied()
    }

    pub(crate) fn ids(&self) -> Vec<SessionId> {
        self.open.keys().copied().collect()
    }
}

pub(crate) fn write(folder: &Path, content: &impl Serialize) -> Result<(), AccessError> {
    write_json(&folder.join(FILE), content)
}
