//! Replays the public vectors of every payload format (`testdata/*.jsonl`).

use crate::profile::{Plan, Profile, Uplinks};
use crate::senml::{self, Held};
use crate::{Book, Decoded, Uplink, plain, thingsboard};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Catalogue, DeviceKey, Observation, Timestamp};
use serde_json::{Map, Value, json};

/// One vector.
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) input: Vec<u8>,
    pub(crate) expect: Value,
    pub(crate) error: Option<String>,
}

/// Reads a file of vectors, and checks how many there are, so that none is lost unseen.
pub(crate) fn vectors(text: &str, count: usize) -> Vec<Vector> {
    let read = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let input = match (row["input_text"].as_str(), row["input_hex"].as_str()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, hex) => bytes(hex.unwrap()),
        };
        Vector {
            name: row["name"].as_str().unwrap().to_owned(),
            input,
            expect: row["expect"].clone(),
            error: row["expect_error"].as_str().map(str::to_owned),
        }
    };
    let all: Vec<_> = text.lines().map(read).collect();
    assert_eq!(all.len(), count);
    all
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(byte).collect()
}

fn plan(profile: Value) -> Plan {
    let profile: Profile = serde_json::from_value(profile).unwrap();
    Plan::of(&Catalogue::built_in(), &profile).unwrap()
}

#[test]
fn every_plain_json_vector_is_read_as_it_says() {
    let (catalogue, plan) = (Catalogue::built_in(), plan(json!({"codec": "json"})));
    for vector in vectors(include_str!("../testdata/mqtt_plain.jsonl"), 5) {
        let name = &vector.name;
        let tree = crate::json::parse(&vector.input, |bytes| {
            serde_json::from_slice::<Value>(bytes)
        });
        if let Some(error) = vector.error {
            assert_eq!(error, "utf8_or_json", "{name}");
            assert_eq!(tree.unwrap_err().reason, "invalid_utf8", "{name}");
            continue;
        }
        let tree = tree.unwrap();
        let record = plain::read(&catalogue, &plan, &tree);
        let numbers: Map<String, Value> = record
            .leaves
            .iter()
            .filter_map(|(name, found)| {
                let number = crate::mapped::number(found, false).ok()?;
                Some((name.clone(), json!(number)))
            })
            .collect();
        assert_eq!(Value::Object(numbers), vector.expect["values"], "{name}");
        if let Some(expected) = vector.expect["time_ms"].as_i64() {
            let time = record.time.unwrap().unwrap().unwrap();
            assert_eq!(time.millis(), expected, "{name}");
        }
    }
}

/// Compares within a microsecond, for the resolved forms were computed with other floats.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

#[test]
fn every_senml_vector_is_resolved_as_it_says() {
    for vector in vectors(include_str!("../testdata/senml.jsonl"), 11) {
        let name = &vector.name;
        let resolved = senml::resolve(&vector.input);
        if let Some(error) = vector.error {
            assert_eq!(resolved.unwrap_err().reason, error, "{name}");
            continue;
        }
        let resolved = resolved.unwrap();
        let expected = vector.expect["resolved"].as_array().unwrap();
        assert_eq!(resolved.len(), expected.len(), "{name}");
        for (found, expected) in resolved.iter().zip(expected) {
            assert_eq!(expected["n"], json!(found.name), "{name}");
            assert_eq!(expected["u"].as_str(), found.unit.as_deref(), "{name}");
            let (key, relative) = if expected["t"].is_null() {
                ("t_rel", true)
            } else {
                ("t", false)
            };
            assert_eq!(found.is_relative, relative, "{name}");
            let time = expected[key].as_f64().unwrap();
            assert!(same(found.seconds, time), "{name}: {}", found.seconds);
            let sum = (found.sum.unwrap_or(0.0), expected["s"].as_f64());
            assert!(same(sum.0, sum.1.unwrap_or(0.0)), "{name}");
            match found.value.as_ref().unwrap() {
                Held::Number(number) => {
                    assert!(same(*number, expected["v"].as_f64().unwrap()), "{name}");
                }
                Held::Flag(flag) => assert_eq!(expected["vb"], json!(flag), "{name}"),
                Held::Text(text) => {
                    let text = json!(text);
                    assert!(expected["vs"] == text || expected["vd"] == text, "{name}");
                }
                Held::Other => panic!("{name}"),
            }
        }
    }
}

/// A catalogue with the names of the vectors.
fn catalogue(names: &[&str]) -> Catalogue {
    let mut catalogue = Catalogue::built_in();
    let mut csv =
        "name,name_zh,name_en,unit,shape,min,max,rate_max_per_s,stuck_after_s,source\n".to_owned();
    for name in names {
        let range = if *name == "active" { "0,1" } else { "," };
        csv.push_str(&format!("{name},,,,number,{range},,,test\n"));
    }
    catalogue.extend(&csv).unwrap();
    catalogue
}

#[test]
fn every_thingsboard_vector_gives_its_numbers_and_counts_the_rest() {
    let catalogue = catalogue(&[
        "temperature",
        "humidity",
        "active",
        "k",
        "t",
        "meter_reading_delta",
    ]);
    // No metric is called so; a profile of `json` would give it one of our names.
    let text = include_str!("../testdata/thingsboard.jsonl");
    let text = text.replace("meterReadingDelta", "meter_reading_delta");
    for vector in vectors(&text, 6) {
        let name = &vector.name;
        let mut children = Vec::new();
        let decoded = if vector.name.contains("gateway") {
            let mut resolve = |child: &str| {
                children.push(json!(child));
                let key = u32::try_from(children.len()).ok().map(DeviceKey);
                key.map(|key| (key, None))
            };
            let at = (&catalogue, Timestamp::from_millis(0));
            thingsboard::decode_gateway(&Book::default(), at, &vector.input, &mut resolve)
        } else {
            let mut out = Decoded::new(DeviceKey(0));
            thingsboard::decode_device_into(&catalogue, &vector.input, &mut out).map(|()| vec![out])
        };
        if let Some(error) = vector.error {
            assert_eq!(error, "shape", "{name}");
            assert_eq!(decoded.unwrap_err().reason, "wrong_shape", "{name}");
            continue;
        }
        let row = |device: Value, of: &Observation| {
            let metric = catalogue.def(of.metric).unwrap().name.clone();
            let at = of.observed_at.map(|at| at.millis());
            (device, at, metric, of.value.as_number().unwrap())
        };
        let decoded = decoded.unwrap();
        let found: Vec<_> = decoded
            .iter()
            .flat_map(|part| {
                let child = usize::try_from(part.device.0).unwrap().checked_sub(1);
                let device = child.map_or(Value::Null, |child| children[child].clone());
                part.observations
                    .iter()
                    .map(move |of| row(device.clone(), of))
            })
            .collect();
        let (mut expected, mut others) = (Vec::new(), 0);
        for point in vector.expect["points"].as_array().unwrap() {
            for (metric, value) in point["values"].as_object().unwrap() {
                let flag = value.as_bool().map(|flag| f64::from(u8::from(flag)));
                match value.as_f64().or(flag) {
                    Some(number) => {
                        let device = point["device"].clone();
                        expected.push((device, point["ts"].as_i64(), metric.clone(), number));
                    }
                    None => others += 1,
                }
            }
        }
        let sorted = |mut rows: Vec<(Value, Option<i64>, String, f64)>| {
            rows.sort_by_key(|row| (row.0.to_string(), row.1, row.2.clone()));
            rows
        };
        assert_eq!(sorted(found), sorted(expected), "{name}");
        let rejected: usize = decoded.iter().map(|part| part.rejected.len()).sum();
        assert_eq!(rejected, others, "{name}");
    }
}

fn uplinks(server: Uplinks, text: &str, count: usize) {
    for vector in vectors(text, count) {
        let name = &vector.name;
        let uplink = Uplink::read(server, &vector.input);
        if let Some(error) = vector.error {
            assert_eq!(uplink.unwrap_err().reason, error, "{name}");
            continue;
        }
        let uplink = uplink.unwrap();
        let data = STANDARD.decode(&uplink.frame.data).unwrap();
        let (application, device) = uplink.tts.clone().unwrap_or_default();
        let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
        let found = json!({
            "dedup_id": uplink.frame.dedup_id, "f_cnt": uplink.frame.f_cnt,
            "f_port": uplink.frame.f_port, "confirmed": uplink.frame.confirmed,
            "data_hex": hex, "payload_hex": hex,
            "object": uplink.object, "decoded": uplink.object,
            "time": uplink.frame.received_at, "received_at": uplink.frame.received_at,
            "device_id": device, "application_id": application,
        });
        for (member, expected) in vector.expect.as_object().unwrap() {
            match member.as_str() {
                "dev_eui" => {
                    let expected = expected.as_str().unwrap().to_ascii_lowercase();
                    assert_eq!(uplink.dev_eui, expected, "{name}");
                }
                "best_rssi" => assert_eq!(uplink.best_rssi_dbm, expected.as_f64(), "{name}"),
                // It holds the same EUI, which the gate compares.
                "topic" => assert!(
                    expected.as_str().unwrap().contains(&uplink.dev_eui),
                    "{name}"
                ),
                member => assert_eq!(&found[member], expected, "{name} {member}"),
            }
        }
    }
}

#[test]
fn every_chirpstack_vector_is_read_as_it_says() {
    let text = include_str!("../testdata/chirpstack_v4.jsonl");
    uplinks(Uplinks::ChirpstackV4, text, 3);
}

#[test]
fn every_things_stack_vector_is_read_as_it_says() {
    uplinks(Uplinks::TtsV3, include_str!("../testdata/tts_v3.jsonl"), 2);
}
