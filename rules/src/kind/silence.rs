//! `silence`: nothing was received from a device for too long.

use model::Severity;
use serde::{Deserialize, Serialize};

/// How long a device may be silent.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Patience {
    /// Times the cadence that the device declares; a device without one is not watched.
    Factor(f64),
    AfterS(u32),
}

/// What a `silence` rule watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub severity: Severity,
    pub patience: Patience,
}
