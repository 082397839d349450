//! Frames a second and allocations a frame: an answer on the wire to the values that are committed.

#![expect(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a bench measures and prints rates"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driver_modbus::frame::{Block, Data, Reader, Reply, Request, Table, crc};
use driver_modbus::map::{Library, Map};
use driver_modbus::readings::{Sheet, decode};
use model::Catalogue;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

/// Answers in one measurement.
const FRAMES: usize = 1_000;

const HEARTBEAT: &[u8] = b"www.usr.cn";

fn station() -> Arc<Map> {
    let library = Library::read(None, &HashMap::new(), &Catalogue::built_in());
    let library = library.expect("the built-in maps are tested");
    library.map("rs-fsxcs").expect("it is built in")
}

/// The ten registers of a weather, noise and dust station.
fn answer() -> Vec<u8> {
    let registers = [125, 1, 3, 135, 612, 65_506, 634, 78, 132, 1013];
    let data = Data::of_registers(&registers).expect("ten registers fit");
    let mut frame = vec![1, 3, 20];
    frame.extend_from_slice(data.bytes());
    let check = crc(&frame);
    frame.extend(check.to_le_bytes());
    frame
}

fn request() -> Request {
    Request::Read(Block {
        table: Table::Holding,
        at: 500,
        count: 10,
    })
}

/// Finds answers, and reads their values if there is a map.
fn take(reader: &mut Reader, stream: &[u8], map: Option<&Map>) -> usize {
    let mut values = 0;
    for _ in 0..FRAMES {
        reader.feed(stream);
        let found = reader.find(1, &request()).expect("the answer is whole");
        let Reply::Data(data) = found.reply else {
            continue;
        };
        let data = [Some(data)];
        if let Some(map) = map {
            let sheet = Sheet {
                blocks: &map.blocks,
                data: &data,
            };
            values += black_box(decode(map, &sheet)).observations.len();
        }
    }
    values
}

fn frames(c: &mut Criterion) {
    let map = station();
    let plain = answer();
    let behind = [HEARTBEAT, &plain].concat();
    let (head, tail) = plain.split_at(9);
    let torn = [head, HEARTBEAT, tail].concat();
    let known: Arc<[Vec<u8>]> = Arc::new([HEARTBEAT.to_vec()]);
    let mut group = c.benchmark_group("modbus");
    group.throughput(Throughput::Elements(FRAMES as u64));
    for (name, stream, map) in [
        ("answer to registers", &plain, None),
        ("answer to eight values", &plain, Some(map.as_ref())),
        ("behind a heartbeat", &behind, Some(map.as_ref())),
        ("torn by a heartbeat", &torn, Some(map.as_ref())),
    ] {
        let mut reader = Reader::new(Arc::clone(&known));
        take(&mut reader, stream, map);
        let counted = allocation_counter::measure(|| {
            black_box(take(&mut reader, stream, map));
        });
        let allocations = counted.count_total as f64 / FRAMES as f64;
        let bytes = counted.bytes_total as f64 / FRAMES as f64;
        println!("{name}: {allocations:.1} allocations and {bytes:.0} bytes a frame");
        group.bench_function(name, |b| b.iter(|| take(&mut reader, stream, map)));
    }
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
