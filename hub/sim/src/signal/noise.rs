//! Noise at a building site: a working day, a night that should be quiet, and works in it.

use super::{Device, Drift, Episodes, Moment, Observation, Pace, Random, Shape};

const ORDINARY_GAP_S: f64 = 24.0 * 3600.0;
const DEMO_FIRST_S: f64 = 25.0;
/// Ordinary days stay under the day limit of GB 12523, 70 dB(A).
const CALM_MAX_DBA: f64 = 67.5;

/// A sound level meter.
#[derive(Debug)]
pub(crate) struct Noise {
    offset_dba: f64,
    drift: Drift,
    episodes: Episodes,
}

impl Noise {
    pub(super) fn new(device: &Device, demo: bool, random: &mut Random) -> Self {
        let pace = Pace::new(device, demo, ORDINARY_GAP_S, DEMO_FIRST_S, random);
        Self {
            offset_dba: random.between(-2.0, 2.0),
            drift: Drift::new(1.8, 90.0),
            episodes: Episodes::new(&[Shape::Works], pace, demo),
        }
    }

    pub(super) fn sample(&mut self, moment: Moment, random: &mut Random) -> Vec<Observation> {
        let hour = moment.hour();
        let traffic = 47.0 + 5.0 * moment.wave(14.0) + 3.0 * (moment.hump(8.0) + moment.hump(18.0));
        let working = (7.0..12.0).contains(&hour) || (14.0..18.0).contains(&hour);
        let site = if working { 9.0 } else { 0.0 };
        let drift = self.drift.step(moment.step_s, random);
        let calm = (traffic + site + self.offset_dba + drift).clamp(33.0, CALM_MAX_DBA);
        let works = self
            .episodes
            .at(moment.elapsed_s, random)
            .map_or(0.0, |phase| {
                (76.0 + 11.0 * phase.strength + drift.clamp(-2.0, 2.0)) * phase.plateau()
            });
        // Two sources add by energy, not by decibels.
        let laeq = 10.0 * (10f64.powf(calm / 10.0) + 10f64.powf(works / 10.0)).log10();
        let lamax = (laeq + 3.0 + random.exponential(3.0)).min(135.0);
        vec![
            Observation::number("laeq_dba", laeq, 1),
            Observation::number("lamax_dba", lamax, 1),
        ]
    }
}
