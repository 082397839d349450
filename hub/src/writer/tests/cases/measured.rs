//! What a case says of the violation while it goes on, comes and goes, and is over.

use super::*;
use model::{CaseEvidence, Severity};

const TO_VERIFIED: [&str; 5] = ["accept", "dispatch", "handle", "feedback", "verify"];

impl Rig {
    /// Gives a case as the readers see it: with the figures that moved since its row was written.
    fn live(&self, id: &str) -> CaseRow {
        let moved = self.published.moved_cases.read().unwrap().get(id).cloned();
        moved.unwrap_or_else(|| self.case(id))
    }

    /// Sends what a device measures at once.
    async fn burst(&self, kpa: f64) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = self.clock.now();
        self.send(kpa, Some(now)).await;
    }

    async fn close(&self, id: &str) -> Result<Value, CommandError> {
        self.take_step(id, json!({"step": "close"})).await
    }
}

fn refused(answer: Result<Value, CommandError>) -> Value {
    match answer {
        Err(CommandError::Refused { facts, .. }) => facts,
        other => panic!("{other:?}"),
    }
}

fn figures(evidence: &CaseEvidence) -> (Option<f64>, Option<f64>, Option<f64>, u64) {
    (
        evidence.value,
        evidence.limit,
        evidence.peak,
        evidence.readings,
    )
}

#[tokio::test(start_paused = true)]
async fn what_chatters_unheard_is_measured_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    for _ in 0..3 {
        rig.burst(500.0).await;
        rig.burst(300.0).await;
    }
    rig.burst(620.0).await;
    let case = rig.live("c1");
    let alarm = rig
        .published
        .book
        .read()
        .unwrap()
        .get("a4")
        .unwrap()
        .clone();
    assert_eq!(alarm.suppression, Some(model::Suppression::Chatter));
    assert_eq!(alarm.case.as_deref(), Some("c1"));
    assert_eq!((case.repeats, case.alarms.len()), (3, 4));
    assert_eq!(case.violation, Some(true));
    assert_eq!(
        figures(&case.evidence),
        (Some(620.0), Some(400.0), Some(620.0), 4)
    );
    walk(&rig, "c1", &TO_VERIFIED).await;
    let facts = refused(rig.close("c1").await);
    assert_eq!(facts["reading"]["value"], 620.0);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn fifty_repeats_that_chatter_are_one_event_a_minute_and_all_in_the_case() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    for _ in 0..50 {
        rig.burst(500.0).await;
        rig.burst(300.0).await;
    }
    let case = rig.live("c1");
    assert_eq!((case.repeats, case.alarms.len()), (49, 50));
    assert_eq!(case.violation, Some(false));
    assert_eq!(case.evidence.readings, 50);
    tokio::time::sleep(Duration::from_secs(62)).await;
    let told = rig.kinds_of_case_events().len();
    assert!(told < 10, "{told} events");
    let case = rig.case("c1");
    assert_eq!((case.untold_since, case.moved_at), (None, None));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shelved_alarm_that_comes_again_keeps_its_case_from_being_closed() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    rig.press(450.0).await;
    let args = AlarmArgs {
        minutes: Some(30),
        reason: Some("works".to_owned()),
        ..AlarmArgs::default()
    };
    let action = Action::Alarm {
        id: "a1".to_owned(),
        verb: AlarmVerb::Shelve,
        version: None,
        comment: None,
        args,
        key: None,
    };
    rig.command(action).await.unwrap();
    rig.press(300.0).await;
    assert_eq!(rig.live("c1").violation, Some(false));
    tokio::time::sleep(Duration::from_secs(60)).await;
    rig.press(470.0).await;
    let case = rig.live("c1");
    assert_eq!((case.violation, case.repeats), (Some(true), 1));
    walk(&rig, "c1", &TO_VERIFIED).await;
    let facts = refused(rig.close("c1").await);
    assert_eq!(facts["reading"]["value"], 470.0);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_figures_are_those_of_now_in_rows_steps_and_events_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    for kpa in [410.0, 1000.0, 405.0, 395.0] {
        rig.press(kpa).await;
    }
    let case = rig.live("c1");
    // 395 is within the deadband: the alarm goes on, but this reading is not beyond the limit.
    let now = (Some(405.0), Some(400.0), Some(1000.0), 3);
    assert_eq!(figures(&case.evidence), now);
    assert_eq!(case.evidence.latest.unwrap().value, Some(395.0));
    assert_eq!(case.version, 1);
    let clock = rig.clock.clone();
    rig.stop().await;
    let rig = start(folder.path(), clock);
    let after = rig.live("c1");
    assert_eq!(after.evidence, case.evidence);
    let answer = rig.take_step("c1", json!({"step": "accept"})).await;
    let answer: CaseRow = serde_json::from_value(answer.unwrap()).unwrap();
    assert_eq!(figures(&answer.evidence), now);
    assert_eq!(rig.case("c1").evidence, answer.evidence);
    let events = rig
        .reader
        .events(0, 1_000, &EventFilter::default())
        .unwrap();
    let last = events.last().unwrap();
    assert!(last.json.contains("1000.0"), "{}", last.json);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_the_end_the_case_shows_what_violated_and_not_what_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    rig.press(420.0).await;
    let violated_at = rig.clock.now();
    rig.press(300.0).await;
    let evidence = rig.live("c1").evidence;
    assert_eq!(
        figures(&evidence),
        (Some(420.0), Some(400.0), Some(420.0), 1)
    );
    assert_eq!(
        (evidence.from, evidence.to),
        (Some(violated_at), Some(violated_at))
    );
    assert_eq!(evidence.latest.unwrap().value, Some(300.0));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_milder_stage_does_not_replace_what_the_worst_one_measured() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    let levels =
        json!([{"severity": "minor", "above": 150.0}, {"severity": "major", "above": 300.0}]);
    rig.watch(
        "over",
        json!({"above": null, "severity": null, "deadband": null, "levels": levels}),
    )
    .await;
    rig.press(310.0).await;
    rig.press(200.0).await;
    let case = rig.live("c1");
    assert_eq!(case.severity, Severity::Major);
    assert_eq!(
        figures(&case.evidence),
        (Some(310.0), Some(300.0), Some(310.0), 2)
    );
    assert_eq!(case.evidence.latest.unwrap().value, Some(200.0));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_composite_and_its_members_are_one_incident_shown_by_the_members_reading() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    rig.watch("hot", json!({"above": 440.0})).await;
    let comp = json!({"title": "燃气泄漏", "kind": "all", "of": ["over", "hot"], "scope": "device",
        "suppress": true, "severity": "critical", "category": "0403"});
    rig.command(Action::PutRule {
        id: "comp".to_owned(),
        spec: comp,
        reason: None,
    })
    .await
    .unwrap();
    rig.press(420.0).await;
    rig.press(450.0).await;
    let [case] = rig.cases().try_into().unwrap();
    assert_eq!((case.repeats, case.severity), (0, Severity::Critical));
    assert_eq!(case.active_alarms.len(), 3);
    assert_eq!(case.evidence.metric.as_deref(), Some("pressure_kpa"));
    assert_eq!(
        figures(&case.evidence),
        (
            Some(450.0),
            Some(440.0),
            Some(450.0),
            case.evidence.readings
        )
    );
    rig.press(470.0).await;
    assert_eq!(rig.live("c1").evidence.value, Some(470.0));
    walk(&rig, "c1", &TO_VERIFIED).await;
    let facts = refused(rig.close("c1").await);
    assert_eq!(facts["reading"]["metric"], "pressure_kpa");
    assert_eq!(facts["reading"]["value"], 470.0);
    assert_eq!(facts["reading"]["limit"], 440.0);
    rig.press(300.0).await;
    assert_eq!(rig.live("c1").violation, Some(false));
    // The same incident once more is one repeat.
    tokio::time::sleep(Duration::from_secs(120)).await;
    rig.press(420.0).await;
    rig.press(450.0).await;
    assert_eq!(rig.live("c1").repeats, 1);
    rig.stop().await;
}
