//! Hands what comes from the bus to the sessions that subscribed, and never waits for one of them.

use crate::topics;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// Messages that may wait for one subscriber; what comes on top is lost for it, and counted.
const SUBSCRIBER_MESSAGES_MAX: usize = 1_024;

/// A live message on its way to subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LiveMessage {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
}

/// How much telemetry is wanted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) subscriptions: usize,
    /// The last commit before the first of these subscriptions was granted.
    pub(crate) since: u64,
}

/// The subscriptions of all sessions to what is live.
#[derive(Debug)]
pub(crate) struct Fanout {
    table: Mutex<Table>,
    /// Subscriptions to telemetry: while there are none, nobody tails the journal for them.
    telemetry_wanted: watch::Sender<Wanted>,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    next_number: u64,
    /// By topic; most subscriptions are a device's to its own commands.
    exact: HashMap<String, Vec<(u64, Sender)>>,
    /// With a wildcard; few.
    wild: Vec<(String, u64, Sender)>,
}

type Sender = mpsc::Sender<Arc<LiveMessage>>;

/// One session's end: its filters and what came for them.
#[derive(Debug)]
pub(crate) struct Subscriber {
    fanout: Arc<Fanout>,
    number: u64,
    sender: Sender,
    pub(crate) messages: mpsc::Receiver<Arc<LiveMessage>>,
    filters: Vec<String>,
}

impl Fanout {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::default(),
            telemetry_wanted: watch::channel(Wanted::default()).0,
            lost: AtomicU64::new(0),
        })
    }

    /// Tells how many subscriptions to telemetry there are, and when that changes.
    pub(crate) fn telemetry_wanted(&self) -> watch::Receiver<Wanted> {
        self.telemetry_wanted.subscribe()
    }

    /// Tells how many messages were lost since the start, to slow subscribers or a slow bus.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn count_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn subscriber(self: &Arc<Self>) -> Subscriber {
        let (sender, messages) = mpsc::channel(SUBSCRIBER_MESSAGES_MAX);
        let mut table = self.lock();
        table.next_number += 1;
        Subscriber {
            fanout: Arc::clone(self),
            number: table.next_number,
            sender,
            messages,
            filters: Vec::new(),
        }
    }

    /// Tells whether anybody would get a message on this topic.
    pub(crate) fn has_listener(&self, topic: &str) -> bool {
        let table = self.lock();
        table.exact.contains_key(topic)
            || table
                .wild
                .iter()
                .any(|(filter, _, _)| topics::matches(filter, topic))
    }

    pub(crate) fn dispatch(&self, topic: &str, payload: Bytes) {
        let table = self.lock();
        let exact = table.exact.get(topic).into_iter().flatten();
        let wild = table
            .wild
            .iter()
            .filter(|(filter, _, _)| topics::matches(filter, topic))
            .map(|(_, _, sender)| sender);
        let mut message = None;
        for sender in exact.map(|(_, sender)| sender).chain(wild) {
            let message = message.get_or_insert_with(|| {
                Arc::new(LiveMessage {
                    topic: topic.to_owned(),
                    payload: payload.clone(),
                })
            });
            if sender.try_send(Arc::clone(message)).is_err() {
                self.count_lost();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_telemetry(filter: &str) -> bool {
    filter.ends_with("/telemetry")
}

impl Subscriber {
    /// Adds a filter. `commit` is the last one that the journal had by now.
    pub(crate) fn add(&mut self, filter: &str, commit: u64) {
        if self.filters.iter().any(|known| known == filter) {
            return;
        }
        self.filters.push(filter.to_owned());
        let mut table = self.fanout.lock();
        if filter.contains(['+', '#']) {
            let entry = (filter.to_owned(), self.number, self.sender.clone());
            table.wild.push(entry);
        } else {
            let listeners = table.exact.entry(filter.to_owned()).or_default();
            listeners.push((self.number, self.sender.clone()));
        }
        drop(table);
        if is_telemetry(filter) {
            self.fanout.telemetry_wanted.send_modify(|wanted| {
                if wanted.subscriptions == 0 {
                    wanted.since = commit;
                }
                wanted.subscriptions += 1;
            });
        }
    }

    /// Removes a filter, and tells whether it was there.
    pub(crate) fn remove(&mut self, filter: &str) -> bool {
        let Some(index) = self.filters.iter().position(|known| known == filter) else {
            return false;
        };
        self.filters.swap_remove(index);
        let mut table = self.fanout.lock();
        table
            .wild
            .retain(|(known, number, _)| *number != self.number || known != filter);
        if let Some(listeners) = table.exact.get_mut(filter) {
            listeners.retain(|(number, _)| *number != self.number);
            if listeners.is_empty() {
                table.exact.remove(filter);
            }
        }
        drop(table);
        if is_telemetry(filter) {
            self.fanout
                .telemetry_wanted
                .send_modify(|wanted| wanted.subscriptions -= 1);
        }
        true
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        for filter in std::mem::take(&mut self.filters) {
            self.filters.push(filter.clone());
            self.remove(&filter);
        }
    }
}
