//! What happens in the demo city: an opening in which a visitor sees everything, then rounds that
//! vary and leave an officer time to think.

use crate::fleet::{Device, Fleet};
use crate::kind::Kind;
use crate::random::Random;
use crate::signal::{Phase, Shape};

/// The opening lasts so long.
const OPENING_S: f64 = 600.0;
/// Four things happen in a round of 25 minutes: two alarms in ten minutes are what EEMUA 191 calls
/// manageable.
const ROUND_S: f64 = 1500.0;
/// The programme begins anew after a day.
const DAY_S: f64 = 86_400.0;
/// A wrong clock is ahead by this much; odd, so that it never gives the time of another message.
const AHEAD_MS: i64 = 307_001;

/// What happens, to whom and for how long.
#[derive(Copy, Clone, Debug)]
struct Act {
    /// After the beginning of the round.
    at_s: f64,
    what: What,
    lasts_s: f64,
    /// From 0 (mild) to 1 (violent).
    strength: f64,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum What {
    /// To one device of a kind, with a tag of this value if one is named.
    One(Shape, Kind, Option<&'static str>),
    /// A gateway whose site has devices of this kind, with all of them.
    GatewayLost(Kind),
    /// Two detectors of one site, one after the other.
    Fire,
}

const fn act(at_s: f64, what: What, lasts_s: f64, strength: f64) -> Act {
    Act {
        at_s,
        what,
        lasts_s,
        strength,
    }
}

const OVERPRESSURE: What = What::One(Shape::Overpressure, Kind::GasPressure, Some("medium"));
const LOW_OVERPRESSURE: What = What::One(Shape::Overpressure, Kind::GasPressure, Some("low"));
const RUPTURE: What = What::One(Shape::Rupture, Kind::GasPressure, Some("medium"));
const STRAY: What = What::One(Shape::Stray, Kind::Bike, None);
const WORKS: What = What::One(Shape::Works, Kind::Noise, Some("construction"));
const PLUME: What = What::One(Shape::Plume, Kind::Dust, Some("liaoning"));
const PILE_UP: What = What::One(Shape::PileUp, Kind::BikeFence, None);
const DETECTOR_FAULT: What = What::One(Shape::SensorFault, Kind::Smoke, None);
const WRONG_CLOCK: What = What::One(Shape::WrongClock, Kind::Noise, Some("2"));
const ESTATE_LOST: What = What::GatewayLost(Kind::Smoke);
const STATION_LOST: What = What::GatewayLost(Kind::GasPressure);

/// Each severity, a gateway that is lost and comes back, and a case, within five minutes.
const OPENING: &[Act] = &[
    act(8.0, OVERPRESSURE, 80.0, 0.5),
    act(12.0, STRAY, 240.0, 0.5),
    act(55.0, ESTATE_LOST, 150.0, 0.5),
    act(95.0, WORKS, 150.0, 0.1),
    act(380.0, PLUME, 150.0, 0.5),
];

const ROUNDS: [&[Act]; 4] = [
    &[
        act(30.0, What::Fire, 140.0, 0.5),
        act(450.0, PLUME, 150.0, 0.3),
        act(760.0, STRAY, 300.0, 0.5),
        act(960.0, DETECTOR_FAULT, 60.0, 0.5),
    ],
    &[
        act(40.0, RUPTURE, 90.0, 0.5),
        act(380.0, STATION_LOST, 160.0, 0.5),
        act(680.0, WORKS, 180.0, 0.1),
        act(920.0, PILE_UP, 200.0, 0.2),
    ],
    &[
        act(60.0, LOW_OVERPRESSURE, 90.0, 0.3),
        act(350.0, WRONG_CLOCK, 150.0, 0.5),
        act(620.0, ESTATE_LOST, 200.0, 0.5),
        act(900.0, WORKS, 180.0, 0.9),
    ],
    &[
        act(30.0, OVERPRESSURE, 100.0, 0.8),
        act(400.0, PLUME, 180.0, 0.8),
        act(700.0, STRAY, 300.0, 0.5),
        act(950.0, PILE_UP, 200.0, 0.9),
    ],
];

/// A thunderstorm: more than ten alarms within ten minutes.
const STORM: &[Act] = &[
    act(60.0, STATION_LOST, 240.0, 0.5),
    act(70.0, ESTATE_LOST, 240.0, 0.5),
    act(80.0, STATION_LOST, 260.0, 0.5),
    act(90.0, LOW_OVERPRESSURE, 120.0, 0.4),
    act(100.0, ESTATE_LOST, 280.0, 0.5),
    act(110.0, LOW_OVERPRESSURE, 120.0, 0.6),
    act(120.0, WORKS, 150.0, 0.9),
    act(130.0, OVERPRESSURE, 100.0, 0.9),
    act(140.0, DETECTOR_FAULT, 80.0, 0.5),
    act(150.0, LOW_OVERPRESSURE, 120.0, 0.2),
    act(160.0, WORKS, 150.0, 0.2),
    act(170.0, OVERPRESSURE, 100.0, 0.4),
    act(180.0, DETECTOR_FAULT, 80.0, 0.5),
    act(190.0, STATION_LOST, 200.0, 0.5),
];

/// Every ninth round is a storm: after three and a half hours, and so on.
const STORM_EVERY: usize = 9;

/// Something that one device plays.
#[derive(Copy, Clone, Debug, PartialEq)]
struct Play {
    shape: Shape,
    from_s: f64,
    lasts_s: f64,
    strength: f64,
}

/// What one device plays in a day.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part(Vec<Play>);

impl Part {
    /// Tells what is going on now.
    pub(crate) fn at(&self, elapsed_s: f64) -> Option<Phase> {
        let now_s = elapsed_s.rem_euclid(DAY_S);
        let running = |play: &&Play| (play.from_s..play.from_s + play.lasts_s).contains(&now_s);
        let play = self.0.iter().find(running)?;
        let since_s = now_s - play.from_s;
        Some(Phase {
            shape: play.shape,
            since_s,
            fraction: since_s / play.lasts_s,
            strength: play.strength,
        })
    }

    /// Tells whether the device says nothing now.
    pub(crate) fn silent(&self, elapsed_s: f64) -> bool {
        self.at(elapsed_s).is_some_and(|p| p.shape == Shape::Silent)
    }

    /// Tells how far the device's clock is ahead now, in milliseconds.
    pub(crate) fn clock_ms(&self, elapsed_s: f64) -> i64 {
        let wrong = |phase: Phase| phase.shape == Shape::WrongClock;
        if self.at(elapsed_s).is_some_and(wrong) {
            AHEAD_MS
        } else {
            0
        }
    }

    fn free(&self, from_s: f64, to_s: f64) -> bool {
        let apart = |play: &Play| play.from_s + play.lasts_s < from_s || to_s < play.from_s;
        self.0.iter().all(apart)
    }
}

/// Gives every device of the fleet its part; another seed gives the same acts to others.
pub(crate) fn parts(fleet: &Fleet, seed: u64) -> Vec<Part> {
    let mut stage = Casting {
        fleet,
        parts: vec![Part::default(); fleet.devices.len()],
        random: Random::new(seed, 0xde30),
    };
    stage.perform(0.0, OPENING);
    let mut begin_s = OPENING_S;
    for number in 0.. {
        if begin_s + ROUND_S > DAY_S {
            break;
        }
        let acts = if number % STORM_EVERY == STORM_EVERY - 1 {
            STORM
        } else {
            ROUNDS.get(number % ROUNDS.len()).copied().unwrap_or(&[])
        };
        stage.perform(begin_s, acts);
        begin_s += ROUND_S;
    }
    stage.parts
}

struct Casting<'a> {
    fleet: &'a Fleet,
    parts: Vec<Part>,
    random: Random,
}

impl Casting<'_> {
    fn perform(&mut self, begin_s: f64, acts: &[Act]) {
        for act in acts {
            let from_s = begin_s + act.at_s;
            let play = |shape| Play {
                shape,
                from_s,
                lasts_s: act.lasts_s,
                strength: act.strength,
            };
            match act.what {
                What::One(shape, kind, tag) => {
                    let fits = |d: &Device| {
                        let tagged = |tag| d.tags.values().any(|value| value == tag);
                        d.kind == kind && tag.is_none_or(tagged)
                    };
                    if let Some(device) = self.pick(fits, &play(shape)) {
                        self.give(device, play(shape));
                    }
                }
                What::GatewayLost(kind) => {
                    let fleet = self.fleet;
                    let speaks = |d: &Device| d.kind == Kind::Gateway && children(fleet, d, kind);
                    if let Some(gateway) = self.pick(speaks, &play(Shape::Silent)) {
                        self.give(gateway, play(Shape::Silent));
                        for child in self.members(|d| d.parent == Some(gateway)) {
                            self.give(child, play(Shape::Silent));
                        }
                    }
                }
                What::Fire => {
                    let play = play(Shape::Fire);
                    if let Some(first) = self.pick(|d| d.kind == Kind::Smoke, &play) {
                        let gateway = self.fleet.devices.get(first).and_then(|d| d.parent);
                        let near = self.members(|d| d.parent == gateway && d.kind == Kind::Smoke);
                        self.give(first, play);
                        if let Some(second) = near.into_iter().find(|index| *index != first) {
                            let from_s = play.from_s + 15.0;
                            self.give(second, Play { from_s, ..play });
                        }
                    }
                }
            }
        }
    }

    fn members(&self, fits: impl Fn(&Device) -> bool) -> Vec<usize> {
        let devices = self.fleet.devices.iter().enumerate();
        devices.filter(|(_, d)| fits(d)).map(|(i, _)| i).collect()
    }

    /// Picks one that fits; it and its children have nothing else to play an hour before and after.
    fn pick(&mut self, fits: impl Fn(&Device) -> bool, play: &Play) -> Option<usize> {
        let (from_s, to_s) = (play.from_s - 3600.0, play.from_s + play.lasts_s + 3600.0);
        let mut free = self.members(fits);
        let busy = |index: &usize| self.parts.get(*index).is_none_or(|p| !p.free(from_s, to_s));
        free.retain(|index| {
            let children = self.members(|d| d.parent == Some(*index));
            !busy(index) && !children.iter().any(busy)
        });
        let choice = self.random.below(free.len() as u64);
        free.get(usize::try_from(choice).unwrap_or(0)).copied()
    }

    fn give(&mut self, device: usize, play: Play) {
        if let Some(part) = self.parts.get_mut(device) {
            part.0.push(play);
        }
    }
}

/// Tells whether a gateway speaks for devices of a kind.
fn children(fleet: &Fleet, gateway: &Device, kind: Kind) -> bool {
    let own = |parent: usize| {
        fleet
            .devices
            .get(parent)
            .is_some_and(|g| g.id == gateway.id)
    };
    let mut devices = fleet.devices.iter();
    devices.any(|d| d.kind == kind && d.parent.is_some_and(own))
}

#[cfg(test)]
mod tests;
