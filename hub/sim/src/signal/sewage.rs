//! A sewage outfall: flow by the hours of the town, and what is left in the water after treatment.
//!
//! Concentrations stay under class 1A of GB 18918-2002: COD 50, ammonia nitrogen 5, total phosphorus
//! 0.5 mg/L.

use super::{Drift, Moment, Observation, Random};

/// An outfall with a flow meter and analysers.
#[derive(Debug)]
pub(crate) struct Sewage {
    flow: Drift,
    cod: Drift,
    ammonia: Drift,
    phosphorus: Drift,
    ph: Drift,
}

impl Sewage {
    pub(super) fn new() -> Self {
        Self {
            flow: Drift::new(2.0, 600.0),
            cod: Drift::new(4.0, 3600.0),
            ammonia: Drift::new(0.4, 3600.0),
            phosphorus: Drift::new(0.04, 3600.0),
            ph: Drift::new(0.1, 7200.0),
        }
    }

    pub(super) fn sample(&mut self, moment: Moment, random: &mut Random) -> Vec<Observation> {
        let town = 24.0 + 9.0 * (moment.hump(8.0) + moment.hump(20.0));
        let mut around = |mean: f64, drift: &mut Drift, most: f64| {
            (mean + drift.step(moment.step_s, random)).clamp(0.0, most)
        };
        vec![
            Observation::number("flow_ls", around(town, &mut self.flow, 60.0), 1),
            Observation::number("ph", around(7.2, &mut self.ph, 9.0), 2),
            Observation::number("cod_mgl", around(26.0, &mut self.cod, 49.0), 1),
            Observation::number(
                "ammonia_nitrogen_mgl",
                around(1.6, &mut self.ammonia, 4.9),
                2,
            ),
            Observation::number(
                "total_phosphorus_mgl",
                around(0.2, &mut self.phosphorus, 0.49),
                3,
            ),
        ]
    }
}
