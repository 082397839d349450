//! The labelled corpus: every alarm that must ring rings, and no other.

use std::fmt::Write as _;
use std::sync::Mutex;
use tests::scenarios::{Score, compare, labels, names, rehearse};

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
