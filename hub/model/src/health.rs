//! How a device is doing, as the whole hub speaks of it.

use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// Whether a device can be relied on: the worst that is known of it, in this order.
#[derive(
    Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum DeviceStatus {
    Online,
    /// It reports, but its values do not move.
    Frozen,
    /// It reports, but at times that cannot be.
    ClockWrong,
    /// It has not reported for longer than it may.
    Offline,
    /// It is registered and has never reported.
    #[default]
    NeverSeen,
}

impl DeviceStatus {
    pub const ALL: [Self; 5] = [
        Self::Online,
        Self::Offline,
        Self::Frozen,
        Self::ClockWrong,
        Self::NeverSeen,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Frozen => "frozen",
            Self::ClockWrong => "clock_wrong",
            Self::NeverSeen => "never_seen",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// Why a device is offline, as far as can be told from here.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SilenceCause {
    /// Its gateway goes on reporting, so that it is the device itself.
    Sensor,
    /// Its gateway is silent too.
    Gateway,
    /// It reports without a gateway: its link is down, or it is.
    Link,
}

impl SilenceCause {
    const ALL: [Self; 3] = [Self::Sensor, Self::Gateway, Self::Link];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::Gateway => "gateway",
            Self::Link => "link",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }
}

/// What is known of one device at one moment.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceHealth {
    pub status: DeviceStatus,
    /// The instant at which it came into this status.
    pub since: Timestamp,
    /// Told of a device that is offline.
    pub cause: Option<SilenceCause>,
}

#[cfg(test)]
mod tests {
    use super::DeviceStatus;

    #[test]
    fn every_status_has_a_word_of_its_own() {
        for status in DeviceStatus::ALL {
            assert_eq!(DeviceStatus::parse(status.name()), Some(status));
            assert_eq!(serde_json::json!(status), status.name());
        }
        assert_eq!(DeviceStatus::parse("Online"), None);
    }
}
