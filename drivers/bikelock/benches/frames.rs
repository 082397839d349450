//! Frames a second and allocations a frame, from bytes to submissions: the place of a lock.

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driver_bikelock::fuzzed::{example, rig};
use std::hint::black_box;

/// Frames in one buffer.
const FRAMES: u64 = 1_000;

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn frames(c: &mut Criterion) {
    let stream: Vec<u8> = (0..FRAMES).flat_map(|_| example()).collect();
    let mut rig = rig();
    let mut take = || rig.take(&mut BytesMut::from(black_box(stream.as_slice())));
    assert!(take() as u64 >= FRAMES, "every frame has a value");
    let counted = allocation_counter::measure(|| {
        black_box(take());
    });
    println!(
        "bikelock/allocations: {} a frame, {} bytes a frame",
        counted.count_total / FRAMES,
        counted.bytes_total / FRAMES
    );
    let mut group = c.benchmark_group("bikelock");
    group.throughput(Throughput::Elements(FRAMES));
    group.bench_function("frames", |b| b.iter(&mut take));
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
