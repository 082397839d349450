//! Messages of SIP (RFC 3261) as registrars and their devices write them: cut out of a stream or a
//! datagram, looked up by header, and answered by copying what an answer must copy.
//!
//! Sans-I/O, and nothing that comes makes it panic. Values are bytes as they came, so that an answer
//! gives back exactly what was said, in whatever encoding.

use bytes::Bytes;
use std::net::SocketAddr;

/// Longest head (start line and headers); the longest that devices send is under 1 KiB.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Longest body: a catalogue of some hundred channels.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// Headers of one message.
const HEADERS_MAX: usize = 64;

const VERSION: &[u8] = b"SIP/2.0";

/// What stands at the beginning of what was received on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Not yet whole.
    More,
    /// Line ends and zeros between messages: keeps a connection open (RFC 5626 3.5.1).
    Blank(usize),
    /// So many bytes are no message, for a reason.
    Noise(usize, &'static str),
    Message {
        head_bytes: usize,
        body_bytes: usize,
    },
}

/// Looks at what was received on a stream.
pub(crate) fn find(received: &[u8]) -> Found {
    let blank = blank(received);
    if blank > 0 {
        return Found::Blank(blank);
    }
    let Some(line_bytes) = position(received, b"\n").map(|end| end + 1) else {
        return match received.len() {
            waiting if waiting > HEAD_BYTES_MAX => Found::Noise(waiting, "head_too_large"),
            _ => Found::More,
        };
    };
    let line = received.get(..line_bytes).unwrap_or_default();
    if StartLine::read(line).is_none() {
        return Found::Noise(line_bytes, "start_line");
    }
    let Some(head_bytes) = head_bytes(received) else {
        return match received.len() {
            waiting if waiting > HEAD_BYTES_MAX => Found::Noise(line_bytes, "head_too_large"),
            _ => Found::More,
        };
    };
    if head_bytes > HEAD_BYTES_MAX {
        return Found::Noise(line_bytes, "head_too_large");
    }
    match content_length(received.get(..head_bytes).unwrap_or_default()) {
        Ok(body_bytes) if body_bytes > BODY_BYTES_MAX => Found::Noise(head_bytes, "body_too_large"),
        Ok(body_bytes) if received.len() < head_bytes + body_bytes => Found::More,
        Ok(body_bytes) => Found::Message {
            head_bytes,
            body_bytes,
        },
        Err(()) => Found::Noise(head_bytes, "content_length"),
    }
}

/// Counts what stands between messages.
pub(crate) fn blank(received: &[u8]) -> usize {
    let is_blank = |byte: &&u8| matches!(byte, b'\r' | b'\n' | 0);
    received.iter().take_while(is_blank).count()
}

fn position(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Finds the end of the head: an empty line, whichever way lines end.
pub(crate) fn head_bytes(received: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(end) = received.get(from..).and_then(|rest| position(rest, b"\n")) {
        let next = from + end + 1;
        match received.get(next..) {
            Some([b'\n', ..]) => return Some(next + 1),
            Some([b'\r', b'\n', ..]) => return Some(next + 2),
            _ => from = next,
        }
    }
    None
}

/// Reads how long a head says that its body is; nothing said is none (RFC 3261 18.3).
fn content_length(head: &[u8]) -> Result<usize, ()> {
    let mut said = None;
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = position(line, b":") else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii();
        if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let length = std::str::from_utf8(value).ok().and_then(|text| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<usize>().ok().filter(|_| is_number)
        });
        let length = length.ok_or(())?;
        // Two that differ would let one message hide in another.
        if said.is_some_and(|said| said != length) {
            return Err(());
        }
        said = Some(length);
    }
    Ok(said.unwrap_or(0))
}

struct StartLine<'a> {
    /// None for a response.
    method: Option<&'a str>,
}

impl<'a> StartLine<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let line = line.trim_ascii_end();
        if line.starts_with(VERSION) {
            let rest = line.get(VERSION.len()..)?.strip_prefix(b" ")?;
            let is_status = rest.len() >= 3 && rest.iter().take(3).all(u8::is_ascii_digit);
            return is_status.then_some(Self { method: None });
        }
        let rest = line.strip_suffix(VERSION)?.strip_suffix(b" ")?;
        let (method, uri) = rest.split_at(position(rest, b" ")?);
        let is_method = !method.is_empty() && method.iter().all(u8::is_ascii_uppercase);
        let method = std::str::from_utf8(method).ok()?;
        (is_method && uri.len() > 1).then_some(Self {
            method: Some(method),
        })
    }
}

/// A message, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Empty for a response.
    pub(crate) method: String,
    headers: Vec<(Bytes, Bytes)>,
    pub(crate) body: Bytes,
}

impl Message {
    /// Reads a head that [`find`] or [`head_bytes`] measured, and takes the body as it is.
    pub(crate) fn read(head: &Bytes, body: Bytes) -> Option<Self> {
        let line_bytes = position(head, b"\n")? + 1;
        let start = StartLine::read(head.get(..line_bytes)?)?;
        let mut headers: Vec<(Bytes, Bytes)> = Vec::with_capacity(16);
        let mut from = line_bytes;
        while let Some(end) = head.get(from..).and_then(|rest| position(rest, b"\n")) {
            let line = head.slice(from..from + end);
            from += end + 1;
            let text = line.trim_ascii();
            if text.is_empty() || headers.len() >= HEADERS_MAX {
                continue;
            }
            if matches!(line.first(), Some(b' ' | b'\t')) {
                // A folded line belongs to the header before it (RFC 3261 7.3.1).
                if let Some((_, value)) = headers.last_mut() {
                    let folded = [value.as_ref(), b" ", text].concat();
                    *value = Bytes::from(folded);
                }
                continue;
            }
            let Some(colon) = position(&line, b":") else {
                continue;
            };
            let name = head.slice_ref(line.get(..colon)?.trim_ascii());
            let value = head.slice_ref(line.get(colon + 1..)?.trim_ascii());
            headers.push((name, value));
        }
        Some(Self {
            method: start.method.unwrap_or_default().to_owned(),
            headers,
            body,
        })
    }

    fn all<'a>(&'a self, long: &'a str, short: &'a str) -> impl Iterator<Item = &'a Bytes> {
        let is_meant = move |name: &Bytes| {
            name.eq_ignore_ascii_case(long.as_bytes())
                || !short.is_empty() && name.eq_ignore_ascii_case(short.as_bytes())
        };
        let headers = self.headers.iter();
        headers.filter_map(move |(name, value)| is_meant(name).then_some(value))
    }

    fn first(&self, long: &str, short: &str) -> Option<&Bytes> {
        let is_meant = |name: &Bytes| {
            name.eq_ignore_ascii_case(long.as_bytes())
                || !short.is_empty() && name.eq_ignore_ascii_case(short.as_bytes())
        };
        let found = self.headers.iter().find(|(name, _)| is_meant(name));
        found.map(|(_, value)| value)
    }

    pub(crate) fn text(&self, long: &str, short: &str) -> Option<&str> {
        std::str::from_utf8(self.first(long, short)?).ok()
    }

    /// Tells what a request must have to be answered at all (RFC 3261 8.1.1).
    pub(crate) fn is_answerable(&self) -> bool {
        let needed = [
            ("via", "v"),
            ("from", "f"),
            ("to", "t"),
            ("call-id", "i"),
            ("cseq", ""),
        ];
        needed
            .iter()
            .all(|(long, short)| self.first(long, short).is_some())
    }

    /// Tells whether CSeq names the same method.
    pub(crate) fn has_true_sequence(&self) -> bool {
        let parts = self.text("cseq", "").and_then(|cseq| {
            let (number, method) = cseq.split_once(char::is_whitespace)?;
            Some((number.parse::<u32>().ok()?, method.trim()))
        });
        parts.is_some_and(|(_, method)| method == self.method)
    }

    /// Gives the user part of the address in From: who it is of.
    pub(crate) fn sender(&self) -> Option<&str> {
        user(self.text("from", "f")?)
    }

    /// Gives what tells this request from every other but its retransmissions (RFC 3261 17.2.3).
    pub(crate) fn transaction(&self) -> Vec<u8> {
        let top = self
            .first("via", "v")
            .and_then(|via| parameter(via, "branch"));
        let parts = [
            top.unwrap_or_default(),
            self.first("call-id", "i").map_or(&[], |id| id.as_ref()),
            self.first("cseq", "").map_or(&[], |cseq| cseq.as_ref()),
            self.first("from", "f").map_or(&[], |from| from.as_ref()),
        ];
        parts.join(&0)
    }

    /// Tells for how long a REGISTER asks (RFC 3261 10.2.1.1); none if it does not say.
    pub(crate) fn expires_s(&self) -> Option<u32> {
        let of_contact = self
            .first("contact", "m")
            .and_then(|contact| parameter(contact, "expires"));
        let of_header = || self.first("expires", "").map(|value| value.as_ref());
        let said = std::str::from_utf8(of_contact.or_else(of_header)?).ok()?;
        said.trim().trim_matches('"').parse().ok()
    }

    pub(crate) fn contact(&self) -> Option<&Bytes> {
        self.first("contact", "m")
    }

    /// Answers: what an answer copies is copied, `received` and `rport` are filled in (RFC 3261 18.2.1,
    /// RFC 3581 4), and To gets a tag if it has none.
    pub(crate) fn answer(
        &self,
        status: (u16, &str),
        (peer, tag): (SocketAddr, &str),
        more: &[(&str, &[u8])],
    ) -> Bytes {
        let mut said = Vec::with_capacity(512);
        let mut line = |parts: &[&[u8]]| {
            for part in parts {
                said.extend_from_slice(part);
            }
            said.extend_from_slice(b"\r\n");
        };
        let (code, reason) = status;
        line(&[
            VERSION,
            b" ",
            code.to_string().as_bytes(),
            b" ",
            reason.as_bytes(),
        ]);
        for (at, via) in self.all("via", "v").enumerate() {
            match at {
                0 => line(&[b"Via: ", &traced(via, peer)]),
                _ => line(&[b"Via: ", via]),
            }
        }
        for (name, short) in [("From", "f"), ("To", "t"), ("Call-ID", "i"), ("CSeq", "")] {
            let value = self.first(name, short).cloned().unwrap_or_default();
            let is_bare_to = name == "To" && parameter(&value, "tag").is_none();
            match is_bare_to {
                true => line(&[b"To: ", &value, b";tag=", tag.as_bytes()]),
                false => line(&[name.as_bytes(), b": ", &value]),
            }
        }
        for (name, value) in more {
            line(&[name.as_bytes(), b": ", value]);
        }
        line(&[b"Server: cityhub"]);
        line(&[b"Content-Length: 0"]);
        line(&[]);
        Bytes::from(said)
    }
}

/// Gives the user of a SIP address: `<sip:USER@host>;tag=…`, also without brackets.
fn user(address: &str) -> Option<&str> {
    let inner = address.rsplit_once('<').map_or(address, |(_, rest)| rest);
    let at = inner.to_ascii_lowercase().find("sip:")?;
    let rest = inner.get(at + 4..)?;
    let end = rest.find(['@', '>', ';', '?', ' ']).unwrap_or(rest.len());
    let user = rest.get(..end)?.trim();
    // A password in an address (RFC 3261 19.1.1) is no part of the name.
    let user = user.split(':').next().unwrap_or_default();
    (!user.is_empty()).then_some(user)
}

/// Finds a parameter behind a header's address: `;name=value`.
fn parameter<'a>(value: &'a [u8], name: &str) -> Option<&'a [u8]> {
    // What stands within the brackets belongs to the address.
    let from = value.iter().rposition(|byte| *byte == b'>');
    let rest = value.get(from.map_or(0, |at| at + 1)..)?;
    let end = rest.iter().position(|byte| *byte == b',');
    let rest = rest.get(..end.unwrap_or(rest.len()))?;
    let mut parts = rest.split(|byte| *byte == b';').skip(1);
    parts.find_map(|part| {
        let at = position(part, b"=").unwrap_or(part.len());
        let (known, value) = part.split_at(at);
        let is_meant = known.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        is_meant.then(|| value.strip_prefix(b"=").unwrap_or_default().trim_ascii())
    })
}

/// Writes into the topmost Via where the request really came from.
fn traced(via: &[u8], peer: SocketAddr) -> Vec<u8> {
    let end = via.iter().position(|byte| *byte == b',');
    let (first, rest) = via.split_at(end.unwrap_or(via.len()));
    let mut parts = first.split(|byte| *byte == b';');
    let mut said = parts.next().unwrap_or_default().to_vec();
    let address = peer.ip().to_string();
    let is_named = position(&said, address.as_bytes()).is_some();
    let mut wants_port = false;
    for part in parts {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default();
        if name.trim_ascii().eq_ignore_ascii_case(b"rport") {
            wants_port = true;
            said.extend_from_slice(format!(";rport={}", peer.port()).as_bytes());
        } else if !name.trim_ascii().eq_ignore_ascii_case(b"received") {
            said.push(b';');
            said.extend_from_slice(part);
        }
    }
    if wants_port || !is_named {
        said.extend_from_slice(b";received=");
        said.extend_from_slice(address.as_bytes());
    }
    said.extend_from_slice(rest);
    said
}

#[cfg(test)]
mod tests;
