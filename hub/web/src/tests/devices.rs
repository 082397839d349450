//! Putting, importing, finding and deleting devices.

use super::kit::{Hub, START_MS};
use crate::{Knock, STREAM_CLIENTS_MAX};
use model::{DeviceHealth, DeviceStatus, SilenceCause, Timestamp};
use sdk::{Action, SecretHash};
use serde_json::json;

const CSV: [(&str, &str); 1] = [("content-type", "text/csv; charset=utf-8")];

#[tokio::test]
async fn devices_are_put_as_json_and_shown_without_their_secrets() {
    let hub = Hub::start();
    let body = json!([
        {"id": "gw-31", "kind": "gateway"},
        {"id": "gas-1", "kind": "gas_pressure", "name": "花园路调压箱03", "site": "花园路调压站",
         "location": {"lon": 118.0894, "lat": 24.4798, "datum": "WGS84"}, "parent": "gw-31",
         "cadence_s": 60, "secret": "s3cret-long", "component_code": "3502030101350001",
         "tags": {"class": "medium"}, "identities": {"hj212_mn": "MN1"}, "enabled": true}
    ]);
    let answer = hub
        .ask("engineer", "put", "/api/v1/devices", &body.to_string())
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let put = answer.json();
    assert_eq!(put["created"], 2);
    assert_eq!(put["updated"], 0);
    assert_eq!(put["commit"], 77);
    let entry = hub.state.devices.find("gas-1").unwrap();
    let expected = SecretHash::of(hub.state.devices.salt(), "s3cret-long");
    assert_eq!(entry.secret, Some(expected));

    let shown = hub.get("/api/v1/devices/gas-1").await;
    assert!(!shown.text.contains("s3cret"));
    let shown = shown.json();
    assert_eq!(shown["name"], "花园路调压箱03");
    assert_eq!(shown["tags"]["class"], "medium");
    assert_eq!(shown["status"], "never_seen");
    assert_eq!(shown["last_seen"], json!(null));

    // The same row without a secret keeps the secret.
    let again = json!([{"id": "gas-1", "kind": "gas_pressure", "name": "新名"}]);
    let answer = hub
        .ask("admin", "put", "/api/v1/devices", &again.to_string())
        .await;
    assert_eq!(answer.json()["updated"], 1);
    assert_eq!(
        hub.state.devices.find("gas-1").unwrap().secret,
        Some(expected)
    );
    assert_eq!(
        hub.get("/api/v1/devices/gas-1").await.json()["name"],
        "新名"
    );
}

#[tokio::test]
async fn a_wrong_row_is_named_and_nothing_is_written() {
    let hub = Hub::start();
    let body = json!([
        {"id": "ok-1", "kind": "smoke"},
        {"id": "a/b", "kind": "smoke", "cadence_s": 0},
        {"kind": "smoke", "location": {"lon": 190.0, "lat": 24.0, "datum": "BD09"}},
        {"id": "x-1", "kind": "smoke", "colour": "red", "enabled": "yes"},
        "gas",
    ]);
    let answer = hub
        .ask("engineer", "put", "/api/v1/devices", &body.to_string())
        .await;
    assert!(
        answer
            .problem(422)
            .starts_with("nothing was written: 8 mistakes, the first in row 2")
    );
    let errors = answer.json()["errors"].clone();
    let places: Vec<(u64, &str)> = errors
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            (
                e["row"].as_u64().unwrap(),
                e["field"].as_str().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            (2, "id"),
            (2, "cadence_s"),
            (3, "id"),
            (3, "location.lon"),
            (3, "location.datum"),
            (4, "enabled"),
            (4, "colour"),
            (5, ""),
        ]
    );
    assert_eq!(hub.state.devices.len(), 0);
    assert!(hub.commands.lock().unwrap().is_empty());
    hub.ask("engineer", "put", "/api/v1/devices", "{\"id\":\"a\"}")
        .await
        .problem(400);
}

#[tokio::test]
async fn a_row_that_fits_neither_the_catalogue_nor_the_register_is_named() {
    let hub = Hub::start();
    hub.register(r#"{"id":"known","kind":"smoke","identities":{"hj212_mn":"MN9"}}"#);
    let body = json!([
        {"id": "p-1", "kind": "toaster"},
        {"id": "p-2", "kind": "smoke", "parent": "gone"},
        {"id": "p-3", "kind": "smoke", "parent": "p-3"},
        {"id": "p-4", "kind": "gateway", "parent": "p-5"},
        {"id": "p-5", "kind": "gateway", "parent": "p-4"},
        {"id": "p-6", "kind": "smoke", "identities": {"hj212_mn": "MN9"}},
        {"id": "p-1", "kind": "smoke"},
    ]);
    let answer = hub
        .ask("engineer", "put", "/api/v1/devices", &body.to_string())
        .await;
    answer.problem(422);
    let reasons: Vec<String> = answer.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            format!(
                "{} {}: {}",
                e["row"],
                e["field"].as_str().unwrap(),
                e["reason"].as_str().unwrap()
            )
        })
        .collect();
    assert!(
        reasons[0].starts_with("1 kind: unknown kind `toaster`; known: "),
        "{reasons:?}"
    );
    assert_eq!(
        reasons[1..],
        [
            "2 parent: device `gone` is neither registered nor in this list",
            "3 parent: a device cannot be its own parent",
            "4 parent: `p-4` would be above itself: the parents form a circle",
            "5 parent: `p-5` would be above itself: the parents form a circle",
            "6 identities.hj212_mn: `MN9` belongs to device `known`",
            "7 id: `p-1` is given twice: also row 1",
        ]
    );
    assert_eq!(hub.state.devices.len(), 1);
    assert!(hub.commands.lock().unwrap().is_empty());
}

#[tokio::test]
async fn csv_is_imported_after_a_dry_run_that_names_lines() {
    let hub = Hub::start();
    let bad = "id,kind,lon,lat,cadence_s,tags.class,secret\n\
               # a comment line\n\
               gas-1,gas_pressure,118.1,24.5,60,medium,long-enough\n\
               gas-2,gas_pressure,118.1,,60,,\n\
               \"gas-3\",gas_presure,,,sixty,,short\n";
    let path = "/api/v1/devices?dry_run=true";
    let answer = hub.ask_with("engineer", ("put", path), &CSV, bad).await;
    answer.problem(422);
    let lines: Vec<(u64, String)> = answer.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            (
                e["line"].as_u64().unwrap(),
                e["field"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [(4, "location".to_owned()), (5, "cadence_s".to_owned())]
    );

    let good = "\u{feff}id,kind,name,lon,lat,datum,cadence_s,tags.class,identities.hj212_mn,secret,enabled\r\n\
                gas-1,gas_pressure,\"花园路, 3号\",118.1,24.5,GCJ02,60,medium,MN1,long-enough,true\r\n\
                gas-2,gas_pressure,,,,,,,,short,0\r\n";
    let dry = hub.ask_with("engineer", ("put", path), &CSV, good).await;
    assert_eq!(dry.status, 200, "{}", dry.text);
    assert_eq!(dry.json()["created"], 2);
    assert_eq!(dry.json()["dry_run"], true);
    let warning = &dry.json()["warnings"][0];
    assert_eq!(
        (warning["line"].as_u64(), warning["field"].as_str()),
        (Some(3), Some("secret"))
    );
    assert!(hub.state.devices.is_empty());

    let real = hub
        .ask_with("engineer", ("put", "/api/v1/devices"), &CSV, good)
        .await;
    assert_eq!(real.json()["created"], 2);
    let device = hub.state.devices.find("gas-1").unwrap().device.clone();
    assert_eq!(device.name.as_deref(), Some("花园路, 3号"));
    assert_eq!(device.location.unwrap().datum, "GCJ02");
    assert_eq!(device.identities["hj212_mn"], "MN1");
    assert!(!hub.state.devices.find("gas-2").unwrap().device.enabled);

    let header = hub
        .ask_with("engineer", ("put", path), &CSV, "id,kind,colour\n")
        .await;
    assert!(header.problem(400).contains("unknown column `colour`"));
    let xml = [("content-type", "application/xml")];
    hub.ask_with("engineer", ("put", path), &xml, "<a/>")
        .await
        .problem(415);
}

fn health(status: DeviceStatus, since_ms: i64, cause: Option<SilenceCause>) -> DeviceHealth {
    DeviceHealth {
        status,
        since: Timestamp::from_millis(since_ms),
        cause,
    }
}

#[tokio::test(start_paused = true)]
async fn the_list_filters_counts_and_goes_on_by_cursor() {
    let hub = Hub::start();
    let a = hub.register(r#"{"id":"a-1","kind":"smoke","site":"North","cadence_s":10}"#);
    let b = hub.register(r#"{"id":"a-2","kind":"smoke","site":"South","cadence_s":10}"#);
    hub.register(r#"{"id":"a-3","kind":"dust","name":"Gate of the NORTH"}"#);
    hub.store(
        a,
        &[("smoke_obscuration_dbm", 0, 0.1), ("battery_pct", 1, 91.0)],
    );
    hub.store(b, &[("smoke_obscuration_dbm", 90, 0.2)]);
    let received_ms = START_MS + 1_001;
    let link = Some(SilenceCause::Link);
    let gone = health(DeviceStatus::Offline, received_ms + 30_000, link);
    let here = health(DeviceStatus::Online, START_MS + 90_000, None);
    hub.state.statuses.put([(a, Some(gone)), (b, Some(here))]);
    let all = hub.get("/api/v1/devices").await.json();
    assert_eq!(all["total"], 3);
    assert_eq!(all["counts"]["online"], 1);
    assert_eq!(all["counts"]["offline"], 1);
    assert_eq!(all["counts"]["never_seen"], 1);
    let first = &all["items"][0];
    assert_eq!(first["status"], "offline");
    assert_eq!(first["grid"], "350203010203");
    assert_eq!(first["cause"], "link");
    assert_eq!(
        first["last_seen"],
        Timestamp::from_millis(received_ms).to_string()
    );
    assert_eq!(
        first["since"],
        Timestamp::from_millis(received_ms + 30_000).to_string()
    );
    assert_eq!(first["latest"]["battery_pct"]["value"], 91.0);
    assert_eq!(first["latest"]["battery_pct"]["unit"], "%");
    assert_eq!(first["latest"]["battery_pct"]["quality"], "good");

    let ids = |answer: serde_json::Value| -> Vec<String> {
        let items = answer["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|d| d["id"].as_str().unwrap().to_owned())
            .collect()
    };
    for (query, expected) in [
        ("kind=dust", vec!["a-3"]),
        ("status=offline", vec!["a-1"]),
        ("status=online,never_seen", vec!["a-2", "a-3"]),
        ("q=north", vec!["a-1", "a-3"]),
        ("site=South", vec!["a-2"]),
        ("grid=350203010203&kind=smoke", vec!["a-1", "a-2"]),
        ("parent=gw", vec![]),
    ] {
        let answer = hub.get(&format!("/api/v1/devices?{query}")).await.json();
        assert_eq!(ids(answer), expected, "{query}");
    }
    let page = hub.get("/api/v1/devices?limit=2").await.json();
    assert_eq!(page["next"], "a-2");
    let rest = hub.get("/api/v1/devices?limit=2&cursor=a-2").await.json();
    assert_eq!(
        (ids(rest.clone()), &rest["next"]),
        (vec!["a-3".to_owned()], &json!(null))
    );
    let counts = hub.get("/api/v1/devices?limit=0").await.json();
    assert_eq!(
        (&counts["items"], &counts["total"]),
        (&json!([]), &json!(3))
    );
}

#[tokio::test(start_paused = true)]
async fn one_device_is_shown_with_what_its_values_were_worth() {
    let hub = Hub::start();
    let key = hub.register(r#"{"id":"a-1","kind":"smoke","cadence_s":10}"#);
    hub.store(
        key,
        &[("battery_pct", -7_200, 90.0), ("battery_pct", 1, 91.0)],
    );
    hub.store(key, &[("battery_pct", 2, 92.0), ("temperature_c", 3, 20.0)]);
    let shown = hub.get("/api/v1/devices/a-1").await.json();
    let battery = &shown["quality"]["battery_pct"];
    // All three came just now.
    assert_eq!(battery["readings"], 3);
    assert_eq!(
        (&battery["good"], &battery["bad"]),
        (&json!(1.0), &json!(0.0))
    );
    let good_at = Timestamp::from_millis(START_MS + 2_000).to_string();
    assert_eq!(battery["last_good_at"], good_at);
    assert_eq!(battery["causes"], json!({}));
    assert_eq!(shown["rejected"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn what_the_values_of_a_slow_clock_are_worth_goes_by_when_they_came() {
    let hub = Hub::start();
    let key = hub.register(r#"{"id":"a-1","kind":"smoke","cadence_s":10}"#);
    // The hub's clock has begun; the readings are of two hours and of three days before it.
    let values = [-7_200, -7_190, -7_180, -259_200].map(|at_s| ("battery_pct", at_s, 90.0));
    hub.store(key, &values);
    let shown = hub.get("/api/v1/devices/a-1").await.json();
    let battery = &shown["quality"]["battery_pct"];
    assert_eq!(battery["readings"], 3);
    let good_at = Timestamp::from_millis(START_MS - 7_180_000).to_string();
    assert_eq!(battery["last_good_at"], good_at);
}

#[tokio::test]
async fn a_device_is_deleted_unless_others_hang_on_it() {
    let hub = Hub::start();
    hub.register(r#"{"id":"gw","kind":"gateway"}"#);
    hub.register(r#"{"id":"child","kind":"smoke","parent":"gw"}"#);
    let answer = hub
        .ask("engineer", "delete", "/api/v1/devices/gw", "")
        .await;
    assert_eq!(
        answer.problem(409),
        "`gw` is the parent of 1 devices; give them another first"
    );
    let answer = hub
        .ask("engineer", "delete", "/api/v1/devices/child", "")
        .await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    hub.get("/api/v1/devices/child").await.problem(404);
    hub.ask("engineer", "delete", "/api/v1/devices/child", "")
        .await
        .problem(404);
    let commands = hub.commands.lock().unwrap();
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0].actor.name, "engineer");
    assert!(matches!(&commands[0].action, Action::DeleteDevice(id) if id.as_str() == "child"));
}

#[tokio::test]
async fn an_unknown_device_is_listed_until_it_is_registered() {
    let hub = Hub::start_with(super::kit::tokens(), STREAM_CLIENTS_MAX);
    let at = Timestamp::from_millis(START_MS);
    hub.state.knocks.note(Knock {
        id: "new-1".to_owned(),
        driver: "mqtt".to_owned(),
        peer: "127.0.0.1:9".to_owned(),
        reason: "unknown_device".to_owned(),
        count: 3,
        first_seen: at,
        last_seen: at,
    });
    let list = hub.get("/api/v1/devices/unclaimed").await.json();
    assert_eq!(list["items"][0]["id"], "new-1");
    assert_eq!(list["items"][0]["count"], 3);
    let body = r#"[{"id":"new-1","kind":"smoke"}]"#;
    hub.ask("engineer", "put", "/api/v1/devices", body)
        .await
        .json();
    let list = hub.get("/api/v1/devices/unclaimed").await.json();
    assert_eq!(list["items"], json!([]));
}
