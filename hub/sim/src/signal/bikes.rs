//! Shared bikes: how many stand in a fence, and where each one is.

use super::{Battery, Cast, Device, Drift, Episodes, Moment, Observation, Pace, Random, Shape};
use crate::fleet::FENCE_CAPACITY;
use crate::observation::Measure;
use std::f64::consts::TAU;

const ORDINARY_GAP_S: f64 = 12.0 * 3600.0;
const RIDE_GAP_S: f64 = 3.0 * 3600.0;
/// Metres in a degree of latitude, and of longitude at 24.5° north.
pub(super) const METRES_PER_DEGREE: (f64, f64) = (110_750.0, 101_300.0);

/// A fence that counts the bikes in it.
#[derive(Debug)]
pub(crate) struct Fence {
    /// Emptied by day near offices, by night near homes.
    busy_hour: f64,
    capacity: f64,
    drift: Drift,
    episodes: Episodes,
}

impl Fence {
    pub(super) fn new(device: &Device, cast: Option<&Cast>, random: &mut Random) -> Self {
        let pace = Pace::new(ORDINARY_GAP_S, random);
        Self {
            busy_hour: if random.chance(0.5) { 11.0 } else { 23.0 },
            capacity: device
                .tags
                .get("capacity")
                .and_then(|text| text.parse().ok())
                .unwrap_or(f64::from(FENCE_CAPACITY)),
            drift: Drift::new(1.8, 900.0),
            episodes: Episodes::new(&[Shape::PileUp], pace, cast),
        }
    }

    pub(super) fn sample(&mut self, moment: Moment, random: &mut Random) -> Vec<Observation> {
        let capacity = self.capacity;
        let share = 0.5 + 0.3 * moment.wave(self.busy_hour);
        let calm = capacity * share + self.drift.step(moment.step_s, random);
        let calm = calm.clamp(0.0, capacity * 0.95);
        let heap = self
            .episodes
            .at(moment.elapsed_s, random)
            .map_or(0.0, |phase| {
                // People keep coming, then the truck takes them away.
                let arrived = (phase.fraction / 0.25)
                    .min(1.0)
                    .min((1.0 - phase.fraction) / 0.1);
                capacity * (1.55 + 0.6 * phase.strength) * arrived
            });
        vec![Observation::number(
            "parked_count",
            calm.max(heap).round(),
            0,
        )]
    }
}

/// A bike with a lock that knows where it is.
#[derive(Debug)]
pub(crate) struct Bike {
    home: (f64, f64),
    /// Where the ride leads: direction and farthest point.
    bearing: f64,
    reach_m: f64,
    riding: bool,
    battery: Battery,
    episodes: Episodes,
}

impl Bike {
    pub(super) fn new(device: &Device, cast: Option<&Cast>, random: &mut Random) -> Self {
        let pace = Pace::new(RIDE_GAP_S, random);
        Self {
            home: (device.lon, device.lat),
            bearing: 0.0,
            reach_m: 0.0,
            riding: false,
            battery: Battery::new(device, cast, random),
            episodes: Episodes::new(&[Shape::Ride], pace, cast),
        }
    }

    pub(super) fn sample(&mut self, moment: Moment, random: &mut Random) -> Vec<Observation> {
        let phase = self.episodes.at(moment.elapsed_s, random);
        if phase.is_some() && !self.riding {
            self.bearing = random.between(0.0, TAU);
            // At 3 m/s out and back.
            self.reach_m = random.between(200.0, 800.0);
        }
        self.riding = phase.is_some();
        let out_m = phase.map_or(0.0, |phase| {
            self.reach_m * (1.0 - (2.0 * phase.fraction - 1.0).abs())
        });
        // Between houses a receiver is worth a few metres.
        let accuracy_m = 3.0 + random.exponential(2.0).min(20.0);
        let north_m = out_m * self.bearing.cos() + random.normal() * accuracy_m / 3.0;
        let east_m = out_m * self.bearing.sin() + random.normal() * accuracy_m / 3.0;
        let position = Measure::Position {
            lon: self.home.0 + east_m / METRES_PER_DEGREE.1,
            lat: self.home.1 + north_m / METRES_PER_DEGREE.0,
            accuracy_m,
            locked: phase.is_none(),
        };
        vec![
            Observation {
                metric: "position".into(),
                measure: position,
            },
            self.battery.observe(moment.step_s),
        ]
    }
}
