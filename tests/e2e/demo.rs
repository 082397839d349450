//! The demo city of `make run`: its files fit together, and a visitor sees what it promises.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use tests::hub::{Hub, Place, program, root, words};
use tests::time::ms;

/// 2026-11-22T10:00:00+08:00, a working hour.
const START_MS: i64 = 1_795_312_800_000;
const PACKS: &str = "bikes,dust,fire,gas,health,noise";

fn demo(file: &str) -> String {
    root()
        .join("deploy/demo")
        .join(file)
        .to_str()
        .unwrap()
        .to_owned()
}

/// Plays the demo for so many seconds into a file and judges it with the demo's rules.
fn judged(seconds: u32) -> Vec<Value> {
    let place = Place::default();
    let start = START_MS.to_string();
    let seconds = seconds.to_string();
    let played = place.run(&[
        "simulate",
        "--demo",
        "--print",
        "--start-ms",
        &start,
        "--duration-s",
        &seconds,
    ]);
    assert!(played.status.success(), "{}", words(&played));
    std::fs::write(place.path().join("demo.jsonl"), played.stdout).unwrap();
    let (devices, rules) = (demo("devices.csv"), demo("rules.d"));
    let config = demo("hub.toml");
    let output = place.run(&[
        "backtest",
        "--config",
        &config,
        "--input",
        "demo.jsonl",
        "--devices",
        &devices,
        "--packs",
        PACKS,
        "--rules",
        &rules,
    ]);
    assert!(output.status.success(), "{}", words(&output));
    let rows = String::from_utf8(output.stdout).unwrap();
    let rows = rows.lines().map(|row| serde_json::from_str(row).unwrap());
    rows.filter(|row: &Value| !row["rule"].is_null()).collect()
}

/// Tells how many seconds after the start something was.
fn after_s(time: &Value) -> i64 {
    (ms(time) - START_MS) / 1000
}

fn announced(rows: &[Value]) -> impl Iterator<Item = &Value> {
    rows.iter().filter(|row| row["announced"] == true)
}

#[test]
fn the_files_of_the_demo_city_are_in_order() {
    let output = Place::default().run(&["check", "--config", &demo("hub.toml")]);
    assert!(output.status.success(), "{}", words(&output));
    let said = words(&output);
    assert!(said.contains("500 devices"), "{said}");
}

#[test]
fn within_five_minutes_a_visitor_sees_each_severity_a_lost_gateway_and_recoveries() {
    let rows = judged(600);
    let early = |row: &&Value| after_s(&row["raised_at"]) < 300;
    let severities: BTreeSet<&str> = announced(&rows)
        .filter(early)
        .map(|row| row["severity"].as_str().unwrap())
        .collect();
    assert_eq!(
        severities,
        BTreeSet::from(["critical", "major", "minor", "warning"])
    );
    let critical = rows
        .iter()
        .find(|row| row["severity"] == "critical")
        .unwrap();
    assert!(after_s(&critical["raised_at"]) <= 60, "{critical}");
    assert!(after_s(&critical["cleared_at"]) <= 180, "{critical}");
    let lost = rows
        .iter()
        .find(|row| row["rule"] == "health.gateway_silent")
        .unwrap();
    assert!(after_s(&lost["cleared_at"]) <= 300, "{lost}");
    let children: Vec<&Value> = rows
        .iter()
        .filter(|row| row["rule"] == "fire.silent")
        .collect();
    assert!((7..=8).contains(&children.len()), "{children:?}");
    for child in children {
        assert_eq!(
            (&child["announced"], &child["suppressed_by"]),
            (&json!(false), &lost["id"]),
            "{child}"
        );
    }
    // Three batteries, and five things that happen.
    assert_eq!(announced(&rows).count(), 8, "{rows:#?}");
}

#[test]
fn after_the_opening_alarms_come_as_seldom_as_an_officer_can_follow() {
    // The opening and two rounds of 25 minutes.
    let rows = judged(3600);
    let later = |row: &&Value| after_s(&row["raised_at"]) >= 600;
    let raised: Vec<String> = announced(&rows)
        .filter(later)
        .map(|row| {
            format!(
                "{} {} {}",
                after_s(&row["raised_at"]),
                row["rule"],
                row["device"]
            )
        })
        .collect();
    // Two in ten minutes are ten in fifty; a fire has some more.
    assert!((8..=13).contains(&raised.len()), "{raised:#?}");
    let open = rows.iter().filter(|row| row["cleared_at"].is_null());
    assert_eq!(open.count(), 3, "the batteries alone stay");
    let mut by_rule: BTreeMap<&str, u32> = BTreeMap::new();
    for row in announced(&rows) {
        *by_rule.entry(row["rule"].as_str().unwrap()).or_default() += 1;
    }
    assert_eq!(by_rule.get("fire.confirmed"), Some(&1), "{by_rule:?}");
}

/// The drivers of the demo, and what each stores in fifteen seconds at the least.
const DRIVERS: [(&str, u64); 13] = [
    ("mqtt", 100),
    ("ingest", 100),
    ("hj212", 60),
    ("gb26875", 40),
    ("pressure", 5),
    ("jt808", 30),
    ("bikelock", 50),
    ("coap", 4),
    ("gb28181", 6),
    ("rtsp", 0),
    ("gbfs", 0),
    ("dtu", 2),
    ("modbus", 0),
];

/// Takes free ports instead of the demo's.
fn with_free_ports(text: &str) -> String {
    let free = |line: &str| {
        let fixed = line.split_once("127.0.0.1:");
        let places = ["listen", "connect", "url"];
        match fixed.filter(|_| places.iter().any(|place| line.starts_with(place))) {
            Some((before, _)) if line.contains("\"tcp://") => {
                format!("{before}127.0.0.1:{}\"", free_port())
            }
            Some((before, _)) if line.contains("\"http://") => {
                format!("{before}127.0.0.1:{}/gbfs.json\"", free_port())
            }
            Some((before, _)) => format!("{before}127.0.0.1:0\""),
            None => line.to_owned(),
        }
    };
    text.lines().map(free).collect::<Vec<_>>().join("\n")
}

/// Tells the simulator where each protocol is spoken, as `make run` does.
fn spoken(hub: &Hub, config: &str) -> Vec<String> {
    let listeners = hub.addresses().filter_map(|(name, addr)| {
        let (driver, what) = name.split_once('.')?;
        matches!(what, "listen" | "connect").then(|| format!("--address={driver}={addr}"))
    });
    let dialled = config.lines().filter_map(|line| {
        let modbus = line.strip_prefix("connect = \"tcp://");
        let feeds = line.strip_prefix("url = \"http://");
        let (name, addr) = match (modbus, feeds) {
            (Some(addr), _) => ("modbus", addr.trim_end_matches('"')),
            (None, addr) => ("gbfs", addr?.split('/').next()?),
        };
        Some(format!("--address={name}={addr}"))
    });
    listeners.chain(dialled).collect()
}

/// Finds a port at which the simulator can listen.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn the_fleet_of_the_demo_is_at_home_in_its_hub_by_every_protocol() {
    let text = std::fs::read_to_string(demo("hub.toml")).unwrap();
    let mut text = with_free_ports(&text).replace("../../data/demo", "data");
    for file in ["rules.d", "grid.geojson", "map/"] {
        text = text.replace(&format!("\"{file}"), &format!("\"{}", demo(file)));
    }
    let place = Place::with_config(&text);
    let cameras = format!("127.0.0.1:{}", free_port());
    let devices = std::fs::read_to_string(demo("devices.csv")).unwrap();
    let devices = devices.replace("127.0.0.1:8554", &cameras);
    std::fs::write(place.path().join("devices.csv"), devices).unwrap();
    let hub = place.start();
    let mut api = hub.api();
    api.token = "demo-admin-token".to_owned();
    let output = Command::new(program())
        .args(["simulate", "--demo", "--duration-s", "15"])
        .args(spoken(&hub, &text))
        .args(["--address", &format!("rtsp={cameras}")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", words(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["devices"], 500);
    for nothing in ["refused", "partly_stored", "resent", "connects_failed"] {
        assert_eq!(summary[nothing], 0, "{summary}");
    }
    let count = |name: &str| summary[name].as_u64().unwrap();
    // Of what registers hold, a little is overwritten before it is asked for, or never asked for.
    let unasked = count("skipped") + count("abandoned");
    assert!(unasked < 12, "{summary}");
    let told = count("acked") + count("unconfirmed");
    assert_eq!(count("planned"), told + unasked, "{summary}");
    let ledger = api.get("/api/v1/ledger");
    for (driver, least) in DRIVERS {
        let counts = &ledger["drivers"][driver];
        assert!(
            counts["stored"].as_u64() >= Some(least),
            "{driver}: {counts}"
        );
        // A server that is not there yet is counted; it is the simulator's own.
        if !["modbus", "rtsp", "gbfs"].contains(&driver) {
            let same = counts["stored"].as_u64().unwrap() + counts["duplicate"].as_u64().unwrap();
            assert_eq!(counts["received"], same, "{driver}: {counts}");
        }
    }
    let public = api.get("/api/v1/config/public");
    let layers = public["map"]["layers"].as_array().unwrap();
    assert!(layers.len() >= 5 && public["demo"] == true, "{public}");
    for layer in layers {
        let drawn = api.get(layer["url"].as_str().unwrap());
        assert!(!drawn["features"].as_array().unwrap().is_empty(), "{layer}");
    }
    // Every device has its unit grid, so that its cases find somebody.
    let devices = api.get("/api/v1/devices?limit=1000");
    let devices = devices["items"].as_array().or(devices.as_array()).unwrap();
    assert_eq!(devices.len(), 500);
    for device in devices {
        let grid = device["grid"].as_str().unwrap_or_default();
        assert!(grid.starts_with("35020300"), "{device}");
    }
}
