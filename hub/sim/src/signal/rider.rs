//! A shared bike of the demo city: it is ridden from stand to stand, and sometimes left elsewhere.

use super::bikes::METRES_PER_DEGREE;
use super::{Battery, Cast, Device, Moment, Observation, Random, Shape};
use crate::observation::Measure;
use std::f64::consts::TAU;

/// Mean time at a stand, and the pace of a rider.
const REST_S: f64 = 3600.0;
const RIDE_MS: f64 = 3.5;
/// How far from its stand a bike is left.
const STRAY_M: (f64, f64) = (110.0, 170.0);
/// Parked bikes stand so close around the middle of a fence.
const STAND_M: f64 = 4.0;

type Place = (f64, f64);

/// A way along two streets, one to the east or west and one to the north or south.
#[derive(Copy, Clone, Debug)]
struct Trip {
    from: Place,
    to: Place,
    started_s: f64,
}

/// A bike with a lock that knows where it is.
#[derive(Debug)]
pub(crate) struct Rider {
    at: Place,
    /// Where it goes back to after it was left.
    stand: Place,
    cast: Cast,
    trip: Option<Trip>,
    next_s: f64,
    astray: bool,
    battery: Battery,
}

impl Rider {
    pub(super) fn new(device: &Device, cast: Option<&Cast>, random: &mut Random) -> Self {
        let at = (device.lon, device.lat);
        Self {
            at,
            stand: at,
            cast: cast.cloned().unwrap_or_default(),
            trip: None,
            next_s: random.exponential(REST_S),
            astray: false,
            battery: Battery::new(device, cast, random),
        }
    }

    pub(super) fn sample(&mut self, moment: Moment, random: &mut Random) -> Vec<Observation> {
        let now_s = moment.elapsed_s;
        self.go(now_s, random);
        let (place, locked) = match self.trip {
            Some(trip) => match trip.place(now_s) {
                Some(place) => (place, false),
                None => {
                    self.at = trip.to;
                    self.trip = None;
                    self.next_s = now_s + random.exponential(REST_S);
                    (self.at, true)
                }
            },
            None => (self.at, true),
        };
        // Between houses a receiver is worth a few metres.
        let accuracy_m = 3.0 + random.exponential(2.0).min(20.0);
        let mut scatter = || random.normal() * accuracy_m / 3.0;
        let (lon, lat) = moved(place, scatter(), scatter());
        vec![
            Observation {
                metric: "position".into(),
                measure: Measure::Position {
                    lon,
                    lat,
                    accuracy_m,
                    locked,
                },
            },
            self.battery.observe(moment.step_s),
        ]
    }

    /// Decides whether the bike sets out.
    fn go(&mut self, now_s: f64, random: &mut Random) {
        let phase = self.cast.part.at(now_s);
        let stray = phase.is_some_and(|phase| phase.shape == Shape::Stray);
        if stray && !self.astray {
            let turn = random.between(0.0, TAU);
            let away_m = random.between(STRAY_M.0, STRAY_M.1);
            let to = moved(self.at, away_m * turn.cos(), away_m * turn.sin());
            self.stand = self.at;
            self.set_out(to, now_s);
        } else if self.astray && !stray {
            self.set_out(self.stand, now_s);
        } else if !stray && self.trip.is_none() && now_s >= self.next_s {
            let stands = &self.cast.stands;
            let choice = usize::try_from(random.below(stands.len() as u64)).unwrap_or(0);
            if let Some(stand) = stands.get(choice).copied() {
                let mut near = || random.between(-STAND_M, STAND_M);
                let to = moved(stand, near(), near());
                self.set_out(to, now_s);
            }
        }
        self.astray = stray;
    }

    fn set_out(&mut self, to: Place, now_s: f64) {
        let from = self.trip.and_then(|trip| trip.place(now_s));
        self.trip = Some(Trip {
            from: from.unwrap_or(self.at),
            to,
            started_s: now_s,
        });
    }
}

impl Trip {
    /// Tells where the rider is; none once he has arrived.
    fn place(self, now_s: f64) -> Option<Place> {
        let (east_m, north_m) = metres(self.from, self.to);
        let ridden_m = (now_s - self.started_s) * RIDE_MS;
        let left_m = ridden_m - east_m.abs();
        if left_m < 0.0 {
            return Some(moved(self.from, ridden_m * east_m.signum(), 0.0));
        }
        (left_m < north_m.abs()).then(|| moved(self.from, east_m, left_m * north_m.signum()))
    }
}

fn metres(from: Place, to: Place) -> (f64, f64) {
    let east_m = (to.0 - from.0) * METRES_PER_DEGREE.1;
    let north_m = (to.1 - from.1) * METRES_PER_DEGREE.0;
    (east_m, north_m)
}

fn moved(place: Place, east_m: f64, north_m: f64) -> Place {
    (
        place.0 + east_m / METRES_PER_DEGREE.1,
        place.1 + north_m / METRES_PER_DEGREE.0,
    )
}
