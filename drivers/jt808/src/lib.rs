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
use sdk::{Context, Conversation, Driver, DriverError, Limits};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use talk::Shared;
use tokio::net::TcpListener;

/// Connections at once, as for every driver.
const CONNECTIONS_MAX: usize = 4_096;

/// Devices behind one address: a carrier's network hides many.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 1_024;

/// Terminals send a heartbeat every minute or so, by what they were set to.
const IDLE_TIMEOUT_S: u64 = 600;
const FRAME_TIMEOUT_S: u64 = 30;
const NOISE_BYTES_MAX: usize = 64 * 1024;

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
    /// TCP connections that are served at once.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// TCP connections from one address that are served at once.
    #[serde(default = "connections_per_address_max")]
    pub connections_per_address_max: usize,
    /// Seconds without a byte after which a connection is closed.
    #[serde(default = "idle_timeout_s")]
    pub idle_timeout_s: u64,
    /// Seconds after which a frame that was begun is given up.
    #[serde(default = "frame_timeout_s")]
    pub frame_timeout_s: u64,
    /// Bytes without a good frame between them after which a connection is closed.
    #[serde(default = "noise_bytes_max")]
    pub noise_bytes_max: usize,
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

fn connections_max() -> usize {
    CONNECTIONS_MAX
}

fn connections_per_address_max() -> usize {
    CONNECTIONS_PER_ADDRESS_MAX
}

fn idle_timeout_s() -> u64 {
    IDLE_TIMEOUT_S
}

fn frame_timeout_s() -> u64 {
    FRAME_TIMEOUT_S
}

fn noise_bytes_max() -> usize {
    NOISE_BYTES_MAX
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
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    cx: Context,
}

impl Driver for Jt808 {
    const NAME: &'static str = "jt808";
    type Config = Config;

    async fn open(config: Config, cx: Context) -> Result<Self, DriverError> {
        let limits = [config.connections_max, config.connections_per_address_max];
        if limits.contains(&0) || config.idle_timeout_s == 0 || config.frame_timeout_s == 0 {
            let text = "connections_max, connections_per_address_max, idle_timeout_s and \
                        frame_timeout_s must be above 0";
            return Err(DriverError::Config(text.to_owned()));
        }
        let shared = shared(&config, &cx)?;
        let (listener, address) = sdk::bind("listen", config.listen).await?;
        Ok(Self {
            config,
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
        let limits = Limits {
            connections_max: self.config.connections_max,
            connections_per_address_max: self.config.connections_per_address_max,
        };
        let conversation = conversation(&self.config);
        sdk::accept(self.listener, limits, &self.cx, |stream, peer| {
            let (shared, cx) = (Arc::clone(&self.shared), self.cx.clone());
            async move { serve(stream, peer.to_string(), shared, conversation, cx).await }
        })
        .await;
        Ok(())
    }
}

async fn serve<S>(
    stream: S,
    peer: String,
    shared: Arc<Shared>,
    conversation: Conversation,
    cx: Context,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
{
    let (line, orders) = cx.downlink.line();
    let talk = talk::Conversation::new(shared, Some(line));
    sdk::converse(stream, peer, (talk, orders), conversation, cx).await;
}

fn conversation(config: &Config) -> Conversation {
    Conversation {
        idle_timeout: Duration::from_secs(config.idle_timeout_s),
        frame_timeout: Duration::from_secs(config.frame_timeout_s),
        received_bytes_max: 4 * frame::CONTENT_BYTES_MAX,
        noise_bytes_max: config.noise_bytes_max,
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
