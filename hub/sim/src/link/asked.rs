//! What is measured and waits until the hub asks: nothing tells whether an answer was stored, so a
//! measurement counts as handed over once it was asked for.

use super::Shared;
use crate::fleet::Device;
use crate::observation::Observation;
use crate::plan::{Content, Message};
use crate::tally::Outcome;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Who has measured nothing for so many cadences is without power and answers nobody.
const CADENCES_ALIVE: u32 = 3;
/// How often it is looked whether all is asked for at the end.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A connection that is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HungUp;

/// How a measurement is kept: under which name, and as what.
pub(super) type Reader<K, V> = fn(&Device, i64, &[Observation]) -> Option<(K, V)>;

/// The last measurement of one device.
#[derive(Debug)]
struct Kept<V> {
    value: V,
    alive_until: Instant,
    /// What nobody has asked for yet.
    unasked: Option<Message>,
}

/// The last measurements of all.
#[derive(Debug)]
pub(super) struct Asked<K, V> {
    pub(super) shared: Arc<Shared>,
    reader: Reader<K, V>,
    kept: Mutex<HashMap<K, Kept<V>>>,
}

impl<K: Eq + Hash, V: Clone> Asked<K, V> {
    pub(super) fn new(shared: Arc<Shared>, reader: Reader<K, V>) -> Self {
        Self {
            shared,
            reader,
            kept: Mutex::new(HashMap::new()),
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<K, Kept<V>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a measurement instead of the one before.
    fn measure(&self, message: Message) {
        self.shared.tally.count(|counts| counts.sent += 1);
        let device = self.shared.device(message.device);
        let measured = match (device, &message.content) {
            (Some(device), Content::Observations(all)) => (self.reader)(device, message.ts_ms, all)
                .map(|(key, value)| (key, value, device.cadence_s)),
            _ => None,
        };
        let Some((key, value, cadence_s)) = measured else {
            // Garbage, or something of a gateway that it is never asked for.
            return self.shared.settle(&message, Outcome::Unconfirmed);
        };
        let lives = Duration::from_secs(u64::from(cadence_s * CADENCES_ALIVE));
        let fresh = Kept {
            value,
            alive_until: Instant::now() + lives,
            unasked: Some(message),
        };
        let before = self.kept().insert(key, fresh);
        if let Some(overwritten) = before.and_then(|kept| kept.unasked) {
            self.shared.settle(&overwritten, Outcome::Skipped);
        }
    }

    /// Gives the last measurement of one that is alive.
    pub(super) fn ask(&self, key: &K) -> Option<V> {
        let mut kept = self.kept();
        let found = kept.get_mut(key)?;
        if found.alive_until < Instant::now() {
            return None;
        }
        if let Some(message) = found.unasked.take() {
            self.shared.settle(&message, Outcome::Unconfirmed);
        }
        Some(found.value.clone())
    }

    /// Fills it until so many have measured once, so that no question finds nothing.
    pub(super) async fn gather(&self, queue: &mut mpsc::Receiver<Message>, expected: usize) {
        while self.kept().len() < expected {
            match queue.recv().await {
                Some(message) => self.measure(message),
                None => return,
            }
        }
    }

    /// Fills it until the end, and waits for the last questions.
    pub(super) async fn fill(&self, queue: &mut mpsc::Receiver<Message>) {
        while let Some(message) = queue.recv().await {
            self.measure(message);
        }
        let waits = || self.kept().values().any(|kept| kept.unasked.is_some());
        while waits() && !self.shared.out_of_time() {
            self.shared.pause(LOOK_EVERY).await;
        }
    }

    /// Books what nobody has asked for to the end.
    pub(super) fn close(&self) {
        for kept in self.kept().values_mut() {
            if let Some(message) = kept.unasked.take() {
                self.shared.settle(&message, Outcome::Abandoned);
            }
        }
    }
}
