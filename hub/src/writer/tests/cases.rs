//! From alarm to case, with time in the test's hand.

mod again;
mod edited;
mod measured;

use super::{EPOCH, Rig, at, start, start_with};
use crate::codes::OwnTables;
use crate::grid::Grids;
use model::{CaseRow, CaseState, CaseStep, Timestamp};
use sdk::{Action, AlarmArgs, AlarmVerb, Clock, CommandError, StepReport};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use store::{CaseFilter, CaseQuery, EventFilter};

/// One unit grid around 118.09, 24.48.
const GRID: &str = r#"{"type":"FeatureCollection","features":[
    {"type":"Feature","properties":{"code":"350203001002003"},"geometry":{"type":"Polygon","coordinates":
        [[[118.08,24.47],[118.10,24.47],[118.10,24.49],[118.08,24.49],[118.08,24.47]]]}}]}"#;

fn grids(folder: &Path) -> Grids {
    let file = folder.join("grid.geojson");
    std::fs::write(&file, GRID).unwrap();
    Grids::read(&file).unwrap()
}

impl Rig {
    async fn put_all(&self, devices: Value) {
        let rows = devices.as_array().unwrap().iter();
        let rows = rows.map(|row| {
            let device = serde_json::from_value(row.clone()).unwrap();
            (device, sdk::SecretChange::Keep)
        });
        self.command(Action::PutDevices(rows.collect()))
            .await
            .unwrap();
    }

    async fn watch(&self, id: &str, more: Value) {
        let mut spec = json!({"title": "中压燃气管道超压", "kind": "threshold", "select": {},
            "metric": "pressure_kpa", "above": 400.0, "deadband": 10.0, "severity": "major",
            "category": "0403"});
        let fields = spec.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        fields.retain(|_, value| !value.is_null());
        let (id, spec) = (id.to_owned(), spec);
        self.command(Action::PutRule {
            id,
            spec,
            reason: None,
        })
        .await
        .unwrap();
    }

    /// Lets a second pass, and sends what a device measures then.
    async fn press(&self, kpa: f64) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = self.clock.now();
        self.send(kpa, Some(now)).await;
    }

    async fn take_step(&self, id: &str, report: Value) -> Result<Value, CommandError> {
        let (id, report) = (
            id.to_owned(),
            StepReport::parse(report.to_string().as_bytes()).unwrap(),
        );
        self.command(Action::CaseStep {
            id,
            report,
            key: None,
        })
        .await
    }

    fn case(&self, id: &str) -> CaseRow {
        self.reader.case(id).unwrap().unwrap()
    }

    fn cases(&self) -> Vec<CaseRow> {
        let query = CaseQuery {
            states: CaseFilter::All,
            limit: 100,
            ..CaseQuery::default()
        };
        let page = self.reader.cases(&query).unwrap();
        let mut rows: Vec<CaseRow> = page
            .rows
            .iter()
            .map(|row| serde_json::from_str(row).unwrap())
            .collect();
        rows.reverse();
        rows
    }

    fn case_events(&self) -> Vec<(u64, String, String)> {
        let filter = EventFilter {
            kinds: vec!["cityhub.case".to_owned()],
            ..EventFilter::default()
        };
        let events = self.reader.events(0, 1_000, &filter).unwrap().into_iter();
        events
            .map(|event| {
                (
                    event.seq,
                    event.kind.replace("cityhub.case.", ""),
                    event.subject,
                )
            })
            .collect()
    }

    fn kinds_of_case_events(&self) -> Vec<String> {
        self.case_events()
            .into_iter()
            .map(|event| event.1)
            .collect()
    }
}

/// A regulator station in the grid, and a rule that makes cases of it.
async fn station(rig: &Rig) {
    rig.put_all(json!([
        {"id": "gas-1", "kind": "gas_pressure", "name": "花园路调压箱03", "site": "花园路",
         "component_code": "3502030101350001",
         "location": {"lon": 118.0894, "lat": 24.4798}},
        {"id": "cam-far", "kind": "camera", "location": {"lon": 118.0910, "lat": 24.4798}},
        {"id": "cam-near", "kind": "camera", "location": {"lon": 118.0896, "lat": 24.4798}},
        {"id": "cam-away", "kind": "camera", "location": {"lon": 118.0994, "lat": 24.4798}},
    ]))
    .await;
    rig.watch("over", json!({})).await;
}

async fn walk(rig: &Rig, id: &str, steps: &[&str]) {
    for step in steps {
        rig.take_step(id, json!({"step": step})).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_alarm_opens_a_case_with_all_that_the_platform_needs() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::starting_at(at(0));
    let rig = start_with(
        folder.path(),
        clock,
        &OwnTables::default(),
        grids(folder.path()),
    );
    station(&rig).await;
    rig.press(300.0).await;
    rig.press(412.5).await;
    let [case] = rig.cases().try_into().unwrap();
    assert_eq!(case.id, "c1");
    assert_eq!(
        (case.category.code.as_str(), case.category.name.as_str()),
        ("0403", "燃气管道破裂")
    );
    assert_eq!(case.title, "中压燃气管道超压");
    assert_eq!(
        case.description,
        "花园路调压箱03（gas-1），花园路：pressure_kpa 412.5 kPa，限值 400 kPa"
    );
    assert_eq!(case.grid.as_deref(), Some("350203001002003"));
    assert_eq!(
        (case.district.as_deref(), case.street.as_deref()),
        (Some("350203"), Some("350203001"))
    );
    assert_eq!(case.component_code.as_deref(), Some("3502030101350001"));
    assert_eq!(case.component.unwrap().name, "燃气调压站（箱）");
    // 0.0002° of longitude are some 20 m, 0.0016° some 162 m, 0.01° some 1 km.
    assert_eq!(case.cameras, ["cam-near", "cam-far"]);
    assert_eq!(case.evidence.value, Some(412.5));
    assert_eq!(
        (case.evidence.limit, case.evidence.readings),
        (Some(400.0), 1)
    );
    assert_eq!(case.state, CaseState::Reported);
    // Two 紧急工作时, which count by night, too.
    assert_eq!(case.due_at, Some(case.opened_at.plus_s(7_200)));
    assert_eq!((case.unroutable, case.violation), (None, Some(true)));
    assert_eq!(case.codes_version, "2026-11-21");
    let alarm = rig.reader.alarm("a1").unwrap().unwrap();
    assert_eq!(alarm.case.as_deref(), Some("c1"));
    assert_eq!(
        rig.case_events(),
        [(rig.reader.mark().1, "opened".to_owned(), "c1".to_owned())]
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_place_of_another_datum_is_kept_and_converted_where_it_is_compared() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::starting_at(at(0));
    let rig = start_with(
        folder.path(),
        clock,
        &OwnTables::default(),
        grids(folder.path()),
    );
    // 583 m to the south-east in GCJ-02, by the published algorithm: outside of the grid there.
    rig.put_all(json!([{"id": "gas-1", "kind": "gas_pressure",
        "location": {"lon": 118.1040, "lat": 24.4798, "datum": "GCJ02"}}]))
        .await;
    rig.watch("over", json!({})).await;
    rig.press(450.0).await;
    let [case] = rig.cases().try_into().unwrap();
    let place = case.location.unwrap();
    assert_eq!((place.lon, place.datum.as_str()), (118.1040, "GCJ02"));
    assert_eq!(case.grid.as_deref(), Some("350203001002003"));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_no_table_can_give_to_anybody_is_opened_and_found_in_its_queue() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::starting_at(at(0));
    let rig = start_with(
        folder.path(),
        clock,
        &OwnTables::default(),
        grids(folder.path()),
    );
    rig.put_all(json!([{"id": "gas-1", "kind": "truck"}])).await;
    rig.watch("over", json!({"category": "9999"})).await;
    rig.press(450.0).await;
    let query = CaseQuery {
        unroutable: true,
        limit: 10,
        ..CaseQuery::default()
    };
    let page = rig.reader.cases(&query).unwrap();
    let case: CaseRow = serde_json::from_str(&page.rows[0]).unwrap();
    assert_eq!(case.unroutable.as_deref(), Some("no category, no grid"));
    assert_eq!(
        (case.category.code.as_str(), case.district.as_deref()),
        ("9999", Some("350200"))
    );
    assert_eq!(rig.published.cases.read().unwrap().unroutable, 1);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn health_alarms_and_rules_on_trial_never_become_cases() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.put_all(json!([{"id": "gas-1", "kind": "gas_pressure"}]))
        .await;
    let silence = json!({"title": "失联", "kind": "silence", "select": {}, "after_s": 60,
        "severity": "critical", "category": "0403"});
    let frozen = json!({"title": "读数不变", "kind": "frozen", "select": {}, "after_s": 5,
        "metric": "pressure_kpa", "severity": "critical", "category": "0403"});
    for (id, spec) in [("silent", silence), ("stuck", frozen)] {
        let id = id.to_owned();
        rig.command(Action::PutRule {
            id,
            spec,
            reason: None,
        })
        .await
        .unwrap();
    }
    rig.watch("trial", json!({"shadow": true})).await;
    for _ in 0..8 {
        rig.press(450.0).await;
    }
    tokio::time::sleep(Duration::from_secs(120)).await;
    let alarms = rig.open_alarms();
    assert_eq!(alarms.len(), 3, "{alarms:?}");
    assert_eq!(rig.cases(), []);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shelved_alarm_opens_no_case_until_it_leaves_the_shelf() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.put_all(json!([{"id": "gas-1", "kind": "gas_pressure"}]))
        .await;
    // Without a category and below `minor` it is the duty room's alone.
    rig.watch("over", json!({"severity": "warning", "category": null}))
        .await;
    rig.press(450.0).await;
    assert_eq!(rig.cases(), []);
    let act = |verb, args| Action::Alarm {
        id: "a1".to_owned(),
        verb,
        version: None,
        comment: None,
        args,
        key: None,
    };
    let shelf = AlarmArgs {
        minutes: Some(30),
        reason: Some("works".to_owned()),
        ..AlarmArgs::default()
    };
    rig.command(act(AlarmVerb::Shelve, shelf)).await.unwrap();
    // Now every alarm of the rule would be a case.
    rig.watch("over", json!({"severity": "warning"})).await;
    rig.press(300.0).await;
    rig.press(460.0).await;
    let shelved = rig.open_alarms();
    assert!(
        shelved
            .iter()
            .any(|alarm| alarm.1 == model::AlarmState::Shelved),
        "{shelved:?}"
    );
    assert_eq!(rig.cases(), []);
    tokio::time::sleep(Duration::from_secs(1_801)).await;
    rig.press(461.0).await;
    let [case] = rig.cases().try_into().unwrap();
    assert_eq!(case.state, CaseState::Reported);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_sensor_blocks_the_closing_with_its_reading_and_closes_nothing_itself() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    rig.press(450.0).await;
    walk(
        &rig,
        "c1",
        &["accept", "dispatch", "handle", "feedback", "verify"],
    )
    .await;
    let before = rig.case("c1");
    let refused = rig.take_step("c1", json!({"step": "close"})).await;
    let Err(CommandError::Refused { reason, facts }) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        reason.contains("450 kPa") && reason.contains("limit 400 kPa"),
        "{reason}"
    );
    assert_eq!(facts["state"], "verified");
    assert_eq!(facts["reading"]["value"], 450.0);
    assert_eq!(facts["possible"], json!(["close", "return", "supervise"]));
    assert_eq!(rig.case("c1"), before);
    rig.press(300.0).await;
    let cleared = rig.case("c1");
    assert_eq!(
        (cleared.state, cleared.violation),
        (CaseState::Verified, Some(false))
    );
    rig.take_step("c1", json!({"step": "close"})).await.unwrap();
    assert_eq!(rig.case("c1").state, CaseState::Closed);
    assert_eq!(
        rig.kinds_of_case_events(),
        [
            "opened", "step", "step", "step", "step", "step", "updated", "step", "closed"
        ]
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_repeat_joins_the_open_case_and_reopens_the_closed_one() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    for kpa in [450.0, 300.0, 470.0, 300.0] {
        rig.press(kpa).await;
        // More often than that would be chatter.
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let [case] = rig.cases().try_into().unwrap();
    assert_eq!(
        (case.repeats, case.alarms.as_slice()),
        (1, ["a1".to_owned(), "a2".to_owned()].as_slice())
    );
    assert_eq!(case.evidence.peak, Some(470.0));
    walk(
        &rig,
        "c1",
        &[
            "accept", "dispatch", "handle", "feedback", "verify", "close",
        ],
    )
    .await;
    rig.press(480.0).await;
    let [old, new] = rig.cases().try_into().unwrap();
    assert_eq!(old.reopened_by.as_deref(), Some("c2"));
    assert_eq!(new.reopens.as_deref(), Some("c1"));
    assert_eq!(new.state, CaseState::Reported);
    assert!(!old.alarms.contains(&new.alarm));
    rig.stop().await;
}
