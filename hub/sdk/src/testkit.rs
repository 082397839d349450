//! A writer, a register and a feed for drivers' tests: no disk, and the test decides when a commit
//! happens.

use crate::{
    Access, Clock, Context, DeviceEntry, Devices, Done, Downlink, DriverKey, Feed, FeedError,
    Ingest, Intake, KeptSession, LiveBatch, Mark, Operator, Pending, PendingSession, Profiles,
    Receipt, Refusals, Request, SecretHash, SecretSalt, Submission, Tail, TokenHash, TokenTable,
};
use model::{Catalogue, Device, DeviceKey, Event, MetricKey, Reading};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub mod conformance;
pub mod rig;

/// A feed that a test fills.
#[derive(Debug, Default)]
pub struct FakeFeed {
    pub events: Mutex<Vec<Event>>,
    pub cursors: Mutex<HashMap<String, u64>>,
    pub sessions: Mutex<HashMap<String, KeptSession>>,
    pub live: Mutex<Vec<LiveBatch>>,
}

impl Feed for FakeFeed {
    fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>, FeedError> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(events
            .iter()
            .filter(|event| event.seq > after)
            .take(limit)
            .cloned()
            .collect())
    }

    fn live(&self, after: u64, _limit: usize) -> Result<LiveBatch, FeedError> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = LiveBatch {
            commit: after,
            readings: Vec::new(),
        };
        for batch in live.iter().filter(|batch| batch.commit > after) {
            all.commit = batch.commit;
            all.readings.extend_from_slice(&batch.readings);
        }
        Ok(all)
    }

    fn cursor(&self, name: &str) -> Result<Option<u64>, FeedError> {
        Ok(self
            .cursors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .copied())
    }

    fn session(&self, name: &str) -> Result<Option<KeptSession>, FeedError> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(sessions.get(name).cloned())
    }

    fn latest(&self, device: DeviceKey) -> Vec<Reading> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let readings = live.iter().flat_map(|batch| &batch.readings);
        let mut latest: HashMap<MetricKey, Reading> = HashMap::new();
        for reading in readings.filter(|reading| reading.series.device == device) {
            latest.insert(reading.series.metric, *reading);
        }
        latest.into_values().collect()
    }
}

impl FakeFeed {
    /// Keeps a session, or ends it with its cursor, and says so.
    pub fn keep_session(&self, pending: PendingSession) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let name = pending.name.clone();
        if let Some(session) = pending.session.clone() {
            sessions.insert(name, session);
        } else {
            sessions.remove(&name);
            let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
            cursors.remove(&name);
        }
        drop(sessions);
        pending.confirm();
    }
}

/// Read once: fuzzers make a kit for every input.
static CATALOGUE: LazyLock<Arc<Catalogue>> = LazyLock::new(|| Arc::new(Catalogue::built_in()));

/// Both ends of a hub that is not there.
#[derive(Debug)]
pub struct Kit {
    pub cx: Context,
    pub requests: mpsc::Receiver<Request>,
    pub refusals: Refusals,
    pub feed: Arc<FakeFeed>,
    pub mark: watch::Sender<Mark>,
}

/// The tokens that [`Kit::new`] knows: `token-<role>` for each role.
fn tokens() -> TokenTable {
    let actor = |role: crate::Role| crate::Actor {
        name: role.name().to_owned(),
        role,
    };
    crate::Role::ALL
        .into_iter()
        .map(|role| {
            (
                TokenHash::of(&format!("token-{}", role.name())),
                actor(role),
            )
        })
        .collect()
}

impl Kit {
    /// Registers `devices` (JSON as in the contract), each with the secret `s-<id>`; keys count
    /// from 1 in order.
    pub fn new(devices: &[&str]) -> Self {
        let salt = SecretSalt([1; 16]);
        let register = Devices::new(salt);
        register.put(devices.iter().zip(1u32..).map(|(json, key)| {
            let device: Device = serde_json::from_str(json).expect("test devices are valid");
            let secret = SecretHash::of(salt, &format!("s-{}", device.id));
            DeviceEntry {
                key: DeviceKey(key),
                device,
                secret: Some(secret),
                grid: None,
            }
        }));
        let (sender, intake) = Intake::open();
        let (mark, receiver) = watch::channel(Mark::default());
        let feed = Arc::new(FakeFeed::default());
        let tail = Tail {
            feed: Arc::<FakeFeed>::clone(&feed),
            mark: receiver,
            urgent: watch::channel(0).1,
        };
        let cx = Context {
            name: "test".to_owned(),
            ingest: Ingest::new(DriverKey(1), sender.clone(), intake.refusals.clone()),
            operator: Operator::new(sender),
            devices: register,
            catalogue: Arc::clone(&CATALOGUE),
            access: Access::new(tokens(), || None),
            addresses: crate::Addresses::default(),
            tail,
            downlink: Downlink::default(),
            profiles: Profiles::default(),
            clock: Clock::System,
            certificates: tls::Certificates::default(),
            stop: CancellationToken::new(),
            city_code: "350200".to_owned(),
        };
        Self {
            cx,
            requests: intake.requests,
            refusals: intake.refusals,
            feed,
            mark,
        }
    }

    /// Waits for the next submission, without confirming it.
    pub async fn next(&mut self) -> Option<Pending> {
        loop {
            match self.requests.recv().await? {
                Request::Submit(pending) => return Some(pending),
                Request::MoveCursor { name, seq } => {
                    let mut cursors = self
                        .feed
                        .cursors
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    cursors.insert(name, seq);
                }
                Request::Delivered(_) | Request::Mirrored(_) => {}
                Request::KeepSession(pending) => self.feed.keep_session(pending),
                Request::Command(command) => {
                    command.answer(Ok(Done {
                        seq: 0,
                        body: serde_json::Value::Null,
                    }));
                }
            }
        }
    }

    /// Waits for the next submission and confirms that all of it was stored.
    pub async fn store_next(&mut self) -> Option<Submission> {
        let pending = self.next().await?;
        let submission = pending.submission.clone();
        let stored = submission
            .parts
            .iter()
            .map(|part| part.observations.len() as u64)
            .sum();
        pending.confirm(Receipt {
            seq: 1,
            stored,
            ..Receipt::default()
        });
        Some(submission)
    }
}
