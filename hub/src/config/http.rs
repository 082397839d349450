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
    /// Proxies before the hub, as addresses and networks with commas between them: what they say in
    /// `X-Forwarded-For` is believed, or all people would have the address of the proxy.
    pub trusted_proxies: String,
    /// The names of this hub, with commas between them: requests for others are answered 421. Empty
    /// answers to any; those on the machine itself may always ask.
    pub hosts: String,
}

impl HttpConfig {
    /// Gives the names of this hub.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let names = self.hosts.split(',').map(str::trim);
        names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: None,
            streams_max: 256,
            trusted_proxies: String::new(),
            hosts: String::new(),
        }
    }
}
