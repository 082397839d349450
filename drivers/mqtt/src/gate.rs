//! The listeners: accept, limit, shake hands, and hand each connection to a session of its own.

use crate::bus::Bus;
use crate::sessions::Sessions;
use crate::sparkplug::Lives;
use crate::telemetry::Desk;
use crate::{Config, live, session, tls};
use codecs::Book;
use model::{Reason, Timestamp};
use sdk::{Context, DeviceEntry, DriverError, Limits, Places, Refusal, bind};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

/// Pause after an accept that failed, for want of file descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long sessions may take to end: to answer what is in flight, to say goodbye, to be hung up.
/// The hub allows its drivers ten seconds.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// How often what the bus lost is told, if it grew.
const REPORT_PAUSE: Duration = Duration::from_secs(60);

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) cx: Context,
    pub(crate) config: Config,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) bus: Bus,
    /// How the devices with a profile write their payloads.
    pub(crate) book: Book,
    /// Which life each node of Sparkplug B is in.
    pub(crate) lives: Arc<Lives>,
    /// Since when the hub is there for them.
    pub(crate) since: Timestamp,
    places: Arc<Places>,
}

/// Who is at the other end, as far as the network knows.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: String,
    /// The common name of a verified client certificate.
    pub(crate) certificate_name: Option<String>,
}

impl Gate {
    pub(crate) fn new(config: Config, cx: Context, bus: Bus, book: Book) -> Arc<Self> {
        let places = Places::new(Limits {
            connections_max: config.connections_max,
            connections_per_address_max: config.connections_per_address_max,
        });
        let since = cx.clock.now();
        Arc::new(Self {
            cx,
            config,
            sessions: Arc::default(),
            bus,
            book,
            lives: Arc::default(),
            since,
            places,
        })
    }

    /// What decides about the messages of a device.
    pub(crate) fn desk<'a>(&'a self, writer: &'a DeviceEntry) -> Desk<'a> {
        Desk {
            writer,
            devices: &self.cx.devices,
            catalogue: &self.cx.catalogue,
            book: &self.book,
            now: self.cx.clock.now(),
            limits: (self.config.packet_bytes_max, self.config.receive_maximum),
        }
    }

    /// Counts something that was turned away, and has it audited.
    pub(crate) fn refuse(
        &self,
        reason: impl Into<Reason>,
        claimed: Option<String>,
        peer: &Peer,
        message: bool,
    ) {
        let reason = reason.into();
        tracing::debug!(%reason, ?claimed, peer = peer.address, "refused");
        self.cx.ingest.refuse(Refusal {
            reason,
            claimed,
            peer: peer.address.clone(),
            message,
        });
    }

    /// Makes up a client id that nobody else has.
    pub(crate) fn next_client_id(&self) -> String {
        // The standard library's only source of randomness.
        let random = RandomState::new().build_hasher().finish();
        format!("auto-{random:016x}")
    }
}

/// Bound sockets that nobody is accepted from yet.
#[derive(Debug)]
pub(crate) struct Listeners {
    plain: Option<(TcpListener, SocketAddr)>,
    tls: Option<(TcpListener, SocketAddr, Acceptor)>,
}

struct Acceptor(TlsAcceptor);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

impl Listeners {
    pub(crate) async fn bind(config: &Config) -> Result<Self, DriverError> {
        let acceptor = tls::acceptor(config)?;
        let plain = match config.listen {
            Some(address) => Some(bind("listen", address).await?),
            None => None,
        };
        let tls = match (config.tls_listen, acceptor) {
            (Some(address), Some(acceptor)) => {
                let (listener, address) = bind("tls_listen", address).await?;
                Some((listener, address, Acceptor(acceptor)))
            }
            _ => None,
        };
        Ok(Self { plain, tls })
    }

    pub(crate) fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let plain = self.plain.iter().map(|(_, address)| ("listen", *address));
        let tls = self.tls.iter().map(|(_, at, _)| ("tls_listen", *at));
        plain.chain(tls).collect()
    }
}

/// Serves until the stop, then waits until every session was answered and ended.
pub(crate) async fn run(
    config: Config,
    listeners: Listeners,
    book: Book,
    cx: Context,
) -> Result<(), DriverError> {
    let (bus, bus_runner) = Bus::new();
    let stop = cx.stop.clone();
    let gate = Gate::new(config, cx.clone(), bus.clone(), book);
    let tasks = TaskTracker::new();
    tasks.spawn(bus_runner.run(stop.clone()));
    tasks.spawn(live::feed(cx, bus.clone()));
    tasks.spawn({
        let stop = stop.clone();
        async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = report(bus) => {}
            }
        }
    });
    let Listeners { plain, tls } = listeners;
    let plain = accept_all(plain.map(|(listener, _)| listener), None, &gate, &tasks);
    let (tls, acceptor) = match tls {
        Some((listener, _, acceptor)) => (Some(listener), Some(acceptor.0)),
        None => (None, None),
    };
    let tls = accept_all(tls, acceptor, &gate, &tasks);
    tokio::select! {
        () = stop.cancelled() => {}
        ((), ()) = async { tokio::join!(plain, tls) } => {}
    }
    tasks.close();
    if tokio::time::timeout(STOP_DEADLINE, tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!(sessions = tasks.len(), "sessions did not end in time");
    }
    Ok(())
}

/// Accepts on one listener for ever.
async fn accept_all(
    listener: Option<TcpListener>,
    acceptor: Option<TlsAcceptor>,
    gate: &Arc<Gate>,
    tasks: &TaskTracker,
) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((stream, address)) => admit(stream, address, acceptor.as_ref(), gate, tasks),
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Gives a connection a place and a task, or closes it.
fn admit(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: Option<&TlsAcceptor>,
    gate: &Arc<Gate>,
    tasks: &TaskTracker,
) {
    let peer = Peer {
        address: address.to_string(),
        certificate_name: None,
    };
    let place = match gate.places.take(address.ip()) {
        Ok(place) => place,
        // Dropping the stream closes it: there is no protocol yet to tell why in.
        Err(reason) => return gate.refuse(reason, None, &peer, false),
    };
    // Answers are small and somebody waits for each.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    let gate = Arc::clone(gate);
    match acceptor.cloned() {
        None => drop(tasks.spawn(async move {
            session::serve(stream, peer, gate).await;
            drop(place);
        })),
        Some(acceptor) => drop(tasks.spawn(async move {
            shake_hands(stream, peer, acceptor, gate).await;
            drop(place);
        })),
    }
}

/// Does the TLS handshake in the connection's own task, so that a stalled one harms nobody.
async fn shake_hands(stream: TcpStream, mut peer: Peer, acceptor: TlsAcceptor, gate: Arc<Gate>) {
    let within = Duration::from_secs(gate.config.tls_handshake_timeout_s);
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(within, acceptor.accept(stream)) => shaken,
        () = gate.cx.stop.cancelled() => return,
    };
    match shaken {
        Ok(Ok(stream)) => {
            peer.certificate_name = tls::common_name(stream.get_ref().1.peer_certificates());
            session::serve(stream, peer, gate).await;
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, peer = peer.address, "TLS handshake failed");
            gate.refuse("tls_handshake", None, &peer, false);
        }
        Err(_) => gate.refuse("tls_handshake_timeout", None, &peer, false),
    }
}

/// Tells the operator what slow subscribers lost and how often the bus had to be replaced.
async fn report(bus: Bus) {
    let mut known = (0, 0);
    loop {
        tokio::time::sleep(REPORT_PAUSE).await;
        let now = (bus.fanout.lost(), bus.restarts());
        if now != known {
            tracing::warn!(lost = now.0, restarts = now.1, "live messages were lost");
            known = now;
        }
    }
}
