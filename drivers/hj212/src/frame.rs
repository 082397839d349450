//! Bytes to frames: finds `##`, cuts by length or by the end mark, and checks the sum.
//!
//! Nothing here fails for good: what is no frame is skipped and told, and the search goes on.

use crate::crc::Checksum;
use bytes::{Buf, Bytes, BytesMut};

/// `##` and four digits.
const HEAD_BYTES: usize = 6;

/// Four hexadecimal digits.
const CRC_BYTES: usize = 4;

/// Bytes of one run of noise that are told as one; a longer run is told again.
const RUN_BYTES_MAX: usize = 4096;

/// What the data begins with, and what it ends with.
const OPENER: &[u8] = b"CP=&&";
const CLOSER: &[u8] = b"&&";

/// What enciphered data begins with (HJ 212-2025).
const SEALED: &[u8] = b"CP=&&{0x";

/// A frame whose bounds are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the head says of the segment's length; it may be wrong.
    pub length: u16,
    /// From `QN` to the closing `&&`.
    pub segment: Bytes,
    /// The checksum as it was written.
    pub crc: [u8; CRC_BYTES],
    /// How the checksum was computed; none for an enciphered segment, whose checksum is of its
    /// plain text.
    pub checksum: Option<Checksum>,
}

impl Frame {
    /// Gives the checksum that the frame has.
    pub fn crc_value(&self) -> Option<u16> {
        hex(&self.crc)
    }
}

/// What stood next in the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Frame(Frame),
    Skipped {
        bytes: usize,
        reason: &'static str,
        detail: String,
    },
}

/// Finds frames in a stream, whatever the pieces are in which it comes.
#[derive(Debug)]
pub struct Finder {
    /// Longest data segment.
    segment_bytes_max: usize,
    /// Bytes of noise since the last frame, or since they were told of last.
    run: Option<usize>,
    /// The bytes that wait are the beginning of a frame.
    begun: bool,
}

/// What is to be done with the bytes at the beginning.
enum Look {
    Wait,
    Noise(usize),
    /// The segment's length and how its sum was computed.
    Whole(usize, Option<Checksum>),
    Bad(usize, &'static str),
}

impl Finder {
    pub fn new(segment_bytes_max: usize) -> Self {
        Self {
            segment_bytes_max,
            run: None,
            begun: false,
        }
    }

    /// Takes the next frame or the next noise out; `None` wants more bytes.
    pub fn next(&mut self, received: &mut BytesMut) -> Option<Found> {
        self.search(received, false)
    }

    /// Decides by what is there, since what the length promises does not come.
    pub fn stalled(&mut self, received: &mut BytesMut) -> Option<Found> {
        self.search(received, true)
    }

    fn search(&mut self, received: &mut BytesMut, is_stalled: bool) -> Option<Found> {
        loop {
            let was_begun = std::mem::take(&mut self.begun);
            if self.run.is_none() && !was_begun {
                // Line ends belong to the frame before, if there was one: many devices send none.
                let blank = received
                    .iter()
                    .take_while(|byte| byte.is_ascii_whitespace());
                let blank = blank.count();
                received.advance(blank);
            }
            if received.is_empty() {
                return None;
            }
            if was_begun && !received.starts_with(b"##") {
                // Its beginning was given up and has been told of.
                self.run = Some(0);
            }
            match self.look(received, is_stalled) {
                Look::Wait => {
                    self.begun = received.starts_with(b"##");
                    return None;
                }
                Look::Noise(bytes) => {
                    let first = received.get(..bytes.min(32)).unwrap_or_default();
                    let detail = || format!("`{}` is no frame", first.escape_ascii());
                    let told = self.noise(bytes, detail);
                    received.advance(bytes);
                    if told.is_some() {
                        return told;
                    }
                }
                Look::Whole(len, checksum) => return Some(self.cut(received, len, checksum)),
                Look::Bad(bytes, reason) => {
                    let first = received.get(..bytes.min(96)).unwrap_or_default();
                    let detail = first.escape_ascii().to_string();
                    received.advance(bytes);
                    self.run = Some(0);
                    return Some(Found::Skipped {
                        bytes,
                        reason,
                        detail,
                    });
                }
            }
        }
    }

    /// Counts noise; tells of it at its beginning and when there is very much of it.
    fn noise(&mut self, bytes: usize, detail: impl FnOnce() -> String) -> Option<Found> {
        let untold = self
            .run
            .map_or(RUN_BYTES_MAX, |run| run.saturating_add(bytes));
        if untold < RUN_BYTES_MAX {
            self.run = Some(untold);
            return None;
        }
        let bytes = self.run.map_or(bytes, |_| untold);
        self.run = Some(0);
        Some(Found::Skipped {
            bytes,
            reason: "noise",
            detail: detail(),
        })
    }

    fn cut(&mut self, received: &mut BytesMut, len: usize, checksum: Option<Checksum>) -> Found {
        self.run = None;
        let length = received.get(2..HEAD_BYTES).and_then(decimal).unwrap_or(0);
        received.advance(HEAD_BYTES);
        let segment = received.split_to(len).freeze();
        let mut crc = [0; CRC_BYTES];
        for (to, from) in crc.iter_mut().zip(received.iter()) {
            *to = *from;
        }
        received.advance(CRC_BYTES);
        Found::Frame(Frame {
            length,
            segment,
            crc,
            checksum,
        })
    }

    fn look(&self, received: &[u8], is_stalled: bool) -> Look {
        let start = find(received, b"##").unwrap_or_else(|| {
            // The last byte may be half of a start.
            received.len() - usize::from(received.ends_with(b"#"))
        });
        if start > 0 {
            return Look::Noise(start);
        }
        let Some(head) = received.get(..HEAD_BYTES) else {
            let digits = received.get(2..).unwrap_or_default();
            return match digits.iter().position(|byte| !byte.is_ascii_digit()) {
                None => Look::Wait,
                Some(0) if received.get(2) == Some(&b'#') => Look::Noise(1),
                Some(_) => Look::Bad(2, "bad_length"),
            };
        };
        let Some(length) = head.get(2..).and_then(decimal) else {
            return match head.get(2) {
                Some(b'#') => Look::Noise(1),
                _ => Look::Bad(2, "bad_length"),
            };
        };
        self.measure(received, usize::from(length), is_stalled)
    }

    /// Decides by the length if that fits, and by the end mark if it does not.
    fn measure(&self, received: &[u8], length: usize, is_stalled: bool) -> Look {
        let body = received.get(HEAD_BYTES..).unwrap_or_default();
        if length <= self.segment_bytes_max {
            if body.len() < length + CRC_BYTES {
                return unfinished(body, is_stalled);
            }
            if let Ok(checksum) = judge(body, length) {
                return Look::Whole(length, checksum);
            }
        }
        // Another frame cannot be a part of one whose length is wrong.
        let next = next_head(body);
        let reach = body.get(..next.unwrap_or(body.len())).unwrap_or_default();
        match end_mark(reach) {
            Some(end) if end > self.segment_bytes_max => Look::Bad(HEAD_BYTES, "frame_too_large"),
            Some(end) => match judge(body, end) {
                Ok(checksum) => Look::Whole(end, checksum),
                Err(reason) => Look::Bad(HEAD_BYTES + end + CRC_BYTES, reason),
            },
            None => match (find(reach, b"\r\n"), next) {
                (Some(line), _) => Look::Bad(HEAD_BYTES + line + 2, "bad_segment"),
                (None, Some(next)) => Look::Bad(HEAD_BYTES + next, "bad_segment"),
                (None, None) if reach.len() > self.segment_bytes_max + CRC_BYTES => {
                    Look::Bad(HEAD_BYTES, "frame_too_large")
                }
                (None, None) => Look::Wait,
            },
        }
    }
}

/// Decides on a frame that is shorter than its length says: a line end behind a right sum ends it,
/// and so does the end of all patience.
fn unfinished(body: &[u8], is_stalled: bool) -> Look {
    if !is_stalled && !body.ends_with(b"\n") {
        return Look::Wait;
    }
    let reach = body.get(..next_head(body).unwrap_or(body.len()));
    let reach = reach.unwrap_or_default();
    let Some(end) = end_mark(reach) else {
        return Look::Wait;
    };
    let rest = reach.get(end + CRC_BYTES..).unwrap_or_default();
    let is_line = matches!(rest, b"\r\n" | b"\n");
    match judge(body, end) {
        Ok(checksum) if is_line || is_stalled => Look::Whole(end, checksum),
        Err(reason) if is_stalled => Look::Bad(HEAD_BYTES + end + CRC_BYTES, reason),
        _ => Look::Wait,
    }
}

/// Judges a segment of `len` bytes by its form and the sum behind it.
fn judge(body: &[u8], len: usize) -> Result<Option<Checksum>, &'static str> {
    let segment = body.get(..len).unwrap_or_default();
    let crc = body.get(len..len + CRC_BYTES).and_then(hex);
    let opened = find(segment, OPENER).map(|at| at + OPENER.len());
    let closed = segment.ends_with(CLOSER) && opened.is_some_and(|at| at + CLOSER.len() <= len);
    let (Some(crc), true) = (crc, closed) else {
        return Err("bad_segment");
    };
    match Checksum::matching(segment, crc) {
        Some(checksum) => Ok(Some(checksum)),
        None if find(segment, SEALED).is_some() => Ok(None),
        None => Err("crc_mismatch"),
    }
}

/// Finds where a segment ends: behind the first `&&` after the opening one that a sum follows.
fn end_mark(body: &[u8]) -> Option<usize> {
    let mut from = find(body, OPENER)? + OPENER.len();
    loop {
        let rest = body.get(from..)?;
        let end = from + find(rest, CLOSER)? + CLOSER.len();
        if body
            .get(end..end + CRC_BYTES)
            .is_some_and(|crc| hex(crc).is_some())
        {
            return Some(end);
        }
        from = end - 1;
    }
}

/// Finds where the next frame begins.
fn next_head(body: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = body.get(from..)?;
        let at = from + find(rest, b"##")?;
        if body
            .get(at + 2..at + HEAD_BYTES)
            .and_then(decimal)
            .is_some()
        {
            return Some(at);
        }
        from = at + 1;
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Reads four decimal digits.
fn decimal(digits: &[u8]) -> Option<u16> {
    (digits.len() == 4).then_some(())?;
    digits.iter().try_fold(0, |sum: u16, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + u16::from(digit - b'0'))
    })
}

/// Reads four hexadecimal digits of either case.
fn hex(digits: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(digits).ok()?;
    let plain = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}
