//! The listeners: accept, limit, shake hands, and hand each connection to a session of its own.

use crate::bus::Bus;
use crate::sessions::Sessions;
use crate::sparkplug::Lives;
use crate::telemetry::Desk;
use crate::{Config, live, session};
use codecs::Book;
use model::{Reason, Timestamp};
use sdk::{Context, DeviceEntry, DriverError, Limits, Places, Refusal, bind};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
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
    /// What its certificate says, which the handshake verified.
    pub(crate) certificate: tls::Peer,
}

impl Gate {
    pub(crate) fn new(config: Config, cx: Context, bus: Bus, book: Book) -> Arc<Self> {
        let limits = Limits {
            connections_max: config.connections_max,
            connections_per_address_max: config.connections_per_address_max,
        };
        let places = Places::new(limits, cx.addresses.clone());
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
    tls: Option<(TcpListener, SocketAddr, tls::Acceptor)>,
}

impl Listeners {
    pub(crate) async fn bind(config: &Config, cx: &Context) -> Result<Self, DriverError> {
        let listener = format!("{}.tls_listen", cx.name);
        let acceptor = config
            .tls()
            .map(|tls| cx.certificates.open(&listener, &tls, &[]));
        let acceptor = acceptor.transpose()?;
        let plain = match config.listen {
            Some(address) => Some(bind("listen", address).await?),
            None => None,
        };
        let tls = match (config.tls_listen, acceptor) {
            (Some(address), Some(acceptor)) => {
                let (listener, address) = bind("tls_listen", address).await?;
                Some((listener, address, acceptor))
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
        Some((listener, _, acceptor)) => (Some(listener), Some(acceptor)),
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
    acceptor: Option<tls::Acceptor>,
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

/// Gives a connection a task and, if it has no handshake to do first, a place; or closes it.
fn admit(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: Option<&tls::Acceptor>,
    gate: &Arc<Gate>,
    tasks: &TaskTracker,
) {
    let peer = Peer {
        address: address.to_string(),
        certificate: tls::Peer::Nobody,
    };
    // Answers are small and somebody waits for each.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    let gate = Arc::clone(gate);
    let wait = match gate.cx.addresses.arrive(address.ip()) {
        Ok(wait) => wait,
        Err(reason) => return gate.refuse(reason, None, &peer, false),
    };
    if let Some(acceptor) = acceptor.cloned() {
        tasks.spawn(async move {
            tokio::time::sleep(wait).await;
            shake_hands(stream, (peer, address), acceptor, gate).await;
        });
        return;
    }
    match gate.places.take(address.ip()) {
        Ok(place) => drop(tasks.spawn(async move {
            tokio::time::sleep(wait).await;
            session::serve(stream, peer, gate).await;
            drop(place);
        })),
        // Dropping the stream closes it: there is no protocol yet to tell why in.
        Err(reason) => gate.refuse(reason, None, &peer, false),
    }
}

/// Does the TLS handshake in the connection's own task, so that a stalled one harms nobody; it has no
/// place before it is done.
async fn shake_hands(
    stream: TcpStream,
    (mut peer, address): (Peer, SocketAddr),
    acceptor: tls::Acceptor,
    gate: Arc<Gate>,
) {
    let place = async { gate.places.take(address.ip()) };
    let shaken = tokio::select! {
        shaken = acceptor.accept(stream, place) => shaken,
        () = gate.cx.stop.cancelled() => return,
    };
    match shaken {
        Ok((stream, Ok(place))) => {
            peer.certificate = tls::Peer::of(&stream);
            session::serve(stream, peer, Arc::clone(&gate)).await;
            drop(place);
        }
        Ok((_, Err(reason))) => gate.refuse(reason, None, &peer, false),
        Err(refused) => {
            tracing::debug!(%refused, peer = peer.address, "TLS handshake failed");
            gate.refuse(refused.reason(), None, &peer, false);
        }
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
