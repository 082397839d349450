//! The message layer and the requests of one socket, without the socket: datagrams in, what is to be
//! done out (RFC 7252, 7641, 7959).

mod commands;
mod telemetry;

use crate::block::{Block, Bodies, EXPONENT_MAX};
use crate::exchange::{Exchanges, Said};
use crate::frame::{Answer, Damage, Kind, Message, empty};
use crate::observe::Observers;
use crate::outbox::{About, Due, Outbox, RESENDS};
use crate::peer::{Heard, Peer};
use crate::request::{Request, Unwanted, is_request};
use crate::resource::{CORE, LINKS, Resource, Resources};
use bytes::Bytes;
use coap_lite::{CoapOption, ResponseType};
use sdk::{Order, Submission};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;
use telemetry::Flight;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// An acknowledgement that has nothing to say yet goes this long after the request: ACK_TIMEOUT is 2 s
/// (RFC 7252 section 4.8), and both ways need their time.
const EMPTY_AFTER: Duration = Duration::from_millis(1_500);

/// An answer to a source that proved nothing may be so many times as long as its request (RFC 9175
/// section 2.4).
const AMPLIFICATION_MAX: usize = 3;

/// What an answer has beside its body in blocks, at most: header, token, and options.
const BLOCK_OVERHEAD_BYTES: usize = 4 + 8 + 10 + 1;

/// What an endpoint may hold.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) exchanges_max: usize,
    pub(crate) body_bytes_max: usize,
    pub(crate) bodies_bytes_max: usize,
    pub(crate) observers_max: usize,
    pub(crate) command_answer: Duration,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Act {
    Send(Peer, Bytes),
    Commit {
        flight: u64,
        submission: Submission,
    },
    /// Orders that arrive here are for this observer.
    Listen {
        observer: u64,
        orders: mpsc::Receiver<Order>,
    },
}

/// Who asked, and how the answer is to go.
#[derive(Clone, Debug)]
struct Head {
    peer: Peer,
    confirmable: bool,
    mid: u16,
    token: Vec<u8>,
    unwanted: Unwanted,
    /// Bytes of the request, all of its blocks together.
    bytes: usize,
    /// It proved to be a device, or that it receives at its address.
    is_proved: bool,
    /// An empty acknowledgement went already.
    is_acknowledged: bool,
    block1: Option<Block>,
}

/// Something to look after at a time.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    /// A commit that takes long: acknowledge its request.
    Acknowledge(u64),
    /// A message that was not acknowledged.
    Resend(Peer, u16),
    /// A command that was acknowledged but not answered.
    Settle(u64),
    /// An observer that was not heard for a day.
    Check(u64),
}

/// All that is known of the other ends of one socket.
#[derive(Debug)]
pub(crate) struct Endpoint {
    resources: Resources,
    exchanges: Exchanges,
    outbox: Outbox,
    bodies: Bodies,
    observers: Observers,
    flights: HashMap<u64, Flight>,
    next_flight: u64,
    wakes: BinaryHeap<Reverse<(Instant, Wake)>>,
    acts: VecDeque<Act>,
    command_answer: Duration,
}

impl Endpoint {
    /// `first_mid` is for tests; a random one is best.
    pub(crate) fn new(resources: Resources, limits: Limits, first_mid: Option<u16>) -> Self {
        let first = u64::try_from(resources.cx.clock.now().millis()).unwrap_or(1);
        Self {
            resources,
            exchanges: Exchanges::new(limits.exchanges_max),
            outbox: Outbox::new(first_mid),
            bodies: Bodies::new(limits.body_bytes_max, limits.bodies_bytes_max),
            observers: Observers::new(limits.observers_max, first),
            flights: HashMap::new(),
            next_flight: 1,
            wakes: BinaryHeap::new(),
            acts: VecDeque::new(),
            command_answer: limits.command_answer,
        }
    }

    /// Takes what is to be done, in order.
    pub(crate) fn next_act(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// Commits that were not answered yet.
    pub(crate) fn flights(&self) -> usize {
        self.flights.len()
    }

    /// When to call [`Endpoint::wake`] at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.wakes.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one datagram.
    pub(crate) fn receive(&mut self, heard: &Heard, now: Instant) {
        let message = match Message::read(&heard.bytes) {
            Ok(message) => message,
            Err(damage) => return self.damaged(heard, damage),
        };
        let (peer, mid) = (heard.peer, message.mid());
        match (message.kind(), message.code()) {
            (kind @ (Kind::Acknowledgement | Kind::Reset), _) => self.settled(peer, mid, kind, now),
            // A ping (RFC 7252 section 4.3).
            (Kind::Confirmable, 0) => self.send(peer, empty(Kind::Reset, mid)),
            (Kind::NonConfirmable, 0) => {}
            _ if is_request(&message) => self.request(heard, &message, now),
            // Answers to what nobody asked (section 5.3.2), and codes of no class (section 3).
            (Kind::Confirmable, _) => {
                self.resources.refuse(heard, "unexpected_code", None);
                self.send(peer, empty(Kind::Reset, mid));
            }
            (Kind::NonConfirmable, _) => self.resources.refuse(heard, "unexpected_code", None),
        }
    }

    fn damaged(&mut self, heard: &Heard, damage: Damage) {
        let driver = &self.resources.cx.name;
        match damage {
            Damage::Foreign(detail) => {
                tracing::debug!(detail, driver, "no CoAP");
                self.resources.refuse(heard, "not_coap", None);
            }
            Damage::Format {
                confirmable,
                mid,
                detail,
            } => {
                tracing::debug!(detail, driver, "message format error");
                self.resources.refuse(heard, "message_format_error", None);
                if confirmable {
                    self.send(heard.peer, empty(Kind::Reset, mid));
                }
            }
        }
    }

    fn settled(&mut self, peer: Peer, mid: u16, kind: Kind, now: Instant) {
        match (self.outbox.settle(peer, mid), kind) {
            (Some(About::Notification { observer, .. }), Kind::Reset) => {
                self.observers.end(observer);
            }
            (Some(About::Notification { observer, command }), _) => {
                self.told(observer, command, now);
            }
            (Some(About::Answer) | None, _) => {}
        }
    }

    fn request(&mut self, heard: &Heard, message: &Message, now: Instant) {
        let (peer, mid) = (heard.peer, message.mid());
        let confirmable = message.kind() == Kind::Confirmable;
        match self.exchanges.begin(peer, mid, confirmable, now) {
            None => {}
            Some(Said::Bytes(bytes)) if confirmable => return self.send(peer, bytes),
            Some(_) => return,
        }
        let head = Head {
            peer,
            confirmable,
            mid,
            token: message.token().to_vec(),
            unwanted: Unwanted::read(message),
            bytes: heard.bytes.len(),
            is_proved: heard.identity.is_some(),
            is_acknowledged: false,
            block1: None,
        };
        let request = match Request::read(message) {
            Ok(request) => request,
            Err(refusal) => {
                self.resources.refuse(heard, "bad_option", None);
                // RFC 7252 section 5.4.1: what is not confirmable is passed over.
                if confirmable {
                    self.answer(head, *refusal, now);
                }
                return;
            }
        };
        let done = match Resource::find(&request) {
            Err(refusal) => {
                self.resources.refuse(heard, "no_resource", None);
                Err(refusal)
            }
            Ok(Resource::Core) => self.core(&head, &request, now),
            Ok(Resource::Telemetry(device)) => {
                self.telemetry(heard, &head, (&device, request), now)
            }
            Ok(Resource::Raw) => self.raw(heard, &head, &request, now),
            Ok(Resource::Commands(device)) => self.commands(heard, &head, (&device, request), now),
            Ok(Resource::Command(device, number)) => {
                self.command(heard, &head, (&device, &number, request), now)
            }
        };
        if let Err(answer) = done {
            self.answer(head, *answer, now);
        }
    }

    fn core(&mut self, head: &Head, request: &Request, now: Instant) -> Result<(), Box<Answer>> {
        if request
            .accept
            .is_some_and(|accept| accept != u32::from(LINKS))
        {
            return Err(Box::new(Answer::of(ResponseType::NotAcceptable)));
        }
        let content =
            Answer::of(ResponseType::Content).with_payload(LINKS, CORE.as_bytes().to_vec());
        let answer = in_blocks(content, request.block2, head)?;
        self.answer(head.clone(), answer, now);
        Ok(())
    }

    /// Answers a request in the way that its message asks for.
    fn answer(&mut self, head: Head, answer: Answer, now: Instant) {
        if head.unwanted.is_unwanted(answer.code) {
            // RFC 7967 section 2.1: what is confirmable is acknowledged all the same.
            if head.confirmable && !head.is_acknowledged {
                self.say(&head, empty(Kind::Acknowledgement, head.mid));
            }
            return;
        }
        let answer = match head.block1 {
            Some(block) => answer.with(CoapOption::Block1, block.value()),
            None => answer,
        };
        let (kind, mid) = match (head.confirmable, head.is_acknowledged) {
            (true, false) => (Kind::Acknowledgement, head.mid),
            (true, true) => (Kind::Confirmable, self.outbox.next_mid()),
            (false, _) => (Kind::NonConfirmable, self.outbox.next_mid()),
        };
        let mut bytes = answer.message(kind, mid, &head.token);
        if !head.is_proved && bytes.len() > head.bytes * AMPLIFICATION_MAX {
            bytes = answer.without_payload().message(kind, mid, &head.token);
        }
        if kind == Kind::Acknowledgement {
            return self.say(&head, bytes);
        }
        if kind == Kind::Confirmable {
            self.keep((head.peer, mid), &bytes, About::Answer, (RESENDS, now));
        }
        self.send(head.peer, bytes);
    }

    /// Says it, and says it again when the request comes again.
    fn say(&mut self, head: &Head, bytes: Bytes) {
        self.exchanges.say(head.peer, head.mid, bytes.clone());
        self.send(head.peer, bytes);
    }

    fn send(&mut self, peer: Peer, bytes: Bytes) {
        self.acts.push_back(Act::Send(peer, bytes));
    }

    fn keep(
        &mut self,
        (peer, mid): (Peer, u16),
        bytes: &Bytes,
        about: About,
        (resends, now): (u8, Instant),
    ) {
        let kept = (bytes.clone(), about);
        if let Some(at) = self.outbox.keep((peer, mid), kept, resends, now) {
            self.wakes.push(Reverse((at, Wake::Resend(peer, mid))));
        }
    }

    /// Looks after what is due.
    pub(crate) fn wake(&mut self, now: Instant) {
        while let Some(Reverse((at, wake))) = self.wakes.peek().copied() {
            if at > now {
                break;
            }
            self.wakes.pop();
            match wake {
                Wake::Acknowledge(flight) => self.acknowledge(flight),
                Wake::Resend(peer, mid) => self.resend(peer, mid, now),
                Wake::Settle(command) => self.observers.settle(command),
                Wake::Check(observer) => self.check(observer, now),
            }
        }
    }

    fn resend(&mut self, peer: Peer, mid: u16, now: Instant) {
        match self.outbox.look(peer, mid, now) {
            Due::Nothing | Due::GivenUp(About::Answer) => {}
            // Whoever does not acknowledge is gone (RFC 7641 section 4.5).
            Due::GivenUp(About::Notification { observer, .. }) => self.observers.end(observer),
            Due::Again(bytes, at) => {
                self.send(peer, bytes);
                self.wakes.push(Reverse((at, Wake::Resend(peer, mid))));
            }
        }
    }

    /// Tells observers that they are no longer heard (RFC 7641 section 4.2).
    pub(crate) fn stop(&mut self) {
        let farewell = Answer::of(ResponseType::ServiceUnavailable);
        let observers: Vec<(Peer, Vec<u8>)> = self
            .observers
            .peers()
            .map(|(peer, token)| (peer, token.to_vec()))
            .collect();
        for (peer, token) in observers {
            let mid = self.outbox.next_mid();
            self.send(peer, farewell.message(Kind::NonConfirmable, mid, &token));
        }
    }
}

/// Cuts a long body (RFC 7959 section 2.4). To a source that proved nothing the blocks are small, so
/// that the hub cannot be made to send much to somebody else.
fn in_blocks(content: Answer, asked: Option<Block>, head: &Head) -> Result<Answer, Box<Answer>> {
    let room = if head.is_proved {
        usize::MAX
    } else {
        let room = head.bytes * AMPLIFICATION_MAX;
        room.saturating_sub(BLOCK_OVERHEAD_BYTES)
    };
    let fits = |exponent: &u8| 16usize << *exponent <= room;
    let exponent_max = (0..=EXPONENT_MAX).rev().find(fits).unwrap_or(0);
    if asked.is_none() && content.payload.len() <= 16 << exponent_max {
        return Ok(content);
    }
    let asked = asked.unwrap_or(Block::first(exponent_max));
    // A smaller block than was asked for begins at the same byte.
    let exponent = asked.exponent.min(exponent_max);
    let number = asked.begin() >> (4 + exponent);
    let block = Block {
        number: u32::try_from(number).unwrap_or(u32::MAX),
        more: false,
        exponent,
    };
    cut(content, block).ok_or_else(|| {
        let why = "there is no such block";
        Box::new(Answer::refusal(ResponseType::BadRequest, why))
    })
}

/// Leaves one block of a body, with the name of the whole.
fn cut(mut content: Answer, block: Block) -> Option<Answer> {
    let (block, part) = block.cut(&content.payload)?;
    let (part, tag) = (part.to_vec(), fingerprint(&content.payload));
    content.payload = part;
    let content = content.with_bytes(CoapOption::ETag, &tag);
    Some(content.with(CoapOption::Block2, block.value()))
}

/// Tells bodies apart whose blocks must not be mixed: FNV-1a.
fn fingerprint(body: &[u8]) -> [u8; 4] {
    let step = |sum: u32, byte: &u8| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    body.iter().fold(0x811c_9dc5, step).to_be_bytes()
}

#[cfg(test)]
mod tests;
