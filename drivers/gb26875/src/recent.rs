//! When frames came first whose own times are of no use, so that one that is sent again is known by
//! the same time and stored once.

use crate::frame::{Address, Head};
use model::Timestamp;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How long the last frame of a device is known; serials begin again with each start of a device.
const LAST_KNOWN_S: i64 = 600;

/// How long earlier ones are: three repeats of ten seconds (6.5), and as much again. A fire, a normal
/// state and the same fire a few minutes later are two fires.
const OTHERS_KNOWN_S: i64 = 60;

/// Frames of one device that may wait for their confirmation at once.
const FRAMES_MAX: usize = 8;

/// Devices without a clock that are known at once; all are forgotten beyond.
const SOURCES_MAX: usize = 16_384;

#[derive(Debug, Default)]
pub(crate) struct Recent {
    sources: HashMap<Address, Vec<(u64, Timestamp)>>,
}

impl Recent {
    /// Gives the time at which this frame came first.
    pub(crate) fn first_seen(&mut self, head: &Head, unit: &[u8], now: Timestamp) -> Timestamp {
        // The send time is new with each attempt; serial and unit are not.
        let mut hasher = DefaultHasher::new();
        (head.serial, unit).hash(&mut hasher);
        let hash = hasher.finish();
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&head.source) {
            self.sources.clear();
        }
        let frames = self.sources.entry(head.source).or_default();
        let last = frames.len().saturating_sub(1);
        let known = frames.iter().enumerate().find(|(index, (frame, first))| {
            let known_s = if *index == last {
                LAST_KNOWN_S
            } else {
                OTHERS_KNOWN_S
            };
            *frame == hash && now.since_ms(*first) <= known_s * 1000
        });
        if let Some((_, (_, first))) = known {
            return *first;
        }
        frames.retain(|(frame, _)| *frame != hash);
        if frames.len() >= FRAMES_MAX {
            frames.remove(0);
        }
        frames.push((hash, now));
        now
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;
    use crate::frame::{Address, Head, Stamp};
    use model::Timestamp;

    const HEAD: Head = Head {
        serial: 7,
        version: [1, 1],
        time: Stamp([0; 6]),
        source: Address([1; 6]),
        destination: Address([0; 6]),
        command: 2,
        unit_bytes: 4,
    };

    #[test]
    fn a_frame_that_is_sent_again_keeps_its_first_time_for_ten_minutes() {
        let again = Head {
            time: Stamp([1; 6]),
            ..HEAD
        };
        let (start, mut recent) = (Timestamp::from_millis(0), Recent::default());
        assert_eq!(recent.first_seen(&HEAD, b"fire", start), start);
        assert_eq!(recent.first_seen(&again, b"fire", start.plus_s(600)), start);
        let later = start.plus_s(601);
        assert_eq!(recent.first_seen(&HEAD, b"fire", later), later);
    }

    #[test]
    fn the_same_fire_after_a_normal_state_is_a_second_fire_but_a_repeat_of_both_is_none() {
        let (start, mut recent) = (Timestamp::from_millis(0), Recent::default());
        recent.first_seen(&HEAD, b"fire", start);
        recent.first_seen(&HEAD, b"calm", start.plus_s(1));
        assert_eq!(recent.first_seen(&HEAD, b"fire", start.plus_s(10)), start);
        assert_eq!(
            recent.first_seen(&HEAD, b"calm", start.plus_s(11)),
            start.plus_s(1)
        );
        assert_eq!(
            recent.first_seen(&HEAD, b"fire", start.plus_s(180)),
            start.plus_s(180)
        );
    }
}
