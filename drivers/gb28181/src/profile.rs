//! What devices of one model or maker share: `[profiles.NAME]` with `codec = "gb28181"`.

use schemars::JsonSchema;
use sdk::Secret;
use serde::Deserialize;

/// `[profiles.NAME]` with `codec = "gb28181"`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Always `gb28181`.
    pub codec: String,
    /// The password of these devices, where it is another than that of the driver.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Seconds between two heartbeats of these devices.
    #[serde(default)]
    pub heartbeat_s: Option<u32>,
    /// Heartbeats in a row that may be missed.
    #[serde(default)]
    pub heartbeats_missed_max: Option<u32>,
}
