//! The labelled corpus: every alarm that must ring rings, and no other.

use serde_json::Value;
use std::fmt::Write as _;
use std::sync::Mutex;
use tests::hub::{Place, token, words};
use tests::scenarios::{Score, compare, labels, names, rehearse};
use tests::time::now_ms;

fn judged(name: &str) -> Score {
    let work = tempfile::tempdir().unwrap();
    match rehearse(name, work.path()) {
        Ok((start_ms, rows)) => compare(&labels(name), start_ms, &rows),
        Err(reason) => Score {
            faults: vec![format!("cannot be played: {reason}")],
            ..Score::default()
        },
    }
}

/// Judges every scenario, two at a time.
fn all() -> Vec<(String, Score)> {
    let waiting = Mutex::new(names());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(name) = waiting.lock().unwrap().pop() else {
                        return;
                    };
                    let score = judged(&name);
                    done.lock().unwrap().push((name, score));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by(|a, b| a.0.cmp(&b.0));
    done
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "the score of each scenario is worth a look"
)]
fn every_scenario_rings_what_it_must_and_nothing_else() {
    let mut table = String::new();
    let mut faults = String::new();
    let mut sum = Score::default();
    for (name, score) in all() {
        writeln!(
            table,
            "{name:<20} must {:>4} of {:>4}, false {:>3}, announced {:>4}",
            score.found, score.expected, score.false_alarms, score.announced
        )
        .unwrap();
        for fault in score.faults.iter().take(8) {
            writeln!(faults, "{name}: {fault}").unwrap();
        }
        sum.found += score.found;
        sum.expected += score.expected;
        sum.false_alarms += score.false_alarms;
        sum.announced += score.announced;
    }
    println!(
        "{table}in all: {} of {} must-alarms, {} false alarms, {} announced",
        sum.found, sum.expected, sum.false_alarms, sum.announced
    );
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn a_scenario_played_against_a_hub_rings_the_same() {
    let name = "chatter";
    let place = Place::default();
    let hub = place.start();
    let (mqtt, api) = (
        hub.mqtt().to_string(),
        format!("http://{}", hub.addr("http")),
    );
    let (token, start_ms) = (token("admin"), now_ms());
    let start = start_ms.to_string();
    let output = place.run(&[
        "simulate",
        "--scenario",
        name,
        "--mqtt",
        &mqtt,
        "--api",
        &api,
        "--token",
        &token,
        "--start-ms",
        &start,
    ]);
    assert!(output.status.success(), "{}", words(&output));
    let events = hub.api().get("/api/v1/events?after=0&limit=1000");
    let rang: Vec<&Value> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["type"] == "cityhub.alarm.raised")
        .map(|event| &event["subject"])
        .collect();
    let page = hub.api().get("/api/v1/alarms?state=all&limit=1000");
    let mut rows = page["items"].as_array().unwrap().clone();
    for row in &mut rows {
        row["announced"] = rang.contains(&&row["id"]).into();
        row["worst"] = row["severity"].clone();
    }
    rows.sort_by_key(|row| row["raised_at"].as_str().unwrap().to_owned());
    let score = compare(&labels(name), start_ms, &rows);
    assert_eq!(score.faults, Vec::<String>::new());
    assert_eq!(score.found, score.expected);
}
