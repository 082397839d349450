//! Registers to values: orders, signs, bits, decimals, units, and what is no value.

use super::{Decoded, Sheet, decode};
use crate::frame::Data;
use crate::map::{Map, MapFile};
use model::{Catalogue, Value};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn map(reading: &str) -> Map {
    let text = format!(
        "title = 't'\nsource = 's'\nmark = 'V'\ngap = 9\n[readings.pressure_kpa]\nat = 0\n{reading}"
    );
    let file: MapFile = toml::from_str(&text).unwrap();
    Map::new("test", &file, &BTreeMap::new(), &Catalogue::built_in()).unwrap()
}

fn decoded(reading: &str, words: &[u16]) -> Decoded {
    let map = map(reading);
    let data = [Data::of_registers(words)];
    decode(
        &map,
        &Sheet {
            blocks: &map.blocks,
            data: &data,
        },
    )
}

#[track_caller]
fn value(reading: &str, words: &[u16]) -> f64 {
    let decoded = decoded(reading, words);
    assert_eq!(decoded.rejected, []);
    match decoded.observations[0].value {
        Value::Number(number) => number,
        other @ Value::Position(_) => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_read(reading: &str, words: &[u16], expected: f64) {
    let read = value(&format!("unit = 'kPa'\n{reading}"), words);
    assert_eq!(read.to_bits(), expected.to_bits(), "{read}");
}

#[test]
fn every_order_of_bytes_gives_the_same_number() {
    // 41 B6 E6 6C is 22.86251 as a float and 1102505580 as an integer.
    for (order, words) in [
        ("ABCD", [0x41b6, 0xe66c]),
        ("CDAB", [0xe66c, 0x41b6]),
        ("BADC", [0xb641, 0x6ce6]),
        ("DCBA", [0x6ce6, 0xb641]),
    ] {
        assert_read(
            &format!("type = 'f32'\norder = '{order}'"),
            &words,
            22.86251,
        );
        assert_read(
            &format!("type = 'u32'\norder = '{order}'"),
            &words,
            1_102_505_580.0,
        );
    }
    // One register has an order of bytes, too.
    assert_read("order = 'BADC'", &[0x0102], 513.0);
    assert_read("order = 'CDAB'", &[0x0102], 258.0);
    // Vaisala HMD60, A.4: the test register is -123.45, low word first.
    assert_read("type = 'f32'\norder = 'CDAB'", &[0xe666, 0xc2f6], -123.45);
}

#[test]
fn signs_are_those_of_the_type() {
    assert_read("type = 'i16'\nscale = 0.01", &[0xcfc7], -123.45);
    assert_read("type = 'u16'", &[0xcfc7], 53_191.0);
    assert_read("type = 'i32'", &[0xffff, 0xfffe], -2.0);
    assert_read("type = 'u32'", &[0xffff, 0xfffe], 4_294_967_294.0);
}

#[test]
fn scale_then_offset_then_unit() {
    assert_read("scale = 0.1\noffset = -40", &[654], 25.4);
    assert_eq!(
        value("unit = 'bar'\nscale = 0.01\noffset = 1", &[250]).to_bits(),
        350f64.to_bits()
    );
    assert_eq!(
        value("unit = 'MPa'\nscale = 0.001", &[12]).to_bits(),
        12f64.to_bits()
    );
}

#[test]
fn bits_and_flags_are_cut_out() {
    assert_read("bit = 3", &[0b1000], 1.0);
    assert_read("bit = 3", &[0b0111], 0.0);
    assert_read("bits = [4, 7]", &[0xa5c3], 12.0);
    assert_read(
        "type = 'u32'\nbits = [0, 31]",
        &[0xffff, 0xffff],
        4_294_967_295.0,
    );
    assert_read("flag = true", &[2], 1.0);
    assert_read("flag = true", &[0], 0.0);
    // A contact that is closed when all is well.
    assert_read("bit = 0\nscale = -1\noffset = 1", &[1], 0.0);
}

#[test]
fn registers_tell_decimals_and_unit() {
    let told = "type = 'i16'\ndecimals_at = 1\nunit_at = 2\n\
                [readings.pressure_kpa.units]\n0 = 'MPa'\n1 = 'kPa'\n";
    // 0.012 MPa, as the transmitter writes it: value 12, three decimals, unit 0.
    assert_eq!(value(told, &[12, 3, 0]).to_bits(), 12f64.to_bits());
    assert_eq!(value(told, &[3125, 1, 1]).to_bits(), 312.5f64.to_bits());
    for (words, reason) in [
        ([12, 3, 9], "unit_unknown"),
        ([12, 10, 0], "decimals_unknown"),
    ] {
        let refused = decoded(told, &words);
        assert_eq!(refused.observations, []);
        assert_eq!(refused.rejected[0].reason, reason);
    }
}

#[test]
fn what_says_that_there_is_no_value_is_counted_and_is_none() {
    for (reading, words) in [
        ("unit = 'kPa'\nnone = [65535]", &[0xffff, 0]),
        ("unit = 'kPa'\ntype = 'i16'\nnone = [-9999]", &[0xd8f1, 0]),
        (
            "unit = 'kPa'\ntype = 'f32'\nnone = [-9999]",
            &[0xc61c, 0x3c00],
        ),
    ] {
        let refused = decoded(reading, words);
        assert_eq!(refused.observations, [], "{reading}");
        assert_eq!(refused.rejected[0].reason, "sentinel");
        assert_eq!(refused.rejected[0].metric.as_deref(), Some("pressure_kpa"));
    }
    let infinite = decoded("unit = 'kPa'\ntype = 'f32'", &[0x7f80, 0]);
    assert_eq!(infinite.rejected[0].reason, "not_finite");
    let nan = decoded("unit = 'kPa'\ntype = 'f32'", &[0x7fc0, 1]);
    assert_eq!(nan.rejected[0].reason, "not_finite");
}

#[test]
fn a_block_that_did_not_come_gives_nothing() {
    let map = map("unit = 'kPa'");
    let sheet = Sheet {
        blocks: &map.blocks,
        data: &[None],
    };
    assert_eq!(decode(&map, &sheet), Decoded::default());
}

proptest! {
    #[test]
    fn every_register_is_a_value_or_a_reason(
        words in proptest::collection::vec(any::<u16>(), 0..6),
        kind in 0usize..5,
        order in 0usize..4,
    ) {
        let kind = ["u16", "i16", "u32", "i32", "f32"][kind];
        let order = ["ABCD", "CDAB", "BADC", "DCBA"][order];
        let reading = format!("type = '{kind}'\norder = '{order}'\nunit = 'kPa'");
        let seen = decoded(&reading, &words);
        let width = if kind.ends_with("16") { 1 } else { 2 };
        let expected = usize::from(words.len() >= width);
        prop_assert_eq!(seen.observations.len() + seen.rejected.len(), expected);
    }
}
