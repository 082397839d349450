//! Which sessions are open, so that a second one takes over, and what is kept of those that ended.

use crate::packet::{self, Qos};
use sdk::{EXPIRY_NEVER_S, KeptSession};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Ended sessions whose subscriptions are remembered here: the journal has them, too, and as many.
const KEPT_MAX: usize = 1_000;

/// Owner and client id.
pub(crate) type SessionKey = (String, String);

/// Subscriptions to events, each with its granted quality of service.
pub(crate) type Filters = BTreeMap<String, Qos>;

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next_number: u64,
    open: HashMap<SessionKey, Open>,
    kept: HashMap<SessionKey, Kept>,
}

#[derive(Debug)]
struct Open {
    number: u64,
    end: CancellationToken,
    taken_over: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Kept {
    filters: Filters,
    settled: Arc<AtomicU64>,
    /// `None` while the session is open, or for ever.
    expires_at: Option<Instant>,
}

/// What is remembered of a session when its client is back.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    pub(crate) filters: Filters,
    /// The last event up to which everything was acknowledged; 0 if nothing was yet.
    pub(crate) settled: Arc<AtomicU64>,
}

impl Remembered {
    /// Reads what the journal keeps. How far the client was, its cursor says.
    pub(crate) fn of(kept: &KeptSession) -> Self {
        let filters = kept.filters.iter();
        Self {
            filters: filters
                .map(|(path, qos)| (path.clone(), packet::qos_of(*qos)))
                .collect(),
            settled: Arc::default(),
        }
    }
}

/// The place of an open session; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Seat {
    sessions: Arc<Sessions>,
    key: SessionKey,
    number: u64,
    /// Cancelled when the hub stops or another connection takes over.
    pub(crate) end: CancellationToken,
    taken_over: Arc<AtomicBool>,
}

impl Sessions {
    /// Opens a session; one with the same owner and client id is told to end.
    pub(crate) fn open(self: &Arc<Self>, key: SessionKey, stop: &CancellationToken) -> Seat {
        let end = stop.child_token();
        let taken_over = Arc::new(AtomicBool::new(false));
        let mut state = self.lock();
        state.next_number += 1;
        let number = state.next_number;
        let open = Open {
            number,
            end: end.clone(),
            taken_over: Arc::clone(&taken_over),
        };
        if let Some(old) = state.open.insert(key.clone(), open) {
            old.taken_over.store(true, Ordering::Release);
            old.end.cancel();
        }
        drop(state);
        Seat {
            sessions: Arc::clone(self),
            key,
            number,
            end,
            taken_over,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    pub(crate) fn was_taken_over(&self) -> bool {
        self.taken_over.load(Ordering::Acquire)
    }

    /// Gives what is remembered of this client's last session, if it has not expired.
    pub(crate) fn remembered(&self, now: Instant) -> Option<Remembered> {
        let mut state = self.sessions.lock();
        let kept = state.kept.get_mut(&self.key)?;
        if kept.expires_at.is_some_and(|at| at <= now) {
            state.kept.remove(&self.key);
            return None;
        }
        kept.expires_at = None;
        Some(Remembered {
            filters: kept.filters.clone(),
            settled: Arc::clone(&kept.settled),
        })
    }

    pub(crate) fn forget(&self) {
        self.sessions.lock().kept.remove(&self.key);
    }

    /// Remembers the subscriptions of a session that outlives its connection.
    pub(crate) fn remember(&self, filters: &Filters, settled: &Arc<AtomicU64>, now: Instant) {
        let mut state = self.sessions.lock();
        if !state.kept.contains_key(&self.key) && state.kept.len() >= KEPT_MAX {
            state
                .kept
                .retain(|_, kept| kept.expires_at.is_none_or(|at| at > now));
            if state.kept.len() >= KEPT_MAX {
                return;
            }
        }
        let kept = Kept {
            filters: filters.clone(),
            settled: Arc::clone(settled),
            expires_at: None,
        };
        state.kept.insert(self.key.clone(), kept);
    }

    /// Starts the expiry of what is remembered, unless another connection has it now; tells
    /// whether it did.
    pub(crate) fn expire_after(&self, expiry_s: u32, now: Instant) -> bool {
        let mut state = self.sessions.lock();
        let current = state.open.get(&self.key).map(|open| open.number);
        if current != Some(self.number) {
            return false;
        }
        if expiry_s == 0 {
            state.kept.remove(&self.key);
        } else if expiry_s != EXPIRY_NEVER_S
            && let Some(kept) = state.kept.get_mut(&self.key)
        {
            kept.expires_at = Some(now + Duration::from_secs(u64::from(expiry_s)));
        }
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.sessions.lock();
        let current = state.open.get(&self.key).map(|open| open.number);
        if current == Some(self.number) {
            state.open.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Filters, Sessions};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    fn key() -> super::SessionKey {
        ("actor:p".to_owned(), "client".to_owned())
    }

    #[test]
    fn a_session_that_was_taken_over_does_not_end_the_one_that_took_over() {
        let sessions = Arc::new(Sessions::default());
        let stop = CancellationToken::new();
        let now = Instant::now();
        let first = sessions.open(key(), &stop);
        let second = sessions.open(key(), &stop);
        second.remember(&Filters::new(), &Arc::default(), now);
        first.expire_after(0, now);
        drop(first);
        assert!(second.remembered(now).is_some());
        // Only the second has the seat, so only it is told that a third takes over.
        let third = sessions.open(key(), &stop);
        assert!(second.was_taken_over() && second.end.is_cancelled());
        assert!(!third.was_taken_over() && !third.end.is_cancelled());
    }

    #[test]
    fn a_session_is_remembered_until_it_expires() {
        let sessions = Arc::new(Sessions::default());
        let stop = CancellationToken::new();
        let start = Instant::now();
        for (expiry_s, after_s, remembered) in [
            (10, 9, true),
            (10, 10, false),
            (0, 0, false),
            (u32::MAX, 1_000_000_000, true),
        ] {
            let seat = sessions.open(key(), &stop);
            seat.remember(&Filters::new(), &Arc::default(), start);
            seat.expire_after(expiry_s, start);
            drop(seat);
            let later = start + Duration::from_secs(after_s);
            let found = sessions.open(key(), &stop).remembered(later).is_some();
            assert_eq!(found, remembered, "{expiry_s} s, {after_s} s later");
        }
    }
}
