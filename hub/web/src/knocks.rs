//! Identities that knocked but are not registered, so that an engineer can claim them.

use model::Timestamp;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Identities that are remembered; the one that has been quiet longest makes room.
const KNOCKS_MAX: usize = 1_000;

/// One identity at the door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Knock {
    /// What it calls itself; it may be no valid device id.
    pub id: String,
    pub driver: String,
    pub peer: String,
    /// Why it was turned away, such as `unknown_device`.
    pub reason: String,
    pub count: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

/// The table that the writer fills and `GET /api/v1/devices/unclaimed` shows.
#[derive(Clone, Debug, Default)]
pub struct Knocks {
    known: Arc<Mutex<HashMap<(String, String), Knock>>>,
}

impl Knocks {
    /// Remembers a knock; repeated ones add up.
    pub fn note(&self, knock: Knock) {
        let mut known = self.lock();
        let key = (knock.id.clone(), knock.driver.clone());
        if let Some(same) = known.get_mut(&key) {
            same.count = same.count.saturating_add(knock.count);
            same.last_seen = same.last_seen.max(knock.last_seen);
            same.peer = knock.peer;
            same.reason = knock.reason;
            return;
        }
        if known.len() >= KNOCKS_MAX {
            let quietest = known
                .iter()
                .min_by_key(|(_, knock)| knock.last_seen)
                .map(|(key, _)| key.clone());
            if let Some(quietest) = quietest {
                known.remove(&quietest);
            }
        }
        known.insert(key, knock);
    }

    /// Forgets an identity, because it is registered now.
    pub fn forget(&self, id: &str) {
        self.lock().retain(|(known, _), _| known != id);
    }

    /// Gives the table, the newest knock first.
    pub fn list(&self) -> Vec<Knock> {
        let mut list: Vec<Knock> = self.lock().values().cloned().collect();
        list.sort_unstable_by(|a, b| (b.last_seen, &a.id).cmp(&(a.last_seen, &b.id)));
        list
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Knock>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Knock, Knocks};
    use model::Timestamp;

    fn knock(id: &str, at_ms: i64) -> Knock {
        Knock {
            id: id.to_owned(),
            driver: "mqtt".to_owned(),
            peer: "127.0.0.1:5".to_owned(),
            reason: "unknown_device".to_owned(),
            count: 2,
            first_seen: Timestamp::from_millis(at_ms),
            last_seen: Timestamp::from_millis(at_ms),
        }
    }

    #[test]
    fn repeated_knocks_add_up_and_a_registered_one_is_forgotten() {
        let knocks = Knocks::default();
        knocks.note(knock("a", 10));
        knocks.note(knock("a", 30));
        knocks.note(knock("b", 20));
        let list = knocks.list();
        assert_eq!((list[0].id.as_str(), list[0].count), ("a", 4));
        assert_eq!(list[0].first_seen, Timestamp::from_millis(10));
        assert_eq!(list[0].last_seen, Timestamp::from_millis(30));
        assert_eq!(list[1].id, "b");
        knocks.forget("a");
        assert_eq!(knocks.list().len(), 1);
    }

    #[test]
    fn a_storm_of_names_pushes_out_the_quietest_only() {
        let knocks = Knocks::default();
        knocks.note(knock("loud", 1_000_000));
        for n in 0..1_500 {
            knocks.note(knock(&format!("n{n}"), n));
        }
        let list = knocks.list();
        assert_eq!(list.len(), 1_000);
        assert_eq!(list[0].id, "loud");
        assert_eq!(list[999].id, "n501");
    }
}
