//! Answers a second and allocations an answer.

#![expect(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a bench measures and prints rates"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driver_camera::read_answer;
use std::hint::black_box;

/// Answers in one measurement.
const FRAMES: usize = 1_000;

fn take(answer: &[u8]) -> usize {
    let read = (0..FRAMES).filter_map(|_| black_box(read_answer(black_box(answer))));
    read.filter(Result::is_ok).count()
}

fn frames(c: &mut Criterion) {
    let options = "RTSP/1.0 200 OK\r\nCSeq: 1\r\nDate: Sun, Mar 01 2026 00:00:00 GMT\r\n\
        Public: OPTIONS, DESCRIBE, SETUP, TEARDOWN, PLAY, GET_PARAMETER, SET_PARAMETER\r\n\r\n";
    let mut group = c.benchmark_group("rtsp");
    group.throughput(Throughput::Elements(FRAMES as u64));
    let counted = allocation_counter::measure(|| {
        black_box(take(options.as_bytes()));
    });
    let allocations = counted.count_total as f64 / FRAMES as f64;
    let bytes = counted.bytes_total as f64 / FRAMES as f64;
    println!("answer to OPTIONS: {allocations:.1} allocations and {bytes:.0} bytes a frame");
    group.bench_function("answer to OPTIONS", |b| b.iter(|| take(options.as_bytes())));
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
