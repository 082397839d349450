//! Finds the answer to one request in a stream of bytes that may hold anything else too.

use super::{Data, EXCEPTION, Reply, Request, Trouble, WRITE_COIL, WRITE_REGISTER, crc};
use std::borrow::Cow;
use std::sync::Arc;

/// Bytes that wait for an answer to become whole: four frames of the greatest length.
const RECEIVED_BYTES_MAX: usize = 1024;

/// Places of known texts that are tried as the one that tears an answer apart.
const TEARS_MAX: usize = 32;

/// Unit, function, and the rest of an exception.
const EXCEPTION_BYTES: usize = 5;

/// Collects what a line sends and takes the awaited answer out of it.
///
/// An answer is known by its unit, its function, its length (which the request decides) and its
/// CRC, so it is found behind foreign bytes. Texts that a DTU is known to send of its own accord
/// (heartbeats, its registration) are also taken out of the middle of an answer.
#[derive(Clone, Debug)]
pub struct Reader {
    received: Vec<u8>,
    known: Arc<[Vec<u8>]>,
}

/// An answer, and how many bytes before it nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub reply: Reply,
    pub foreign: usize,
}

/// What was thrown away.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Bytes that nobody knows.
    pub foreign: usize,
    /// A sound answer was among them, to a request that was given up.
    pub frame: bool,
}

impl Reader {
    /// `known` are the texts that a DTU sends of its own accord.
    pub fn new(known: Arc<[Vec<u8>]>) -> Self {
        Self {
            received: Vec::with_capacity(RECEIVED_BYTES_MAX),
            known,
        }
    }

    /// Takes bytes in; of too many the oldest are forgotten, and it is told how many those are.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        self.received.extend_from_slice(bytes);
        let forgotten = self.received.len().saturating_sub(RECEIVED_BYTES_MAX);
        self.received.drain(..forgotten);
        forgotten
    }

    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// Forgets what was received, but for the beginning of a known text at its end.
    pub fn clear(&mut self) -> Cleared {
        let begun = self.known.iter().map(|text| begun(&self.received, text));
        let kept = begun.max().unwrap_or(0);
        let kept = self.received.split_off(self.received.len() - kept);
        let foreign = without(&self.received, &self.known);
        let starts = (0..foreign.len()).filter_map(|start| foreign.get(start..));
        let cleared = Cleared {
            foreign: foreign.len(),
            frame: starts
                .filter_map(|bytes| checked(bytes, length(bytes)?))
                .next()
                .is_some(),
        };
        self.received = kept;
        cleared
    }

    /// Takes the answer out, and all that stands before it.
    pub fn find(&mut self, unit: u8, request: &Request) -> Option<Found> {
        if let Some((start, len, reply)) = awaited(&self.received, unit, request) {
            let before = self.received.get(..start).unwrap_or_default();
            let foreign = without(before, &self.known).len();
            self.received.drain(..start + len);
            return Some(Found { reply, foreign });
        }
        self.find_torn(unit, request)
    }

    /// The same where a known text stands in the middle of the answer.
    fn find_torn(&mut self, unit: u8, request: &Request) -> Option<Found> {
        let tears: Vec<(usize, usize)> = self.tears().take(TEARS_MAX).collect();
        if tears.is_empty() {
            return None;
        }
        // One of the places may be data that looks like it, so each is tried alone, then all.
        for (start, len) in tears {
            let mut mended = self.received.clone();
            mended.drain(start..start + len);
            if let Some((at, frame, reply)) = awaited(&mended, unit, request)
                && at < start
                && start < at + frame
            {
                let before = mended.get(..at).unwrap_or_default();
                let foreign = without(before, &self.known).len();
                self.received.drain(..at + frame + len);
                return Some(Found { reply, foreign });
            }
        }
        let mended = without(&self.received, &self.known).into_owned();
        let (foreign, frame, reply) = awaited(&mended, unit, request)?;
        self.received = mended.get(foreign + frame..).unwrap_or_default().to_vec();
        Some(Found { reply, foreign })
    }

    /// Gives where known texts stand, with their lengths.
    fn tears(&self) -> impl Iterator<Item = (usize, usize)> {
        let known = self.known.iter().filter(|text| !text.is_empty());
        known.flat_map(|text| {
            let windows = self.received.windows(text.len()).enumerate();
            windows
                .filter(move |(_, window)| window == text)
                .map(|(start, window)| (start, window.len()))
        })
    }

    fn without_known(&self) -> Cow<'_, [u8]> {
        without(&self.received, &self.known)
    }

    /// Tells, once nobody waits any longer, why what was received is no answer.
    pub fn trouble(&self, unit: u8, request: &Request) -> Trouble {
        let received = self.without_known();
        if received.is_empty() {
            return Trouble::Timeout;
        }
        let starts = || (0..received.len()).filter_map(|start| received.get(start..));
        if let Some(trouble) = starts().find_map(|bytes| stranger(bytes, unit, request)) {
            return trouble;
        }
        let begun = |bytes: &&[u8]| match bytes {
            [] => false,
            [first] => *first == unit,
            [first, function, ..] => *first == unit && function & !EXCEPTION == request.function(),
        };
        let whole = |bytes: &[u8]| length(bytes).is_some_and(|len| bytes.len() >= len);
        if starts().filter(begun).any(whole) {
            return Trouble::Crc;
        }
        match starts().any(|bytes| begun(&bytes)) {
            true => Trouble::Incomplete,
            false => Trouble::Noise,
        }
    }
}

/// Finds the awaited answer: where it begins, how long it is.
fn awaited(bytes: &[u8], unit: u8, request: &Request) -> Option<(usize, usize, Reply)> {
    let starts = bytes.windows(EXCEPTION_BYTES).enumerate();
    for (start, window) in starts {
        if window.first() != Some(&unit) {
            continue;
        }
        let rest = bytes.get(start..).unwrap_or_default();
        if let Some((len, reply)) = answer(rest, request) {
            return Some((start, len, reply));
        }
    }
    None
}

/// Reads the answer that may stand at the beginning; its unit is right already.
fn answer(bytes: &[u8], request: &Request) -> Option<(usize, Reply)> {
    let function = request.function();
    let [unit, its_function, third, rest @ ..] = bytes else {
        return None;
    };
    if *its_function == function | EXCEPTION {
        checked(bytes, EXCEPTION_BYTES)?;
        return Some((EXCEPTION_BYTES, Reply::Exception(*third)));
    }
    let Request::Read(block) = request else {
        // A write is answered by its own echo (Application Protocol 6.5, 6.6).
        let echo = request.rtu(*unit);
        return bytes
            .starts_with(&echo)
            .then_some((echo.len(), Reply::Written));
    };
    let expected = block.data_bytes();
    if *its_function != function || usize::from(*third) != expected {
        return None;
    }
    checked(bytes, expected + 5)?;
    let data = Data::new(rest.get(..expected)?)?;
    Some((expected + 5, Reply::Data(data)))
}

/// Names a whole, sound frame that is not the awaited one.
fn stranger(bytes: &[u8], unit: u8, request: &Request) -> Option<Trouble> {
    checked(bytes, length(bytes)?)?;
    let [its_unit, its_function, ..] = bytes else {
        return None;
    };
    Some(if *its_unit != unit {
        Trouble::UnitMismatch
    } else if its_function & !EXCEPTION != request.function() {
        Trouble::FunctionMismatch
    } else {
        Trouble::WrongLength
    })
}

/// Tells how long the answer is that begins here, if it is one.
fn length(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [_, 1..=4, count, ..] => Some(usize::from(*count) + 5),
        [_, WRITE_COIL | WRITE_REGISTER, ..] => Some(8),
        [_, 0x81..=0x86, ..] => Some(EXCEPTION_BYTES),
        _ => None,
    }
}

/// Demands a whole frame of that length with a right CRC.
fn checked(bytes: &[u8], len: usize) -> Option<()> {
    let (plain, sent) = bytes.get(..len)?.split_last_chunk::<2>()?;
    (crc(plain).to_le_bytes() == *sent).then_some(())
}

/// Tells how much of a text, but not all of it, stands at the end.
fn begun(bytes: &[u8], text: &[u8]) -> usize {
    let beginnings = (1..text.len()).rev().filter_map(|len| text.get(..len));
    let mut at_end = beginnings.filter(|beginning| bytes.ends_with(beginning));
    at_end.next().map_or(0, <[u8]>::len)
}

/// Leaves known texts out.
fn without<'a>(bytes: &'a [u8], known: &[Vec<u8>]) -> Cow<'a, [u8]> {
    let known_at = |rest: &[u8]| {
        let begins = known
            .iter()
            .filter(|text| !text.is_empty() && rest.starts_with(text));
        begins.map(Vec::len).max()
    };
    let mut plain = Vec::new();
    let mut rest = bytes;
    let mut found = false;
    while let [first, others @ ..] = rest {
        if let Some(len) = known_at(rest) {
            found = true;
            rest = rest.get(len..).unwrap_or_default();
        } else {
            plain.push(*first);
            rest = others;
        }
    }
    if found {
        Cow::Owned(plain)
    } else {
        Cow::Borrowed(bytes)
    }
}
