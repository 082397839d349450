//! Frames against the conformance vectors, and cut where the network pleases.

use super::{Address, Found, Head, command, find, reply};
use crate::unit::{self, Object, Place};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A copy of the conformance vectors.
const VECTORS: &str = include_str!("../../testdata/vectors.jsonl");
const BEIJING_S: i64 = 8 * 3600;

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
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

/// What is found one after the other: whole frames, and why bytes were left out.
fn all(mut received: &[u8]) -> (Vec<(Head, &[u8])>, Vec<&'static str>) {
    let (mut frames, mut reasons) = (Vec::new(), Vec::new());
    while !received.is_empty() {
        let taken = match find(received) {
            None => break,
            Some(Found::Frame(head, len)) => {
                frames.push((head, &received[..len]));
                len
            }
            Some(Found::Bad { bytes, reason, .. }) => {
                reasons.push(reason);
                bytes
            }
        };
        assert!(taken > 0);
        received = &received[taken..];
    }
    (frames, reasons)
}

fn named(bits: u16, names: &[&str]) -> Vec<String> {
    let set = names
        .iter()
        .enumerate()
        .filter(|(bit, _)| bits >> bit & 1 == 1);
    set.map(|(_, name)| (*name).to_owned()).collect()
}

fn local(stamp: super::Stamp) -> Value {
    let Some(at) = stamp.instant(BEIJING_S) else {
        return Value::Null;
    };
    let text = at.plus_s(BEIJING_S).to_string();
    json!(text.replace(".000Z", "+08:00"))
}

const STATES: [&str; 9] = [
    "normal_operation",
    "fire",
    "fault",
    "shielded",
    "supervised",
    "started",
    "feedback",
    "delayed",
    "power_fault",
];
const OPERATIONS: [&str; 7] = [
    "reset",
    "mute",
    "manual_alarm",
    "alarm_cleared",
    "self_test",
    "confirm",
    "test",
];

fn object(object: Object<'_>) -> Value {
    let mut said = match object {
        Object::State { bits, text, at, .. } => json!({
            "status": bits, "bits": named(bits, &STATES), "test_state": bits & 1 == 0,
            "desc_hex": text.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "desc": unit::text(text), "time": local(at),
        }),
        Object::Analog { kind, raw, at, .. } => {
            // The tables of the readings give the value; here only what is sent.
            json!({"analog_type": kind, "raw": raw, "time": local(at)})
        }
        Object::Operation {
            bits, operator, at, ..
        } => json!({
            "op": bits, "ops": named(u16::from(bits), &OPERATIONS), "operator": operator,
            "time": local(at),
        }),
        Object::Config { .. } => json!({}),
    };
    let (Object::State { place, .. }
    | Object::Analog { place, .. }
    | Object::Operation { place, .. }
    | Object::Config { place, .. }) = object;
    match place {
        Place::Device => {}
        Place::System([kind, address]) => {
            said["sys_type"] = json!(kind);
            said["sys_addr"] = json!(address);
        }
        Place::Component([system, address, kind], component) => {
            said["sys_type"] = json!(system);
            said["sys_addr"] = json!(address);
            said["comp_type"] = json!(kind);
            said["comp_addr"] = json!(
                component
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>()
            );
            said["comp_addr_u32le"] = json!(u32::from_le_bytes(component));
        }
    }
    said
}

fn head(head: &Head) -> Value {
    json!({
        "seq": head.serial, "ver_main": head.version[0], "ver_user": head.version[1],
        "time": local(head.time), "src": head.source.to_string(),
        "dst": head.destination.to_string(), "app_len": head.unit_bytes, "cmd": head.command,
    })
}

fn as_the_vectors_say(frames: &[(Head, &[u8])]) -> Value {
    let (first, bytes) = frames[0];
    let data = &bytes[super::HEAD_BYTES..super::HEAD_BYTES + first.unit_bytes];
    let mut said = head(&first);
    said["checksum"] = json!(bytes[bytes.len() - 3]);
    said["checksum_ok"] = json!(true);
    said["type"] = json!(data[0]);
    said["count"] = json!(data[1]);
    let objects = unit::cut(data).unwrap().objects().map(object);
    said["objects"] = json!(objects.collect::<Vec<_>>());
    let answer = reply(&first, command::CONFIRM, first.time);
    let (answers, _) = all(&answer);
    said["reply"] = head(&answers[0].0);
    said["frames"] = json!(frames.len());
    said
}

/// Compares the members that the vector has; values and units of analog objects are compared where
/// the tables are.
fn compare(name: &str, said: &Value, expected: &Value) {
    match expected {
        Value::Object(members) => {
            for (member, expected) in members {
                if !["value", "unit"].contains(&member.as_str()) {
                    compare(&format!("{name}.{member}"), &said[member], expected);
                }
            }
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
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
    assert_eq!(vectors.len(), 15);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let bytes = hex(vector["input_hex"].as_str().unwrap());
        let (frames, reasons) = all(&bytes);
        match vector["expect_error"].as_str() {
            None => compare(name, &as_the_vectors_say(&frames), &vector["expect"]),
            // Not refused: what is inside is kept, at the time of its frame or of its arrival.
            Some("bad_time_or_null_time") => {
                assert_eq!(frames[0].0.time.instant(BEIJING_S), None, "{name}");
            }
            Some("incomplete") => assert_eq!((frames.len(), reasons.len()), (0, 0), "{name}"),
            Some(reason) => {
                assert_eq!(frames.len(), 0, "{name}");
                assert_eq!(reasons[0], reason, "{name}");
            }
        }
    }
}

#[test]
fn what_was_damaged_on_its_way_can_be_denied_and_is_left_out_whole() {
    let damaged = vector("real_checksum_wrong_component");
    let good = vector("real_operation_type24");
    let Some(Found::Bad {
        bytes,
        reason,
        head,
    }) = find(&damaged)
    else {
        panic!("the checksum is wrong");
    };
    assert_eq!((bytes, reason), (damaged.len(), "checksum"));
    assert_eq!(head.unwrap().serial, 366);
    let both = [damaged, good].concat();
    let (frames, _) = all(&both);
    assert_eq!(frames.len(), 1);
}

#[test]
fn a_length_beyond_the_standard_is_denied_only_to_what_looks_like_a_frame() {
    let mut long = vector("real_component_fire_2021");
    long[25] = 0x05;
    let deniable = |bytes: &[u8]| match find(bytes) {
        Some(Found::Bad {
            bytes: 1,
            reason: "length",
            head,
        }) => head.is_some(),
        other => panic!("{other:?}"),
    };
    assert!(deniable(&long));
    long[10] = 13;
    assert!(!deniable(&long));
}

#[test]
fn an_unfinished_frame_does_not_hold_back_a_good_one_behind_it() {
    let cut = vector("err_truncated");
    let bytes = [cut, vector("real_system_status_type1")].concat();
    let (frames, reasons) = all(&bytes);
    assert_eq!((frames.len(), reasons[0]), (1, "end_marker"));
    assert_eq!(frames[0].0.serial, 46);
}

#[test]
fn the_answer_to_the_example_of_a_real_fire_is_this_to_the_byte() {
    let fire = vector("real_fire_area_a_corridor");
    let (frames, _) = all(&fire);
    // 2026-03-01T08:00:00 in Beijing; sums by hand: 0x4f with 3, 0x52 with 6.
    let now = super::Stamp([0, 0, 8, 1, 3, 26]);
    let head = &frames[0].0;
    let expected = hex("4040 0000 0101 00000801031a 060504030201 000000000000 0000 03 40 2323");
    assert_eq!(reply(head, command::CONFIRM, now).as_ref(), expected);
    let expected = hex("4040 0000 0101 00000801031a 060504030201 000000000000 0000 06 43 2323");
    assert_eq!(reply(head, command::DENY, now).as_ref(), expected);
}

#[test]
fn an_address_is_twelve_digits_from_its_last_byte_to_its_first() {
    let address = Address([0x06, 0x05, 0x04, 0x03, 0x02, 0x01]);
    assert_eq!(address.to_string(), "010203040506");
    assert_eq!(Address::parse("010203040506"), Some(address));
    assert_eq!(Address::parse("01020304050"), None);
    assert_eq!(Address::parse("+10203040506"), None);
}

proptest! {
    #[test]
    fn whatever_comes_is_taken_to_its_end_without_a_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..1_200),
    ) {
        // Markers are what a decoder stumbles over, so many bytes become one.
        for byte in &mut bytes {
            *byte = match *byte {
                0..100 => b'@',
                100..150 => b'#',
                150..200 => 0,
                other => other,
            };
        }
        let (frames, _) = all(&bytes);
        for (head, bytes) in frames {
            let data = &bytes[super::HEAD_BYTES..super::HEAD_BYTES + head.unit_bytes];
            if let Ok(unit) = unit::cut(data) {
                prop_assert!(unit.objects().count() <= 255);
            }
        }
    }

    #[test]
    fn a_whole_frame_is_found_behind_any_noise(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [noise, vector("doc_nb_f9164_status_two_objects")].concat();
        let (frames, _) = all(&bytes);
        prop_assert_eq!(frames.last().map(|(head, _)| head.serial), Some(3));
    }
}
