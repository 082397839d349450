//! Frames a second and allocations a frame, from bytes to submissions: the state of one component, of
//! 22 of them, and a sign of life.

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driver_gb26875::fuzzed::{example, rig};
use std::hint::black_box;

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("gb26875");
    for (name, components) in [
        ("heartbeat", 0),
        ("one component", 1),
        ("22 components", 22),
    ] {
        let frame = example(components);
        let mut rig = rig();
        let mut take = || rig.take(&mut BytesMut::from(black_box(frame.as_slice())));
        take();
        // The buffer of the frame itself is one of them.
        let counted = allocation_counter::measure(|| {
            black_box(take());
        });
        println!(
            "gb26875/{name}: {} allocations a frame, {} bytes",
            counted.count_total, counted.bytes_total
        );
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |b| b.iter(&mut take));
    }
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
