//! What is known of the places behind one device: which of them have a flag set now, and when one was
//! last given as clear.
//!
//! A panel reports its components one by one. Where they are no devices of their own, a normal state of
//! one must not clear the fire of another, and where two states share a second, the fire must stand.

use crate::unit::Place;
use model::{MetricKey, Timestamp};
use std::collections::{BTreeSet, HashMap};

/// How long a flag of before a restart stands without a reset: nobody knows any more which place had
/// set it, so no place can clear it. People have long been called by then.
const HELD_S: i64 = 4 * 3_600;

/// Places that are remembered for one flag of one device: a loop has 252 addresses at most, a large
/// panel some tens of loops.
const PLACES_MAX: usize = 8_192;

/// The flags of one device.
#[derive(Debug, Default)]
pub(crate) struct Panel {
    raised: HashMap<MetricKey, BTreeSet<Place>>,
    cleared_at: HashMap<MetricKey, Timestamp>,
    /// Flags that were set before this hub was started, by places that are not known any more.
    held: BTreeSet<MetricKey>,
    held_until: Timestamp,
}

impl Panel {
    /// Makes the panel of a device that had these flags set when the hub was stopped.
    pub(crate) fn holding(flags: impl IntoIterator<Item = MetricKey>, now: Timestamp) -> Self {
        Self {
            held: flags.into_iter().collect(),
            held_until: now.plus_s(HELD_S),
            ..Self::default()
        }
    }

    /// Takes the flag of one place, and gives that of the device: whether it is set anywhere.
    pub(crate) fn tell(
        &mut self,
        metric: MetricKey,
        (place, set): (Place, bool),
        now: Timestamp,
    ) -> bool {
        if !set {
            let held = self.held.contains(&metric) && now < self.held_until;
            let Some(places) = self.raised.get_mut(&metric) else {
                return held;
            };
            places.remove(&place);
            return held || !places.is_empty();
        }
        let places = self.raised.entry(metric).or_default();
        if places.len() < PLACES_MAX {
            places.insert(place);
        }
        true
    }

    /// Forgets what a system, or the transmission device, had set: somebody pressed its reset (复位).
    /// A fire that goes on is reported again after it, so it clears what is held, too. Gives the flags
    /// that are clear now.
    pub(crate) fn reset(&mut self, reset: Place) -> Vec<MetricKey> {
        let is_of = |place: &Place| match (reset, place) {
            (Place::System(system), Place::Component([kind, address, _], _)) => {
                system == [*kind, *address]
            }
            (reset, place) => reset == *place,
        };
        let mut clear = Vec::new();
        for (metric, places) in &mut self.raised {
            let before = places.len();
            places.retain(|place| !is_of(place));
            if places.is_empty() && before > 0 {
                clear.push(*metric);
            }
        }
        let held = std::mem::take(&mut self.held);
        let is_set = |metric: &MetricKey| {
            let places = self.raised.get(metric);
            places.is_some_and(|places| !places.is_empty())
        };
        clear.extend(held.into_iter().filter(|metric| !is_set(metric)));
        clear.sort_unstable();
        clear.dedup();
        clear
    }

    /// Gives the time of a flag. Times of frames are whole seconds and an instant holds one value: what
    /// is set in the second in which it was clear comes a millisecond later, and so counts.
    pub(crate) fn at(&mut self, metric: MetricKey, set: bool, at: Timestamp) -> Timestamp {
        if !set {
            self.cleared_at.insert(metric, at);
            return at;
        }
        if self.cleared_at.get(&metric) == Some(&at) {
            return at.plus_ms(1);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::Panel;
    use crate::unit::Place;
    use model::{MetricKey, Timestamp};

    const FIRE: MetricKey = MetricKey(1);
    const ROOM: Place = Place::Component([1, 3, 40], [1, 0, 0, 0]);
    const NOW: Timestamp = Timestamp::from_millis(1_772_323_200_000);
    const HALL: Place = Place::Component([1, 3, 40], [2, 0, 0, 0]);

    #[test]
    fn a_normal_state_of_one_place_does_not_clear_the_fire_of_another() {
        let mut panel = Panel::default();
        assert!(panel.tell(FIRE, (ROOM, true), NOW));
        assert!(panel.tell(FIRE, (HALL, false), NOW));
        assert!(!panel.tell(FIRE, (ROOM, false), NOW));
    }

    #[test]
    fn the_reset_of_a_system_clears_what_its_places_had_set() {
        let mut panel = Panel::default();
        panel.tell(FIRE, (ROOM, true), NOW);
        panel.tell(FIRE, (Place::System([1, 3]), true), NOW);
        panel.tell(FIRE, (Place::Device, true), NOW);
        assert_eq!(panel.reset(Place::System([1, 4])), []);
        assert_eq!(panel.reset(Place::System([1, 3])), []);
        assert_eq!(panel.reset(Place::Device), [FIRE]);
        assert!(!panel.tell(FIRE, (ROOM, false), NOW));
    }

    #[test]
    fn a_fire_of_before_the_restart_stands_until_a_reset_or_for_hours() {
        let mut panel = Panel::holding([FIRE], NOW);
        assert!(panel.tell(FIRE, (HALL, false), NOW.plus_s(60)));
        assert!(panel.tell(FIRE, (HALL, true), NOW.plus_s(61)));
        assert!(panel.tell(FIRE, (HALL, false), NOW.plus_s(62)));
        assert_eq!(panel.reset(Place::System([1, 3])), [FIRE]);
        assert!(!panel.tell(FIRE, (HALL, false), NOW.plus_s(63)));
        let mut panel = Panel::holding([FIRE], NOW);
        assert!(panel.tell(FIRE, (HALL, false), NOW.plus_s(4 * 3_600 - 1)));
        assert!(!panel.tell(FIRE, (HALL, false), NOW.plus_s(4 * 3_600)));
    }

    #[test]
    fn a_reset_leaves_the_fire_that_another_system_has_told_since() {
        let mut panel = Panel::holding([FIRE], NOW);
        panel.tell(FIRE, (ROOM, true), NOW);
        assert_eq!(panel.reset(Place::System([9, 9])), []);
        assert!(panel.tell(FIRE, (HALL, false), NOW));
        assert!(!panel.tell(FIRE, (ROOM, false), NOW));
    }

    #[test]
    fn a_fire_in_the_second_of_a_normal_state_has_an_instant_of_its_own() {
        let mut panel = Panel::default();
        let second = Timestamp::from_millis(5_000);
        assert_eq!(panel.at(FIRE, true, second), second);
        assert_eq!(panel.at(FIRE, false, second), second);
        assert_eq!(panel.at(FIRE, true, second).millis(), 5_001);
        assert_eq!(panel.at(FIRE, true, second.plus_s(1)).millis(), 6_000);
    }
}
