//! `[limits]`: how much a device, an address and a caller of the API may ask of the hub.

use super::{ConfigError, Loaded};
use schemars::JsonSchema;
use sdk::Quota;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// What no machine of this kind does anyway.
const RATE_MAX: u32 = 1_000_000;

/// Values in hand at once, at most.
const BURST_MAX: u32 = 100_000_000;

/// How much a device, an address and a caller of the API may ask of the hub. Why the figures are
/// what they are is in `docs/adr/0028-limits.md`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Values a second that one device may send in the long run; 0 sets no limit. What comes faster
    /// is slowed, and refused as `rate_limited` only where it cannot wait.
    pub device_values_per_s: u32,
    /// Values that one device may send at once after a silence: what it kept during an outage.
    pub device_burst: u32,
    /// Devices with limits of their own, by id.
    pub devices: BTreeMap<String, DeviceLimits>,
}

/// What one device may send.
#[derive(Copy, Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceLimits {
    /// Values a second; 0 sets no limit.
    pub values_per_s: u32,
    /// Values at once; that of all devices unless set.
    #[serde(default)]
    pub burst: Option<u32>,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            device_values_per_s: 1_000,
            device_burst: 100_000,
            devices: BTreeMap::new(),
        }
    }
}

impl LimitsConfig {
    /// Gives what a device may send that is not named.
    pub(crate) fn device(&self) -> Option<Quota> {
        Quota::new(self.device_values_per_s, self.device_burst)
    }

    /// Gives what the devices may send that are named.
    pub(crate) fn own(&self) -> HashMap<String, Option<Quota>> {
        let quota = |own: &DeviceLimits| {
            Quota::new(own.values_per_s, own.burst.unwrap_or(self.device_burst))
        };
        let devices = self.devices.iter();
        devices.map(|(id, own)| (id.clone(), quota(own))).collect()
    }
}

impl Loaded {
    pub(super) fn check_limits(&self) -> Result<(), ConfigError> {
        let limits = &self.config.limits;
        let mut asked = vec![
            (
                "device_values_per_s".to_owned(),
                limits.device_values_per_s,
                RATE_MAX,
            ),
            ("device_burst".to_owned(), limits.device_burst, BURST_MAX),
        ];
        for (id, own) in &limits.devices {
            asked.push((
                format!("devices.{id}.values_per_s"),
                own.values_per_s,
                RATE_MAX,
            ));
            let burst = own.burst.unwrap_or_default();
            asked.push((format!("devices.{id}.burst"), burst, BURST_MAX));
        }
        for (key, value, most) in asked {
            if value > most {
                let reason = format!("must be 0 to {most}, not {value}");
                return Err(self.error(&format!("limits.{key}"), reason));
            }
        }
        Ok(())
    }
}
