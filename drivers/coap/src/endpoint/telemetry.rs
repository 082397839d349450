//! Telemetry on its way to the disk and the answer on its way back.

use super::{Act, EMPTY_AFTER, Endpoint, Head, Wake};
use crate::block::{self, Key, Piece};
use crate::frame::{Answer, Kind, empty};
use crate::peer::Heard;
use crate::request::Request;
use crate::resource::{JSON, Taken, busy, stored};
use coap_lite::{CoapOption, ResponseType};
use model::Rejected;
use sdk::{Committed, IngestError};
use std::cmp::Reverse;
use tokio::time::Instant;

/// A message that waits for its commit.
#[derive(Debug)]
pub(super) struct Flight {
    head: Head,
    rejected: Vec<Rejected>,
    /// The sender reads JSON, as far as it says.
    wants_json: bool,
}

impl Endpoint {
    pub(super) fn telemetry(
        &mut self,
        heard: &Heard,
        head: &Head,
        (device, mut request): (&str, Request),
        now: Instant,
    ) -> Result<(), Box<Answer>> {
        let entry = self.resources.admit(heard, device, request.asked("k"))?;
        let mut head = Head {
            is_proved: true,
            ..head.clone()
        };
        let format = self.resources.format(heard, &entry, request.format)?;
        let Some(payload) = self.whole(heard, &mut head, &mut request, now)? else {
            return Ok(());
        };
        let taken = self.resources.telemetry(&entry, format, &payload);
        self.commit(head, taken, request.accept, now);
        Ok(())
    }

    pub(super) fn raw(
        &mut self,
        heard: &Heard,
        head: &Head,
        request: &Request,
        now: Instant,
    ) -> Result<(), Box<Answer>> {
        let taken = self.resources.raw(heard, request)?;
        self.commit(head.clone(), taken, request.accept, now);
        Ok(())
    }

    /// Gives the whole body of a request; `None` if more is wanted, which was said.
    pub(super) fn whole(
        &mut self,
        heard: &Heard,
        head: &mut Head,
        request: &mut Request,
        now: Instant,
    ) -> Result<Option<Vec<u8>>, Box<Answer>> {
        let payload = std::mem::take(&mut request.payload);
        let body_bytes_max = self.bodies.body_bytes_max;
        let size = u32::try_from(body_bytes_max).unwrap_or(u32::MAX);
        let too_large = || {
            self.resources.refuse(heard, "packet_too_large", None);
            let why = format!("a body may have {body_bytes_max} bytes at most");
            let answer = Answer::refusal(ResponseType::RequestEntityTooLarge, &why);
            Box::new(answer.with(CoapOption::Size1, size))
        };
        let Some(block) = request.block1 else {
            if payload.len() > body_bytes_max {
                return Err(too_large());
            }
            return Ok(Some(payload));
        };
        head.block1 = Some(block);
        let key = Key {
            path: request.path.clone(),
            query: request.query.clone(),
            tag: request.tag.clone(),
        };
        let piece = Piece {
            block,
            size: request.size1,
            payload: &payload,
        };
        match self.bodies.take(heard.peer, key, piece, now) {
            block::Taken::Whole(body) => Ok(Some(body)),
            block::Taken::Going => {
                let answer = Answer::of(ResponseType::Continue);
                self.answer(head.clone(), answer, now);
                Ok(None)
            }
            block::Taken::Incomplete => {
                self.resources.refuse(heard, "block_missing", None);
                let why = "a block before this one is not here; begin anew";
                let code = ResponseType::RequestEntityIncomplete;
                Err(self.of_block(head, Answer::refusal(code, why)))
            }
            block::Taken::Wrong => {
                self.resources.refuse(heard, "block_length", None);
                let why = "the block is not as long as it says";
                Err(self.of_block(head, Answer::refusal(ResponseType::BadRequest, why)))
            }
            block::Taken::TooLarge => {
                self.resources.refuse(heard, "packet_too_large", None);
                let why = format!("a body may have {body_bytes_max} bytes at most");
                let code = ResponseType::RequestEntityTooLarge;
                let answer = Answer::refusal(code, &why).with(CoapOption::Size1, size);
                Err(self.of_block(head, answer))
            }
            block::Taken::Full => Err(self.of_block(head, busy(IngestError::Busy))),
        }
    }

    /// The answer to a block says which it was (RFC 7959 section 2.3).
    fn of_block(&self, head: &Head, answer: Answer) -> Box<Answer> {
        let block = head.block1.map(block::Block::value);
        Box::new(block.map_or(answer.clone(), |block| {
            answer.with(CoapOption::Block1, block)
        }))
    }

    fn commit(&mut self, head: Head, taken: Taken, accept: Option<u32>, now: Instant) {
        let flight = self.next_flight;
        self.next_flight += 1;
        if head.confirmable {
            let wake = (now + EMPTY_AFTER, Wake::Acknowledge(flight));
            self.wakes.push(Reverse(wake));
        }
        let waiting = Flight {
            head,
            rejected: taken.rejected,
            wants_json: accept.is_none_or(|accept| accept == u32::from(JSON)),
        };
        self.flights.insert(flight, waiting);
        self.acts.push_back(Act::Commit {
            flight,
            submission: taken.submission,
        });
    }

    /// The disk takes long: the answer follows in a message of its own (RFC 7252 section 5.2.2).
    pub(super) fn acknowledge(&mut self, flight: u64) {
        let Some(waiting) = self.flights.get_mut(&flight) else {
            return;
        };
        waiting.head.is_acknowledged = true;
        let head = waiting.head.clone();
        self.say(&head, empty(Kind::Acknowledgement, head.mid));
    }

    /// A commit was made, or was not.
    pub(crate) fn committed(
        &mut self,
        flight: u64,
        outcome: Result<Committed, IngestError>,
        now: Instant,
    ) {
        let Some(waiting) = self.flights.remove(&flight) else {
            return;
        };
        let answer = match outcome {
            Ok(proof) => stored(&proof, waiting.rejected, waiting.wants_json),
            Err(error) => busy(error),
        };
        self.answer(waiting.head, answer, now);
    }
}
