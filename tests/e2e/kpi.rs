//! Evaluation: an alarm becomes a case, the platform takes it up, and the month's report says so.

use serde_json::{Value, json};
use tests::hub::Place;
use tests::time::{now_ms, until};

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn a_case_that_was_taken_up_is_in_the_figures_and_in_the_report_of_the_month() {
    let place = Place::default();
    let hub = place.start();
    hub.register(&json!([{"id": "noise-1", "kind": "noise"}, {"id": "noise-2", "kind": "noise"}]));
    let rule = json!({"title": "夜间施工噪声", "kind": "threshold", "select": {"kind": "noise"},
        "metric": "laeq_dba", "above": 55.0, "severity": "major"});
    hub.rule("night", &rule);
    hub.store(
        "noise-1",
        &json!({"ts": now_ms(), "values": {"laeq_dba": 71.0}}),
    );
    let api = hub.api();
    let cases = || {
        api.get("/api/v1/cases")["items"]
            .as_array()
            .expect("cases")
            .clone()
    };
    until("a case", || !cases().is_empty());
    let id = cases()[0]["id"].as_str().expect("an id").to_owned();
    let platform = hub.api_as("platform");
    platform
        .post(
            &format!("/api/v1/cases/{id}/steps"),
            &json!({"step": "accept", "actor": "李"}),
        )
        .expect(200);

    let told = api.get("/api/v1/kpi?by=kind");
    let total = &told["total"];
    for (name, expected) in [
        ("reported", json!(1)),
        ("registered", json!(1)),
        ("closed", json!(0)),
        ("close_rate", Value::Null),
        ("alarms", json!(1)),
        ("valid_alarm_rate", json!(1.0)),
        ("false_alarm_rate", json!(0.0)),
    ] {
        assert_eq!(total[name], expected, "{name}: {total}");
    }
    assert_eq!(
        (&told["groups"][0]["key"], &told["groups"][1]),
        (&json!("noise"), &Value::Null)
    );
    assert_eq!(&told["groups"][0]["indicators"], total);
    assert_eq!(told["alarm_load"]["announced"], 1);
    // The time of the one that was never seen counts for nothing.
    let online = told["devices"]["by_kind"]["noise"]
        .as_f64()
        .expect("a rate");
    assert!((online - 1.0).abs() < f64::EPSILON, "{told}");

    // The month of the city's wall, eight hours ahead.
    let now = model::Timestamp::from_millis(now_ms())
        .plus_s(8 * 3600)
        .to_string();
    let month = now.get(..7).unwrap();
    let path = |format: &str| format!("/api/v1/reports/monthly?month={month}&format={format}");
    let csv = api.send("GET", &path("csv"), None);
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = csv.text();
    assert!(text.starts_with("\u{feff}示范市"), "{text}");
    assert!(text.contains("\r\n合计,1,1,0,0,-,"), "{text}");
    let html = api.send("GET", &path("html"), None);
    let policy = html
        .header("content-security-policy")
        .expect("a policy")
        .to_owned();
    assert!(!policy.contains("script-src"), "{policy}");
    assert!(html.text().contains("运行情况通报表"));
    api.send("GET", "/api/v1/reports/monthly?month=2026-13", None)
        .problem(400);
    api.send("GET", "/api/v1/reports/monthly?month=2999-01", None)
        .problem(400);
    api.send("GET", "/api/v1/kpi?by=moon", None).problem(400);
}
