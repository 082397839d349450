//! When a message came first that has no usable time of its own and may be sent again.

use model::Timestamp;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The last message of one connection.
#[derive(Debug, Default)]
pub struct FirstSeen {
    last: Option<(u64, Timestamp)>,
}

impl FirstSeen {
    /// Gives when this message came first, if it is the last one again within so many seconds;
    /// otherwise it is new, and that is now.
    pub fn of(&mut self, message: impl Hash, now: Timestamp, again_s: i64) -> Timestamp {
        let mut hasher = DefaultHasher::new();
        message.hash(&mut hasher);
        let hash = hasher.finish();
        let known = self
            .last
            .filter(|(last, first)| *last == hash && now.since_ms(*first) <= again_s * 1000);
        let (_, first) = *self.last.insert(known.unwrap_or((hash, now)));
        first
    }
}

#[cfg(test)]
mod tests {
    use super::FirstSeen;
    use model::Timestamp;

    #[test]
    fn a_message_that_is_sent_again_keeps_its_time_for_a_while() {
        let mut seen = FirstSeen::default();
        let at = Timestamp::from_millis;
        assert_eq!(seen.of(b"a", at(1_000), 60), at(1_000));
        assert_eq!(seen.of(b"a", at(61_000), 60), at(1_000));
        assert_eq!(seen.of(b"a", at(61_001), 60), at(61_001));
        assert_eq!(seen.of(b"b", at(61_002), 60), at(61_002));
        assert_eq!(seen.of(b"a", at(61_003), 60), at(61_003));
    }
}
