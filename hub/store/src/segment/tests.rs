//! How dense a day of an ordinary fleet is at rest, and what merging does to it.

use super::{
    Kind, MetaCache, RowCell, RowKey, Rows, Segment, SegmentRow, SegmentWriter, Without,
    merge_data, segment_path,
};
use crate::cell::{Column, Part};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// A small generator of random numbers (xorshift64*), so that every run has the same data.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> i64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11).cast_signed() % bound.cast_signed()
    }

    fn around(&mut self, spread: i64) -> i64 {
        self.below(spread.unsigned_abs() * 2 + 1) - spread
    }
}

fn cell(metric: u16, part: Part, whole: i64, per_unit: f64) -> RowCell {
    let value = f64::from(i32::try_from(whole).unwrap()) / per_unit;
    RowCell {
        column: Column { metric, part },
        value,
    }
}

/// One message of each of 100 devices in each of 720 minutes: gas, smoke, noise, dust and bikes,
/// each with its battery, 150 ms of jitter, received 20 to 150 ms later.
fn half_a_day() -> (Rows, u64) {
    let mut random = Random(42);
    let mut rows = Rows::default();
    let mut readings = 0;
    for device in 0..100u32 {
        let (mut level, mut second, mut battery) = (random.around(40), 0, 60 + random.below(40));
        for minute in 0..720i64 {
            battery -= i64::from(random.below(700) == 0);
            let number = |metric, whole, per_unit| cell(metric, Part::Number, whole, per_unit);
            let mut cells = vec![number(1, battery, 1.0)];
            level += random.around(2);
            match device % 20 {
                0..8 => cells.push(number(0, 3000 + level, 10.0)),
                8..13 => cells.push(number(2, random.below(100) / 99 * level.abs(), 1000.0)),
                13..16 => cells.push(number(3, 550 + random.around(60), 10.0)),
                16..19 => {
                    cells.push(number(4, 70 + level, 1.0));
                    cells.push(number(5, 140 + 2 * level + random.around(4), 1.0));
                }
                _ => {
                    second += random.around(60);
                    cells.push(cell(6, Part::Lon, 118_089_400 + level, 1e6));
                    cells.push(cell(6, Part::Lat, 24_479_800 + second, 1e6));
                }
            }
            readings += cells.iter().filter(|cell| cell.column.part.leads()).count() as u64;
            let phase = i64::from(device) * 7919 % 60_000;
            let observed = 1_772_323_200_000 + minute * 60_000 + phase + random.below(150);
            let key = RowKey {
                device,
                observed,
                received: observed + 20 + random.below(130),
                driver: 0,
                quality: 0,
            };
            rows.push(key, cells);
        }
    }
    (rows, readings)
}

#[test]
fn an_ordinary_day_takes_less_than_two_and_a_half_bytes_a_reading() {
    let (rows, readings) = half_a_day();
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..7).map(|metric| format!("metric_{metric}")).collect();
    let path = dir.path().join("1.parquet");
    let mut writer = SegmentWriter::create(&path, rows.columns(), &names).unwrap();
    writer.slice(&rows, |_| true).unwrap();
    let written = writer.finish().unwrap();
    assert_eq!((written.rows, written.readings), (72_000, readings));
    assert_eq!(written.bytes, std::fs::metadata(&path).unwrap().len());
    assert!(
        written.bytes * 10 < readings * 25,
        "{} bytes for {readings} readings",
        written.bytes
    );
}

/// Writes a segment of the named rows (device, instant), each with one number made of both.
fn segment(dir: &Path, id: u64, named: &[(u32, i64)]) -> Arc<Segment> {
    let mut rows = Rows::default();
    for (device, observed) in named {
        let key = RowKey {
            device: *device,
            observed: *observed,
            received: observed + 7,
            driver: 3,
            quality: 1,
        };
        let value = i64::from(*device) * 1000 + observed;
        rows.push(key, [cell(0, Part::Number, value, 1.0)]);
    }
    let path = segment_path(dir, 0, id);
    let mut writer = SegmentWriter::create(&path, rows.columns(), &["m".to_owned()]).unwrap();
    writer.slice(&rows, |_| true).unwrap();
    catalogued(dir, id, &writer.finish().unwrap())
}

fn catalogued(dir: &Path, id: u64, written: &super::Written) -> Arc<Segment> {
    Arc::new(Segment::new(
        dir,
        SegmentRow {
            id,
            kind: Kind::Data,
            day: 0,
            observed: written.observed,
            received: written.received,
            rows: written.rows,
            readings: written.readings,
            bytes: written.bytes,
            crc: written.crc,
            level: 0,
        },
    ))
}

#[test]
fn merged_slices_follow_one_another_in_time_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = ["m".to_owned()];
    let early: Vec<(u32, i64)> = (0..50u32).map(|n| (5 - n % 5, n.into())).collect();
    let later: Vec<(u32, i64)> = (40..90u32).map(|n| (5 + n % 3, n.into())).collect();
    // Stragglers of the whole span.
    let strays: Vec<(u32, i64)> = (0..10).map(|n| (9, n * 9)).collect();
    let inputs = [&later, &strays, &early].into_iter().zip(1..);
    let inputs: Vec<_> = inputs
        .map(|(named, id)| segment(dir.path(), id, named))
        .collect();
    let path = segment_path(dir.path(), 0, 9);
    let written = merge_data(&inputs, &path, (&metrics, &Without::default()), 20).unwrap();
    assert_eq!((written.rows, written.readings), (110, 110));
    assert_eq!((written.observed, written.received), ((0, 89), (7, 96)));

    let merged = catalogued(dir.path(), 9, &written);
    let reader = MetaCache::default().open(&merged, &metrics).unwrap();
    let slices = &reader.meta.slices;
    assert!(slices.len() >= 5, "{slices:?}");
    assert!(
        slices
            .windows(2)
            .all(|pair| pair[0].observed.1 < pair[1].observed.0),
        "{slices:?}"
    );
    let mut found = BTreeSet::new();
    for group in 0..slices.len() {
        let mut rows = Rows::default();
        reader.read_slice(group, &mut rows).unwrap();
        assert!(rows.keys.is_sorted());
        found.extend(rows.keys.iter().map(|key| (key.device, key.observed)));
        assert!(
            rows.keys
                .iter()
                .all(|key| (key.driver, key.quality) == (3, 1))
        );
        assert!(rows.keys.iter().all(|key| key.received == key.observed + 7));
    }
    let expected: BTreeSet<_> = early.iter().chain(&later).chain(&strays).copied().collect();
    assert_eq!(found, expected);

    let mut cells = Vec::new();
    reader.device_cells(9, 9..28, None, &mut cells).unwrap();
    let found: Vec<_> = cells
        .iter()
        .map(|cell| (cell.observed, cell.value))
        .collect();
    assert_eq!(found, [(9, 9009.0), (18, 9018.0), (27, 9027.0)]);
}

#[test]
fn a_device_is_found_among_many_pages() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = ["m".to_owned()];
    // More than a page for the devices with even numbers, a few rows for the others.
    let named: Vec<(u32, i64)> = (0..8u32)
        .flat_map(|device| {
            let rows = if device % 2 == 0 { 9_000 } else { 3 };
            (0..rows).map(move |n| (device, n))
        })
        .collect();
    let segment = segment(dir.path(), 1, &named);
    let reader = MetaCache::default().open(&segment, &metrics).unwrap();
    for (device, range, expected) in [
        (0, 0..100_000, 9_000),
        (1, 0..100_000, 3),
        (3, 1..3, 2),
        (4, 3_999..4_002, 3),
        (6, 8_990..100_000, 10),
        (7, 0..1, 1),
        (8, 0..100_000, 0),
    ] {
        let mut cells = Vec::new();
        reader
            .device_cells(device, range.clone(), Some(0), &mut cells)
            .unwrap();
        assert_eq!(cells.len(), expected, "device {device}, {range:?}");
        let sums: Vec<i64> = cells
            .iter()
            .map(|cell| i64::from(device) * 1000 + cell.observed)
            .collect();
        let values: Vec<String> = cells.iter().map(|cell| cell.value.to_string()).collect();
        assert_eq!(values, sums.iter().map(i64::to_string).collect::<Vec<_>>());
    }
}
