//! Packets byte for byte, written out by hand from MQTT 3.1.1 and MQTT 5.0.

use super::*;

fn connect(version: Version) -> Connect<'static> {
    Connect {
        version,
        client_id: "d1",
        username: Some("d1"),
        password: Some("s3"),
        keep_alive_s: 10,
        clean: true,
        will: None,
        session_expiry_s: 0,
    }
}

#[test]
fn a_remaining_length_is_written_as_the_table_of_the_standard_shows() {
    // MQTT 3.1.1, table 2.4: the ends of each size.
    for (value, bytes) in [
        (0, &[0x00][..]),
        (127, &[0x7f]),
        (128, &[0x80, 0x01]),
        (16_383, &[0xff, 0x7f]),
        (16_384, &[0x80, 0x80, 0x01]),
        (2_097_151, &[0xff, 0xff, 0x7f]),
        (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
        (268_435_455, &[0xff, 0xff, 0xff, 0x7f]),
    ] {
        let mut out = Vec::new();
        put_length(&mut out, value);
        assert_eq!(out, bytes, "{value}");
        assert_eq!(take_length(bytes), Ok(Some((value, bytes.len()))));
    }
    // The example of 2.2.3: 321 is 65 + 2 × 128.
    let mut out = Vec::new();
    put_length(&mut out, 321);
    assert_eq!(out, [193, 2]);
}

#[test]
fn a_remaining_length_of_five_bytes_is_malformed_and_a_cut_one_waits() {
    assert_eq!(take_length(&[0x80, 0x80]), Ok(None));
    assert!(take_length(&[0x80, 0x80, 0x80, 0x80, 0x01]).is_err());
}

#[test]
fn a_connect_of_3_1_1_has_level_4_and_the_credentials_flags() {
    let mut out = Vec::new();
    put_connect(&mut out, &connect(Version::V311));
    let expected = [
        0x10, 22, // CONNECT, remaining length
        0, 4, b'M', b'Q', b'T', b'T', 4,    // protocol name and level
        0xc2, // user name, password, clean session
        0, 10, // keep alive
        0, 2, b'd', b'1', 0, 2, b'd', b'1', 0, 2, b's', b'3',
    ];
    assert_eq!(out, expected);
}

#[test]
fn a_connect_of_5_has_level_5_and_a_property_length() {
    let mut out = Vec::new();
    put_connect(&mut out, &connect(Version::V5));
    let expected = [
        0x10, 23, 0, 4, b'M', b'Q', b'T', b'T', 5, 0xc2, 0, 10, 0, // no properties
        0, 2, b'd', b'1', 0, 2, b'd', b'1', 0, 2, b's', b'3',
    ];
    assert_eq!(out, expected);
}

#[test]
fn a_connect_of_5_that_keeps_its_session_says_for_how_long() {
    let mut out = Vec::new();
    put_connect(
        &mut out,
        &Connect {
            clean: false,
            username: None,
            password: None,
            session_expiry_s: 3600,
            ..connect(Version::V5)
        },
    );
    let expected = [
        0x10, 20, 0, 4, b'M', b'Q', b'T', b'T', 5, 0x00, 0, 10, // no flag at all
        5, 0x11, 0x00, 0x00, 0x0e, 0x10, // 3600 s
        0, 2, b'd', b'1',
    ];
    assert_eq!(out, expected);
}

#[test]
fn a_publish_carries_topic_packet_id_and_payload() {
    // The example of MQTT 3.1.1, 3.3.2: topic a/b, packet identifier 10.
    let publish = Publish {
        version: Version::V311,
        topic: "a/b",
        packet_id: 10,
        again: false,
        payload: b"{}",
    };
    let mut out = Vec::new();
    put_publish(&mut out, &publish);
    assert_eq!(out, [0x32, 9, 0, 3, b'a', b'/', b'b', 0, 10, b'{', b'}']);
    out.clear();
    put_publish(
        &mut out,
        &Publish {
            version: Version::V5,
            again: true,
            ..publish
        },
    );
    // DUP is bit 3 of the first byte; version 5 has a property length before the payload.
    assert_eq!(
        out,
        [0x3a, 10, 0, 3, b'a', b'/', b'b', 0, 10, 0, b'{', b'}']
    );
}

#[test]
fn a_long_publish_has_a_remaining_length_of_two_bytes() {
    let payload = [b'x'; 200];
    let mut out = Vec::new();
    put_publish(
        &mut out,
        &Publish {
            version: Version::V311,
            topic: "t",
            packet_id: 0x1234,
            again: false,
            payload: &payload,
        },
    );
    // 2 + 1 + 2 + 200 = 205 = 0xcd 0x01.
    assert_eq!(out[..8], [0x32, 0xcd, 0x01, 0, 1, b't', 0x12, 0x34]);
    assert_eq!(out.len(), 208);
}

#[test]
fn the_short_packets_are_two_bytes() {
    let mut out = Vec::new();
    put_ping(&mut out);
    put_disconnect(&mut out);
    assert_eq!(out, [0xc0, 0, 0xe0, 0]);
}

#[test]
fn answers_of_both_editions_are_read() {
    for (bytes, expected) in [
        (
            &[0x20, 2, 0, 0][..],
            Incoming::ConnAck {
                session_present: false,
                code: 0,
            },
        ),
        (
            &[0x20, 2, 1, 0],
            Incoming::ConnAck {
                session_present: true,
                code: 0,
            },
        ),
        // MQTT 5 with an assigned receive maximum of 100.
        (
            &[0x20, 6, 0, 0x87, 3, 0x21, 0, 100],
            Incoming::ConnAck {
                session_present: false,
                code: 0x87,
            },
        ),
        (
            &[0x40, 2, 0x12, 0x34],
            Incoming::PubAck {
                packet_id: 0x1234,
                reason: 0,
            },
        ),
        (
            &[0x40, 4, 0, 1, 0x99, 0],
            Incoming::PubAck {
                packet_id: 1,
                reason: 0x99,
            },
        ),
        (&[0xd0, 0], Incoming::PingResp),
        (&[0xe0, 2, 0x8b, 0], Incoming::Disconnect { reason: 0x8b }),
        (&[0xe0, 0], Incoming::Disconnect { reason: 0 }),
        (&[0x90, 1, 0], Incoming::Other { first_byte: 0x90 }),
    ] {
        assert_eq!(take_packet(bytes), Ok(Some((expected, bytes.len()))));
        for cut in 0..bytes.len() {
            assert_eq!(take_packet(&bytes[..cut]), Ok(None), "{cut} of {bytes:?}");
        }
    }
}

#[test]
fn a_short_answer_and_a_giant_one_are_malformed() {
    assert!(take_packet(&[0x20, 1, 0]).is_err());
    assert!(take_packet(&[0x40, 1, 0]).is_err());
    assert!(take_packet(&[0x40, 0xff, 0xff, 0xff, 0x7f]).is_err());
}

#[test]
fn a_will_stands_between_client_and_user() {
    let mut out = Vec::new();
    put_connect(
        &mut out,
        &Connect {
            version: Version::V311,
            client_id: "c",
            username: Some("u"),
            password: None,
            keep_alive_s: 60,
            clean: true,
            will: Some(("t", b"gone")),
            session_expiry_s: 0,
        },
    );
    // Flags: user, will with QoS 1, clean.
    let expected = b"\x10\x19\x00\x04MQTT\x04\x8e\x00\x3c\x00\x01c\x00\x01t\x00\x04gone\x00\x01u";
    assert_eq!(out, expected.to_vec());
}

#[test]
fn what_nothing_answers_has_no_packet_id() {
    let mut out = Vec::new();
    put_publish_unanswered(&mut out, "a/b", b"hi");
    assert_eq!(out, b"\x30\x07\x00\x03a/bhi");
    out.clear();
    put_subscribe(&mut out, 10, "a/b");
    // The example of 3.8 in the standard, with one topic and QoS 0.
    assert_eq!(out, b"\x82\x08\x00\x0a\x00\x03a/b\x00");
}
