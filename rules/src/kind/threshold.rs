//! `threshold`: the value is beyond a limit for long enough.

use model::Severity;
use serde::{Deserialize, Serialize};

/// One limit (or a limit on either side) with the severity that it means.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    pub severity: Severity,
    pub above: Option<f64>,
    pub below: Option<f64>,
}

/// What a `threshold` rule watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub metric: String,
    /// From the mildest to the worst; never empty.
    pub levels: Vec<Level>,
    pub deadband: f64,
    pub on_delay_s: u32,
    pub off_delay_s: u32,
}
