//! What people were told, and what a backtest says that they would have been told.

use super::{Rig, at, start};
use crate::judge::{Archive, Backtest};
use model::{AlarmRow, AlarmState, Catalogue, Observation, Quality, Suppression, Timestamp, Value};
use sdk::{Action, Clock, Part, Submission};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use web::Reviewed;

const CHILDREN: usize = 500;

/// Devices of the street, each once a minute: a gateway with its children, and what stands alone.
fn devices() -> Vec<Json> {
    let child = |number| json!({"id": format!("noise-{number}"), "kind": "noise", "parent": "gw", "cadence_s": 60});
    let alone = |id: &str, kind: &str| json!({"id": id, "kind": kind, "site": "花园路"});
    let mut devices = vec![json!({"id": "gw", "kind": "gateway", "cadence_s": 60})];
    devices.extend((1..=CHILDREN).map(child));
    devices.extend([
        alone("gas-1", "gas_pressure"),
        alone("smoke-1", "smoke"),
        alone("smoke-2", "smoke"),
    ]);
    devices
}

/// The rules of the pack `health`, one that chatters and one that needs two.
fn rules() -> BTreeMap<String, Json> {
    let pack = rules::read_pack("health").unwrap().unwrap();
    let mut rules: BTreeMap<String, Json> = pack
        .into_iter()
        .map(|(id, spec)| (id, spec.to_json()))
        .collect();
    let over = |kind: &str| {
        json!({"title": "超限", "kind": "threshold", "select": {"kind": kind},
            "metric": "pressure_kpa", "above": 400.0, "severity": "major"})
    };
    let both = json!({"title": "确认", "kind": "all", "of": ["smoke"], "scope": "site",
        "devices_min": 2, "within_s": 60, "suppress": true, "hold_s": 30, "severity": "critical"});
    rules.insert("gas".to_owned(), over("gas_pressure"));
    rules.insert("smoke".to_owned(), over("smoke"));
    rules.insert("two-smokes".to_owned(), both);
    rules
}

impl Rig {
    /// Lets many devices report at once.
    async fn report_all(&self, ids: &[String], value: f64) {
        let now = self.clock.now();
        let part = |id: &String| Part {
            device: self.published.devices.find(id).unwrap().key,
            received: 1,
            observations: vec![Observation {
                metric: self.pressure,
                value: Value::Number(value),
                quality: Quality::GOOD,
                observed_at: Some(now),
            }],
            rejected: vec![],
        };
        let submission = Submission {
            parts: ids.iter().map(part).collect(),
            quarantined: vec![],
        };
        drop(self.ingest.commit(submission).await.unwrap());
    }

    /// Waits until a second of the story, and lets one device report.
    async fn report_at(&self, s: i64, id: &str, value: f64) {
        self.wait_until(s).await;
        self.report(id, value, self.clock.now()).await;
    }

    async fn wait_until(&self, s: i64) {
        let wait_ms = at(s * 1000).since_ms(self.clock.now());
        tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())).await;
    }

    /// Gives every alarm as people see it.
    fn alarms(&self) -> Vec<AlarmRow> {
        let rows = self.reader.alarms_between(Timestamp::MIN, Timestamp::MAX);
        let book = self.published.book.read().unwrap();
        let rows = rows.unwrap().into_iter();
        // Figures move without being written at once.
        rows.map(|row| book.get(&row.id).cloned().unwrap_or(row))
            .collect()
    }
}

/// A gateway and its children fall silent at 70 s and are back at 400 s, but for one of them. A
/// gas sensor chatters, and a fire is confirmed by the second detector.
async fn story(folder: &Path) -> Vec<AlarmRow> {
    let rig = start(folder, Clock::starting_at(at(0)));
    rig.put(&devices()).await;
    for (id, spec) in rules() {
        rig.command(Action::PutRule {
            id,
            spec,
            reason: None,
        })
        .await
        .unwrap();
    }
    let children: Vec<String> = (1..=CHILDREN).map(|n| format!("noise-{n}")).collect();
    for s in [10, 70] {
        rig.wait_until(s).await;
        rig.report_all(&children, s as f64).await;
    }
    // While they are silent, one of them is moved and one is taken down.
    rig.wait_until(320).await;
    rig.put(&[
        json!({"id": "noise-7", "kind": "noise", "parent": "gw", "cadence_s": 60,
        "site": "花园路"}),
    ])
    .await;
    rig.wait_until(330).await;
    let gone = model::DeviceId::new("noise-8").unwrap();
    rig.command(Action::DeleteDevice(gone)).await.unwrap();
    let back: Vec<String> = children
        .iter()
        .filter(|id| !["noise-8", "noise-500"].contains(&id.as_str()))
        .cloned()
        .collect();
    for s in [400, 460, 520, 580, 640] {
        rig.wait_until(s).await;
        rig.report_all(&back, s as f64).await;
    }
    for s in (650..658).step_by(2) {
        rig.report_at(s, "gas-1", 450.0).await;
        rig.report_at(s + 1, "gas-1", 300.0).await;
    }
    rig.report_at(660, "smoke-1", 450.0).await;
    rig.report_at(670, "smoke-2", 460.0).await;
    rig.report_at(690, "smoke-1", 300.0).await;
    rig.wait_until(700).await;
    let alarms = rig.alarms();
    rig.stop().await;
    alarms
}

fn backtest(folder: &Path, until_s: i64) -> Reviewed {
    let settings = rules::Settings::default();
    let archive = Archive::open(folder, &Catalogue::built_in(), settings).unwrap();
    let trial = Backtest {
        rules: archive.rules_in_force().unwrap(),
        span: (at(0), at(until_s * 1000)),
        compared: true,
        whole: true,
    };
    archive.backtest(trial, &mut |_| true).unwrap()
}

/// Names each alarm, and its cause, by what it is about, and puts them in order.
fn named(rows: impl IntoIterator<Item = AlarmRow>) -> Vec<AlarmRow> {
    let mut rows: Vec<AlarmRow> = rows.into_iter().collect();
    let name = |row: &AlarmRow| format!("{} {} {}", row.rule, row.device, row.raised_at);
    let names: BTreeMap<String, String> =
        rows.iter().map(|row| (row.id.clone(), name(row))).collect();
    for row in &mut rows {
        row.id = names[&row.id].clone();
        // A backtest opens no case.
        row.case = None;
        let cause = row.suppressed_by.as_ref();
        row.suppressed_by = cause.map(|by| names.get(by).unwrap_or(by).clone());
    }
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    rows
}

#[tokio::test(start_paused = true)]
async fn a_backtest_tells_people_what_they_were_told() {
    let folder = tempfile::tempdir().unwrap();
    let live = named(story(folder.path()).await);
    let again = backtest(folder.path(), 700);
    let rows = again.alarms.iter().map(|alarm| alarm.row.clone());
    let again_rows = named(rows);
    assert_eq!(live.len(), again_rows.len());
    for (live, again) in live.iter().zip(&again_rows) {
        assert_eq!(live, again);
    }
    // The gateway, the child that stays silent, the gas sensor until it chatters, the fire.
    let told = |row: &&AlarmRow| row.announced_at.is_some();
    let told: Vec<(&str, i64)> = live
        .iter()
        .filter(told)
        .map(|row| {
            (
                row.device.as_str(),
                row.announced_at.unwrap().since_ms(at(0)) / 1000,
            )
        })
        .collect();
    let expected = [
        ("gas-1", 650),
        ("gas-1", 652),
        ("gw", 250),
        ("noise-500", 400 + 180),
        ("smoke-2", 670),
    ];
    assert_eq!(told, expected);
    let rates = again.rates();
    assert_eq!(rates["tested"]["announced"], 5);
    assert_eq!(rates["tested"], rates["in_force"]);
    assert_eq!(rates["tested"]["floods"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_dead_gateway_is_one_announcement_in_a_backtest() {
    let folder = tempfile::tempdir().unwrap();
    story(folder.path()).await;
    let found = backtest(folder.path(), 300);
    let (told, kept): (Vec<_>, Vec<_>) = found.alarms.iter().partition(|alarm| alarm.announced);
    let [gateway] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(gateway.row.rule, "health.gateway_silent");
    assert_eq!(kept.len(), CHILDREN);
    for alarm in kept {
        let row = &alarm.row;
        assert_eq!(row.suppressed_by.as_ref(), Some(&gateway.row.id));
        assert_eq!(row.suppression, Some(Suppression::Gateway));
        assert_eq!((row.state, row.active), (AlarmState::Suppressed, true));
    }
    assert_eq!(found.rates()["tested"]["announced"], 1);
    assert_eq!(found.rates()["tested"]["max"], 1);
    assert_eq!(found.rates()["tested"]["floods"], 0);
}
