//! Smoke detectors: next to nothing, kitchen fumes, and now and then a fire.

use super::{
    Battery, Cast, Device, Drift, Episodes, Moment, Observation, Pace, Random, Shape, Weather,
};

const ORDINARY_GAP_S: f64 = 30.0 * 3600.0;
/// The detector alarms above this and rests below `REST_DBM`; GB 4715-2024 wants a response
/// threshold of at least 0.05 dB/m, and 0.3 dB/m at the least sensitive setting.
const ALARM_DBM: f64 = 0.2;
const REST_DBM: f64 = 0.08;
/// Thick smoke blinds the chamber here.
const FULL_DBM: f64 = 3.5;

/// A smoke detector.
#[derive(Debug)]
pub(crate) struct Smoke {
    alarming: bool,
    rest_dbm: f64,
    noise: Drift,
    weather: Weather,
    battery: Battery,
    episodes: Episodes,
}

impl Smoke {
    pub(super) fn new(device: &Device, cast: Option<&Cast>, random: &mut Random) -> Self {
        let pace = Pace::new(ORDINARY_GAP_S, random);
        let shapes = &[
            Shape::Cooking,
            Shape::Cooking,
            Shape::Cooking,
            Shape::SensorFault,
            Shape::Fire,
        ];
        Self {
            alarming: false,
            rest_dbm: random.between(0.005, 0.02),
            noise: Drift::new(0.003, 60.0),
            weather: Weather::new(random),
            battery: Battery::new(device, cast, random),
            episodes: Episodes::new(shapes, pace, cast),
        }
    }

    pub(super) fn sample(&mut self, moment: Moment, random: &mut Random) -> Vec<Observation> {
        let phase = self.episodes.at(moment.elapsed_s, random);
        let (mut smoke_dbm, mut heat_c, mut fault) = (0.0, 0.0, 0.0);
        if let Some(phase) = phase {
            match phase.shape {
                Shape::Cooking => smoke_dbm = (0.05 + 0.08 * phase.strength) * phase.plateau(),
                // A fire grows with the square of time, until somebody puts it out.
                Shape::Fire => {
                    let grown = (phase.fraction / 0.6).min(1.0);
                    let left = ((1.0 - phase.fraction) / 0.2).min(1.0);
                    smoke_dbm = FULL_DBM * grown * grown * left;
                    heat_c = 45.0 * grown * grown * left;
                }
                _ => fault = 1.0,
            }
        }
        let noise_dbm = self.noise.step(moment.step_s, random);
        let smoke_dbm = (self.rest_dbm + noise_dbm + smoke_dbm).clamp(0.0, FULL_DBM + 0.1);
        self.alarming = smoke_dbm > if self.alarming { REST_DBM } else { ALARM_DBM };
        let temperature_c = self.weather.temperature_c(moment, random) + 3.0 + heat_c;
        vec![
            Observation::number("smoke_obscuration_dbm", smoke_dbm, 3),
            Observation::number("smoke_alarm", f64::from(u8::from(self.alarming)), 0),
            Observation::number("fault", fault, 0),
            Observation::number("temperature_c", temperature_c, 1),
            self.battery.observe(moment.step_s),
        ]
    }
}
