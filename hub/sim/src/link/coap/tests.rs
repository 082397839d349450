//! Messages by RFC 7252, its figures and a captured exchange.

use super::super::frame::tests::{START_MS, device, hex};
use super::*;

fn client(format: Format) -> (Coap, Device) {
    let mut device = device("gas_pressure", "none", "x");
    "s3cret".clone_into(&mut device.secret);
    let mut client = Coap::new(&device, format);
    client.message_id = 0x7d33;
    (client, device)
}

#[test]
fn a_request_has_its_options_in_order_and_long_ones_with_a_byte_more() {
    let (mut client, device) = client(Format::Json);
    let observations = [Observation::number("pressure_kpa", 3.0, 1)];
    let parcel = client.encode(&device, START_MS, &observations);
    // 42 02 7d34 7d34; b7 "devices" (11), 03 "d-1", 09 "telemetry", 11 32 (12), 38 "k=s3cret" (15).
    let mut expected = hex("42 02 7d34 7d34 b7");
    expected.extend(b"devices\x03d-1\x09telemetry\x11\x32\x38k=s3cret\xff");
    expected.extend(b"{\"ts\":1772294400000,\"values\":{\"pressure_kpa\":3.0}}");
    assert_eq!(parcel.bytes, expected);
    assert_eq!((parcel.expects, parcel.ts_ms), (Some(0x7d34), START_MS));
    let mut long = Vec::new();
    Options::default().put(&mut long, URI_QUERY, b"k=0123456789ab");
    // Number 15 is 13 and 2, length 14 is 13 and 1.
    assert_eq!(long, [&[0xdd, 2, 1][..], b"k=0123456789ab"].concat());
}

#[test]
fn the_acknowledgement_with_204_is_the_one_that_counts() {
    let (mut client, _) = client(Format::Json);
    for (datagram, answer) in [
        ("62 44 7d34 7d34", Answer::Acked(Some(0x7d34))),
        ("62 81 7d34 7d34", Answer::Refused(0x7d34)),
        ("62 a3 7d34 7d34", Answer::Nothing),
        ("60 00 7d34", Answer::Nothing),
        ("70 00 7d34", Answer::Refused(0x7d34)),
        (
            "42 44 0102 7d34",
            Answer::AckedBy(0x7d34, hex("60 00 0102")),
        ),
        ("40", Answer::Nothing),
    ] {
        let mut received = hex(datagram);
        assert_eq!(
            client.take(&mut received, START_MS),
            Some(answer),
            "{datagram}"
        );
        assert_eq!(client.take(&mut received, START_MS), None);
    }
}

#[test]
fn pauses_double_four_times() {
    let (client, _) = client(Format::Json);
    let first = client.patience(0).unwrap();
    assert!((2000..=3000).contains(&first.as_millis()), "{first:?}");
    assert_eq!(client.patience(4), Some(first * 16));
    assert_eq!(client.patience(5), None);
}
