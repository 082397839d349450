//! Lines of Omni locks: `*CMDR,OM,<IMEI>,<time>,<command>,…#`, ASCII, and back with FF FF before.
//!
//! Layout: public implementations of the maker's protocol (cykel-lock-omni, traccar Xrb28); the maker's
//! own document is not public.

use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;

/// What locks begin and end with.
const START: u8 = b'*';
const END: u8 = b'#';

/// The longest lines of public samples have some 110 bytes.
pub(crate) const LINE_BYTES_MAX: usize = 512;

/// Digits of an IMEI.
const IMEI_DIGITS: usize = 15;

/// Which family of devices speaks.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// `*CMDR`: locks of bikes.
    Lock,
    /// `*SCOR`: scooters; no time in their lines.
    Scooter,
    /// `*HBCR`: locks of bikes without a time in their lines.
    Bike,
}

impl Family {
    fn of(header: &str) -> Option<Self> {
        match header {
            "CMDR" => Some(Self::Lock),
            "SCOR" => Some(Self::Scooter),
            "HBCR" => Some(Self::Bike),
            _ => None,
        }
    }

    /// What the platform's lines begin with.
    fn answer(self) -> &'static str {
        match self {
            Self::Lock => "CMDS",
            Self::Scooter => "SCOS",
            Self::Bike => "HBCS",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) family: Family,
    pub(crate) vendor: &'a str,
    pub(crate) imei: &'a str,
    /// yymmddHHMMSS as it came; twelve zeros mean that the lock does not know.
    pub(crate) time: Option<&'a str>,
    pub(crate) command: &'a str,
    pub(crate) fields: Vec<&'a str>,
}

/// Why a line is none.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong(pub(crate) &'static str);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What the received bytes begin with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// So many bytes with their `#`.
    Line(usize),
    /// Ends of lines, which mean nothing.
    Blank(usize),
    Bad {
        bytes: usize,
        reason: &'static str,
    },
}

/// Looks at the beginning of what was received; `None` wants more.
pub(crate) fn find(received: &[u8]) -> Option<Found> {
    let first = received.first()?;
    // FF FF stands before lines of the platform, and before those of some locks.
    let is_blank = |byte: &u8| matches!(byte, b'\r' | b'\n' | b' ' | 0xff);
    if is_blank(first) {
        return Some(Found::Blank(
            received.iter().take_while(|byte| is_blank(byte)).count(),
        ));
    }
    let begins = |bytes: &[u8]| bytes.iter().position(|byte| *byte == START);
    if *first != START {
        let bytes = begins(received).unwrap_or(received.len());
        return Some(Found::Bad {
            bytes,
            reason: "noise",
        });
    }
    let rest = received.get(1..)?;
    let end = rest.iter().position(|byte| *byte == END);
    // A line that was cut off is followed by the beginning of another.
    let cut = begins(rest.get(..end.unwrap_or(rest.len()))?);
    match (cut, end) {
        (Some(at), _) => Some(Found::Bad {
            bytes: at + 1,
            reason: "incomplete",
        }),
        (None, Some(end)) => Some(Found::Line(end + 2)),
        (None, None) if received.len() > LINE_BYTES_MAX => Some(Found::Bad {
            bytes: 1,
            reason: "length",
        }),
        (None, None) => None,
    }
}

/// Reads one line with its `*` and `#`.
pub(crate) fn read(line: &[u8]) -> Result<Line<'_>, Wrong> {
    let text = std::str::from_utf8(line).map_err(|_| Wrong("text"))?;
    let text = text
        .strip_prefix('*')
        .and_then(|text| text.strip_suffix('#'));
    let mut fields = text.ok_or(Wrong("text"))?.split(',');
    let family = fields.next().and_then(Family::of).ok_or(Wrong("header"))?;
    let vendor = fields.next().ok_or(Wrong("short"))?;
    let imei = fields.next().ok_or(Wrong("short"))?;
    if imei.len() != IMEI_DIGITS || !imei.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Wrong("imei"));
    }
    let time = match family {
        Family::Lock => Some(fields.next().ok_or(Wrong("short"))?),
        Family::Scooter | Family::Bike => None,
    };
    let command = fields
        .next()
        .filter(|command| !command.is_empty())
        .ok_or(Wrong("short"))?;
    Ok(Line {
        family,
        vendor,
        imei,
        time,
        command,
        fields: fields.collect(),
    })
}

/// Writes what acknowledges a line: with `Re,` before the command or without, by what the lock wants.
pub(crate) fn reply(to: &Line<'_>, with_re: bool) -> Bytes {
    let mut bytes = BytesMut::with_capacity(64);
    bytes.put_slice(&[0xff, 0xff, START]);
    for part in [to.family.answer(), to.vendor, to.imei] {
        bytes.put_slice(part.as_bytes());
        bytes.put_u8(b',');
    }
    if let Some(time) = to.time {
        bytes.put_slice(time.as_bytes());
        bytes.put_u8(b',');
    }
    if with_re {
        bytes.put_slice(b"Re,");
    }
    bytes.put_slice(to.command.as_bytes());
    bytes.put_slice(b"#\n");
    bytes.freeze()
}

#[cfg(test)]
pub(crate) mod tests;
