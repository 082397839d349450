//! Polls Modbus devices: over TCP, on serial lines, and through DTUs that dial in.
//!
//! A *line* is a connection on which one request is under way at a time: the driver's own
//! (`connect`), or that of each DTU. Which device is polled where stands in the register
//! (`identities.modbus = "LINE/UNIT"`); which register is which metric, in a map.

mod bus;
mod connect;
mod dtu;
mod exceptions;
pub mod frame;
pub mod fuzzed;
mod link;
pub mod map;
mod plan;
pub mod readings;
mod roster;
mod serial;
mod texts;

pub use connect::Connect;

use bus::{Bus, Ended};
use connect::Place;
use link::{Link, RtuLink, TcpLink};
use map::{Library, Map, Profile};
use plan::Plan;
use roster::{Member, Roster};
use sdk::{Context, Driver, DriverError, Limits, Refusal};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// The codec of profiles that this driver reads.
pub const CODEC: &str = "modbus";

/// Silence between two requests on a line, so that slow units see where a frame ends.
const GAP_MS: u64 = 50;
/// How long a unit may take to answer, and a unit behind a mobile network.
const TIMEOUT_MS: u64 = 1000;
const DTU_TIMEOUT_MS: u64 = 4000;
/// How often a device without `cadence_s` is polled, and one whose every byte is paid for.
const PERIOD_S: u64 = 1;
const DTU_PERIOD_S: u64 = 10;
const RETRIES: u32 = 2;
const BACKOFF_MAX_S: u64 = 300;
const REGISTRATION_TIMEOUT_S: u64 = 30;
const CONNECTIONS_MAX: usize = 4096;
const CONNECTIONS_PER_ADDRESS_MAX: usize = 4096;

/// The factory setting of the most common make.
const HEARTBEAT: &str = "www.usr.cn";

/// Pauses between two tries to open a line.
const REOPEN_FIRST: Duration = Duration::from_secs(1);
const REOPEN_MAX: Duration = Duration::from_secs(30);

/// How long a serial server may take to be reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// `[drivers.NAME]` with `kind = "modbus"`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always `modbus`.
    pub kind: String,
    /// The line: `tcp://HOST:PORT`, `rtu:///dev/ttyUSB0?baud=9600&parity=none&stop_bits=1`,
    /// `rtu+tcp://HOST:PORT` (a serial server), or `rtu+tcp-listen://ADDRESS:PORT` (DTUs dial in).
    pub connect: Connect,
    /// Register map of the devices that name no profile, such as `rs-fsxcs`.
    #[serde(default)]
    pub map: Option<String>,
    /// Folder of register maps of your own, `NAME.toml`.
    #[serde(default)]
    pub maps_dir: Option<PathBuf>,
    /// Seconds between two polls of a device that has no `cadence_s`; 1, or 10 with DTUs.
    #[serde(default)]
    pub period_s: Option<u64>,
    /// Milliseconds that a unit may take to answer; 1000, or 4000 with DTUs.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Milliseconds of silence between two requests.
    #[serde(default = "gap_ms")]
    pub gap_ms: u64,
    /// How often a request that was not answered is tried again at once.
    #[serde(default = "retries")]
    pub retries: u32,
    /// Seconds at most between two tries of a device that does not answer.
    #[serde(default = "backoff_max_s")]
    pub backoff_max_s: u64,
    /// Texts that DTUs send of their own accord: as they are, or `hex:` and digits.
    #[serde(default = "heartbeats")]
    pub heartbeats: Vec<String>,
    /// Seconds in which a DTU must say who it is.
    #[serde(default = "registration_timeout_s")]
    pub registration_timeout_s: u64,
    /// DTUs that may be connected at once.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// The same from one address.
    #[serde(default = "connections_per_address_max")]
    pub connections_per_address_max: usize,
}

fn gap_ms() -> u64 {
    GAP_MS
}

fn retries() -> u32 {
    RETRIES
}

fn backoff_max_s() -> u64 {
    BACKOFF_MAX_S
}

fn heartbeats() -> Vec<String> {
    vec![HEARTBEAT.to_owned()]
}

fn registration_timeout_s() -> u64 {
    REGISTRATION_TIMEOUT_S
}

fn connections_max() -> usize {
    CONNECTIONS_MAX
}

fn connections_per_address_max() -> usize {
    CONNECTIONS_PER_ADDRESS_MAX
}

/// How fast and how patiently lines are polled.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Timing {
    pub(crate) period: Duration,
    pub(crate) timeout: Duration,
    pub(crate) gap: Duration,
    pub(crate) retries: u32,
    pub(crate) backoff_max: Duration,
}

impl Config {
    fn timing(&self) -> Result<Timing, DriverError> {
        let is_mobile = matches!(self.connect.0, Place::Listen(_));
        let (period_s, timeout_ms) = match is_mobile {
            true => (DTU_PERIOD_S, DTU_TIMEOUT_MS),
            false => (PERIOD_S, TIMEOUT_MS),
        };
        let period_s = self.period_s.unwrap_or(period_s);
        let timeout_ms = self.timeout_ms.unwrap_or(timeout_ms);
        let positive = [
            period_s,
            timeout_ms,
            self.backoff_max_s,
            self.registration_timeout_s,
        ];
        if positive.contains(&0) || self.connections_max == 0 {
            let text = "period_s, timeout_ms, backoff_max_s, registration_timeout_s and \
                        connections_max must be above 0";
            return Err(DriverError::Config(text.to_owned()));
        }
        Ok(Timing {
            period: Duration::from_secs(period_s),
            timeout: Duration::from_millis(timeout_ms),
            gap: Duration::from_millis(self.gap_ms),
            retries: self.retries,
            backoff_max: Duration::from_secs(self.backoff_max_s),
        })
    }
}

/// What all lines of a driver share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cx: Context,
    pub(crate) roster: Roster,
    pub(crate) timing: Timing,
    pub(crate) heartbeats: Vec<Vec<u8>>,
    pub(crate) registration_timeout: Duration,
    pub(crate) sessions: dtu::Sessions,
    library: Library,
    map: Option<Arc<Map>>,
}

impl Shared {
    fn new(config: &Config, cx: Context) -> Result<Self, DriverError> {
        let wrong = |why: &dyn std::fmt::Display| DriverError::Config(why.to_string());
        let profiles = cx.profiles.of::<Profile>(CODEC)?;
        let library = Library::read(config.maps_dir.as_deref(), &profiles, &cx.catalogue);
        let library = library.map_err(|error| wrong(&error))?;
        let map = config.map.as_deref().map(|name| {
            let missing = || format!("map: no map `{name}`; known: {}", library.names());
            library.map(name).ok_or_else(|| wrong(&missing()))
        });
        let heartbeats = config.heartbeats.iter().map(|text| {
            let bytes = texts::bytes(text).ok().filter(|bytes| !bytes.is_empty());
            bytes.ok_or_else(|| wrong(&format!("heartbeats: `{text}` is no text")))
        });
        Ok(Self {
            map: map.transpose()?,
            heartbeats: heartbeats.collect::<Result<_, _>>()?,
            library,
            roster: Roster::new(cx.devices.clone()),
            timing: config.timing()?,
            registration_timeout: Duration::from_secs(config.registration_timeout_s),
            sessions: dtu::Sessions::default(),
            cx,
        })
    }

    /// Gives the map by which a device is read.
    pub(crate) fn map_of(&self, member: &Member) -> Result<Arc<Map>, String> {
        if let Some(profile) = &member.profile {
            let map = self.library.profile(profile);
            return map.ok_or_else(|| format!("profile `{profile}` is not of codec `{CODEC}`"));
        }
        let none = "it has no profile, and the driver no `map`";
        self.map.clone().ok_or_else(|| none.to_owned())
    }
}

/// One `[drivers.NAME]` of Modbus.
#[derive(Debug)]
pub struct Modbus {
    place: Place,
    limits: Limits,
    listener: Option<(TcpListener, SocketAddr)>,
    shared: Arc<Shared>,
}

impl Driver for Modbus {
    const NAME: &'static str = "modbus";
    type Config = Config;

    /// A line that cannot be reached is no mistake of the configuration: it is tried again and again.
    async fn open(config: Config, cx: Context) -> Result<Self, DriverError> {
        let shared = Shared::new(&config, cx.unmetered())?;
        let listener = match config.connect.0 {
            Place::Listen(address) => Some(sdk::bind("connect", address).await?),
            _ => None,
        };
        Ok(Self {
            place: config.connect.0,
            limits: Limits {
                connections_max: config.connections_max,
                connections_per_address_max: config.connections_per_address_max,
            },
            listener,
            shared: Arc::new(shared),
        })
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let listener = self.listener.as_ref();
        listener.map_or_else(Vec::new, |(_, address)| vec![("connect", *address)])
    }

    async fn run(self) -> Result<(), DriverError> {
        let shared = self.shared;
        if let Some((listener, _)) = self.listener {
            let cx = shared.cx.clone();
            let serve = |stream: TcpStream, peer: SocketAddr| {
                dtu::serve(Arc::clone(&shared), stream, peer.to_string())
            };
            sdk::accept(listener, self.limits, &cx, serve).await;
        } else {
            keep_polling(shared, &self.place).await;
        }
        Ok(())
    }
}

/// Opens a line, polls it until it is gone, and again.
async fn keep_polling(shared: Arc<Shared>, place: &Place) {
    let stop = shared.cx.stop.clone();
    let (line, peer) = (shared.cx.name.clone(), name(place));
    let mut bus = Bus::new(Arc::clone(&shared), line, peer.clone(), stop.clone());
    let mut plan = Plan::default();
    let mut pause = REOPEN_FIRST;
    loop {
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            opened = open(place) => opened,
        };
        let why = match opened {
            Ok(mut link) => {
                let before = bus.answers();
                match bus.run(&mut link, &mut plan, |_| true).await {
                    Ended::Stopped => return,
                    Ended::Closed(why) => {
                        if bus.answers() > before {
                            pause = REOPEN_FIRST;
                        }
                        why
                    }
                }
            }
            Err(error) => {
                shared.cx.ingest.refuse(Refusal {
                    reason: "link_closed".into(),
                    claimed: None,
                    peer: peer.clone(),
                    message: true,
                });
                error.to_string()
            }
        };
        tracing::warn!(
            line = shared.cx.name,
            peer,
            why,
            "a line is closed; trying again"
        );
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(REOPEN_MAX);
    }
}

async fn open(place: &Place) -> std::io::Result<Link> {
    let nothing_known: Arc<[Vec<u8>]> = Arc::new([]);
    match place {
        // The first request connects.
        Place::Tcp(target) => Ok(Link::Tcp(TcpLink::new(target.clone()))),
        Place::RtuTcp(target) => {
            let connecting = TcpStream::connect(target);
            let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await??;
            stream.set_nodelay(true)?;
            Ok(Link::Rtu(RtuLink::new(Box::new(stream), nothing_known)))
        }
        Place::Serial(settings) => {
            let serial = serial::open(settings)?;
            Ok(Link::Rtu(RtuLink::new(Box::new(serial), nothing_known)))
        }
        Place::Listen(_) => Err(std::io::ErrorKind::Unsupported.into()),
    }
}

fn name(place: &Place) -> String {
    match place {
        Place::Tcp(target) | Place::RtuTcp(target) => target.clone(),
        Place::Serial(settings) => settings.path.display().to_string(),
        Place::Listen(address) => address.to_string(),
    }
}

#[cfg(test)]
mod tests;
