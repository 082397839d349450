//! Plays a script: which message reaches the hub when, the same at every performance.

use super::cast::Part;
use super::curve::{Moment, Value, staggered};
use super::script::{Fault, Script, Wrong};
use super::span::Span;
use super::track;
use crate::observation::{Measure, Observation};
use crate::plan::{Content, Message};
use crate::random::{Random, whole};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const DAY_MS: i64 = 86_400_000;
/// Messages of a backlog follow each other so fast.
const BACKLOG_STEP_MS: i64 = 10;

/// A device while it plays.
#[derive(Debug)]
struct Actor<'a> {
    part: Part<'a>,
    /// What it measures, and what the way to the hub does, do not move each other's numbers.
    random: Random,
    mishaps: Random,
    first: Span,
    turns: i64,
    last_ts_ms: i64,
    values: Vec<Value>,
    /// When the last message of the present backlog goes out.
    backlog_ms: i64,
}

#[derive(Debug, PartialEq)]
enum Step {
    Measure(usize),
    Arrive(Message),
}

/// A step and when it is due, in milliseconds; ties go by the order in which they were planned.
#[derive(Debug)]
struct Entry {
    due_ms: i64,
    order: u64,
    step: Step,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.due_ms, self.order) == (other.due_ms, other.order)
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
        (self.due_ms, self.order).cmp(&(other.due_ms, other.order))
    }
}

/// The performance.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    script: &'a Script,
    /// What the devices take for the start.
    start_ms: i64,
    actors: Vec<Actor<'a>>,
    waiting: BinaryHeap<Reverse<Entry>>,
    order: u64,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(script: &'a Script, parts: &[Part<'a>], start_ms: i64) -> Self {
        let mut stage = Self {
            script,
            start_ms,
            actors: Vec::with_capacity(parts.len()),
            waiting: BinaryHeap::with_capacity(parts.len()),
            order: 0,
        };
        for (index, part) in parts.iter().enumerate() {
            let stream = 2 * index as u64;
            let mut random = Random::new(script.seed, stream);
            let cadence_ms = i64::from(part.group.cadence_s) * 1000;
            let spread = whole(random.unit() * cadence_ms as f64);
            let first = part.group.first.unwrap_or(Span(spread));
            let curves = part.group.values.values();
            stage.actors.push(Actor {
                part: *part,
                values: curves.map(|curve| Value::new(curve, &mut random)).collect(),
                random,
                mishaps: Random::new(script.seed, stream + 1),
                first,
                turns: 0,
                last_ts_ms: i64::MIN,
                backlog_ms: 0,
            });
            stage.push(first.0, Step::Measure(index));
        }
        stage
    }

    /// Gives the next message and how many milliseconds after the start it is received; `None`
    /// when the script is over.
    pub(crate) fn next(&mut self) -> Option<(i64, Message)> {
        loop {
            let Reverse(entry) = self.waiting.pop()?;
            if entry.due_ms > self.script.duration.0 {
                return None;
            }
            match entry.step {
                Step::Arrive(message) => return Some((entry.due_ms, message)),
                Step::Measure(index) => self.measure(index, Span(entry.due_ms)),
            }
        }
    }

    /// Lets a device measure, plans its next turn and the way of its message.
    fn measure(&mut self, index: usize, at: Span) {
        let zone_ms = self.script.start.zone_ms;
        let local_ms = (self.script.start.ms + zone_ms + at.0).rem_euclid(DAY_MS);
        let moment = Moment {
            at,
            hour: local_ms as f64 / 3_600_000.0,
        };
        let Some(actor) = self.actors.get_mut(index) else {
            return;
        };
        let group = actor.part.group;
        actor.turns += 1;
        let turn_ms = actor.first.0 + actor.turns * i64::from(group.cadence_s) * 1000;
        let jitter_ms = whole(actor.random.unit() * group.jitter_s * 1000.0);
        let observations = actor.observe(moment);
        let ts_ms = actor.stamp(self.start_ms + at.0, at);
        let message = Message {
            device: index,
            ts_ms,
            content: Content::Observations(observations),
        };
        let arrivals = actor.way(at);
        self.push(turn_ms + jitter_ms, Step::Measure(index));
        for due_ms in arrivals {
            self.push(due_ms, Step::Arrive(message.clone()));
        }
    }

    fn push(&mut self, due_ms: i64, step: Step) {
        self.order += 1;
        self.waiting.push(Reverse(Entry {
            due_ms,
            order: self.order,
            step,
        }));
    }
}

impl Actor<'_> {
    fn observe(&mut self, moment: Moment) -> Vec<Observation> {
        let group = self.part.group;
        let mut observations = Vec::with_capacity(group.values.len() + 1);
        for ((metric, curve), value) in group.values.iter().zip(&mut self.values) {
            let value = value.at(curve, self.part.number, moment, &mut self.random);
            observations.push(Observation {
                metric: metric.clone().into(),
                measure: Measure::Number {
                    value,
                    decimals: curve.decimals,
                },
            });
        }
        if let Some(place) = &group.position {
            observations.push(Observation {
                metric: "position".into(),
                measure: track::fix(place, self.part, moment.at, &mut self.random),
            });
        }
        observations
    }

    /// Gives the time by the device's own clock; no two messages share one.
    fn stamp(&mut self, now_ms: i64, at: Span) -> i64 {
        let offset_s = self.fault(Wrong::Clock, at).map_or(0.0, |f| f.offset_s);
        let mut ts_ms = now_ms + whole(offset_s * 1000.0);
        if ts_ms == self.last_ts_ms {
            ts_ms += 1;
        }
        self.last_ts_ms = ts_ms;
        ts_ms
    }

    /// Gives when the message arrives, if at all; twice if it is repeated.
    fn way(&mut self, at: Span) -> Vec<i64> {
        let link = self.part.group.link;
        let number = self.part.number;
        let mut draw = || self.mishaps.unit();
        let mut delay_s = link.delay_s + link.delay_spread_s * draw();
        let lost = 100.0 * draw() < link.loss_pct;
        let doubled = 100.0 * draw() < link.duplicate_pct;
        if 100.0 * draw() < link.reorder_pct {
            delay_s += link.reorder_s;
        }
        let again_s = delay_s + 1.0 + 4.0 * draw();
        if lost || self.fault(Wrong::Silent, at).is_some() {
            return Vec::new();
        }
        if let Some(fault) = self.fault(Wrong::Backlog, at) {
            let to = fault.to.unwrap_or_default();
            let opens_ms = staggered(to, fault.stagger, number).0;
            self.backlog_ms = opens_ms.max(self.backlog_ms + BACKLOG_STEP_MS);
            return vec![self.backlog_ms];
        }
        let arrives = |s: f64| at.0 + whole(s * 1000.0);
        let mut arrivals = vec![arrives(delay_s)];
        if doubled {
            arrivals.push(arrives(again_s));
        }
        arrivals
    }

    fn fault(&self, what: Wrong, at: Span) -> Option<&Fault> {
        let number = self.part.number;
        let faults = &self.part.group.faults;
        faults
            .iter()
            .filter(|fault| fault.what == what)
            .find(|fault| {
                let from = staggered(fault.from, fault.stagger, number);
                let to = fault.to.map(|to| staggered(to, fault.stagger, number));
                let own = fault.only.as_ref().is_none_or(|only| only.has(number));
                own && at >= from && to.is_none_or(|to| at < to)
            })
    }
}
