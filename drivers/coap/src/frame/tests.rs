//! Messages: every open vector, and what the codec alone would let pass.

use super::{Answer, Damage, Kind, Message, REQUEST_TAG, empty};
use crate::block::Block;
use crate::wire::Wire;
use coap_lite::{CoapOption, ResponseType};
use proptest::prelude::*;
use serde_json::{Value, json};

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn block(message: &Message, option: CoapOption) -> Value {
    let Some(value) = message.number(option) else {
        return Value::Null;
    };
    let block = Block::read(value).unwrap();
    json!({"num": block.number, "more": block.more, "size": block.bytes()})
}

/// All that a vector can expect of a message itself, under the vectors' own names.
fn found(message: &Message, name: &str) -> Value {
    let kind = match message.kind() {
        Kind::Confirmable => "CON",
        Kind::NonConfirmable => "NON",
        Kind::Acknowledgement => "ACK",
        Kind::Reset => "RST",
    };
    let code = format!("{}.{:02}", message.code() >> 5, message.code() & 0x1f);
    let options = message.options().flat_map(|(number, values)| {
        values
            .into_iter()
            .map(move |value| json!([number, hex(value)]))
    });
    let path = message.values(CoapOption::UriPath);
    match name {
        "ver" => json!(1),
        "type" => json!(kind),
        "code" => json!(code),
        "mid" => json!(message.mid()),
        "token" => json!(hex(message.token())),
        "options" => options.collect(),
        "payload_hex" => json!(hex(message.payload())),
        "uri_path" => json!(path.fold(String::new(), |path, segment| {
            format!("{path}/{}", std::str::from_utf8(segment).unwrap())
        })),
        "content_format" => json!(message.number(CoapOption::ContentFormat)),
        "request_tag" => json!(message.first(REQUEST_TAG).map(hex)),
        "size1" => json!(message.number(CoapOption::Size1)),
        "observe" => json!(message.number(CoapOption::Observe)),
        "block1" => block(message, CoapOption::Block1),
        "block2" => block(message, CoapOption::Block2),
        other => panic!("`{other}` is not compared"),
    }
}

#[test]
fn every_open_vector_is_read_as_it_says() {
    let (mut read, mut refused) = (0, 0);
    for line in include_str!("../../testdata/vectors.jsonl").lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let name = vector["name"].as_str().unwrap();
        let message = Message::read(&bytes(vector["input_hex"].as_str().unwrap()));
        match vector["kind"].as_str().unwrap() {
            "ok" => {
                let message = message.unwrap_or_else(|wrong| panic!("{name}: {wrong:?}"));
                for (member, expected) in vector["expect"].as_object().unwrap() {
                    // What the endpoint answers is its own test.
                    if !["reply_type", "reply_code"].contains(&member.as_str()) {
                        assert_eq!(found(&message, member), *expected, "{name}: {member}");
                    }
                }
                read += 1;
            }
            "error" => {
                let class = match message.unwrap_err() {
                    Damage::Foreign(_) => "ignore_silently",
                    Damage::Format { .. } => "message_format_error",
                };
                assert_eq!(class, vector["expect_error"], "{name}");
                refused += 1;
            }
            // Two datagrams: the endpoint's test.
            "sequence" => assert_eq!(name, "seq_retransmission"),
            other => panic!("{name}: {other}"),
        }
    }
    assert_eq!((read, refused), (10, 4));
}

#[test]
fn what_breaks_the_format_is_told_from_what_is_no_coap() {
    for (wrong, is_foreign) in [
        ("", true),
        ("400100", true),
        // Versions 0, 2 and 3.
        ("00010001", true),
        ("80010001", true),
        ("c0010001", true),
        // A token of nine bytes, and one that is cut off.
        ("49010001010203040506070809", false),
        ("4401000101", false),
        // The reserved option delta 15 and length 15 (RFC 7252 section 3.1).
        ("40010001f0", false),
        ("400100010f", false),
        // Options whose extended delta, extended length or value is cut off.
        ("40010001d0", false),
        ("40010001e000", false),
        ("400100010d", false),
        ("400100010e00", false),
        ("40010001b4746573", false),
        // An option number above 65535.
        ("40010001e0fef3e0ffff", false),
        // A marker without a payload, behind the header, a token and an option.
        ("40010001ff", false),
        ("4101000155ff", false),
        ("40010001b161ff", false),
        // Empty messages that are not empty (section 4.1).
        ("4000000100", false),
        ("41000001aa", false),
        ("40000001ff61", false),
    ] {
        let damage = Message::read(&bytes(wrong)).unwrap_err();
        assert_eq!(
            matches!(damage, Damage::Foreign(_)),
            is_foreign,
            "{wrong}: {damage:?}"
        );
    }
    // The last byte is an option's, not a marker.
    let message = Message::read(&bytes("40010001b16111ff")).unwrap();
    assert_eq!(message.first(CoapOption::ContentFormat), Some(&[0xff][..]));
    // A marker within the payload is payload.
    let message = Message::read(&bytes("40010001ffff")).unwrap();
    assert_eq!(message.payload(), [0xff]);
    assert_eq!(
        Message::read(&bytes("50010007ff")),
        Err(Damage::Format {
            confirmable: false,
            mid: 7,
            detail: "no payload follows its marker".to_owned()
        })
    );
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.packet == other.packet
    }
}

#[test]
fn messages_are_written_as_the_standard_says() {
    assert_eq!(hex(&empty(Kind::Acknowledgement, 0x7d34)), "60007d34");
    assert_eq!(hex(&empty(Kind::Reset, 0x7d34)), "70007d34");
    // RFC 7252, figure 16: 2.05 with the text "22.3 C".
    let answer = Answer {
        code: ResponseType::Content,
        options: Vec::new(),
        payload: b"22.3 C".to_vec(),
    };
    let written = answer.message(Kind::Acknowledgement, 0x7d34, &[]);
    assert_eq!(hex(&written), "60457d34ff32322e332043");
    // The vector aiocoap_block1_reply_0.
    let answer = Answer::of(ResponseType::Continue).with(CoapOption::Block1, 0x0a);
    let written = answer.message(Kind::Acknowledgement, 0x18a7, &[1]);
    assert_eq!(hex(&written), "615f18a701d10e0a");
    // Zero is an empty value (RFC 7252 section 3.2).
    let answer = Answer::of(ResponseType::Content).with(CoapOption::MaxAge, 0);
    assert_eq!(
        hex(&answer.message(Kind::NonConfirmable, 1, &[])),
        "50450001d001"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        drop(Message::read(&bytes));
    }

    #[test]
    fn what_is_written_is_read_again(
        kind in 0u8..4,
        code in 1u8..=255,
        mid in any::<u16>(),
        token in proptest::collection::vec(any::<u8>(), 0..=8),
        options in proptest::collection::vec(
            (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..6),
        payload in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let wire = Wire { kind, code, mid, token, options, payload };
        let message = Message::read(&wire.bytes()).unwrap();
        prop_assert_eq!(message.code(), wire.code);
        prop_assert_eq!(message.mid(), wire.mid);
        prop_assert_eq!(message.token(), wire.token.as_slice());
        prop_assert_eq!(message.payload(), wire.payload.as_slice());
        let mut options = wire.options.clone();
        options.sort_by_key(|(number, _)| *number);
        let read: Vec<(u16, Vec<u8>)> = message
            .options()
            .flat_map(|(number, values)| values.into_iter().map(move |value| (number, value.to_vec())))
            .collect();
        prop_assert_eq!(read, options);
    }
}
