//! `[limits]`: how much a device, an address and a caller of the API may ask of the hub.

use super::{ConfigError, Loaded};
use schemars::JsonSchema;
use sdk::{AddressLimits, Addresses, Network, Pace, Quota};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// The machine itself.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1"];

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
    /// New connections a second that one address may make, over all listeners; those that come faster
    /// wait up to 10 s, and are closed beyond that. 0 sets no limit.
    pub new_connections_per_s: u32,
    /// New connections of one address at once after a silence.
    pub new_connections_burst: u32,
    /// Requests to the API a second of one address, and of one user or token; 0 sets no limit.
    pub requests_per_s: u32,
    /// Requests at once after a silence.
    pub requests_burst: u32,
    /// Addresses and networks with limits of their own, such as `[limits.addresses."10.0.0.0/8"]`; the
    /// narrowest counts. The machine itself (`127.0.0.0/8`, `::1`) has none unless it is named here.
    pub addresses: BTreeMap<String, AddressConfig>,
}

/// What one address may do; 0 sets no limit, and what is not named is as for all addresses.
#[derive(Copy, Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AddressConfig {
    /// Connections to one listener at once, instead of the listener's own number for an address.
    pub connections: Option<usize>,
    pub new_connections_per_s: Option<u32>,
    pub requests_per_s: Option<u32>,
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
            new_connections_per_s: 100,
            new_connections_burst: 2_000,
            requests_per_s: 200,
            requests_burst: 2_000,
            addresses: BTreeMap::new(),
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

impl LimitsConfig {
    /// Gives what addresses may ask of the hub.
    pub(crate) fn addresses(&self) -> Result<Addresses, (String, String)> {
        let general = AddressLimits {
            connections: None,
            arrivals: Pace::new(self.new_connections_per_s, self.new_connections_burst),
            requests: Pace::new(self.requests_per_s, self.requests_burst),
        };
        let mut own = Vec::new();
        for (text, address) in &self.addresses {
            let network: Network = text
                .parse()
                .map_err(|reason| (format!("addresses.{text}"), reason))?;
            let arrivals = address
                .new_connections_per_s
                .unwrap_or(self.new_connections_per_s);
            let requests = address.requests_per_s.unwrap_or(self.requests_per_s);
            let limits = AddressLimits {
                connections: address.connections.map(|most| match most {
                    0 => usize::MAX,
                    most => most,
                }),
                arrivals: Pace::new(arrivals, self.new_connections_burst),
                requests: Pace::new(requests, self.requests_burst),
            };
            own.push((network, limits));
        }
        // Behind those that are named, which are found first.
        let free = AddressLimits {
            connections: Some(usize::MAX),
            ..AddressLimits::default()
        };
        own.extend(
            LOOPBACK
                .iter()
                .filter_map(|text| Some((text.parse().ok()?, free))),
        );
        Ok(Addresses::new(general, own))
    }
}

impl Loaded {
    /// Gives what addresses may ask of the hub.
    pub(crate) fn addresses(&self) -> Result<Addresses, ConfigError> {
        let addresses = self.config.limits.addresses();
        addresses.map_err(|(key, reason)| self.error(&format!("limits.{key}"), reason))
    }

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
        let rates = [
            ("new_connections_per_s", limits.new_connections_per_s),
            ("new_connections_burst", limits.new_connections_burst),
            ("requests_per_s", limits.requests_per_s),
            ("requests_burst", limits.requests_burst),
        ];
        asked.extend(rates.map(|(key, rate)| (key.to_owned(), rate, RATE_MAX)));
        for (key, value, most) in asked {
            if value > most {
                let reason = format!("must be 0 to {most}, not {value}");
                return Err(self.error(&format!("limits.{key}"), reason));
            }
        }
        self.addresses()?;
        Network::list(&self.config.http.trusted_proxies)
            .map_err(|reason| self.error("http.trusted_proxies", reason))?;
        Ok(())
    }
}
