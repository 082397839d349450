//! Frames a second and allocations a frame: a datagram to what is committed, and its answer.

#![expect(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a bench measures and prints rates"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driver_coap::fuzzed::{Rig, example};
use std::hint::black_box;

/// Requests in one measurement.
const FRAMES: u16 = 1_000;

const JSON: &[u8] = br#"{"ts":1763700000000,"values":{"pressure_kpa":312.4,"battery_pct":91}}"#;

/// The same in CBOR.
const CBOR: &[u8] = b"\xa2\x62ts\x1b\x00\x00\x01\x9a\xa4\xb6\x45\x00\x66values\xa2\
    \x6cpressure_kpa\xfb\x40\x73\x86\x66\x66\x66\x66\x66\x6bbattery_pct\x18\x5b";

const SENML: &[u8] =
    br#"[{"bt":1763700000,"n":"pressure_kpa","v":312.4},{"n":"battery_pct","v":91}]"#;

const PING: &[u8] = b"\x40\x00\x12\x34";

/// Takes each frame, from another port now and then, and tells how many values they had.
fn take(rig: &mut Rig, frames: &[Vec<u8>]) -> usize {
    let frames = frames.iter().map(|frame| rig.take(0, frame).values);
    black_box(frames.sum())
}

fn frames(c: &mut Criterion) {
    let posts = |format: u8, payload: &[u8]| -> Vec<Vec<u8>> {
        let post = |mid| example(mid, format, payload);
        (0..FRAMES).map(post).collect()
    };
    let again = vec![example(1, 50, JSON); usize::from(FRAMES)];
    let pings = vec![PING.to_vec(); usize::from(FRAMES)];
    let mut group = c.benchmark_group("coap");
    group.throughput(Throughput::Elements(u64::from(FRAMES)));
    for (name, frames) in [
        ("two values in JSON", posts(50, JSON)),
        ("two values in CBOR", posts(60, CBOR)),
        ("two values in SenML", posts(110, SENML)),
        ("a repetition", again),
        ("a ping", pings),
    ] {
        // The rig remembers 1,024 exchanges: each round is made of requests that it does not know.
        group.bench_function(name, |b| {
            b.iter_batched(
                Rig::default,
                |mut rig| take(&mut rig, &frames),
                criterion::BatchSize::LargeInput,
            );
        });
        let mut rig = Rig::default();
        let counted = allocation_counter::measure(|| {
            take(&mut rig, &frames);
        });
        let allocations = counted.count_total as f64 / f64::from(FRAMES);
        let bytes = counted.bytes_total as f64 / f64::from(FRAMES);
        println!("{name}: {allocations:.1} allocations and {bytes:.0} bytes a frame");
    }
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
