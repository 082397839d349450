//! Frames as devices of the field send them, by public captures.

use super::super::frame::tests::{START_MS, device, hex};
use super::*;

#[test]
fn a_fire_of_a_component_is_the_frame_of_a_real_device() {
    let device = device("smoke", "gb26875", "0000000c38f6/1.0.0.fb8a0100");
    let mut wire = Gb26875::new(&device);
    wire.serial = 53;
    let observations = [
        Observation::number("smoke_obscuration_dbm", 0.2, 3),
        Observation::number("smoke_alarm", 1.0, 0),
        Observation::number("fault", 0.0, 0),
    ];
    // 2021-10-28T10:35:44+08:00. The real device wrote 02 into its text, and so 5b as the sum.
    let parcel = wire.encode(&device, 1_635_388_544_000, &observations);
    let expected = hex(
        "4040 3600 0101 2c230a1c0a15 f6380c000000 000000000000 3000 02
         02 01 01 00 00 fb8a0100 0300
         00000000000000000000000000000000000000000000000000000000000000
         2c230a1c0a15 59 2323",
    );
    assert_eq!(parcel.bytes, expected);
    assert_eq!(
        (parcel.expects, parcel.ts_ms),
        (Some(54), 1_635_388_544_000)
    );
    assert_eq!(parcel.said, observations[1..]);
}

#[test]
fn a_transmission_device_says_that_it_is_normal() {
    let device = device("gateway", "gb26875", "0f0000000001");
    let mut wire = Gb26875::new(&device);
    let parcel = wire.encode(&device, START_MS, &[]);
    // Type 21, one object, bit 0; the sum by hand.
    let expected = hex(
        "4040 0100 0101 00000001031a 01000000000f 000000000000 0900 02
         15 01 01 00000001031a 71 2323",
    );
    assert_eq!(parcel.bytes, expected);
    assert_eq!(parcel.said, [Observation::number("fault", 0.0, 0)]);
}

#[test]
fn confirmation_denial_and_orders_are_told_apart_whole_or_in_pieces() {
    let mut wire = Gb26875::new(&device("smoke", "gb26875", "0f0000000001"));
    // The hub's answer to serial 54, its sum by hand.
    let confirm = hex(
        "4040 3600 0101 2c230a1c0a15 000000000000 f6380c000000 0000 03
         09 2323",
    );
    let mut received = b"@@@".to_vec();
    for byte in confirm.split_last().unwrap().1 {
        received.push(*byte);
        assert_eq!(wire.take(&mut received, START_MS), None);
    }
    received.push(0x23);
    assert_eq!(
        wire.take(&mut received, START_MS),
        Some(Answer::Acked(Some(54)))
    );
    // The time order of figure 45.
    let mut order = hex(
        "4040 0900 0100 00000801031a 000000000000 010100000000 0800 01
         5a 01 00000801031a bc 2323",
    );
    let Some(Answer::Say(bytes)) = wire.take(&mut order, START_MS) else {
        panic!("an order is answered");
    };
    assert_eq!((&bytes[2..4], bytes[26]), (&[9, 0][..], CONFIRM));
}
