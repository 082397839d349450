//! What lanes are fed with: one reading, or one alarm of another rule, with what orders it.

use super::composite;
use model::Position;
use serde::{Deserialize, Serialize};

/// A reported place, as lanes keep it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fix {
    pub(crate) lon_e7: i32,
    pub(crate) lat_e7: i32,
    /// 0 if the receiver does not say.
    pub(crate) accuracy_dm: u16,
    pub(crate) locked: Option<bool>,
}

/// What one input says.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Sample {
    Number(f64),
    Place(Fix),
    News(composite::News),
}

/// One reading as a lane takes it.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Input {
    /// The effective time: that of the reading, unless the device's clock cannot be believed.
    pub(crate) at_ms: i64,
    /// Decides between two inputs of one effective time.
    pub(crate) observed_ms: i64,
    pub(crate) sample: Sample,
    /// How many inputs of its series came before it.
    pub(crate) number: u32,
    pub(crate) is_uncertain: bool,
}

impl Input {
    /// Tells what orders inputs, whatever the order of their arrival.
    pub(crate) fn key(&self) -> (i64, i64) {
        (self.at_ms, self.observed_ms)
    }
}

impl Fix {
    /// Takes a place on the globe; any other is none.
    pub(crate) fn new(position: &Position) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "degrees on the globe times 10^7 fit i32, and the accuracy is clamped"
        )]
        position.is_plausible().then(|| Self {
            lon_e7: (position.lon * 1e7).round() as i32,
            lat_e7: (position.lat * 1e7).round() as i32,
            accuracy_dm: position
                .accuracy_m
                .map_or(0, |m| (m * 10.0).round().min(f64::from(u16::MAX)) as u16),
            locked: position.locked,
        })
    }
}
