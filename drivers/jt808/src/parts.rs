//! Messages that came in parts (分包), collected until they are whole.

use crate::frame::{Head, Message};
use bytes::{Bytes, BytesMut};
use model::Timestamp;

/// Messages of one connection that wait for parts.
const MESSAGES_MAX: usize = 4;

/// Parts of one message; a photograph has some tens.
const PARTS_MAX: u16 = 256;

/// How long a message waits for its parts.
const PATIENCE_S: i64 = 60;

#[derive(Debug, Default)]
pub(crate) struct Collection {
    messages: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    id: u16,
    /// The serial of the first part.
    first: u16,
    since: Timestamp,
    parts: Vec<Option<Bytes>>,
}

/// What became of a part.
#[derive(Debug)]
pub(crate) enum Collected {
    /// All parts are there; the serial is that of the first.
    Whole(Bytes),
    /// The last part is there, but these are not.
    Missing {
        first: u16,
        numbers: Vec<u16>,
    },
    Waits,
    /// Its numbers make no sense, or it is too large.
    Refused,
}

impl Collection {
    pub(crate) fn take(&mut self, message: &Message, now: Timestamp) -> Collected {
        self.messages
            .retain(|waiting| now.since_ms(waiting.since) <= PATIENCE_S * 1000);
        let Head {
            id,
            serial,
            part: Some((total, number)),
            ..
        } = message.head
        else {
            return Collected::Refused;
        };
        if total == 0 || total > PARTS_MAX || number == 0 || number > total {
            return Collected::Refused;
        }
        let first = serial.wrapping_sub(number - 1);
        let of = |waiting: &Waiting| {
            waiting.id == id && waiting.first == first && waiting.parts.len() == usize::from(total)
        };
        let index = self.messages.iter().position(of).unwrap_or_else(|| {
            if self.messages.len() >= MESSAGES_MAX {
                self.messages.remove(0);
            }
            let parts = vec![None; usize::from(total)];
            self.messages.push(Waiting {
                id,
                first,
                since: now,
                parts,
            });
            self.messages.len() - 1
        });
        let Some(waiting) = self.messages.get_mut(index) else {
            return Collected::Refused;
        };
        if let Some(place) = waiting.parts.get_mut(usize::from(number - 1)) {
            *place = Some(message.body.clone());
        }
        let numbers = (1..=total).zip(&waiting.parts);
        let missing: Vec<u16> = numbers
            .filter(|(_, part)| part.is_none())
            .map(|(number, _)| number)
            .collect();
        if !missing.is_empty() {
            let last = number == total;
            return if last {
                Collected::Missing {
                    first,
                    numbers: missing,
                }
            } else {
                Collected::Waits
            };
        }
        let whole = self.messages.remove(index);
        let mut body = BytesMut::new();
        for part in whole.parts.into_iter().flatten() {
            body.extend_from_slice(&part);
        }
        Collected::Whole(body.freeze())
    }
}
