//! Every open vector decodes as it says, whole and byte by byte.

use super::{find_in, find_in_until_stalled, frames};
use crate::{Checksum, Command, Found, Frame, Key, Profile, Segment, answer, text_of};
use model::Timestamp;
use serde_json::{Map, Value, json};

const VECTORS: &str = include_str!("../../testdata/vectors.jsonl");

/// Vectors of this protocol in the file.
const COUNT: usize = 33;

fn vectors() -> Vec<Value> {
    let lines = VECTORS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let all: Vec<Value> = lines.collect();
    assert_eq!(all.len(), COUNT);
    all
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

fn bytes(vector: &Value) -> Vec<u8> {
    match vector["input_text"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => unhex(vector["input_hex"].as_str().unwrap()),
    }
}

/// What was decoded, under the names of the vectors.
fn described(frame: &Frame, key: Option<&Key>) -> Value {
    let wire = text_of(&frame.segment);
    let sealed = Segment::parse(&wire).unwrap();
    let plain = key.map(|key| sealed.unseal(&wire, key).unwrap());
    let text = plain.as_deref().map_or(wire.clone(), text_of);
    let segment = Segment::parse(&text).unwrap();
    let checksum = match &plain {
        Some(plain) => Checksum::matching(plain, frame.crc_value().unwrap()),
        None => frame.checksum,
    };
    let variant = match checksum.unwrap() {
        Checksum::Hj212 => "hj212",
        Checksum::Modbus => "modbus",
        Checksum::ModbusSwapped => "modbus_swapped",
    };
    let (mut items, mut params) = (Map::new(), Map::new());
    for field in segment.fields() {
        match field.sub {
            Some(sub) => {
                items.entry(field.name).or_insert_with(|| json!({}))[sub] = json!(field.value);
            }
            None if field.name == "DataTime" => {}
            None => drop(params.insert(field.name.to_owned(), json!(field.value))),
        }
    }
    let command = Command::of(&segment);
    let reply = command
        .answer
        .and_then(|kind| answer(&segment, kind, &Profile::default()));
    json!({
        "len_field": frame.length, "len_actual": frame.segment.len(),
        "crc": std::str::from_utf8(&frame.crc).unwrap(), "crc_variant": variant,
        "crc_over": if sealed.is_sealed() && frame.checksum.is_none() { "plaintext" } else { "wire" },
        "qn": segment.qn, "st": segment.st, "cn": segment.cn, "pw": segment.pw, "mn": segment.mn,
        "flag": segment.flag, "version": segment.edition().map(crate::Edition::year),
        "need_ack": segment.wants_answer(), "split": segment.is_part(),
        "pnum": segment.pnum, "pno": segment.pno,
        "data_time": segment.data_time().map(Timestamp::millis),
        "data_time_raw": segment.param("DataTime"),
        "items": items, "params": params, "encrypted": sealed.is_sealed(),
        "reply": reply.map(|reply| String::from_utf8(reply.to_vec()).unwrap()),
    })
}

/// Compares every member that a vector has.
fn compare(name: &str, expected: &Value, frame: &Frame) {
    let key = expected["sm4_key_hex"]
        .as_str()
        .map(|key| Key::from_hex(key).unwrap());
    let got = described(frame, key.as_ref());
    for (member, value) in expected.as_object().unwrap() {
        let value = match member.as_str() {
            "sm4_key_hex" => continue,
            "data_time" if value.is_string() => {
                json!(Timestamp::parse(value.as_str().unwrap()).unwrap().millis())
            }
            _ => value.clone(),
        };
        assert_eq!(got[member], value, "{name}: {member}");
    }
}

#[test]
fn every_good_or_deviating_vector_decodes_and_is_answered_as_it_says() {
    let mut compared = 0;
    for vector in vectors()
        .iter()
        .filter(|vector| vector.get("expect").is_some())
    {
        let name = vector["name"].as_str().unwrap();
        let input = bytes(vector);
        let whole = frames(find_in(&[&input]));
        let [frame] = whole.as_slice() else {
            panic!("{name}: one frame: {whole:?}");
        };
        assert_eq!(
            vector["expect"].get("frames").unwrap_or(&json!(1)),
            &json!(1)
        );
        compare(
            name,
            vector["expect"].get("frame").unwrap_or(&vector["expect"]),
            frame,
        );
        let single: Vec<_> = input.chunks(1).collect();
        assert_eq!(frames(find_in(&single)), whole, "{name}: byte by byte");
        if let Some(chunks) = vector["chunks_hex"].as_array() {
            let chunks: Vec<_> = chunks.iter().map(|c| unhex(c.as_str().unwrap())).collect();
            let chunks: Vec<_> = chunks.iter().map(Vec::as_slice).collect();
            assert_eq!(frames(find_in(&chunks)), whole, "{name}: in its segments");
        }
        compared += 1;
    }
    assert_eq!(compared, 29);
}

#[test]
fn every_wrong_vector_is_refused_with_its_class_and_the_next_frame_is_taken() {
    let good = bytes(&vectors()[1]);
    let mut refused = 0;
    for vector in vectors()
        .iter()
        .filter(|vector| vector.get("expect_error").is_some())
    {
        let name = vector["name"].as_str().unwrap();
        let input = bytes(vector);
        let found = find_in_until_stalled(&input);
        let class = match found.as_slice() {
            // Nothing can be made of it; the connection drops it then.
            [] => "incomplete_until_timeout",
            [Found::Skipped { reason, .. }] => reason,
            more => panic!("{name}: {more:?}"),
        };
        assert_eq!(class, vector["expect_error"], "{name}");
        let followed = frames(find_in(&[&input, &good]));
        assert_eq!(followed.len(), 1, "{name}: the frame after it");
        refused += 1;
    }
    assert_eq!(refused, 4);
}
