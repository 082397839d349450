//! One request of OTLP over HTTP, and what its answer means (OTLP specification 1.7, "OTLP/HTTP Response").

use crate::config::{OtlpConfig, Secret};
use bytes::Bytes;
use dial::{Client, Question, Target};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio_util::task::TaskTracker;
use web::Page;

/// A collector that takes longer is away.
const DEADLINE: Duration = Duration::from_secs(10);

/// Of an answer this much is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Taken,
    /// To be sent again, after so long where the collector says so.
    Busy(Option<Duration>),
    /// It was not reached.
    Away(String),
    /// It will never take this.
    Refused(u16),
}

/// A signal's address at the collector.
#[derive(Debug)]
pub(super) struct Post {
    client: Client,
    fields: HeaderMap,
}

impl Post {
    pub(super) fn open(target: Target, config: &OtlpConfig) -> Result<Self, String> {
        let tls = target
            .is_tls
            .then(|| dial::trust(config.ca_file.as_deref()));
        let mut fields = fields(&config.headers).map_err(|(name, why)| format!("{name}: {why}"))?;
        fields.insert(header::CONTENT_TYPE, PROTOBUF);
        fields.insert(header::USER_AGENT, HeaderValue::from_static("cityhub"));
        let limits = (DEADLINE, ANSWER_BYTES_MAX);
        let client = Client::new(target, tls.transpose()?, TaskTracker::new(), limits);
        Ok(Self { client, fields })
    }

    pub(super) async fn send(&mut self, body: Vec<u8>) -> Ended {
        let question = Question {
            method: Method::POST,
            fields: self.fields.clone(),
            body: Bytes::from(body),
        };
        match self.client.send(&question).await {
            Ok(answer) => judge(answer.status, &answer.fields),
            Err(reason) => Ended::Away(reason),
        }
    }
}

/// Reads the headers that the configuration adds.
pub(super) fn fields(headers: &BTreeMap<String, Secret>) -> Result<HeaderMap, (&str, String)> {
    let mut fields = HeaderMap::new();
    for (name, value) in headers {
        let wrong = |reason: String| (name.as_str(), reason);
        let key: HeaderName = name
            .parse()
            .map_err(|_| wrong("is no name of a header".to_owned()))?;
        let mut value = HeaderValue::from_str(value.reveal())
            .map_err(|_| wrong("has characters that no header may have".to_owned()))?;
        value.set_sensitive(true);
        fields.insert(key, value);
    }
    Ok(fields)
}

fn judge(status: StatusCode, fields: &HeaderMap) -> Ended {
    if status.is_success() {
        return Ended::Taken;
    }
    // The only ones that the specification lets a client send again.
    let is_momentary = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    if !is_momentary {
        return Ended::Refused(status.as_u16());
    }
    let after = fields.get(header::RETRY_AFTER);
    let after = after.and_then(|text| text.to_str().ok()?.trim().parse().ok());
    Ended::Busy(after.map(Duration::from_secs))
}

/// How requests ended since the start, by signal.
#[derive(Debug, Default)]
pub(super) struct Exports {
    traces: Tally,
    metrics: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    sent: AtomicU64,
    failed: AtomicU64,
    is_failing: AtomicBool,
}

impl Exports {
    /// Counts a request; the first that fails, and the first that does not again, are told.
    pub(super) fn note(&self, signal: &'static str, ended: &Ended) {
        let tally = match signal {
            "traces" => &self.traces,
            _ => &self.metrics,
        };
        if *ended == Ended::Taken {
            tally.sent.fetch_add(1, Relaxed);
            if tally.is_failing.swap(false, Relaxed) {
                tracing::info!(signal, "the collector takes telemetry again");
            }
            return;
        }
        tally.failed.fetch_add(1, Relaxed);
        if !tally.is_failing.swap(true, Relaxed) {
            tracing::warn!(signal, reason = ?ended, "the collector does not take telemetry");
        }
    }

    pub(super) fn show(&self, page: &mut Page) {
        for (signal, tally) in [("traces", &self.traces), ("metrics", &self.metrics)] {
            for (outcome, count) in [("sent", &tally.sent), ("failed", &tally.failed)] {
                let labels = [("signal", signal), ("outcome", outcome)];
                page.put("cityhub_otlp_exports_total", &labels, count.load(Relaxed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ended, judge};
    use hyper::StatusCode;
    use hyper::header::{HeaderMap, RETRY_AFTER};
    use std::time::Duration;

    #[test]
    fn only_four_answers_are_asked_again() {
        let none = HeaderMap::new();
        let of = |status: u16| judge(StatusCode::from_u16(status).unwrap(), &none);
        assert_eq!(of(200), Ended::Taken);
        for status in [429, 502, 503, 504] {
            assert_eq!(of(status), Ended::Busy(None), "{status}");
        }
        for status in [301, 400, 401, 404, 413, 500] {
            assert_eq!(of(status), Ended::Refused(status));
        }
        let mut fields = HeaderMap::new();
        fields.insert(RETRY_AFTER, "7".parse().unwrap());
        let busy = judge(StatusCode::SERVICE_UNAVAILABLE, &fields);
        assert_eq!(busy, Ended::Busy(Some(Duration::from_secs(7))));
    }
}
