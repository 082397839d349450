//! Spans as OTLP has them.

use super::{attribute, nanos, scope, text};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as Kind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Sent, Status};
use prost::Message as _;
use sdk::{Clock, Said, Span, SpanKind};
use tokio::time::Instant;

/// The clock may be set by so much before the times of spans follow it: what is measured within a trace
/// is then exact, though a stamp of the clock is of whole milliseconds.
const STRAY_NS_MAX: u64 = 100_000_000;

/// Turns instants into times of the wall clock.
pub(super) struct Times {
    anchor: Instant,
    anchor_ns: u64,
}

impl Times {
    pub(super) fn new(clock: &Clock) -> Self {
        Self {
            anchor: Instant::now(),
            anchor_ns: nanos(clock.now()),
        }
    }

    /// Goes with a clock that was set.
    pub(super) fn follow(&mut self, clock: &Clock) {
        let now = Self::new(clock);
        if self.ns(now.anchor).abs_diff(now.anchor_ns) > STRAY_NS_MAX {
            *self = now;
        }
    }

    fn ns(&self, at: Instant) -> u64 {
        let ns = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(0);
        match at.checked_duration_since(self.anchor) {
            Some(after) => self.anchor_ns.saturating_add(ns(after)),
            None => self.anchor_ns.saturating_sub(ns(self.anchor - at)),
        }
    }
}

/// Writes the request that carries these spans.
pub(super) fn encode(spans: &[Span], resource: &Resource, times: &Times) -> Vec<u8> {
    let scope_spans = ScopeSpans {
        scope: Some(scope()),
        spans: spans.iter().map(|span| sent(span, times)).collect(),
        ..ScopeSpans::default()
    };
    let resource_spans = ResourceSpans {
        resource: Some(resource.clone()),
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![resource_spans],
    };
    request.encode_to_vec()
}

fn sent(span: &Span, times: &Times) -> Sent {
    let kind = match span.kind {
        SpanKind::Internal => Kind::Internal,
        SpanKind::Server => Kind::Server,
        SpanKind::Client => Kind::Client,
    };
    let said = span.said.iter().map(|(key, value)| match value {
        Said::Text(value) => text(key, value),
        Said::Number(value) => attribute(key, Value::IntValue(*value)),
    });
    let parent = span.parent.map(|parent| parent.to_be_bytes().to_vec());
    let status = span.failed.as_ref().map(|reason| Status {
        message: reason.clone(),
        code: StatusCode::Error.into(),
    });
    Sent {
        trace_id: span.trace.id().to_be_bytes().to_vec(),
        span_id: span.trace.span().to_be_bytes().to_vec(),
        parent_span_id: parent.unwrap_or_default(),
        // W3C Trace Context: sampled.
        flags: 1,
        name: span.name.to_owned(),
        kind: kind.into(),
        start_time_unix_nano: times.ns(span.begun),
        end_time_unix_nano: times.ns(span.ended),
        attributes: said.collect(),
        status,
        ..Sent::default()
    }
}
