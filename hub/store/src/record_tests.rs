//! The log row against bytes written by hand, against garbage, and there and back.

use super::{Encoder, Item, Observed, Record};
use model::{Cause, MetricKey, Position, Quality, Timestamp, Value};
use proptest::prelude::*;

fn observed(metric: u16, value: Value, at: i64) -> Observed {
    Observed {
        metric: MetricKey(metric),
        value,
        quality: Quality::GOOD,
        observed_at: Timestamp::from_millis(at),
        late: false,
    }
}

#[test]
fn a_record_has_the_documented_bytes() {
    let mut encoder = Encoder::new(Timestamp::from_millis(1000), 0);
    encoder.part(1, 300, 3);
    encoder.observation(&observed(5, Value::Number(312.4), 990));
    encoder.observation(&Observed {
        quality: Quality::bad(Cause::Range),
        late: true,
        ..observed(6, Value::Number(-3.0), 990)
    });
    encoder.observation(&observed(7, Value::Number(0.1 + 0.2), 1001));
    encoder.duplicates(2);
    encoder.rejected("nan", 1);
    encoder.refused(2, "x", 9);
    encoder.command("{}");
    encoder.changes_crc(0x0403_0201);
    let bytes = encoder.finish();
    #[rustfmt::skip]
    let expected = [
        0x01, 0xd0, 0x0f,                         // version, stamp 1000 = zigzag 2000
        0x01, 0x01, 0xac, 0x02, 0x03,             // part: driver 1, device 300, received 3
        0x82, 0x05, 0x14, 0xa0, 0x91, 0x26,       // thousandths, metric 5, age 10, 312400
        0x9d, 0x06, 0x81, 0x05,                   // whole, quality, late, same instant; bad:range; -3
        0x80, 0x07, 0x01, 0x34, 0x33, 0x33, 0x33, 0x33, 0x33, 0xd3, 0x3f, // raw, age -1
        0x02, 0x02,                               // two duplicates
        0x03, 0x03, b'n', b'a', b'n', 0x01,       // one rejected: nan
        0x04, 0x02, 0x01, b'x', 0x09,             // nine refused at driver 2: x
        0x05, 0x02, b'{', b'}',                   // command {}
        0x06, 0x01, 0x02, 0x03, 0x04,             // check sum of the changes
        0x00,
    ];
    let (content, crc) = bytes.split_at(bytes.len() - 4);
    assert_eq!(content, expected);
    // zlib.crc32 of the bytes above.
    assert_eq!(crc, 0x21a2_7972_u32.to_le_bytes());
}

#[test]
fn a_changed_bit_is_noticed() {
    let mut encoder = Encoder::new(Timestamp::from_millis(5), 0);
    encoder.part(0, 1, 1);
    encoder.observation(&observed(0, Value::Number(1.5), 4));
    let bytes = encoder.finish();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(Record::open(&damaged).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn a_number_keeps_every_bit() {
    for number in [
        0.0,
        -0.0,
        1e300,
        -1e-300,
        0.1,
        123.456,
        9e15,
        f64::MAX,
        0.0005,
    ] {
        let mut encoder = Encoder::new(Timestamp::from_millis(0), 0);
        encoder.observation(&observed(0, Value::Number(number), 0));
        let bytes = encoder.finish();
        let item = Record::open(&bytes)
            .unwrap()
            .items()
            .next()
            .unwrap()
            .unwrap();
        let Item::Observation(Observed {
            value: Value::Number(read),
            ..
        }) = item
        else {
            panic!("{item:?}");
        };
        assert_eq!(read.to_bits(), number.to_bits(), "{number}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let finite = || proptest::num::f64::NORMAL | proptest::num::f64::ZERO;
    prop_oneof![
        finite().prop_map(Value::Number),
        (-100_000i32..100_000).prop_map(|n| Value::Number(f64::from(n) / 10.0)),
        (
            finite(),
            finite(),
            proptest::option::of(finite()),
            any::<Option<bool>>()
        )
            .prop_map(|(lon, lat, accuracy_m, locked)| Value::Position(Position {
                lon,
                lat,
                accuracy_m,
                locked
            })),
    ]
}

fn any_item() -> impl Strategy<Value = Item<'static>> {
    let text = prop_oneof![Just("unknown_metric"), Just(""), Just("{\"a\":\"花\"}")];
    prop_oneof![
        (any::<u16>(), any::<u32>(), any::<u32>()).prop_map(|(driver, device, received)| {
            Item::Part {
                driver,
                device,
                received,
            }
        }),
        (
            any::<u16>(),
            any_value(),
            any::<u8>(),
            any::<i64>(),
            any::<bool>()
        )
            .prop_map(
                |(metric, value, quality, at, late)| Item::Observation(Observed {
                    quality: Quality::from_code(quality),
                    late,
                    ..observed(metric, value, at)
                })
            ),
        any::<u32>().prop_map(Item::Duplicates),
        (text.clone(), any::<u32>()).prop_map(|(reason, count)| Item::Rejected { reason, count }),
        (any::<u16>(), text.clone(), any::<u64>()).prop_map(|(driver, reason, count)| {
            Item::Refused {
                driver,
                reason,
                count,
            }
        }),
        text.prop_map(Item::Command),
        any::<u32>().prop_map(Item::ChangesCrc),
    ]
}

fn encode(stamp: i64, items: &[Item<'_>]) -> Vec<u8> {
    let mut encoder = Encoder::new(Timestamp::from_millis(stamp), 0);
    for item in items {
        match item {
            Item::Part {
                driver,
                device,
                received,
            } => encoder.part(*driver, *device, *received),
            Item::Observation(observed) => encoder.observation(observed),
            Item::Duplicates(count) => encoder.duplicates(*count),
            Item::Rejected { reason, count } => encoder.rejected(reason, *count),
            Item::Refused {
                driver,
                reason,
                count,
            } => encoder.refused(*driver, reason, *count),
            Item::Command(json) => encoder.command(json),
            Item::ChangesCrc(crc) => encoder.changes_crc(*crc),
        }
    }
    encoder.finish()
}

proptest! {
    #[test]
    fn a_record_reads_back(stamp: i64, items in proptest::collection::vec(any_item(), 0..40)) {
        let bytes = encode(stamp, &items);
        let record = Record::open(&bytes).unwrap();
        prop_assert_eq!(record.stamp.millis(), stamp);
        let read: Vec<_> = record.items().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read, items);
    }

    #[test]
    fn garbage_with_a_right_check_sum_is_an_error_or_items_but_no_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        bytes.insert(0, super::VERSION);
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        if let Ok(record) = Record::open(&bytes) {
            let items = record.items().count();
            prop_assert!(items <= bytes.len());
        }
    }
}
