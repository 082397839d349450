//! Frames a second and allocations a frame, from bytes to submissions: a heartbeat on a connection, and
//! one as a datagram.

#![expect(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a bench measures and prints rates"
)]

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driver_gb28181::fuzzed::{Rig, heartbeat};
use std::hint::black_box;

/// Messages in one measurement.
const FRAMES: usize = 1_000;

fn take(rig: &mut Rig, messages: &[Vec<u8>]) -> usize {
    let mut values = 0;
    for message in messages {
        values += black_box(rig.take(&mut BytesMut::from(message.as_slice())));
    }
    values
}

fn frames(c: &mut Criterion) {
    let new: Vec<_> = (0..FRAMES).map(heartbeat).collect();
    let mut group = c.benchmark_group("gb28181");
    group.throughput(Throughput::Elements(FRAMES as u64));
    for (name, is_stream, messages) in [
        ("heartbeat over TCP", true, &new),
        ("heartbeat over UDP", false, &new),
    ] {
        let counted = allocation_counter::measure(|| {
            let mut rig = Rig::new(is_stream);
            black_box(take(&mut rig, messages));
        });
        let allocations = counted.count_total as f64 / FRAMES as f64;
        let bytes = counted.bytes_total as f64 / FRAMES as f64;
        println!("{name}: {allocations:.1} allocations and {bytes:.0} bytes a frame");
        group.bench_function(name, |b| {
            b.iter_batched(
                || Rig::new(is_stream),
                |mut rig| take(&mut rig, messages),
                criterion::BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
