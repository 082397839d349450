//! Readings of one series, and the last of every series.

use super::kit::{Hub, START_MS};
use serde_json::{Value, json};

const FROM: &str = "2026-03-01T00:00:00Z";

fn filled() -> Hub {
    let hub = Hub::start();
    let gas = hub.register(r#"{"id":"gas-1","kind":"gas_pressure"}"#);
    let smoke = hub.register(r#"{"id":"smoke-1","kind":"smoke"}"#);
    let values: Vec<(&str, i64, f64)> = [300.0, 310.0, 305.0, 420.0, 290.0]
        .into_iter()
        .zip(0..)
        .map(|(value, n)| ("pressure_kpa", n * 30, value))
        .collect();
    hub.store(gas, &values);
    hub.store(smoke, &[("smoke_alarm", 200, 1.0)]);
    hub
}

fn points(answer: &Value) -> Vec<(i64, f64)> {
    let points = answer["points"].as_array().unwrap();
    points
        .iter()
        .map(|p| (p[0].as_i64().unwrap() - START_MS, p[1].as_f64().unwrap()))
        .collect()
}

async fn readings(hub: &Hub, rest: &str) -> Value {
    let path = format!("/api/v1/devices/gas-1/readings?metric=pressure_kpa&{rest}");
    let answer = hub.get(&path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn raw_points_come_in_order_with_unit_and_quality() {
    let hub = filled();
    let answer = readings(&hub, &format!("from={FROM}")).await;
    assert_eq!(answer["metric"], "pressure_kpa");
    assert_eq!(answer["unit"], "kPa");
    assert_eq!(answer["points"][0], json!([START_MS, 300.0, "good"]));
    let expected = [
        (0, 300.0),
        (30_000, 310.0),
        (60_000, 305.0),
        (90_000, 420.0),
        (120_000, 290.0),
    ];
    assert_eq!(points(&answer), expected);
    assert_eq!(answer["next"], json!(null));
    // Milliseconds do as well; `to` is not included.
    let rest = format!("from={}&to={}", START_MS + 30_000, START_MS + 90_000);
    assert_eq!(
        points(&readings(&hub, &rest).await),
        [(30_000, 310.0), (60_000, 305.0)]
    );
}

#[tokio::test]
async fn a_cursor_goes_on_without_gap_or_repeat() {
    let hub = filled();
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = readings(&hub, &format!("from={FROM}&limit=2{cursor}")).await;
        assert!(points(&page).len() <= 2);
        seen.extend(points(&page));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|a, b| a.0 < b.0));
}

#[tokio::test]
async fn buckets_keep_peaks_and_average_the_rest() {
    let hub = filled();
    let minute = |agg: &str| format!("from={FROM}&step=60s{agg}");
    let mean = readings(&hub, &minute("")).await;
    assert_eq!(
        points(&mean),
        [(0, 305.0), (60_000, 362.5), (120_000, 290.0)]
    );
    let max = readings(&hub, &minute("&agg=max")).await;
    assert_eq!(
        points(&max).iter().map(|p| p.1).collect::<Vec<_>>(),
        [310.0, 420.0, 290.0]
    );
    let minmax = readings(&hub, &minute("&agg=minmax")).await;
    let values: Vec<f64> = points(&minmax).iter().map(|p| p.1).collect();
    assert!(values.contains(&420.0) && values.contains(&305.0) && values.contains(&300.0));
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_told_why() {
    let hub = filled();
    let base = "/api/v1/devices/gas-1/readings";
    for (query, word) in [
        ("", "`metric` is missing"),
        ("metric=presure", "unknown metric `presure`"),
        ("metric=pressure_kpa&agg=mean", "`agg` needs `step`"),
        (
            "metric=pressure_kpa&agg=raw&step=5m",
            "no sense with `agg=raw`",
        ),
        ("metric=pressure_kpa&agg=median&step=5m", "minmax"),
        ("metric=pressure_kpa&step=soon", "no duration"),
        (
            "metric=pressure_kpa&from=yesterday",
            "neither RFC 3339 nor milliseconds",
        ),
        ("metric=pressure_kpa&from=2&to=1", "is after"),
        ("metric=pressure_kpa&limit=10001", "from 1 to 10000"),
        ("metric=pressure_kpa&cursor=x", "was not given by this path"),
        ("metric=pressure_kpa&metrics=1", "`metrics`"),
    ] {
        let answer = hub.get(&format!("{base}?{query}")).await;
        let detail = answer.problem(400);
        assert!(detail.contains(word), "{query}: {detail}");
    }
    hub.get("/api/v1/devices/gone/readings?metric=pressure_kpa")
        .await
        .problem(404);
}

#[tokio::test]
async fn latest_gives_the_last_reading_of_every_series() {
    let hub = filled();
    let all = hub.get("/api/v1/latest").await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    let gas = hub.get("/api/v1/latest?kind=gas_pressure").await.json();
    let row = &gas["items"][0];
    assert_eq!(row["device"], "gas-1");
    assert_eq!(row["metric"], "pressure_kpa");
    assert_eq!(row["value"], 290.0);
    assert_eq!(row["unit"], "kPa");
    assert_eq!(row["observed_at"], "2026-03-01T00:02:00.000Z");
    hub.get("/api/v1/latest?kind=toaster").await.problem(400);
}

#[tokio::test]
async fn what_arrived_together_is_one_message_newest_first() {
    let hub = filled();
    let gas = hub.state.devices.find("gas-1").unwrap().key;
    hub.store(gas, &[("battery_pct", 120, 64.0)]);
    let answer = hub.get("/api/v1/devices/gas-1/raw?limit=3").await.json();
    let items = answer["items"].as_array().unwrap();
    let values: Vec<&Value> = items.iter().map(|item| &item["values"]).collect();
    assert_eq!(
        values,
        [
            &json!({"battery_pct": 64.0}),
            &json!({"pressure_kpa": 290.0}),
            &json!({"pressure_kpa": 420.0}),
        ]
    );
    assert_eq!(items[1]["observed_at"], "2026-03-01T00:02:00.000Z");
    assert_eq!(items[1]["quality"], json!({}));
    assert_eq!(hub.get("/api/v1/devices/none/raw").await.status, 404);
}
