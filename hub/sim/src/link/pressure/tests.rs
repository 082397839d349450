//! Frames by the layout of the maker's table 1; the sums come from a second implementation.

use super::super::frame::tests::{START_MS, device, hex};
use super::*;

#[test]
fn a_report_has_one_record_and_its_steps_are_tenths_of_a_kilopascal() {
    let device = device("gas_pressure", "pressure_frame", "SHGS00000001");
    let observations = [
        Observation::number("pressure_kpa", 312.44, 2),
        Observation::number("battery_pct", 88.0, 1),
    ];
    let parcel = Pressure.encode(&device, START_MS, &observations);
    let expected = hex("a55a 00 0029 534847533030303030303031 12 b2 012c 0001 00 00
         0000 7fff 0c34 69a31100 0c34 55bd 55aa");
    assert_eq!(parcel.bytes, expected);
    // 3124 steps, and eighteen twentieths of the battery.
    assert_eq!(
        parcel.said,
        [
            Observation::number("pressure_kpa", 312.4, 1),
            Observation::number("battery_pct", 90.0, 0),
        ]
    );
}

#[test]
fn the_checksum_is_that_of_the_frame_which_the_maker_prints() {
    let printed = hex(
        "a55a00003b53484d4b313930363030313334c8003c000a0102006401f4021a5d1966b6
         0219021a0216021802180213021e021c021d021d7e0355aa",
    );
    let (inside, end) = printed.split_at(printed.len() - 4);
    assert_eq!(crc(inside).to_be_bytes(), end[..2]);
}

#[test]
fn an_empty_frame_from_the_platform_is_the_answer() {
    let answer = hex("a55a 00 0015 534847533030303030303031 addf 55aa");
    let mut received = b"\xa5\x5a\x00\xff\xffnoise".to_vec();
    for (index, byte) in answer.iter().enumerate() {
        received.push(*byte);
        let taken = Pressure.take(&mut received, START_MS);
        let whole = index == answer.len() - 1;
        assert_eq!(taken, whole.then_some(Answer::Acked(None)), "{index}");
    }
}
