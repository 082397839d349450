//! A muck truck on its round between a building site and a dump.

use super::bikes::METRES_PER_DEGREE;
use super::{Device, Drift, Moment, Observation, Random};
use crate::observation::Measure;
use std::f64::consts::TAU;

/// Radii of the round, and the speed that traffic allows in the mean.
const ROUND_M: (f64, f64) = (350.0, 700.0);
const SPEED_KMH: f64 = 28.0;
const SPEED_KMH_MAX: f64 = 55.0;

/// A truck that drives around its yard.
#[derive(Debug)]
pub(crate) struct Truck {
    yard: (f64, f64),
    round_m: f64,
    /// Where on the round it is.
    turn: f64,
    traffic: Drift,
    mileage_km: f64,
}

impl Truck {
    pub(super) fn new(device: &Device, random: &mut Random) -> Self {
        Self {
            yard: (device.lon, device.lat),
            round_m: random.between(ROUND_M.0, ROUND_M.1),
            turn: random.between(0.0, TAU),
            traffic: Drift::new(12.0, 90.0),
            mileage_km: random.between(8_000.0, 90_000.0),
        }
    }

    pub(super) fn sample(&mut self, moment: Moment, random: &mut Random) -> Vec<Observation> {
        let speed_kmh =
            (SPEED_KMH + self.traffic.step(moment.step_s, random)).clamp(0.0, SPEED_KMH_MAX);
        let driven_m = speed_kmh / 3.6 * moment.step_s;
        self.turn = (self.turn + driven_m / self.round_m).rem_euclid(TAU);
        self.mileage_km += driven_m / 1000.0;
        let position = Measure::Position {
            lon: self.yard.0 + self.round_m * self.turn.sin() / METRES_PER_DEGREE.1,
            lat: self.yard.1 + self.round_m * self.turn.cos() / METRES_PER_DEGREE.0,
            accuracy_m: 5.0,
            locked: false,
        };
        // Clockwise around the yard: a quarter ahead of the bearing from it.
        let heading = (self.turn.to_degrees() + 90.0).rem_euclid(360.0).floor();
        vec![
            Observation {
                metric: "position".into(),
                measure: position,
            },
            Observation::number("speed_kmh", speed_kmh, 1),
            Observation::number("direction_deg", heading, 0),
            Observation::number("mileage_km", self.mileage_km, 1),
        ]
    }
}
