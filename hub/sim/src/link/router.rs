//! Which link carries the messages of which device.

use super::frame::{FrameLink, wire};
use super::http::HttpLink;
use super::mqtt::{MqttLink, MqttSetup};
use super::{Backoff, QUEUE_MESSAGES, Shared};
use super::{gbfs, modbus, rtsp};
use crate::args::Args;
use crate::kind::Kind;
use crate::mqtt::Version;
use crate::plan::Message;
use crate::random::Random;
use crate::tally::Outcome;
use crate::way::{Addresses, Dialect, Way};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// The links and who speaks over which.
#[derive(Debug)]
pub(crate) struct Router {
    /// One per link.
    senders: Vec<mpsc::Sender<Message>>,
    /// Per device, the index of its link.
    routes: Vec<usize>,
    /// Addresses that devices would need and nobody gave.
    missing: BTreeSet<&'static str>,
}

/// What links are made of.
struct Opening<'a> {
    args: &'a Args,
    addresses: &'a Addresses,
    shared: &'a Arc<Shared>,
    tracker: &'a TaskTracker,
    /// Links that all devices of a way share.
    common: BTreeMap<Way, usize>,
    /// Devices that stand for themselves and have no way of their own, so far.
    alone: u32,
}

impl Router {
    /// Starts the links. Devices without a way of their own take MQTT and HTTP in turn where both are
    /// given; a gateway is then MQTT if there is MQTT. It speaks for its children there.
    pub(crate) fn open(
        args: &Args,
        addresses: &Addresses,
        shared: &Arc<Shared>,
        tracker: &TaskTracker,
    ) -> Self {
        let mut router = Self {
            senders: Vec::new(),
            routes: Vec::new(),
            missing: BTreeSet::new(),
        };
        let mut opening = Opening {
            args,
            addresses,
            shared,
            tracker,
            common: BTreeMap::new(),
            alone: 0,
        };
        for device in 0..shared.fleet.devices.len() {
            let route = opening.route(&mut router, device);
            router.routes.push(route);
        }
        router
    }

    /// Lists the addresses that were missing.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &'static str> {
        self.missing.iter().copied()
    }

    /// Hands a message to its link, or skips it when the device's buffer is full.
    pub(crate) fn send(&self, message: Message, shared: &Shared) {
        shared.tally.count(|counts| counts.planned += 1);
        let sender = self
            .routes
            .get(message.device)
            .and_then(|route| self.senders.get(*route));
        let taken = sender.is_some_and(|sender| sender.try_send(message).is_ok());
        if !taken {
            shared.tally.settle(Outcome::Skipped, || None);
        }
    }

    fn add(&mut self) -> (usize, mpsc::Receiver<Message>) {
        let (sender, queue) = mpsc::channel(QUEUE_MESSAGES);
        self.senders.push(sender);
        (self.senders.len() - 1, queue)
    }
}

impl Opening<'_> {
    /// Finds the link of a device, or starts it.
    fn route(&mut self, router: &mut Router, device: usize) -> usize {
        let Some(row) = self.shared.fleet.devices.get(device) else {
            return usize::MAX;
        };
        let gateway = row.parent.filter(|_| row.way.is_none());
        let carried = gateway.filter(|parent| self.speaks_for_children(*parent));
        if let Some(route) = carried.and_then(|parent| router.routes.get(parent)) {
            return *route;
        }
        let way = self.way(row.way, row.kind);
        if let Some(route) = self.common.get(&way) {
            return *route;
        }
        let (route, queue) = router.add();
        match self.addresses.of(way) {
            Some(addr) => self.start(way, Arc::from(addr), device, queue),
            // Without an address there is no link; the sender's messages count as skipped.
            None => {
                router.missing.insert(way.address());
            }
        }
        if way.is_shared() {
            self.common.insert(way, route);
        }
        route
    }

    fn speaks_for_children(&self, gateway: usize) -> bool {
        let row = self.shared.fleet.devices.get(gateway);
        match row.and_then(|row| row.way) {
            Some(Way::Mqtt(_) | Way::Dialect(_)) | None => {
                let mqtt = self.addresses.of(Way::Mqtt(self.args.mqtt_version));
                mqtt.is_some() && !self.args.direct
            }
            Some(way) => way.carries_children(),
        }
    }

    fn way(&mut self, own: Option<Way>, kind: Kind) -> Way {
        let in_turn = self.alone.is_multiple_of(2) || kind == Kind::Gateway;
        self.alone += 1;
        let mqtt = Way::Mqtt(self.args.mqtt_version);
        let way = match own {
            Some(way) => way,
            None if in_turn => mqtt,
            None => Way::Http,
        };
        // MQTT and HTTP carry the same messages: one without an address leaves its devices to the other.
        match way {
            Way::Mqtt(_) if self.addresses.of(way).is_none() => Way::Http,
            Way::Http if self.addresses.of(way).is_none() => mqtt,
            way => way,
        }
    }

    fn start(&self, way: Way, addr: Arc<str>, device: usize, queue: mpsc::Receiver<Message>) {
        let shared = Arc::clone(self.shared);
        let random = Random::new(!self.args.seed, device as u64);
        let mqtt = |version, dialect| MqttSetup {
            shared: Arc::clone(self.shared),
            addr: Arc::clone(&addr),
            device,
            version,
            dialect,
            window: self.args.window,
            seed: self.args.seed,
        };
        match way {
            Way::Mqtt(version) => {
                self.spawn(MqttLink::new(mqtt(version, Dialect::Own), queue).run());
            }
            Way::Dialect(dialect) => {
                self.spawn(MqttLink::new(mqtt(Version::V311, dialect), queue).run());
            }
            Way::Http => self.spawn(HttpLink::new(shared, addr, random, queue).run()),
            Way::Push(platform) => {
                let link = HttpLink::new(shared, addr, random, queue).of(platform);
                self.spawn(link.run());
            }
            Way::ModbusDtu => {
                let backoff = Backoff::new(random);
                self.spawn(modbus::dtu(shared, addr, device, backoff, queue));
            }
            Way::ModbusTcp => self.spawn(modbus::server(shared, addr, queue)),
            Way::Gbfs => self.spawn(gbfs::server(shared, addr, queue)),
            Way::Rtsp => self.spawn(rtsp::server(shared, addr, queue)),
            way => {
                let (token, host) = addr.split_once('@').unwrap_or(("", &addr));
                if let Some(wire) = wire(way, (&self.shared.fleet, device), token) {
                    let addr = Arc::from(host);
                    let udp = way.is_udp();
                    self.spawn(FrameLink::new(shared, (addr, udp), wire, random, queue).run());
                }
            }
        }
    }

    /// Runs a link until it has ended or is cut off.
    fn spawn(&self, link: impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::clone(self.shared);
        self.tracker.spawn(async move {
            tokio::select! {
                biased;
                () = shared.cut_off.cancelled() => {}
                () = link => {}
            }
        });
    }
}
