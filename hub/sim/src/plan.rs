//! Which message is sent when: an endless, repeatable list for a fleet, a seed and a start.

use crate::demo::{Cast, cast};
use crate::fault::{FaultShare, Mishaps, Shares, garbage};
use crate::fleet::Fleet;
use crate::kind::Kind;
use crate::observation::{Observation, log_line, payload};
use crate::random::{Random, whole};
use crate::signal::{Moment, Signal};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A device can stamp at most so many messages a second, because no two may share a device time.
pub(crate) const DEVICE_RATE_MAX: f64 = 500.0;

/// What the plan depends on, besides the fleet.
#[derive(Clone, Debug)]
pub(crate) struct PlanSpec {
    pub(crate) seed: u64,
    pub(crate) start_ms: i64,
    /// The fleet is that of the demo city.
    pub(crate) demo: bool,
    /// Messages a second in all; without it every device keeps its cadence.
    pub(crate) rate: Option<f64>,
    pub(crate) faults: Vec<FaultShare>,
}

/// One message of one device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    /// Index in the fleet.
    pub(crate) device: usize,
    pub(crate) ts_ms: i64,
    pub(crate) content: Content,
}

/// What a message carries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Observations(Vec<Observation>),
    Garbage(Vec<u8>),
}

impl Message {
    /// Writes the payload; a repeated call gives the same bytes.
    pub(crate) fn payload(&self) -> Vec<u8> {
        match &self.content {
            Content::Observations(observations) => payload(self.ts_ms, observations).into_bytes(),
            Content::Garbage(bytes) => bytes.clone(),
        }
    }

    /// Writes the line of the ack log; garbage has none, for nothing of it need be stored.
    pub(crate) fn log_line(&self, device: &str) -> Option<String> {
        match &self.content {
            Content::Observations(observations) if observations.is_empty() => None,
            Content::Observations(observations) => Some(log_line(device, self.ts_ms, observations)),
            Content::Garbage(_) => None,
        }
    }

    /// Counts the values that an acknowledgement vouches for.
    pub(crate) fn values(&self) -> u64 {
        match &self.content {
            Content::Observations(observations) => observations.len() as u64,
            Content::Garbage(_) => 0,
        }
    }
}

/// A device as the plan sees it.
#[derive(Debug)]
struct Actor {
    random: Random,
    signal: Signal,
    /// What it plays in the demo.
    cast: Option<Cast>,
    mishaps: Mishaps,
    interval_us: i64,
    last_due_us: Option<i64>,
    last_ts_ms: i64,
}

#[derive(Debug, PartialEq)]
enum Step {
    /// The device measures.
    Measure(usize),
    /// A message that was held back or repeated goes out.
    Send(Message),
}

/// A step and when it is due; ties go by the order in which they were planned.
#[derive(Debug)]
struct Entry {
    due_us: i64,
    order: u64,
    step: Step,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.due_us, self.order) == (other.due_us, other.order)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due_us, self.order).cmp(&(other.due_us, other.order))
    }
}

/// The endless list.
#[derive(Debug)]
pub(crate) struct Plan {
    spec: PlanSpec,
    shares: Shares,
    actors: Vec<Actor>,
    metrics: Vec<&'static str>,
    waiting: BinaryHeap<Reverse<Entry>>,
    order: u64,
}

impl Plan {
    pub(crate) fn new(fleet: &Fleet, spec: PlanSpec) -> Self {
        let shares = Shares::new(&spec.faults);
        let mut plan = Self {
            actors: Vec::with_capacity(fleet.devices.len()),
            metrics: fleet
                .devices
                .iter()
                .map(|device| first_metric(device.kind))
                .collect(),
            waiting: BinaryHeap::with_capacity(fleet.devices.len()),
            order: 0,
            shares,
            spec,
        };
        let casts = if plan.spec.demo {
            cast(fleet, plan.spec.seed)
        } else {
            Vec::new()
        };
        for (index, device) in fleet.devices.iter().enumerate() {
            let stream = index as u64;
            let mut random = Random::new(plan.spec.seed, 2 * stream);
            let mishaps = Random::new(plan.spec.seed, 2 * stream + 1);
            let mishaps = Mishaps::new(mishaps, &plan.shares);
            let interval_us = match plan.spec.rate {
                Some(rate) => whole(1e6 * fleet.devices.len() as f64 / rate).max(1),
                None => i64::from(device.cadence_s) * 1_000_000,
            };
            let phase_us = whole(random.unit() * interval_us as f64);
            let cast = casts.get(index).cloned();
            let signal = Signal::new(device, cast.as_ref(), &mut random);
            plan.actors.push(Actor {
                random,
                signal,
                cast,
                mishaps,
                interval_us,
                last_due_us: None,
                last_ts_ms: i64::MIN,
            });
            plan.push(phase_us, Step::Measure(index));
        }
        plan
    }

    /// Gives the next message and when it is sent, in microseconds after the start; `None` only
    /// for an empty fleet.
    pub(crate) fn next(&mut self) -> Option<(i64, Message)> {
        loop {
            let Reverse(entry) = self.waiting.pop()?;
            match entry.step {
                Step::Send(message) => return Some((entry.due_us, message)),
                Step::Measure(device) => {
                    if let Some(message) = self.measure(device, entry.due_us) {
                        return Some((entry.due_us, message));
                    }
                }
            }
        }
    }

    /// Lets a device measure and plans its next turn; answers what it sends at once.
    fn measure(&mut self, device: usize, due_us: i64) -> Option<Message> {
        let actor = self.actors.get_mut(device)?;
        // Even, and later than the last one: no two messages of a device share a time.
        let due_ms = (self.spec.start_ms + due_us / 1000) & !1;
        let now_ms = due_ms.max(actor.last_ts_ms.saturating_add(2));
        let step_us = due_us - actor.last_due_us.unwrap_or(due_us);
        let moment = Moment {
            now_ms,
            elapsed_s: due_us as f64 / 1e6,
            step_s: step_us as f64 / 1e6,
        };
        let observations = actor.signal.sample(moment, &mut actor.random);
        actor.last_ts_ms = now_ms;
        actor.last_due_us = Some(due_us);
        let verdict = actor
            .mishaps
            .strike(due_us, actor.interval_us, &self.shares);
        let part = actor.cast.as_ref().map(|cast| &cast.part);
        let silent = part.is_some_and(|part| part.silent(moment.elapsed_s));
        let ahead_ms = part.map_or(0, |part| part.clock_ms(moment.elapsed_s));
        let ts_ms = now_ms + verdict.ts_shift_ms + ahead_ms;
        let content = if verdict.garbage {
            let metric = self.metrics.get(device).copied().unwrap_or_default();
            // Seeded by device and time, so that garbage disturbs no other draw.
            let mut random = Random::new(self.spec.seed ^ device as u64, ts_ms.unsigned_abs());
            Content::Garbage(garbage(&mut random, ts_ms, metric))
        } else {
            Content::Observations(observations)
        };
        let message = Message {
            device,
            ts_ms,
            content,
        };
        let next_us = due_us + actor.interval_us;
        self.push(next_us, Step::Measure(device));
        if verdict.dropped || silent {
            return None;
        }
        let send_us = verdict.hold_until_us.unwrap_or(due_us);
        if let Some(after_us) = verdict.repeat_after_us {
            self.push(send_us + after_us, Step::Send(message.clone()));
        }
        if verdict.hold_until_us.is_some() {
            self.push(send_us, Step::Send(message));
            return None;
        }
        Some(message)
    }

    fn push(&mut self, due_us: i64, step: Step) {
        self.order += 1;
        self.waiting.push(Reverse(Entry {
            due_us,
            order: self.order,
            step,
        }));
    }
}

/// The metric that garbage of this kind pretends to carry.
fn first_metric(kind: Kind) -> &'static str {
    match kind {
        Kind::GasPressure => "pressure_kpa",
        Kind::Smoke => "smoke_obscuration_dbm",
        Kind::Noise => "laeq_dba",
        Kind::Dust => "pm10_ugm3",
        Kind::BikeFence => "parked_count",
        Kind::Bike => "battery_pct",
        Kind::Gateway => "signal_dbm",
        Kind::Camera => "online",
        Kind::Sewage => "cod_mgl",
        Kind::Truck => "speed_kmh",
    }
}

#[cfg(test)]
mod tests;
