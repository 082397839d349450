//! Polls the GBFS feeds of bike operators: stations, vehicles that stand, and geofencing zones.
//!
//! Stations and zones are devices, and so is the operator itself; a vehicle is one only where the operator
//! keeps its id. Each feed is asked no sooner than it says.

mod feed;
#[cfg(any(test, feature = "testkit"))]
pub mod fuzzed;
mod poll;
mod sheet;
mod survey;
mod zones;

use hyper::header::HeaderValue;
use poll::Operator;
use rustls::ClientConfig;
use sdk::{Context, Driver, DriverError, Secret};
use sheet::Metrics;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The value of `kind` in the configuration.
const NAME: &str = "gbfs";

const PERIOD_MIN_S: u64 = 10;
const PERIOD_MAX_S: u64 = 3_600;
const BACKOFF_MAX_S: u64 = 900;
const TIMEOUT_S: u64 = 20;
/// 100,000 vehicles are some 25 MB.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// `[drivers.NAME]` with `kind = "gbfs"`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always `gbfs`.
    pub kind: String,
    /// Address of the operator's `gbfs.json`; redirects are not followed.
    pub url: String,
    /// The first part of `identities.gbfs`; the name of this driver unless said.
    #[serde(default)]
    pub system: Option<String>,
    /// Which of the feeds' languages is wanted for names.
    #[serde(default = "language")]
    pub language: String,
    /// Other hosts than that of `url` on which feeds may lie.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Sent as `Authorization: Bearer …`, where the operator asks for one.
    #[serde(default)]
    pub token: Option<Secret>,
    /// Certificates (PEM) of the authorities to trust instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Whether the operator promises not to change the ids of vehicles after rides.
    #[serde(default)]
    pub stable_vehicle_ids: bool,
    /// File to which the zones are written where vehicles may not be left, as GeoJSON, when they change.
    #[serde(default)]
    pub zones_file: Option<PathBuf>,
    /// Seconds at least between two polls of a feed, whatever its ttl.
    #[serde(default = "period_min_s")]
    pub period_min_s: u64,
    /// Seconds at most between two polls of a feed, whatever its ttl.
    #[serde(default = "period_max_s")]
    pub period_max_s: u64,
    /// Seconds at most between two polls of a feed that fails.
    #[serde(default = "backoff_max_s")]
    pub backoff_max_s: u64,
    /// Seconds that a feed may take.
    #[serde(default = "timeout_s")]
    pub timeout_s: u64,
    /// Bytes that a feed may have.
    #[serde(default = "body_bytes_max")]
    pub body_bytes_max: usize,
}

fn language() -> String {
    "zh".to_owned()
}

fn period_min_s() -> u64 {
    PERIOD_MIN_S
}

fn period_max_s() -> u64 {
    PERIOD_MAX_S
}

fn backoff_max_s() -> u64 {
    BACKOFF_MAX_S
}

fn timeout_s() -> u64 {
    TIMEOUT_S
}

fn body_bytes_max() -> usize {
    BODY_BYTES_MAX
}

/// The configuration, prepared.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) system: String,
    pub(crate) language: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) is_tls: bool,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) has_stable_ids: bool,
    pub(crate) zones_file: Option<PathBuf>,
    pub(crate) period_min: Duration,
    pub(crate) period_max: Duration,
    pub(crate) backoff_max: Duration,
    pub(crate) timeout: Duration,
    pub(crate) body_bytes_max: usize,
}

impl Config {
    fn settings(&self, name: &str) -> Result<Settings, String> {
        let target = dial::Target::parse(&self.url).map_err(|why| format!("url: {why}"))?;
        let positive = [self.period_min_s, self.backoff_max_s, self.timeout_s];
        if positive.contains(&0) || self.period_max_s < self.period_min_s {
            let text = "period_min_s, backoff_max_s and timeout_s must be above 0, and period_max_s \
                        no less than period_min_s";
            return Err(text.to_owned());
        }
        let authorization = self.token.as_ref().map(|token| {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()));
            let mut value = value.map_err(|_| "token: has characters that no header may have")?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        });
        let is_trust_needed = target.is_tls || self.ca_file.is_some();
        let tls = is_trust_needed.then(|| dial::trust(self.ca_file.as_deref()));
        let mut hosts = self.hosts.clone();
        hosts.push(target.host().to_owned());
        Ok(Settings {
            system: self.system.clone().unwrap_or_else(|| name.to_owned()),
            language: self.language.clone(),
            hosts,
            is_tls: target.is_tls,
            tls: tls.transpose().map_err(|why| format!("ca_file: {why}"))?,
            authorization: authorization.transpose()?,
            has_stable_ids: self.stable_vehicle_ids,
            zones_file: self.zones_file.clone(),
            period_min: Duration::from_secs(self.period_min_s),
            period_max: Duration::from_secs(self.period_max_s),
            backoff_max: Duration::from_secs(self.backoff_max_s),
            timeout: Duration::from_secs(self.timeout_s),
            body_bytes_max: self.body_bytes_max,
        })
    }
}

/// Who polls an operator.
#[derive(Debug)]
pub struct Gbfs {
    operator: Operator,
}

impl Driver for Gbfs {
    const NAME: &'static str = NAME;
    type Config = Config;

    /// An operator that cannot be reached is no mistake of the configuration.
    async fn open(config: Config, cx: Context) -> Result<Self, DriverError> {
        let metrics = Metrics::of(&cx.catalogue).map_err(DriverError::Failed)?;
        let settings = config.settings(&cx.name).map_err(DriverError::Config)?;
        let operator = Operator::new(&config, settings, (metrics, cx.unmetered()));
        Ok(Self {
            operator: operator.map_err(|why| DriverError::Config(format!("url: {why}")))?,
        })
    }

    fn metrics() -> String {
        include_str!("../data/metrics.csv").to_owned()
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        Vec::new()
    }

    async fn run(self) -> Result<(), DriverError> {
        self.operator.run().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
