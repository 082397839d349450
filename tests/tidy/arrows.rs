//! Compares the arrows between our crates with the list that the design allows.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Every crate of ours and the crates of ours that it may use.
const ALLOWED: &[(&str, &[&str])] = &[
    ("access", &["model", "sdk"]),
    ("codecs", &["model"]),
    ("dashboards", &[]),
    ("dial", &[]),
    ("door", &["tls"]),
    ("driver-bikelock", &["model", "sdk"]),
    ("driver-camera", &["model", "sdk"]),
    ("driver-coap", &["codecs", "model", "sdk"]),
    ("driver-gb26875", &["model", "sdk"]),
    ("driver-gb28181", &["model", "sdk"]),
    ("driver-gbfs", &["dial", "model", "sdk"]),
    ("driver-hj212", &["model", "sdk"]),
    (
        "driver-http",
        &["codecs", "door", "model", "nbiot", "sdk", "tls"],
    ),
    ("driver-jt808", &["model", "sdk"]),
    ("driver-modbus", &["model", "sdk"]),
    ("driver-mqtt", &["codecs", "model", "sdk", "tls"]),
    ("driver-pressure", &["codecs", "model", "sdk"]),
    (
        "hub",
        &[
            "access",
            "codecs",
            "dashboards",
            "dial",
            "door",
            "driver-bikelock",
            "driver-camera",
            "driver-coap",
            "driver-gb26875",
            "driver-gb28181",
            "driver-gbfs",
            "driver-hj212",
            "driver-http",
            "driver-jt808",
            "driver-modbus",
            "driver-mqtt",
            "driver-pressure",
            "mirror",
            "model",
            "rules",
            "sdk",
            "sim",
            "sinks",
            "store",
            "tls",
            "web",
        ],
    ),
    ("mirror", &["dial", "model", "store"]),
    ("model", &[]),
    ("nbiot", &["codecs", "model"]),
    ("rules", &["model"]),
    ("sdk", &["model", "tls"]),
    ("sim", &[]),
    ("sinks", &["dial", "model", "sdk"]),
    ("store", &["model"]),
    ("tests", &["model", "sim"]),
    ("tls", &[]),
    (
        "web",
        &[
            "access",
            "dashboards",
            "model",
            "rules",
            "sdk",
            "store",
            "tls",
        ],
    ),
];

/// What only one crate of ours may use, because it is wrapped there.
const WRAPPED: &[(&str, &[&str])] = &[
    ("rumqttd", &["driver-mqtt", "tests"]),
    ("rumqttc", &["driver-mqtt", "sinks", "tests"]),
    ("rusqlite", &["store"]),
    ("tokio-modbus", &["driver-modbus"]),
    ("coap-lite", &["driver-coap"]),
    ("dimpl", &["driver-coap"]),
    ("parquet", &["store"]),
    ("influxdb2", &["mirror"]),
];

type Uses = BTreeMap<String, BTreeSet<String>>;

/// Reads which package of the workspace uses which package at all, ours or not.
fn uses() -> Uses {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(tests::hub::root())
        .output()
        .unwrap();
    assert!(output.status.success());
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = |package: &Value| -> BTreeSet<String> {
        let all = package["dependencies"].as_array().unwrap();
        // A crate may test itself with features of its own.
        all.iter()
            .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
            .filter(|name| package["name"] != name.as_str())
            .collect()
    };
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| (package["name"].as_str().unwrap().to_owned(), names(package)))
        .collect()
}

#[test]
fn our_crates_use_each_other_only_as_the_design_says() {
    let uses = uses();
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, used) in &uses {
        let Some(list) = allowed.get(name.as_str()) else {
            wrong.push(format!("{name} is not in the list"));
            continue;
        };
        for other in used.iter().filter(|other| uses.contains_key(*other)) {
            if !list.contains(&other.as_str()) {
                wrong.push(format!("{name} -> {other} is not allowed"));
            }
        }
    }
    for (name, _) in ALLOWED {
        if !uses.contains_key(*name) {
            wrong.push(format!("{name} is in the list but not in the workspace"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn what_is_wrapped_in_one_crate_is_used_by_no_other() {
    let mut wrong = Vec::new();
    for (name, used) in uses() {
        for (wrapped, wrappers) in WRAPPED {
            if used.contains(*wrapped) && !wrappers.contains(&name.as_str()) {
                wrong.push(format!("{name} -> {wrapped}: only {wrappers:?} may"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
