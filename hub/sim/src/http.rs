//! HTTP/1.1 as a device writes and reads it, by hand from RFC 9112.

use std::fmt;

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// One request with a JSON body.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) host: &'a str,
    pub(crate) token: &'a str,
    pub(crate) body: &'a [u8],
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Seconds to wait before the next try.
    pub(crate) retry_after_s: Option<u64>,
    /// The server ends the connection after this answer.
    pub(crate) close: bool,
    pub(crate) body: Vec<u8>,
}

/// Bytes that are no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed HTTP answer: {}", self.0)
    }
}

/// Writes a request.
pub(crate) fn put_request(out: &mut Vec<u8>, request: &Request<'_>) {
    let Request {
        method,
        path,
        host,
        token,
        body,
    } = request;
    // A platform that pushes shows nothing but its body.
    let who = match *token {
        "" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{who}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body);
}

/// Takes the first whole answer; answers it and the bytes it took, or `None` when bytes are
/// missing.
pub(crate) fn take_response(bytes: &[u8]) -> Result<Option<(Response, usize)>, Malformed> {
    if bytes.len() > ANSWER_BYTES_MAX {
        return Err(Malformed("it is too long"));
    }
    let Some(head_end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = bytes.get(..head_end).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(|_| Malformed("its head is no text"))?;
    let mut lines = head.split("\r\n");
    let status = status(lines.next().unwrap_or_default())?;
    let headers: Vec<(&str, &str)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name, value.trim()))
        .collect();
    let header = |wanted: &str| {
        let found = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| *value)
    };
    let mut close = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let rest = bytes.get(head_end + 4..).unwrap_or_default();
    let chunked =
        header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let taken = if status == 204 || status == 304 {
        Some((Vec::new(), 0))
    } else if chunked {
        take_chunks(rest)?
    } else if let Some(length) = header("content-length") {
        let length: usize = length
            .parse()
            .map_err(|_| Malformed("its length is no number"))?;
        rest.get(..length).map(|body| (body.to_vec(), length))
    } else {
        // The body ends with the connection; nobody here needs it.
        close = true;
        Some((rest.to_vec(), rest.len()))
    };
    let Some((body, used)) = taken else {
        return Ok(None);
    };
    let retry_after_s = header("retry-after").and_then(|value| value.parse().ok());
    Ok(Some((
        Response {
            status,
            retry_after_s,
            close,
            body,
        },
        head_end + 4 + used,
    )))
}

fn status(line: &str) -> Result<u16, Malformed> {
    let mut words = line.split(' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|word| word.parse().ok());
    match status {
        Some(status) if version.starts_with("HTTP/1.") => Ok(status),
        _ => Err(Malformed("its first line is no status line")),
    }
}

/// Joins the chunks of RFC 9112, 7.1; trailers are not expected.
fn take_chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(line_end) = rest.windows(2).position(|window| window == b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(rest.get(..line_end).unwrap_or_default())
            .ok()
            .and_then(|line| usize::from_str_radix(line.split(';').next()?.trim(), 16).ok())
            .filter(|size| *size <= ANSWER_BYTES_MAX)
            .ok_or(Malformed("a chunk's size is no number"))?;
        let start = line_end + 2;
        let Some(chunk) = rest.get(start..start + size) else {
            return Ok(None);
        };
        if rest.len() < start + size + 2 {
            return Ok(None);
        }
        body.extend_from_slice(chunk);
        at += start + size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_as_the_standard_shows() {
        let mut out = Vec::new();
        put_request(
            &mut out,
            &Request {
                method: "POST",
                path: "/devices/gas-1/telemetry",
                host: "127.0.0.1:8081",
                token: "s3cret",
                body: b"{\"pressure_kpa\":3}",
            },
        );
        let expected = "POST /devices/gas-1/telemetry HTTP/1.1\r\n\
                        Host: 127.0.0.1:8081\r\n\
                        Authorization: Bearer s3cret\r\n\
                        Content-Type: application/json\r\n\
                        Content-Length: 18\r\n\
                        \r\n\
                        {\"pressure_kpa\":3}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    fn plain(status: u16, body: &[u8]) -> Response {
        Response {
            status,
            retry_after_s: None,
            close: false,
            body: body.to_vec(),
        }
    }

    #[test]
    fn answers_are_cut_where_they_end() {
        for (text, expected) in [
            (
                "HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n",
                plain(204, b""),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
                plain(200, b"{}"),
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
                plain(200, b"abc0123456789"),
            ),
            (
                "HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                Response {
                    retry_after_s: Some(5),
                    close: true,
                    ..plain(503, b"")
                },
            ),
        ] {
            let bytes = text.as_bytes();
            let mut glued = bytes.to_vec();
            glued.extend_from_slice(b"HTTP/1.1");
            assert_eq!(
                take_response(&glued),
                Ok(Some((expected, bytes.len()))),
                "{text}"
            );
            for cut in 0..bytes.len() {
                assert_eq!(take_response(&bytes[..cut]), Ok(None), "{cut} of {text}");
            }
        }
    }

    #[test]
    fn an_answer_without_a_length_ends_the_connection() {
        let (response, _) = take_response(b"HTTP/1.0 400 Bad\r\n\r\nno")
            .unwrap()
            .unwrap();
        assert!(response.close);
        assert_eq!(response.body, b"no");
    }

    #[test]
    fn nonsense_is_no_answer() {
        for text in [
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(take_response(text.as_bytes()).is_err(), "{text}");
        }
    }
}
