//! How fast a device may speak: a bucket of values for each, shared by all drivers.
//!
//! What is over the rate waits for its turn, so that a device which sends what it kept during an
//! outage is slowed and loses nothing. Only what would have to wait too long is refused.

use crate::{DeviceEntry, Devices, DriverKey, Submission};
use model::DeviceKey;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a message waits for its turn at most; what would wait longer is refused.
pub const TURN_DEADLINE: Duration = Duration::from_secs(5);

/// Messages of one device that wait at once. Each holds a place of its driver, which others need.
const WAITING_MAX: u32 = 8;

/// A device that was not too fast for so long is not too fast any more.
const CALM: Duration = Duration::from_secs(60);

/// So many bytes that could not be decoded weigh as much as one value.
const BYTES_A_VALUE: usize = 64;

/// What one device may send.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Quota {
    /// Values a second, in the long run.
    pub values_per_s: u32,
    /// Values at once after a silence.
    pub burst: u32,
}

impl Quota {
    /// Gives the quota, or nothing where the rate is 0: no limit.
    pub fn new(values_per_s: u32, burst: u32) -> Option<Self> {
        (values_per_s > 0).then_some(Self {
            values_per_s,
            burst,
        })
    }

    fn seconds(self, values: f64) -> Duration {
        Duration::from_secs_f64((values / f64::from(self.values_per_s)).max(0.0))
    }
}

/// A device began to be too fast, or has been calm for long enough.
#[derive(Clone, Debug, PartialEq)]
pub struct Tempo {
    pub device: DeviceKey,
    pub quota: Quota,
    /// `None` at the beginning; values that were refused, and for how long it was too fast, at the
    /// end.
    pub ended: Option<(u64, Duration)>,
}

/// The buckets of all devices. Clones share them; the default sets no limit.
#[derive(Clone, Debug, Default)]
pub struct Quotas {
    desk: Option<Arc<Desk>>,
}

#[derive(Debug)]
struct Desk {
    general: Option<Quota>,
    /// Quotas of their own, by the id of the device.
    own: HashMap<String, Option<Quota>>,
    devices: Devices,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    buckets: HashMap<DeviceKey, Bucket>,
    /// Devices that are too fast.
    fast: BTreeMap<DeviceKey, Fast>,
    begun: Vec<DeviceKey>,
    swept_at: Option<Instant>,
    /// Values that were refused and not counted yet.
    refused: BTreeMap<(DriverKey, DeviceKey), u64>,
}

#[derive(Debug)]
struct Bucket {
    quota: Option<Quota>,
    /// Values in hand; below zero it is what was let in ahead of its time.
    balance: f64,
    at: Instant,
    waiting: u32,
}

#[derive(Debug)]
struct Fast {
    quota: Quota,
    since: Instant,
    last: Instant,
    refused: u64,
}

impl Bucket {
    /// Fills up to now, and tells how long the next message has to wait.
    fn fill(&mut self, now: Instant) -> Duration {
        let Some(quota) = self.quota else {
            return Duration::ZERO;
        };
        let gained = now.saturating_duration_since(self.at).as_secs_f64();
        let balance = self.balance + gained * f64::from(quota.values_per_s);
        self.balance = balance.min(f64::from(quota.burst));
        self.at = self.at.max(now);
        quota.seconds(-self.balance)
    }
}

/// The turn of one submission. Dropping it gives its place to another one.
#[derive(Debug)]
pub struct Turn {
    wait: Duration,
    holds: Vec<DeviceKey>,
    desk: Option<Arc<Desk>>,
}

impl Turn {
    /// How long it is until its turn.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Waits for it.
    pub async fn come(self) {
        if !self.wait.is_zero() {
            tokio::time::sleep(self.wait).await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(desk) = self.desk.take().filter(|_| !self.holds.is_empty()) else {
            return;
        };
        let mut state = desk.lock();
        for device in &self.holds {
            if let Some(bucket) = state.buckets.get_mut(device) {
                bucket.waiting = bucket.waiting.saturating_sub(1);
            }
        }
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn quota_of(&self, device: DeviceKey) -> Option<Quota> {
        let own = |entry: &DeviceEntry| self.own.get(entry.device.id.as_str()).copied();
        let entry = self.devices.get(device).filter(|_| !self.own.is_empty());
        entry.and_then(|entry| own(&entry)).unwrap_or(self.general)
    }
}

impl Quotas {
    /// Makes the buckets; every device begins with its whole burst in hand.
    pub fn new(
        general: Option<Quota>,
        own: HashMap<String, Option<Quota>>,
        devices: Devices,
    ) -> Self {
        let is_needed = general.is_some() || own.values().any(Option::is_some);
        let desk = Desk {
            general,
            own,
            devices,
            state: Mutex::default(),
        };
        Self {
            desk: is_needed.then(|| Arc::new(desk)),
        }
    }

    /// Gives a submission its turn. An error says after how long it may be tried again; then all of
    /// it is refused and counted so.
    ///
    /// Whoever has not spent more than it may is let in whatever the size, and pays for it after.
    pub(crate) fn turn(
        &self,
        driver: DriverKey,
        submission: &Submission,
    ) -> Result<Turn, Duration> {
        let mut turn = Turn {
            wait: Duration::ZERO,
            holds: Vec::new(),
            desk: None,
        };
        let Some(desk) = &self.desk else {
            return Ok(turn);
        };
        let now = Instant::now();
        let mut state = desk.lock();
        let mut too_long = None;
        for part in &submission.parts {
            let (wait, is_too_long) = state.look(desk, part.device, now);
            if is_too_long {
                too_long = too_long.max(Some(wait));
            }
            turn.wait = turn.wait.max(wait);
        }
        if let Some(wait) = too_long {
            state.refuse(driver, submission);
            return Err(wait);
        }
        turn.holds = state.charge(submission, !turn.wait.is_zero());
        drop(state);
        turn.desk = Some(Arc::clone(desk));
        Ok(turn)
    }

    /// Tells whether there is something that [`Quotas::drain`] would give.
    pub fn has_news(&self) -> bool {
        self.desk.as_ref().is_some_and(|desk| {
            let state = desk.lock();
            let now = Instant::now();
            !state.begun.is_empty()
                || !state.refused.is_empty()
                || state.fast.values().any(|fast| fast.is_over(now))
        })
    }

    /// Takes the values that were refused since the last time, and whose tempo has changed.
    pub fn drain(&self) -> (BTreeMap<(DriverKey, DeviceKey), u64>, Vec<Tempo>) {
        let Some(desk) = &self.desk else {
            return Default::default();
        };
        let mut state = desk.lock();
        let now = Instant::now();
        let begun = std::mem::take(&mut state.begun);
        let mut news: Vec<Tempo> = begun
            .into_iter()
            .filter_map(|device| {
                let quota = state.fast.get(&device)?.quota;
                Some(Tempo {
                    device,
                    quota,
                    ended: None,
                })
            })
            .collect();
        state.fast.retain(|device, fast| {
            if fast.is_over(now) {
                let lasted = fast.last.saturating_duration_since(fast.since);
                news.push(Tempo {
                    device: *device,
                    quota: fast.quota,
                    ended: Some((fast.refused, lasted)),
                });
            }
            !fast.is_over(now)
        });
        let is_swept = |at: Instant| now.saturating_duration_since(at) < CALM;
        if state.swept_at.is_none_or(|at| !is_swept(at)) {
            state.swept_at = Some(now);
            state.sweep(now);
        }
        (std::mem::take(&mut state.refused), news)
    }

    /// Gives the devices that are too fast now, with the values that were refused of each.
    pub fn fast(&self) -> Vec<(DeviceKey, Quota, u64)> {
        let Some(desk) = &self.desk else {
            return Vec::new();
        };
        let state = desk.lock();
        let fast = state.fast.iter();
        fast.map(|(device, fast)| (*device, fast.quota, fast.refused))
            .collect()
    }
}

impl State {
    /// Tells how long a message of the device would wait, and whether that is too long.
    fn look(&mut self, desk: &Desk, device: DeviceKey, now: Instant) -> (Duration, bool) {
        let bucket = self.buckets.entry(device).or_insert_with(|| {
            let quota = desk.quota_of(device);
            Bucket {
                quota,
                balance: quota.map_or(0.0, |quota| f64::from(quota.burst)),
                at: now,
                waiting: 0,
            }
        });
        let wait = bucket.fill(now);
        let Some(quota) = bucket.quota.filter(|_| !wait.is_zero()) else {
            return (Duration::ZERO, false);
        };
        let fast = self.fast.entry(device).or_insert_with(|| {
            self.begun.push(device);
            Fast {
                quota,
                since: now,
                last: now,
                refused: 0,
            }
        });
        fast.last = now;
        let is_too_long = wait > TURN_DEADLINE || bucket.waiting >= WAITING_MAX;
        (wait, is_too_long)
    }

    /// Has the devices of a submission pay for it; gives those that wait with it.
    fn charge(&mut self, submission: &Submission, waits: bool) -> Vec<DeviceKey> {
        let mut holds = Vec::new();
        for part in &submission.parts {
            let Some(bucket) = self.buckets.get_mut(&part.device) else {
                continue;
            };
            if waits && !holds.contains(&part.device) {
                bucket.waiting += 1;
                holds.push(part.device);
            }
            bucket.balance -= f64::from(part.received.max(1));
        }
        for frame in &submission.quarantined {
            let weight = u32::try_from(frame.bytes.len() / BYTES_A_VALUE).unwrap_or(u32::MAX);
            let bucket = frame.device.and_then(|key| self.buckets.get_mut(&key));
            if let Some(bucket) = bucket {
                bucket.balance -= f64::from(weight);
            }
        }
        holds
    }

    /// A bucket that is full again is as good as none.
    fn sweep(&mut self, now: Instant) {
        self.buckets.retain(|_, bucket| {
            bucket.fill(now);
            bucket.waiting > 0
                || bucket
                    .quota
                    .is_some_and(|quota| bucket.balance < f64::from(quota.burst))
        });
    }

    fn refuse(&mut self, driver: DriverKey, submission: &Submission) {
        for part in &submission.parts {
            let values = u64::from(part.received);
            *self.refused.entry((driver, part.device)).or_default() += values;
            if let Some(fast) = self.fast.get_mut(&part.device) {
                fast.refused += values;
            }
        }
    }
}

impl Fast {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= CALM
    }
}

#[cfg(test)]
mod tests;
