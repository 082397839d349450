//! Long bodies in blocks (RFC 7959): what comes is put together, what goes is cut.

use crate::peer::Peer;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// The largest size there is, as an exponent over 16 bytes; 7 is another transport's (RFC 7959 section 2.2).
pub(crate) const EXPONENT_MAX: u8 = 6;

/// How long an unfinished body is kept: EXCHANGE_LIFETIME (RFC 7252 section 4.8.2).
const UNFINISHED: Duration = Duration::from_secs(247);

/// Bodies of one endpoint that may be under way.
const PER_PEER_MAX: usize = 4;

/// What a body costs beside its bytes.
const OVERHEAD_BYTES: usize = 512;

/// The value of Block1 or Block2.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) number: u32,
    pub(crate) more: bool,
    pub(crate) exponent: u8,
}

impl Block {
    pub(crate) fn read(value: u32) -> Result<Self, &'static str> {
        let exponent = u8::try_from(value & 7).unwrap_or(7);
        if exponent > EXPONENT_MAX {
            return Err("a block of this size exists only over TCP (RFC 8323)");
        }
        Ok(Self {
            number: value >> 4,
            more: value & 8 != 0,
            exponent,
        })
    }

    pub(crate) fn first(exponent: u8) -> Self {
        Self {
            number: 0,
            more: false,
            exponent,
        }
    }

    pub(crate) fn value(self) -> u32 {
        self.number << 4 | u32::from(self.more) << 3 | u32::from(self.exponent)
    }

    pub(crate) fn bytes(self) -> usize {
        16 << self.exponent
    }

    /// Where the block begins in its body.
    pub(crate) fn begin(self) -> usize {
        let number = usize::try_from(self.number).unwrap_or(usize::MAX);
        number.saturating_mul(self.bytes())
    }

    /// Cuts this block out of a body, and tells whether more follow; `None` if there is no such block.
    pub(crate) fn cut(self, body: &[u8]) -> Option<(Self, &[u8])> {
        let rest = body.get(self.begin()..)?;
        if rest.is_empty() && self.number > 0 {
            return None;
        }
        let len = rest.len().min(self.bytes());
        let more = rest.len() > len;
        Some((Self { more, ..self }, rest.get(..len)?))
    }
}

/// Which body of an endpoint a block belongs to. Not the token: some clients take another for each
/// block (RFC 7959 section 2.5); Request-Tag tells bodies to one resource apart (RFC 9175 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<String>,
    pub(crate) tag: Vec<Vec<u8>>,
}

/// A block as it came.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) block: Block,
    /// What the sender says of the whole.
    pub(crate) size: Option<u32>,
    pub(crate) payload: &'a [u8],
}

/// What a block made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// More are wanted: 2.31.
    Going,
    Whole(Vec<u8>),
    /// What was before it is not here: 4.08.
    Incomplete,
    /// 4.13.
    TooLarge,
    /// Too many bodies are under way: 5.03.
    Full,
    /// It is not as long as it says: 4.00.
    Wrong,
}

#[derive(Debug)]
struct Body {
    key: Key,
    bytes: Vec<u8>,
    touched: Instant,
}

/// Bodies under way, a few for each endpoint.
#[derive(Debug)]
pub(crate) struct Bodies {
    under_way: HashMap<Peer, Vec<Body>>,
    /// What they hold together.
    bytes: usize,
    pub(crate) body_bytes_max: usize,
    bytes_max: usize,
}

impl Bodies {
    pub(crate) fn new(body_bytes_max: usize, bytes_max: usize) -> Self {
        Self {
            under_way: HashMap::new(),
            bytes: 0,
            body_bytes_max,
            bytes_max,
        }
    }

    pub(crate) fn take(&mut self, peer: Peer, key: Key, piece: Piece<'_>, now: Instant) -> Taken {
        let Piece { block, payload, .. } = piece;
        let is_cut_right = if block.more {
            payload.len() == block.bytes()
        } else {
            payload.len() <= block.bytes()
        };
        if !is_cut_right {
            return Taken::Wrong;
        }
        // The first block begins anew, whatever was there before (RFC 7959 section 2.5).
        let before = self.remove(peer, &key);
        let declared = piece.size.and_then(|size| usize::try_from(size).ok());
        let end = block.begin().saturating_add(payload.len());
        if declared.unwrap_or(0).max(end) > self.body_bytes_max {
            return Taken::TooLarge;
        }
        let mut body = match before {
            _ if block.number == 0 => Body {
                key,
                bytes: Vec::new(),
                touched: now,
            },
            Some(body) if now.duration_since(body.touched) <= UNFINISHED => body,
            _ => return Taken::Incomplete,
        };
        // The same again is no harm: its answer was lost.
        let is_known = body.bytes.get(block.begin()..end) == Some(payload) && block.more;
        if !is_known {
            if body.bytes.len() != block.begin() {
                return Taken::Incomplete;
            }
            body.bytes.extend_from_slice(payload);
        }
        if !block.more {
            return Taken::Whole(body.bytes);
        }
        body.touched = now;
        self.keep(peer, body, now)
    }

    fn remove(&mut self, peer: Peer, key: &Key) -> Option<Body> {
        let of_peer = self.under_way.get_mut(&peer)?;
        let at = of_peer.iter().position(|body| body.key == *key)?;
        let body = of_peer.swap_remove(at);
        if of_peer.is_empty() {
            self.under_way.remove(&peer);
        }
        self.bytes = self.bytes.saturating_sub(cost(&body));
        Some(body)
    }

    fn keep(&mut self, peer: Peer, body: Body, now: Instant) -> Taken {
        if !self.has_room(peer, &body) {
            self.sweep(now);
            if !self.has_room(peer, &body) {
                return Taken::Full;
            }
        }
        self.bytes += cost(&body);
        self.under_way.entry(peer).or_default().push(body);
        Taken::Going
    }

    fn has_room(&self, peer: Peer, body: &Body) -> bool {
        let of_peer = self.under_way.get(&peer).map_or(0, Vec::len);
        of_peer < PER_PEER_MAX && self.bytes.saturating_add(cost(body)) <= self.bytes_max
    }

    fn sweep(&mut self, now: Instant) {
        self.under_way.retain(|_, of_peer| {
            of_peer.retain(|body| now.duration_since(body.touched) <= UNFINISHED);
            !of_peer.is_empty()
        });
        self.bytes = self.under_way.values().flatten().map(cost).sum();
    }
}

fn cost(body: &Body) -> usize {
    body.bytes.len() + OVERHEAD_BYTES
}

#[cfg(test)]
mod tests;
