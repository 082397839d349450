//! The alarm history that a stream of changes amounts to.

use crate::Change;
use model::{DeviceKey, MetricKey, Severity, Timestamp};
use std::sync::Arc;

/// One alarm from its beginning to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmSpan {
    pub alarm: u64,
    pub rule: Arc<str>,
    pub rule_revision: u64,
    pub device: DeviceKey,
    pub metric: Option<MetricKey>,
    pub severity: Severity,
    pub raised_at: Timestamp,
    pub cleared_at: Option<Timestamp>,
    pub value: Option<f64>,
    pub limit: Option<f64>,
    pub peak: Option<f64>,
    pub count: u64,
    /// Known from late readings only; it never sounded.
    pub late: bool,
    pub shadow: bool,
}

/// Accumulates changes into spans.
#[derive(Clone, Debug, Default)]
pub struct History {}

impl History {
    pub fn apply(&mut self, _change: &Change) {
        todo!()
    }

    /// Gives the spans in the order (raised_at, rule, device, metric).
    pub fn into_spans(self) -> Vec<AlarmSpan> {
        todo!()
    }
}
