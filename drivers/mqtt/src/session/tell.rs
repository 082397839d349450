//! What the hub says to one client alone: answers, orders, and to nodes of Sparkplug B its state.

use super::Session;
use crate::identity::Principal;
use crate::packet;
use crate::{sparkplug, thingsboard, topics};
use codecs::sparkplug::{host_state, rebirth};
use sdk::Order;

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

    /// Says what the last messages gave occasion to: answers, and questions for births.
    pub(super) fn tell_answers(&mut self) {
        for (topic, payload) in std::mem::take(&mut self.exchange.says) {
            self.tell(&topic, payload.to_string().as_bytes());
        }
        for topic in std::mem::take(&mut self.exchange.nodes.asks) {
            let command = rebirth(self.gate.cx.clock.now());
            self.tell(&topic, &command);
        }
    }

    /// Takes orders for a device that has just subscribed to them.
    pub(super) fn hear_orders(&mut self, filters: &[String]) {
        let wants = |filter: &String| thingsboard::wants_orders(filter);
        if let Principal::Device { entry, .. } = &self.principal
            && filters.iter().any(wants)
        {
            self.exchange.orders.listen(entry.key);
        }
    }

    /// Passes an order on.
    pub(super) fn tell_order(&mut self, order: Order) {
        let (topic, payload) = self.exchange.orders.send(order);
        self.tell(&topic, payload.to_string().as_bytes());
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
