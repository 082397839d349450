//! Cases whose rule or device is changed or removed while the violation lasts.

use super::*;

const TO_VERIFIED: [&str; 5] = ["accept", "dispatch", "handle", "feedback", "verify"];

async fn verified(folder: &Path) -> Rig {
    let rig = start(folder, Clock::starting_at(at(0)));
    station(&rig).await;
    rig.press(555.0).await;
    walk(&rig, "c1", &TO_VERIFIED).await;
    rig
}

async fn close(rig: &Rig) -> Result<Value, CommandError> {
    rig.take_step("c1", json!({"step": "close"})).await
}

#[track_caller]
fn refused(answer: Result<Value, CommandError>) -> (String, Value) {
    match answer {
        Err(CommandError::Refused { reason, facts }) => (reason, facts),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn after_an_edit_the_last_reading_is_judged_by_the_new_limit() {
    let folder = tempfile::tempdir().unwrap();
    let rig = verified(folder.path()).await;
    rig.watch("over", json!({"above": 401.0})).await;
    let case = rig.case("c1");
    assert_eq!(case.violation, Some(true));
    assert!(case.note.unwrap().contains("rule changed"));
    let (_, facts) = refused(close(&rig).await);
    assert_eq!(facts["reading"]["value"], 555.0);
    assert_eq!(facts["reading"]["limit"], 401.0);
    // The next reading goes on with the same case, and is no repeat.
    rig.press(556.0).await;
    let [case] = rig.cases().try_into().unwrap();
    assert_eq!((case.repeats, case.violation), (0, Some(true)));
    assert_eq!((case.doubts.len(), case.alarms.len()), (0, 2));
    rig.press(300.0).await;
    assert_eq!(rig.case("c1").violation, Some(false));
    close(&rig).await.unwrap();
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_leaves_the_last_reading_within_the_limit_ends_the_violation() {
    let folder = tempfile::tempdir().unwrap();
    let rig = verified(folder.path()).await;
    rig.watch("over", json!({"above": 600.0})).await;
    let case = rig.case("c1");
    assert_eq!(case.violation, Some(false));
    assert!(case.note.unwrap().contains("within the limits"));
    close(&rig).await.unwrap();
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reading_within_the_limit_settles_what_an_edit_left_in_doubt_even_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let rig = verified(folder.path()).await;
    let mean = json!({"kind": "window", "aggregate": "mean", "window_s": 60, "above": 400.0});
    rig.watch("over", mean).await;
    assert_eq!(rig.case("c1").violation, None);
    let (reason, facts) = refused(close(&rig).await);
    assert!(reason.contains("nobody can tell"), "{reason}");
    assert_eq!(facts["reading"], Value::Null);
    let clock = rig.clock.clone();
    rig.stop().await;
    let rig = start(folder.path(), clock);
    // One reading of the window says nothing yet.
    rig.press(300.0).await;
    assert_eq!(rig.case("c1").violation, None);
    tokio::time::sleep(Duration::from_secs(60)).await;
    rig.press(300.0).await;
    assert_eq!(rig.case("c1").violation, Some(false));
    close(&rig).await.unwrap();
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_measures_any_more_is_closed_by_override_and_the_reason_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let rig = verified(folder.path()).await;
    rig.put_all(json!([{"id": "gas-1", "kind": "gas_pressure", "enabled": false}]))
        .await;
    let case = rig.case("c1");
    assert_eq!(case.violation, None);
    assert!(case.note.unwrap().contains("out of use"));
    let (reason, _) = refused(close(&rig).await);
    assert!(reason.contains("out of use"), "{reason}");
    let override_ = json!({"step": "close", "override": true, "note": "seen on the spot"});
    let closed = rig.take_step("c1", override_).await.unwrap();
    assert_eq!(closed["steps"][5]["overridden"], true);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_removed_leaves_the_violation_in_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let rig = verified(folder.path()).await;
    let id = "over".to_owned();
    rig.command(Action::DeleteRule { id, reason: None })
        .await
        .unwrap();
    let case = rig.case("c1");
    assert_eq!(case.violation, None);
    assert!(case.note.unwrap().contains("the rule was removed"));
    rig.press(300.0).await;
    assert_eq!(rig.case("c1").violation, None);
    rig.stop().await;
}
