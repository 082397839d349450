//! Registers the fleet with the hub's API, a thousand devices at a time.

use crate::error::SimError;
use crate::fleet::Fleet;
use crate::http::{Request, Response, put_request, take_response};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Devices in one request.
const CHUNK_DEVICES: usize = 1000;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// A hub that is still starting is asked again so often.
const TRIES: u32 = 20;
const TRY_EVERY: Duration = Duration::from_millis(500);

/// Where the API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    host: String,
    path: String,
}

impl Base {
    /// Reads `http://host[:port][/path]`.
    pub(crate) fn parse(url: &str) -> Result<Self, SimError> {
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| SimError::Usage(format!("--api `{url}` does not begin with http://")))?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if host.is_empty() || host.contains(['@', ' ', '?', '#']) {
            return Err(SimError::Usage(format!("--api `{url}` names no host")));
        }
        let host = match host.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
            Some(_) if !host.ends_with(']') => {
                return Err(SimError::Usage(format!("--api `{url}` has no usable port")));
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
}

/// Registers every device; gateways come before their children.
pub(crate) async fn register(base: &Base, token: &str, fleet: &Fleet) -> Result<(), SimError> {
    let rows = fleet.rows();
    for chunk in rows.chunks(CHUNK_DEVICES) {
        let body = serde_json::to_vec(chunk)
            .map_err(|error| SimError::Register(format!("writing the devices: {error}")))?;
        put(base, token, "/api/v1/devices", &body).await?;
    }
    Ok(())
}

/// Puts rules, one by one, as the API takes them.
pub(crate) async fn put_rules(
    base: &Base,
    token: &str,
    rules: &[(String, serde_json::Value)],
) -> Result<(), SimError> {
    for (id, rule) in rules {
        let path = format!("/api/v1/rules/{id}");
        put(base, token, &path, rule.to_string().as_bytes()).await?;
    }
    Ok(())
}

async fn put(base: &Base, token: &str, path: &str, body: &[u8]) -> Result<(), SimError> {
    let mut reason = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            sleep(TRY_EVERY).await;
        }
        match timeout(REQUEST_TIMEOUT, exchange(base, token, path, body)).await {
            Ok(Ok(response)) if (200..300).contains(&response.status) => return Ok(()),
            Ok(Ok(response)) if response.status == 503 => reason = "the hub is busy".to_owned(),
            Ok(Ok(response)) => {
                let text = String::from_utf8_lossy(&response.body);
                return Err(SimError::Register(format!(
                    "status {}: {text}",
                    response.status
                )));
            }
            Ok(Err(error)) => reason = error,
            Err(_) => reason = "no answer in time".to_owned(),
        }
    }
    Err(SimError::Register(format!("{}: {reason}", base.host)))
}

async fn exchange(base: &Base, token: &str, path: &str, body: &[u8]) -> Result<Response, String> {
    let path = format!("{}{path}", base.path);
    let mut bytes = Vec::with_capacity(body.len() + 256);
    let request = Request {
        method: "PUT",
        path: &path,
        host: &base.host,
        token,
        body,
    };
    put_request(&mut bytes, &request);
    let mut stream = TcpStream::connect(&base.host)
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
