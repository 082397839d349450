//! Devices that observe their commands (RFC 7641), and the commands that they were told.

use crate::peer::Peer;
use model::DeviceKey;
use sdk::{Downlink, Line, Order, OrderError};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use tokio::sync::mpsc;

/// The Observe option counts in 24 bits (RFC 7641 section 3.4).
const SEQUENCE_MASK: u32 = 0x00ff_ffff;

/// What a device sees that has no command to carry out.
pub(crate) const NOTHING: &[u8] = b"{}";

#[derive(Debug)]
struct Observer {
    peer: Peer,
    token: Vec<u8>,
    device: DeviceKey,
    /// Takes the device's orders for as long as it lives.
    _line: Line,
    waiting: VecDeque<u64>,
    /// What it was told last.
    current: Option<u64>,
    /// A notification is on its way; the next goes when that is acknowledged (RFC 7641 section 4.5.1).
    is_told: bool,
}

#[derive(Debug)]
struct Command {
    observer: u64,
    device: DeviceKey,
    order: Order,
    body: Vec<u8>,
}

/// Something to tell an observer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) peer: Peer,
    pub(crate) token: Vec<u8>,
    pub(crate) command: Option<u64>,
    pub(crate) body: Vec<u8>,
}

/// Every device that observes.
#[derive(Debug)]
pub(crate) struct Observers {
    all: HashMap<u64, Observer>,
    by_token: HashMap<(Peer, Vec<u8>), u64>,
    by_device: HashMap<DeviceKey, u64>,
    commands: HashMap<u64, Command>,
    next_observer: u64,
    next_command: u64,
    sequence: u32,
    observers_max: usize,
}

impl Observers {
    /// `first` is the number of the first command; one that no earlier run of the hub gave.
    pub(crate) fn new(observers_max: usize, first: u64) -> Self {
        Self {
            all: HashMap::new(),
            by_token: HashMap::new(),
            by_device: HashMap::new(),
            commands: HashMap::new(),
            next_observer: 1,
            next_command: first,
            sequence: 1,
            observers_max,
        }
    }

    /// Tells the observers apart in time (RFC 7641 section 3.4).
    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1) & SEQUENCE_MASK;
        self.sequence
    }

    /// Lets a device observe from now on, and gives its number and where its orders arrive if it did
    /// not before. A device that observes again is reached by its newest endpoint only.
    pub(crate) fn register(
        &mut self,
        (peer, token): (Peer, &[u8]),
        device: DeviceKey,
        downlink: &Downlink,
    ) -> Option<(u64, Option<mpsc::Receiver<Order>>)> {
        let name = (peer, token.to_vec());
        if let Some(id) = self.by_token.get(&name) {
            let known = self.all.get(id);
            if known.is_some_and(|known| known.device == device) {
                return Some((*id, None));
            }
        }
        self.end_token(peer, token);
        if let Some(older) = self.by_device.get(&device).copied() {
            self.end(older);
        }
        if self.all.len() >= self.observers_max {
            return None;
        }
        let (mut line, orders) = downlink.line();
        line.bind(device);
        let id = self.next_observer;
        self.next_observer += 1;
        let observer = Observer {
            peer,
            token: token.to_vec(),
            device,
            _line: line,
            waiting: VecDeque::new(),
            current: None,
            is_told: false,
        };
        self.all.insert(id, observer);
        self.by_token.insert(name, id);
        self.by_device.insert(device, id);
        Some((id, Some(orders)))
    }

    pub(crate) fn end_token(&mut self, peer: Peer, token: &[u8]) {
        if let Some(id) = self.by_token.get(&(peer, token.to_vec())).copied() {
            self.end(id);
        }
    }

    /// Ends an observation; orders that were not carried out hear that the device is gone.
    pub(crate) fn end(&mut self, id: u64) {
        let Some(observer) = self.all.remove(&id) else {
            return;
        };
        self.by_token.remove(&(observer.peer, observer.token));
        if self.by_device.get(&observer.device) == Some(&id) {
            self.by_device.remove(&observer.device);
        }
        self.commands.retain(|_, command| command.observer != id);
    }

    /// Takes an order for an observer; one that is gone drops it, which says so.
    pub(crate) fn order(&mut self, id: u64, order: Order) {
        let Some(observer) = self.all.get_mut(&id) else {
            return;
        };
        let number = self.next_command;
        self.next_command += 1;
        let told = json!({"id": number.to_string(), "command": order.name, "args": order.args});
        let command = Command {
            observer: id,
            device: order.device,
            order,
            body: told.to_string().into_bytes(),
        };
        self.commands.insert(number, command);
        observer.waiting.push_back(number);
    }

    /// Gives the next command that an observer is to be told, once it knows of the one before.
    pub(crate) fn next_notice(&mut self, id: u64) -> Option<Notice> {
        let observer = self.all.get_mut(&id).filter(|observer| !observer.is_told)?;
        loop {
            let number = observer.waiting.pop_front()?;
            // It may have been answered or dropped meanwhile.
            let Some(command) = self.commands.get(&number) else {
                continue;
            };
            observer.current = Some(number);
            observer.is_told = true;
            return Some(Notice {
                peer: observer.peer,
                token: observer.token.clone(),
                command: Some(number),
                body: command.body.clone(),
            });
        }
    }

    /// Gives a notification that only asks whether an observer is still there (RFC 7641 section 4.5).
    pub(crate) fn check(&mut self, id: u64) -> Option<Notice> {
        let observer = self.all.get_mut(&id)?;
        if observer.is_told {
            return None;
        }
        observer.is_told = true;
        Some(Notice {
            peer: observer.peer,
            token: observer.token.clone(),
            command: None,
            body: NOTHING.to_vec(),
        })
    }

    pub(crate) fn is_there(&self, id: u64) -> bool {
        self.all.contains_key(&id)
    }

    /// An observer has acknowledged what it was told.
    pub(crate) fn acknowledged(&mut self, id: u64) {
        if let Some(observer) = self.all.get_mut(&id) {
            observer.is_told = false;
        }
    }

    /// What the device has to do now, as it is written.
    pub(crate) fn current(&self, device: DeviceKey) -> &[u8] {
        let observer = self.by_device.get(&device).and_then(|id| self.all.get(id));
        let current = observer.and_then(|observer| observer.current);
        let command = current.and_then(|number| self.commands.get(&number));
        command.map_or(NOTHING, |command| command.body.as_slice())
    }

    /// A device says what became of a command of its own; false if it was told none of that number.
    pub(crate) fn answer(&mut self, number: u64, device: DeviceKey, answer: Value) -> bool {
        let known = self.commands.get(&number);
        if known.is_none_or(|command| command.device != device) {
            return false;
        }
        if let Some(command) = self.commands.remove(&number) {
            command.order.answer(match refused(&answer) {
                Some(why) => Err(OrderError::Refused(why)),
                None => Ok(answer),
            });
        }
        true
    }

    /// A device that has acknowledged a command said no more about it in time.
    pub(crate) fn settle(&mut self, number: u64) {
        if let Some(command) = self.commands.remove(&number) {
            command.order.answer(Ok(json!({"delivered": true})));
        }
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = (Peer, &[u8])> {
        let all = self.all.values();
        all.map(|observer| (observer.peer, observer.token.as_slice()))
    }
}

/// Why a device did not do what it was told, if that is what it says.
fn refused(answer: &Value) -> Option<String> {
    match answer.get("error")? {
        Value::String(why) => Some(why.clone()),
        other => Some(other.to_string()),
    }
}
