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

use sdk::{ConnectionLimits, Context, Driver, DriverError, Listening};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// The longest interval of real-time data is an hour (1062); twice that, and a little.
const IDLE_TIMEOUT: Duration = Duration::from_secs(7_500);

/// The standard has 1024; 1623 were seen.
const SEGMENT_BYTES_MAX: usize = 8192;

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
    /// Longest data segment in bytes.
    #[serde(default = "segment_bytes_max")]
    pub segment_bytes_max: usize,
}

fn segment_bytes_max() -> usize {
    SEGMENT_BYTES_MAX
}

impl Config {
    fn check(&self) -> Result<(), DriverError> {
        if !(128..=65_536).contains(&self.segment_bytes_max) {
            let text = "segment_bytes_max must be 128 to 65536";
            return Err(DriverError::Config(text.to_owned()));
        }
        Ok(())
    }

    /// Bytes that may wait. A frame that is whole is taken at once; head, checksum and end come to 12.
    fn received_bytes_max(&self) -> usize {
        2 * self.segment_bytes_max
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

/// The HJ 212 listener.
#[derive(Debug)]
pub struct Hj212 {
    config: Config,
    limits: ConnectionLimits,
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Driver for Hj212 {
    const NAME: &'static str = "hj212";
    type Config = Listening<Config>;

    async fn open(config: Self::Config, cx: Context) -> Result<Self, DriverError> {
        let Listening {
            own: config,
            limits,
        } = config;
        config.check()?;
        let shared = shared(&config, cx)?;
        let (listener, address) = sdk::bind("listen", config.listen).await?;
        Ok(Self {
            config,
            limits,
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
        let received_bytes_max = self.config.received_bytes_max();
        let conversation = self.limits.conversation(IDLE_TIMEOUT, received_bytes_max);
        let limits = (self.limits.places(), conversation);
        let cx = self.shared.cx.clone();
        sdk::serve(self.listener, limits, &cx, |line| {
            Hj212Talk::new(Arc::clone(&self.shared), line)
        })
        .await;
        Ok(())
    }
}
