//! Takes fire alarms of user transmission devices (用户信息传输装置) by GB/T 26875.3-2011, over TCP and UDP.
//!
//! A frame is confirmed when what it says is on disk. A device is known by its source address, its
//! components by `address/system.address.component.address`.

mod frame;
#[cfg(any(test, feature = "testkit"))]
pub mod fuzzed;
mod panel;
mod profile;
mod readings;
mod recent;
mod register;
mod table;
mod talk;
mod time;
mod unit;

pub use profile::{AnalogKind, Prepared, Profile};

use readings::Rules;
use sdk::{Bound, ConnectionLimits, Context, Driver, DriverError, Listening};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use talk::Shared;

/// The value of `kind` in the configuration, and of `codec` in profiles.
pub const NAME: &str = "gb26875";

/// Devices that say something at all do so every half minute; others hang up by themselves.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// Four of the longest frames.
const RECEIVED_BYTES_MAX: usize =
    4 * (frame::HEAD_BYTES + frame::UNIT_BYTES_MAX + frame::TAIL_BYTES);

/// Devices write the time of Beijing.
const UTC_OFFSET_MIN: i16 = 480;

const TIME_PAST_MAX_D: u16 = 30;
const TIME_AHEAD_MAX_S: u32 = 600;

/// `[drivers.NAME]` with `kind = "gb26875"`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always `gb26875`.
    pub kind: String,
    /// TCP address to listen on, such as `127.0.0.1:9687`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether datagrams are taken as well, on the same address and port.
    #[serde(default = "yes")]
    pub udp: bool,
    /// UDP address to listen on, where it is another than that of TCP.
    #[serde(default)]
    pub listen_udp: Option<SocketAddr>,
    /// Minutes by which the devices' clocks are ahead of UTC.
    #[serde(default = "utc_offset_min")]
    pub utc_offset_min: i16,
    /// Days for which a past time of a device is believed.
    #[serde(default = "time_past_max_d")]
    pub time_past_max_d: u16,
    /// Seconds for which a future time of a device is believed.
    #[serde(default = "time_ahead_max_s")]
    pub time_ahead_max_s: u32,
}

fn yes() -> bool {
    true
}

fn utc_offset_min() -> i16 {
    UTC_OFFSET_MIN
}

fn time_past_max_d() -> u16 {
    TIME_PAST_MAX_D
}

fn time_ahead_max_s() -> u32 {
    TIME_AHEAD_MAX_S
}

/// The listener for transmission devices.
#[derive(Debug)]
pub struct Gb26875 {
    limits: ConnectionLimits,
    bound: Bound,
    shared: Arc<Shared>,
    cx: Context,
}

impl Driver for Gb26875 {
    const NAME: &'static str = NAME;
    type Config = Listening<Config>;

    async fn open(config: Self::Config, cx: Context) -> Result<Self, DriverError> {
        let Listening { own, limits } = config;
        let shared = shared(&own, &cx)?;
        let bound = sdk::bind_both(own.listen, own.udp, own.listen_udp).await?;
        Ok(Self {
            limits,
            bound,
            shared,
            cx,
        })
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.bound.addresses.clone()
    }

    async fn run(self) -> Result<(), DriverError> {
        let conversation = self.limits.conversation(IDLE_TIMEOUT, RECEIVED_BYTES_MAX);
        let limits = (self.limits.places(), conversation);
        let connections = sdk::serve(self.bound.listener, limits, &self.cx, |line| {
            talk::Conversation::new(Arc::clone(&self.shared), Some(line))
        });
        let datagrams = async {
            if let Some(socket) = self.bound.socket {
                let make = |_| talk::Conversation::new(Arc::clone(&self.shared), None);
                sdk::datagrams(Arc::new(socket), self.cx.clone(), make).await;
            }
        };
        tokio::join!(connections, datagrams);
        Ok(())
    }
}

/// Reads tables and profiles, so that a mistake in them shows at the start.
fn shared(config: &Config, cx: &Context) -> Result<Arc<Shared>, DriverError> {
    let profiles = cx.profiles.of::<Prepared>(NAME)?;
    let profiles = profiles.into_iter().map(|(name, profile)| {
        let Prepared(profile) = (*profile).clone();
        (name, Arc::new(profile))
    });
    let rules = Rules {
        tables: table::Tables::read(&cx.catalogue).map_err(DriverError::Failed)?,
        catalogue: Arc::clone(&cx.catalogue),
        window: time::Window {
            utc_offset_s: i64::from(config.utc_offset_min) * 60,
            past_max_s: i64::from(config.time_past_max_d) * 86_400,
            ahead_max_s: i64::from(config.time_ahead_max_s),
        },
        profiles: profiles.collect::<HashMap<_, _>>(),
        standard: Arc::default(),
        tail: cx.tail.clone(),
    };
    Ok(Shared::new(rules, cx.devices.clone()))
}

#[cfg(test)]
mod tests;
