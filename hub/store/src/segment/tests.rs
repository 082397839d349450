//! How dense a day of an ordinary fleet is at rest.

use super::{RowCell, RowKey, Rows, SegmentWriter};
use crate::cell::{Column, Part};

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
