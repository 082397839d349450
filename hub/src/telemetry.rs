//! Sends traces and figures to a collector by OTLP over HTTP, in protobuf. Nothing waits for it: what the
//! collector does not take in time is dropped and counted.

mod figures;
mod post;
mod spans;

use crate::config::{OtlpConfig, TelemetryConfig};
use anyhow::{Context as _, Result};
use dial::Target;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use post::{Ended, Exports, Post};
use sdk::{Clock, Span, Tracer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use web::{Health, Page};

/// Spans of one request.
const BATCH_MAX: usize = 512;

/// A batch is sent after so long though it is not full.
const BATCH_WAIT: Duration = Duration::from_secs(2);

/// Waits between two attempts to send the same spans.
const PAUSE_LEAST: Duration = Duration::from_secs(1);
const PAUSE_MOST: Duration = Duration::from_secs(30);

/// What is sent, and the spans that wait for it.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    tracer: Tracer,
    sending: Option<Sending>,
}

#[derive(Debug)]
struct Sending {
    config: OtlpConfig,
    spans: mpsc::Receiver<Span>,
    traces: Post,
    figures: Post,
    exports: Arc<Exports>,
}

/// Names the setting that is wrong, and says why.
pub(crate) fn check(config: &OtlpConfig) -> Result<(), (String, String)> {
    target(config, "/v1/traces").map_err(|reason| ("endpoint".to_owned(), reason))?;
    post::fields(&config.headers).map_err(|(name, why)| (format!("headers.{name}"), why))?;
    if let Some(path) = &config.ca_file {
        dial::trust(Some(path)).map_err(|reason| ("ca_file".to_owned(), reason))?;
    }
    Ok(())
}

fn target(config: &OtlpConfig, path: &str) -> Result<Target, String> {
    Target::parse(&format!("{}{path}", config.endpoint.trim_end_matches('/')))
}

impl Telemetry {
    pub(crate) fn open(config: &TelemetryConfig) -> Result<Self> {
        let Some(config) = &config.otlp else {
            return Ok(Self::default());
        };
        let (tracer, spans) = Tracer::open(config.trace_ratio);
        let exports = Arc::new(Exports::default());
        let open = |path| {
            let target = target(config, path).map_err(anyhow::Error::msg)?;
            Post::open(target, config)
                .map_err(anyhow::Error::msg)
                .context("telemetry.otlp")
        };
        let sending = Sending {
            config: config.clone(),
            spans,
            traces: open("/v1/traces")?,
            figures: open("/v1/metrics")?,
            exports,
        };
        Ok(Self {
            tracer,
            sending: Some(sending),
        })
    }

    pub(crate) fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// Begins to send, until the stop.
    pub(crate) fn spawn(
        self,
        health: &Health,
        clock: &Clock,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let Some(sending) = self.sending else {
            return;
        };
        let (tracer, exports) = (self.tracer, Arc::clone(&sending.exports));
        health
            .figures()
            .add(move |page| show(page, &tracer, &exports));
        let resource = resource(&sending.config.service_name);
        let every_s = sending.config.metrics_every_s;
        if every_s > 0 {
            let figures = FiguresTask {
                post: sending.figures,
                health: health.clone(),
                clock: clock.clone(),
                resource: resource.clone(),
                exports: Arc::clone(&sending.exports),
                every: Duration::from_secs(every_s.into()),
            };
            tasks.spawn(figures.run(stop.clone()));
        }
        let traces = TracesTask {
            post: sending.traces,
            spans: sending.spans,
            clock: clock.clone(),
            resource,
            exports: sending.exports,
        };
        tasks.spawn(traces.run(stop.clone()));
    }
}

fn show(page: &mut Page, tracer: &Tracer, exports: &Exports) {
    let counts = tracer.counts();
    for (outcome, count) in [("queued", counts.taken), ("dropped", counts.dropped)] {
        page.put("cityhub_otlp_spans_total", &[("outcome", outcome)], count);
    }
    exports.show(page);
}

/// Says who sends: the attributes of OpenTelemetry's conventions for services and hosts.
fn resource(service: &str) -> Resource {
    let mut attributes = vec![
        text("service.name", service),
        text("service.version", env!("CARGO_PKG_VERSION")),
    ];
    if let Ok(host) = rustix::system::uname().nodename().to_str() {
        attributes.push(text("host.name", host));
    }
    Resource {
        attributes,
        ..Resource::default()
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "cityhub".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// Gives the time of a stamp in nanoseconds since the epoch.
fn nanos(at: model::Timestamp) -> u64 {
    u64::try_from(at.millis())
        .unwrap_or(0)
        .saturating_mul(1_000_000)
}

struct FiguresTask {
    post: Post,
    health: Health,
    clock: Clock,
    resource: Resource,
    exports: Arc<Exports>,
    every: Duration,
}

impl FiguresTask {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.every) => {}
            }
            let sources = self.health.figures().clone();
            let page = tokio::task::spawn_blocking(move || sources.collect()).await;
            let Ok(Ok(Some(page))) = page else {
                continue;
            };
            let body = figures::encode(&page, &self.resource, nanos(self.clock.now()));
            // The next round has newer ones, so these are not sent again.
            let sent = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                sent = self.post.send(body) => sent,
            };
            self.exports.note("metrics", &sent);
        }
    }
}

struct TracesTask {
    post: Post,
    spans: mpsc::Receiver<Span>,
    clock: Clock,
    resource: Resource,
    exports: Arc<Exports>,
}

impl TracesTask {
    async fn run(mut self, stop: CancellationToken) {
        let mut times = spans::Times::new(&self.clock);
        loop {
            let mut batch = Vec::with_capacity(BATCH_MAX);
            let taken = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                taken = self.spans.recv_many(&mut batch, BATCH_MAX) => taken,
            };
            if taken == 0 {
                return;
            }
            self.fill(&mut batch, &stop).await;
            times.follow(&self.clock);
            let body = spans::encode(&batch, &self.resource, &times);
            if !self.send(body, &stop).await {
                break;
            }
        }
        // What is there now, once; whoever stops does not wait for a collector.
        let mut last = Vec::new();
        while last.len() < BATCH_MAX
            && let Ok(span) = self.spans.try_recv()
        {
            last.push(span);
        }
        if !last.is_empty() {
            let body = spans::encode(&last, &self.resource, &times);
            let sent = tokio::time::timeout(BATCH_WAIT, self.post.send(body)).await;
            self.exports.note(
                "traces",
                &sent.unwrap_or(Ended::Away("at the stop".to_owned())),
            );
        }
    }

    /// Waits a moment for more spans, so that a request carries many.
    async fn fill(&mut self, batch: &mut Vec<Span>, stop: &CancellationToken) {
        let until = Instant::now() + BATCH_WAIT;
        while batch.len() < BATCH_MAX {
            let room = BATCH_MAX - batch.len();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(until) => return,
                taken = self.spans.recv_many(batch, room) => if taken == 0 { return },
            }
        }
    }

    /// Sends until the collector has an answer; false if the stop came first. Meanwhile the queue fills,
    /// and what finds no room in it is dropped and counted.
    async fn send(&mut self, body: Vec<u8>, stop: &CancellationToken) -> bool {
        let mut pause = PAUSE_LEAST;
        loop {
            let sent = tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                sent = self.post.send(body.clone()) => sent,
            };
            self.exports.note("traces", &sent);
            let wait = match sent {
                Ended::Taken | Ended::Refused(_) => return true,
                Ended::Busy(after) => after.unwrap_or(pause),
                Ended::Away(_) => pause,
            };
            pause = (pause * 2).min(PAUSE_MOST);
            tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(wait.min(PAUSE_MOST)) => {}
            }
        }
    }
}
