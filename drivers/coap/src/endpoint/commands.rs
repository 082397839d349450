//! Commands of a device: observed, told, answered.

use super::{Act, Endpoint, Head, Wake, cut, in_blocks};
use crate::block::{Block, EXPONENT_MAX};
use crate::frame::{Answer, Kind};
use crate::observe::Notice;
use crate::outbox::About;
use crate::peer::Heard;
use crate::request::Request;
use crate::resource::JSON;
use coap_lite::{CoapOption, ResponseType};
use model::DeviceKey;
use sdk::Order;
use serde_json::Value;
use std::cmp::Reverse;
use std::time::Duration;
use tokio::time::Instant;

/// The Observe option of those who begin, and of those who end (RFC 7641 section 2).
const REGISTER: u32 = 0;
const DEREGISTER: u32 = 1;

/// How long a device may believe that it is still observed; it asks again then (RFC 7641 section 3.3.1).
const FRESH_S: u32 = 3_600;

/// An observer is asked once a day whether it is still there (RFC 7641 section 4.5).
const CHECK_AFTER: Duration = Duration::from_secs(86_400);

/// A fourth repetition would come after the thirty seconds that the hub waits for a command.
const NOTICE_RESENDS: u8 = 3;

impl Endpoint {
    /// `GET /devices/{device}/commands`, observed or not.
    pub(super) fn commands(
        &mut self,
        heard: &Heard,
        head: &Head,
        (device, request): (&str, Request),
        now: Instant,
    ) -> Result<(), Box<Answer>> {
        if request
            .accept
            .is_some_and(|accept| accept != u32::from(JSON))
        {
            return Err(Box::new(Answer::of(ResponseType::NotAcceptable)));
        }
        let entry = self.resources.admit(heard, device, request.asked("k"))?;
        let head = Head {
            is_proved: true,
            ..head.clone()
        };
        let is_observed = match request.observe {
            Some(REGISTER) => self.register(&head, entry.key, now),
            Some(DEREGISTER) => {
                self.observers.end_token(head.peer, &head.token);
                None
            }
            _ => None,
        };
        let body = self.observers.current(entry.key).to_vec();
        let mut content = Answer::of(ResponseType::Content);
        if is_observed.is_some() {
            let sequence = self.observers.next_sequence();
            content = content
                .with(CoapOption::Observe, sequence)
                .with(CoapOption::MaxAge, FRESH_S);
        }
        let content = content.with_payload(JSON, body);
        let answer = in_blocks(content, request.block2, &head)?;
        self.answer(head, answer, now);
        if let Some(observer) = is_observed {
            self.notify(observer, now);
        }
        Ok(())
    }

    /// Lets a device observe; where there is no room it is answered once, as RFC 7641 section 4.1 allows.
    fn register(&mut self, head: &Head, device: DeviceKey, now: Instant) -> Option<u64> {
        let downlink = &self.resources.cx.downlink;
        let who = (head.peer, head.token.as_slice());
        let (observer, orders) = self.observers.register(who, device, downlink)?;
        if let Some(orders) = orders {
            self.acts.push_back(Act::Listen { observer, orders });
            self.wakes
                .push(Reverse((now + CHECK_AFTER, Wake::Check(observer))));
        }
        Some(observer)
    }

    /// Takes an order for an observer.
    pub(crate) fn order(&mut self, observer: u64, order: Order, now: Instant) {
        self.observers.order(observer, order);
        self.notify(observer, now);
    }

    /// Tells an observer its next command.
    fn notify(&mut self, observer: u64, now: Instant) {
        if let Some(notice) = self.observers.next_notice(observer) {
            self.tell(observer, notice, now);
        }
    }

    pub(super) fn check(&mut self, observer: u64, now: Instant) {
        if let Some(notice) = self.observers.check(observer) {
            self.tell(observer, notice, now);
        }
        if self.observers.is_there(observer) {
            self.wakes
                .push(Reverse((now + CHECK_AFTER, Wake::Check(observer))));
        }
    }

    fn tell(&mut self, observer: u64, notice: Notice, now: Instant) {
        let sequence = self.observers.next_sequence();
        let mut content = Answer::of(ResponseType::Content)
            .with(CoapOption::Observe, sequence)
            .with(CoapOption::MaxAge, FRESH_S)
            .with_payload(JSON, notice.body);
        let first = Block::first(EXPONENT_MAX);
        if content.payload.len() > first.bytes()
            && let Some(cut) = cut(content.clone(), first)
        {
            // The device fetches the rest (RFC 7959 section 2.6).
            content = cut;
        }
        let mid = self.outbox.next_mid();
        let bytes = content.message(Kind::Confirmable, mid, &notice.token);
        let about = About::Notification {
            observer,
            command: notice.command,
        };
        self.keep((notice.peer, mid), &bytes, about, (NOTICE_RESENDS, now));
        self.send(notice.peer, bytes);
    }

    /// An observer has acknowledged what it was told: it has some seconds to answer.
    pub(super) fn told(&mut self, observer: u64, command: Option<u64>, now: Instant) {
        self.observers.acknowledged(observer);
        if let Some(command) = command {
            let at = now + self.command_answer;
            self.wakes.push(Reverse((at, Wake::Settle(command))));
        }
        self.notify(observer, now);
    }

    /// `POST /devices/{device}/commands/{number}`: what became of a command.
    pub(super) fn command(
        &mut self,
        heard: &Heard,
        head: &Head,
        (device, number, mut request): (&str, &str, Request),
        now: Instant,
    ) -> Result<(), Box<Answer>> {
        let entry = self.resources.admit(heard, device, request.asked("k"))?;
        let mut head = Head {
            is_proved: true,
            ..head.clone()
        };
        let Some(body) = self.whole(heard, &mut head, &mut request, now)? else {
            return Ok(());
        };
        let answer = if body.is_empty() {
            Value::Object(serde_json::Map::new())
        } else {
            serde_json::from_slice(&body).map_err(|error| {
                let why = error.to_string();
                Box::new(Answer::refusal(ResponseType::BadRequest, &why))
            })?
        };
        let number = number.parse().unwrap_or(0);
        let code = if self.observers.answer(number, entry.key, answer) {
            ResponseType::Changed
        } else {
            ResponseType::NotFound
        };
        self.answer(head, Answer::of(code), now);
        Ok(())
    }
}
