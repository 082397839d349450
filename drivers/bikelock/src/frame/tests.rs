//! Lines against the conformance vectors, and cut where the network pleases.

use super::{Found, Line, find, read, reply};
use crate::readings::{Fix, Place, line_time};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A copy of the conformance vectors.
const VECTORS: &str = include_str!("../../testdata/vectors.jsonl");

fn hex(text: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(byte).collect()
}

fn input(vector: &Value) -> Vec<u8> {
    match vector["input_hex"].as_str() {
        Some(digits) => hex(digits),
        None => vector["input_text"].as_str().unwrap().as_bytes().to_vec(),
    }
}

fn all(mut received: &[u8]) -> (Vec<Line<'_>>, Vec<&'static str>) {
    let (mut lines, mut reasons) = (Vec::new(), Vec::new());
    while let Some(found) = find(received) {
        let taken = match found {
            Found::Line(bytes) => {
                match read(&received[..bytes]) {
                    Ok(line) => lines.push(line),
                    Err(why) => reasons.push(why.0),
                }
                bytes
            }
            Found::Blank(bytes) => bytes,
            Found::Bad { bytes, reason } => {
                reasons.push(reason);
                bytes
            }
        };
        assert!(taken > 0);
        received = &received[taken..];
    }
    (lines, reasons)
}

/// Five digits after the point, as the vectors have them.
fn rounded(degrees: f64) -> f64 {
    (degrees * 1e5).round() / 1e5
}

fn as_the_vectors_say(line: &Line<'_>) -> Value {
    let number = |index: usize| {
        line.fields
            .get(index)
            .and_then(|text| text.parse::<f64>().ok())
    };
    let whole = |index: usize| {
        line.fields
            .get(index)
            .and_then(|text| text.parse::<u64>().ok())
    };
    let header = format!("{:?}", line.family);
    let headers = [("Lock", "CMDR"), ("Scooter", "SCOR"), ("Bike", "HBCR")];
    let header = headers
        .iter()
        .find(|(family, _)| *family == header)
        .unwrap()
        .1;
    // The vectors write the bytes of the answer as Python does.
    let acknowledged = ["L0", "L1", "W0", "E1"].contains(&line.command).then(|| {
        let bytes = reply(line, false);
        format!(
            "\\xff\\xff{}",
            String::from_utf8_lossy(&bytes[2..]).replace('\n', "\\n")
        )
    });
    let mut said = json!({
        "header": header, "vendor": line.vendor, "imei": line.imei, "cmd": line.command,
        "time": line.time.and_then(line_time), "fields": line.fields,
        "reply_traccar": acknowledged,
    });
    match line.command {
        "Q0" => {
            said["voltage"] = json!(number(0).map(|hundredths| hundredths / 100.0));
            said["battery_percent"] = json!(whole(1));
            said["signal"] = json!(whole(2));
        }
        "H0" => {
            said["flag_locked"] = json!(whole(0));
            said["voltage"] = json!(number(1).map(|hundredths| hundredths / 100.0));
            said["signal"] = json!(whole(2));
            said["battery_percent"] = json!(whole(3));
        }
        "L1" => {
            said["user_id"] = json!(line.fields[0]);
            said["unlocked_at"] = json!(whole(1));
            said["riding_minutes"] = json!(whole(2));
        }
        "D0" => {
            let fix = Fix::read(&line.fields).unwrap();
            said["tracking_report"] = json!(fix.tracking);
            said["fix"] = json!(fix.place != Place::Unknown);
            if let Place::At { lon, lat } = fix.place {
                said["lon"] = json!(rounded(lon));
                said["lat"] = json!(rounded(lat));
            }
            said["utc"] = json!(fix.at.map(|at| at.to_string().replace(".000Z", "Z")));
            said["satellites"] = json!(whole(7));
            said["hdop"] = json!(fix.hdop);
            said["altitude_m"] = json!(fix.altitude_m);
        }
        _ => {}
    }
    said
}

#[test]
fn every_vector_decodes_or_is_refused_as_it_says() {
    let vectors: Vec<Value> = VECTORS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(vectors.len(), 10);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let bytes = input(&vector);
        let (lines, reasons) = all(&bytes);
        let expected = &vector["expect"];
        if expected["direction"] == "server_to_lock" {
            let asked = b"*CMDR,OM,863725031194523,161201150000,L1,1,2,3#";
            let answer = reply(&read(asked).unwrap(), true);
            assert_eq!(answer.as_ref(), bytes, "{name}");
            let said: String = answer.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(
                said.starts_with(expected["bytes_hex"].as_str().unwrap()),
                "{name}"
            );
        } else if let Some(frames) = expected["frames"].as_u64() {
            assert_eq!(lines.len() as u64, frames, "{name}");
            let commands: Vec<_> = lines.iter().map(|line| line.command).collect();
            assert_eq!(json!(commands), expected["cmds"], "{name}");
        } else if vector["expect_error"] == "position_range" {
            let fix = Fix::read(&lines[0].fields).unwrap();
            assert_eq!(fix.place, Place::Wrong, "{name}");
        } else if let Some(reason) = vector["expect_error"].as_str() {
            assert_eq!((lines.len(), reasons[0]), (0, reason), "{name}");
        } else {
            let said = as_the_vectors_say(&lines[0]);
            for (member, expected) in expected.as_object().unwrap() {
                // Whether a scooter is locked is not known (the vendor's table is not public).
                if member == "locked" {
                    assert!(expected.is_null(), "{name}");
                    continue;
                }
                assert_eq!(&said[member], expected, "{name}.{member}");
            }
        }
    }
}

#[test]
fn noise_cut_lines_and_ends_of_lines_stand_around_good_ones() {
    let bytes = b"noise\xff\xff*SCOR,OM,123456789123456,Q0,412,80,28#\r\n*SCOR,OM,1234*SCOR,OM,\
        123456789123456,Q0,412,80,28#";
    let (lines, reasons) = all(bytes);
    assert_eq!((lines.len(), reasons), (2, vec!["noise", "incomplete"]));
    let endless = [b"*".to_vec(), vec![b'1'; super::LINE_BYTES_MAX]].concat();
    assert_eq!(
        find(&endless),
        Some(Found::Bad {
            bytes: 1,
            reason: "length"
        })
    );
}

proptest! {
    #[test]
    fn whatever_comes_is_taken_without_a_panic(text in "[*#,A-Z0-9.\\PC]{0,600}") {
        let (lines, _) = all(text.as_bytes());
        for line in lines {
            if let Some(Place::At { lat, .. }) = Fix::read(&line.fields).map(|fix| fix.place) {
                prop_assert!(lat.abs() <= 90.0);
            }
            prop_assert!(line.time.and_then(line_time).is_none_or(|at| at.millis() > 0));
        }
    }
}
