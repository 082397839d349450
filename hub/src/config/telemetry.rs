//! Where traces and figures are sent, for those who collect them.

use super::Secret;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is sent to collectors of telemetry about the hub itself; nothing unless said.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    pub otlp: Option<OtlpConfig>,
}

impl TelemetryConfig {
    pub(super) fn ca_file(&mut self) -> Option<&mut PathBuf> {
        self.otlp.as_mut()?.ca_file.as_mut()
    }
}

/// A collector that takes OTLP over HTTP: the OpenTelemetry Collector, Tempo, Jaeger, Prometheus.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// `http://…` or `https://…`, without `/v1/traces`, which is put behind it.
    pub endpoint: String,
    /// Sent with every request, such as `authorization`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: BTreeMap<String, Secret>,
    /// Certificates (PEM) of the authorities to trust there instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The share of messages whose way is recorded, 0 to 1; one that came with a `traceparent` is
    /// recorded or not as that says.
    #[serde(default = "one_in_a_hundred")]
    pub trace_ratio: f64,
    /// Seconds from one sending of the figures to the next; 0 sends none.
    #[serde(default = "minute")]
    pub metrics_every_s: u32,
    /// The name under which the hub is shown.
    #[serde(default = "cityhub")]
    pub service_name: String,
}

fn one_in_a_hundred() -> f64 {
    0.01
}

fn minute() -> u32 {
    60
}

fn cityhub() -> String {
    "cityhub".to_owned()
}
