//! Posts events to an address of the subscriber: CloudEvents 1.0, signed as Standard Webhooks,
//! strictly one request after the other.

mod client;
mod sign;

use crate::{DeliveryError, Secret, Sink, SinkContext, SinkError, tls};
use bytes::Bytes;
use client::Answer;
pub(crate) use client::{Client, Target};
use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use model::Event;
use schemars::JsonSchema;
use sdk::{Clock, Trace, Tracer};
use serde::{Deserialize, Serialize};
use sign::{Key, sign};
use std::path::PathBuf;
use std::time::Duration;

/// Events in one request of the batch format at most.
const BATCH_MAX: u32 = 256;

/// Intermediaries of CloudEvents must forward this much, so no batch is larger.
const BODY_BYTES_MAX: usize = 64 * 1024;

const TIMEOUT_S_MAX: u32 = 300;

/// Nobody is waited for longer than this because of what they say.
const RETRY_AFTER_S_MAX: i64 = 3_600;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// W3C Trace Context: the receiver's own spans hang below the delivery's.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const SINGLE: HeaderValue = HeaderValue::from_static("application/cloudevents+json; charset=utf-8");
const BATCH: HeaderValue =
    HeaderValue::from_static("application/cloudevents-batch+json; charset=utf-8");

/// A receiver of webhooks.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// `https://…` or `http://…`; redirects are not followed.
    pub url: String,
    /// `whsec_` and 24 to 64 bytes in base64, with which every request is signed.
    pub secret: Secret,
    /// A second secret that signs too, for as long as the receiver goes over to it.
    #[serde(default)]
    pub next_secret: Option<Secret>,
    /// Sent as `Authorization: Bearer …`, where the receiver asks for one.
    #[serde(default)]
    pub token: Option<Secret>,
    /// 1 sends one event a request; more sends the batch format with up to so many, and 64 KiB.
    #[serde(default = "one")]
    pub batch_max: u32,
    /// After so long without an answer the same events are sent again.
    #[serde(default = "ten")]
    pub timeout_s: u32,
    /// Certificates (PEM) of the authorities to trust instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

fn one() -> u32 {
    1
}

fn ten() -> u32 {
    10
}

impl WebhookConfig {
    fn keys(&self) -> Result<Vec<Key>, SinkError> {
        let read = |key: &str, secret: &Secret| {
            Key::parse(secret.reveal()).map_err(|reason| SinkError::key(key, reason))
        };
        let mut keys = vec![read("secret", &self.secret)?];
        if let Some(next) = &self.next_secret {
            keys.push(read("next_secret", next)?);
        }
        Ok(keys)
    }

    fn target(&self) -> Result<Target, SinkError> {
        Target::parse(&self.url).map_err(|reason| SinkError::key("url", reason))
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, SinkError> {
        let token = self.token.as_ref().map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
                .map_err(|_| SinkError::key("token", "has characters that no header may have"))?;
            value.set_sensitive(true);
            Ok(value)
        });
        token.transpose()
    }
}

/// An open webhook.
pub struct Webhook {
    client: Client,
    keys: Vec<Key>,
    authorization: Option<HeaderValue>,
    batch_max: usize,
    clock: Clock,
    name: String,
    tracer: Tracer,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("batch_max", &self.batch_max)
            .finish_non_exhaustive()
    }
}

impl Sink for Webhook {
    const NAME: &'static str = "webhook";
    type Config = WebhookConfig;

    fn check(config: &WebhookConfig) -> Result<(), SinkError> {
        config.target()?;
        config.keys()?;
        config.authorization()?;
        if !(1..=BATCH_MAX).contains(&config.batch_max) {
            return Err(SinkError::key(
                "batch_max",
                format!("must be 1 to {BATCH_MAX}"),
            ));
        }
        if !(1..=TIMEOUT_S_MAX).contains(&config.timeout_s) {
            let reason = format!("must be 1 to {TIMEOUT_S_MAX}");
            return Err(SinkError::key("timeout_s", reason));
        }
        if let Some(path) = &config.ca_file {
            tls::client(Some(path))?;
        }
        Ok(())
    }

    fn open(config: WebhookConfig, cx: SinkContext) -> Result<Self, SinkError> {
        let target = config.target()?;
        let tls = target
            .is_tls
            .then(|| tls::client(config.ca_file.as_deref()))
            .transpose()?;
        let deadline = Duration::from_secs(config.timeout_s.into());
        Ok(Self {
            client: Client::new(target, tls, cx.tasks, deadline),
            keys: config.keys()?,
            authorization: config.authorization()?,
            batch_max: usize::try_from(config.batch_max).unwrap_or(1),
            clock: cx.clock,
            name: cx.name,
            tracer: cx.tracer,
        })
    }

    fn share(&self, events: &[Event]) -> usize {
        let mut bytes = 2;
        let fitting = events.iter().take(self.batch_max).take_while(|event| {
            bytes += event.json.len() + 1;
            bytes <= BODY_BYTES_MAX
        });
        // One that is larger by itself goes alone.
        fitting.count().max(1)
    }

    async fn deliver(&mut self, events: &[Event]) -> Result<(), DeliveryError> {
        let Some(followed) = self.tracer.follow(events.iter().map(|event| event.seq)) else {
            return self.post_all(events, None).await;
        };
        let posted = self.post_all(events, Some(followed.trace())).await;
        let failed = posted.as_ref().err().map(ToString::to_string);
        followed.end(&self.name, events.len() as u64, failed);
        posted
    }
}

impl Webhook {
    async fn post_all(
        &mut self,
        events: &[Event],
        trace: Option<Trace>,
    ) -> Result<(), DeliveryError> {
        let [first, .., last] = events else {
            let Some(event) = events.first() else {
                return Ok(());
            };
            return self.post_one(event, trace).await;
        };
        let id = format!("{}-{}", first.seq, last.seq);
        let texts: Vec<&str> = events.iter().map(|event| event.json.as_str()).collect();
        let body = format!("[{}]", texts.join(","));
        self.post(id, (BATCH, trace), body).await
    }

    async fn post_one(&mut self, event: &Event, trace: Option<Trace>) -> Result<(), DeliveryError> {
        // The same id at every attempt, which is what a receiver tells repeats by.
        let id = event.seq.to_string();
        if self.batch_max > 1 {
            let body = format!("[{}]", event.json);
            return self.post(id, (BATCH, trace), body).await;
        }
        self.post(id, (SINGLE, trace), event.json.clone()).await
    }

    async fn post(
        &mut self,
        id: String,
        (media, trace): (HeaderValue, Option<Trace>),
        body: String,
    ) -> Result<(), DeliveryError> {
        let timestamp_s = self.clock.now().millis().div_euclid(1_000);
        let signature = sign(&self.keys, &id, timestamp_s, body.as_bytes());
        let mut fields = HeaderMap::new();
        fields.insert(header::CONTENT_TYPE, media);
        fields.insert(header::USER_AGENT, HeaderValue::from_static("cityhub"));
        if let Some(authorization) = &self.authorization {
            fields.insert(header::AUTHORIZATION, authorization.clone());
        }
        let signed = [
            (ID, id),
            (TIMESTAMP, timestamp_s.to_string()),
            (SIGNATURE, signature),
        ];
        let trace = trace.map(|trace| (TRACEPARENT, trace.to_string()));
        for (name, text) in signed.into_iter().chain(trace) {
            let value = HeaderValue::from_str(&text)
                .map_err(|error| DeliveryError::retry(error.to_string()))?;
            fields.insert(name, value);
        }
        let answer = self
            .client
            .post(fields, Bytes::from(body))
            .await
            .map_err(DeliveryError::retry)?;
        judge(&answer, timestamp_s)
    }
}

/// Tells what an answer means: taken, again, or never.
fn judge(answer: &Answer, now_s: i64) -> Result<(), DeliveryError> {
    let status = answer.status;
    if status.is_success() {
        return Ok(());
    }
    let mut reason = format!("answered {}", status.as_u16());
    if !answer.detail.is_empty() {
        reason = format!("{reason}: {}", answer.detail);
    }
    // RFC 9110 section 15.5.9, RFC 8470, RFC 6585: these ask to come again.
    let is_momentary = matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
    );
    if status.is_client_error() && !is_momentary {
        return Err(DeliveryError::Refused { reason });
    }
    let after = answer
        .retry_after
        .as_deref()
        .and_then(|text| retry_after(text, now_s));
    Err(DeliveryError::Retry { reason, after })
}

/// Reads `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(text: &str, now_s: i64) -> Option<Duration> {
    let text = text.trim();
    let seconds = text.parse::<i64>().ok().or_else(|| {
        let date = jiff::fmt::rfc2822::parse(text).ok()?;
        date.timestamp().as_second().checked_sub(now_s)
    })?;
    let seconds = seconds.clamp(0, RETRY_AFTER_S_MAX);
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
