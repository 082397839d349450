//! What the hub sends of its own accord and wants acknowledged: sent again until it is (RFC 7252
//! section 4.2).

use crate::peer::Peer;
use bytes::Bytes;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;
use tokio::time::Instant;

/// ACK_TIMEOUT, and how much ACK_RANDOM_FACTOR adds to it at most (RFC 7252 section 4.8).
const ACK_TIMEOUT: Duration = Duration::from_secs(2);
const ACK_RANDOM_MAX: Duration = Duration::from_secs(1);

/// MAX_RETRANSMIT (RFC 7252 section 4.8).
pub(crate) const RESENDS: u8 = 4;

/// Messages that may wait for an acknowledgement; what comes on top is sent once.
const WAITING_MAX: usize = 16_384;

/// What a message was about, for whoever must know what became of it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The answer to a request whose acknowledgement went before.
    Answer,
    /// A notification to this observer, of this command if there is one.
    Notification { observer: u64, command: Option<u64> },
}

#[derive(Debug)]
struct Waiting {
    bytes: Bytes,
    about: About,
    resends: u8,
    wait: Duration,
}

/// What is to be done when a message was not acknowledged in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It was acknowledged meanwhile.
    Nothing,
    /// Once more, and look again then.
    Again(Bytes, Instant),
    GivenUp(About),
}

/// Messages that wait for their acknowledgement.
#[derive(Debug)]
pub(crate) struct Outbox {
    waiting: HashMap<(Peer, u16), Waiting>,
    mid: u16,
    random: RandomState,
}

impl Outbox {
    /// `first` is the first message ID; a random one is best (RFC 7252 section 4.4).
    pub(crate) fn new(first: Option<u16>) -> Self {
        let random = RandomState::new();
        let [high, low, ..] = random.hash_one(0u8).to_be_bytes();
        Self {
            waiting: HashMap::new(),
            mid: first.unwrap_or(u16::from_be_bytes([high, low])),
            random,
        }
    }

    pub(crate) fn next_mid(&mut self) -> u16 {
        let mid = self.mid;
        self.mid = self.mid.wrapping_add(1);
        mid
    }

    /// Keeps a message that was sent now; tells when to look whether it was acknowledged.
    pub(crate) fn keep(
        &mut self,
        (peer, mid): (Peer, u16),
        (bytes, about): (Bytes, About),
        resends: u8,
        now: Instant,
    ) -> Option<Instant> {
        if self.waiting.len() >= WAITING_MAX {
            return None;
        }
        let share = u32::from(u8::try_from(self.random.hash_one(mid) & 0xff).unwrap_or(0));
        let wait = ACK_TIMEOUT + ACK_RANDOM_MAX * share / 255;
        let waiting = Waiting {
            bytes,
            about,
            resends,
            wait,
        };
        self.waiting.insert((peer, mid), waiting);
        Some(now + wait)
    }

    /// An acknowledgement or a reset came; tells what it was about.
    pub(crate) fn settle(&mut self, peer: Peer, mid: u16) -> Option<About> {
        self.waiting
            .remove(&(peer, mid))
            .map(|waiting| waiting.about)
    }

    pub(crate) fn look(&mut self, peer: Peer, mid: u16, now: Instant) -> Due {
        let Some(waiting) = self.waiting.get_mut(&(peer, mid)) else {
            return Due::Nothing;
        };
        let Some(left) = waiting.resends.checked_sub(1) else {
            let about = waiting.about;
            self.waiting.remove(&(peer, mid));
            return Due::GivenUp(about);
        };
        waiting.resends = left;
        waiting.wait *= 2;
        Due::Again(waiting.bytes.clone(), now + waiting.wait)
    }
}
