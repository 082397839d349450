//! A condition that holds now, or did, and what people did about it (ISA-18.2 states).

use crate::{DeviceId, Timestamp};
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
}

/// One alarm as every API, event and file shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    pub version: u64,
}
