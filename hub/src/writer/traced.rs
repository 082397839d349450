//! Records the way of single messages through a commit: what waited, what was judged, what came of it.

use super::{Staged, Writer};
use sdk::{DriverKey, Pending, Receipt, Said, Span, SpanKind, Trace, Traced, Tracer};
use std::ops::Range;
use store::{Group, StoreError};
use tokio::time::Instant;

/// A recorded message in a group.
#[derive(Debug)]
pub(super) struct Way {
    traced: Traced,
    driver: DriverKey,
    received: u64,
    receipt: (u64, u64),
    since: Instant,
    /// From when to when it was judged.
    taken: (Instant, Instant),
    /// The engine's changes that it made, and the events of these.
    changes: Range<usize>,
    events: Vec<u64>,
}

impl Writer {
    /// Takes a submission; if its way is recorded, with what it took.
    pub(super) fn take_one(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        pending: &Pending,
    ) -> Result<Receipt, StoreError> {
        let now = group.stamp();
        let Some(traced) = pending.traced() else {
            return self.take(group, staged, now, pending);
        };
        let (begun, first) = (Instant::now(), self.changes.len());
        let receipt = self.take(group, staged, now, pending)?;
        let parts = pending.submission.parts.iter();
        staged.ways.push(Way {
            traced,
            driver: pending.driver,
            received: parts.map(|part| u64::from(part.received)).sum(),
            receipt: (receipt.stored, receipt.duplicate),
            since: pending.since(),
            taken: (begun, Instant::now()),
            changes: first..self.changes.len(),
            events: Vec::new(),
        });
        Ok(receipt)
    }

    /// Notes that the change of this index made the events behind `before`.
    pub(super) fn note_told(&self, staged: &mut Staged, change: usize, before: u64) {
        let way = staged
            .ways
            .iter_mut()
            .find(|way| way.changes.contains(&change));
        if let Some(way) = way {
            way.events.extend(before + 1..=self.last_event);
        }
    }
}

/// What the writer needs to record ways.
#[derive(Debug)]
pub(super) struct Ways {
    tracer: Tracer,
    driver_names: Vec<String>,
    /// From when to when the last commit was put to disk.
    pub(super) committed: (Instant, Instant),
}

impl Ways {
    pub(super) fn new(tracer: Tracer, driver_names: Vec<String>) -> Self {
        let now = Instant::now();
        Self {
            tracer,
            driver_names,
            committed: (now, now),
        }
    }

    /// Lets those who deliver an event find the trace that it belongs to.
    pub(super) fn remember(&self, ways: &[Way]) -> Vec<Trace> {
        let mut traces = Vec::new();
        for way in ways {
            for event in &way.events {
                let trace = self.tracer.child(way.traced.trace);
                self.tracer.remember(*event, trace);
                traces.push(trace);
            }
        }
        traces
    }

    /// Records the ways of a group that is on disk; `seq` is its commit.
    pub(super) fn record(&self, ways: Vec<Way>, events: Vec<Trace>, seq: u64) {
        let (begun, ended) = self.committed;
        let mut events = events.into_iter();
        for way in ways {
            let parent = way.traced.trace;
            let part = |name, (begun, ended), said| Span {
                trace: self.tracer.child(parent),
                parent: Some(parent.span()),
                name,
                kind: SpanKind::Internal,
                begun,
                ended,
                said,
                failed: None,
            };
            let (taken, judged) = way.taken;
            self.tracer
                .record(part("queue", (way.since, taken), Vec::new()));
            self.tracer
                .record(part("rules", (taken, judged), Vec::new()));
            let said = vec![("cityhub.commit", seq.into())];
            self.tracer.record(part("commit", (begun, ended), said));
            for (event, trace) in way.events.iter().zip(events.by_ref()) {
                let said = vec![("cityhub.event", (*event).into())];
                let told = part("event", (ended, Instant::now()), said);
                self.tracer.record(Span { trace, ..told });
            }
            let (stored, duplicate) = way.receipt;
            self.tracer.record(Span {
                trace: parent,
                parent: way.traced.parent,
                name: "intake",
                kind: SpanKind::Server,
                begun: way.since,
                ended: Instant::now(),
                said: vec![
                    ("cityhub.driver", Said::from(self.driver_name(way.driver))),
                    ("cityhub.values.received", way.received.into()),
                    ("cityhub.values.stored", stored.into()),
                    ("cityhub.values.duplicate", duplicate.into()),
                ],
                failed: None,
            });
        }
    }

    fn driver_name(&self, key: DriverKey) -> &str {
        let name = self.driver_names.get(usize::from(key.0));
        name.map_or("unknown", String::as_str)
    }
}
