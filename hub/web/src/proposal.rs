//! A change of a rule that waits for a second person, or that none brought into force.

use model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A version of a rule that is not in force. Kept as JSON: add keys with a default, never change one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    pub id: String,
    /// The number of the version, also when it never comes into force.
    pub revision: u64,
    pub at: Timestamp,
    pub by: String,
    pub reason: Option<String>,
    /// The version that it repeats.
    pub rolled_back_to: Option<u64>,
    /// The rule as it would be; without one it would be deleted.
    pub rule: Option<Value>,
    /// It waits until it has an end.
    pub end: Option<End>,
}

/// How a proposal ended that did not come into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub state: EndState,
    pub at: Timestamp,
    pub by: String,
    pub reason: Option<String>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndState {
    Rejected,
    /// The rule was to be as it was after all.
    Withdrawn,
}

impl Proposal {
    pub fn waits(&self) -> bool {
        self.end.is_none()
    }
}
