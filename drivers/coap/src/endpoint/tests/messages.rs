//! The message layer: what is answered, what is not, and how.

use super::{DEVICES, JSON, Rig, TELEMETRY, post};
use crate::wire::{ACK, CON, GET, NON, POST, RST, Wire};
use bytes::Bytes;

#[test]
fn a_ping_is_answered_with_a_reset() {
    let mut rig = Rig::new();
    let answer = rig.hear_bytes(1, b"\x40\x00\x12\x34");
    assert_eq!(answer, [Bytes::from_static(b"\x70\x00\x12\x34")]);
    assert!(
        rig.hear_bytes(1, b"\x50\x00\x12\x35").is_empty(),
        "not confirmable"
    );
    assert!(rig.refused().is_empty());
}

#[test]
fn what_is_no_coap_hears_nothing_and_is_counted() {
    let mut rig = Rig::new();
    for bytes in [
        &b""[..],
        b"\x40\x01\x00",
        b"\x00\x01\x00\x01",
        b"\x80\x01\x00\x01",
        b"\xc0\x01\x00\x01",
    ] {
        assert!(rig.hear_bytes(1, bytes).is_empty());
        assert_eq!(rig.refused(), [("not_coap".to_owned(), 1)], "{bytes:?}");
    }
}

#[test]
fn a_format_error_is_reset_where_it_is_confirmable() {
    let mut rig = Rig::new();
    for (bytes, answer) in [
        // The vectors err_marker_without_payload and err_truncated_option.
        (&b"\x40\x01\x00\x01\xff"[..], Some(&b"\x70\x00\x00\x01"[..])),
        (
            b"\x40\x01\x00\x01\xb4\x74\x65\x73",
            Some(b"\x70\x00\x00\x01"),
        ),
        (b"\x49\x01\x00\x02", Some(b"\x70\x00\x00\x02")),
        (b"\x50\x01\x00\x01\xff", None),
        (b"\x60\x01\x00\x01\xff", None),
        (b"\x70\x00\x00\x01\xff", None),
    ] {
        let sent = rig.hear_bytes(1, bytes);
        let expected: Vec<Bytes> = answer.into_iter().map(Bytes::copy_from_slice).collect();
        assert_eq!(sent, expected, "{bytes:?}");
        assert_eq!(rig.refused(), [("message_format_error".to_owned(), 1)]);
    }
}

#[test]
fn an_answer_that_nobody_asked_for_is_reset_and_acknowledgements_are_passed_over() {
    let mut rig = Rig::new();
    // 2.05 and the reserved class 1.
    for code in [0x45, 0x20] {
        let answer = rig.ask(&Wire::new(CON, code, 7).token(&[]));
        assert_eq!((answer.kind, answer.code, answer.mid), (RST, 0, 7));
        rig.tell(&Wire::new(NON, code, 8));
    }
    rig.tell(&Wire::new(ACK, 0, 9).token(&[]));
    rig.tell(&Wire::new(ACK, 0x45, 9));
    rig.tell(&Wire::new(RST, 0, 9).token(&[]));
}

#[test]
fn a_request_that_comes_again_is_answered_with_the_same_bytes() {
    let mut rig = Rig::new();
    // The vector seq_retransmission, which captured a client's bytes.
    let request = b"\x41\x02\x55\x99\x01\x72\x3d\x54\x42\x75\x70\x11\x32\x36\x64\x3d\x64\x65\x76\
                    \x31\xff\x7b\x22\x74\x22\x3a\x32\x31\x2e\x35\x7d";
    let first = rig.hear_bytes(1, request);
    assert_eq!(first.len(), 1);
    assert_eq!(rig.hear_bytes(1, request), first);
    assert_eq!(
        rig.refused(),
        [("no_resource".to_owned(), 1)],
        "it was handled once"
    );
    assert_eq!(
        rig.hear_bytes(2, request),
        first,
        "another endpoint's is another request"
    );
    assert_eq!(rig.refused(), [("no_resource".to_owned(), 1)]);
}

#[test]
fn unknown_critical_options_are_refused_where_it_is_confirmable_and_passed_over_where_not() {
    let mut rig = Rig::new();
    // If-Match, OSCORE, Q-Block1, one of nobody's, and known ones that are too long or too many.
    let wrong = [
        vec![(1, vec![1])],
        vec![(9, vec![])],
        vec![(19, vec![])],
        vec![(65_001, vec![])],
        vec![(7, vec![1, 2, 3])],
        vec![(27, vec![]), (27, vec![])],
        vec![(3, vec![])],
    ];
    for (mid, options) in (1..).zip(wrong) {
        let mut request = post(CON, mid, JSON);
        request.options.extend(options);
        let answer = rig.ask(&request);
        assert_eq!(
            (answer.kind, answer.code_text().as_str()),
            (ACK, "4.02"),
            "{request:?}"
        );
        request.kind = NON;
        request.mid += 100;
        rig.tell(&request);
    }
    let proxied = post(CON, 50, JSON).with(35, b"coap://elsewhere");
    assert_eq!(rig.ask(&proxied).code_text(), "5.05");
    assert!(rig.flights.is_empty());
    assert_eq!(rig.refused(), [("bad_option".to_owned(), 15)]);
}

#[tokio::test]
async fn unknown_elective_options_are_passed_over() {
    let mut rig = Rig::new();
    let request = post(CON, 1, JSON)
        .with(65_000, b"x")
        .with(6, b"long!")
        .with(60, &[0; 9]);
    rig.tell(&request);
    assert_eq!(rig.store().await.1[0].code_text(), "2.04");
}

#[test]
fn what_is_not_there_and_what_cannot_be_done_to_it_are_told_apart() {
    for (code, path, answer) in [
        (POST, "up", "4.04"),
        (GET, "", "4.04"),
        (POST, "devices/gas-1", "4.04"),
        (POST, "devices/gas-1/telemetry/more", "4.04"),
        (GET, TELEMETRY, "4.05"),
        (3, TELEMETRY, "4.05"),
        (4, TELEMETRY, "4.05"),
        // FETCH, and a method of nobody's.
        (5, TELEMETRY, "4.05"),
        (31, TELEMETRY, "4.05"),
        (POST, ".well-known/core", "4.05"),
        (POST, "devices/gas-1/commands", "4.05"),
    ] {
        let wire = Wire::to(CON, code, 1, path);
        let mut rig = Rig::new();
        assert_eq!(rig.ask(&wire).code_text(), answer, "{path} {code}");
    }
}

#[test]
fn the_resources_are_listed_in_small_blocks_to_those_who_proved_nothing() {
    let mut rig = Rig::new();
    let (mut body, mut number) = (Vec::new(), 0u32);
    loop {
        let mut wire = Wire::to(CON, GET, u16::try_from(number).unwrap(), ".well-known/core");
        if number > 0 {
            // Block `number` of the size that the first answer has.
            wire = wire.with(23, &[u8::try_from(number << 4).unwrap() | 1]);
        }
        let answer = rig.ask(&wire);
        assert!(
            answer.bytes().len() <= 3 * wire.bytes().len(),
            "amplification"
        );
        assert_eq!(
            (answer.code_text().as_str(), answer.option(12)),
            ("2.05", Some(40))
        );
        let block = answer.option(23).unwrap();
        assert_eq!((block >> 4, block & 7), (number, 1));
        body.extend(answer.payload);
        if block & 8 == 0 {
            break;
        }
        number += 1;
    }
    let text = String::from_utf8(body).unwrap();
    assert!(text.starts_with("</devices/{id}/telemetry>;ct="), "{text}");
    assert!(text.ends_with(";obs"), "{text}");
    let late = Wire::to(CON, GET, 90, ".well-known/core").with(23, &[0x0f, 0xf1]);
    assert_eq!(rig.ask(&late).code_text(), "4.00");
    let xml = Wire::to(CON, GET, 91, ".well-known/core").with(17, &[41]);
    assert_eq!(rig.ask(&xml).code_text(), "4.06");
}

#[test]
fn a_block_larger_than_is_given_begins_at_the_same_byte() {
    let mut rig = Rig::new();
    // Block 1 of 64 bytes, which is given as block 2 of 32 bytes.
    let answer = rig.ask(&Wire::to(CON, GET, 1, ".well-known/core").with(23, &[0x12]));
    let block = answer.option(23).unwrap();
    assert_eq!((block >> 4, block & 7), (2, 1));
    assert_eq!(answer.payload, &crate::resource::CORE.as_bytes()[64..]);
}

#[test]
fn the_stop_tells_observers_that_they_are_no_longer_heard() {
    assert_eq!(DEVICES.len(), 4);
    let mut rig = Rig::new();
    let observe = Wire::to(CON, GET, 1, "devices/gas-1/commands?k=s-gas-1").with(6, &[]);
    assert_eq!(rig.ask(&observe).code_text(), "2.05");
    rig.sent.clear();
    rig.endpoint.stop();
    rig.carry_out();
    let [(_, farewell)] = rig.sent.as_slice() else {
        panic!("one farewell");
    };
    let farewell = Wire::read(farewell);
    assert_eq!(
        (farewell.kind, farewell.code_text().as_str()),
        (NON, "5.03")
    );
    assert_eq!(farewell.token, observe.token);
}
