//! Takes positions and events of shared bikes from Omni locks (`*CMDR`, `*SCOR`, `*HBCR`), over TCP.
//!
//! A lock is known by its IMEI. What it waits for is acknowledged when it is on disk.

mod frame;
#[cfg(any(test, feature = "testkit"))]
pub mod fuzzed;
mod readings;
mod talk;

use readings::Window;
use sdk::{Context, Conversation, Driver, DriverError, Limits};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use talk::Shared;
use tokio::net::TcpListener;

/// Connections at once, as for every driver.
const CONNECTIONS_MAX: usize = 4_096;

/// Devices behind one address: a carrier's network hides many.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 1_024;

/// Locks send a heartbeat every four minutes (H0).
const IDLE_TIMEOUT_S: u64 = 600;
const FRAME_TIMEOUT_S: u64 = 30;
const NOISE_BYTES_MAX: usize = 64 * 1024;

const TIME_PAST_MAX_D: u16 = 30;
const TIME_AHEAD_MAX_S: u32 = 600;

/// How locks want to be answered.
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// `…,L1#`.
    Command,
    /// `…,Re,L1#`.
    Re,
}

/// `[drivers.NAME]` with `kind = "bikelock"`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always `bikelock`.
    pub kind: String,
    /// TCP address to listen on, such as `127.0.0.1:9679`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How locks are acknowledged: `command` (`…,L1#`) or `re` (`…,Re,L1#`), by their firmware.
    #[serde(default = "reply")]
    pub reply: Reply,
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
    /// Days for which a past time of a lock is believed.
    #[serde(default = "time_past_max_d")]
    pub time_past_max_d: u16,
    /// Seconds for which a future time of a lock is believed.
    #[serde(default = "time_ahead_max_s")]
    pub time_ahead_max_s: u32,
}

fn reply() -> Reply {
    Reply::Command
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

/// The listener for locks of bikes.
#[derive(Debug)]
pub struct BikeLock {
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    cx: Context,
}

impl Driver for BikeLock {
    const NAME: &'static str = "bikelock";
    type Config = Config;

    async fn open(config: Config, cx: Context) -> Result<Self, DriverError> {
        let limits = [config.connections_max, config.connections_per_address_max];
        if limits.contains(&0) || config.idle_timeout_s == 0 || config.frame_timeout_s == 0 {
            let text = "connections_max, connections_per_address_max, idle_timeout_s and \
                        frame_timeout_s must be above 0";
            return Err(DriverError::Config(text.to_owned()));
        }
        let shared = shared(&config, &cx);
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
        received_bytes_max: 4 * frame::LINE_BYTES_MAX,
        noise_bytes_max: config.noise_bytes_max,
    }
}

fn shared(config: &Config, cx: &Context) -> Arc<Shared> {
    Arc::new(Shared {
        catalogue: Arc::clone(&cx.catalogue),
        devices: cx.devices.clone(),
        window: Window {
            past_max_s: i64::from(config.time_past_max_d) * 86_400,
            ahead_max_s: i64::from(config.time_ahead_max_s),
        },
        reply_with_re: config.reply == Reply::Re,
        locked: Mutex::new(HashMap::new()),
    })
}

#[cfg(test)]
mod tests;
