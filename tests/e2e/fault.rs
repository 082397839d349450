//! A disk that is full or fails: no acknowledgement, exit 74, and a clean start afterwards.

use serde_json::json;
use std::path::PathBuf;
use std::process::Command;
use tests::audit;
use tests::fleet::overpressure;
use tests::http::Request;
use tests::hub::{Place, root, secret};
use tests::mqtt::{Client, Identity, Outcome, Version};
use tests::time::now_s_in_ms;

/// Readings that are acknowledged before the disk fails.
const BEFORE: i64 = 50;

/// A place whose disk fails on demand.
pub(crate) struct Frail {
    pub(crate) place: Place,
    control: PathBuf,
}

impl Frail {
    pub(crate) fn new() -> Self {
        let mut place = Place::default();
        let shim = place.path().join("fault.so");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&shim)
            .arg(root().join("tests/fault/fault.c"))
            .arg("-ldl")
            .output()
            .expect("a C compiler is installed (gcc)");
        assert!(compiled.status.success(), "{compiled:?}");
        let folder = place.path().canonicalize().unwrap();
        let control = folder.join("disk-fault");
        place.set("LD_PRELOAD", shim);
        place.set("FAULT_DIR", folder.join("data"));
        place.set("FAULT_CONTROL", control.clone());
        Self { place, control }
    }

    pub(crate) fn break_disk(&self, how: &str) {
        std::fs::write(&self.control, how).unwrap();
    }

    pub(crate) fn mend_disk(&self) {
        std::fs::remove_file(&self.control).unwrap();
    }
}

/// Tries to store one more reading; tells whether it was acknowledged.
type Attempt = fn(&tests::hub::Hub, &[u8]) -> bool;

fn over_mqtt(hub: &tests::hub::Hub, payload: &[u8]) -> bool {
    // A hub that had something to write by itself has ended already, and acknowledges nothing.
    let identity = Identity::device("gas-1");
    let Ok(mut device) = Client::try_connect(hub.mqtt(), Version::V5, &identity) else {
        return false;
    };
    match device.publish("devices/gas-1/telemetry", payload) {
        Outcome::Acked(_) => true,
        Outcome::Disconnected(_) | Outcome::Closed => false,
    }
}

fn over_http(hub: &tests::hub::Hub, payload: &[u8]) -> bool {
    let bearer = format!("Bearer {}", secret("gas-1"));
    let request = Request {
        method: "POST",
        path: "/devices/gas-1/telemetry",
        headers: &[("authorization", &bearer)],
        body: payload,
    };
    // A connection that breaks is no acknowledgement either.
    let reply = request.send(hub.addr("ingest.listen"));
    reply.is_ok_and(|reply| (200..300).contains(&reply.status))
}

fn story(how: &str, attempt: Attempt) {
    let frail = Frail::new();
    let place = &frail.place;
    let mut hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    hub.rule("gas_overpressure", &overpressure());
    let start = now_s_in_ms() - 100_000;
    let message = |index: i64| {
        let kpa = if index % 2 == 0 { 450 } else { 300 };
        json!({"ts": start + index, "values": {"pressure_kpa": kpa}})
    };
    for index in 0..BEFORE {
        hub.store("gas-1", &message(index));
    }
    let events = audit::events(&hub.api());

    frail.break_disk(how);
    let payload = message(BEFORE).to_string();
    assert!(
        !attempt(&hub, payload.as_bytes()),
        "{how}: acknowledged without a disk"
    );
    let status = hub.wait();
    assert_eq!(status.code(), Some(74), "{how}: {}", hub.log());
    drop(hub);

    // While the disk is broken no start succeeds, or at least nothing is acknowledged.
    match place.try_start() {
        Ok(hub) => assert!(
            !attempt(&hub, payload.as_bytes()),
            "{how}: acknowledged without a disk"
        ),
        Err((status, log)) => assert_eq!(status.code(), Some(74), "{how}: {log}"),
    }

    frail.mend_disk();
    place.verify();
    let hub = place.start();
    let times = |hub: &tests::hub::Hub| {
        let points = hub.points("gas-1", "pressure_kpa");
        points
            .iter()
            .map(|point| point[0].as_i64().unwrap() - start)
            .collect::<Vec<_>>()
    };
    let kept = times(&hub);
    let acked: Vec<_> = (0..BEFORE).collect();
    assert!(
        kept.starts_with(&acked),
        "{how}: acknowledged and lost: {kept:?}"
    );
    let again = audit::events(&hub.api());
    assert_eq!(
        again.get(..events.len()),
        Some(events.as_slice()),
        "{how}: events changed"
    );

    // The device sends again what was not acknowledged, and it is there once.
    hub.store("gas-1", &message(BEFORE));
    assert_eq!(times(&hub), (0..=BEFORE).collect::<Vec<_>>());
    audit::events(&hub.api());
    audit::ledger(&hub.api());
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    place.verify();
}

#[test]
fn a_full_disk_acknowledges_nothing_over_mqtt_and_recovers() {
    story("full", over_mqtt);
}

#[test]
fn a_full_disk_acknowledges_nothing_over_http_and_recovers() {
    story("full", over_http);
}

#[test]
fn a_failing_fsync_acknowledges_nothing_over_mqtt_and_recovers() {
    story("fsync", over_mqtt);
}

#[test]
fn a_failing_fsync_acknowledges_nothing_over_http_and_recovers() {
    story("fsync", over_http);
}

#[test]
fn a_failing_write_acknowledges_nothing_and_recovers() {
    story("write", over_mqtt);
}

#[test]
fn an_officer_is_told_nothing_either_when_the_disk_fails() {
    let frail = Frail::new();
    let mut hub = frail.place.start();
    let api = hub.api();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    frail.break_disk("fsync");
    let body = json!([{"id": "gas-2", "kind": "gas_pressure"}]).to_string();
    let bearer = format!("Bearer {}", api.token);
    let request = Request {
        method: "PUT",
        path: "/api/v1/devices",
        headers: &[
            ("authorization", &bearer),
            ("content-type", "application/json"),
        ],
        body: body.as_bytes(),
    };
    let stored = request.send(api.addr).is_ok_and(|reply| reply.status < 300);
    assert!(!stored, "said to be stored without a disk");
    assert_eq!(hub.wait().code(), Some(74), "{}", hub.log());
    drop(hub);
    frail.mend_disk();
    let hub = frail.place.start();
    assert_eq!(hub.api().get("/api/v1/devices/gas-1")["id"], "gas-1");
    frail.place.verify();
}
