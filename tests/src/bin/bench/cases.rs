//! How fast cases are listed, searched and stepped when very many are open.

use crate::{city, machine};
use serde_json::{Value, json};
use std::time::Duration;
use tests::http::Api;
use tests::hub::{Hub, secret};
use tests::mqtt::{Client, Identity, Version};
use tests::time::now_ms;
use tokio::time::Instant;

/// Children of one gateway, which report in one message.
const CHILDREN: usize = 500;

/// Requests of each kind that are measured.
const ROUNDS: usize = 200;

/// How long the last case may take to open.
const OPENING: Duration = Duration::from_secs(1_800);

/// Opens the cases, and prints how long the answers take.
pub(crate) fn run(cases: usize) {
    let place = city::place();
    let hub = place.start();
    println!("{}", machine::describe());
    let gateways = cases.div_ceil(CHILDREN);
    register(&hub, gateways);
    hub.rule(
        "over",
        &json!({"title": "overpressure", "kind": "threshold", "select": {"kind": "gas_pressure"},
                "metric": "pressure_kpa", "above": 400.0, "severity": "major", "category": "0403"}),
    );
    let started = Instant::now();
    for gateway in 0..gateways {
        report(&hub, gateway);
    }
    let api = hub.api();
    let total = loop {
        let total = api.get("/api/v1/cases?limit=1")["counts"]["total"].as_u64();
        let total = total.expect("cases are counted");
        if total as usize >= gateways * CHILDREN {
            break total;
        }
        assert!(started.elapsed() < OPENING, "{total} cases are open");
    };
    println!(
        "{total} cases open after {:.1} s",
        started.elapsed().as_secs_f64()
    );
    println!("memory: {:.0} MB", machine::memory_mb(hub.pid()).0);
    for (name, query) in [
        ("list, 100 rows", "limit=100"),
        ("list, the last page", "limit=100&cursor=c101"),
        (
            "by severity and state",
            "severity=major&state=reported&limit=100",
        ),
        (
            "by category and district",
            "category=04&district=350200&limit=100",
        ),
        ("by device", "device=gas-0-7&limit=100"),
        ("by grid, nothing found", "grid=350203&limit=100"),
        ("by severity, nothing found", "severity=critical&limit=100"),
        ("by unit, nothing found", "unit=nobody&limit=100"),
        ("by category, nothing found", "category=99&limit=100"),
        ("by district, nothing found", "district=350299&limit=100"),
        ("by street, nothing found", "street=350299001&limit=100"),
        (
            "opened before, nothing found",
            "to=2020-01-01T00:00:00Z&limit=100",
        ),
        ("overdue, nothing found", "overdue=true&limit=100"),
        ("by words, nothing found", "q=nowhere&limit=100"),
    ] {
        measure(name, |_| drop(api.get(&format!("/api/v1/cases?{query}"))));
    }
    measure("one case", |round| {
        drop(api.get(&format!("/api/v1/cases/c{}", round + 1)));
    });
    measure("a step", |round| step(&api, round + 1));
}

fn register(hub: &Hub, gateways: usize) {
    for gateway in 0..gateways {
        let id = format!("gw-{gateway}");
        let mut devices = vec![json!({"id": id, "kind": "gateway", "secret": secret(&id)})];
        devices.extend((0..CHILDREN).map(|child| {
            json!({"id": format!("gas-{gateway}-{child}"), "kind": "gas_pressure", "parent": id,
                   "cadence_s": 86_400})
        }));
        city::put(hub, &devices);
    }
}

fn report(hub: &Hub, gateway: usize) {
    let identity = Identity::device(&format!("gw-{gateway}"));
    let mut client = Client::connect(hub.mqtt(), Version::V3, &identity);
    let ts = now_ms();
    let children = (0..CHILDREN).map(|child| {
        let values = json!([{"ts": ts, "values": {"pressure_kpa": 450}}]);
        (format!("gas-{gateway}-{child}"), values)
    });
    let message = Value::Object(children.collect()).to_string();
    client.publish("v1/gateway/telemetry", message.as_bytes());
}

fn step(api: &Api, number: usize) {
    let path = format!("/api/v1/cases/c{number}/steps");
    let reply = api.post(&path, &json!({"step": "accept"}));
    assert_eq!(reply.status, 200, "{}", reply.text());
}

fn measure(name: &str, mut act: impl FnMut(usize)) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let started = Instant::now();
            act(round);
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{name}: p50 {:.1} ms, p99 {:.1} ms", at(0.5), at(0.99));
}
