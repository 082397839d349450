//! Speaks HJ 212 with environmental monitors: dust, noise, air and water, over TCP.
//!
//! Devices dial in and send data; the hub answers 9014 once it is on disk. Editions 2005, 2017 and
//! 2025; what devices do otherwise than the standard says is taken where it can be, by profile.

mod answer;
mod codes;
mod command;
mod crc;
mod frame;
mod order;
mod profile;
mod readings;
mod seal;
mod segment;
mod table;
mod talk;
#[cfg(test)]
mod tests;
mod time;

pub use answer::answer;
pub use command::{AnswerKind, Command, Content, Period};
pub use crc::Checksum;
pub use frame::{Finder, Found, Frame};
pub use profile::{CODEC, EditionChoice, OverRange, PeriodLabel, Profile};
pub use readings::{Decoded, Dialect};
pub use seal::Key;
pub use segment::{Edition, Field, Segment, text_of};
pub use talk::{Hj212Talk, Shared};

use sdk::{Context, Conversation, Driver, DriverError, Limits};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// Connections at once.
const CONNECTIONS_MAX: usize = 4096;

/// Devices behind one carrier's address translation share it.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 4096;

/// The longest interval of real-time data is an hour (1062); twice that, and a little.
const IDLE_TIMEOUT_S: u64 = 7_500;

/// A frame that was begun is whole by then, over the slowest of modems.
const FRAME_TIMEOUT_S: u64 = 30;

/// The standard has 1024; 1623 were seen.
const SEGMENT_BYTES_MAX: usize = 8192;

/// What a peer may send without a good frame before it is hung up.
const NOISE_BYTES_MAX: usize = 64 * 1024;

/// `[drivers.NAME]` with `kind = "hj212"`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always `hj212`.
    pub kind: String,
    /// Address to listen on, such as `0.0.0.0:9212`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Profile of devices that name none (`[profiles.NAME]` with `codec = "hj212"`).
    #[serde(default)]
    pub profile: Option<String>,
    /// Connections that are served at once.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// Connections that are served at once from one address.
    #[serde(default = "connections_per_address_max")]
    pub connections_per_address_max: usize,
    /// Seconds of silence after which a connection is closed.
    #[serde(default = "idle_timeout_s")]
    pub idle_timeout_s: u64,
    /// Seconds in which a frame that was begun must be whole.
    #[serde(default = "frame_timeout_s")]
    pub frame_timeout_s: u64,
    /// Longest data segment in bytes.
    #[serde(default = "segment_bytes_max")]
    pub segment_bytes_max: usize,
    /// Bytes without a good frame between them after which a connection is closed.
    #[serde(default = "noise_bytes_max")]
    pub noise_bytes_max: usize,
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

fn segment_bytes_max() -> usize {
    SEGMENT_BYTES_MAX
}

fn noise_bytes_max() -> usize {
    NOISE_BYTES_MAX
}

impl Config {
    fn check(&self) -> Result<(), DriverError> {
        let sizes = [
            self.connections_max,
            self.connections_per_address_max,
            self.noise_bytes_max,
        ];
        if sizes.contains(&0) || self.idle_timeout_s == 0 || self.frame_timeout_s == 0 {
            let text = "limits and timeouts must be above 0";
            return Err(DriverError::Config(text.to_owned()));
        }
        if !(128..=65_536).contains(&self.segment_bytes_max) {
            let text = "segment_bytes_max must be 128 to 65536";
            return Err(DriverError::Config(text.to_owned()));
        }
        Ok(())
    }

    fn conversation(&self) -> Conversation {
        Conversation {
            idle_timeout: Duration::from_secs(self.idle_timeout_s),
            frame_timeout: Duration::from_secs(self.frame_timeout_s),
            // A frame that is whole is taken at once; head, checksum and end come to 12 bytes.
            received_bytes_max: 2 * self.segment_bytes_max,
            noise_bytes_max: self.noise_bytes_max,
        }
    }
}

/// Resolves the profiles of a configuration for the connections of one driver.
pub fn shared(config: &Config, cx: Context) -> Result<Arc<Shared>, DriverError> {
    let wrong = |name: &str, error: &str| DriverError::Config(format!("profiles.{name}: {error}"));
    let mut dialects = HashMap::new();
    for (name, profile) in cx.profiles.of::<Profile>(CODEC)? {
        let dialect = Dialect::new(Profile::clone(&profile), &cx.catalogue);
        let dialect = dialect.map_err(|error| wrong(&name, &error))?;
        dialects.insert(name, Arc::new(dialect));
    }
    let usual = match &config.profile {
        Some(name) => {
            let named = dialects.get(name).cloned();
            named.ok_or_else(|| wrong(name, "there is no such profile with codec `hj212`"))?
        }
        None => {
            let plain = Dialect::new(Profile::default(), &cx.catalogue);
            Arc::new(plain.map_err(|error| wrong("(built in)", &error))?)
        }
    };
    Ok(Arc::new(Shared {
        cx,
        dialects,
        usual,
        segment_bytes_max: config.segment_bytes_max,
        faulty: Mutex::default(),
    }))
}

/// Speaks with one device until it hangs up or the hub stops.
pub async fn serve<S>(stream: S, peer: String, shared: Arc<Shared>, limits: Conversation)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let cx = shared.cx.clone();
    let (line, orders) = cx.downlink.line();
    let talk = Hj212Talk::new(shared, line);
    sdk::converse(stream, peer, (talk, orders), limits, cx).await;
}

/// The HJ 212 listener.
#[derive(Debug)]
pub struct Hj212 {
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Driver for Hj212 {
    const NAME: &'static str = "hj212";
    type Config = Config;

    async fn open(config: Config, cx: Context) -> Result<Self, DriverError> {
        config.check()?;
        let shared = shared(&config, cx)?;
        let (listener, address) = sdk::bind("listen", config.listen).await?;
        Ok(Self {
            config,
            listener,
            address,
            shared,
        })
    }

    fn metrics() -> String {
        codes::metrics()
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        vec![("listen", self.address)]
    }

    async fn run(self) -> Result<(), DriverError> {
        let limits = Limits {
            connections_max: self.config.connections_max,
            connections_per_address_max: self.config.connections_per_address_max,
        };
        let conversation = self.config.conversation();
        let shared = self.shared;
        let cx = shared.cx.clone();
        sdk::accept(self.listener, limits, &cx, |stream, peer| {
            let shared = Arc::clone(&shared);
            async move { serve(stream, peer.to_string(), shared, conversation).await }
        })
        .await;
        Ok(())
    }
}
