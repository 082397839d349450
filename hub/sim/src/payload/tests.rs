//! Payloads as their standards write them.

use super::*;

/// 2010-06-08T18:01:16.001Z, the time in the examples of RFC 8428.
const EXAMPLE_MS: i64 = 1_276_020_076_001;

fn example() -> [Observation; 2] {
    [
        Observation::number("temperature_c", 21.5, 1),
        Observation::number("humidity_pct", 60.0, 1),
    ]
}

#[test]
fn senml_has_its_base_in_the_first_record() {
    let text = String::from_utf8(Format::SenmlJson.write("d-1", EXAMPLE_MS, &example())).unwrap();
    assert_eq!(
        text,
        "[{\"bn\":\"urn:dev:ops:d-1:\",\"bt\":1276020076.001,\"n\":\"temperature_c\",\"v\":21.5},\
         {\"n\":\"humidity_pct\",\"v\":60.0}]"
    );
}

#[test]
fn senml_in_cbor_has_the_labels_and_the_time_of_the_example_in_the_standard() {
    let bytes = Format::SenmlCbor.write("d-1", EXAMPLE_MS, &example());
    // 82 array of two, a4 map of four: 21 base name (-2), 22 base time (-3) as RFC 8428, 6 writes it,
    // 00 name, 02 value.
    let mut expected =
        b"\x82\xa4\x21\x70urn:dev:ops:d-1:\x22\xfb\x41\xd3\x03\xa1\x5b\x00\x10\x62".to_vec();
    expected.extend(b"\x00\x6dtemperature_c\x02\xfb\x40\x35\x80\x00\x00\x00\x00\x00");
    expected.extend(b"\xa2\x00\x6chumidity_pct\x02\xfb\x40\x4e\x00\x00\x00\x00\x00\x00");
    assert_eq!(bytes, expected);
}

#[test]
fn the_hub_s_own_object_in_cbor_is_two_maps() {
    let bytes = Format::Cbor.write("d-1", EXAMPLE_MS, &example()[..1]);
    let mut expected = b"\xa2\x62ts\x1b\x00\x00\x01\x29\x18\xb9\x2d\xe1\x66values\xa1".to_vec();
    expected.extend(b"\x6dtemperature_c\xfb\x40\x35\x80\x00\x00\x00\x00\x00");
    assert_eq!(bytes, expected);
}

#[test]
fn integers_have_the_widths_of_the_standard_s_appendix() {
    // RFC 8949, appendix A.
    for (value, expected) in [
        (0, &[0x00][..]),
        (23, &[0x17]),
        (24, &[0x18, 0x18]),
        (1000, &[0x19, 0x03, 0xe8]),
        (1_000_000, &[0x1a, 0x00, 0x0f, 0x42, 0x40]),
        (
            1_000_000_000_000,
            &[0x1b, 0x00, 0x00, 0x00, 0xe8, 0xd4, 0xa5, 0x10, 0x00],
        ),
        (-1, &[0x20]),
        (-1000, &[0x39, 0x03, 0xe7]),
    ] {
        let mut out = Cbor::default();
        out.int(value);
        assert_eq!(out.bytes, expected, "{value}");
    }
}
