//! Noise at a building site: a working day, a night that should be quiet, and works in it.

use super::{Cast, Device, Drift, Episodes, Moment, Observation, Pace, Random, Shape};

const ORDINARY_GAP_S: f64 = 24.0 * 3600.0;
/// Ordinary days stay under the limits of GB 12523 at building sites, by day and by night.
const DAY_LIMIT_DBA: f64 = 70.0;
const NIGHT_LIMIT_DBA: f64 = 55.0;
/// The loudest moment of an interval is so far above its mean at most.
const PEAK_DBA: f64 = 8.0;

/// A sound level meter.
#[derive(Debug)]
pub(crate) struct Noise {
    offset_dba: f64,
    building_site: bool,
    drift: Drift,
    episodes: Episodes,
}

impl Noise {
    pub(super) fn new(device: &Device, cast: Option<&Cast>, random: &mut Random) -> Self {
        let pace = Pace::new(ORDINARY_GAP_S, random);
        // Zones of GB 3096; without one it is a building site.
        let (building_site, zone_dba) = match device.tags.get("zone").map(String::as_str) {
            Some("0" | "1") => (false, -6.0),
            Some("4a" | "4b") => (false, 5.0),
            Some("2" | "3") => (false, -2.0),
            _ => (true, 0.0),
        };
        Self {
            offset_dba: zone_dba + random.between(-2.0, 2.0),
            building_site,
            drift: Drift::new(1.8, 90.0),
            episodes: Episodes::new(&[Shape::Works], pace, cast),
        }
    }

    pub(super) fn sample(&mut self, moment: Moment, random: &mut Random) -> Vec<Observation> {
        let hour = moment.hour();
        let traffic = 47.0 + 5.0 * moment.wave(14.0) + 3.0 * (moment.hump(8.0) + moment.hump(18.0));
        let working = (7.0..12.0).contains(&hour) || (14.0..18.0).contains(&hour);
        let site = if working && self.building_site {
            9.0
        } else {
            0.0
        };
        let limit = if (6.0..22.0).contains(&hour) {
            DAY_LIMIT_DBA
        } else {
            NIGHT_LIMIT_DBA
        };
        let drift = self.drift.step(moment.step_s, random);
        let calm = (traffic + site + self.offset_dba + drift).clamp(33.0, limit - 2.5);
        let works = self
            .episodes
            .at(moment.elapsed_s, random)
            .map_or(0.0, |phase| {
                (limit + 4.0 + 9.0 * phase.strength + drift.clamp(-1.0, 1.0)) * phase.plateau()
            });
        // Two sources add by energy, not by decibels.
        let laeq = 10.0 * (10f64.powf(calm / 10.0) + 10f64.powf(works / 10.0)).log10();
        let lamax = laeq + (3.0 + random.exponential(3.0)).min(PEAK_DBA);
        vec![
            Observation::number("laeq_dba", laeq, 1),
            Observation::number("lamax_dba", lamax, 1),
        ]
    }
}
