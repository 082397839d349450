//! Listening sockets, and how many connections they let in.

use crate::{Addresses, Context, DriverError, Refusal};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::task::TaskTracker;

/// Pause after an accept that failed, for want of file descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connections may take to end: to answer what is in flight and to be hung up. The hub
/// allows its drivers ten seconds.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// Free ports of TCP whose number is taken in UDP.
const PORT_ATTEMPTS: usize = 16;

/// Binds a listener; `what` is the key of the configuration that named the address.
pub async fn bind(
    what: &str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), DriverError> {
    let failed = |source| DriverError::Io {
        what: format!("{what} {address}"),
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Sockets of a driver that takes streams and datagrams.
#[derive(Debug)]
pub struct Bound {
    pub listener: TcpListener,
    pub socket: Option<UdpSocket>,
    /// The keys of the configuration with the real addresses.
    pub addresses: Vec<(&'static str, SocketAddr)>,
}

/// Binds TCP to `listen`, and UDP to `listen_udp`, else to the same port if `udp` is wanted.
pub async fn bind_both(
    listen: SocketAddr,
    udp: bool,
    listen_udp: Option<SocketAddr>,
) -> Result<Bound, DriverError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (listener, address) = bind("listen", listen).await?;
        let mut addresses = vec![("listen", address)];
        let Some(wanted) = listen_udp.or(udp.then_some(address)) else {
            return Ok(Bound {
                listener,
                socket: None,
                addresses,
            });
        };
        let bound = UdpSocket::bind(wanted).await;
        match bound.and_then(|socket| Ok((socket.local_addr()?, socket))) {
            Ok((address, socket)) => {
                addresses.push(("listen_udp", address));
                return Ok(Bound {
                    listener,
                    socket: Some(socket),
                    addresses,
                });
            }
            // Port 0 took one that only TCP has free.
            Err(_) if listen.port() == 0 && attempts < PORT_ATTEMPTS => {}
            Err(source) => {
                let what = format!("listen_udp {wanted}");
                return Err(DriverError::Io { what, source });
            }
        }
    }
}

/// How many connections may be open, as a whole and from one address.
#[derive(Copy, Clone, Debug)]
pub struct Limits {
    pub connections_max: usize,
    pub connections_per_address_max: usize,
}

/// Connections that are open.
#[derive(Debug)]
pub struct Places {
    limits: Limits,
    addresses: Addresses,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place; dropping it frees it.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    /// `addresses` may give an address more connections than `limits`, or less.
    pub fn new(limits: Limits, addresses: Addresses) -> Arc<Self> {
        Arc::new(Self {
            limits,
            addresses,
            taken: Mutex::default(),
        })
    }

    /// Takes a place for a connection from `address`; an error is the word of the limit that it met.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, &'static str> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.limits.connections_max {
            return Err("connections_max");
        }
        let most = self.limits.connections_per_address_max;
        let most = self.addresses.connections_max(address, most);
        let here = taken.by_address.get(&address).copied().unwrap_or_default();
        if here >= most {
            return Err("connections_per_address_max");
        }
        taken.by_address.insert(address, here + 1);
        taken.all += 1;
        drop(taken);
        Ok(Place {
            places: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &self.places.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(here) = taken.by_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

/// Serves each connection in a task of its own until the stop, then waits until all have ended.
pub async fn accept<F, C>(listener: TcpListener, limits: Limits, cx: &Context, serve: F)
where
    F: Fn(TcpStream, SocketAddr) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    let places = Places::new(limits, cx.addresses.clone());
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = cx.stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let admitted = cx.addresses.arrive(peer.ip());
        let admitted = admitted.and_then(|wait| Ok((wait, places.take(peer.ip())?)));
        let (wait, place) = match admitted {
            Ok(admitted) => admitted,
            // Dropping the stream closes it: there is no protocol yet to tell why in.
            Err(reason) => {
                cx.ingest.refuse(Refusal {
                    reason: reason.into(),
                    claimed: None,
                    peer: peer.to_string(),
                    message: false,
                });
                continue;
            }
        };
        // Answers are small and somebody waits for each.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        let connection = serve(stream, peer);
        let stop = cx.stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    tasks.close();
    let ended = tokio::time::timeout(STOP_DEADLINE, tasks.wait()).await;
    if ended.is_err() {
        tracing::warn!(connections = tasks.len(), "connections did not end in time");
    }
}
