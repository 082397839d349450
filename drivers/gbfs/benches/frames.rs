//! Vehicles a second and allocations a vehicle: a feed read and held against zones.

#![expect(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a bench measures and prints rates"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driver_gbfs::fuzzed::{counted, example, example_zones};
use std::hint::black_box;

/// Vehicles in one measurement.
const VEHICLES: usize = 10_000;

fn frames(c: &mut Criterion) {
    let vehicles = example(VEHICLES);
    let mut group = c.benchmark_group("gbfs");
    group.throughput(Throughput::Elements(VEHICLES as u64));
    for (name, zones) in [("no zones", 0), ("20 zones", 20), ("500 zones", 500)] {
        let zones = example_zones(zones);
        let measured = allocation_counter::measure(|| {
            black_box(counted(&vehicles, &zones));
        });
        let allocations = measured.count_total as f64 / VEHICLES as f64;
        let bytes = measured.bytes_total as f64 / VEHICLES as f64;
        println!("{name}: {allocations:.1} allocations and {bytes:.0} bytes a vehicle");
        group.bench_function(name, |b| b.iter(|| counted(&vehicles, &zones)));
    }
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
