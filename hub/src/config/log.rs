//! What is written to stderr, and how.

use schemars::JsonSchema;
use serde::Deserialize;

/// What is written to stderr.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug`, or filters such as `info,driver_mqtt=debug`.
    pub level: String,
    /// `text` or `json`; one line an event in both.
    pub format: String,
    /// Lines that one place of the program writes within 10 s; more are counted, and the next one
    /// says how many. 0 writes them all.
    pub repeats_max: u32,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: "text".to_owned(),
            repeats_max: 200,
        }
    }
}
