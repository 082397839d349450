//! Rules as an engineer meets them: delays, levels, silence, edits, restarts, backtest, verify.

use serde_json::{Value, json};
use tests::audit;
use tests::fleet::overpressure;
use tests::http::Api;
use tests::hub::{Hub, Place};
use tests::time::{ms, now_ms, now_s_in_ms};

fn register(hub: &Hub, ids: &[&str]) {
    let device = |id: &&str| json!({"id": id, "kind": "gas_pressure", "cadence_s": 60});
    hub.register(&Value::Array(ids.iter().map(device).collect()));
}

/// Sends pressures at offsets from `start`, in milliseconds, each as a message of its own.
fn report(hub: &Hub, device: &str, start: i64, pressures: &[(i64, f64)]) {
    for (offset, kpa) in pressures {
        let body = json!({"ts": start + offset, "values": {"pressure_kpa": kpa}});
        hub.store(device, &body);
    }
}

fn delayed(on_s: u32, off_s: u32) -> Value {
    let mut rule = overpressure();
    rule["on_delay_s"] = json!(on_s);
    rule["off_delay_s"] = json!(off_s);
    rule
}

/// What history keeps of an alarm: device, times from `start`, severity, peak and count.
type Span = (String, i64, Option<i64>, String, Option<f64>, u64);

fn span(row: &Value, start: i64) -> Span {
    let text = |key: &str| row[key].as_str().unwrap().to_owned();
    let cleared = (!row["cleared_at"].is_null()).then(|| ms(&row["cleared_at"]) - start);
    let count = row["count"].as_u64().unwrap();
    let raised = ms(&row["raised_at"]) - start;
    (
        text("device"),
        raised,
        cleared,
        text("severity"),
        row["peak"].as_f64(),
        count,
    )
}

/// The whole alarm history, oldest first, without alarms that a late order of arrival took back.
fn history(api: &Api, start: i64) -> Vec<Span> {
    let page = api.get("/api/v1/alarms?state=all&limit=500");
    assert_eq!(page["next"], Value::Null, "one page holds all");
    let rows = page["items"].as_array().unwrap();
    kept(rows, start)
}

/// What remains of alarms, oldest first.
fn kept(rows: &[Value], start: i64) -> Vec<Span> {
    let kept = rows.iter().filter(|row| row["note"] != "withdrawn");
    let mut spans: Vec<_> = kept.map(|row| span(row, start)).collect();
    spans.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    spans
}

/// Of how many alarms people were told though they never were: readings came out of order.
fn taken_back(rows: &[Value]) -> usize {
    let is_meant = |row: &&Value| row["note"] == "withdrawn" && row["announced_at"].is_string();
    rows.iter().filter(is_meant).count()
}

fn expect(device: &str, raised: i64, cleared: Option<i64>, peak: f64, count: u64) -> Span {
    (
        device.to_owned(),
        raised,
        cleared,
        "critical".to_owned(),
        Some(peak),
        count,
    )
}

#[test]
fn an_alarm_waits_for_its_delays_in_the_time_of_the_readings() {
    let place = Place::default();
    let hub = place.start();
    register(&hub, &["gas-1", "gas-2"]);
    hub.rule("slow", &delayed(10, 30));
    let start = now_s_in_ms() - 100_000;
    // Beyond from 0 s; under 390 from 20 s; so raised at 10 s and cleared at 50 s.
    let rise = [
        (0, 405.0),
        (5_000, 411.0),
        (12_000, 402.0),
        (20_000, 380.0),
        (51_000, 379.0),
    ];
    report(&hub, "gas-1", start, &rise);
    // Beyond for 9 s only.
    report(
        &hub,
        "gas-2",
        start,
        &[(0, 405.0), (9_000, 380.0), (51_000, 380.0)],
    );
    let expected = [expect("gas-1", 10_000, Some(50_000), 411.0, 3)];
    assert_eq!(history(&hub.api(), start), expected);
    hub.kill();
    place.verify();
}

#[test]
fn any_order_of_arrival_gives_the_same_history() {
    let place = Place::default();
    let hub = place.start();
    let orders: [[usize; 6]; 4] = [
        [0, 1, 2, 3, 4, 5],
        [5, 4, 3, 2, 1, 0],
        [3, 0, 5, 1, 4, 2],
        [2, 4, 0, 5, 3, 1],
    ];
    let ids = ["gas-1", "gas-2", "gas-3", "gas-4"];
    register(&hub, &ids);
    hub.rule("slow", &delayed(5, 5));
    let start = now_s_in_ms() - 100_000;
    let readings = [
        (0, 405.0),
        (6_000, 450.0),
        (10_000, 380.0),
        (20_000, 430.0),
        (30_000, 410.0),
        (40_000, 300.0),
    ];
    for (id, order) in ids.iter().zip(orders) {
        let shuffled: Vec<_> = order.iter().map(|index| readings[*index]).collect();
        report(&hub, id, start, &shuffled);
    }
    // 0 + 5 s to 10 + 5 s; 20 + 5 s to 40 + 5 s.
    let first = ids.map(|id| expect(id, 5_000, Some(15_000), 450.0, 2));
    let second = ids.map(|id| expect(id, 25_000, Some(45_000), 430.0, 2));
    assert_eq!(history(&hub.api(), start), [first, second].concat());
    hub.kill();
    place.verify();
}

#[test]
fn an_alarm_steps_up_and_down_through_its_levels() {
    let place = Place::default();
    let hub = place.start();
    register(&hub, &["gas-1"]);
    let rule = json!({"title": "levels", "kind": "threshold", "select": {},
        "metric": "pressure_kpa", "deadband": 10.0, "levels": [
            {"severity": "minor", "above": 300.0}, {"severity": "major", "above": 350.0},
            {"severity": "critical", "above": 400.0}]});
    hub.rule("levels", &rule);
    let api = hub.api();
    let start = now_s_in_ms() - 60_000;
    let steps = [
        (305.0, "raised", "minor"),
        (405.0, "escalated", "critical"),
        (360.0, "deescalated", "major"),
        (310.0, "deescalated", "minor"),
        (280.0, "cleared", "minor"),
    ];
    let mut stream = api.stream("?from=0", None);
    for ((kpa, kind, severity), number) in steps.into_iter().zip(0..) {
        report(&hub, "gas-1", start, &[(number * 1000, kpa)]);
        let row = stream.wait_alarm(kind, "levels");
        assert_eq!(row["severity"], severity, "{kind} at {kpa}");
    }
    let [row] = history(&api, start).try_into().unwrap();
    assert_eq!(
        (row.1, row.2, row.4, row.5),
        (0, Some(4_000), Some(405.0), 4)
    );
}

#[test]
fn a_silent_device_is_noticed_and_welcomed_back() {
    let place = Place::default();
    let hub = place.start();
    let mut stream = hub.api().stream("?from=0", None);
    let rule = json!({"title": "失联", "kind": "silence", "select": {"kind": "gas_pressure"},
        "after_s": 1, "severity": "warning"});
    hub.rule("silent", &rule);
    let before = now_ms();
    register(&hub, &["gas-1", "gas-2"]);
    let last = now_ms();
    report(&hub, "gas-1", last, &[(0, 300.0)]);
    // Both fall silent: one after its reading, the other never said a word.
    let rows = [
        stream.wait_alarm("raised", "silent"),
        stream.wait_alarm("raised", "silent"),
    ];
    let of = |id: &str| rows.iter().find(|row| row["device"] == id).unwrap();
    assert_eq!(ms(&of("gas-1")["raised_at"]), last + 1_000);
    let never = ms(&of("gas-2")["raised_at"]);
    assert!(
        (before + 1_000..=last + 1_000).contains(&never),
        "{never} {before} {last}"
    );
    let back = now_ms();
    report(&hub, "gas-1", back, &[(0, 300.0)]);
    let row = stream.wait_alarm("cleared", "silent");
    assert_eq!(
        (&row["device"], ms(&row["cleared_at"])),
        (&json!("gas-1"), back)
    );
    hub.kill();
    place.verify();
}

#[test]
fn a_restart_in_the_middle_of_a_delay_changes_no_time() {
    let place = Place::default();
    let hub = place.start();
    register(&hub, &["gas-1"]);
    hub.rule("slow", &delayed(2, 2));
    let start = now_ms();
    report(&hub, "gas-1", start, &[(0, 405.0)]);
    hub.kill();
    let hub = place.start();
    let mut stream = hub.api().stream("?from=0", None);
    let row = stream.wait_alarm("raised", "slow");
    assert_eq!(ms(&row["raised_at"]), start + 2_000);
    let back = now_ms();
    report(&hub, "gas-1", back, &[(0, 300.0)]);
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    let hub = place.start();
    let mut stream = hub.api().stream("?from=0", None);
    let row = stream.wait_alarm("cleared", "slow");
    assert_eq!(ms(&row["raised_at"]), start + 2_000);
    assert_eq!(ms(&row["cleared_at"]), back + 2_000);
    hub.kill();
    place.verify();
}

#[test]
fn silence_that_ran_out_while_the_hub_was_down_has_its_own_time() {
    let place = Place::default();
    let hub = place.start();
    let rule = json!({"title": "失联", "kind": "silence", "select": {}, "after_s": 1,
        "severity": "warning"});
    register(&hub, &["gas-1"]);
    let last = now_ms();
    report(&hub, "gas-1", last, &[(0, 300.0)]);
    hub.rule("silent", &rule);
    hub.kill();
    let hub = place.start();
    let row = hub
        .api()
        .stream("?from=0", None)
        .wait_alarm("raised", "silent");
    let raised_at = ms(&row["raised_at"]);
    // Counted from the last reading, or from the moment at which the rule began to watch.
    assert!(
        (last + 1_000..last + 3_000).contains(&raised_at),
        "{raised_at} after {last}"
    );
    hub.kill();
    place.verify();
}

#[test]
fn an_edit_keeps_the_state_of_what_did_not_change() {
    let place = Place::default();
    let hub = place.start();
    register(&hub, &["gas-1"]);
    hub.rule("edited", &overpressure());
    hub.rule("other", &overpressure());
    let api = hub.api();
    let start = now_s_in_ms() - 60_000;
    report(&hub, "gas-1", start, &[(0, 450.0)]);
    let of = |rule: &str| {
        let page = api.get("/api/v1/alarms");
        let rows = page["items"].as_array().unwrap();
        rows.iter().find(|row| row["rule"] == rule).cloned()
    };
    let (edited, other) = (of("edited").unwrap(), of("other").unwrap());
    let mut rule = overpressure();
    rule["title"] = json!("a better title");
    hub.rule("edited", &rule);
    let after = of("edited").unwrap();
    assert_eq!(
        (&after["id"], &after["raised_at"]),
        (&edited["id"], &edited["raised_at"])
    );
    // Another limit is another condition: the old alarm ends with its reason.
    rule["above"] = json!(500.0);
    hub.rule("edited", &rule);
    let events = audit::events(&api);
    let cleared: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "cityhub.alarm.cleared")
        .collect();
    assert_eq!(cleared.len(), 1, "{cleared:?}");
    assert_eq!(cleared[0]["data"]["id"], edited["id"]);
    assert_eq!(cleared[0]["data"]["note"], "rule changed");
    assert_eq!(of("other").unwrap(), other);
    hub.kill();
    place.verify();
    let hub = place.start();
    assert!(
        hub.api()
            .get("/api/v1/alarms")
            .to_string()
            .contains("\"other\"")
    );
}

#[test]
fn a_rule_on_trial_announces_nothing_and_a_disabled_one_does_nothing() {
    let place = Place::default();
    let hub = place.start();
    register(&hub, &["gas-1"]);
    let mut rule = overpressure();
    rule["shadow"] = json!(true);
    hub.rule("trial", &rule);
    let mut rule = overpressure();
    rule["enabled"] = json!(false);
    hub.rule("off", &rule);
    report(&hub, "gas-1", now_s_in_ms(), &[(0, 450.0)]);
    let kinds: Vec<_> = audit::events(&hub.api())
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .filter(|kind| kind.starts_with("cityhub.alarm."))
        .collect();
    assert_eq!(kinds, Vec::<String>::new());
}

#[test]
fn a_rule_that_makes_no_sense_is_refused_with_its_key() {
    let place = Place::default();
    let hub = place.start();
    let api = hub.api_as("engineer");
    let with = |key: &str, value: Value| {
        let mut rule = overpressure();
        rule[key] = value;
        rule
    };
    let wrong = [
        ("metric", with("metric", json!("pressure_psi"))),
        ("deadband", with("deadband", json!(-1.0))),
        ("severity", with("severity", json!("bad"))),
        ("colour", with("colour", json!("red"))),
        ("kind", with("kind", json!("horoscope"))),
        ("above", with("above", json!("much"))),
        ("on_delay_s", with("on_delay_s", json!(-5))),
    ];
    for (key, rule) in wrong {
        let reply = api.put("/api/v1/rules/r", &rule);
        assert!(
            (400..=422).contains(&reply.status),
            "{key}: {}",
            reply.text()
        );
        let status = reply.status;
        let problem = reply.problem(status);
        assert!(
            problem["detail"].as_str().unwrap().contains(key),
            "{key}: {problem}"
        );
    }
    assert_eq!(
        api.get("/api/v1/rules")
            .to_string()
            .matches("overpressure")
            .count(),
        0
    );
}

/// Readings of three sensors with repeats, disorder and lateness, and the rules that watch them.
fn eventful_hour(hub: &Hub, start: i64) -> Vec<(&'static str, Value)> {
    register(hub, &["gas-1", "gas-2", "gas-3"]);
    let levels = json!({"title": "levels", "kind": "threshold", "select": {},
        "metric": "pressure_kpa", "deadband": 5.0, "on_delay_s": 2, "levels": [
            {"severity": "minor", "above": 360.0}, {"severity": "major", "above": 420.0}]});
    let rules = vec![
        ("slow", delayed(3, 4)),
        ("fast", overpressure()),
        ("levels", levels),
    ];
    for (id, rule) in &rules {
        hub.rule(id, rule);
    }
    let wave = |index: i64, phase: i64| {
        let height = (index * 7 + phase * 13) % 50;
        340.0 + f64::from(i32::try_from(height * 2).unwrap())
    };
    for index in 0..80 {
        for (id, phase) in [("gas-1", 0), ("gas-2", 1), ("gas-3", 2)] {
            // Every seventh reading of the third sensor comes two places too early.
            let place = if phase == 2 && index % 7 == 0 {
                index + 2
            } else {
                index
            };
            report(hub, id, start, &[(place * 1_000, wave(place, phase))]);
        }
    }
    rules
}

#[test]
fn a_backtest_over_what_was_recorded_gives_what_live_gave() {
    let place = Place::default();
    let hub = place.start();
    let start = now_s_in_ms() - 110_000;
    let rules = eventful_hour(&hub, start);
    let api = hub.api();
    let live = history(&api, start);
    assert!(live.len() > 10, "the hour was eventful: {live:?}");
    let rules: Vec<_> = rules
        .into_iter()
        .map(|(id, mut rule)| {
            rule["id"] = json!(id);
            rule
        })
        .collect();
    let from = start - 3_600_000;
    let body = json!({"rules": rules, "from": from, "to": now_ms()});
    let answer = api.post("/api/v1/rules/backtest", &body).expect(200);
    let rows = answer["alarms"].as_array().unwrap();
    let tested = kept(rows, start);
    let page = api.get("/api/v1/alarms?state=all&withdrawn=true&limit=500");
    let recorded = page["items"].as_array().unwrap();
    assert_eq!(taken_back(rows), taken_back(recorded));
    let sorted = |mut spans: Vec<Span>| {
        spans.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
        spans
    };
    assert_eq!(sorted(tested), sorted(live));
    // A backtest sends nothing and stores nothing.
    let events = audit::events(&api).len();
    api.post("/api/v1/rules/backtest", &body).expect(200);
    assert_eq!(audit::events(&api).len(), events);
    hub.kill();
    place.verify();
}

#[test]
fn the_same_history_stands_after_a_crash_in_the_middle_of_it() {
    let start = now_s_in_ms() - 110_000;
    let run = |crash: bool| {
        let place = Place::default();
        let mut hub = place.start();
        register(&hub, &["gas-1"]);
        hub.rule("slow", &delayed(3, 4));
        for index in 0..40 {
            let kpa = if index % 10 < 6 { 450.0 } else { 300.0 };
            report(&hub, "gas-1", start, &[(index * 1_000, kpa)]);
            if crash && index % 9 == 5 {
                hub.kill();
                hub = place.start();
            }
        }
        let spans = history(&hub.api(), start);
        hub.kill();
        place.verify();
        spans
    };
    // Each ten seconds: beyond at 0, so raised at 3; back at 6, so cleared at 10.
    let expected: Vec<_> = (0..4)
        .map(|round| {
            let base = round * 10_000;
            expect("gas-1", base + 3_000, Some(base + 10_000), 450.0, 6)
        })
        .collect();
    assert_eq!(run(false), expected);
    assert_eq!(run(true), expected);
}
