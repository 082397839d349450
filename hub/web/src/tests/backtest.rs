//! What would differ with other rules, and how much was measured at all.

use super::kit::{Hub, START_MS};
use http_body_util::BodyExt;
use model::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/api/v1/rules/backtest";

fn over(limit: f64) -> Value {
    json!({"title": "超压", "kind": "threshold", "select": {"kind": "gas_pressure"},
        "metric": "pressure_kpa", "above": limit, "severity": "critical"})
}

fn at(second: i64) -> Value {
    json!(Timestamp::from_millis(START_MS).plus_s(second))
}

async fn put(hub: &Hub, id: &str, spec: &Value) {
    let path = format!("/api/v1/rules/{id}");
    let answer = hub.ask("engineer", "put", &path, &spec.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// gas-1 in an hour: 300 but for 420 from 60 to 120 s, 350 from 180 to 300 s and 450 at 600 s.
async fn hour() -> Hub {
    let hub = Hub::start();
    let gas = hub.register(r#"{"id":"gas-1","kind":"gas_pressure","cadence_s":60}"#);
    let values = [
        (0, 300.0),
        (60, 420.0),
        (120, 300.0),
        (180, 350.0),
        (240, 360.0),
        (300, 300.0),
        (600, 450.0),
        (660, 300.0),
    ];
    hub.store(gas, &values.map(|(at, value)| ("pressure_kpa", at, value)));
    // A backtest ends now at the latest, so now is made the end of the period.
    tokio::time::advance(Duration::from_secs(3_600)).await;
    hub
}

fn request(rules: &[(&str, Value)]) -> Value {
    let rules: Vec<Value> = rules
        .iter()
        .map(|(id, spec)| {
            let mut spec = spec.clone();
            spec["id"] = json!(id);
            spec
        })
        .collect();
    json!({"rules": rules, "from": at(0), "to": at(1_200)})
}

async fn run(hub: &Hub, request: &Value) -> Value {
    let answer = hub
        .ask("supervisor", "post", PATH, &request.to_string())
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

fn tally(in_force: u64, tested: u64, [same, gained, lost, moved]: [u64; 4]) -> Value {
    json!({"in_force": in_force, "tested": tested, "same": same, "gained": gained, "lost": lost,
        "moved": moved})
}

#[tokio::test(start_paused = true)]
async fn alarms_are_gained_lost_and_moved_against_the_rules_in_force() {
    let hub = hour().await;
    put(&hub, "high", &over(400.0)).await;
    put(&hub, "other", &over(340.0)).await;
    // In force: 60 to 120 and 600 to 660 s. A lower limit adds 180 to 300 s.
    let lower = run(&hub, &request(&[("high", over(340.0))])).await;
    assert_eq!(lower["diff"]["total"], tally(2, 3, [2, 1, 0, 0]));
    assert_eq!(lower["diff"]["gained"][0]["raised_at"], at(180));
    assert_eq!(lower["diff"]["gained"][0]["cleared_at"], at(300));
    assert_eq!(
        lower["diff"]["by_rule"],
        json!({"high": tally(2, 3, [2, 1, 0, 0])})
    );
    assert_eq!(
        lower["diff"]["by_grid"]["350203010203"],
        tally(2, 3, [2, 1, 0, 0])
    );
    // A higher one loses the first.
    let higher = run(&hub, &request(&[("high", over(440.0))])).await;
    assert_eq!(higher["diff"]["total"], tally(2, 1, [1, 0, 1, 0]));
    assert_eq!(higher["diff"]["lost"][0]["raised_at"], at(60));
    // A delay moves both.
    let mut slow = over(400.0);
    slow["on_delay_s"] = json!(30);
    let slower = run(&hub, &request(&[("high", slow)])).await;
    assert_eq!(slower["diff"]["total"], tally(2, 2, [0, 0, 0, 2]));
    assert_eq!(slower["diff"]["moved"][0]["in_force"]["raised_at"], at(60));
    assert_eq!(slower["diff"]["moved"][0]["tested"]["raised_at"], at(90));
    // The same rule is the same, and a new one only gains.
    let same = run(
        &hub,
        &request(&[("high", over(400.0)), ("new", over(440.0))]),
    )
    .await;
    assert_eq!(same["diff"]["total"], tally(2, 3, [2, 1, 0, 0]));
    assert_eq!(same["diff"]["by_rule"]["new"], tally(0, 1, [0, 1, 0, 0]));
    // As the whole set of rules it loses what the others raise.
    let mut whole = request(&[("high", over(400.0))]);
    whole["whole"] = json!(true);
    let whole = run(&hub, &whole).await;
    assert_eq!(whole["diff"]["by_rule"]["other"], tally(3, 0, [0, 0, 3, 0]));
    assert_eq!(whole["diff"]["by_rule"]["high"], tally(2, 2, [2, 0, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_counted_by_ten_minutes_beside_its_reference() {
    let hub = hour().await;
    put(&hub, "high", &over(400.0)).await;
    let answer = run(&hub, &request(&[("high", over(340.0))])).await;
    let rates = &answer["rate_per_10_min"];
    // Two in the first ten minutes, one in the second.
    assert_eq!(
        rates["tested"],
        json!({"announced": 3, "periods": 2, "mean": 1.5, "max": 2, "max_at": at(0),
            "histogram": {"0": 0, "1": 1, "2": 1, "3-5": 0, "6-10": 0, "over 10": 0},
            "flood_pct": 0.0, "floods": 0})
    );
    assert_eq!(rates["in_force"]["announced"], 2);
    assert_eq!(rates["reference"]["flood_over"], 10);
    // A rule on trial announces nothing.
    let mut trial = over(340.0);
    trial["shadow"] = json!(true);
    let answer = run(&hub, &request(&[("high", trial)])).await;
    assert_eq!(answer["rate_per_10_min"]["tested"]["announced"], 0);
    assert_eq!(answer["alarms"][0]["announced"], false);
}

#[tokio::test(start_paused = true)]
async fn the_coverage_comes_first_and_names_the_gaps() {
    let hub = hour().await;
    hub.register(r#"{"id":"gas-2","kind":"gas_pressure","cadence_s":300}"#);
    hub.register(r#"{"id":"smoke-1","kind":"smoke"}"#);
    let body = request(&[("high", over(400.0))]).to_string();
    let answer = hub.ask("engineer", "post", PATH, &body).await;
    assert!(
        answer.text.starts_with(r#"{"coverage":{"from":"#),
        "{}",
        answer.text
    );
    let coverage = &answer.json()["coverage"];
    assert_eq!(coverage["readings"], 8);
    assert_eq!(coverage["devices"], 1);
    // Twenty minutes: 20 messages of one, 4 of the other; 8 came.
    assert_eq!(
        coverage["kinds"],
        json!({
            "gas_pressure": {"devices": 2, "heard": 1, "expected_messages": 24, "messages": 8,
                "share_pct": 33.3, "gaps": 3},
            "smoke": {"devices": 1, "heard": 0, "expected_messages": 0, "messages": 0,
                "share_pct": null, "gaps": 0},
        })
    );
    assert_eq!(coverage["share_pct"], 33.3);
    assert_eq!(coverage["gaps_total"], 3);
    let gaps: Vec<(&str, &Value, &Value)> = coverage["gaps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gap| (gap["device"].as_str().unwrap(), &gap["from"], &gap["to"]))
        .collect();
    let expected = [
        ("gas-2", at(0), at(1_200)),
        ("gas-1", at(660), at(1_200)),
        ("gas-1", at(300), at(600)),
    ];
    let expected = expected.each_ref().map(|(id, from, to)| (*id, from, to));
    assert_eq!(gaps, expected);
}

#[tokio::test(start_paused = true)]
async fn a_streamed_backtest_tells_how_far_it_is_and_then_the_same() {
    let hub = hour().await;
    let body = request(&[("high", over(400.0))]).to_string();
    let plain = run(&hub, &request(&[("high", over(400.0))])).await;
    let accept = [("accept", "application/x-ndjson")];
    let streamed = format!("{PATH}?stream=true");
    for (path, headers) in [(PATH, &accept[..]), (&streamed, &[])] {
        let response = hub.open("engineer", ("post", path), headers, &body).await;
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let lines: Vec<Value> = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert_eq!(
            lines[0]["progress"],
            json!({"done": 660_001, "total": 1_200_000, "at": at(660).as_str().unwrap()
                .replace(".000Z", ".001Z"), "readings": 8})
        );
        assert_eq!(lines.last(), Some(&plain));
    }
    // The turn is given back.
    run(&hub, &request(&[("high", over(400.0))])).await;
}

#[tokio::test(start_paused = true)]
async fn a_backtest_stores_and_sends_nothing() {
    let hub = hour().await;
    put(&hub, "high", &over(400.0)).await;
    hub.commands.lock().unwrap().clear();
    let before = hub.state.reader.mark();
    run(&hub, &request(&[("high", over(340.0))])).await;
    assert_eq!(hub.state.reader.mark(), before);
    assert!(hub.state.book.read().unwrap().rows().next().is_none());
    assert!(hub.commands.lock().unwrap().is_empty());
}
