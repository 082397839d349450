//! Answers as captured devices and the hub's register maps have them.

use super::super::frame::tests::hex;
use super::*;
use crate::observation::Observation;

fn pdu(observations: &[Observation], request: &str) -> Vec<u8> {
    answer(&Registers::of(observations), &hex(request))
}

#[test]
fn a_noise_transmitter_answers_as_the_captured_one() {
    // Request 01 03 00 00 00 01 84 0A, answer 01 03 02 02 44 B9 17: 58.0 dB.
    let observations = [Observation::number("laeq_dba", 58.0, 1)];
    let reply = pdu(&observations, "03 0000 0001");
    assert_eq!(rtu(1, &reply), hex("01 03 02 0244 b917"));
}

#[test]
fn a_station_answers_its_block_with_negative_temperatures() {
    let observations = [
        Observation::number("wind_speed_ms", 1.25, 2),
        Observation::number("wind_direction_deg", 135.0, 0),
        Observation::number("humidity_pct", 61.2, 1),
        Observation::number("temperature_c", -3.0, 1),
        Observation::number("pm25_ugm3", 78.0, 0),
        Observation::number("pm10_ugm3", 132.0, 0),
        Observation::number("air_pressure_kpa", 101.3, 2),
    ];
    // 47 dB and 1.5 dB for each metre a second of wind: 48.9.
    assert_eq!(
        pdu(&observations, "03 01f4 000a"),
        hex("03 14 007d 0000 0000 0087 0264 ffe2 01e9 004e 0084 03f5")
    );
}

#[test]
fn a_pressure_transmitter_tells_unit_and_decimals() {
    let observations = [Observation::number("pressure_kpa", 2.35, 2)];
    assert_eq!(
        pdu(&observations, "03 0002 0003"),
        hex("03 06 0001 0002 00eb")
    );
}

#[test]
fn what_nobody_may_ask_is_refused_with_the_code_of_the_standard() {
    for (request, reply) in [
        ("06 0000 0001", "8601"),
        ("03 0000 0000", "8303"),
        ("03 0000 007e", "8303"),
        ("03 ffff 0002", "8302"),
        ("03 00", "8301"),
    ] {
        assert_eq!(pdu(&[], request), hex(reply), "{request}");
    }
}

#[test]
fn requests_over_tcp_are_cut_by_their_length_and_answered_by_their_number() {
    let request = hex("0007 0000 0006 02 03 0000 0001");
    for cut in 0..request.len() {
        assert_eq!(tcp_request(&request[..cut]), Ok(None), "{cut}");
    }
    let mut glued = request.clone();
    glued.extend(&request[..5]);
    assert_eq!(tcp_request(&glued), Ok(Some((request.clone(), 12))));
    assert_eq!(tcp_request(&hex("0007 0000 ffff 02")), Err(HungUp));
    assert_eq!(
        tcp(&request[..7], &hex("03 02 0244")),
        hex("0007 0000 0005 02 03 02 0244")
    );
}
