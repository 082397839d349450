//! Frames as public test suites of JT/T 808 have them.

use super::super::frame::tests::{START_MS, device, hex};
use super::*;

fn terminal(phone: &str, serial: u16) -> Jt808 {
    let mut wire = Jt808::new(&device("truck", "jt808", phone));
    wire.serial = serial;
    wire
}

#[test]
fn authentication_and_heartbeat_are_those_of_public_tests() {
    let mut older = terminal("012345678900", 12_345);
    let body = older.authentication(b"456121111");
    assert_eq!(
        older.frame(AUTHENTICATE, &body).1,
        hex("7e 0102 0009 012345678900 3039 343536313231313131 be 7e")
    );
    let mut newer = terminal("00000000017299841738", u16::MAX);
    assert_eq!(
        newer.heartbeat(START_MS),
        hex("7e 0002 4000 01 00000000017299841738 ffff 02 7e")
    );
}

#[test]
fn flags_inside_a_frame_are_escaped() {
    // The standard's own example.
    assert_eq!(escaped(&hex("307e087d55")), hex("7e 30 7d02 08 7d01 55 7e"));
    assert_eq!(unescaped(&hex("30 7d02 08 7d01 55")), hex("307e087d55"));
}

#[test]
fn a_location_has_its_fields_where_table_23_has_them() {
    let device = device("truck", "jt808", "112233445566");
    let mut wire = terminal("112233445566", 8888);
    let observations = [
        Observation {
            metric: "position".into(),
            measure: Measure::Position {
                lon: 132.444_444,
                lat: 12.222_222,
                accuracy_m: 5.0,
                locked: false,
            },
        },
        Observation::number("speed_kmh", 6.0, 1),
        Observation::number("direction_deg", 0.0, 0),
        Observation::number("mileage_km", 10.0, 1),
    ];
    // 2018-07-15T10:10:10+08:00, as the public frame; this one has no alarm, ignition, an altitude
    // of 12 m and no fuel, and its check is theirs with what differs: 57 ^ 27 ^ 01 (length, alarm, …).
    let parcel = wire.encode(&device, 1_531_620_610_000, &observations);
    let body = hex(
        "00000000 00000003 00ba7f0e 07e4f11c 000c 003c 0000 180715101010
         01 04 00000064",
    );
    assert_eq!(parcel.bytes[13..parcel.bytes.len() - 2], body);
    assert_eq!(parcel.bytes[..13], hex("7e 0200 0022 112233445566 22b8"));
    let inside = &parcel.bytes[1..parcel.bytes.len() - 1];
    assert_eq!(inside.iter().fold(0, |bcc, byte| bcc ^ byte), 0);
    assert_eq!((parcel.expects, parcel.said.len()), (Some(8888), 4));
}

#[test]
fn nothing_is_sent_before_the_hub_has_let_the_terminal_in() {
    let mut wire = terminal("012345678900", 0);
    let hello = wire.greet(START_MS);
    assert_eq!(hello[1..5], [0x01, 0x00, 0x00, 0x28]);
    assert!(!wire.ready());
    // 8100 with result 0 and the code "456121111"; check by hand.
    let mut answer = escaped(&checked(hex(
        "8100 000c 012345678900 0001 0000 00 343536313231313131",
    )));
    let taken = wire.take(&mut answer, START_MS);
    let expected = hex("7e 0102 0009 012345678900 0001 343536313231313131 b6 7e");
    assert_eq!(taken, Some(Answer::Say(expected)));
    assert!(!wire.ready());
    let mut answer = escaped(&checked(hex("8001 0005 012345678900 0002 0001 0102 00")));
    assert_eq!(wire.take(&mut answer, START_MS), Some(Answer::Nothing));
    assert!(wire.ready());
    // A new connection shows the code at once.
    let again = wire.greet(START_MS);
    assert_eq!(again[1..3], [0x01, 0x02]);
    assert!(!wire.ready());
}

fn checked(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.push(bytes.iter().fold(0, |bcc, byte| bcc ^ byte));
    bytes
}

#[test]
fn the_general_answer_of_a_public_test_is_taken_byte_by_byte() {
    let mut wire = terminal("12345678901234562019", 2);
    wire.ready = true;
    let answer = hex("7e 8001 4005 01 12345678901234562019 0001 0001 0200 00 16 7e");
    let mut received = b"$$\x7e".to_vec();
    for (index, byte) in answer.iter().enumerate() {
        received.push(*byte);
        let taken = wire.take(&mut received, START_MS);
        let whole = index == answer.len() - 1;
        assert_eq!(taken, whole.then_some(Answer::Acked(Some(1))), "{index}");
    }
}
