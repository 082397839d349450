//! Cases that come again, after restarts and to people with other roles.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_false_alarm_is_told_to_its_case_which_stays_open() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    rig.press(450.0).await;
    let action = Action::Alarm {
        id: "a1".to_owned(),
        verb: AlarmVerb::FalseAlarm,
        version: None,
        comment: Some("test gas".to_owned()),
        args: AlarmArgs::default(),
        key: None,
    };
    rig.command(action).await.unwrap();
    let case = rig.case("c1");
    assert_eq!(
        (case.state, case.verdict.as_deref()),
        (CaseState::Reported, Some("false_alarm"))
    );
    assert!(case.note.unwrap().contains("a1"));
    // The officer has an opinion; the sensor measures what it measures.
    assert_eq!(case.violation, Some(true));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_peak_is_told_once_a_minute_at_most_and_the_end_tells_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    for second in 0..70 {
        rig.press(410.0 + f64::from(second)).await;
    }
    rig.press(300.0).await;
    assert_eq!(rig.kinds_of_case_events(), ["opened", "updated", "updated"]);
    let case = rig.case("c1");
    assert_eq!(
        (case.evidence.peak, case.evidence.readings),
        (Some(479.0), 70)
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_comes_again_is_carried_out_once() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    rig.press(450.0).await;
    let timed = json!({"step": "accept", "actor": "zhang", "at": rig.clock.now(), "note": "n"});
    let first = rig.take_step("c1", timed.clone()).await.unwrap();
    assert_eq!(rig.take_step("c1", timed).await.unwrap(), first);
    let named = json!({"step": "dispatch", "id": "m-7"});
    let second = rig.take_step("c1", named.clone()).await.unwrap();
    walk(&rig, "c1", &["handle"]).await;
    assert_eq!(rig.take_step("c1", named).await.unwrap(), second);
    // The id of another report is a mistake, which is named and changes nothing.
    let other = json!({"step": "feedback", "id": "m-7"});
    let Err(CommandError::Invalid(reason)) = rig.take_step("c1", other).await else {
        panic!("another report under the same id");
    };
    assert!(reason.contains("`m-7`"), "{reason}");
    // Without a time of its own or an id it is another one.
    let again = rig.take_step("c1", json!({"step": "handle"})).await;
    assert!(
        matches!(again, Err(CommandError::Refused { .. })),
        "{again:?}"
    );
    assert_eq!(rig.case("c1").steps.len(), 3);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_over_mqtt_without_a_name_that_comes_again_at_once_is_carried_out_once() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    rig.press(450.0).await;
    let report = json!({"step": "supervise", "note": "the mayor asks"});
    let send = async || {
        let report = serde_json::from_value(report.clone()).unwrap();
        rig.command(Action::CaseStep {
            id: "c1".to_owned(),
            report,
            key: Some(sdk::UNNAMED.to_owned()),
        })
        .await
    };
    let first = send().await.unwrap();
    let steps = rig.case("c1").steps.len();
    assert_eq!(send().await.unwrap(), first);
    assert_eq!(rig.case("c1").steps.len(), steps);
    // A minute later it is another one.
    tokio::time::sleep(Duration::from_secs(61)).await;
    send().await.unwrap();
    assert_eq!(rig.case("c1").steps.len(), steps + 1);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn time_alone_makes_a_case_overdue_and_ends_its_deferment_even_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    rig.press(450.0).await;
    rig.press(300.0).await;
    walk(&rig, "c1", &["accept"]).await;
    let opened = rig.case("c1").opened_at;
    // An hour of two is spent when it is put off for a day.
    tokio::time::sleep(Duration::from_secs(3_599)).await;
    let stopped = rig.clock.now();
    let until = stopped.plus_s(86_400);
    let defer = json!({"step": "defer", "note": "flood", "until": until});
    rig.take_step("c1", defer).await.unwrap();
    let clock = rig.clock.clone();
    rig.stop().await;
    let rig = start(folder.path(), clock);
    tokio::time::sleep(Duration::from_secs(86_402)).await;
    let resumed = rig.case("c1");
    assert_eq!(
        (resumed.state, resumed.deferred_until),
        (CaseState::Accepted, None)
    );
    let left_ms = opened.plus_s(7_200).since_ms(rig_stopped(&resumed));
    assert_eq!(resumed.due_at, Some(until.plus_ms(left_ms)));
    assert!(!resumed.overdue);
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    assert!(rig.case("c1").overdue);
    assert_eq!(rig.published.cases.read().unwrap().overdue, 1);
    let extend = rig
        .take_step("c1", json!({"step": "extend", "note": "late"}))
        .await;
    assert!(matches!(&extend, Err(CommandError::Invalid(reason)) if reason.contains("overdue")));
    rig.stop().await;
}

/// When the clock of a case stopped: when the hub learnt of the deferment.
fn rig_stopped(row: &CaseRow) -> Timestamp {
    let step = row.steps.iter().find(|step| step.step == CaseStep::Defer);
    step.unwrap().received_at
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_cases_repeats_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    station(&rig).await;
    rig.press(450.0).await;
    walk(&rig, "c1", &["accept"]).await;
    let (before, counts) = (rig.case("c1"), rig.published.cases.read().unwrap().clone());
    let clock = rig.clock.clone();
    rig.stop().await;
    let rig = start(folder.path(), clock);
    assert_eq!(rig.case("c1"), before);
    assert_eq!(*rig.published.cases.read().unwrap(), counts);
    rig.press(300.0).await;
    rig.press(450.0).await;
    let [case] = rig.cases().try_into().unwrap();
    assert_eq!((case.repeats, case.violation), (1, Some(true)));
    assert!(case.opened_at >= Timestamp::from_millis(EPOCH));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_citys_own_tables_decide_before_the_built_in_ones() {
    let folder = tempfile::tempdir().unwrap();
    let own = |name: &str, text: &str| Some((name.to_owned(), text.to_owned()));
    let tables = OwnTables {
        categories: own(
            "categories.csv",
            "code,name\n0403,燃气泄漏\n2101,燃气超压\n",
        ),
        time_limits: own("limits.csv", "category,amount,unit\n2101,1,natural_day\n"),
        mapping: own(
            "mapping.csv",
            "rule,case,code,unit,major\nover*,yes,2101,燃气公司,yes\n",
        ),
        ..OwnTables::default()
    };
    let rig = start_with(
        folder.path(),
        Clock::starting_at(at(0)),
        &tables,
        Grids::default(),
    );
    station(&rig).await;
    rig.press(450.0).await;
    let case = rig.case("c1");
    assert_eq!(
        (case.category.code.as_str(), case.category.name.as_str()),
        ("2101", "燃气超压")
    );
    assert_eq!((case.unit.as_deref(), case.major), (Some("燃气公司"), true));
    assert_eq!(case.due_at, Some(case.opened_at.plus_s(86_400)));
    assert!(
        case.codes_version.starts_with("2026-11-21+"),
        "{}",
        case.codes_version
    );
    rig.stop().await;
}
