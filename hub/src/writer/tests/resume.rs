//! A hub that did not run for a while does not blame the devices for it.

use super::{EPOCH, Rig, at, of_alarms, start};
use crate::judge::{Archive, Backtest, verify};
use crate::writer::Recorded;
use model::{Catalogue, Timestamp};
use sdk::{Action, Clock, CommandError};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use store::EventFilter;

const DEVICES: usize = 100;

/// Ten minutes.
const AWAY: Duration = Duration::from_secs(600);

fn names() -> Vec<String> {
    (0..DEVICES).map(|number| format!("gas-{number}")).collect()
}

/// Registers the devices, one of which is dead already when the hub stops at 330 s: it was heard at
/// 60 s, and the others at 300 s.
async fn live_until_the_stop(folder: &Path) -> Clock {
    let rig = start(folder, Clock::starting_at(at(0)));
    let names = names();
    let meters = names
        .iter()
        .map(|id| json!({"id": id, "kind": "gas_pressure", "cadence_s": 60}));
    rig.put(&meters.collect::<Vec<_>>()).await;
    let spec =
        json!({"title": "失联", "kind": "silence", "select": {}, "factor": 3, "severity": "minor"});
    let id = "quiet".to_owned();
    rig.command(Action::PutRule {
        id,
        spec,
        reason: None,
    })
    .await
    .unwrap();
    for minute in 1..=5 {
        rig.until(minute * 60_000).await;
        for id in names.iter().skip(usize::from(minute > 1)) {
            rig.report(id, 300.0 + minute as f64, at(minute * 60_000))
                .await;
        }
    }
    rig.until(330_000).await;
    let clock = rig.clock.clone();
    rig.stop().await;
    clock
}

impl Rig {
    /// The alarms and the devices that went offline: kind, whose, seconds since the start.
    fn said(&self) -> Vec<(String, String, i64)> {
        let mut said = Vec::new();
        let offline = EventFilter {
            kinds: vec!["cityhub.device.offline".to_owned()],
            ..EventFilter::default()
        };
        for filter in [of_alarms(), offline] {
            for event in self.reader.events(0, 1_000, &filter).unwrap() {
                let json: serde_json::Value = serde_json::from_str(&event.json).unwrap();
                let time = Timestamp::parse(json["time"].as_str().unwrap()).unwrap();
                let kind = event.kind.strip_prefix("cityhub.").unwrap().to_owned();
                said.push((kind, event.subject, (time.millis() - EPOCH) / 1000));
            }
        }
        said
    }
}

fn said(kind: &str, whose: &str, s: i64) -> (String, String, i64) {
    (kind.to_owned(), whose.to_owned(), s)
}

fn archive(folder: &Path) -> Archive {
    Archive::open(folder, &Catalogue::built_in(), rules::Settings::default()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn after_ten_minutes_without_the_hub_only_who_stays_dead_is_missed_and_a_patience_later() {
    let folder = tempfile::tempdir().unwrap();
    let clock = live_until_the_stop(folder.path()).await;
    tokio::time::sleep(AWAY).await;
    // From 930 s on. All but the first two report again, somewhat later than they should.
    let rig = start(folder.path(), clock);
    let before = silent_before();
    rig.until(990_000).await;
    assert_eq!(rig.said(), before);
    for minute in 17..=19 {
        rig.until(minute * 60_000).await;
        for id in names().iter().skip(2) {
            rig.report(id, 300.0 + minute as f64, at(minute * 60_000))
                .await;
        }
        if minute < 19 {
            assert_eq!(rig.said(), before, "at {minute} min");
        }
    }
    // gas-1 begins anew at 930 s, and is missed three cadences later; gas-0 stayed what it was.
    let expected = [
        said("alarm.raised", "a2", 240),
        said("alarm.raised", "a4", 1110),
        said("device.offline", "gas-0", 240),
        said("device.offline", "gas-1", 1110),
    ];
    assert_eq!(rig.said(), expected);
    rig.stop().await;

    let archive = archive(folder.path());
    let resumed: Vec<(Timestamp, String)> = archive
        .reader
        .changes()
        .unwrap()
        .into_iter()
        .filter(|row| row.json.contains("resumed"))
        .map(|row| (row.stamp, row.json))
        .collect();
    let since = at(330_000);
    let expected = Recorded::Resumed { since }.to_json();
    assert_eq!(resumed, [(at(930_000), expected)]);
    let verdict = verify(&archive).unwrap();
    assert_eq!(verdict.problems, Vec::<String>::new());
    assert_eq!(verdict.alarms, 2);
    // A backtest over all of it finds what was found, and so does one that begins in between.
    for (from, found) in [(0, vec![240, 1110]), (600_000, vec![1110, 1110])] {
        let trial = Backtest {
            rules: archive.rules_in_force().unwrap(),
            span: (at(from), at(1_140_000)),
            compared: false,
            whole: false,
        };
        let outcome = archive.backtest(trial, &mut |_| true).unwrap();
        let raised = outcome.alarms.iter();
        let raised: Vec<i64> = raised
            .map(|alarm| (alarm.row.raised_at.millis() - EPOCH) / 1000)
            .collect();
        assert_eq!(raised, found, "from {from}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_absence_moves_every_countdown_on_and_an_idle_hub_was_not_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.put(&[json!({"id": "gas-1", "kind": "gas_pressure", "cadence_s": 60})])
        .await;
    rig.until(1_000).await;
    rig.report("gas-1", 1.0, at(1_000)).await;
    rig.until(101_000).await;
    let clock = rig.clock.clone();
    rig.stop().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    rig = start(folder.path(), clock);
    // A hundred seconds of its patience had passed, and the minute without the hub does not count.
    rig.until(240_000).await;
    assert_eq!(rig.said(), []);
    rig.until(245_000).await;
    assert_eq!(rig.said(), [said("device.offline", "gas-1", 241)]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn every_start_replays_the_absences_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut clock = live_until_the_stop(folder.path()).await;
    for _ in 0..3 {
        tokio::time::sleep(AWAY).await;
        let rig = start(folder.path(), clock);
        tokio::time::sleep(Duration::from_secs(170)).await;
        let now = rig.clock.now();
        rig.report("gas-5", now.millis() as f64 % 7_000.0, now)
            .await;
        let offline = [said("device.offline", "gas-0", 240)];
        assert_eq!(rig.said()[1..], offline);
        clock = rig.clock.clone();
        rig.stop().await;
    }
    let verdict = verify(&archive(folder.path())).unwrap();
    assert_eq!(verdict.problems, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_list_of_rules_with_one_of_the_hubs_own_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    let spec = json!({"title": "x", "kind": "silence", "select": {}, "after_s": 60});
    let put = vec![
        ("mine".to_owned(), spec.clone()),
        ("~offline".to_owned(), spec),
    ];
    let refused = rig
        .command(Action::ChangeRules {
            put,
            delete: vec![],
        })
        .await
        .unwrap_err();
    assert!(matches!(refused, CommandError::Invalid(_)), "{refused}");
    assert!(rig.published.rules.all().is_empty());
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_another_version_is_made_anew_from_history_and_alarms_keep_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let clock = live_until_the_stop(folder.path()).await;
    let (mut journal, _, recovered) =
        store::open(folder.path(), store::Options::default()).unwrap();
    assert!(recovered.checkpoint.is_none());
    // Format 1 and whatever it was.
    journal.seal(vec![1, 0, 0, 0, 0, 7, 7]).unwrap();
    journal.close().unwrap();
    let mut rig = start(folder.path(), clock.clone());
    assert_eq!(rig.said(), silent_before());
    let a1 = |rig: &Rig| {
        rig.open_alarms()
            .iter()
            .map(|alarm| alarm.0.clone())
            .collect::<Vec<_>>()
    };
    let open = a1(&rig);
    assert_eq!(open.len(), 1);
    // Who was silent speaks, which ends the alarm that was raised before; the next has a new number.
    rig.until(335_000).await;
    rig.report("gas-0", 5.0, at(335_000)).await;
    assert_eq!(rig.said()[1], said("alarm.cleared", &open[0], 335));
    rig.stop().await;
    // It is still the old checkpoint.
    rig = start(folder.path(), clock);
    rig.until(520_000).await;
    let raised: Vec<_> = rig
        .said()
        .into_iter()
        .filter(|e| e.0 == "alarm.raised")
        .collect();
    let mut numbers: Vec<&str> = raised.iter().map(|event| event.1.as_str()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    // Everybody is silent again by now: the 99 since 480 s, the first since 515 s.
    assert_eq!((raised.len(), numbers.len()), (1 + DEVICES, 1 + DEVICES));
    assert_eq!(raised.last().unwrap().2, 515);
    rig.stop().await;
    let verdict = verify(&archive(folder.path())).unwrap();
    assert_eq!(verdict.problems, Vec::<String>::new());
}

/// What was said before the hub was stopped; alarms share their numbers with the hub's own rules.
fn silent_before() -> [(String, String, i64); 2] {
    [
        said("alarm.raised", "a2", 240),
        said("device.offline", "gas-0", 240),
    ]
}
