//! What people would be told, from readings to announcements.

use super::{Played, Rehearsal, Step};
use crate::{DeviceView, Rule, Settings, parse_json};
use model::{AlarmState, Catalogue, Device, DeviceKey, Quality, Reading, Series, Timestamp, Value};
use serde_json::json;
use std::sync::Arc;

const CHILDREN: u32 = 20;

fn at(s: i64) -> Timestamp {
    Timestamp::from_millis(s * 1000)
}

/// A gateway with twenty children, each of which reports once a minute in its own second.
fn play(readings: &[(i64, u32)], until_s: i64) -> Vec<Played> {
    let catalogue = Arc::new(Catalogue::built_in());
    let metric = catalogue.find("temperature_c").expect("a metric");
    let mut devices = Vec::new();
    for number in 0..=CHILDREN {
        let json = if number == 0 {
            json!({"id": "gw", "kind": "gateway", "cadence_s": 60})
        } else {
            json!({"id": format!("s{number}"), "kind": "smoke", "parent": "gw", "cadence_s": 60})
        };
        let device: Device = serde_json::from_value(json).expect("a device");
        devices.push(DeviceView::new(DeviceKey(number), &device, None));
    }
    let spec = json!({"title": "离线", "kind": "silence", "select": {}, "factor": 3,
        "severity": "minor"});
    let rule = Rule {
        id: "quiet".to_owned(),
        revision: 1,
        spec: parse_json("quiet", &spec).expect("a rule"),
    };
    let mut rehearsal = Rehearsal::begin(Settings::default(), catalogue, at(0));
    for device in devices {
        rehearsal.change(at(0), Step::PutDevice(device));
    }
    rehearsal.change(at(0), Step::PutRule(Box::new(rule)));
    let reading = |(s, device): &(i64, u32)| Reading {
        series: Series {
            device: DeviceKey(*device),
            metric,
        },
        value: Value::number(20.0).expect("a number"),
        quality: Quality::GOOD,
        observed_at: at(*s),
        received_at: at(*s),
    };
    for reading in readings.iter().map(reading) {
        rehearsal.take(&reading);
    }
    rehearsal.finish(at(until_s))
}

/// What was announced, as `(seconds, device)`.
fn announced(played: &[Played]) -> Vec<(i64, String)> {
    let told = played.iter().filter_map(|alarm| {
        let at = alarm.row.announced_at?;
        Some((at.millis() / 1000, alarm.row.device.to_string()))
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    told
}

/// Every child reports once a minute until `until_s`.
fn minutes(until_s: i64) -> Vec<(i64, u32)> {
    let mut readings = Vec::new();
    for minute in 0..until_s / 60 {
        readings.extend((1..=CHILDREN).map(|child| (minute * 60 + i64::from(child), child)));
    }
    readings
}

#[test]
fn a_dead_gateway_is_one_alarm_and_whoever_stays_silent_returns_after_it() {
    let mut readings = minutes(600);
    // The last minute begins at 540 s, so that the gateway was heard last at 560 s. At 2000 s all
    // but s2 and s3 are back.
    for minute in 0..5 {
        let back = (1..=CHILDREN).filter(|child| ![2, 3].contains(child));
        readings.extend(back.map(|child| (2_000 + minute * 60, child)));
    }
    let played = play(&readings, 2_300);
    let expected = [
        (560 + 180, "gw".to_owned()),
        (2_000 + 180, "s2".to_owned()),
        (2_000 + 180, "s3".to_owned()),
    ];
    assert_eq!(announced(&played), expected);
    let in_state = |state| played.iter().filter(move |alarm| alarm.row.state == state);
    assert_eq!(played.len(), 21);
    // Suppressed to their end; and the gateway's, which nobody has acknowledged.
    assert_eq!(in_state(AlarmState::Normal).count(), 18);
    assert_eq!(in_state(AlarmState::ClearedUnacked).count(), 1);
    assert_eq!(in_state(AlarmState::ActiveUnacked).count(), 2);
}

#[test]
fn a_dead_child_of_a_living_gateway_is_announced_at_its_own_time() {
    let mut readings = minutes(1_200);
    readings.retain(|(s, child)| *child != 5 || *s < 300);
    let played = play(&readings, 1_200);
    // Last heard at 245 s.
    assert_eq!(announced(&played), [(245 + 180, "s5".to_owned())]);
}

/// Two devices of one site, of which either alarm makes an alarm of the site.
#[test]
fn whichever_device_is_heard_first_the_one_that_was_first_in_alarm_has_the_row() {
    let catalogue = Arc::new(Catalogue::built_in());
    let metric = catalogue.find("pressure_kpa").expect("a metric");
    let rule = |id: &str, json| Rule {
        id: id.to_owned(),
        revision: 1,
        spec: parse_json(id, &json).expect("a rule"),
    };
    let over = |device: &str| json!({"kind": "threshold", "devices": [device], "metric": "pressure_kpa", "above": 400});
    let mut rehearsal = Rehearsal::begin(Settings::default(), catalogue, at(0));
    for (number, id, kind) in [(1, "ca-x", "gas_pressure"), (2, "cb-x", "manhole")] {
        let json = json!({"id": id, "kind": kind, "site": "CAa"});
        let device: Device = serde_json::from_value(json).expect("a device");
        let grid = format!("grid-{number}");
        let view = DeviceView::new(DeviceKey(number), &device, Some(&grid));
        rehearsal.change(at(0), Step::PutDevice(view));
    }
    rehearsal.change(at(0), Step::PutRule(Box::new(rule("ca", over("ca-x")))));
    rehearsal.change(at(0), Step::PutRule(Box::new(rule("cb", over("cb-x")))));
    let any = json!({"kind": "any", "of": ["ca", "cb"], "scope": "site"});
    rehearsal.change(at(0), Step::PutRule(Box::new(rule("cany", any))));
    for (device, observed_s, value, received_s) in [
        (2, 110, 500.0, 160),
        (2, 120, 300.0, 161),
        (1, 100, 500.0, 162),
        (1, 130, 300.0, 163),
    ] {
        rehearsal.take(&Reading {
            series: Series {
                device: DeviceKey(device),
                metric,
            },
            value: Value::number(value).expect("a number"),
            quality: Quality::GOOD,
            observed_at: at(observed_s),
            received_at: at(received_s),
        });
    }
    let played = rehearsal.finish(at(300));
    let rows: Vec<_> = played.iter().map(|played| &played.row).collect();
    let of_site: Vec<_> = rows.iter().filter(|row| row.rule == "cany").collect();
    let [row] = of_site.as_slice() else {
        panic!("{of_site:?}");
    };
    let whose = (row.device.as_str(), row.kind.as_str(), row.grid.as_deref());
    assert_eq!(whose, ("ca-x", "gas_pressure", Some("grid-1")));
    assert_eq!((row.raised_at, row.cleared_at), (at(100), Some(at(130))));
}
