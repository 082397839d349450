//! Frames of GB/T 26875.3-2011: bytes to frames and back, without a socket and without a clock.
//!
//! Cut by length, never by the end marker: text and checksum may hold `23 23`.

use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;

/// 启动符 `@@` and 结束符 `##`, 6.2 and table 1.
const START: [u8; 2] = *b"@@";
const END: [u8; 2] = *b"##";

/// Bytes before the application unit, and after it (table 1).
pub(crate) const HEAD_BYTES: usize = 27;
pub(crate) const TAIL_BYTES: usize = 3;

/// 应用数据单元长度, 6.2: "不应大于1024".
pub(crate) const UNIT_BYTES_MAX: usize = 1024;

/// 控制单元命令字节, table 2.
pub(crate) mod command {
    pub(crate) const CONTROL: u8 = 1;
    pub(crate) const SEND: u8 = 2;
    pub(crate) const CONFIRM: u8 = 3;
    pub(crate) const REQUEST: u8 = 4;
    pub(crate) const ANSWER: u8 = 5;
    pub(crate) const DENY: u8 = 6;
    /// From here on everybody defines his own.
    pub(crate) const USER: u8 = 128;
}

/// Six bytes that name one side, low byte first.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address(pub(crate) [u8; 6]);

impl Address {
    /// The number, as decimal spellings give it.
    pub(crate) fn number(self) -> u64 {
        self.0
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    /// Reads twelve hexadecimal digits, high byte first.
    #[cfg(test)]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != 12 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = u64::from_str_radix(text, 16).ok()?;
        let [low @ .., _, _] = number.to_le_bytes();
        Some(Self(low))
    }
}

/// Twelve hexadecimal digits, high byte first.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.number())
    }
}

/// 时间标签, 8.2.2: second, minute, hour, day, month and year since 2000, in binary.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) [u8; 6]);

/// What stands before the application unit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// 业务流水号; the answer repeats it.
    pub(crate) serial: u16,
    /// 主版本号 and 用户版本号.
    pub(crate) version: [u8; 2],
    pub(crate) time: Stamp,
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) command: u8,
    pub(crate) unit_bytes: usize,
}

/// What the received bytes begin with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole frame of so many bytes.
    Frame(Head, usize),
    /// So many bytes are no frame, and why; `head` is what a frame that was damaged on its way may be
    /// denied by.
    Bad {
        bytes: usize,
        reason: &'static str,
        head: Option<Head>,
    },
}

/// Looks at the beginning of what was received; `None` wants more.
pub(crate) fn find(received: &[u8]) -> Option<Found> {
    let noise = start(received);
    if noise > 0 {
        let reason = "noise";
        return Some(Found::Bad {
            bytes: noise,
            reason,
            head: None,
        });
    }
    Some(match judge(received)? {
        Judged::Good(head, len) => Found::Frame(head, len),
        // A length that is not to be trusted must not hold back a good frame behind it.
        Judged::Cut => Found::Bad {
            bytes: good_frame_behind(received)?,
            reason: "incomplete",
            head: None,
        },
        Judged::Bad(reason, head) => Found::Bad {
            bytes: 1,
            reason,
            head,
        },
        // Both markers are where the length says: it is a frame, and all of it is given up.
        Judged::Damaged(head, len) => Found::Bad {
            bytes: received
                .get(..len)
                .and_then(good_frame_behind)
                .unwrap_or(len),
            reason: "checksum",
            head: Some(head),
        },
    })
}

enum Judged {
    Good(Head, usize),
    Cut,
    Damaged(Head, usize),
    Bad(&'static str, Option<Head>),
}

/// Judges what begins with a start marker; `None` where not even the head is there.
fn judge(bytes: &[u8]) -> Option<Judged> {
    let Some(head) = head(bytes) else {
        return Some(Judged::Cut);
    };
    if head.unit_bytes > UNIT_BYTES_MAX {
        // 6.5.3: too long is denied; but what has no time of a calendar is more likely noise.
        let head = Some(head).filter(|head| head.time.is_calendar());
        return Some(Judged::Bad("length", head));
    }
    let len = HEAD_BYTES + head.unit_bytes + TAIL_BYTES;
    let Some(frame) = bytes.get(..len) else {
        return Some(Judged::Cut);
    };
    let (summed, tail) = frame.split_at_checked(len - TAIL_BYTES)?;
    if !tail.ends_with(&END) {
        return Some(Judged::Bad("end_marker", None));
    }
    if tail.first() != Some(&checksum(summed)) {
        return Some(Judged::Damaged(head, len));
    }
    Some(Judged::Good(head, len))
}

/// Finds a whole and good frame after the first byte.
fn good_frame_behind(received: &[u8]) -> Option<usize> {
    let starts = received.windows(2).enumerate().skip(1);
    let mut starts = starts.filter(|(_, pair)| *pair == START);
    let good = |(at, _): &(usize, &[u8])| {
        let frame = received.get(*at..).and_then(judge);
        matches!(frame, Some(Judged::Good(..)))
    };
    starts.find(good).map(|(at, _)| at)
}

/// Counts the bytes before the next start marker, or before what may be the half of one.
fn start(received: &[u8]) -> usize {
    let found = received.windows(2).position(|pair| pair == START);
    found.unwrap_or_else(|| {
        let half = received.last() == START.first();
        received.len() - usize::from(half)
    })
}

fn head(bytes: &[u8]) -> Option<Head> {
    let head = bytes.get(..HEAD_BYTES)?;
    let six = |at: usize| <[u8; 6]>::try_from(head.get(at..at + 6)?).ok();
    let two = |at: usize| <[u8; 2]>::try_from(head.get(at..at + 2)?).ok();
    Some(Head {
        serial: u16::from_le_bytes(two(2)?),
        version: two(4)?,
        time: Stamp(six(6)?),
        source: Address(six(12)?),
        destination: Address(six(18)?),
        command: *head.get(26)?,
        unit_bytes: usize::from(u16::from_le_bytes(two(24)?)),
    })
}

/// 校验和, 6.2: the sum of all from the serial to the end of the unit; `summed` begins with the start
/// marker.
fn checksum(summed: &[u8]) -> u8 {
    let counted = summed.iter().skip(START.len());
    counted.fold(0u8, |sum, byte| sum.wrapping_add(*byte))
}

/// Writes a frame.
pub(crate) fn write(head: &Head, unit: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEAD_BYTES + unit.len() + TAIL_BYTES);
    bytes.put_slice(&START);
    bytes.put_u16_le(head.serial);
    bytes.put_slice(&head.version);
    bytes.put_slice(&head.time.0);
    bytes.put_slice(&head.source.0);
    bytes.put_slice(&head.destination.0);
    bytes.put_u16_le(u16::try_from(unit.len()).unwrap_or(u16::MAX));
    bytes.put_u8(head.command);
    bytes.put_slice(unit);
    let sum = checksum(&bytes);
    bytes.put_u8(sum);
    bytes.put_slice(&END);
    bytes.freeze()
}

/// Writes what answers a frame: the same serial and version, the sides changed, no unit (6.3.2).
pub(crate) fn reply(to: &Head, command: u8, now: Stamp) -> Bytes {
    let head = Head {
        time: now,
        source: to.destination,
        destination: to.source,
        command,
        unit_bytes: 0,
        ..*to
    };
    write(&head, &[])
}

#[cfg(test)]
pub(crate) mod tests;
