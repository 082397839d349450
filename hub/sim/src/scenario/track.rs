//! Where a device is at a moment, by the words of the script.

use super::cast::{Part, shifted};
use super::curve::staggered;
use super::script::{Manner, Move, Track};
use super::span::Span;
use crate::observation::Measure;
use crate::random::Random;

/// Gives the fix that the device reports.
pub(crate) fn fix(track: &Track, part: Part<'_>, at: Span, random: &mut Random) -> Measure {
    let (mut east_m, mut north_m) = (track.east_m, track.north_m);
    let mut locked = track.locked;
    let own = |m: &&Move| m.only.as_ref().is_none_or(|only| only.has(part.number));
    for step in track.moves.iter().filter(own) {
        let from = staggered(step.from, step.stagger, part.number);
        let to = staggered(step.to, step.stagger, part.number);
        if at < from {
            continue;
        }
        let length = (to.0 - from.0).max(1) as f64;
        let share = ((at.0 - from.0) as f64 / length).min(1.0);
        let way = match step.manner {
            Manner::Ride => {
                locked &= share >= 1.0;
                share
            }
            // Out to the named distance and back.
            Manner::Drift => (share * std::f64::consts::PI).sin(),
        };
        east_m += step.east_m * way;
        north_m += step.north_m * way;
    }
    let [lon, lat] = shifted(
        part.home(),
        east_m + track.scatter_m * random.normal(),
        north_m + track.scatter_m * random.normal(),
    );
    Measure::Position {
        lon,
        lat,
        accuracy_m: track.accuracy_m,
        locked,
    }
}
