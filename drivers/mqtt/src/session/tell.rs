//! What the hub says to one client of itself: to nodes of Sparkplug B.

use super::Session;
use crate::packet;
use crate::{sparkplug, topics};
use codecs::sparkplug::{host_state, rebirth};

impl Session {
    /// Says something on a topic, if this client wants to hear it.
    fn tell(&mut self, topic: &str, payload: &[u8]) {
        if self.subscriptions.wants(topic)
            && topic.len() + payload.len() < self.outlet.packet_bytes_max
        {
            packet::publish(&mut self.out, self.version, None, topic, payload);
            self.soil();
        }
    }

    /// Asks nodes whose births are missing for them.
    pub(super) fn tell_rebirths(&mut self) {
        let asks = std::mem::take(&mut self.nodes.asks);
        for topic in asks {
            let command = rebirth(self.gate.cx.clock.now());
            self.tell(&topic, &command);
        }
    }

    /// Tells what holds already to whoever just subscribed to it.
    pub(super) fn greet(&mut self, filters: &[String]) {
        for (topic, payload) in self.states(true) {
            let is_asked = filters.iter().any(|filter| topics::matches(filter, &topic));
            if is_asked && self.subscriptions.wants(&topic) {
                packet::publish_retained(&mut self.out, self.version, &topic, &payload);
                self.soil();
            }
        }
    }

    /// Tells nodes that wait for their host that it is there, or goes.
    pub(super) fn tell_state(&mut self, online: bool) {
        for (topic, payload) in self.states(online) {
            self.tell(&topic, &payload);
        }
    }

    /// The hub's state as a host application, as version 3.0 writes it, and 2.2.
    fn states(&self, online: bool) -> Vec<(String, Vec<u8>)> {
        let Some(host) = &self.gate.config.sparkplug_host_id else {
            return Vec::new();
        };
        let state = host_state(online, self.gate.since).into_bytes();
        let older: &[u8] = if online { b"ONLINE" } else { b"OFFLINE" };
        let [topic, older_topic] = sparkplug::state_topics(host);
        vec![(topic, state), (older_topic, older.to_vec())]
    }
}
