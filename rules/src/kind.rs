//! The kinds of rules: a closed set, one file each.

pub mod silence;
pub mod threshold;

use serde::{Deserialize, Serialize};

/// What a rule watches for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    Threshold(threshold::Spec),
    Silence(silence::Spec),
}

impl Condition {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Threshold(_) => "threshold",
            Self::Silence(_) => "silence",
        }
    }
}
