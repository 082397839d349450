//! Supervises cameras and recorders by GB/T 28181: devices register over SIP and send heartbeats.
//!
//! Only whether they are there is of interest: REGISTER, MESSAGE (Keepalive, Catalog, Alarm) and
//! OPTIONS are answered, no picture is ever asked for.

mod answered;
mod clock;
mod digest;
#[cfg(any(test, feature = "testkit"))]
pub mod fuzzed;
mod manscdp;
mod profile;
mod registrar;
mod roster;
mod sip;
mod talk;

pub use profile::Profile;

use digest::Challenges;
use registrar::{Metrics, Settings, Shared};
use ring::rand::{SecureRandom, SystemRandom};
use sdk::{Bound, ConnectionLimits, Context, Conversation, Driver, DriverError, Listening, Secret};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// The value of `kind` in the configuration, and of `codec` in profiles.
pub const NAME: &str = "gb28181";

/// Five heartbeats of a minute.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// One of the longest messages, and the beginning of another.
const RECEIVED_BYTES_MAX: usize = 2 * sip::BODY_BYTES_MAX;

/// GB/T 28181-2016 9.6: a heartbeat a minute, and three that may be missed.
const HEARTBEAT_S: u32 = 60;
const HEARTBEATS_MISSED_MAX: u32 = 3;

/// GB/T 28181-2016 9.1: a registration of a day.
const EXPIRES_MAX_S: u32 = 86_400;
const NONCE_LIFE_S: u32 = 300;
const UTC_OFFSET_MIN: i16 = 480;

/// Digits of a server's id that name its domain.
const REALM_DIGITS: usize = 10;

/// How often it is looked whether patience with somebody has ended, and how many are told at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const OVERDUE_MAX: usize = 1_024;

/// `[drivers.NAME]` with `kind = "gb28181"`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always `gb28181`.
    pub kind: String,
    /// Address to listen on, TCP and UDP, such as `0.0.0.0:5060`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether datagrams are taken as well, on the same address and port.
    #[serde(default = "yes")]
    pub udp: bool,
    /// The 20 digits by which devices know this server; made of the city's code unless said.
    #[serde(default)]
    pub server_id: Option<String>,
    /// The domain for which passwords count; the first ten digits of `server_id` unless said.
    #[serde(default)]
    pub realm: Option<String>,
    /// The password of the devices, unless their profile has another. Without one anybody who knows
    /// a device's id can speak for it.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Seconds between two heartbeats of devices that have no `cadence_s`.
    #[serde(default = "heartbeat_s")]
    pub heartbeat_s: u32,
    /// Heartbeats in a row that may be missed before a device counts as offline.
    #[serde(default = "heartbeats_missed_max")]
    pub heartbeats_missed_max: u32,
    /// Seconds for which a registration holds at most.
    #[serde(default = "expires_max_s")]
    pub expires_max_s: u32,
    /// Seconds for which a challenge can be answered.
    #[serde(default = "nonce_life_s")]
    pub nonce_life_s: u32,
    /// Minutes by which the devices' clocks are ahead of UTC.
    #[serde(default = "utc_offset_min")]
    pub utc_offset_min: i16,
}

fn yes() -> bool {
    true
}

fn heartbeat_s() -> u32 {
    HEARTBEAT_S
}

fn heartbeats_missed_max() -> u32 {
    HEARTBEATS_MISSED_MAX
}

fn expires_max_s() -> u32 {
    EXPIRES_MAX_S
}

fn nonce_life_s() -> u32 {
    NONCE_LIFE_S
}

fn utc_offset_min() -> i16 {
    UTC_OFFSET_MIN
}

/// The registrar.
#[derive(Debug)]
pub struct Gb28181 {
    limits: ConnectionLimits,
    bound: Bound,
    shared: Arc<Shared>,
    cx: Context,
}

impl Driver for Gb28181 {
    const NAME: &'static str = NAME;
    type Config = Listening<Config>;

    async fn open(config: Self::Config, cx: Context) -> Result<Self, DriverError> {
        let Listening { own, limits } = config;
        let mut key = [0; 32];
        SystemRandom::new()
            .fill(&mut key)
            .map_err(|_| DriverError::Failed("the system gives no random bytes".to_owned()))?;
        let shared = shared(&own, &cx, &key)?;
        let bound = sdk::bind_both(own.listen, own.udp, None).await?;
        if own.password.is_none() {
            tracing::warn!(
                driver = cx.name,
                "no password: whoever knows a device's id can speak for it"
            );
        }
        Ok(Self {
            limits,
            bound,
            shared,
            cx,
        })
    }

    fn metrics() -> String {
        include_str!("../data/metrics.csv").to_owned()
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.bound.addresses.clone()
    }

    async fn run(self) -> Result<(), DriverError> {
        let conversation = self.limits.conversation(IDLE_TIMEOUT, RECEIVED_BYTES_MAX);
        let (listener, places) = (self.bound.listener, self.limits.places());
        let connections = sdk::accept(listener, places, &self.cx, |stream, peer| {
            let (shared, cx) = (Arc::clone(&self.shared), self.cx.clone());
            async move { serve(stream, peer, shared, conversation, cx).await }
        });
        let datagrams = async {
            if let Some(socket) = self.bound.socket {
                let make = |peer| talk::Conversation::new(Arc::clone(&self.shared), peer, false);
                sdk::datagrams(Arc::new(socket), self.cx.clone(), make).await;
            }
        };
        tokio::join!(connections, datagrams, watch(&self.shared, &self.cx));
        Ok(())
    }
}

async fn serve<S>(
    stream: S,
    peer: SocketAddr,
    shared: Arc<Shared>,
    conversation: Conversation,
    cx: Context,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
{
    // Nothing is ordered of a camera, so the line is never bound.
    let (_line, orders) = cx.downlink.line();
    let talk = talk::Conversation::new(shared, peer, true);
    sdk::converse(stream, peer.to_string(), (talk, orders), conversation, cx).await;
}

/// Tells of devices with which patience has ended, until the stop.
async fn watch(shared: &Shared, cx: &Context) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = cx.stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = cx.clock.now();
        let (overdue, submission) = shared.overdue(now, OVERDUE_MAX);
        if overdue.is_empty() {
            continue;
        }
        tracing::debug!(driver = cx.name, devices = overdue.len(), "no longer heard");
        // What could not be committed is overdue at the next look, too.
        if submission.is_empty() || cx.ingest.commit(submission).await.is_ok() {
            shared.forget(&overdue, now);
        }
    }
}

/// Reads settings and profiles, so that a mistake in them shows at the start.
fn shared(config: &Config, cx: &Context, key: &[u8; 32]) -> Result<Arc<Shared>, DriverError> {
    let positive = [
        config.heartbeat_s,
        config.heartbeats_missed_max,
        config.expires_max_s,
        config.nonce_life_s,
    ];
    if positive.contains(&0) {
        let text =
            "heartbeat_s, heartbeats_missed_max, expires_max_s and nonce_life_s must be above 0";
        return Err(DriverError::Config(text.to_owned()));
    }
    let own_id = || format!("{:0<10}2000000001", cx.city_code);
    let server_id = config.server_id.clone().unwrap_or_else(own_id);
    let is_id = server_id.len() == 20 && server_id.bytes().all(|byte| byte.is_ascii_digit());
    if !is_id && config.realm.is_none() {
        let text = format!("server_id: `{server_id}` has not 20 digits; or say a `realm`");
        return Err(DriverError::Config(text));
    }
    let domain = || server_id.get(..REALM_DIGITS).unwrap_or_default().to_owned();
    let realm = config.realm.clone().unwrap_or_else(domain);
    if realm.contains(['"', '\r', '\n']) {
        let text = format!("realm: `{}` cannot be quoted", realm.escape_debug());
        return Err(DriverError::Config(text));
    }
    let settings = Settings {
        realm,
        password: config.password.clone(),
        heartbeat_s: config.heartbeat_s,
        heartbeats_missed_max: config.heartbeats_missed_max,
        expires_max_s: config.expires_max_s,
        utc_offset_s: i64::from(config.utc_offset_min) * 60,
    };
    let metrics = Metrics::of(&cx.catalogue).map_err(DriverError::Failed)?;
    let challenges = Challenges::new(key, config.nonce_life_s);
    let profiles = cx.profiles.of::<Profile>(NAME)?;
    let devices = cx.devices.clone();
    Ok(Shared::new(
        (settings, metrics),
        challenges,
        devices,
        profiles,
    ))
}

#[cfg(test)]
mod tests;
