//! The one file that knows the client of `InfluxDB` 2.
//!
//! Of `influxdb2` only the writing of lines made elsewhere is used: its own lines do not escape. What it cannot do
//! is known: it has no gzip for lines that are made already, it forgets `Retry-After`, and it drops the path of
//! a URL, which is why the settings refuse one.

use crate::settings::MirrorConfig;
use influxdb2::RequestError;
use influxdb2::api::write::TimestampPrecision;
use influxdb2::models::Query;
use influxdb2_structmap::value::Value;
use reqwest_of_influxdb2 as reqwest;
use std::time::Duration;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Of what a server says in an error, so much is kept.
const REASON_CHARS_MAX: usize = 400;

/// What became of some lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The server answered 204.
    Taken,
    /// 400 or 422: the server does not want at least one of the lines.
    Unwanted { status: u16, reason: String },
    /// 413: too much at once.
    TooLarge,
    /// 401, 403, 404 and other words that no other attempt will change before people do something.
    Denied { status: u16, reason: String },
    /// 429: too often.
    Busy { reason: String },
    /// The server is there and failed.
    Failed { reason: String },
    /// There was no answer, or no whole one: the server may be another by now.
    Lost { reason: String },
}

/// A server with the write API of `InfluxDB` 2.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    client: influxdb2::Client,
    org: String,
    bucket: String,
    timeout: Duration,
}

impl Server {
    pub(crate) fn open(config: &MirrorConfig) -> Result<Self, String> {
        let wrong = |error: reqwest::Error| error.to_string();
        let timeout = Duration::from_secs(config.timeout_s.into());
        // The client panics over what is no URL.
        reqwest::Url::parse(&config.url).map_err(|error| format!("`{}`: {error}", config.url))?;
        let mut builder = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if let Some(path) = &config.ca_file {
            let pem = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
            for certificate in certificates(&pem) {
                let certificate = reqwest::Certificate::from_pem(certificate).map_err(wrong)?;
                builder = builder.add_root_certificate(certificate);
            }
        }
        let token = config.token.reveal();
        let client = influxdb2::ClientBuilder::with_builder(
            builder,
            config.url.as_str(),
            config.org.as_str(),
            token,
        );
        Ok(Self {
            client: client.build().map_err(|error| error.to_string())?,
            org: config.org.clone(),
            bucket: config.bucket.clone(),
            timeout,
        })
    }

    /// Writes lines whose times are in milliseconds.
    pub(crate) async fn write(&self, lines: String) -> Written {
        let write = self.client.write_line_protocol_with_precision(
            &self.org,
            &self.bucket,
            lines,
            TimestampPrecision::Milliseconds,
        );
        // The client's own deadline does not cover everything, such as names that are looked up.
        match tokio::time::timeout(self.timeout + CONNECT_TIMEOUT, write).await {
            Err(_) => Written::Lost {
                reason: format!("no answer within {} s", self.timeout.as_secs()),
            },
            Ok(Ok(())) => Written::Taken,
            Ok(Err(RequestError::Http { status, text })) => judge(status.as_u16(), &text),
            Ok(Err(RequestError::ReqwestProcessing { source })) if source.is_timeout() => {
                Written::Lost {
                    reason: format!("no answer within {} s", self.timeout.as_secs()),
                }
            }
            Ok(Err(error)) => Written::Lost {
                reason: with_causes(&error),
            },
        }
    }
}

/// One row of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// The number of the table that it belongs to.
    pub(crate) table: i64,
    pub(crate) at_ms: i64,
    /// Nothing where the question names none.
    pub(crate) field: Option<String>,
    pub(crate) number: f64,
}

impl Server {
    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Asks in Flux. The client panics over an empty value and over a body that breaks off, so it runs in a task of
    /// its own, which ends with the question.
    pub(crate) async fn query(&self, flux: String) -> Result<Vec<Row>, String> {
        let client = self.client.clone();
        let asking = async move { client.query_raw(Some(Query::new(flux))).await };
        let answer = AbortOnDropHandle::new(TaskTracker::new().spawn(asking)).await;
        let records = match answer {
            Err(_) => return Err("an answer that cannot be read".to_owned()),
            Ok(Err(RequestError::Http { status, text })) => {
                return Err(format!("HTTP {}: {}", status.as_u16(), shorten(&text)));
            }
            Ok(Err(error)) => return Err(with_causes(&error)),
            Ok(Ok(records)) => records,
        };
        let row = |record: influxdb2::api::query::FluxRecord| {
            let values = record.values;
            let table = match values.get("table")? {
                Value::Long(table) => *table,
                _ => return None,
            };
            let at_ms = match values.get("_time")? {
                Value::TimeRFC(at) => at.timestamp_millis(),
                _ => return None,
            };
            let number = match values.get("_value")? {
                Value::Double(number) => number.into_inner(),
                _ => return None,
            };
            let field = match values.get("_field") {
                Some(Value::String(field)) => Some(field.clone()),
                _ => None,
            };
            Some(Row {
                table,
                at_ms,
                field,
                number,
            })
        };
        let rows = records.into_iter().map(row);
        let rows: Option<Vec<Row>> = rows.collect();
        rows.ok_or_else(|| "rows without time or number".to_owned())
    }
}

/// Decides what an answer that is not 204 means.
fn judge(status: u16, text: &str) -> Written {
    let reason = format!("{status}: {}", shorten(text));
    match status {
        400 | 422 => Written::Unwanted { status, reason },
        413 => Written::TooLarge,
        429 => Written::Busy { reason },
        // What stands before the server could not reach it.
        502..=504 => Written::Lost { reason },
        401..=499 => Written::Denied { status, reason },
        _ => Written::Failed { reason },
    }
}

/// Splits a file of certificates, of which this client takes one at a time.
fn certificates(pem: &[u8]) -> impl Iterator<Item = &[u8]> {
    const END: &[u8] = b"-----END CERTIFICATE-----";
    let mut rest = pem;
    std::iter::from_fn(move || {
        let end = rest.windows(END.len()).position(|part| part == END)?;
        let (own, after) = rest.split_at_checked(end + END.len())?;
        rest = after;
        Some(own)
    })
}

/// Keeps the beginning of what a server says, in one line.
fn shorten(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}…", one_line.get(..end).unwrap_or_default()),
        None => one_line,
    }
}

/// Says what went wrong with its causes, which the client keeps apart.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    shorten(&text)
}

#[cfg(test)]
mod tests {
    use super::{Written, certificates, judge, shorten};

    #[test]
    fn each_answer_has_its_consequence() {
        let is = |status| match judge(status, "why") {
            Written::Taken => "taken",
            Written::Unwanted { .. } => "unwanted",
            Written::TooLarge => "too large",
            Written::Denied { .. } => "denied",
            Written::Busy { .. } => "busy",
            Written::Failed { .. } => "failed",
            Written::Lost { .. } => "lost",
        };
        for (status, expected) in [
            (200, "failed"),
            (302, "failed"),
            (400, "unwanted"),
            (401, "denied"),
            (403, "denied"),
            (404, "denied"),
            (413, "too large"),
            (422, "unwanted"),
            (429, "busy"),
            (500, "failed"),
            (503, "lost"),
        ] {
            assert_eq!(is(status), expected, "{status}");
        }
    }

    #[test]
    fn what_a_server_says_is_one_line_of_bounded_length() {
        assert_eq!(shorten("a\n  b\r\n"), "a b");
        assert_eq!(shorten(&"湖".repeat(9_000)).chars().count(), 401);
    }

    #[test]
    fn every_certificate_of_a_file_is_found() {
        let one = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        let two = one.repeat(2);
        assert_eq!(certificates(two.as_bytes()).count(), 2);
        assert_eq!(certificates(b"nothing").count(), 0);
    }
}
