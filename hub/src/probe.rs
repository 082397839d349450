//! `cityhub health`: asks a running hub how it is, for health checks of images without other tools.

mod anyone;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long each step may take: connecting, asking, and each part of the answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes of the answer that are looked at.
const ANSWER_BYTES_MAX: u64 = 4_096;

/// The same where the answer itself is wanted: the health of a hub with all its deliveries.
const BODY_BYTES_MAX: u64 = 4 << 20;

/// How a hub is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It takes telemetry; or it answers, where no more was asked.
    Well,
    /// It answers, and nobody can sign in yet.
    Empty,
    /// It does not, and why.
    Unwell(String),
}

/// What the port speaks.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// Reads `https://HOST:PORT`, or `HOST:PORT` for HTTP.
    pub fn split(url: &str) -> (Self, &str) {
        if let Some(authority) = url.strip_prefix("https://") {
            return (Self::Https, authority.trim_end_matches('/'));
        }
        let authority = url.strip_prefix("http://").unwrap_or(url);
        (Self::Http, authority.trim_end_matches('/'))
    }
}

/// Asks the hub at `authority` (`HOST:PORT`) for its sign of life, or whether it takes telemetry.
/// `by` says what it speaks.
pub fn ask(authority: &str, by: Scheme, only_alive: bool) -> Finding {
    let path = if only_alive { "/healthz" } else { "/readyz" };
    match get((authority, by), path, None, ANSWER_BYTES_MAX).map(|(status, _)| status) {
        Ok(200) => Finding::Well,
        // A hub without users tells nobody more than that it lives.
        Ok(401) => Finding::Empty,
        Ok(status) => Finding::Unwell(format!("{path} is answered with {status}")),
        Err(error) => Finding::Unwell(format!("{authority}: {error}")),
    }
}

/// Gives where the hub itself is reached that listens there.
pub fn authority_of(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port()).to_string()
}

/// Gets what a page of the hub at `authority` says to who has this token: status and body.
pub(crate) fn fetch(
    (authority, by): (&str, Scheme),
    path: &str,
    token: &str,
) -> std::io::Result<(u16, Vec<u8>)> {
    let (status, answer) = get((authority, by), path, Some(token), BODY_BYTES_MAX)?;
    let end = b"\r\n\r\n";
    let head = answer.windows(end.len()).position(|window| window == end);
    let body = head.and_then(|at| answer.get(at + end.len()..));
    Ok((status, body.unwrap_or_default().to_vec()))
}

fn get(
    (authority, by): (&str, Scheme),
    path: &str,
    token: Option<&str>,
    bytes_max: u64,
) -> std::io::Result<(u16, Vec<u8>)> {
    let address = authority.to_socket_addrs()?.next();
    let address = address.ok_or_else(|| std::io::Error::other("it has no address"))?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let bearer = token.map(|token| format!("authorization: Bearer {token}\r\n"));
    let bearer = bearer.unwrap_or_default();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n{bearer}connection: close\r\n\r\n");
    let answer = match by {
        Scheme::Http => exchange(stream, &request, bytes_max)?,
        Scheme::Https => exchange(anyone::dial(stream)?, &request, bytes_max)?,
    };
    let status =
        status_of(&answer).ok_or_else(|| std::io::Error::other("what answers speaks no HTTP"))?;
    Ok((status, answer))
}

fn exchange(
    mut stream: impl Read + Write,
    request: &str,
    bytes_max: u64,
) -> std::io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let read = stream.take(bytes_max).read_to_end(&mut answer);
    // A status that is there is the answer, however the connection ended.
    match read {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

/// Reads the status line of RFC 9112, 4.
fn status_of(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words
        .next()
        .filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Scheme, authority_of, status_of};

    #[test]
    fn the_status_is_the_second_word_of_an_http_answer() {
        assert_eq!(
            status_of(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"),
            Some(503)
        );
        assert_eq!(status_of(b"HTTP/1.0 200\r\n\r\n"), Some(200));
        for no_http in [&b""[..], b"SSH-2.0-x\r\n", b"HTTP/1.1", b"HTTP/1.1 two\r\n"] {
            assert_eq!(status_of(no_http), None);
        }
    }

    #[test]
    fn a_port_speaks_http_unless_its_address_says_otherwise() {
        let https = (Scheme::Https, "hub.city:8443");
        assert_eq!(Scheme::split("https://hub.city:8443/"), https);
        let http = (Scheme::Http, "hub.city:8080");
        assert_eq!(Scheme::split("hub.city:8080"), http);
        assert_eq!(Scheme::split("http://hub.city:8080"), http);
    }

    #[test]
    fn a_hub_that_listens_everywhere_is_asked_on_the_loopback() {
        for (listen, authority) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.7:80", "10.0.0.7:80"),
        ] {
            assert_eq!(authority_of(listen.parse().unwrap()), authority);
        }
    }
}
