//! Frames against the conformance vectors, and cut where the network pleases.

use super::{Found, Head, Message, Outcome, find, platform_reply, unescape};
use crate::body::{Batch, Location, Registration, code, status};
use crate::readings::instant;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A copy of the conformance vectors.
const VECTORS: &str = include_str!("../../testdata/vectors.jsonl");

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn vector(name: &str) -> Vec<u8> {
    let all = VECTORS
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found = all
        .into_iter()
        .find(|vector| vector["name"] == name)
        .unwrap();
    hex(found["input_hex"].as_str().unwrap())
}

fn all(mut received: &[u8]) -> (Vec<Message>, Vec<&'static str>) {
    let (mut messages, mut reasons, mut after_frame) = (Vec::new(), Vec::new(), false);
    while let Some(found) = find(received, after_frame) {
        after_frame = matches!(found, Found::Message(..));
        let taken = match found {
            Found::Message(message, bytes) => {
                messages.push(message);
                bytes
            }
            Found::Flag => 1,
            Found::Bad { bytes, reason } => {
                reasons.push(reason);
                bytes
            }
        };
        assert!(taken > 0);
        received = &received[taken..];
    }
    (messages, reasons)
}

fn head(head: &Head) -> Value {
    json!({
        "msg_id": format!("{:04x}", head.id),
        "version": if head.version.is_some() { "2019" } else { "2011/2013" },
        "subpackage": head.part.is_some(), "encrypt": head.encryption, "bcc_ok": true,
        "proto_ver": head.version, "phone_bcd": head.phone.padded(),
        "phone": head.phone.digits(), "seq": head.serial, "body_len_ok": true,
        "reply_8001_result0_seq0": to_hex(&platform_reply(head, 0, Outcome::Done)),
    })
}

fn location(body: &[u8]) -> Value {
    let location = Location::read(body).unwrap();
    let at = instant(location.time).unwrap().plus_s(8 * 3600).to_string();
    let mut extras = serde_json::Map::new();
    for (id, value) in location.extras() {
        extras.insert(format!("{id:02x}"), json!(to_hex(value)));
    }
    json!({
        "alarm": location.alarm, "status": location.status,
        "acc": location.status & status::IGNITION != 0, "fix": location.status & status::FIX != 0,
        "lat": location.lat, "lon": location.lon, "alt_m": location.altitude_m,
        "speed_kmh": location.speed_kmh, "direction": location.direction,
        "time": at.replace(".000Z", "+08:00"), "extras": extras,
        "position_plausible": location.lat.abs() <= 90.0,
    })
}

fn as_the_vectors_say(message: &Message) -> Value {
    let (body, is_2019) = (&message.body[..], message.head.version.is_some());
    let mut said = head(&message.head);
    said["body_len"] = json!(body.len());
    match message.head.id {
        0x0100 => {
            let read = Registration::read(body, is_2019).unwrap();
            said["register"] = json!({
                "province": read.province, "city": read.city, "maker": read.maker,
                "model": read.model, "terminal_id": read.terminal,
                "plate_color": read.plate_color, "plate": read.plate,
            });
        }
        0x0102 => said["auth"] = json!({"code": code(body, is_2019)}),
        0x0200 => said["location"] = location(body),
        0x0704 => {
            let batch = Batch::read(body).unwrap();
            let items: Vec<_> = batch.items().map(location).collect();
            said["batch"] = json!({"count": batch.count, "kind": batch.kind, "items": items});
        }
        0x8001 => {
            let word = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
            said["ack"] = json!({
                "seq": word(0), "msg_id": format!("{:04x}", word(2)), "result": body[4],
            });
        }
        _ => {}
    }
    said
}

fn compare(name: &str, said: &Value, expected: &Value) {
    match expected {
        Value::Object(members) => {
            for (member, expected) in members {
                compare(&format!("{name}.{member}"), &said[member], expected);
            }
        }
        Value::Array(items) => {
            assert_eq!(said.as_array().unwrap().len(), items.len(), "{name}");
            for (index, expected) in items.iter().enumerate() {
                compare(&format!("{name}[{index}]"), &said[index], expected);
            }
        }
        expected => assert_eq!(said, expected, "{name}"),
    }
}

#[test]
fn every_vector_decodes_or_is_refused_as_it_says() {
    let vectors: Vec<Value> = VECTORS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(vectors.len(), 18);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let bytes = hex(vector["input_hex"].as_str().unwrap());
        let (messages, reasons) = all(&bytes);
        let expected = &vector["expect"];
        if let Some(plain) = expected["unescaped_between_flags"].as_str() {
            let inside = &bytes[1..bytes.len() - 1];
            assert_eq!(to_hex(&unescape(inside).unwrap()), plain, "{name}");
        } else if let Some(frames) = expected["frames"].as_u64() {
            assert_eq!(messages.len() as u64, frames, "{name}");
        } else if vector["expect_error"] == "unsupported_encryption" {
            assert_eq!(messages[0].head.encryption, 1, "{name}");
        } else if let Some(reason) = vector["expect_error"].as_str() {
            assert_eq!((messages.len(), reasons[0]), (0, reason), "{name}");
        } else {
            assert_eq!(messages.len(), 1, "{name}");
            compare(name, &as_the_vectors_say(&messages[0]), expected);
        }
    }
}

#[test]
fn frames_may_share_a_flag_and_noise_stands_for_itself() {
    let one = vector("loc_2013_base");
    let shared = [&one[..], &one[1..]].concat();
    assert_eq!(all(&shared).0.len(), 2);
    let noisy = [&b"noise"[..], &one, b"(more)", &one].concat();
    let (messages, reasons) = all(&noisy);
    assert_eq!((messages.len(), reasons), (2, vec!["noise", "noise"]));
    let behind_a_cut = [&one[..20], &one].concat();
    assert_eq!(all(&behind_a_cut).0.len(), 1);
}

#[test]
fn a_frame_that_never_ends_is_left() {
    let mut endless = vec![0x7e];
    endless.resize(super::CONTENT_BYTES_MAX + 2, 1);
    assert_eq!(
        find(&endless, false),
        Some(Found::Bad {
            bytes: 1,
            reason: "length"
        })
    );
}

proptest! {
    #[test]
    fn whatever_comes_is_taken_without_a_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..1_200),
    ) {
        for byte in &mut bytes {
            *byte = match *byte {
                0..20 => 0x7e,
                20..40 => 0x7d,
                other => other,
            };
        }
        let (messages, _) = all(&bytes);
        for message in messages {
            if let Some(location) = Location::read(&message.body) {
                prop_assert!(location.extras().count() <= message.body.len());
            }
        }
    }
}
