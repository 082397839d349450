//! The count of every value that came in: received = stored + duplicate + rejected, exactly.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Why a value was not stored; a fixed word of the public ledger, such as `unknown_metric`.
pub type Reason = Cow<'static, str>;

/// Counts of values (one metric of one message); an undecodable message counts as one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub received: u64,
    pub stored: u64,
    pub duplicate: u64,
    /// Stored, but more than `lateness_s` after their own time.
    pub late: u64,
    pub rejected: BTreeMap<Reason, u64>,
}

impl Counts {
    /// Adds another count to this one.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.stored += other.stored;
        self.duplicate += other.duplicate;
        self.late += other.late;
        for (reason, count) in &other.rejected {
            *self.rejected.entry(reason.clone()).or_default() += count;
        }
    }

    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Tells whether received = stored + duplicate + rejected.
    pub fn balances(&self) -> bool {
        self.received == self.stored + self.duplicate + self.rejected_total()
    }
}

/// A value that could not be taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// A fixed word, such as `unknown_metric`: the key of the ledger.
    pub reason: Reason,
    /// What was wrong, where, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
