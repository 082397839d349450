//! Takes positions and alarms of construction trucks (渣土车) by JT/T 808-2013 and -2019, over TCP.
//!
//! A terminal is known by its telephone number. What it sends is answered when it is on disk.

mod body;
mod frame;
#[cfg(any(test, feature = "testkit"))]
pub mod fuzzed;
mod parts;
mod readings;
mod talk;

use readings::{Rules, Window};
use sdk::{ConnectionLimits, Context, Driver, DriverError, Listening};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use talk::Shared;
use tokio::net::TcpListener;

/// Terminals send a heartbeat every minute or so, by what they were set to.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// Four of the longest frames.
const RECEIVED_BYTES_MAX: usize = 4 * frame::CONTENT_BYTES_MAX;

const TIME_PAST_MAX_D: u16 = 30;
const TIME_AHEAD_MAX_S: u32 = 600;

/// What lets a terminal in.
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// Its telephone number in `identities.jt808`; whatever code it shows is taken.
    Phone,
    /// The code that registration gave it, or the device's secret, before anything else.
    Code,
}

/// `[drivers.NAME]` with `kind = "jt808"`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always `jt808`.
    pub kind: String,
    /// TCP address to listen on, such as `127.0.0.1:9808`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What lets a terminal in: `phone`, its number alone, or `code`, the authentication code too.
    #[serde(default = "authentication")]
    pub authentication: Authentication,
    /// Days for which a past time of a terminal is believed, but for what makes up for a gap.
    #[serde(default = "time_past_max_d")]
    pub time_past_max_d: u16,
    /// Seconds for which a future time of a terminal is believed.
    #[serde(default = "time_ahead_max_s")]
    pub time_ahead_max_s: u32,
}

fn authentication() -> Authentication {
    Authentication::Phone
}

fn time_past_max_d() -> u16 {
    TIME_PAST_MAX_D
}

fn time_ahead_max_s() -> u32 {
    TIME_AHEAD_MAX_S
}

/// The listener for terminals of trucks.
#[derive(Debug)]
pub struct Jt808 {
    limits: ConnectionLimits,
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    cx: Context,
}

impl Driver for Jt808 {
    const NAME: &'static str = "jt808";
    type Config = Listening<Config>;

    async fn open(config: Self::Config, cx: Context) -> Result<Self, DriverError> {
        let Listening { own, limits } = config;
        let shared = shared(&own, &cx)?;
        let (listener, address) = sdk::bind("listen", own.listen).await?;
        Ok(Self {
            limits,
            listener,
            address,
            shared,
            cx,
        })
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        vec![("listen", self.address)]
    }

    async fn run(self) -> Result<(), DriverError> {
        let conversation = self.limits.conversation(IDLE_TIMEOUT, RECEIVED_BYTES_MAX);
        let limits = (self.limits.places(), conversation);
        sdk::serve(self.listener, limits, &self.cx, |line| {
            talk::Conversation::new(Arc::clone(&self.shared), Some(line))
        })
        .await;
        Ok(())
    }
}

/// Reads the tables, so that a mistake in them shows at the start.
fn shared(config: &Config, cx: &Context) -> Result<Arc<Shared>, DriverError> {
    let window = Window {
        past_max_s: i64::from(config.time_past_max_d) * 86_400,
        ahead_max_s: i64::from(config.time_ahead_max_s),
    };
    let rules = Rules::read(Arc::clone(&cx.catalogue), window).map_err(DriverError::Failed)?;
    Ok(Arc::new(Shared {
        rules,
        devices: cx.devices.clone(),
        code_is_needed: config.authentication == Authentication::Code,
    }))
}

#[cfg(test)]
mod tests;
