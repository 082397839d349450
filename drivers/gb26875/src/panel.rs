//! What is known of the places behind one device: which of them have a flag set now, and when one was
//! last given as clear.
//!
//! A panel reports its components one by one. Where they are no devices of their own, a normal state of
//! one must not clear the fire of another, and where two states share a second, the fire must stand.

use crate::unit::Place;
use model::{MetricKey, Timestamp};
use std::collections::{BTreeSet, HashMap};

/// Places that are remembered for one flag of one device: a loop has 252 addresses at most, a large
/// panel some tens of loops.
const PLACES_MAX: usize = 8_192;

/// The flags of one device.
#[derive(Debug, Default)]
pub(crate) struct Panel {
    raised: HashMap<MetricKey, BTreeSet<Place>>,
    cleared_at: HashMap<MetricKey, Timestamp>,
}

impl Panel {
    /// Takes the flag of one place, and gives that of the device: whether it is set anywhere.
    pub(crate) fn tell(&mut self, metric: MetricKey, place: Place, set: bool) -> bool {
        if !set {
            let Some(places) = self.raised.get_mut(&metric) else {
                return false;
            };
            places.remove(&place);
            return !places.is_empty();
        }
        let places = self.raised.entry(metric).or_default();
        if places.len() < PLACES_MAX {
            places.insert(place);
        }
        true
    }

    /// Forgets what a system, or the transmission device, had set: somebody pressed its reset (复位).
    /// Gives the flags that are clear now.
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
        clear.sort_unstable();
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
    const HALL: Place = Place::Component([1, 3, 40], [2, 0, 0, 0]);

    #[test]
    fn a_normal_state_of_one_place_does_not_clear_the_fire_of_another() {
        let mut panel = Panel::default();
        assert!(panel.tell(FIRE, ROOM, true));
        assert!(panel.tell(FIRE, HALL, false));
        assert!(!panel.tell(FIRE, ROOM, false));
    }

    #[test]
    fn the_reset_of_a_system_clears_what_its_places_had_set() {
        let mut panel = Panel::default();
        panel.tell(FIRE, ROOM, true);
        panel.tell(FIRE, Place::System([1, 3]), true);
        panel.tell(FIRE, Place::Device, true);
        assert_eq!(panel.reset(Place::System([1, 4])), []);
        assert_eq!(panel.reset(Place::System([1, 3])), []);
        assert_eq!(panel.reset(Place::Device), [FIRE]);
        assert!(!panel.tell(FIRE, ROOM, false));
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
