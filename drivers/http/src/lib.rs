//! Takes telemetry over HTTP on a port of its own, and acknowledges what is committed.
//!
//! `POST /devices/{device}/telemetry` with `Authorization: Bearer <secret>`, or with a certificate: 204 when all is on
//! disk, 200 with a list when a part of it was refused, 4xx when nothing could be taken, 503 with
//! `Retry-After` when the hub cannot keep up.
//!
//! NB-IoT platforms push to addresses of their own (`push`).

mod push;
mod serve;

pub use push::{Push, PushConfig};

use codecs::{Book, Codec, Profile};
use door::{Entrance, Guest};
use sdk::{Context, Driver, DriverError, Limits, Places, Refusal};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use tls::TlsConfig;
use tokio::net::TcpListener;

/// Largest body: a gateway's backlog of some ten thousand values fits.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Requests in work at once; more wait in their sockets.
const REQUESTS_MAX: usize = 1024;

/// Connections at once; more wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 4096;

/// No address takes more than half of the places, unless `[limits.addresses]` says so.
const ADDRESS_SHARE: usize = 2;

/// A device that takes longer to send a body is cut off.
const REQUEST_TIMEOUT_S: u64 = 30;

/// `[drivers.NAME]` with `kind = "http"`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always `http`.
    pub kind: String,
    /// Address to listen on, such as `127.0.0.1:8081`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// With it the port speaks HTTPS. A device's certificate (`client_ca`) names it by the common name,
    /// which is its id or its identity `certificate`, and then it needs no secret.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Largest request body in bytes.
    #[serde(default = "body_bytes_max")]
    pub body_bytes_max: usize,
    /// Connections that are served at once.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// Requests that are served at once.
    #[serde(default = "requests_max")]
    pub requests_max: usize,
    /// Seconds that one request may take, its body included.
    #[serde(default = "request_timeout_s")]
    pub request_timeout_s: u64,
    /// NB-IoT platforms that push to this port, each with a name of your own.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, PushConfig>")]
    pub push: BTreeMap<String, Push>,
}

fn body_bytes_max() -> usize {
    BODY_BYTES_MAX
}

fn connections_max() -> usize {
    CONNECTIONS_MAX
}

fn requests_max() -> usize {
    REQUESTS_MAX
}

fn request_timeout_s() -> u64 {
    REQUEST_TIMEOUT_S
}

/// The HTTP ingest listener.
#[derive(Debug)]
pub struct Http {
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
    acceptor: Option<tls::Acceptor>,
    book: Book,
    cx: Context,
}

impl Driver for Http {
    const NAME: &'static str = "http";
    type Config = Config;

    async fn open(config: Config, cx: Context) -> Result<Self, DriverError> {
        let limits = [
            config.body_bytes_max,
            config.connections_max,
            config.requests_max,
        ];
        if limits.contains(&0) || config.request_timeout_s == 0 {
            let text = "body_bytes_max, connections_max, requests_max and request_timeout_s must \
                        be above 0";
            return Err(DriverError::Config(text.to_owned()));
        }
        check_pushes(&config)?;
        let book = book(&cx)?;
        let name = format!("{}.{}", cx.name, name_of(config.tls.is_some()));
        let acceptor = config.tls.as_ref();
        let acceptor = acceptor.map(|tls| cx.certificates.open(&name, tls, door::PROTOCOLS));
        let acceptor = acceptor.transpose()?;
        let failed = |source| DriverError::Io {
            what: format!("listen {}", config.listen),
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            config,
            listener,
            address,
            acceptor,
            book,
            cx,
        })
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        vec![(name_of(self.acceptor.is_some()), self.address)]
    }

    async fn run(self) -> Result<(), DriverError> {
        let stop = self.cx.stop.clone();
        let ingest = self.cx.ingest.clone();
        let refuse = move |peer: String, reason: &'static str| {
            ingest.refuse(Refusal {
                reason: reason.into(),
                claimed: None,
                peer,
                message: false,
            });
        };
        let of_tls = refuse.clone();
        let refused = move |peer: SocketAddr, reason| of_tls(peer.to_string(), reason);
        let most = self.config.connections_max;
        let limits = Limits {
            connections_max: most,
            connections_per_address_max: most.div_ceil(ADDRESS_SHARE),
        };
        let (places, addresses) = (
            Places::new(limits, self.cx.addresses.clone()),
            self.cx.addresses.clone(),
        );
        let admit = move |peer| {
            let admitted = addresses.arrive(peer);
            let admitted = admitted.and_then(|wait| Ok(Guest::new(wait, places.take(peer)?)));
            admitted
                .inspect_err(|reason| refuse(peer.to_string(), reason))
                .ok()
        };
        let entrance = Entrance::new(self.listener, self.acceptor, refused).admitting(admit);
        let router = serve::router(&self.config, self.book, self.cx);
        door::serve(entrance, router, self.config.connections_max, stop).await;
        Ok(())
    }
}

/// The name of the listener in the line `ready` and in health, which says what it speaks.
fn name_of(is_tls: bool) -> &'static str {
    if is_tls { "tls_listen" } else { "listen" }
}

/// Refuses two platforms at one address, and one to which anybody in the network could push.
fn check_pushes(config: &Config) -> Result<(), DriverError> {
    let mut paths = BTreeMap::new();
    for (name, push) in &config.push {
        if let Some(other) = paths.insert(&push.path, name) {
            let text = format!("push.{name}.path is that of push.{other}");
            return Err(DriverError::Config(text));
        }
        if !push.is_open() {
            continue;
        }
        if !config.listen.ip().is_loopback() {
            let text = format!(
                "push.{name}: its pushes are not signed, so its path ends in at least 16 random \
                 characters, or `from` or `header` says who may push"
            );
            return Err(DriverError::Config(text));
        }
        tracing::warn!(push = %name, "who guesses the path of a platform can push in its name");
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
