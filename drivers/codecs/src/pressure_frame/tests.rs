//! The decoder of raw pressure frames against the conformance vectors and against clocks that are wrong.

use super::{PressureFrame, bytes_of, decode, frame_len, parse};
use model::{Catalogue, DeviceKey, Timestamp};
use serde_json::{Value, json};

/// 2026-03-01T00:05:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_772_323_500_000);

/// A copy of the conformance vectors.
const VECTORS: &str = include_str!("../../testdata/meokon_nb.jsonl");

fn vectors() -> Vec<Value> {
    let lines = VECTORS.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn vector(name: &str) -> Vec<u8> {
    let all = vectors();
    let found = all.iter().find(|vector| vector["name"] == name).unwrap();
    bytes_of(found["input_hex"].as_str().unwrap().as_bytes()).into_owned()
}

/// What the vectors call the fields; pressures are in the unit of the terminal.
fn as_the_vectors_say(frame: &PressureFrame<'_>, len: usize) -> Value {
    let (unit, per_unit) = [("kPa", 1.0), ("MPa", 1000.0), ("bar", 100.0)][usize::from(frame.kind)];
    // Both sides are decimal fractions of a few digits; six of them are compared.
    let rounded = |number: f64| (number * 1e6).round() / 1e6;
    let value = |raw| rounded(frame.kpa(raw).unwrap() / per_unit);
    let alarms = ["low", "high", "battery", "sensor_fault", "hardware_fault"];
    let set = alarms.iter().enumerate();
    let set: Vec<_> = set
        .filter(|(bit, _)| frame.alarms >> bit & 1 == 1)
        .collect();
    let ts_iso = frame.at.to_string().replace(".000Z", "Z");
    let history = frame
        .records()
        .map(|(at, raw)| json!({"ts_utc": at.unwrap().millis() / 1000, "value": value(raw)}));
    json!({
        "cmd": frame.command, "length": len, "device_id": frame.device,
        "power": if frame.external_power { "external" } else { "battery" },
        "battery_pct": frame.battery_pct, "signal_dbm": frame.signal_dbm,
        "interval_s": frame.interval_s, "records": frame.records().count(),
        "device_type": frame.kind, "unit": unit,
        "alarms": set.iter().map(|(_, name)| **name).collect::<Vec<_>>(),
        "low": value(frame.low), "high": value(frame.high), "current": value(frame.current),
        "ts_utc": frame.at.millis() / 1000, "ts_iso": ts_iso,
        "history": history.collect::<Vec<_>>(), "crc_ok": true,
    })
}

#[test]
fn every_vector_decodes_or_is_refused_as_it_says() {
    let all = vectors();
    assert_eq!(all.len(), 4);
    for vector in all {
        let name = vector["name"].as_str().unwrap();
        let bytes = bytes_of(vector["input_hex"].as_str().unwrap().as_bytes()).into_owned();
        match vector["expect_error"].as_str() {
            Some(reason) => assert_eq!(parse(&bytes).unwrap_err().reason, reason, "{name}"),
            None => {
                let frame = parse(&bytes).unwrap();
                let said = as_the_vectors_say(&frame, bytes.len());
                for (member, expected) in vector["expect"].as_object().unwrap() {
                    assert_eq!(&said[member], expected, "{name}: {member}");
                }
            }
        }
    }
}

/// Observations as (metric, value, quality, seconds).
fn decoded(bytes: &[u8], now: Timestamp) -> Vec<(String, f64, String, Option<i64>)> {
    let catalogue = Catalogue::built_in();
    let out = decode(&catalogue, DeviceKey(1), &parse(bytes).unwrap(), now);
    assert_eq!(
        out.received as usize,
        out.observations.len() + out.rejected.len()
    );
    let row = |seen: &model::Observation| {
        (
            catalogue.def(seen.metric).unwrap().name.clone(),
            seen.value.as_number().unwrap(),
            seen.quality.to_string(),
            seen.observed_at.map(|at| at.millis() / 1000),
        )
    };
    out.observations.iter().map(row).collect()
}

#[test]
fn a_report_gives_its_records_at_their_times_its_flags_and_its_current_value() {
    let row = |metric: &str, value, at| (metric.to_owned(), value, "good".to_owned(), Some(at));
    // The last record is the current value, so it stands once.
    let expected = vec![
        row("pressure_kpa", 2.5, 1_772_322_600),
        row("pressure_kpa", 2.2, 1_772_322_900),
        row("pressure_kpa", 1.8, 1_772_323_200),
        row("pressure_low_alarm", 1.0, 1_772_323_200),
        row("pressure_high_alarm", 0.0, 1_772_323_200),
        row("battery_low", 0.0, 1_772_323_200),
        row("fault", 0.0, 1_772_323_200),
        row("battery_pct", 50.0, 1_772_323_200),
        row("signal_dbm", -70.0, 1_772_323_200),
    ];
    assert_eq!(decoded(&vector("built_gas_kpa_low_alarm"), NOW), expected);
}

#[test]
fn a_current_value_other_than_the_last_record_comes_after_it_and_is_never_lost() {
    // With a clock that is right: the 2019 of the example is moved to 2026-03-01T00:00:00Z.
    let mut bytes = vector("doc_pressure_high_alarm_10_records");
    bytes[31..35].copy_from_slice(&1_772_323_200u32.to_be_bytes());
    let end = bytes.len() - 4;
    let crc = super::crc(&bytes[..end]).to_be_bytes();
    bytes[end..end + 2].copy_from_slice(&crc);
    let rows = decoded(&bytes, NOW);
    let kpa: Vec<_> = rows.iter().filter(|row| row.0 == "pressure_kpa").collect();
    assert_eq!((kpa[0].1, kpa[0].3), (537.0, Some(1_772_323_200 - 540)));
    assert_eq!((kpa[9].1, kpa[9].3), (541.0, Some(1_772_323_200)));
    assert_eq!((kpa[10].1, kpa[10].3), (538.0, Some(1_772_323_201)));
}

#[test]
fn a_terminal_whose_clock_is_wrong_is_heard_at_its_arrival() {
    let rows = decoded(&vector("doc_pressure_high_alarm_10_records"), NOW);
    let current = rows.last().unwrap();
    assert_eq!(
        current,
        &(
            "pressure_kpa".to_owned(),
            538.0,
            "uncertain:clock".to_owned(),
            None
        )
    );
    let alarm = rows
        .iter()
        .find(|row| row.0 == "pressure_high_alarm")
        .unwrap();
    assert_eq!((alarm.1, alarm.3), (1.0, None));
}

#[test]
fn a_length_that_its_records_belie_is_noticed_before_the_frame_is_whole() {
    let bytes = vector("err_length_field");
    assert_eq!(frame_len(&bytes[..23]), None);
    let noticed = frame_len(&bytes[..24]).unwrap().unwrap_err();
    assert_eq!(noticed.reason, "length");
    assert_eq!(
        frame_len(b"\xa5\x5b").unwrap().unwrap_err().reason,
        "start_marker"
    );
}

#[test]
fn hexadecimal_text_is_read_as_its_bytes_and_anything_else_is_left_alone() {
    assert_eq!(bytes_of(b"a55A 00\n").as_ref(), [0xa5, 0x5a, 0x00]);
    assert_eq!(bytes_of(b"a55").as_ref(), b"a55");
    assert_eq!(bytes_of(b"\xa5\x5a12").as_ref(), b"\xa5\x5a12");
    assert_eq!(bytes_of(b"").as_ref(), b"");
}
