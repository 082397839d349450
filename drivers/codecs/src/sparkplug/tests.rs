//! Metrics by name and by alias, their datatypes, times, units and qualities.

use super::wire::{Metric, Properties, Property, Said, Scalar};
use super::{Birth, Payload, host_state, rebirth, wire};
use crate::profile::tests::{book, seen};
use crate::vectors::vectors;
use crate::{Decoded, Sender};
use model::{Catalogue, DeviceKey, Timestamp};
use prost::Message;
use serde_json::{Value, json};

const AT: u64 = 1_772_323_200_000;

fn metric(name: Option<&str>, alias: Option<u64>, value: Scalar) -> Metric {
    Metric {
        name: name.map(|name| name.as_bytes().to_vec()),
        alias,
        value: Some(value),
        ..Metric::default()
    }
}

fn typed(name: &str, datatype: u32, value: Scalar) -> Metric {
    Metric {
        datatype: Some(datatype),
        ..metric(Some(name), None, value)
    }
}

fn with(metric: Metric, properties: Vec<(&str, Said)>) -> Metric {
    let (keys, values) = properties
        .into_iter()
        .map(|(key, said)| (key.as_bytes().to_vec(), Property { value: Some(said) }))
        .unzip();
    let properties = Some(Properties { keys, values });
    Metric {
        properties,
        ..metric
    }
}

fn payload(metrics: Vec<Metric>) -> Payload {
    let message = wire::Payload {
        timestamp: Some(AT),
        metrics,
        seq: Some(1),
    };
    Payload::read(&message.encode_to_vec()).unwrap()
}

fn take(profile: Value, message: &Payload, birth: Option<&Birth>) -> (Decoded, bool) {
    let mut out = Decoded::new(DeviceKey(1));
    let all = book(profile).unwrap().take_sparkplug(
        &Catalogue::built_in(),
        Some("p"),
        (message, birth),
        &mut out,
    );
    assert_eq!(
        out.received as usize,
        out.observations.len() + out.rejected.len()
    );
    (out, all)
}

fn plain(message: &Payload, birth: Option<&Birth>) -> (Decoded, bool) {
    take(json!({"codec": "sparkplug_b"}), message, birth)
}

fn reasons(out: &Decoded) -> Vec<(Option<&str>, &str)> {
    out.rejected
        .iter()
        .map(|of| (of.metric.as_deref(), of.reason.as_ref()))
        .collect()
}

#[test]
fn an_alias_means_what_the_birth_said() {
    let birth = payload(vec![
        Metric {
            datatype: Some(3),
            ..metric(Some("temperature_c"), Some(4), Scalar::Int(20))
        },
        metric(Some("pressure_kpa"), Some(1), Scalar::Double(300.0)),
    ]);
    let birth = Birth::of(&birth);
    assert_eq!(birth.len(), 2);
    // −7 as its two's complement, and no datatype: the birth gave it.
    let data = payload(vec![
        metric(None, Some(4), Scalar::Int(0xffff_fff9)),
        metric(None, Some(1), Scalar::Double(64.75)),
    ]);
    let (out, all) = plain(&data, Some(&birth));
    assert!(all);
    let at = Some(i64::try_from(AT).unwrap());
    assert_eq!(
        seen(&out),
        [
            ("temperature_c".to_owned(), -7.0, at),
            ("pressure_kpa".to_owned(), 64.75, at),
        ]
    );
    let (out, all) = plain(&data, None);
    assert!(!all);
    let unknown = (None, "unknown_alias_request_rebirth");
    assert_eq!(reasons(&out), [unknown, unknown]);
}

#[test]
fn every_datatype_of_a_number_is_read_with_its_sign() {
    let cases = [
        (1, Scalar::Int(0xffff_ff80), -128.0),
        // Some send one byte only.
        (1, Scalar::Int(0x80), -128.0),
        (2, Scalar::Int(0xffff_8000), -32768.0),
        (3, Scalar::Int(0x8000_0000), -2_147_483_648.0),
        (4, Scalar::Long(u64::MAX), -1.0),
        (4, Scalar::Int(0xffff_ffff), -1.0),
        (5, Scalar::Int(255), 255.0),
        (7, Scalar::Int(0xffff_ffff), 4_294_967_295.0),
        (8, Scalar::Long(1 << 40), 1_099_511_627_776.0),
        (9, Scalar::Float(21.3), 21.3),
        (10, Scalar::Double(-0.5), -0.5),
        (12, Scalar::Text(b"21.5".to_vec()), 21.5),
        (13, Scalar::Long(AT), 1_772_323_200_000.0),
    ];
    for (datatype, value, expected) in cases {
        let told = format!("{datatype} {value:?}");
        let message = payload(vec![typed("mileage_km", datatype, value)]);
        let (out, _) = plain(&message, None);
        let numbers: Vec<f64> = seen(&out).into_iter().map(|row| row.1).collect();
        assert_eq!(numbers, [expected], "{told}");
    }
}

#[test]
fn what_holds_no_number_is_counted_and_what_measures_nothing_is_not() {
    let null = Metric {
        is_null: Some(true),
        value: None,
        ..typed("pm25_ugm3", 10, Scalar::Double(0.0))
    };
    let set = Metric {
        value: None,
        ..typed("Recipe", 16, Scalar::Int(0))
    };
    let message = payload(vec![
        typed("bdSeq", 8, Scalar::Long(0)),
        typed("Node Control/Rebirth", 11, Scalar::Boolean(false)),
        typed("Properties/Hardware Make", 12, Scalar::Text(b"x".to_vec())),
        typed("Label", 12, Scalar::Text(b"east".to_vec())),
        typed("fault", 11, Scalar::Boolean(true)),
        typed("pm10_ugm3", 11, Scalar::Boolean(true)),
        null,
        set,
        typed("Inputs/A", 10, Scalar::Double(1.0)),
        metric(Some("co_mgm3"), None, Scalar::Int(0xffff_ffff)),
        typed("so2_ugm3", 10, Scalar::Double(f64::NAN)),
    ]);
    assert_eq!(message.life(), Some(0));
    let (out, all) = plain(&message, None);
    assert!(all);
    assert_eq!(seen(&out).len(), 1);
    assert_eq!(
        reasons(&out),
        [
            (Some("pm10_ugm3"), "wrong_type"),
            (Some("pm25_ugm3"), "no_value"),
            (Some("Recipe"), "unsupported_datatype"),
            (Some("Inputs/A"), "unknown_metric"),
            (Some("co_mgm3"), "unknown_datatype"),
            (Some("so2_ugm3"), "not_finite"),
        ]
    );
}

#[test]
fn a_profile_names_metrics_and_holds_them_to_their_unit() {
    let profile = json!({"codec": "sparkplug_b", "values": {
        "pressure_kpa": {"name": "Inputs/P", "unit": "Pa", "scale": 0.001},
        "temperature_c": {"name": "Inputs/T", "unit": "Cel"},
        "position": {"lon": "GPS/Lon", "lat": "GPS/Lat"},
    }});
    let text = |unit: &str| Said::Text(unit.as_bytes().to_vec());
    let birth = Birth::of(&payload(vec![with(
        typed("Inputs/P", 10, Scalar::Double(0.0)),
        vec![("engUnit", text("Pa"))],
    )]));
    let message = payload(vec![
        typed("Inputs/P", 10, Scalar::Double(101_325.0)),
        with(
            typed("Inputs/T", 10, Scalar::Double(293.0)),
            vec![("engUnit", text("K"))],
        ),
        typed("GPS/Lon", 10, Scalar::Double(118.1)),
        typed("Inputs/Other", 10, Scalar::Double(1.0)),
        Metric {
            timestamp: Some(AT + 2),
            ..typed("GPS/Lat", 10, Scalar::Double(24.5))
        },
    ]);
    let (out, _) = take(profile, &message, Some(&birth));
    assert_eq!(out.observations.len(), 2);
    assert_eq!(out.observations[0].value.as_number(), Some(101.325));
    let model::Value::Position(position) = out.observations[1].value else {
        panic!("{out:?}");
    };
    assert_eq!((position.lon, position.lat), (118.1, 24.5));
    assert_eq!(reasons(&out), [(Some("temperature_c"), "wrong_unit")]);
}

#[test]
fn the_quality_of_the_node_is_kept() {
    for (code, told) in [
        (192, "good"),
        (216, "good"),
        (64, "uncertain:flag"),
        (0, "bad:flag"),
        (500, "bad:flag"),
    ] {
        let value = typed("pm10_ugm3", 10, Scalar::Double(60.0));
        let message = payload(vec![with(value, vec![("Quality", Said::Int(code))])]);
        let (out, _) = plain(&message, None);
        assert_eq!(out.observations[0].quality.to_string(), told, "{code}");
    }
}

#[test]
fn a_metrics_own_time_comes_before_the_payloads() {
    let own = Metric {
        timestamp: Some(AT - 1_000),
        ..typed("pm10_ugm3", 10, Scalar::Double(60.0))
    };
    let unset = Metric {
        timestamp: Some(0),
        ..typed("pm25_ugm3", 10, Scalar::Double(30.0))
    };
    let (out, _) = plain(&payload(vec![own, unset]), None);
    let at = i64::try_from(AT).unwrap();
    let times: Vec<_> = seen(&out).into_iter().map(|row| row.2).collect();
    assert_eq!(times, [Some(at - 1_000), Some(at)]);
}

#[test]
fn a_text_that_is_no_utf8_costs_no_value_beside_it() {
    let message = payload(vec![
        typed("Label", 12, Scalar::Text(vec![0xff, 0xfe])),
        typed("pm10_ugm3", 10, Scalar::Double(60.0)),
    ]);
    assert_eq!(plain(&message, None).0.observations.len(), 1);
}

#[test]
fn a_command_to_announce_everything_again_is_read_as_one() {
    let command = rebirth(Timestamp::from_millis(1_772_323_200_000));
    assert!(Payload::read(&command).unwrap().asks_for_rebirth());
}

#[test]
fn what_is_no_protobuf_is_refused_as_a_whole() {
    for (bytes, reason) in [
        (&b""[..], "empty_payload"),
        (&[0x12, 0x05, 0x0a][..], "invalid_protobuf"),
        (br#"{"pm10_ugm3":60}"#, "invalid_protobuf"),
    ] {
        assert_eq!(Payload::read(bytes).unwrap_err().reason, reason);
        let mut out = Decoded::new(DeviceKey(1));
        let sender = Sender {
            profile: Some("p"),
            arrival: crate::profile::tests::ARRIVAL,
        };
        let book = book(json!({"codec": "sparkplug_b"})).unwrap();
        let done = book.decode_into(&Catalogue::built_in(), sender, bytes, &mut out);
        assert!(done.is_err() && out.rejected.len() == 1);
    }
}

/// The name that the vectors give a datatype.
fn type_name(datatype: Option<u32>) -> &'static str {
    match datatype {
        Some(3) => "Int32",
        Some(8) => "UInt64",
        Some(10) => "Double",
        Some(11) => "Boolean",
        Some(12) => "String",
        other => panic!("{other:?}"),
    }
}

/// Writes a metric as the vectors do: 64-bit numbers as texts.
fn shown(metric: &Metric) -> Value {
    let value = match metric.value.clone().unwrap() {
        Scalar::Int(number) if metric.datatype == Some(3) => {
            json!(i32::from_le_bytes(number.to_le_bytes()))
        }
        Scalar::Int(number) => json!(number),
        Scalar::Long(number) => json!(number.to_string()),
        Scalar::Float(number) => json!(number),
        Scalar::Double(number) => json!(number),
        Scalar::Boolean(flag) => json!(flag),
        Scalar::Text(text) => json!(String::from_utf8(text).unwrap()),
    };
    let mut shown = json!({"value": value, "type": type_name(metric.datatype)});
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            shown[key] = value;
        }
    };
    put("name", metric.called().map(|name| json!(name)));
    put("alias", metric.alias.map(|alias| json!(alias.to_string())));
    put(
        "timestamp",
        metric.timestamp.map(|at| json!(at.to_string())),
    );
    shown
}

#[test]
fn every_sparkplug_vector_is_read_as_it_says() {
    for vector in vectors(include_str!("../../testdata/sparkplug_b.jsonl"), 5) {
        let name = &vector.name;
        if name == "host_state" {
            let since = vector.expect["timestamp"].as_i64().unwrap();
            let online = vector.expect["online"].as_bool().unwrap();
            let written = host_state(online, Timestamp::from_millis(since));
            assert_eq!(written.as_bytes(), vector.input, "{name}");
            continue;
        }
        let message = Payload::read(&vector.input).unwrap();
        if let Some(error) = vector.error {
            let (out, all) = plain(&message, None);
            assert!(!all, "{name}");
            assert!(out.rejected.iter().all(|of| of.reason == error), "{name}");
            continue;
        }
        let mut found = json!({"metrics": message.0.metrics.iter().map(shown).collect::<Vec<_>>()});
        if let Some(at) = message.0.timestamp {
            found["timestamp"] = json!(at.to_string());
        }
        if let Some(seq) = message.seq() {
            found["seq"] = json!(seq.to_string());
        }
        assert_eq!(found, vector.expect["payload"], "{name}");
    }
}
