//! How the parts of the hub are doing: a board that the hub writes and the web reads.

use crate::{CanaryHealth, Figures, MirrorHealth, StorageHealth};
use model::Timestamp;
use sdk::Request;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// Whether a driver or sink works.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    Up,
    /// Failed, and waiting to be started again.
    Restarting,
    Down,
}

/// One driver instance, as `GET /api/v1/health` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriverHealth {
    pub kind: String,
    pub state: PartState,
    /// Since when it has been in this state.
    pub since: Timestamp,
    /// The real addresses of its listeners, by the name of their setting.
    pub addresses: BTreeMap<String, String>,
    pub restarts: u64,
    pub last_error: Option<String>,
}

/// Whether a sink delivers.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkState {
    Up,
    /// The last attempt failed; the next one comes.
    Retrying,
    /// People stopped it.
    Paused,
    /// Failed by itself, and waiting to be started again.
    Restarting,
}

/// One delivery, as `GET /api/v1/health` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SinkHealth {
    pub kind: String,
    pub state: SinkState,
    /// Since when it has been in this state.
    pub since: Timestamp,
    /// Everything up to this event is delivered, parked, or not for this subscriber.
    pub cursor: u64,
    /// Attempts to deliver the same events that have failed so far.
    pub attempts: u32,
    /// Events delivered since the delivery last started.
    pub delivered: u64,
    pub last_error: Option<String>,
}

/// Longer than the longest wait between two attempts: by then a receiver is not away for a moment.
const OWING_AFTER_MS: i64 = 120_000;

impl SinkHealth {
    /// Tells whether somebody has long been owed what the hub has for them. A delivery that people
    /// stopped, and what a receiver refused for good, is theirs to know.
    pub(crate) fn is_owing(&self, now: Timestamp) -> bool {
        match self.state {
            SinkState::Up | SinkState::Paused => false,
            SinkState::Restarting => true,
            SinkState::Retrying => now.since_ms(self.since) >= OWING_AFTER_MS,
        }
    }
}

#[derive(Debug, Default)]
struct Board {
    sinks: BTreeMap<String, SinkHealth>,
    mirrors: BTreeMap<String, MirrorHealth>,
    drivers: BTreeMap<String, DriverHealth>,
    addresses: BTreeMap<String, String>,
    requests: Option<mpsc::WeakSender<Request>>,
    canary: Option<CanaryHealth>,
    /// Devices that send faster than they may, and since when.
    fast: BTreeMap<String, Timestamp>,
    storage: Option<StorageHealth>,
    /// By driver and reason.
    refused: BTreeMap<(String, String), u64>,
}

/// The shared board.
#[derive(Clone, Debug)]
pub struct Health {
    pub(crate) version: &'static str,
    pub(crate) started_at: Timestamp,
    /// The same instant on the clock that nobody sets.
    begun: Instant,
    ready: Arc<AtomicBool>,
    board: Arc<Mutex<Board>>,
    /// Somebody wants the canary to be sent now.
    canary_wanted: Arc<Notify>,
    figures: Figures,
}

/// How full the writer's queue is.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct QueueDepth {
    pub(crate) queued: usize,
    pub(crate) capacity: usize,
}

impl Health {
    pub fn new(version: &'static str, started_at: Timestamp) -> Self {
        Self {
            version,
            started_at,
            begun: Instant::now(),
            ready: Arc::default(),
            board: Arc::default(),
            canary_wanted: Arc::default(),
            figures: Figures::default(),
        }
    }

    /// Gives where parts of the hub add the figures that they want shown.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Tells when the hub was started: before it took anything.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// Says whether telemetry is taken: true once every driver is bound, false when stopping.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// Tells by how much the clock was set since the start, in milliseconds: what it shows more than
    /// the time that went by.
    pub(crate) fn clock_moved_ms(&self, now: Timestamp) -> i64 {
        let passed = i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        now.since_ms(self.started_at).saturating_sub(passed)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Puts a driver on the board, replacing what it said before.
    pub fn put_driver(&self, name: &str, health: DriverHealth) {
        self.lock().drivers.insert(name.to_owned(), health);
    }

    /// Changes what the board says of a driver that is on it.
    pub fn change_driver(&self, name: &str, change: impl FnOnce(&mut DriverHealth)) {
        if let Some(driver) = self.lock().drivers.get_mut(name) {
            change(driver);
        }
    }

    /// Puts a delivery on the board; what was wrong before stays to be read.
    pub fn put_sink(&self, name: &str, health: SinkHealth) {
        let mut board = self.lock();
        let last_error = board
            .sinks
            .get_mut(name)
            .and_then(|sink| sink.last_error.take());
        let last_error = health.last_error.clone().or(last_error);
        let health = SinkHealth {
            last_error,
            ..health
        };
        board.sinks.insert(name.to_owned(), health);
    }

    /// Changes what the board says of a delivery that is on it.
    pub fn change_sink(&self, name: &str, change: impl FnOnce(&mut SinkHealth)) {
        if let Some(sink) = self.lock().sinks.get_mut(name) {
            change(sink);
        }
    }

    pub fn remove_sink(&self, name: &str) {
        self.lock().sinks.remove(name);
    }

    /// Gives the deliveries as they are now.
    pub fn sinks(&self) -> BTreeMap<String, SinkHealth> {
        self.lock().sinks.clone()
    }

    /// Puts a mirror on the board, replacing what it said before.
    pub fn put_mirror(&self, name: &str, health: MirrorHealth) {
        self.lock().mirrors.insert(name.to_owned(), health);
    }

    /// Gives the mirrors as they are now.
    pub fn mirrors(&self) -> BTreeMap<String, MirrorHealth> {
        self.lock().mirrors.clone()
    }

    /// Names the address of a listener that belongs to no driver, such as `http`.
    pub fn put_address(&self, name: &str, address: &str) {
        let address = address.to_owned();
        self.lock().addresses.insert(name.to_owned(), address);
    }

    /// Lets the board see how full the writer's queue is, without keeping it open.
    pub fn watch_queue(&self, requests: &mpsc::Sender<Request>) {
        self.lock().requests = Some(requests.downgrade());
    }

    /// Counts what a driver turned away before it became a value, such as a sign-in.
    pub fn count_refused(&self, driver: &str, reason: &str, n: u64) {
        let key = (driver.to_owned(), reason.to_owned());
        let mut board = self.lock();
        let count = board.refused.entry(key).or_default();
        *count = count.saturating_add(n);
    }

    /// Shows a device as too fast since then, or no more.
    pub fn put_fast(&self, device: &str, since: Option<Timestamp>) {
        let mut board = self.lock();
        match since {
            Some(since) => drop(board.fast.insert(device.to_owned(), since)),
            None => drop(board.fast.remove(device)),
        }
    }

    pub(crate) fn fast(&self) -> BTreeMap<String, Timestamp> {
        self.lock().fast.clone()
    }

    pub(crate) fn refused(&self) -> BTreeMap<(String, String), u64> {
        self.lock().refused.clone()
    }

    /// Gives the drivers as they are now.
    pub fn drivers(&self) -> BTreeMap<String, DriverHealth> {
        self.lock().drivers.clone()
    }

    /// Puts the canary on the board.
    pub fn put_canary(&self, canary: CanaryHealth) {
        self.lock().canary = Some(canary);
    }

    /// Changes what the board says of the canary, if it is on it.
    pub fn change_canary(&self, change: impl FnOnce(&mut CanaryHealth)) {
        if let Some(canary) = &mut self.lock().canary {
            change(canary);
        }
    }

    /// Gives what `GET /api/v1/health` shows of the canary, if it is on the board.
    pub fn canary_json(&self, now: Timestamp) -> Option<serde_json::Value> {
        self.canary().map(|canary| canary.to_json(now))
    }

    /// Puts the disk on the board.
    pub fn put_storage(&self, storage: StorageHealth) {
        self.lock().storage = Some(storage);
    }

    pub fn storage(&self) -> Option<StorageHealth> {
        self.lock().storage
    }

    /// Asks for a test now; however often, it is one.
    pub fn want_canary(&self) {
        self.canary_wanted.notify_one();
    }

    /// Waits until somebody wants a test now.
    pub async fn canary_wanted(&self) {
        self.canary_wanted.notified().await;
    }

    pub(crate) fn canary(&self) -> Option<CanaryHealth> {
        self.lock().canary.clone()
    }

    pub(crate) fn addresses(&self) -> BTreeMap<String, String> {
        self.lock().addresses.clone()
    }

    pub(crate) fn queue(&self) -> QueueDepth {
        let requests = self
            .lock()
            .requests
            .as_ref()
            .and_then(mpsc::WeakSender::upgrade);
        requests.map_or_else(QueueDepth::default, |requests| QueueDepth {
            queued: requests.max_capacity().saturating_sub(requests.capacity()),
            capacity: requests.max_capacity(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
