//! Frames of JT/T 808-2013 and -2019: bytes to messages and back, without a socket and without a clock.
//!
//! `7E | head | body | BCC | 7E`, with 7E and 7D escaped between the flags (4.4).

use bytes::{BufMut, Bytes, BytesMut};

const FLAG: u8 = 0x7e;
const ESCAPE: u8 = 0x7d;

/// Escaped bytes between two flags: head of 2019 with sub-package 21, body 1,023, BCC, all escaped.
pub(crate) const CONTENT_BYTES_MAX: usize = 2 * (21 + 1_023 + 1);

/// Head of 2013 without a body, and the BCC.
const CONTENT_BYTES_MIN: usize = 13;

/// 消息体属性, 4.4.3 table 3.
const BODY_LEN: u16 = 0x03ff;
const ENCRYPTION: u16 = 0x1c00;
const SUB_PACKAGE: u16 = 1 << 13;
/// 版本标识 of 2019.
const EDITION_2019: u16 = 1 << 14;

/// 消息 ID, JT/T 808-2013 chapter 8.
pub(crate) mod id {
    pub(crate) const REPLY: u16 = 0x0001;
    pub(crate) const HEARTBEAT: u16 = 0x0002;
    pub(crate) const LOGOUT: u16 = 0x0003;
    pub(crate) const REGISTER: u16 = 0x0100;
    pub(crate) const AUTHENTICATE: u16 = 0x0102;
    pub(crate) const LOCATION: u16 = 0x0200;
    pub(crate) const BATCH: u16 = 0x0704;
    pub(crate) const PLATFORM_REPLY: u16 = 0x8001;
    pub(crate) const RESEND: u16 = 0x8003;
    pub(crate) const REGISTERED: u16 = 0x8100;
}

/// The number of a terminal: its telephone number, in BCD.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Phone {
    pub(crate) bcd: [u8; 10],
    pub(crate) is_long: bool,
}

impl Phone {
    fn bytes(&self) -> &[u8] {
        let from = if self.is_long { 0 } else { 4 };
        self.bcd.get(from..).unwrap_or_default()
    }

    /// All digits, 12 or 20.
    pub(crate) fn padded(&self) -> String {
        self.bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Without leading zeros.
    pub(crate) fn digits(&self) -> String {
        self.padded().trim_start_matches('0').to_owned()
    }
}

/// What stands before the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: u16,
    pub(crate) phone: Phone,
    pub(crate) serial: u16,
    /// 协议版本号 of 2019.
    pub(crate) version: Option<u8>,
    pub(crate) encryption: u16,
    /// Total and number of a part, counted from 1.
    pub(crate) part: Option<(u16, u16)>,
}

/// A message, or one part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) head: Head,
    pub(crate) body: Bytes,
}

/// What the received bytes begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Message(Message, usize),
    /// A flag that ends one frame and begins the next, or stands alone.
    Flag,
    Bad {
        bytes: usize,
        reason: &'static str,
    },
}

/// Looks at the beginning of what was received; `None` wants more. After a frame its last flag may be
/// the first of the next (`after_frame`).
pub(crate) fn find(received: &[u8], after_frame: bool) -> Option<Found> {
    let begins = received.first() == Some(&FLAG);
    let content = if begins { received.get(1..)? } else { received };
    let end = content.iter().position(|byte| *byte == FLAG);
    if !begins {
        // Text of other protocols, noise, or a frame that shares its first flag.
        let shared = end
            .filter(|_| after_frame)
            .and_then(|end| content.get(..end));
        if let (Some(shared), Some(end)) = (shared, end)
            && let Ok(message) = read(shared)
        {
            return Some(Found::Message(message, end + 1));
        }
        let waits = after_frame && content.len() <= CONTENT_BYTES_MAX && !looks_like_text(content);
        return match end {
            Some(bytes) => Some(Found::Bad {
                bytes,
                reason: "noise",
            }),
            None if waits || content.is_empty() => None,
            None => Some(Found::Bad {
                bytes: content.len(),
                reason: "noise",
            }),
        };
    }
    let Some(end) = end else {
        let too_long = content.len() > CONTENT_BYTES_MAX;
        return too_long.then_some(Found::Bad {
            bytes: 1,
            reason: "length",
        });
    };
    if end == 0 {
        return Some(Found::Flag);
    }
    Some(match content.get(..end).map_or(Err("short"), read) {
        Ok(message) => Found::Message(message, end + 2),
        // The flag behind it may begin a good frame.
        Err(reason) => Found::Bad {
            bytes: end + 1,
            reason,
        },
    })
}

/// Some trackers mix a protocol of readable text in; it never becomes a frame.
fn looks_like_text(content: &[u8]) -> bool {
    content
        .iter()
        .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
}

/// Reads what stands between two flags.
fn read(escaped: &[u8]) -> Result<Message, &'static str> {
    let plain = unescape(escaped).ok_or("escape")?;
    if plain.len() < CONTENT_BYTES_MIN {
        return Err("short");
    }
    if plain.iter().fold(0, |sum, byte| sum ^ byte) != 0 {
        return Err("bcc");
    }
    let counted = plain.get(..plain.len() - 1).unwrap_or_default();
    let (head, body_len, from) = head(counted).ok_or("short")?;
    let body = plain.slice(from..plain.len() - 1);
    if body.len() != body_len {
        return Err("length");
    }
    Ok(Message { head, body })
}

fn head(bytes: &[u8]) -> Option<(Head, usize, usize)> {
    let word = |at: usize| {
        let pair = bytes.get(at..at + 2)?;
        Some(u16::from_be_bytes(pair.try_into().ok()?))
    };
    let attributes = word(2)?;
    let is_2019 = attributes & EDITION_2019 != 0;
    let (version, phone_at, phone_len) = if is_2019 {
        (Some(*bytes.get(4)?), 5, 10)
    } else {
        (None, 4, 6)
    };
    let mut bcd = [0; 10];
    let digits = bytes.get(phone_at..phone_at + phone_len)?;
    bcd.get_mut(10 - phone_len..)?.copy_from_slice(digits);
    let at = phone_at + phone_len;
    let (part, from) = if attributes & SUB_PACKAGE == 0 {
        (None, at + 2)
    } else {
        (Some((word(at + 2)?, word(at + 4)?)), at + 6)
    };
    let head = Head {
        id: word(0)?,
        phone: Phone {
            bcd,
            is_long: is_2019,
        },
        serial: word(at)?,
        version,
        encryption: (attributes & ENCRYPTION) >> 10,
        part,
    };
    (from <= bytes.len()).then_some((head, usize::from(attributes & BODY_LEN), from))
}

/// 7D 02 is 7E, 7D 01 is 7D; anything else after 7D is an error (4.4.2).
pub(crate) fn unescape(escaped: &[u8]) -> Option<Bytes> {
    let mut plain = BytesMut::with_capacity(escaped.len());
    let mut rest = escaped.iter();
    while let Some(byte) = rest.next() {
        plain.put_u8(match (*byte, byte) {
            (ESCAPE, _) => match rest.next()? {
                2 => FLAG,
                1 => ESCAPE,
                _ => return None,
            },
            (byte, _) => byte,
        });
    }
    Some(plain.freeze())
}

/// Writes a message to the terminal of `to`, with a serial of the platform's own.
pub(crate) fn write(to: &Head, id: u16, serial: u16, body: &[u8]) -> Bytes {
    let mut plain = BytesMut::with_capacity(32 + body.len());
    let len = u16::try_from(body.len()).unwrap_or(BODY_LEN) & BODY_LEN;
    plain.put_u16(id);
    plain.put_u16(if to.version.is_some() {
        len | EDITION_2019
    } else {
        len
    });
    plain.extend(to.version);
    plain.put_slice(to.phone.bytes());
    plain.put_u16(serial);
    plain.put_slice(body);
    let bcc = plain.iter().fold(0, |sum, byte| sum ^ byte);
    plain.put_u8(bcc);
    let mut bytes = BytesMut::with_capacity(plain.len() + 8);
    bytes.put_u8(FLAG);
    for byte in plain {
        match byte {
            FLAG => bytes.put_slice(&[ESCAPE, 2]),
            ESCAPE => bytes.put_slice(&[ESCAPE, 1]),
            byte => bytes.put_u8(byte),
        }
    }
    bytes.put_u8(FLAG);
    bytes.freeze()
}

/// What a message is answered with (8.2).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Outcome {
    Done = 0,
    Failed = 1,
    Wrong = 2,
    Unsupported = 3,
}

/// 平台通用应答, 8.2.
pub(crate) fn platform_reply(to: &Head, serial: u16, outcome: Outcome) -> Bytes {
    let mut body = [0; 5];
    for (place, byte) in body.iter_mut().zip(
        to.serial
            .to_be_bytes()
            .into_iter()
            .chain(to.id.to_be_bytes()),
    ) {
        *place = byte;
    }
    body[4] = outcome as u8;
    write(to, id::PLATFORM_REPLY, serial, &body)
}

#[cfg(test)]
pub(crate) mod tests;
