//! Reading against the examples of the standard, and against noise.

use super::{
    Filter, Flaw, Incoming, Publish, Qos, Version, frame, kind, read_connect, read_other,
    read_publish, sniff, write,
};
use bytes::BytesMut;

#[test]
fn a_frame_is_known_from_its_header() {
    assert_eq!(frame(&[]), Ok(None));
    assert_eq!(frame(&[0x30]), Ok(None));
    assert_eq!(frame(&[0x30, 0x80]), Ok(None));
    let found = frame(&[0x30, 0x80, 0x01]).unwrap().unwrap();
    assert_eq!((found.header_len, found.total_len), (3, 131));
    assert_eq!(found.kind(), kind::PUBLISH);
    // MQTT 5.0, table 1-1: the largest is 268,435,455.
    let largest = frame(&[0x30, 0xff, 0xff, 0xff, 0x7f]).unwrap().unwrap();
    assert_eq!(largest.total_len, 268_435_455 + 5);
    let endless = frame(&[0x30, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(endless, Err(Flaw::Malformed));
}

#[test]
fn a_publish_is_read_as_the_standard_writes_it() {
    // MQTT 3.1.1, 3.3.2.3: topic a/b, packet identifier 10.
    let body = b"\0\x03a/b\0\x0ahello";
    let read = Publish {
        qos: Qos::AtLeastOnce,
        packet_id: 10,
        topic: "a/b",
        payload: b"hello",
    };
    assert_eq!(read_publish(Version::V4, 0x32, body), Ok(read));
    // MQTT 5.0, 3.3.2.4: the same, with no properties.
    let body = b"\0\x03a/b\0\x0a\0hello";
    assert_eq!(read_publish(Version::V5, 0x32, body), Ok(read));
    // With a content type and a user property, which are skipped.
    let body = b"\0\x03a/b\0\x0a\x0c\x03\0\x02ct\x26\0\x01k\0\x01vhello";
    assert_eq!(read_publish(Version::V5, 0x32, body), Ok(read));
}

#[test]
fn properties_that_cross_their_length_are_malformed() {
    for body in [
        &b"\0\x01a\0\x01\x05\x03\0\x09"[..],
        b"\0\x01a\0\x01\x02\x03\0",
        b"\0\x01a\0\x01\x01\x7f",
        b"\0\x01a\0\x01\x80",
    ] {
        let read = read_publish(Version::V5, 0x32, body);
        assert_eq!(read, Err(Flaw::Malformed), "{body:?}");
    }
}

#[test]
fn the_connect_of_the_standard_is_read() {
    // MQTT 3.1.1, 3.1.2.11: user name, password, will QoS 1, clean session, keep alive 10.
    let body = b"\0\x04MQTT\x04\xce\0\x0a\0\x01c\0\x01w\0\x02{}\0\x01u\0\x01p";
    assert_eq!(sniff(body), Ok(Some(Version::V4)));
    let mut bytes = vec![0x10, u8::try_from(body.len()).unwrap()];
    bytes.extend(body);
    let connect = read_connect(Version::V4, &bytes).unwrap();
    assert_eq!(
        (connect.client_id.as_str(), connect.keep_alive_s),
        ("c", 10)
    );
    assert!(connect.clean_start);
    assert_eq!(connect.session_expiry_s, 0);
    assert_eq!(connect.username.as_deref(), Some("u"));
    assert_eq!(connect.password.as_deref(), Some("p"));
    let will = connect.will.unwrap();
    assert_eq!((will.topic.as_str(), &will.payload[..]), ("w", &b"{}"[..]));
}

#[test]
fn the_properties_of_a_connect_are_read() {
    // Session expiry 10 s, receive maximum 20, maximum packet size 256.
    let body = b"\0\x04MQTT\x05\x02\0\0\x0d\x11\0\0\0\x0a\x21\0\x14\x27\0\0\x01\0\0\x01c";
    let mut bytes = vec![0x10, u8::try_from(body.len()).unwrap()];
    bytes.extend(body);
    let connect = read_connect(Version::V5, &bytes).unwrap();
    assert_eq!(connect.session_expiry_s, 10);
    assert_eq!(connect.receive_max, 20);
    assert_eq!(connect.packet_bytes_max, 256);
    // A receive maximum of 0 is a protocol error.
    let body = b"\0\x04MQTT\x05\x02\0\0\x03\x21\0\0\0\x01c";
    let mut bytes = vec![0x10, u8::try_from(body.len()).unwrap()];
    bytes.extend(body);
    assert_eq!(read_connect(Version::V5, &bytes), Err(Flaw::Protocol));
}

#[test]
fn a_subscribe_is_read_in_both_versions() {
    // MQTT 3.1.1, 3.8.3: a/b with QoS 1, c/d with QoS 2.
    let filters = || {
        vec![
            Filter {
                path: "a/b".to_owned(),
                qos: Qos::AtLeastOnce,
            },
            Filter {
                path: "c/d".to_owned(),
                qos: Qos::ExactlyOnce,
            },
        ]
    };
    let packets: [(Version, &[u8]); 2] = [
        (Version::V4, b"\x82\x0e\0\x0a\0\x03a/b\x01\0\x03c/d\x02"),
        (Version::V5, b"\x82\x0f\0\x0a\0\0\x03a/b\x01\0\x03c/d\x02"),
    ];
    for (version, bytes) in packets {
        let read = read_other(version, frame(bytes).unwrap().unwrap(), bytes);
        let subscribe = Incoming::Subscribe {
            packet_id: 10,
            filters: filters(),
        };
        assert_eq!(read, Ok(subscribe));
    }
}

#[test]
fn a_message_is_written_as_the_standard_has_it() {
    let mut out = BytesMut::new();
    write::publish(&mut out, Version::V4, Some(10), "a/b", b"hi");
    assert_eq!(&out[..], b"\x32\x09\0\x03a/b\0\x0ahi");
    out.clear();
    write::publish(&mut out, Version::V5, None, "a/b", b"hi");
    assert_eq!(&out[..], b"\x30\x08\0\x03a/b\0hi");
    out.clear();
    // 127 bytes of payload and 6 of topic and properties: a length of two bytes.
    write::publish(&mut out, Version::V5, None, "a/b", &[b'x'; 127]);
    assert_eq!(&out[..3], [0x30, 0x85, 0x01]);
    out.clear();
    write::suback(&mut out, Version::V4, 10, &[0, 0x87]);
    assert_eq!(&out[..], [0x90, 4, 0, 10, 0, 0x80]);
    out.clear();
    write::suback(&mut out, Version::V5, 10, &[0, 0x87]);
    assert_eq!(&out[..], [0x90, 5, 0, 10, 0, 0, 0x87]);
    out.clear();
    write::unsuback(&mut out, Version::V4, 10, &[0]);
    assert_eq!(&out[..], [0xb0, 2, 0, 10]);
    out.clear();
    write::unsuback(&mut out, Version::V5, 10, &[0x11]);
    assert_eq!(&out[..], [0xb0, 4, 0, 10, 0, 0x11]);
}

/// A simple generator (Knuth's MMIX constants), so that a failure can be repeated.
fn noise(state: &mut u64) -> u8 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    state.to_be_bytes()[0]
}

#[test]
fn noise_is_refused_and_never_panics() {
    let mut state = 1;
    let mut refused = 0u32;
    let rounds = 20_000u32;
    for round in 0..rounds {
        let version = if round % 2 == 0 {
            Version::V4
        } else {
            Version::V5
        };
        // Small bytes now and then: they make lengths that fit, so that reading gets further.
        let body: Vec<u8> = (0..noise(&mut state) % 40)
            .map(|_| {
                let byte = noise(&mut state);
                if byte.is_multiple_of(3) {
                    byte % 8
                } else {
                    byte
                }
            })
            .collect();
        let first = noise(&mut state);
        let mut bytes = vec![first, u8::try_from(body.len()).unwrap()];
        bytes.extend(&body);
        let found = frame(&bytes).unwrap().unwrap();
        let ok = match round % 3 {
            0 => read_publish(version, first, &body).is_ok(),
            1 => sniff(&body).is_ok() && read_connect(version, &bytes).is_ok(),
            _ => read_other(version, found, &bytes).is_ok(),
        };
        refused += u32::from(!ok);
    }
    assert!(refused > rounds / 2, "{refused}");
}
