//! Keeps one place of the code from filling the log: a device gone mad repeats the same line for ever.

use model::Timestamp;
use rustc_hash::FxHashMap;
use std::sync::{Mutex, PoisonError};
use tracing::callsite::Identifier;

/// A place may write so many lines within this time.
const WINDOW_MS: i64 = 10_000;

/// What becomes of a line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// `withheld` lines of this place came before it.
    Write {
        withheld: u64,
    },
    Withhold,
}

#[derive(Debug, Default)]
struct Place {
    since: Timestamp,
    lines: u32,
    withheld: u64,
}

/// How often each place wrote of late.
#[derive(Debug)]
pub(super) struct Pace {
    /// 0 lets everything pass.
    lines_max: u32,
    /// As many as there are calls in the program at most.
    places: Mutex<FxHashMap<Identifier, Place>>,
}

impl Pace {
    pub(super) fn new(lines_max: u32) -> Self {
        Self {
            lines_max,
            places: Mutex::default(),
        }
    }

    pub(super) fn turn(&self, place: &Identifier, now: Timestamp) -> Turn {
        if self.lines_max == 0 {
            return Turn::Write { withheld: 0 };
        }
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(place.clone()).or_default();
        // A clock that was set back begins anew, too.
        if !(0..WINDOW_MS).contains(&now.since_ms(place.since)) {
            (place.since, place.lines) = (now, 0);
        }
        if place.lines >= self.lines_max {
            place.withheld = place.withheld.saturating_add(1);
            return Turn::Withhold;
        }
        place.lines += 1;
        Turn::Write {
            withheld: std::mem::take(&mut place.withheld),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, Turn};
    use model::Timestamp;
    use tracing::Callsite as _;
    use tracing::callsite::Identifier;

    fn place() -> Identifier {
        tracing::callsite! { name: "here", kind: tracing::metadata::Kind::EVENT, fields: a }
            .metadata()
            .callsite()
    }

    fn elsewhere() -> Identifier {
        tracing::callsite! { name: "there", kind: tracing::metadata::Kind::EVENT, fields: a }
            .metadata()
            .callsite()
    }

    #[test]
    fn a_place_that_repeats_itself_is_cut_short_and_says_by_how_much() {
        let pace = Pace::new(2);
        let at = |ms: i64| Timestamp::from_millis(1_000_000 + ms);
        let written = |withheld| Turn::Write { withheld };
        assert_eq!(pace.turn(&place(), at(0)), written(0));
        assert_eq!(pace.turn(&place(), at(1)), written(0));
        assert_eq!(pace.turn(&place(), at(2)), Turn::Withhold);
        assert_eq!(pace.turn(&place(), at(9_999)), Turn::Withhold);
        assert_eq!(pace.turn(&elsewhere(), at(9_999)), written(0));
        assert_eq!(pace.turn(&place(), at(10_000)), written(2));
        assert_eq!(pace.turn(&place(), at(10_001)), written(0));
        assert_eq!(pace.turn(&place(), at(10_002)), Turn::Withhold);
        // The clock is set back by an hour.
        assert_eq!(pace.turn(&place(), at(-3_600_000)), written(1));
    }

    #[test]
    fn nothing_is_withheld_where_no_limit_is_set() {
        let pace = Pace::new(0);
        let at = Timestamp::from_millis(5);
        assert!((0..1_000).all(|_| pace.turn(&place(), at) == Turn::Write { withheld: 0 }));
    }
}
