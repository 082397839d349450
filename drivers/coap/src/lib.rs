//! Takes telemetry over CoAP (RFC 7252) and CoAP over DTLS with pre-shared keys, and acknowledges what
//! is committed.
//!
//! `POST /devices/{device}/telemetry?k=<secret>`: 2.04 when it is on disk, 4.xx when nothing could be
//! taken, 5.03 with Max-Age when the hub cannot keep up. `GET /devices/{device}/commands` with Observe
//! hears the device's commands.

mod block;
mod dtls;
mod endpoint;
mod exchange;
mod frame;
#[cfg(any(test, feature = "testkit"))]
pub mod fuzzed;
mod observe;
mod outbox;
mod peer;
mod request;
mod resource;
mod serve;

use codecs::{Book, Codec, Profile};
use dtls::Secured;
use endpoint::{Endpoint, Limits};
use resource::Resources;
use sdk::{Context, Driver, DriverError};
use serve::Plain;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UdpSocket;

/// Commits under way at once; while there are as many, nothing more is read.
const REQUESTS_MAX: usize = 1_024;

/// A body in blocks, as large as the largest datagram.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Unfinished bodies together.
const BODIES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Exchanges that are remembered: ten thousand devices that each send once in a minute fill
/// EXCHANGE_LIFETIME with forty thousand.
const EXCHANGES_MAX: usize = 65_536;

const OBSERVERS_MAX: usize = 16_384;

/// Sessions of DTLS; each takes some kilobytes.
const SESSIONS_MAX: usize = 16_384;

/// What a socket is asked to hold: some thousand messages, with what the system adds to each.
const RECEIVED_BYTES: usize = 4 * 1024 * 1024;

/// The hub itself waits thirty seconds for a command.
const COMMAND_ANSWER_S: u64 = 10;
const COMMAND_ANSWER_S_MAX: u64 = 30;

/// `[drivers.NAME]` with `kind = "coap"`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always `coap`.
    pub kind: String,
    /// UDP address to listen on, such as `127.0.0.1:5683`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// CoAP over DTLS with pre-shared keys, on an address of its own.
    #[serde(default)]
    pub dtls: Option<DtlsConfig>,
    /// Requests that wait for the disk at once; more wait in the socket.
    #[serde(default = "requests_max")]
    pub requests_max: usize,
    /// Largest body in bytes, sent at once or in blocks.
    #[serde(default = "body_bytes_max")]
    pub body_bytes_max: usize,
    /// Bytes that bodies which come in blocks may hold together until they are whole.
    #[serde(default = "bodies_bytes_max")]
    pub bodies_bytes_max: usize,
    /// Requests that are remembered so that a repetition is answered again and stored once.
    #[serde(default = "exchanges_max")]
    pub exchanges_max: usize,
    /// Devices that may observe their commands at once.
    #[serde(default = "observers_max")]
    pub observers_max: usize,
    /// Seconds that a device has to answer a command that it acknowledged; then the acknowledgement
    /// alone is the answer. At most 30.
    #[serde(default = "command_answer_s")]
    pub command_answer_s: u64,
    /// Whether raw frames on `/t/r` count without the device's secret.
    #[serde(default)]
    pub raw_without_secret: bool,
}

/// `[drivers.NAME.dtls]`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DtlsConfig {
    /// UDP address to listen on, such as `127.0.0.1:5684`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Table (CSV) of the devices' keys with the columns `id` and `secret`, a text or `hex:` and
    /// digits; the file of devices itself will do. Read again when it changes.
    pub keys: PathBuf,
    /// Sessions at once; then the one that was silent for longest ends.
    #[serde(default = "sessions_max")]
    pub sessions_max: usize,
}

fn sessions_max() -> usize {
    SESSIONS_MAX
}

fn requests_max() -> usize {
    REQUESTS_MAX
}

fn body_bytes_max() -> usize {
    BODY_BYTES_MAX
}

fn bodies_bytes_max() -> usize {
    BODIES_BYTES_MAX
}

fn exchanges_max() -> usize {
    EXCHANGES_MAX
}

fn observers_max() -> usize {
    OBSERVERS_MAX
}

fn command_answer_s() -> u64 {
    COMMAND_ANSWER_S
}

/// The CoAP listener.
#[derive(Debug)]
pub struct Coap {
    config: Config,
    socket: UdpSocket,
    secured: Option<Secured>,
    addresses: Vec<(&'static str, SocketAddr)>,
    book: Book,
    cx: Context,
}

impl Driver for Coap {
    const NAME: &'static str = "coap";
    type Config = Config;

    async fn open(config: Config, cx: Context) -> Result<Self, DriverError> {
        check(&config)?;
        let book = book(&cx)?;
        let (socket, address) = bind("listen", config.listen).await?;
        let mut addresses = vec![("listen", address)];
        let secured = match &config.dtls {
            None => None,
            Some(dtls) => {
                let (socket, address) = bind("dtls.listen", dtls.listen).await?;
                addresses.push(("dtls_listen", address));
                let secured = Secured::new(socket, &dtls.keys, dtls.sessions_max, cx.clone());
                Some(secured.map_err(|why| DriverError::Config(format!("dtls.keys: {why}")))?)
            }
        };
        Ok(Self {
            config,
            socket,
            secured,
            addresses,
            book,
            cx,
        })
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.addresses.clone()
    }

    async fn run(self) -> Result<(), DriverError> {
        let (requests_max, cx) = (self.config.requests_max, self.cx.clone());
        let endpoint = || endpoint(&self.config, self.book.clone(), &self.cx);
        let plain = serve::serve(
            Plain::new(self.socket),
            endpoint(),
            requests_max,
            cx.clone(),
        );
        let secured = async {
            if let Some(secured) = self.secured {
                serve::serve(secured, endpoint(), requests_max, cx).await;
            }
        };
        tokio::join!(plain, secured);
        Ok(())
    }
}

fn check(config: &Config) -> Result<(), DriverError> {
    let above_0 = [
        config.requests_max,
        config.body_bytes_max,
        config.bodies_bytes_max,
        config.exchanges_max,
        config.observers_max,
        config.dtls.as_ref().map_or(1, |dtls| dtls.sessions_max),
    ];
    if above_0.contains(&0) {
        let text = "requests_max, body_bytes_max, bodies_bytes_max, exchanges_max, \
                    observers_max and sessions_max must be above 0";
        return Err(DriverError::Config(text.to_owned()));
    }
    if !(1..=COMMAND_ANSWER_S_MAX).contains(&config.command_answer_s) {
        let text = "command_answer_s must be from 1 to 30";
        return Err(DriverError::Config(text.to_owned()));
    }
    Ok(())
}

fn endpoint(config: &Config, book: Book, cx: &Context) -> Endpoint {
    let resources = Resources {
        cx: cx.clone(),
        book,
        raw_without_secret: config.raw_without_secret,
    };
    let limits = Limits {
        exchanges_max: config.exchanges_max,
        body_bytes_max: config.body_bytes_max,
        bodies_bytes_max: config.bodies_bytes_max,
        observers_max: config.observers_max,
        command_answer: Duration::from_secs(config.command_answer_s),
    };
    Endpoint::new(resources, limits, None)
}

async fn bind(what: &str, wanted: SocketAddr) -> Result<(UdpSocket, SocketAddr), DriverError> {
    let failed = |source| DriverError::Io {
        what: format!("{what} {wanted}"),
        source,
    };
    let socket = UdpSocket::bind(wanted).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    prepare(&socket, address).map_err(failed)?;
    Ok((socket, address))
}

/// Has the socket hold what comes at once, as far as the system allows, and hear no group that others
/// on this machine have joined: what is not heard is not answered (RFC 7252 section 8.2).
fn prepare(socket: &UdpSocket, address: SocketAddr) -> std::io::Result<()> {
    let socket = socket2::SockRef::from(socket);
    socket.set_recv_buffer_size(RECEIVED_BYTES)?;
    #[cfg(target_os = "linux")]
    if address.is_ipv4() {
        socket.set_multicast_all_v4(false)?;
    } else {
        socket.set_multicast_all_v6(false)?;
    }
    Ok(())
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

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire;
