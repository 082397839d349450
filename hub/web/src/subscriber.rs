//! Those who are sent events, as the API shows them: a list that the writer keeps, and that the
//! deliveries follow.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::watch;

/// One subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscriber {
    #[serde(skip)]
    pub name: String,
    /// Counts every change; the delivery starts anew with each.
    pub revision: u64,
    /// Which life of it this is: another one after a replay.
    pub epoch: u64,
    /// It is of the configuration, and the API cannot change it.
    pub configured: bool,
    pub paused: bool,
    /// With its secrets: never to be shown.
    pub spec: Value,
    /// The same without them.
    #[serde(skip)]
    pub shown: Value,
}

impl Subscriber {
    /// Names its durable cursor.
    pub fn cursor_name(name: &str) -> String {
        format!("sink:{name}")
    }

    /// Gives the form of `GET /api/v1/subscriptions/{name}`.
    pub fn to_json(&self) -> Value {
        let mut row = Map::new();
        row.insert("name".to_owned(), self.name.as_str().into());
        row.insert("revision".to_owned(), self.revision.into());
        row.insert("configured".to_owned(), self.configured.into());
        row.insert("paused".to_owned(), self.paused.into());
        if let Value::Object(spec) = &self.shown {
            row.extend(spec.clone());
        }
        Value::Object(row)
    }
}

/// The shared list, changed by the writer after each commit.
#[derive(Clone, Debug)]
pub struct Subscribers {
    list: Arc<RwLock<BTreeMap<String, Subscriber>>>,
    changes: watch::Sender<u64>,
}

impl Default for Subscribers {
    fn default() -> Self {
        Self {
            list: Arc::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl Subscribers {
    pub fn put(&self, subscriber: Subscriber) {
        self.list
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(subscriber.name.clone(), subscriber);
        self.changes.send_modify(|count| *count += 1);
    }

    pub fn remove(&self, name: &str) {
        self.list
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
        self.changes.send_modify(|count| *count += 1);
    }

    pub fn find(&self, name: &str) -> Option<Subscriber> {
        self.list
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// Lists every subscription in the order of its name.
    pub fn all(&self) -> Vec<Subscriber> {
        self.list
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Tells of every change of the list.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
