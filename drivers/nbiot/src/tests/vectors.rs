//! Replays the public vectors (`testdata/*.jsonl`), every member of each.

use super::{onenet, token};
use crate::{Content, Moment, Platform, Refused, Report};
use model::Timestamp;
use serde_json::{Map, Value, json};

/// Reads a file of vectors, and checks how many there are, so that none is lost unseen.
fn vectors(text: &str, count: usize) -> Vec<Value> {
    let all: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(all.len(), count);
    all
}

fn time(report: &Report) -> Value {
    match report.at {
        Moment::At(at) => json!(at),
        Moment::Unsaid | Moment::Wrong(_) => Value::Null,
    }
}

fn named(report: &Report, protocol: &str) -> Value {
    let mut names = report.names.iter();
    let found = names.find(|(of, _)| *of == protocol);
    found.map_or(Value::Null, |(_, name)| json!(name))
}

fn values(report: &Report) -> Value {
    match &report.content {
        Ok(Content::Values(values)) => values.clone(),
        other => panic!("{other:?}"),
    }
}

/// Says a report in the words of the vectors.
fn said(report: &Report, platform: &str) -> Map<String, Value> {
    let transparent = matches!(report.content, Ok(Content::Bytes(_)));
    let mut said = json!({
        "platform": platform,
        "message_type": report.origin.message_type,
        "device_id": named(report, platform),
        "product_id": report.origin.product,
        "tenant_id": report.origin.tenant,
        "imei": report.origin.imei,
        "service_id": report.origin.service,
        "event_type": report.origin.event_type,
        "time": time(report),
        "transparent": transparent,
        "http_reply": {"status": 200},
    });
    match &report.content {
        Ok(Content::Bytes(bytes)) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            said["payload_hex"] = json!(hex);
        }
        _ => said["values"] = values(report),
    }
    said.as_object().unwrap().clone()
}

#[track_caller]
fn compare(name: &str, found: &Map<String, Value>, expected: &Value) {
    for (member, expected) in expected.as_object().unwrap() {
        let found = &found[member];
        // Written 2020-12-03T07:58:40.277Z or 2020-04-01T18:25:05Z.
        if member == "time" {
            let read = |text: &Value| Timestamp::parse(text.as_str().unwrap()).unwrap();
            assert_eq!(read(found), read(expected), "{name}");
            continue;
        }
        assert_eq!(found, expected, "{name} {member}");
    }
}

#[test]
fn every_ctwing_vector_is_read_as_it_says() {
    for vector in vectors(include_str!("../../testdata/ctwing_push.jsonl"), 7) {
        let name = vector["name"].as_str().unwrap();
        let read = Platform::Ctwing.read(vector["input_text"].as_str().unwrap().as_bytes());
        match vector["expect_error"].as_str() {
            Some("json") => {
                let Err(Refused::Unreadable(why)) = read else {
                    panic!("{name}");
                };
                assert_eq!(why.reason, "invalid_json");
            }
            Some(error) => {
                assert_eq!(read.unwrap()[0].content.as_ref().unwrap_err().reason, error);
            }
            None => compare(name, &said(&read.unwrap()[0], "ctwing"), &vector["expect"]),
        }
    }
}

#[test]
fn every_oceanconnect_vector_is_read_as_it_says() {
    for vector in vectors(include_str!("../../testdata/oceanconnect_push.jsonl"), 4) {
        let name = vector["name"].as_str().unwrap();
        let body = vector["input_text"].as_str().unwrap().as_bytes();
        let reports = Platform::Oceanconnect.read(body).unwrap();
        assert_eq!(reports.len(), 1, "{name}");
        if let Some(error) = vector["expect_error"].as_str() {
            assert_eq!(error, "bad_time_use_receive_time");
            assert!(matches!(reports[0].at, Moment::Wrong(_)));
            assert_eq!(values(&reports[0]), json!({"x": 1}));
            continue;
        }
        compare(name, &said(&reports[0], "oceanconnect"), &vector["expect"]);
    }
}

/// Says a report of OneNET in the words of the vectors, beside what is expected.
fn point(report: &Report, expected: &Value) -> Map<String, Value> {
    let values = values(report);
    let (stream, value) = values.as_object().unwrap().iter().next().unwrap();
    let names: Vec<&str> = report.names.iter().map(|(_, name)| name.as_str()).collect();
    let is_named = |name: &Value| name.as_str().is_some_and(|name| names.contains(&name));
    let mut said = json!({
        "kind": "data", "online": null, "stream": stream, "value": value, "values": values,
        "imei": report.origin.imei, "product_id": report.origin.product, "time": time(report),
    });
    // A number in the vector and a text here.
    if let Some(number) = expected["device_id"].as_i64() {
        assert_eq!(named(report, "onenet"), json!(number.to_string()));
        said["device_id"] = json!(number);
    }
    if is_named(&expected["device_name"]) {
        said["device_name"] = expected["device_name"].clone();
    }
    said.as_object().unwrap().clone()
}

#[test]
fn every_onenet_vector_is_read_as_it_says() {
    for vector in vectors(include_str!("../../testdata/onenet_push.jsonl"), 6) {
        let name = vector["name"].as_str().unwrap();
        let input = vector["input_text"].as_str().unwrap();
        let expected = &vector["expect"];
        if let Some(asked) = input.strip_prefix("GET /push/onenet?") {
            let query = asked.strip_suffix(" HTTP/1.1").unwrap();
            let answer = onenet().validate(query);
            assert_eq!(json!(answer), expected["reply_body"], "{name}");
            continue;
        }
        assert_eq!(format!("{:?}", token()), "Token(***)");
        let reports = onenet().read(input.as_bytes()).unwrap();
        let messages = expected["messages"].as_array().unwrap();
        assert_eq!(reports.len(), messages.len(), "{name}");
        for (report, expected) in reports.iter().zip(messages) {
            compare(name, &point(report, expected), expected);
        }
    }
}
