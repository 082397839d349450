//! What the engine answers: one change of one alarm, and the checksum by which replays compare.

use model::{DeviceKey, MetricKey, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The figures of an alarm at one instant.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub severity: Severity,
    /// The latest value; for `silence` the seconds without a reading.
    pub value: Option<f64>,
    /// The limit of the present severity; for `silence` the seconds allowed.
    pub limit: Option<f64>,
    /// The value farthest beyond the limit.
    pub peak: Option<f64>,
    /// How many readings were beyond the limit, those during the on-delay included.
    pub count: u64,
}

/// One whole alarm, as far as it is known.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub raised_at: Timestamp,
    pub cleared_at: Option<Timestamp>,
    pub figures: Figures,
}

/// Why an alarm ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClearReason {
    /// By its own readings.
    Normal,
    RuleChanged,
    RuleRemoved,
    DeviceChanged,
    DeviceRemoved,
}

impl ClearReason {
    /// Gives the text of the alarm row's note; an alarm that ended by itself has none.
    pub fn note(self) -> Option<&'static str> {
        match self {
            Self::Normal => None,
            Self::RuleChanged => Some("rule changed"),
            Self::RuleRemoved => Some("rule removed"),
            Self::DeviceChanged => Some("device changed"),
            Self::DeviceRemoved => Some("device removed"),
        }
    }
}

/// What happened to the alarm.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum What {
    Raised(Figures),
    Escalated(Figures),
    Deescalated(Figures),
    /// The figures of an active alarm moved: no event.
    Updated(Figures),
    Cleared {
        reason: ClearReason,
        figures: Figures,
    },
    /// Readings that came out of order moved the alarm; this is how it stands now.
    Amended(Outcome),
    /// Readings that came out of order show that it never was.
    Withdrawn,
    /// Late readings show an alarm of the past; it never sounds.
    Recorded(Outcome),
}

/// One change of one alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The engine's running number; [`alarm_id`] gives its text.
    pub alarm: u64,
    pub rule: Arc<str>,
    pub rule_revision: u64,
    pub device: DeviceKey,
    pub metric: Option<MetricKey>,
    /// The rule is on trial: show it, but announce nothing.
    pub shadow: bool,
    /// The instant of the reading or deadline; for `Amended`, `Withdrawn` and `Recorded` the
    /// instant at which it was learnt.
    pub at: Timestamp,
    pub what: What,
}

/// Gives the public id of an alarm.
pub fn alarm_id(number: u64) -> String {
    format!("a{number}")
}

/// Sums up the changes of one commit, so that a replay can be compared with what was recorded.
///
/// `Updated` does not count; no changes give 0.
pub fn change_crc(_changes: &[Change]) -> u32 {
    todo!()
}
