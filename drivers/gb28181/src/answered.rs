//! What was answered lately, so that a request that comes again is answered the same and done once.

use bytes::Bytes;
use model::Timestamp;
use std::collections::{HashMap, VecDeque};

/// How long a request may come again: 64 × T1 (RFC 3261 17.2.2, timer J).
const LIFE_MS: i64 = 32_000;

/// Requests that are remembered; the oldest are forgotten first.
const REMEMBERED_MAX: usize = 16_384;

/// A request, by what only its retransmissions share with it.
pub(crate) type Key = Vec<u8>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Its commit is under way.
    InFlight,
    Answered(Bytes),
}

#[derive(Debug, Default)]
pub(crate) struct Answered {
    known: HashMap<Key, Known>,
    order: VecDeque<(Timestamp, Key)>,
}

impl Answered {
    pub(crate) fn find(&mut self, key: &[u8], now: Timestamp) -> Option<Known> {
        while let Some((at, oldest)) = self.order.front() {
            let is_old = now.since_ms(*at).abs() > LIFE_MS;
            if !is_old && self.order.len() <= REMEMBERED_MAX {
                break;
            }
            self.known.remove(oldest);
            self.order.pop_front();
        }
        self.known.get(key).cloned()
    }

    /// Remembers one; what is known of it changes without its age.
    pub(crate) fn put(&mut self, key: Key, known: Known, now: Timestamp) {
        if self.known.insert(key.clone(), known).is_none() {
            self.order.push_back((now, key));
        }
    }

    /// Forgets one whose commit failed, so that it is done when it comes again.
    pub(crate) fn forget(&mut self, key: &[u8]) {
        if self.known.remove(key).is_some() {
            self.order.retain(|(_, known)| known != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answered, Known, REMEMBERED_MAX};
    use bytes::Bytes;
    use model::Timestamp;

    #[test]
    fn a_request_is_known_for_32_seconds_and_the_oldest_go_first() {
        let (mut answered, now) = (Answered::default(), Timestamp::from_millis(1_000_000));
        let known = Known::Answered(Bytes::from_static(b"200"));
        answered.put(b"a".to_vec(), Known::InFlight, now);
        assert_eq!(answered.find(b"a", now), Some(Known::InFlight));
        answered.put(b"a".to_vec(), known.clone(), now);
        assert_eq!(answered.find(b"a", now.plus_s(32)), Some(known.clone()));
        assert_eq!(answered.find(b"a", now.plus_s(33)), None);
        for number in 0..=REMEMBERED_MAX {
            answered.put(number.to_le_bytes().to_vec(), known.clone(), now);
        }
        assert_eq!(answered.find(&0usize.to_le_bytes(), now), None);
        assert!(answered.find(&1usize.to_le_bytes(), now).is_some());
        answered.forget(&1usize.to_le_bytes());
        assert_eq!(answered.find(&1usize.to_le_bytes(), now), None);
    }
}
