//! The restore drill: backed up under load, killed, restored elsewhere, and nothing is missing.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use tests::audit;
use tests::fleet::{Fleet, Progress, overpressure};
use tests::http::Request;
use tests::hub::{Hub, Place, plain_config, words};
use tests::time::until;

/// A hub that seals often, so that backups meet seals and merges.
fn sealing() -> Place {
    Place::with_config(&format!("{}[store]\nseal_cells = 5000\n", plain_config()))
}

fn back_up(place: &Place, target: &Path) -> Output {
    let target = target.to_str().unwrap();
    place.run(&["backup", target, "--config", "hub.toml"])
}

fn restore(place: &Place, source: &Path) -> Output {
    let source = source.to_str().unwrap();
    place.run(&["restore", source, "--config", "hub.toml"])
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", words(output));
    words(output)
}

fn manifest(backup: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(backup.join("manifest.json")).unwrap()).unwrap()
}

/// The ledger that `verify` prints.
fn verified_ledger(place: &Place) -> Value {
    let output = place.run(&["verify", "--config", "hub.toml"]);
    let said = succeeds(&output);
    let json = said.split("; ledger ").nth(1).expect("a ledger").lines();
    serde_json::from_str(json.take(1).last().unwrap()).unwrap()
}

/// Reports until `progress` says stop, on a thread of the scope's.
fn load(fleet: &mut Fleet, hub: &Hub, enough: u64) {
    let progress = Arc::new(Progress::default());
    std::thread::scope(|scope| {
        let (addr, own) = (hub.mqtt(), Arc::clone(&progress));
        scope.spawn(move || fleet.report(addr, &own));
        progress.wait_for(enough);
        progress.stop();
    });
}

/// Demands that all that a fleet was acknowledged is there.
fn holds(hub: &Hub, fleet: &Fleet) {
    for sensor in &fleet.sensors {
        let points = hub.points(&sensor.id, "pressure_kpa");
        let stored: Vec<(i64, f64)> = points
            .iter()
            .map(|point| (point[0].as_i64().unwrap(), point[1].as_f64().unwrap()))
            .collect();
        for acked in &sensor.acked {
            assert!(stored.contains(acked), "{}: {acked:?} is lost", sensor.id);
        }
    }
}

#[test]
fn a_backup_under_load_restores_elsewhere_with_all_that_was_acknowledged_before_it() {
    let place = sealing();
    let hub = place.start();
    let mut fleet = Fleet::new(20, 20);
    fleet.register(&hub);
    hub.rule("gas_overpressure", &overpressure());
    load(&mut fleet, &hub, 12_000);
    let before = fleet.clone();
    let targets: Vec<PathBuf> = (0..3)
        .map(|number| place.path().join(format!("backup-{number}")))
        .collect();
    let progress = Arc::new(Progress::default());
    std::thread::scope(|scope| {
        let (addr, own) = (hub.mqtt(), Arc::clone(&progress));
        let load = &mut fleet;
        scope.spawn(move || load.report(addr, &own));
        for target in &targets {
            let acked = progress.acked();
            succeeds(&back_up(&place, target));
            // The load goes on all the time.
            progress.wait_for(acked + 500);
        }
        hub.kill();
    });

    for target in &targets {
        let made = manifest(target);
        let elsewhere = sealing();
        let said = succeeds(&restore(&elsewhere, target));
        assert!(said.contains("is restored"), "{said}");
        assert_eq!(verified_ledger(&elsewhere), made["cut"]["ledger"]);
        let hub = elsewhere.start();
        let api = hub.api();
        holds(&hub, &before);
        let ledger = audit::ledger(&api);
        assert_eq!(ledger.total.stored, made["cut"]["ledger"]["stored"]);
        let events = audit::events(&api);
        let last = made["cut"]["event"].as_u64().unwrap();
        assert!(events.len() as u64 >= last, "events up to the cut");
        audit::alarms_take_turns(&events);
        until("the restore is in the trail", || {
            told(&hub).contains(&"restore".to_owned())
        });
        let (status, log) = hub.stop();
        assert!(status.success(), "{log}");
        elsewhere.verify();
    }
    // The hub that was killed goes on as well, and knows who copied it.
    place.verify();
    let hub = place.start();
    fleet.check(&hub);
    until("the backups are in the trail", || {
        told(&hub)
            .iter()
            .filter(|action| *action == "backup")
            .count()
            == targets.len()
    });
}

fn told(hub: &Hub) -> Vec<String> {
    let page = hub.api().get("/api/v1/audit?limit=1000");
    let items = page["items"].as_array().expect("items").iter();
    items
        .map(|row| row["action"].as_str().expect("an action").to_owned())
        .collect()
}

#[test]
fn a_hub_that_does_not_run_is_backed_up_and_nobody_is_signed_in_by_it() {
    let place = Place::default();
    let added = place.run_with(
        &[
            "admin", "user", "add", "li", "--role", "admin", "--config", "hub.toml",
        ],
        "a long enough password\n",
    );
    assert!(added.status.success(), "{}", words(&added));
    let hub = place.start();
    let body = json!({"user": "li", "password": "a long enough password"}).to_string();
    let sign_in = Request {
        method: "POST",
        path: "/api/v1/session",
        headers: &[
            ("content-type", "application/json"),
            ("x-requested-by", "console"),
        ],
        body: body.as_bytes(),
    };
    let reply = sign_in.send(hub.addr("http")).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let cookie = reply.header("set-cookie").unwrap().split(';').next();
    let cookie = cookie.unwrap().to_owned();
    let who = |hub: &Hub| {
        let request = Request {
            method: "GET",
            path: "/api/v1/session",
            headers: &[("cookie", &cookie)],
            body: b"",
        };
        request.send(hub.addr("http")).unwrap().status
    };
    assert_eq!(who(&hub), 200);
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    assert!(place.data().join("sessions.json").exists());

    let target = place.path().join("backup");
    succeeds(&back_up(&place, &target));
    let names = manifest(&target)["files"].clone();
    let names: Vec<&String> = names.as_object().unwrap().keys().collect();
    assert!(
        !names.iter().any(|name| name.contains("session")),
        "{names:?}"
    );
    assert!(
        names.iter().any(|name| *name == "config/hub.toml"),
        "{names:?}"
    );
    let elsewhere = Place::default();
    succeeds(&restore(&elsewhere, &target));
    let hub = elsewhere.start();
    assert_eq!(who(&hub), 401);
    // The user is there all the same.
    assert_eq!(sign_in.send(hub.addr("http")).unwrap().status, 200);
}

#[test]
fn what_cannot_be_backed_up_or_restored_is_refused_and_named() {
    let place = Place::default();
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    let target = place.path().join("backup");
    succeeds(&back_up(&place, &target));
    let refused = |output: Output, code: i32, word: &str| {
        let said = words(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(word), "{word}: {said}");
    };
    refused(back_up(&place, &target), 2, "is there already");
    refused(restore(&place, &target), 2, "is not empty");
    refused(restore(&place, &place.data()), 2, "is not empty");
    let elsewhere = Place::default();
    refused(
        back_up(&elsewhere, &elsewhere.path().join("b")),
        2,
        "has no journal",
    );
    refused(restore(&elsewhere, &place.data()), 2, "is no backup");
    let path = target.join("data/main.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    refused(
        restore(&elsewhere, &target),
        1,
        "data/main.db is not as it was written",
    );
    let check = ["restore", target.to_str().unwrap(), "--check"];
    refused(elsewhere.run(&check), 1, "data/main.db");
    assert!(!elsewhere.data().exists());
}
