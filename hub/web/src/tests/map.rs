//! The map and what the console must know before it shows anything.

use super::kit::{Hub, alarm};
use model::Severity;
use serde_json::json;

#[tokio::test]
async fn devices_stand_on_the_map_in_columns_with_their_worst_alarm() {
    let hub = Hub::start();
    hub.register(
        r#"{"id":"gas-1","kind":"gas_pressure","name":"花园路","location":{"lon":118.0894,"lat":24.4798}}"#,
    );
    hub.register(r#"{"id":"smoke-1","kind":"smoke","location":{"lon":-0.5,"lat":-33.25}}"#);
    hub.register(r#"{"id":"smoke-2","kind":"smoke"}"#);
    hub.raise(&alarm(1, Severity::Minor, 0), "raised");
    hub.raise(&alarm(2, Severity::Critical, 1), "raised");
    let points = hub.get("/api/v1/map/points").await.json();
    assert_eq!(points["id"], json!(["gas-1", "smoke-1"]));
    assert_eq!(points["x"], json!([118_089_400, -500_000]));
    assert_eq!(points["y"], json!([24_479_800, -33_250_000]));
    assert_eq!(points["name"], json!(["花园路", "smoke-1"]));
    assert_eq!(points["status"], json!(["never_seen", "never_seen"]));
    assert_eq!(points["severity"], json!(["critical", null]));
    assert_eq!(points["alarms"], json!([2, 0]));
    assert_eq!(
        (&points["without_location"], &points["as_of_seq"]),
        (&json!(1), &json!(2))
    );
    let smoke = hub.get("/api/v1/map/points?kind=smoke").await.json();
    assert_eq!(smoke["id"], json!(["smoke-1"]));
}

#[tokio::test]
async fn a_layer_is_sent_once_and_then_known_by_its_tag() {
    let hub = Hub::start();
    let first = hub.get("/api/v1/map/layers/grid").await;
    assert_eq!(first.header("content-type"), "application/geo+json");
    assert_eq!(first.json()["name"], "grid");
    let tag = first.header("etag").to_owned();
    let known = [("if-none-match", tag.as_str())];
    let path = "/api/v1/map/layers/grid";
    let second = hub.ask_with("viewer", ("get", path), &known, "").await;
    assert_eq!((second.status.as_u16(), second.text.as_str()), (304, ""));
    let other = hub.get("/api/v1/map/layers/roads").await;
    assert_ne!(other.header("etag"), tag);
    hub.get("/api/v1/map/layers/nothing").await.problem(404);
}

#[tokio::test]
async fn the_console_knows_names_the_map_and_where_tiles_come_from() {
    let hub = Hub::start();
    hub.register(r#"{"id":"gas-1","kind":"gas_pressure","location":{"lon":118.25,"lat":24.5}}"#);
    let answer = hub
        .ask("platform", "get", "/api/v1/config/public", "")
        .await;
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("img-src 'self' data: https://t0.example https://t1.example;"));
    let public = answer.json();
    assert_eq!(public["city"]["time_zone"], "Asia/Shanghai");
    assert_eq!(public["build"]["version"], "1.2.3");
    let critical = json!({"numeral": "Ⅰ", "zh": "特急", "en": "Critical", "colour_zh": "红"});
    assert_eq!(public["severities"]["critical"], critical);
    assert_eq!(
        public["kinds"]["smoke"],
        json!({"zh": "烟感", "en": "Smoke"})
    );
    let pressure = json!({"zh": "压力", "en": "Pressure", "unit": "kPa"});
    assert_eq!(public["metrics"]["pressure_kpa"], pressure);
    assert_eq!(public["metrics"].get("canary"), None);
    let map = &public["map"];
    let grid = json!({"name": "grid", "style": "grid", "url": "/api/v1/map/layers/grid"});
    assert_eq!(map["layers"][0], grid);
    assert_eq!(
        (&map["center"], &map["zoom"]),
        (&json!([118.25, 24.5]), &json!(13))
    );
    assert_eq!(map["tiles"]["subdomains"], "01");
    assert_eq!(map["tiles"].get("hosts"), None);
    assert_eq!(public["quick_phrases"][0]["kind"], json!(null));
    assert_eq!(public["demo"], false);
}
