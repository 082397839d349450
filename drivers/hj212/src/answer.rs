//! What the hub says to devices: answers to what they sent, and requests.

use crate::command::AnswerKind;
use crate::crc::Checksum;
use crate::profile::Profile;
use crate::segment::{Edition, Segment};
use bytes::Bytes;
use std::fmt::Write as _;

/// Flag bit 0, answer wanted, and bit 1, there are parts.
const ASKS_AND_PARTS: u8 = 3;

/// Longest text of a device that is repeated to it.
const ECHO_BYTES_MAX: usize = 64;

/// Makes the answer to a frame, or nothing where the device asks for none or could not know which
/// of its frames it answers (it has no QN).
///
/// ST is 91, QN, PW and MN are the frame's, and Flag is its edition (HJ 212-2017 annex C). The
/// edition of 2005 has QN in the data area instead.
pub fn answer(segment: &Segment<'_>, kind: AnswerKind, profile: &Profile) -> Option<Bytes> {
    if !segment.wants_answer() {
        return None;
    }
    let qn = echo(segment.qn)?;
    let cn = match kind {
        AnswerKind::Data => "9014",
        AnswerKind::Notice => "9013",
        AnswerKind::Login => "9022",
    };
    let flag = match profile.edition.edition() {
        Some(edition) => edition.bits(),
        None => segment.flag? & !ASKS_AND_PARTS,
    };
    let is_2005 = profile.edition.edition() == Some(Edition::E2005);
    let mut text = String::with_capacity(128);
    if !is_2005 {
        push(&mut text, "QN", Some(qn));
    }
    push(&mut text, "ST", Some("91"));
    push(&mut text, "CN", Some(cn));
    push(&mut text, "PW", echo(segment.pw));
    push(&mut text, "MN", echo(segment.mn));
    // Writing to a text cannot fail.
    let written = match (kind, is_2005) {
        (AnswerKind::Login, _) => write!(text, "Flag={flag};CP=&&QN={qn};Logon=1&&"),
        (_, false) => write!(text, "Flag={flag};CP=&&&&"),
        (AnswerKind::Data, true) => {
            let of = segment.cn.unwrap_or_default();
            write!(text, "Flag={flag};CP=&&QN={qn};CN={of}&&")
        }
        (AnswerKind::Notice, true) => write!(text, "Flag={flag};CP=&&QN={qn}&&"),
    };
    written.unwrap_or_default();
    Some(frame(&text, profile.answer_checksum))
}

fn echo(text: Option<&str>) -> Option<&str> {
    text.filter(|text| text.len() <= ECHO_BYTES_MAX)
}

pub(crate) fn push(text: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        // Writing to a text cannot fail.
        write!(text, "{name}={value};").unwrap_or_default();
    }
}

/// Puts head, checksum and end around a data segment.
pub(crate) fn frame(segment: &str, checksum: Checksum) -> Bytes {
    let crc = checksum.of(segment.as_bytes());
    format!("##{:04}{segment}{crc:04X}\r\n", segment.len()).into()
}
