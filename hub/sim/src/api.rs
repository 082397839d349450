//! The hub's API as a small client of it sees it: where it is, and one exchange.

use crate::error::SimError;
use crate::http::{Request, Response, put_request, take_response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where the API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) host: String,
    path: String,
}

impl Base {
    /// Reads `http://host[:port][/path]`.
    pub(crate) fn parse(url: &str) -> Result<Self, SimError> {
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| SimError::Usage(format!("`{url}` does not begin with http://")))?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if host.is_empty() || host.contains(['@', ' ', '?', '#']) {
            return Err(SimError::Usage(format!("`{url}` names no host")));
        }
        let host = match host.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
            Some(_) if !host.ends_with(']') => {
                return Err(SimError::Usage(format!("`{url}` has no usable port")));
            }
            _ => format!("{host}:80"),
        };
        let path = path.trim_end_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        Ok(Self {
            host,
            path: format!("{slash}{path}"),
        })
    }

    /// Asks once over a connection of its own; the caller sets the deadline.
    pub(crate) async fn exchange(
        &self,
        token: &str,
        (method, path): (&str, &str),
        body: &[u8],
    ) -> Result<Response, String> {
        let path = format!("{}{path}", self.path);
        let mut bytes = Vec::with_capacity(body.len() + 256);
        let request = Request {
            method,
            path: &path,
            host: &self.host,
            token,
            body,
        };
        put_request(&mut bytes, &request);
        let mut stream = TcpStream::connect(&self.host)
            .await
            .map_err(|error| error.to_string())?;
        stream
            .write_all(&bytes)
            .await
            .map_err(|error| error.to_string())?;
        bytes.clear();
        loop {
            let read = stream
                .read_buf(&mut bytes)
                .await
                .map_err(|error| error.to_string())?;
            if read == 0 {
                return Err("the hub closed the connection".to_owned());
            }
            if let Some((response, _)) = take_response(&bytes).map_err(|error| error.to_string())? {
                return Ok(response);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Base;

    fn base(url: &str) -> Option<(String, String)> {
        Base::parse(url).ok().map(|base| (base.host, base.path))
    }

    #[test]
    fn an_address_is_host_port_and_perhaps_a_path() {
        let is = |host: &str, path: &str| Some((host.to_owned(), path.to_owned()));
        assert_eq!(base("http://127.0.0.1:8080"), is("127.0.0.1:8080", ""));
        assert_eq!(base("http://hub.example/"), is("hub.example:80", ""));
        assert_eq!(base("http://hub:81/city/"), is("hub:81", "/city"));
        assert_eq!(base("http://[::1]:8080"), is("[::1]:8080", ""));
        assert_eq!(base("http://[::1]"), is("[::1]:80", ""));
        for url in [
            "https://hub",
            "127.0.0.1:8080",
            "http://",
            "http://hub:abc",
            "http://u@h",
        ] {
            assert_eq!(base(url), None, "{url}");
        }
    }
}
