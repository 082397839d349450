//! A condition that holds now, or did, and what people did about it (ISA-18.2 states).

use crate::{DeviceId, SilenceCause, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How bad it is: 蓝 Ⅳ, 黄 Ⅲ, 橙 Ⅱ, 红 Ⅰ.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Warning,
    Minor,
    Major,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 4] = [Self::Warning, Self::Minor, Self::Major, Self::Critical];

    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.name() == name)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The states of ISA-18.2 / IEC 62682 that an officer can see.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmState {
    ActiveUnacked,
    ActiveAcked,
    ClearedUnacked,
    LatchedUnacked,
    LatchedAcked,
    Normal,
    Shelved,
    Suppressed,
    OutOfService,
}

impl AlarmState {
    pub const ALL: [Self; 9] = [
        Self::ActiveUnacked,
        Self::ActiveAcked,
        Self::ClearedUnacked,
        Self::LatchedUnacked,
        Self::LatchedAcked,
        Self::Normal,
        Self::Shelved,
        Self::Suppressed,
        Self::OutOfService,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::ActiveUnacked => "active_unacked",
            Self::ActiveAcked => "active_acked",
            Self::ClearedUnacked => "cleared_unacked",
            Self::LatchedUnacked => "latched_unacked",
            Self::LatchedAcked => "latched_acked",
            Self::Normal => "normal",
            Self::Shelved => "shelved",
            Self::Suppressed => "suppressed",
            Self::OutOfService => "out_of_service",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Tells whether it asks people for something: neither over nor set aside.
    pub fn asks(self) -> bool {
        self.group() < 4
    }

    /// Gives the place of the state in a list by urgency: who is unanswered comes first, then what
    /// is gone but unanswered, what waits for a reset, what is in hand, and what is set aside.
    pub fn group(self) -> u8 {
        match self {
            Self::ActiveUnacked => 0,
            Self::ClearedUnacked => 1,
            Self::LatchedUnacked | Self::LatchedAcked => 2,
            Self::ActiveAcked => 3,
            Self::Shelved => 4,
            Self::Suppressed => 5,
            Self::OutOfService => 6,
            Self::Normal => 7,
        }
    }
}

/// What kind of cause explains an alarm that is suppressed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// The gateway that the device writes through is silent, too.
    Gateway,
    /// An alarm of several devices or conditions contains this one.
    Composite,
    /// The same alarm came and went again and again.
    Chatter,
}

/// One alarm as every API, event and file shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of the public JSON"
)]
pub struct AlarmRow {
    pub id: String,
    pub rule: String,
    pub rule_revision: u64,
    pub title: String,
    pub device: DeviceId,
    pub kind: String,
    pub site: Option<String>,
    /// Unit grid code (单元网格) of the device's place.
    pub grid: Option<String>,
    pub severity: Severity,
    pub state: AlarmState,
    pub active: bool,
    pub acked: bool,
    pub raised_at: Timestamp,
    pub cleared_at: Option<Timestamp>,
    pub metric: Option<String>,
    /// The value that raised the alarm, then the latest one.
    pub value: Option<f64>,
    pub limit: Option<f64>,
    pub unit: Option<String>,
    /// The value farthest beyond the limit.
    pub peak: Option<f64>,
    /// How many readings were beyond the limit.
    pub count: u64,
    pub owner: Option<String>,
    pub shelved_until: Option<Timestamp>,
    pub suppressed_by: Option<String>,
    pub case: Option<String>,
    /// Why it changed other than by its own readings: `amended`, `withdrawn`, `rule changed`…
    pub note: Option<String>,
    /// Event category code (事件类别) of the city's table.
    pub category: Option<String>,
    /// The rule was on trial when it was raised: shown, but announced to nobody.
    #[serde(default)]
    pub shadow: bool,
    /// The kind of the rule, such as `silence`.
    #[serde(default)]
    pub rule_kind: Option<String>,
    /// Stays when the condition is gone, until somebody resets it.
    #[serde(default)]
    pub latching: bool,
    /// The gateway that the device writes through.
    #[serde(default)]
    pub parent: Option<DeviceId>,
    /// How far an alarm of several devices reaches: `device`, `site` or `grid`.
    #[serde(default)]
    pub scope: Option<String>,
    /// When people were first told of it; none while it was suppressed or set aside from the start.
    #[serde(default)]
    pub announced_at: Option<Timestamp>,
    /// Why `suppressed_by` explains this alarm.
    #[serde(default)]
    pub suppression: Option<Suppression>,
    /// When a suppressed alarm comes back by itself; none while its cause is active.
    #[serde(default)]
    pub returns_at: Option<Timestamp>,
    #[serde(default)]
    pub shelved_by: Option<String>,
    #[serde(default)]
    pub shelve_reason: Option<String>,
    /// What was shelved; anything worse breaks the shelf.
    #[serde(default)]
    pub shelved_severity: Option<Severity>,
    /// What people found: `false_alarm`.
    #[serde(default)]
    pub verdict: Option<String>,
    /// Whose silence it is, as far as can be told from here; of `silence` rules only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<SilenceCause>,
    /// The first of a run that came and went three times in a minute.
    #[serde(default)]
    pub chattering: bool,
    /// Active for more than a day.
    #[serde(default)]
    pub stale: bool,
    pub version: u64,
}
