//! rumqttd in process: the bus for what is live and may be lost, under supervision.
//!
//! Nothing that must not be lost is read from here. rumqttd gives every filter a log of its own and
//! never frees one, so the bus has two filters for ever and one link, and the gate itself hands
//! messages to the sessions that want them ([`crate::fanout`]): subscribers who come and go cost
//! rumqttd nothing. The router starts with the first message or subscription, not before.

use crate::fanout::Fanout;
use bytes::Bytes;
use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::protocol::{Disconnect, DisconnectReasonCode, Packet};
use rumqttd::{Notification, Router, RouterConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// The filters of the bus, and the only ones that it ever has.
const FILTERS: [&str; 3] = [
    "devices/+/telemetry",
    "devices/+/commands",
    "cases/+/steps/result",
];

/// Client id of the one link.
const LINK: &str = "gate";

/// One link, and a slot to spare for its successor.
const CONNECTIONS_MAX: usize = 2;

/// Messages that the router gives out at a time.
const OUTGOING_PACKETS_MAX: u64 = 200;

/// Ring of one filter. A segment counts topics and payloads only, so the memory is some times that;
/// the link is drained at once, so little is ever needed.
const SEGMENT_BYTES: usize = 256 * 1024;
const SEGMENTS: usize = 2;

/// Messages on their way into the bus; a publisher of commands that finds it full is refused.
const OUTBOX_MESSAGES: usize = 1_024;

/// Messages that may wait for the router itself, whose own queue has no limit.
const ROUTER_BACKLOG_MAX: usize = 4_096;

/// How long a router has to start, and a parked link to be woken.
const ROUTER_DEADLINE: Duration = Duration::from_secs(5);

/// Pause before another router is started in place of one that failed.
const RESTART_PAUSE: Duration = Duration::from_millis(200);

/// Shows that a message was handed to the bus, which may lose it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handed {
    reached_somebody: bool,
}

impl Handed {
    /// Tells whether somebody was subscribed at that moment.
    pub(crate) fn reached_somebody(self) -> bool {
        self.reached_somebody
    }
}

/// The bus cannot take more now.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bus is full")]
pub(crate) struct BusFull;

#[derive(Debug)]
struct Outgoing {
    topic: String,
    payload: Bytes,
}

/// The way into the bus.
#[derive(Clone, Debug)]
pub(crate) struct Bus {
    outbox: mpsc::Sender<Outgoing>,
    wanted: Arc<Notify>,
    restarts: Arc<AtomicU64>,
    pub(crate) fanout: Arc<Fanout>,
}

/// The bus's own loop, to be run until it ends.
#[derive(Debug)]
pub(crate) struct BusRunner {
    outbox: mpsc::Receiver<Outgoing>,
    bus: Bus,
}

impl Bus {
    pub(crate) fn new() -> (Self, BusRunner) {
        let (sender, outbox) = mpsc::channel(OUTBOX_MESSAGES);
        let bus = Self {
            outbox: sender,
            wanted: Arc::default(),
            restarts: Arc::default(),
            fanout: Fanout::new(),
        };
        let runner = BusRunner {
            outbox,
            bus: bus.clone(),
        };
        (bus, runner)
    }

    /// Has the router started, if it is not yet: somebody will want what it carries.
    pub(crate) fn want(&self) {
        self.wanted.notify_one();
    }

    /// Hands over one message without waiting.
    pub(crate) fn publish(&self, topic: String, payload: Bytes) -> Result<Handed, BusFull> {
        let reached_somebody = self.fanout.has_listener(&topic);
        self.want();
        self.outbox
            .try_send(Outgoing { topic, payload })
            .map_err(|_| BusFull)?;
        Ok(Handed { reached_somebody })
    }

    /// Hands over one message, waiting for room: for the feeder of live readings, which can wait.
    pub(crate) async fn publish_when_free(&self, topic: String, payload: Bytes) {
        self.want();
        // The runner is gone only when the driver ends.
        drop(self.outbox.send(Outgoing { topic, payload }).await);
    }

    /// Counts routers that had to be replaced.
    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }
}

impl BusRunner {
    /// Runs routers, one after another, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        self.supervise(stop, start_router).await;
    }

    async fn supervise(mut self, stop: CancellationToken, start: fn() -> Started) {
        tokio::select! {
            () = stop.cancelled() => return,
            () = self.bus.wanted.notified() => {}
        }
        loop {
            let started = tokio::task::spawn_blocking(start);
            match tokio::time::timeout(ROUTER_DEADLINE, started).await {
                Ok(Ok(Ok((link_tx, link_rx)))) => {
                    if self.serve(link_tx, link_rx, &stop).await {
                        return;
                    }
                    tracing::warn!("the bus failed; starting another router");
                }
                Ok(Ok(Err(error))) => tracing::warn!(%error, "the bus did not start"),
                Ok(Err(error)) => tracing::warn!(%error, "the bus did not start"),
                Err(_) => tracing::warn!("the bus did not start in time"),
            }
            self.bus.restarts.fetch_add(1, Ordering::Relaxed);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RESTART_PAUSE) => {}
            }
        }
    }

    /// Serves one router; true when it was told to stop, false when the router failed.
    async fn serve(
        &mut self,
        mut link_tx: LinkTx,
        mut link_rx: LinkRx,
        stop: &CancellationToken,
    ) -> bool {
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    leave(link_tx).await;
                    return true;
                }
                outgoing = self.outbox.recv() => match outgoing {
                    Some(outgoing) => if !publish(&mut link_tx, outgoing) {
                        self.bus.fanout.count_lost();
                    },
                    None => return true,
                },
                notification = link_rx.next() => match notification {
                    Ok(Some(Notification::Forward(forward))) => {
                        if let Ok(topic) = std::str::from_utf8(&forward.publish.topic) {
                            self.bus.fanout.dispatch(topic, forward.publish.payload);
                        }
                    }
                    // The router parks a link that has 200 messages waiting until it is woken.
                    Ok(Some(Notification::Unschedule)) => {
                        match tokio::time::timeout(ROUTER_DEADLINE, link_rx.wake()).await {
                            Ok(Ok(())) => {}
                            Ok(Err(_)) | Err(_) => return false,
                        }
                    }
                    Ok(_) => {}
                    Err(_) => return false,
                },
            }
        }
    }
}

/// Gives a message to the router; false if the router is too far behind to be given more.
fn publish(link: &mut LinkTx, outgoing: Outgoing) -> bool {
    if link.buffer().len() >= ROUTER_BACKLOG_MAX {
        return false;
    }
    // A full channel is no loss: the message is in the link's buffer, which the router empties with
    // the next signal. A dead router is noticed by the receiving half.
    if let Err(error) = link.try_publish(outgoing.topic, outgoing.payload) {
        tracing::trace!(%error, "the router was not signalled");
    }
    true
}

type Started = Result<(LinkTx, LinkRx), Box<LinkError>>;

fn router_config() -> RouterConfig {
    RouterConfig {
        max_connections: CONNECTIONS_MAX,
        max_outgoing_packet_count: OUTGOING_PACKETS_MAX,
        max_segment_size: SEGMENT_BYTES,
        max_segment_count: SEGMENTS,
        initialized_filters: Some(FILTERS.map(str::to_owned).to_vec()),
        ..RouterConfig::default()
    }
}

/// Starts a router and attaches the one link to it. Blocks while the router starts.
fn start_router() -> Started {
    let router = Router::new(0, router_config()).spawn();
    let (mut link_tx, link_rx, _) = LinkBuilder::new(LINK, router).build().map_err(Box::new)?;
    for filter in FILTERS {
        link_tx.subscribe(filter).map_err(Box::new)?;
    }
    Ok((link_tx, link_rx))
}

/// Frees the link's slot: dropping a link does not.
async fn leave(mut link: LinkTx) {
    let goodbye = Disconnect {
        reason_code: DisconnectReasonCode::NormalDisconnection,
    };
    if let Err(error) = link.send(Packet::Disconnect(goodbye, None)).await {
        tracing::debug!(%error, "the router was gone already");
    }
}

#[cfg(test)]
mod tests {
    use super::{Bus, FILTERS, LINK, LinkBuilder, Router, Started, router_config, start_router};
    use bytes::Bytes;
    use rumqttd::protocol::{Disconnect, DisconnectReasonCode, Packet};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    static SABOTAGED: AtomicBool = AtomicBool::new(false);

    /// The first router dies of a signal from a link that has left; the others live.
    fn start_dying_router() -> Started {
        if SABOTAGED.swap(true, Ordering::SeqCst) {
            return start_router();
        }
        let router = Router::new(0, router_config()).spawn();
        let (mut link_tx, link_rx, _) = LinkBuilder::new(LINK, router.clone()).build().unwrap();
        for filter in FILTERS {
            link_tx.subscribe(filter).unwrap();
        }
        let (mut tx, rx, _) = LinkBuilder::new("saboteur", router).build().unwrap();
        let goodbye = Disconnect {
            reason_code: DisconnectReasonCode::NormalDisconnection,
        };
        let leave = tx.send(Packet::Disconnect(goodbye, None));
        tokio::runtime::Handle::current().block_on(leave).unwrap();
        rx.ready().unwrap();
        Ok((link_tx, link_rx))
    }

    #[tokio::test]
    async fn another_router_takes_over_from_one_that_failed() {
        let (bus, runner) = Bus::new();
        let mut subscriber = bus.fanout.subscriber();
        subscriber.add("devices/a/commands", 0);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(runner.supervise(stop.clone(), start_dying_router));
        bus.want();
        // What the first router swallowed is lost, so this publishes until something arrives.
        let publishing = async {
            loop {
                let topic = "devices/a/commands".to_owned();
                bus.publish_when_free(topic, Bytes::from_static(b"{}"))
                    .await;
            }
        };
        let patience = Duration::from_secs(20);
        let message = tokio::select! {
            () = publishing => unreachable!(),
            message = tokio::time::timeout(patience, subscriber.messages.recv()) => message,
        };
        assert_eq!(message.unwrap().unwrap().payload, &b"{}"[..]);
        assert_eq!(bus.restarts(), 1);
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }
}
