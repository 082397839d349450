//! `cityhub health`: asks a running hub how it is, for health checks of images without other tools.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long each step may take: connecting, asking, and each part of the answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes of the answer that are looked at.
const ANSWER_BYTES_MAX: u64 = 4_096;

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

/// Asks the hub at `authority` (`HOST:PORT`) for its sign of life, or whether it takes telemetry.
pub fn ask(authority: &str, only_alive: bool) -> Finding {
    let path = if only_alive { "/healthz" } else { "/readyz" };
    match get(authority, path) {
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

fn get(authority: &str, path: &str) -> std::io::Result<u16> {
    let address = authority.to_socket_addrs()?.next();
    let address = address.ok_or_else(|| std::io::Error::other("it has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    status_of(&answer).ok_or_else(|| std::io::Error::other("what answers speaks no HTTP"))
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
    use super::{authority_of, status_of};

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
