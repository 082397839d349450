//! Dust at a building site: three fractions that move together, and the weather around them.

use super::{Cast, Drift, Episodes, Moment, Observation, Pace, Random, Shape, Weather};

const ORDINARY_GAP_S: f64 = 24.0 * 3600.0;
/// Ordinary days stay under the daily class 2 limit of GB 3095, PM10 150 µg/m³.
const CALM_MAX_UGM3: f64 = 140.0;

/// A dust and weather station.
#[derive(Debug)]
pub(crate) struct Dust {
    level: Drift,
    fine_share: Drift,
    coarse_factor: f64,
    wind: Drift,
    direction_deg: f64,
    pressure: Drift,
    humidity: Drift,
    weather: Weather,
    episodes: Episodes,
}

impl Dust {
    pub(super) fn new(cast: Option<&Cast>, random: &mut Random) -> Self {
        let pace = Pace::new(ORDINARY_GAP_S, random);
        Self {
            level: Drift::new(0.25, 900.0),
            fine_share: Drift::new(0.05, 3600.0),
            coarse_factor: random.between(1.7, 2.1),
            wind: Drift::new(0.8, 300.0),
            direction_deg: random.between(0.0, 360.0),
            pressure: Drift::new(0.3, 20_000.0),
            humidity: Drift::new(5.0, 7200.0),
            weather: Weather::new(random),
            episodes: Episodes::new(&[Shape::Plume], pace, cast),
        }
    }

    pub(super) fn sample(&mut self, moment: Moment, random: &mut Random) -> Vec<Observation> {
        let step_s = moment.step_s;
        // Concentrations are log-normal: deviations multiply.
        let daily = 0.25 * (moment.hump(8.5) + moment.hump(17.0)) + 0.2 * moment.wave(13.0);
        let calm = (58.0 * (daily + self.level.step(step_s, random)).exp()).min(CALM_MAX_UGM3);
        let plume = self
            .episodes
            .at(moment.elapsed_s, random)
            .map_or(0.0, |phase| {
                (520.0 + 500.0 * phase.strength) * phase.plateau()
            });
        let pm10 = calm + plume;
        // A plume from the ground is coarse; little of it is fine.
        let share = (0.5 + self.fine_share.step(step_s, random)).clamp(0.3, 0.7);
        let pm25 = calm * share + plume * 0.15;
        let tsp = pm10 * self.coarse_factor;
        let temperature_c = self.weather.temperature_c(moment, random);
        let humidity_pct = (74.0 - 1.8 * (temperature_c - 22.0)
            + self.humidity.step(step_s, random))
        .clamp(15.0, 100.0);
        let wind_ms =
            (2.2 + 0.8 * moment.wave(15.0) + self.wind.step(step_s, random)).clamp(0.0, 25.0);
        self.direction_deg = (self.direction_deg
            + random.normal() * 1.5 * step_s.clamp(0.0, 60.0).sqrt())
        .rem_euclid(360.0);
        let air_kpa = (101.3 + self.pressure.step(step_s, random)).clamp(97.0, 104.0);
        vec![
            Observation::number("pm10_ugm3", pm10, 0),
            Observation::number("pm25_ugm3", pm25, 0),
            Observation::number("tsp_ugm3", tsp, 0),
            Observation::number("temperature_c", temperature_c, 1),
            Observation::number("humidity_pct", humidity_pct, 1),
            Observation::number("wind_speed_ms", wind_ms, 1),
            Observation::number("wind_direction_deg", self.direction_deg.floor(), 0),
            Observation::number("air_pressure_kpa", air_kpa, 2),
        ]
    }
}
