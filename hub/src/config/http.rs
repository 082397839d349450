//! The port of people and platforms.

use schemars::JsonSchema;
use serde::Deserialize;
use std::net::SocketAddr;
use tls::TlsConfig;

/// The port of officers, engineers and platforms.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Loopback unless the configuration says otherwise; port 0 takes a free one.
    pub listen: SocketAddr,
    /// With it the port speaks HTTPS, and nothing else.
    pub tls: Option<TlsConfig>,
    /// Live streams (SSE) at once.
    pub streams_max: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: None,
            streams_max: 256,
        }
    }
}
