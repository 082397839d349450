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
use sdk::{Context, Conversation, Driver, DriverError, Limits};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use talk::Shared;
use tokio::net::{TcpListener, UdpSocket};

/// The value of `kind` in the configuration, and of `codec` in profiles.
pub const NAME: &str = "gb26875";

/// Connections at once, as for every driver.
const CONNECTIONS_MAX: usize = 4_096;

/// Devices behind one address: a carrier's network hides many.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 1_024;

/// Devices that say something at all do so every half minute; others hang up by themselves.
const IDLE_TIMEOUT_S: u64 = 600;

/// A frame is at most 1,054 bytes; not even 1,200 baud need so long.
const FRAME_TIMEOUT_S: u64 = 30;

const NOISE_BYTES_MAX: usize = 64 * 1024;

/// Four of the longest frames.
const RECEIVED_BYTES_MAX: usize =
    4 * (frame::HEAD_BYTES + frame::UNIT_BYTES_MAX + frame::TAIL_BYTES);

/// Devices write the time of Beijing.
const UTC_OFFSET_MIN: i16 = 480;

const TIME_PAST_MAX_D: u16 = 30;
const TIME_AHEAD_MAX_S: u32 = 600;

/// Free ports of TCP whose number is taken in UDP.
const PORT_ATTEMPTS: usize = 16;

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
    config: Config,
    listener: TcpListener,
    socket: Option<UdpSocket>,
    addresses: Vec<(&'static str, SocketAddr)>,
    shared: Arc<Shared>,
    cx: Context,
}

impl Driver for Gb26875 {
    const NAME: &'static str = NAME;
    type Config = Config;

    async fn open(config: Config, cx: Context) -> Result<Self, DriverError> {
        let limits = [config.connections_max, config.connections_per_address_max];
        if limits.contains(&0) || config.idle_timeout_s == 0 || config.frame_timeout_s == 0 {
            let text = "connections_max, connections_per_address_max, idle_timeout_s and \
                        frame_timeout_s must be above 0";
            return Err(DriverError::Config(text.to_owned()));
        }
        let shared = shared(&config, &cx)?;
        let (listener, socket, addresses) = bind(&config).await?;
        Ok(Self {
            config,
            listener,
            socket,
            addresses,
            shared,
            cx,
        })
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.addresses.clone()
    }

    async fn run(self) -> Result<(), DriverError> {
        let limits = Limits {
            connections_max: self.config.connections_max,
            connections_per_address_max: self.config.connections_per_address_max,
        };
        let conversation = conversation(&self.config);
        let connections = sdk::accept(self.listener, limits, &self.cx, |stream, peer| {
            let (shared, cx) = (Arc::clone(&self.shared), self.cx.clone());
            async move { serve(stream, peer.to_string(), shared, conversation, cx).await }
        });
        let datagrams = async {
            if let Some(socket) = self.socket {
                let make = |_| talk::Conversation::new(Arc::clone(&self.shared), None);
                sdk::datagrams(Arc::new(socket), self.cx.clone(), make).await;
            }
        };
        tokio::join!(connections, datagrams);
        Ok(())
    }
}

fn conversation(config: &Config) -> Conversation {
    Conversation {
        idle_timeout: Duration::from_secs(config.idle_timeout_s),
        frame_timeout: Duration::from_secs(config.frame_timeout_s),
        received_bytes_max: RECEIVED_BYTES_MAX,
        noise_bytes_max: config.noise_bytes_max,
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
    };
    Ok(Shared::new(rules, cx.devices.clone()))
}

type Bound = (
    TcpListener,
    Option<UdpSocket>,
    Vec<(&'static str, SocketAddr)>,
);

/// Binds TCP, and UDP on the same port unless said otherwise.
async fn bind(config: &Config) -> Result<Bound, DriverError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (listener, address) = sdk::bind("listen", config.listen).await?;
        let mut addresses = vec![("listen", address)];
        let wanted = config.listen_udp.or(config.udp.then_some(address));
        let Some(wanted) = wanted else {
            return Ok((listener, None, addresses));
        };
        match UdpSocket::bind(wanted)
            .await
            .and_then(|udp| Ok((udp.local_addr()?, udp)))
        {
            Ok((address, socket)) => {
                addresses.push(("listen_udp", address));
                return Ok((listener, Some(socket), addresses));
            }
            // Port 0 took one that only TCP has free.
            Err(_) if config.listen.port() == 0 && attempts < PORT_ATTEMPTS => {}
            Err(source) => {
                let what = format!("listen_udp {wanted}");
                return Err(DriverError::Io { what, source });
            }
        }
    }
}

#[cfg(test)]
mod tests;
