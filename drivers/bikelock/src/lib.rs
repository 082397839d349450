//! Takes positions and events of shared bikes from Omni locks (`*CMDR`, `*SCOR`, `*HBCR`), over TCP.
//!
//! A lock is known by its IMEI. What it waits for is acknowledged when it is on disk.

mod frame;
#[cfg(any(test, feature = "testkit"))]
pub mod fuzzed;
mod readings;
mod talk;

use readings::Window;
use sdk::{ConnectionLimits, Context, Driver, DriverError, Listening};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use talk::Shared;
use tokio::net::TcpListener;

/// Locks send a heartbeat every four minutes (H0).
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// Four of the longest lines.
const RECEIVED_BYTES_MAX: usize = 4 * frame::LINE_BYTES_MAX;

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

fn time_past_max_d() -> u16 {
    TIME_PAST_MAX_D
}

fn time_ahead_max_s() -> u32 {
    TIME_AHEAD_MAX_S
}

/// The listener for locks of bikes.
#[derive(Debug)]
pub struct BikeLock {
    limits: ConnectionLimits,
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    cx: Context,
}

impl Driver for BikeLock {
    const NAME: &'static str = "bikelock";
    type Config = Listening<Config>;

    async fn open(config: Self::Config, cx: Context) -> Result<Self, DriverError> {
        let Listening { own, limits } = config;
        let shared = shared(&own, &cx);
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
