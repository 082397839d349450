//! Messages of Sparkplug B nodes: births, data and deaths, each device with its own profile.

use super::{Batch, Desk, Forbidden, Verdict};
use crate::sparkplug::{Born, METRICS_MAX, Node, Nodes, Said, Word};
use codecs::Undecodable;
use codecs::sparkplug::{Birth, Payload};
use model::{DeviceKey, Observation, Quality, Value};
use sdk::{DeviceEntry, Devices};
use std::sync::Arc;

/// The identity that names a node (`group/node`) or a device (`group/node/device`).
const IDENTITY: &str = "sparkplug";

/// What a death sets, and a birth clears.
const LINK_FAULT: &str = "link_fault";

type Refuse<'a> = &'a mut dyn FnMut(&str, &'static str);

impl Batch {
    /// Takes one message of a node; what it needs to be understood is in `nodes`.
    pub(super) fn take_sparkplug(
        &mut self,
        desk: Desk<'_>,
        nodes: &mut Nodes,
        (said, payload): (Said<'_>, &[u8]),
        refuse: Refuse<'_>,
    ) -> Result<Verdict, Forbidden> {
        let Some(node) = find(desk, &said.node_path(), said.node, refuse) else {
            return Err(Forbidden::EveryChild);
        };
        let entry = match said.device {
            None => Some(Arc::clone(&node)),
            Some(device) => find(desk, &said.path(), device, refuse),
        };
        let message = match Payload::read(payload) {
            Ok(message) => message,
            Err(why) => {
                let key = entry.as_ref().unwrap_or(&node).key;
                return Ok(self.spoilt(key, why, payload));
            }
        };
        // A node's birth begins the count, and its death has none. Messages of devices that nobody
        // registered count all the same.
        let is_numbered = said.device.is_some() || said.word == Word::Data;
        if is_numbered
            && let Some(node) = nodes.born.get_mut(&said.node_path())
            && !node.follows(message.seq())
        {
            nodes.ask(said, desk.now);
        }
        let Some(entry) = entry else {
            return Err(Forbidden::EveryChild);
        };
        Ok(match (said.word, said.device) {
            (Word::Birth, _) => self.born(desk, nodes, (said, &entry), (&message, payload)),
            (Word::Data, _) => self.data(desk, nodes, (said, &entry), &message),
            (Word::Death, Some(device)) => {
                let born = nodes.born.get_mut(&said.node_path());
                drop(born.and_then(|node| node.devices.remove(device)));
                self.link(desk, entry.key, true);
                Verdict::Stored
            }
            (Word::Death, None) => self.died(desk, nodes, (said, &entry), &message),
        })
    }

    fn born(
        &mut self,
        desk: Desk<'_>,
        nodes: &mut Nodes,
        (said, entry): (Said<'_>, &DeviceEntry),
        (message, payload): (&Payload, &[u8]),
    ) -> Verdict {
        let path = said.node_path();
        if said.device.is_none() {
            nodes.born.remove(&path);
        }
        if !nodes.has_room(message.metrics()) {
            let why = Undecodable {
                reason: "too_many_metrics".into(),
                detail: format!("more than {METRICS_MAX} metrics on one connection"),
            };
            return self.spoilt(entry.key, why, payload);
        }
        let birth = Birth::of(message);
        let verdict = self.values(desk, entry, (message, Some(&birth))).0;
        self.link(desk, entry.key, false);
        match said.device {
            None => {
                let life = nodes.lives.begin(entry.key, message.life());
                let node = Node::new(entry.key, birth, life, message.seq());
                nodes.born.insert(path, node);
            }
            Some(device) => match nodes.born.get_mut(&path) {
                Some(node) => {
                    let key = entry.key;
                    let born = Born { key, birth };
                    node.devices.insert(device.to_owned(), born);
                }
                None => nodes.ask(said, desk.now),
            },
        }
        // Even a birth without values is one.
        match verdict {
            Verdict::Unusable => Verdict::Stored,
            other => other,
        }
    }

    fn data(
        &mut self,
        desk: Desk<'_>,
        nodes: &mut Nodes,
        (said, entry): (Said<'_>, &DeviceEntry),
        message: &Payload,
    ) -> Verdict {
        let node = nodes.born.get(&said.node_path());
        let birth = match said.device {
            None => node.map(|node| &node.birth),
            Some(device) => node
                .and_then(|node| node.devices.get(device))
                .map(|born| &born.birth),
        };
        let (verdict, all_known) = self.values(desk, entry, (message, birth));
        if birth.is_none() || !all_known {
            nodes.ask(said, desk.now);
        }
        verdict
    }

    fn died(
        &mut self,
        desk: Desk<'_>,
        nodes: &mut Nodes,
        (said, entry): (Said<'_>, &DeviceEntry),
        message: &Payload,
    ) -> Verdict {
        let current = nodes.lives.of(entry.key).and_then(|life| life.bd_seq);
        let ended = message.life();
        if let (Some(current), Some(ended)) = (current, ended)
            && current != ended
        {
            // Of a connection before this one, which the network noticed late.
            let part = self.part_of(entry.key);
            part.reject_message(&Undecodable {
                reason: "stale_death".into(),
                detail: format!("bdSeq {ended} ended, {current} lives"),
            });
            return Verdict::Unusable;
        }
        nodes.lives.end(entry.key);
        match nodes.born.remove(&said.node_path()) {
            Some(node) => self.end(desk, &node),
            None => self.link(desk, entry.key, true),
        }
        Verdict::Stored
    }

    /// Ends the nodes that the connection itself was: without it they are not there, whether they said
    /// so or not.
    pub(crate) fn end_nodes(&mut self, desk: Desk<'_>, nodes: &mut Nodes) {
        let own = desk.writer.key;
        for (_, node) in nodes.born.drain() {
            let is_current = nodes.lives.of(node.key) == Some(node.life);
            if node.key == own && is_current {
                nodes.lives.end(own);
                self.messages += 1;
                self.end(desk, &node);
            }
        }
    }

    fn end(&mut self, desk: Desk<'_>, node: &Node) {
        self.link(desk, node.key, true);
        for born in node.devices.values() {
            self.link(desk, born.key, true);
        }
    }

    /// Notes that a node or device is there, or is not; by the hub's own clock, which saw it.
    pub(super) fn link(&mut self, desk: Desk<'_>, key: DeviceKey, is_down: bool) {
        let metric = desk.catalogue.find(LINK_FAULT);
        let value = Value::number(f64::from(u8::from(is_down)));
        if let (Some(metric), Some(value)) = (metric, value) {
            let part = self.part_of(key);
            part.received = part.received.saturating_add(1);
            part.observations.push(Observation {
                metric,
                value,
                quality: Quality::GOOD,
                observed_at: None,
            });
            self.readings += 1;
        }
    }

    /// Takes the metrics of a message, and tells whether each could be named.
    fn values(
        &mut self,
        desk: Desk<'_>,
        entry: &DeviceEntry,
        said: (&Payload, Option<&Birth>),
    ) -> (Verdict, bool) {
        let (book, catalogue) = (desk.book, desk.catalogue);
        let part = self.part_of(entry.key);
        let before = (part.observations.len(), part.rejected.len());
        let profile = entry.device.profile.as_deref();
        let all_known = book.take_sparkplug(catalogue, profile, said, part);
        let added = part.observations.len() - before.0;
        let none_good = added == 0 && part.rejected.len() > before.1;
        self.readings += added;
        let verdict = if none_good {
            Verdict::Unusable
        } else {
            Verdict::Stored
        };
        (verdict, all_known)
    }

    fn spoilt(&mut self, key: DeviceKey, why: Undecodable, payload: &[u8]) -> Verdict {
        self.part_of(key).reject_message(&why);
        self.quarantine(key, why, payload)
    }
}

/// Finds a node or device that the sender may write for: by its identity, or where it has none by
/// its last name as the device's id.
fn find(desk: Desk<'_>, path: &str, name: &str, refuse: Refuse<'_>) -> Option<Arc<DeviceEntry>> {
    let by_id = || {
        let entry = desk.devices.find(name);
        entry.filter(|entry| !entry.device.identities.contains_key(IDENTITY))
    };
    let found = desk.devices.find_identity(IDENTITY, path).or_else(by_id);
    match found {
        Some(entry) if Devices::may_write(desk.writer, &entry) => Some(entry),
        Some(_) => {
            refuse(path, "forbidden_topic");
            None
        }
        None => {
            refuse(path, "unknown_device");
            None
        }
    }
}

/// Tells whether a device may leave this as its will: the death of a node of its own.
pub(super) fn may_die(desk: Desk<'_>, said: Said<'_>) -> bool {
    let is_death = said.word == Word::Death && said.device.is_none();
    is_death && find(desk, &said.node_path(), said.node, &mut |_, _| {}).is_some()
}
