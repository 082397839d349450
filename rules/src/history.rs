//! The alarm history that a stream of changes amounts to.

use crate::{Change, Figures, What};
use model::{DeviceKey, MetricKey, Severity, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One alarm from its beginning to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmSpan {
    pub alarm: u64,
    pub rule: Arc<str>,
    pub rule_revision: u64,
    pub device: DeviceKey,
    pub metric: Option<MetricKey>,
    /// The severity that it had at the end.
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
    /// Where alarms of several devices came together.
    pub scope: Option<Arc<str>>,
}

/// Accumulates changes into spans.
#[derive(Clone, Debug, Default)]
pub struct History {
    spans: BTreeMap<u64, AlarmSpan>,
}

impl History {
    pub fn apply(&mut self, change: &Change) {
        match &change.what {
            What::Raised(figures) => self.insert(change, change.at, figures, false),
            What::Recorded(outcome) => {
                self.insert(change, outcome.raised_at, &outcome.figures, true);
                self.set(change, outcome.cleared_at, &outcome.figures);
            }
            What::Escalated(figures) | What::Deescalated(figures) | What::Updated(figures) => {
                self.set(change, None, figures);
            }
            What::Cleared { figures, .. } => self.set(change, Some(change.at), figures),
            What::Amended(outcome) => {
                if let Some(span) = self.spans.get_mut(&change.alarm) {
                    span.raised_at = outcome.raised_at;
                    span.device = change.device;
                }
                self.set(change, outcome.cleared_at, &outcome.figures);
            }
            What::Withdrawn => {
                self.spans.remove(&change.alarm);
            }
        }
    }

    /// Gives the spans in the order of beginning, rule, device and metric.
    pub fn into_spans(self) -> Vec<AlarmSpan> {
        let mut spans: Vec<AlarmSpan> = self.spans.into_values().collect();
        // Two alarms of one series may begin at one instant, if the first one ends there, too.
        let key = |span: &AlarmSpan| {
            let ends_at = span.cleared_at.unwrap_or(Timestamp::MAX);
            (span.device, span.metric, ends_at, span.alarm)
        };
        spans.sort_by(|a, b| {
            a.raised_at
                .cmp(&b.raised_at)
                .then_with(|| a.rule.cmp(&b.rule))
                .then_with(|| key(a).cmp(&key(b)))
        });
        spans
    }

    fn insert(&mut self, change: &Change, raised_at: Timestamp, figures: &Figures, late: bool) {
        let span = AlarmSpan {
            alarm: change.alarm,
            rule: Arc::clone(&change.rule),
            rule_revision: change.rule_revision,
            device: change.device,
            metric: change.metric,
            severity: figures.severity,
            raised_at,
            cleared_at: None,
            value: figures.value,
            limit: figures.limit,
            peak: figures.peak,
            count: figures.count,
            late,
            shadow: change.shadow,
            scope: change.scope.clone(),
        };
        self.spans.insert(change.alarm, span);
    }

    fn set(&mut self, change: &Change, cleared_at: Option<Timestamp>, figures: &Figures) {
        let Some(span) = self.spans.get_mut(&change.alarm) else {
            return;
        };
        span.cleared_at = cleared_at;
        span.severity = figures.severity;
        span.value = figures.value;
        span.limit = figures.limit;
        span.peak = figures.peak;
        span.count = figures.count;
    }
}
