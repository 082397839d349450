//! What was answered to whom: a request that comes again is answered again and done once (RFC 7252
//! section 4.5).

use crate::peer::Peer;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// How long a confirmable request may come again: EXCHANGE_LIFETIME (RFC 7252 section 4.8.2).
const CONFIRMABLE: Duration = Duration::from_secs(247);

/// The same for one that is not: NON_LIFETIME.
const NON_CONFIRMABLE: Duration = Duration::from_secs(145);

/// What stored answers may hold together.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What was said to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It is being worked on.
    NotYet,
    /// This; what is not confirmable, or wanted no answer, has nothing here.
    Bytes(Bytes),
}

#[derive(Debug)]
struct Exchange {
    began: Instant,
    lifetime: Duration,
    said: Said,
    number: u64,
}

/// Every exchange of the last minutes, the oldest of which are forgotten when there are too many: a
/// repetition that is not known here is still one of the same values to the hub.
#[derive(Debug)]
pub(crate) struct Exchanges {
    known: HashMap<(Peer, u16), Exchange>,
    /// In the order in which they began, with their numbers, since a message ID may be used again.
    order: VecDeque<(Peer, u16, u64)>,
    next: u64,
    answer_bytes: usize,
    exchanges_max: usize,
}

impl Exchanges {
    pub(crate) fn new(exchanges_max: usize) -> Self {
        Self {
            known: HashMap::new(),
            order: VecDeque::new(),
            next: 0,
            answer_bytes: 0,
            exchanges_max,
        }
    }

    /// Gives what was said to this request before; `None` means that it is new, and is remembered now.
    pub(crate) fn begin(
        &mut self,
        peer: Peer,
        mid: u16,
        confirmable: bool,
        now: Instant,
    ) -> Option<Said> {
        self.forget(now);
        if let Some(known) = self.known.get(&(peer, mid))
            && now.duration_since(known.began) <= known.lifetime
        {
            return Some(known.said.clone());
        }
        self.next += 1;
        let exchange = Exchange {
            began: now,
            lifetime: if confirmable {
                CONFIRMABLE
            } else {
                NON_CONFIRMABLE
            },
            said: Said::NotYet,
            number: self.next,
        };
        let before = self.known.insert((peer, mid), exchange);
        self.answer_bytes -= before.map_or(0, |before| len(&before.said));
        self.order.push_back((peer, mid, self.next));
        None
    }

    /// Remembers what was said to a request.
    pub(crate) fn say(&mut self, peer: Peer, mid: u16, bytes: Bytes) {
        if let Some(known) = self.known.get_mut(&(peer, mid)) {
            self.answer_bytes += bytes.len();
            self.answer_bytes -= len(&known.said);
            known.said = Said::Bytes(bytes);
        }
    }

    /// Forgets what is too old, and the oldest of what is too much.
    fn forget(&mut self, now: Instant) {
        while let Some((peer, mid, number)) = self.order.front().copied() {
            let known = self.known.get(&(peer, mid));
            let known = known.filter(|known| known.number == number);
            let is_too_much =
                self.order.len() >= self.exchanges_max || self.answer_bytes > ANSWER_BYTES_MAX;
            let is_alive =
                known.is_some_and(|known| now.duration_since(known.began) <= known.lifetime);
            if is_alive && !is_too_much {
                break;
            }
            if let Some(known) = known {
                self.answer_bytes -= len(&known.said);
                self.known.remove(&(peer, mid));
            }
            self.order.pop_front();
        }
    }
}

fn len(said: &Said) -> usize {
    match said {
        Said::NotYet => 0,
        Said::Bytes(bytes) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Exchanges, Said};
    use crate::peer::Peer;
    use bytes::Bytes;
    use std::time::Duration;
    use tokio::time::Instant;

    fn peer(port: u16) -> Peer {
        Peer {
            address: ([127, 0, 0, 1], port).into(),
            session: 0,
        }
    }

    #[test]
    fn a_request_is_known_for_as_long_as_it_may_come_again_and_no_longer() {
        let (mut exchanges, start) = (Exchanges::new(10), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(exchanges.begin(peer(1), 7, true, at(0)), None);
        assert_eq!(exchanges.begin(peer(1), 8, false, at(0)), None);
        assert_eq!(exchanges.begin(peer(1), 7, true, at(1)), Some(Said::NotYet));
        exchanges.say(peer(1), 7, Bytes::from_static(b"ack"));
        let said = Some(Said::Bytes(Bytes::from_static(b"ack")));
        assert_eq!(exchanges.begin(peer(1), 7, true, at(247)), said);
        assert_eq!(
            exchanges.begin(peer(2), 7, true, at(247)),
            None,
            "another endpoint"
        );
        assert_eq!(
            exchanges.begin(peer(1), 8, false, at(146)),
            None,
            "NON_LIFETIME"
        );
        assert_eq!(exchanges.begin(peer(1), 7, true, at(248)), None);
    }

    #[test]
    fn the_oldest_are_forgotten_when_there_are_too_many() {
        let (mut exchanges, now) = (Exchanges::new(3), Instant::now());
        for mid in 0..1_000 {
            assert_eq!(exchanges.begin(peer(1), mid, true, now), None);
            exchanges.say(peer(1), mid, Bytes::from(vec![0; 10]));
            assert!(exchanges.known.len() <= 3 && exchanges.order.len() <= 3);
            assert_eq!(exchanges.answer_bytes, exchanges.known.len() * 10);
        }
        assert!(exchanges.begin(peer(1), 999, true, now).is_some());
        assert!(exchanges.begin(peer(1), 0, true, now).is_none());
    }
}
