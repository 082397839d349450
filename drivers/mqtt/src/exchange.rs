//! What the hub and one client say to each other besides readings: births, answers, orders.

use crate::sparkplug::{Lives, Nodes};
use crate::thingsboard;
use model::DeviceKey;
use sdk::{Downlink, Line, Order, OrderError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Orders of one client that wait for an answer; the oldest is given up for another.
const OPEN_MAX: usize = 64;

/// Children that a gateway takes orders for.
const CHILDREN_MAX: usize = 4_096;

#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) nodes: Nodes,
    /// Topics and payloads that are to be said to the client.
    pub(crate) says: Vec<(String, Value)>,
    pub(crate) orders: Orders,
}

/// Orders to the device of this connection, or to its children.
#[derive(Debug)]
pub(crate) struct Orders {
    downlink: Downlink,
    /// There is one as soon as the client asks for orders.
    line: Option<(Line, mpsc::Receiver<Order>)>,
    own: Option<DeviceKey>,
    /// As the gateway calls them.
    children: BTreeMap<DeviceKey, String>,
    open: BTreeMap<u32, Order>,
    last: u32,
}

impl Exchange {
    pub(crate) fn new(lives: Arc<Lives>, rebirth_pause_s: u32, downlink: Downlink) -> Self {
        Self {
            nodes: Nodes::new(lives, rebirth_pause_s),
            says: Vec::new(),
            orders: Orders {
                downlink,
                line: None,
                own: None,
                children: BTreeMap::new(),
                open: BTreeMap::new(),
                last: 0,
            },
        }
    }
}

impl Orders {
    /// The client listens for orders from now on.
    pub(crate) fn listen(&mut self, own: DeviceKey) {
        let (line, _) = self.line.get_or_insert_with(|| self.downlink.line());
        line.bind(own);
        for child in self.children.keys() {
            line.bind(*child);
        }
        self.own = Some(own);
    }

    /// A gateway speaks for a child, and will pass its orders on if it listens for any.
    pub(crate) fn speaks_for(&mut self, child: DeviceKey, name: &str) {
        if self.own == Some(child) || self.children.len() >= CHILDREN_MAX {
            return;
        }
        let known = self.children.entry(child).or_default();
        if known != name {
            name.clone_into(known);
        }
        if let Some((line, _)) = &mut self.line {
            line.bind(child);
        }
    }

    /// Waits for an order; for ever, if the client does not listen.
    pub(crate) async fn next(&mut self) -> Order {
        if let Some((_, arriving)) = &mut self.line
            && let Some(order) = arriving.recv().await
        {
            return order;
        }
        std::future::pending().await
    }

    /// Gives topic and payload of an order, and keeps it until it is answered.
    pub(crate) fn send(&mut self, order: Order) -> (String, Value) {
        self.last = self.last.checked_add(1).unwrap_or(1);
        let child = self.children.get(&order.device).map(String::as_str);
        let child = child.filter(|_| self.own != Some(order.device));
        let said = thingsboard::order(self.last, child, &order.name, &order.args);
        if self.open.len() >= OPEN_MAX
            && let Some((_, oldest)) = self.open.pop_first()
        {
            oldest.answer(Err(OrderError::NoAnswer));
        }
        self.open.insert(self.last, order);
        said
    }

    /// Passes the device's answer on to whoever ordered.
    pub(crate) fn answered(&mut self, id: u32, answer: Value) {
        if let Some(order) = self.open.remove(&id) {
            order.answer(Ok(answer));
        }
    }
}
