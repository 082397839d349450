//! Speaks MQTT 3.1.1 and 5, and acknowledges what is committed.
//!
//! Devices meet a gate of our own ([`gate`]): it knows who speaks, what they may write, and sends
//! PUBACK only with the proof of a commit. rumqttd runs behind it, in process, as the bus for what
//! is live and may be lost: readings for subscribers, commands for devices. Events do not ride the
//! bus: a platform that subscribes to `events/…` tails the journal with a cursor of its own.
//!
//! What a client can rely on:
//! - PUBACK and PUBREC of telemetry mean: on disk. QoS 0 telemetry is stored too, without an answer.
//! - The open half of QoS 2 ends with its connection. A message that is sent again on the next one
//!   is known by its own time, so a device that uses QoS 2 gives `ts`.
//! - Commands (`devices/{device}/commands`) are live: PUBACK means that the bus has them, reason
//!   0x10 that no device listens, and delivery is at most once.
//! - Steps of cases (`cases/{id}/steps`) are acknowledged when they are on disk. One that is refused
//!   changes nothing; version 5 is told why in the PUBACK (0x83, a body that cannot be read 0x99), and
//!   every outcome is published, live, to `cases/{id}/steps/result`.
//! - Events are delivered at least once to a session that is kept: an unacknowledged one comes again
//!   after an outage of either side. SUBACK means that the subscription is on disk: a client that is
//!   back after a restart of the hub finds its session present, and need not subscribe again.

mod bus;
mod connect;
mod events;
mod exchange;
mod fanout;
mod flights;
mod gate;
mod identity;
mod live;
mod packet;
mod session;
mod sessions;
mod sparkplug;
mod steps;
mod subscriptions;
mod telemetry;
mod thingsboard;
mod topics;

#[cfg(test)]
mod tests;

use codecs::{Book, Codec, Profile};
use gate::Listeners;
use sdk::{Context, Driver, DriverError};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use tls::{ClientAuth, TlsConfig};

/// Largest packet, its header included: some thousand readings of a gateway fit.
const PACKET_BYTES_MAX: usize = 64 * 1024;

/// Ten thousand devices, and room for those of them that are just coming back.
const CONNECTIONS_MAX: usize = 12_000;

/// A whole fleet may stand behind one address of a carrier's NAT, so this is no tight limit.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 12_000;

/// A device that has a connection has its CONNECT ready.
const CONNECT_TIMEOUT_S: u64 = 5;

/// Longest time without a sign of life: mobile networks forget idle connections earlier.
const KEEP_ALIVE_S_MAX: u16 = 1_200;

/// Commits of one connection under way: enough to keep the disk busy, little to lose.
const INFLIGHT_BATCHES_MAX: usize = 8;

/// Unacknowledged publications of one version 5 client.
const RECEIVE_MAXIMUM: u16 = 1_024;

/// A birth takes a node some seconds, and the data that it meanwhile sends is no news.
const SPARKPLUG_REBIRTH_PAUSE_S: u32 = 10;

/// `[drivers.NAME]` with `kind = "mqtt"`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always `mqtt`.
    pub kind: String,
    /// Address for connections without TLS, such as `127.0.0.1:1883`; port 0 takes a free one.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// Address for connections with TLS, such as `0.0.0.0:8883`; port 0 takes a free one.
    #[serde(default)]
    pub tls_listen: Option<SocketAddr>,
    /// PEM file with the hub's certificate chain, its own first.
    #[serde(default)]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the hub's private key.
    #[serde(default)]
    pub tls_key: Option<PathBuf>,
    /// PEM file with the authorities that sign device certificates. The common name of a device's
    /// certificate is its id or its identity `certificate`, and it needs no password.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Whether every client on `tls_listen` must have a certificate, where `client_ca` is set;
    /// `required` unless said. It was called `client_certificate`.
    #[serde(default, alias = "client_certificate")]
    pub client_auth: Option<ClientAuth>,
    /// PEM file with the revocation lists of the authorities of `client_ca`.
    #[serde(default)]
    pub crl: Option<PathBuf>,
    /// Largest packet in bytes.
    #[serde(default = "packet_bytes_max")]
    pub packet_bytes_max: usize,
    /// Connections at once, TLS handshakes apart; another one is closed.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// Connections at once from one address.
    #[serde(default = "connections_per_address_max")]
    pub connections_per_address_max: usize,
    /// Seconds that a client has for its CONNECT.
    #[serde(default = "connect_timeout_s")]
    pub connect_timeout_s: u64,
    /// Seconds that a client has for the TLS handshake.
    #[serde(default = "tls_handshake_timeout_s")]
    pub tls_handshake_timeout_s: NonZeroU64,
    /// TLS handshakes at once; one more ends the oldest.
    #[serde(default = "tls_handshakes_max")]
    pub tls_handshakes_max: NonZeroUsize,
    /// Longest keep alive in seconds. A version 5 client that wants more, and any client that wants
    /// none, gets this one.
    #[serde(default = "keep_alive_s_max")]
    pub keep_alive_s_max: u16,
    /// Commits of one connection that are under way at once; then the hub stops reading from it.
    #[serde(default = "inflight_batches_max")]
    pub inflight_batches_max: usize,
    /// QoS 1 and 2 messages that a version 5 client may have unacknowledged.
    #[serde(default = "receive_maximum")]
    pub receive_maximum: u16,
    /// Name of the hub as a Sparkplug B host application: nodes that wait for a primary host subscribe to
    /// `spBv1.0/STATE/NAME`. Without it the hub says nothing there.
    #[serde(default)]
    pub sparkplug_host_id: Option<String>,
    /// Seconds before a Sparkplug B node is asked for its births again.
    #[serde(default = "sparkplug_rebirth_pause_s")]
    pub sparkplug_rebirth_pause_s: u32,
}

fn packet_bytes_max() -> usize {
    PACKET_BYTES_MAX
}

fn connections_max() -> usize {
    CONNECTIONS_MAX
}

fn connections_per_address_max() -> usize {
    CONNECTIONS_PER_ADDRESS_MAX
}

fn connect_timeout_s() -> u64 {
    CONNECT_TIMEOUT_S
}

fn tls_handshake_timeout_s() -> NonZeroU64 {
    tls_defaults().handshake_timeout_s
}

fn tls_handshakes_max() -> NonZeroUsize {
    tls_defaults().handshakes_max
}

fn tls_defaults() -> TlsConfig {
    TlsConfig::of(PathBuf::new(), PathBuf::new())
}

fn keep_alive_s_max() -> u16 {
    KEEP_ALIVE_S_MAX
}

fn inflight_batches_max() -> usize {
    INFLIGHT_BATCHES_MAX
}

fn receive_maximum() -> u16 {
    RECEIVE_MAXIMUM
}

fn sparkplug_rebirth_pause_s() -> u32 {
    SPARKPLUG_REBIRTH_PAUSE_S
}

impl Config {
    /// What the listener with TLS goes by, if there is one.
    fn tls(&self) -> Option<TlsConfig> {
        let (cert, key) = (self.tls_cert.as_ref()?, self.tls_key.as_ref()?);
        self.tls_listen?;
        Some(TlsConfig {
            client_ca: self.client_ca.clone(),
            client_auth: self.client_auth,
            crl: self.crl.clone(),
            handshake_timeout_s: self.tls_handshake_timeout_s,
            handshakes_max: self.tls_handshakes_max,
            ..TlsConfig::of(cert, key)
        })
    }

    /// Tells what contradicts itself.
    fn check(&self) -> Result<(), DriverError> {
        let wrong = if self.listen.is_none() && self.tls_listen.is_none() {
            "one of listen and tls_listen must be set"
        } else if self.tls_listen.is_some() && (self.tls_cert.is_none() || self.tls_key.is_none()) {
            "tls_listen needs tls_cert and tls_key"
        } else if self.client_ca.is_some() && self.tls_listen.is_none() {
            "client_ca needs tls_listen"
        } else if self.client_auth.is_some() && self.client_ca.is_none() {
            "client_auth needs client_ca"
        } else if self.crl.is_some() && self.client_ca.is_none() {
            "crl needs client_ca"
        } else if self.packet_bytes_max < 256 {
            "packet_bytes_max must be at least 256"
        } else if self.connections_max == 0 || self.connections_per_address_max == 0 {
            "connections_max and connections_per_address_max must be above 0"
        } else if self.connect_timeout_s == 0 {
            "connect_timeout_s must be above 0"
        } else if self.keep_alive_s_max == 0 {
            "keep_alive_s_max must be above 0"
        } else if self.inflight_batches_max == 0 || self.receive_maximum == 0 {
            "inflight_batches_max and receive_maximum must be above 0"
        } else if self
            .sparkplug_host_id
            .as_ref()
            .is_some_and(|host| host.is_empty() || host.contains(['/', '+', '#']))
        {
            "sparkplug_host_id must be one level of a topic"
        } else {
            return Ok(());
        };
        Err(DriverError::Config(wrong.to_owned()))
    }
}

/// The MQTT gate, bound and ready.
#[derive(Debug)]
pub struct Mqtt {
    config: Config,
    listeners: Listeners,
    book: Book,
    cx: Context,
}

impl Driver for Mqtt {
    const NAME: &'static str = "mqtt";
    type Config = Config;

    async fn open(config: Config, cx: Context) -> Result<Self, DriverError> {
        config.check()?;
        let book = book(&cx)?;
        let listeners = Listeners::bind(&config, &cx).await?;
        Ok(Self {
            config,
            listeners,
            book,
            cx,
        })
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.listeners.addresses()
    }

    async fn run(self) -> Result<(), DriverError> {
        gate::run(self.config, self.listeners, self.book, self.cx).await
    }
}

/// Reads the profiles of payload formats.
fn book(cx: &Context) -> Result<Book, DriverError> {
    let mut profiles = HashMap::new();
    for codec in Codec::ALL {
        profiles.extend(cx.profiles.of::<Profile>(codec.name())?);
    }
    let named = profiles
        .iter()
        .map(|(name, profile)| (name.as_str(), profile.as_ref()));
    Book::new(&cx.catalogue, named).map_err(DriverError::Config)
}
