//! Gas pressure: a curve of demand with its three meals, and what goes wrong with pipes.

use super::{
    Battery, Cast, Device, Drift, Episodes, GasClass, Moment, Observation, Pace, Random, Shape,
    Weather,
};

const ORDINARY_GAP_S: f64 = 48.0 * 3600.0;
/// A burst pipe loses its pressure with this time constant.
const RUPTURE_S: f64 = 8.0;

/// A pressure point of the network.
#[derive(Debug)]
pub(crate) struct Gas {
    class: GasClass,
    set_kpa: f64,
    noise: Drift,
    weather: Weather,
    battery: Battery,
    episodes: Episodes,
}

impl Gas {
    pub(super) fn new(device: &Device, cast: Option<&Cast>, random: &mut Random) -> Self {
        // GB 50028-2006 bands: low below 10 kPa, medium A 200 to 400 kPa, high B 1600 to 2500 kPa.
        let set_kpa = match device.gas_class {
            GasClass::Low => random.between(2.3, 2.5),
            GasClass::Medium => random.between(295.0, 315.0),
            GasClass::High => random.between(2000.0, 2200.0),
        };
        let pace = Pace::new(ORDINARY_GAP_S, random);
        let shapes = &[Shape::Overpressure, Shape::Leak, Shape::Rupture];
        Self {
            class: device.gas_class,
            set_kpa,
            noise: Drift::new(0.006, 120.0),
            weather: Weather::new(random),
            battery: Battery::new(device, cast, random),
            episodes: Episodes::new(shapes, pace, cast),
        }
    }

    pub(super) fn sample(&mut self, moment: Moment, random: &mut Random) -> Vec<Observation> {
        // Cooking draws the pressure down by up to 5 %.
        let demand = moment.hump(7.0) * 0.7 + moment.hump(11.7) * 0.8 + moment.hump(18.3);
        let calm = self.set_kpa * (1.0 - 0.05 * demand + self.noise.step(moment.step_s, random));
        let factor = self
            .episodes
            .at(moment.elapsed_s, random)
            .map_or(1.0, |phase| match phase.shape {
                Shape::Overpressure => 1.0 + (0.52 + 0.14 * phase.strength) * phase.plateau(),
                Shape::Leak => 1.0 - (0.62 + 0.1 * phase.strength) * phase.fraction,
                _ => (-phase.since_s / RUPTURE_S).exp().max(0.12),
            });
        let decimals = if self.class == GasClass::Low { 3 } else { 1 };
        let temperature_c = self.weather.temperature_c(moment, random) - 4.0;
        vec![
            Observation::number("pressure_kpa", (calm * factor).max(0.0), decimals),
            Observation::number("temperature_c", temperature_c, 1),
            self.battery.observe(moment.step_s),
        ]
    }
}
