//! One socket and its endpoint: reads while there is room, commits, answers, and ends in order.

use crate::endpoint::{Act, Endpoint};
use crate::peer::{Heard, Peer};
use bytes::Bytes;
use sdk::{Committed, Context, IngestError, Order};
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// Largest UDP payload.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 65_536;

/// How long a socket rests after an error, such as the ICMP answer of a peer that has gone.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Orders of all observers that may wait; each observer's line has room for its own.
const ORDERS_MAX: usize = 64;

/// How long the loop sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// What carries datagrams: UDP as it is, or DTLS over it.
pub(crate) trait Carrier: Send {
    /// Waits for the next datagram in the clear. May be cancelled.
    fn receive(&mut self) -> impl Future<Output = io::Result<Heard>> + Send;

    fn send(&mut self, peer: Peer, bytes: &Bytes) -> impl Future<Output = io::Result<()>> + Send;

    /// Ends what has an end.
    fn close(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// UDP as it is.
#[derive(Debug)]
pub(crate) struct Plain {
    socket: UdpSocket,
    buffer: Vec<u8>,
}

impl Plain {
    pub(crate) fn new(socket: UdpSocket) -> Self {
        Self {
            socket,
            buffer: vec![0; DATAGRAM_BYTES_MAX],
        }
    }
}

impl Carrier for Plain {
    async fn receive(&mut self) -> io::Result<Heard> {
        let (len, address) = self.socket.recv_from(&mut self.buffer).await?;
        let bytes = self.buffer.get(..len).unwrap_or_default();
        Ok(Heard {
            peer: Peer {
                address,
                session: 0,
            },
            identity: None,
            bytes: Bytes::copy_from_slice(bytes),
        })
    }

    async fn send(&mut self, peer: Peer, bytes: &Bytes) -> io::Result<()> {
        self.socket.send_to(bytes, peer.address).await.map(drop)
    }
}

type Outcome = (u64, Result<Committed, IngestError>);

/// What happened next.
enum Happened {
    Stop,
    Done(Outcome),
    Heard(io::Result<Heard>),
    Order(u64, Order),
    TimeUp,
}

/// The loop of one socket.
struct Loop<C> {
    carrier: C,
    endpoint: Endpoint,
    cx: Context,
    tasks: TaskTracker,
    outcomes: mpsc::Sender<Outcome>,
    orders: mpsc::Sender<(u64, Order)>,
}

/// Serves until the stop, then waits until what was taken is answered.
pub(crate) async fn serve(
    carrier: impl Carrier,
    endpoint: Endpoint,
    requests_max: usize,
    cx: Context,
) {
    // Every commit under way has its place, so that none waits to tell how it went.
    let (outcomes, mut done) = mpsc::channel(requests_max);
    let (orders, mut ordered) = mpsc::channel(ORDERS_MAX);
    let mut this = Loop {
        carrier,
        endpoint,
        cx,
        tasks: TaskTracker::new(),
        outcomes,
        orders,
    };
    loop {
        this.carry_out().await;
        let now = Instant::now();
        let deadline = this.endpoint.deadline().unwrap_or(now + IDLE);
        // While as many commits are under way nothing more is read; each has its deadline.
        let has_room = this.endpoint.flights() < requests_max;
        let happened = tokio::select! {
            biased;
            () = this.cx.stop.cancelled() => Happened::Stop,
            Some(outcome) = done.recv() => Happened::Done(outcome),
            Some((observer, order)) = ordered.recv() => Happened::Order(observer, order),
            () = tokio::time::sleep_until(deadline) => Happened::TimeUp,
            heard = this.carrier.receive(), if has_room => Happened::Heard(heard),
        };
        let now = Instant::now();
        match happened {
            Happened::Stop => break,
            Happened::Done((flight, outcome)) => this.endpoint.committed(flight, outcome, now),
            Happened::Order(observer, order) => this.endpoint.order(observer, order, now),
            Happened::TimeUp => this.endpoint.wake(now),
            Happened::Heard(Ok(heard)) => this.endpoint.receive(&heard, now),
            Happened::Heard(Err(error)) => {
                tracing::debug!(%error, driver = this.cx.name, "could not receive a datagram");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
    // Whoever carries an order here must not wait for ever.
    drop(ordered);
    this.end(done).await;
}

impl<C: Carrier> Loop<C> {
    async fn carry_out(&mut self) {
        while let Some(act) = self.endpoint.next_act() {
            match act {
                Act::Send(peer, bytes) => {
                    if let Err(error) = self.carrier.send(peer, &bytes).await {
                        tracing::debug!(%error, driver = self.cx.name, "could not send an answer");
                    }
                }
                Act::Commit { flight, submission } => {
                    let (ingest, outcomes) = (self.cx.ingest.clone(), self.outcomes.clone());
                    self.tasks.spawn(async move {
                        let outcome = ingest.commit(submission).await;
                        // The loop is there for as long as a commit is under way.
                        drop(outcomes.send((flight, outcome)).await);
                    });
                }
                Act::Listen {
                    observer,
                    orders: mut arriving,
                } => {
                    let orders = self.orders.clone();
                    self.tasks.spawn(async move {
                        while let Some(order) = arriving.recv().await {
                            if orders.send((observer, order)).await.is_err() {
                                break;
                            }
                        }
                    });
                }
            }
        }
    }

    /// Answers what is under way; every commit has its deadline.
    async fn end(mut self, mut done: mpsc::Receiver<Outcome>) {
        self.endpoint.stop();
        self.carry_out().await;
        while self.endpoint.flights() > 0 {
            let now = Instant::now();
            let deadline = self.endpoint.deadline().unwrap_or(now + IDLE);
            let outcome = tokio::time::timeout_at(deadline, done.recv()).await;
            let now = Instant::now();
            match outcome {
                Ok(Some((flight, outcome))) => self.endpoint.committed(flight, outcome, now),
                Ok(None) => break,
                Err(_) => self.endpoint.wake(now),
            }
            self.carry_out().await;
        }
        self.carrier.close().await;
        // With the observers' lines their orders end, and the tasks that carry them.
        drop(self.endpoint);
        self.tasks.close();
        self.tasks.wait().await;
    }
}
