//! Frames a second and allocations a frame, from bytes to submission and answer.

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driver_hj212::{Checksum, Config, Finder, Hj212, Hj212Talk, shared};
use model::Timestamp;
use sdk::testkit::Kit;
use sdk::{Driver, Step, Talk};
use std::hint::black_box;
use std::sync::Arc;

const DEVICE: &str =
    r#"{"id":"d1","kind":"dust","identities":{"hj212_mn":"010000A8900016F000169DC0"}}"#;

/// Frames in one buffer.
const FRAMES: usize = 1_000;

/// A site's real-time data: dust, weather and noise, nine values with their flags.
fn stream() -> Vec<u8> {
    let mut stream = Vec::new();
    for number in 0..FRAMES {
        let second = number % 60;
        let minute = number / 60;
        let values = "a34001-Rtd=178.0,a34001-Flag=N;a34002-Rtd=140.6,a34002-Flag=N;a34004-Rtd=75.6,a34004-Flag=N;a01001-Rtd=24.8,a01001-Flag=N;a01002-Rtd=46.8,a01002-Flag=N;a01006-Rtd=101.38,a01006-Flag=N;a01007-Rtd=0.3,a01007-Flag=N;a01008-Rtd=25,a01008-Flag=N;LA-Rtd=57.9,LA-Flag=N";
        let segment = format!(
            "QN=2026030108{minute:02}{second:02}{:03};ST=39;CN=2011;PW=s-d1;MN=010000A8900016F000169DC0;Flag=5;CP=&&DataTime=2026030108{minute:02}{second:02};{values}&&",
            number % 1000
        );
        let crc = Checksum::Hj212.of(segment.as_bytes());
        stream
            .extend_from_slice(format!("##{:04}{segment}{crc:04X}\r\n", segment.len()).as_bytes());
    }
    stream
}

fn talk() -> Hj212Talk {
    let mut kit = Kit::new(&[DEVICE]);
    let catalogue = Arc::make_mut(&mut kit.cx.catalogue);
    catalogue
        .extend(&Hj212::metrics())
        .expect("the driver's own table");
    let config = "kind = \"hj212\"\nlisten = \"127.0.0.1:0\"";
    let config: Config = toml::from_str(config).expect("a good configuration");
    let (line, _) = kit.cx.downlink.line();
    Hj212Talk::new(shared(&config, kit.cx).expect("no profiles"), line)
}

/// Takes all frames and gives how many there were.
fn take(talk: &mut Hj212Talk, stream: &[u8]) -> usize {
    let mut received = BytesMut::from(stream);
    let mut taken = 0;
    while let Some(step) = talk.next(&mut received, Timestamp::from_millis(0)) {
        taken += usize::from(matches!(black_box(step), Step::Commit { .. }));
    }
    taken
}

fn find(stream: &[u8]) -> usize {
    let mut received = BytesMut::from(stream);
    let mut finder = Finder::new(8192);
    std::iter::from_fn(|| finder.next(&mut received)).count()
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn frames(c: &mut Criterion) {
    let stream = stream();
    let mut talk = talk();
    assert_eq!(take(&mut talk, &stream), FRAMES);
    let counted = allocation_counter::measure(|| {
        black_box(take(&mut talk, &stream));
    });
    println!(
        "hj212/allocations: {} a frame, {} bytes a frame",
        counted.count_total / FRAMES as u64,
        counted.bytes_total / FRAMES as u64
    );
    let mut group = c.benchmark_group("hj212");
    group.throughput(Throughput::Elements(FRAMES as u64));
    group.bench_function("frames", |b| b.iter(|| take(&mut talk, black_box(&stream))));
    group.bench_function("find_only", |b| b.iter(|| find(black_box(&stream))));
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
