//! What a message pays for traces: switched off, on and not chosen, and recorded with all its spans.

use criterion::{Criterion, criterion_group, criterion_main};
use sdk::{Span, SpanKind, Tracer};
use std::hint::black_box;
use tokio::time::Instant;

/// Spans of a recorded message: queue, rules, commit, intake.
const SPANS: usize = 4;

/// Records a message as the writer does, if it was chosen.
fn pass(tracer: &Tracer) {
    let Some(traced) = black_box(tracer.begin(None)) else {
        return;
    };
    for _ in 0..SPANS {
        tracer.record(Span {
            trace: tracer.child(traced.trace),
            parent: Some(traced.trace.span()),
            name: "part",
            kind: SpanKind::Internal,
            begun: Instant::now(),
            ended: Instant::now(),
            said: vec![("cityhub.commit", 1_u64.into())],
            failed: None,
        });
    }
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn traces(c: &mut Criterion) {
    let (rare, _kept) = Tracer::open(0.0);
    // Nobody takes the spans, so the queue is full at once and the rest is dropped: the dearest case.
    let (all, _full) = Tracer::open(1.0);
    let mut group = c.benchmark_group("trace");
    for (name, tracer) in [
        ("off", Tracer::default()),
        ("not chosen", rare),
        ("recorded", all),
    ] {
        pass(&tracer);
        let counted = allocation_counter::measure(|| pass(&tracer));
        println!(
            "trace/{name}: {} allocations a message",
            counted.count_total
        );
        group.bench_function(name, |b| b.iter(|| pass(&tracer)));
    }
    group.finish();
}

criterion_group!(benches, traces);
criterion_main!(benches);
