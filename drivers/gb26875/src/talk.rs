//! What is said to a transmission device: confirmations after the commit, denials, and orders.

use crate::frame::{self, Address, Found, Head, Stamp, command};
use crate::panel::Panel;
use crate::readings::{Reading, Rules};
use crate::recent::Recent;
use crate::register::Register;
use crate::unit::{self, Unit, kind};
use bytes::{Buf, Bytes, BytesMut};
use model::{DeviceKey, MetricKey, Observation, Quality, Rejected, Timestamp, Value};
use sdk::{
    DeviceEntry, Devices, Line, Order, OrderError, Part, RawFrame, Reply, Step, Submission, Talk,
};
use serde_json::json;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Orders of one connection that wait for their confirmation.
const ORDERS_MAX: usize = 8;

/// Devices of one connection that can be given orders.
const PEERS_MAX: usize = 64;

/// A source of zeros is no name; the device that the connection belongs to is meant.
const NAMELESS: Address = Address([0; 6]);

/// How long the guard has for his answer unless said otherwise (查岗, 8.3.2), in minutes.
const GUARD_MINUTES: u64 = 10;

/// What all connections and datagrams of a driver share.
#[derive(Debug)]
pub(crate) struct Shared {
    rules: Rules,
    heartbeat: Option<MetricKey>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    register: Register,
    panels: HashMap<DeviceKey, Panel>,
    recent: Recent,
}

impl Shared {
    pub(crate) fn new(rules: Rules, devices: Devices) -> Arc<Self> {
        Arc::new(Self {
            heartbeat: rules.catalogue.find("heartbeat"),
            rules,
            state: Mutex::new(State {
                register: Register::new(devices),
                panels: HashMap::new(),
                recent: Recent::default(),
            }),
        })
    }
}

/// One connection, or one datagram.
#[derive(Debug)]
pub(crate) struct Conversation {
    shared: Arc<Shared>,
    line: Option<Line>,
    /// The device that spoke last, for those that leave their address out.
    bound: Option<Arc<DeviceEntry>>,
    /// The last head of each device: where its orders go.
    peers: Vec<(DeviceKey, Head)>,
    waiting: VecDeque<(u16, Order)>,
    serial: u16,
    queued: VecDeque<Step>,
}

impl Conversation {
    pub(crate) fn new(shared: Arc<Shared>, line: Option<Line>) -> Self {
        Self {
            shared,
            line,
            bound: None,
            peers: Vec::new(),
            waiting: VecDeque::new(),
            serial: 0,
            queued: VecDeque::new(),
        }
    }

    fn stamp(&self, now: Timestamp) -> Stamp {
        Stamp::of(now, self.shared.rules.window.utc_offset_s)
    }

    fn deny(&mut self, head: &Head, now: Timestamp) {
        let denial = frame::reply(head, command::DENY, self.stamp(now));
        self.queued.push_back(Step::Say(denial));
    }

    fn take(&mut self, head: Head, frame: &Bytes, now: Timestamp) -> Step {
        match head.command {
            command::CONFIRM | command::DENY => {
                self.settle(&head);
                Step::Nothing
            }
            // A centre has nothing that devices ask for.
            command::REQUEST => Step::Nothing,
            command::CONTROL | command::SEND | command::ANSWER | command::USER.. => {
                self.take_data(head, frame, now)
            }
            other => {
                self.deny(&head, now);
                Step::Skipped {
                    bytes: 0,
                    reason: "unknown_command".into(),
                    detail: format!("command {other} of {}", head.source),
                }
            }
        }
    }

    fn take_data(&mut self, head: Head, frame: &Bytes, now: Timestamp) -> Step {
        let Some(entry) = self.admit(&head) else {
            return Step::Refused {
                reason: "unknown_device".into(),
                claimed: head.source.to_string(),
                say: None,
            };
        };
        if !entry.device.enabled {
            return Step::Refused {
                reason: "device_disabled".into(),
                claimed: entry.device.id.as_str().to_owned(),
                say: None,
            };
        }
        self.bind(&entry, head);
        let confirmed = frame::reply(&head, command::CONFIRM, self.stamp(now));
        let submission = self.read(&entry, head, frame, now);
        if submission.is_empty() {
            return Step::Say(confirmed);
        }
        // 6.3: an answer ends its exchange; everything else is confirmed.
        let reply: Reply = Box::new(move |_| confirmed);
        let reply = (head.command != command::ANSWER).then_some(reply);
        Step::Commit { submission, reply }
    }

    fn admit(&self, head: &Head) -> Option<Arc<DeviceEntry>> {
        let state = &self.shared.state;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = state.register.source(head.source);
        found.or_else(|| self.bound.clone().filter(|_| head.source == NAMELESS))
    }

    fn bind(&mut self, entry: &Arc<DeviceEntry>, head: Head) {
        if let Some(line) = &mut self.line {
            line.bind(entry.key);
        }
        let known = self.peers.iter().position(|(known, _)| *known == entry.key);
        if known.is_none() && self.peers.len() < PEERS_MAX {
            self.peers.push((entry.key, head));
        }
        if let Some((_, last)) = known.and_then(|index| self.peers.get_mut(index)) {
            *last = head;
        }
        self.bound = Some(Arc::clone(entry));
    }

    fn read(&self, entry: &DeviceEntry, head: Head, frame: &Bytes, now: Timestamp) -> Submission {
        let rules = &self.shared.rules;
        let unit = frame.get(frame::HEAD_BYTES..frame::HEAD_BYTES + head.unit_bytes);
        let unit = unit.unwrap_or_default();
        let cut = match unit::cut(unit) {
            _ if head.command >= command::USER && !unit.is_empty() => {
                let detail = format!("command {}", head.command);
                return unreadable(entry.key, frame, ("user_command", detail));
            }
            Ok(cut) => cut,
            Err(error) => {
                return unreadable(entry.key, frame, (error.reason(), error.to_string()));
            }
        };
        let state = &self.shared.state;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let State {
            register,
            panels,
            recent,
        } = &mut *state;
        let first_seen = recent.first_seen(&head, unit, now);
        if matches!(cut, Unit::Empty) {
            let (at, quality) = rules.window.choose(None, head.time, now);
            let at = at.unwrap_or(first_seen);
            return heartbeat(self.shared.heartbeat, entry.key, (at, quality));
        }
        let reading = Reading {
            rules,
            panels,
            gateway: entry,
            device_of: &mut |source, place| register.place(source, place),
            head,
            now,
            first_seen,
            out: Submission::default(),
        };
        reading.take(cut)
    }

    /// Answers whoever gave the order that a device confirms or denies.
    fn settle(&mut self, head: &Head) {
        let waiting = &mut self.waiting;
        let index = waiting
            .iter()
            .position(|(serial, _)| *serial == head.serial);
        let Some((_, order)) = index.and_then(|index| waiting.remove(index)) else {
            return;
        };
        order.answer(match head.command {
            command::CONFIRM => Ok(json!({"confirmed": true})),
            _ => Err(OrderError::Refused("the device denied it (6)".to_owned())),
        });
    }

    fn unit_of(&self, order: &Order, now: Timestamp) -> Result<Vec<u8>, OrderError> {
        match order.name.as_str() {
            "set_clock" => {
                let mut unit = vec![kind::SET_CLOCK, 1];
                unit.extend(self.stamp(now).0);
                Ok(unit)
            }
            "guard_call" => {
                let minutes = order.args.get("minutes");
                let minutes = minutes.map_or(Some(GUARD_MINUTES), serde_json::Value::as_u64);
                let minutes = minutes.and_then(|minutes| u8::try_from(minutes).ok());
                let minutes = minutes.filter(|minutes| *minutes > 0).ok_or_else(|| {
                    OrderError::Invalid("`minutes` must be a number from 1 to 255".to_owned())
                })?;
                Ok(vec![kind::GUARD_CALL, 1, minutes])
            }
            other => Err(OrderError::Unsupported(format!(
                "this protocol has no `{other}`; it has `set_clock` and `guard_call`"
            ))),
        }
    }
}

impl Talk for Conversation {
    fn next(&mut self, received: &mut BytesMut, now: Timestamp) -> Option<Step> {
        if let Some(queued) = self.queued.pop_front() {
            return Some(queued);
        }
        match frame::find(received)? {
            Found::Bad {
                bytes,
                reason,
                head,
            } => {
                received.advance(bytes);
                if let Some(head) = head {
                    self.deny(&head, now);
                }
                let detail = head.map_or_else(String::new, |head| {
                    format!("serial {} of {}", head.serial, head.source)
                });
                Some(Step::Skipped {
                    bytes,
                    reason: reason.into(),
                    detail,
                })
            }
            Found::Frame(head, len) => {
                let frame = received.split_to(len).freeze();
                Some(self.take(head, &frame, now))
            }
        }
    }

    fn order(&mut self, order: Order, now: Timestamp) -> Option<Bytes> {
        let peer = self
            .peers
            .iter()
            .find(|(device, _)| *device == order.device);
        let Some((_, peer)) = peer.copied() else {
            order.answer(Err(OrderError::NotConnected));
            return None;
        };
        let unit = match self.unit_of(&order, now) {
            Ok(unit) => unit,
            Err(error) => {
                order.answer(Err(error));
                return None;
            }
        };
        self.serial = self.serial.wrapping_add(1);
        let head = Head {
            serial: self.serial,
            time: self.stamp(now),
            source: peer.destination,
            destination: peer.source,
            command: command::CONTROL,
            unit_bytes: unit.len(),
            ..peer
        };
        if self.waiting.len() >= ORDERS_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((self.serial, order));
        Some(frame::write(&head, &unit))
    }
}

fn heartbeat(
    metric: Option<MetricKey>,
    device: DeviceKey,
    (at, quality): (Timestamp, Quality),
) -> Submission {
    let observation = metric
        .zip(Value::number(1.0))
        .map(|(metric, value)| Observation {
            metric,
            value,
            quality,
            observed_at: Some(at),
        });
    let observations: Vec<_> = observation.into_iter().collect();
    let part = (!observations.is_empty()).then_some(Part {
        device,
        received: 1,
        observations,
        rejected: Vec::new(),
    });
    Submission {
        parts: part.into_iter().collect(),
        ..Submission::default()
    }
}

/// Keeps a frame that is whole but cannot be read, so that the device can be answered.
fn unreadable(
    device: DeviceKey,
    frame: &Bytes,
    (reason, detail): (&'static str, String),
) -> Submission {
    let rejected = Rejected {
        metric: None,
        reason: reason.into(),
        detail: Some(detail.clone()),
    };
    Submission {
        parts: vec![Part {
            device,
            received: 1,
            observations: Vec::new(),
            rejected: vec![rejected],
        }],
        quarantined: vec![RawFrame {
            device: Some(device),
            reason: reason.into(),
            detail,
            bytes: frame.to_vec(),
        }],
    }
}

#[cfg(test)]
mod tests;
