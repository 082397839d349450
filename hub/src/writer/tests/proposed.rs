//! A change of a rule that needs a second person: nothing guards otherwise until one approves.

use super::{Rig, at, start_approving};
use crate::codes::OwnTables;
use crate::config::ApprovalConfig;
use crate::grid::Grids;
use sdk::{Action, Clock, CommandError};
use serde_json::{Value, json};
use std::path::Path;

fn begin(folder: &Path, clock: Clock) -> Rig {
    let approval = ApprovalConfig {
        critical: true,
        ..ApprovalConfig::default()
    };
    let own = (&OwnTables::default(), Grids::default());
    start_approving(folder, clock, own, approval)
}

fn over(above: f64, severity: &str) -> Value {
    json!({"title": "超压", "kind": "threshold", "select": {}, "metric": "pressure_kpa",
        "above": above, "severity": severity})
}

fn put(above: f64, severity: &str) -> Action {
    Action::PutRule {
        id: "over".to_owned(),
        spec: over(above, severity),
        reason: Some("new limit".to_owned()),
    }
}

fn decide(revision: u64, approve: bool) -> Action {
    Action::DecideRule {
        id: "over".to_owned(),
        revision,
        approve,
        reason: Some("seen".to_owned()),
    }
}

fn delete() -> Action {
    Action::DeleteRule {
        id: "over".to_owned(),
        reason: None,
    }
}

/// What runs: its version and limit.
fn in_force(rig: &Rig) -> Option<(u64, Option<f64>)> {
    let rule = rig.published.rules.find("over")?;
    Some((rule.revision, rule.spec["above"].as_f64()))
}

fn waits(rig: &Rig) -> Vec<(u64, String)> {
    let pending = rig.published.rules.pending();
    pending.into_iter().map(|of| (of.revision, of.by)).collect()
}

/// Actors, actions and versions of the audit trail about the rule.
fn told(rig: &Rig) -> Vec<(String, String, Value)> {
    let links = rig.reader.audit(0, 1_000).unwrap().into_iter();
    let of_rule = links.filter(|link| link.subject == "over");
    of_rule
        .map(|link| {
            let detail: Value = serde_json::from_str(&link.detail).unwrap();
            (link.actor, link.action, detail["revision"].clone())
        })
        .collect()
}

fn words(told: &[(&str, &str, u64)]) -> Vec<(String, String, Value)> {
    let word = |(actor, action, revision): &(&str, &str, u64)| {
        ((*actor).to_owned(), (*action).to_owned(), json!(revision))
    };
    told.iter().map(word).collect()
}

#[tokio::test(start_paused = true)]
async fn a_change_waits_through_restarts_until_another_person_approves_it() {
    let folder = tempfile::tempdir().unwrap();
    let rig = begin(folder.path(), Clock::starting_at(at(0)));
    // A new critical rule guards nothing before it is approved.
    let answer = rig.command_of("li", put(400.0, "critical")).await.unwrap();
    assert_eq!(
        answer,
        json!({"id": "over", "revision": 1, "state": "pending"})
    );
    assert_eq!(
        (in_force(&rig), waits(&rig)),
        (None, vec![(1, "li".to_owned())])
    );
    let own = rig.command_of("li", decide(1, true)).await;
    assert!(matches!(own, Err(CommandError::Forbidden(_))), "{own:?}");
    rig.command_of("wang", decide(1, true)).await.unwrap();
    assert_eq!(
        (in_force(&rig), waits(&rig)),
        (Some((1, Some(400.0))), vec![])
    );
    // Less severe than before is no way around it.
    rig.command_of("li", put(380.0, "minor")).await.unwrap();
    let clock = rig.clock.clone();
    rig.stop().await;
    let rig = begin(folder.path(), clock);
    assert_eq!(in_force(&rig), Some((1, Some(400.0))));
    assert_eq!(waits(&rig), [(2, "li".to_owned())]);
    // Who approves must have seen what waits now.
    rig.command_of("chen", put(390.0, "critical"))
        .await
        .unwrap();
    let stale = rig.command_of("wang", decide(2, true)).await;
    assert!(
        matches!(stale, Err(CommandError::Refused { .. })),
        "{stale:?}"
    );
    rig.command_of("wang", decide(3, true)).await.unwrap();
    assert_eq!(
        (in_force(&rig), waits(&rig)),
        (Some((3, Some(390.0))), vec![])
    );
    let nothing = rig.command_of("li", decide(3, true)).await;
    assert!(
        matches!(nothing, Err(CommandError::NotFound(_))),
        "{nothing:?}"
    );
    let expected = [
        ("li", "propose_rule", 1),
        ("wang", "approve_rule", 1),
        ("li", "propose_rule", 2),
        ("chen", "propose_rule", 3),
        ("wang", "approve_rule", 3),
    ];
    assert_eq!(told(&rig), words(&expected));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_rejected_or_withdrawn_never_runs_and_its_number_is_not_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let rig = begin(folder.path(), Clock::starting_at(at(0)));
    rig.command_of("li", put(400.0, "minor")).await.unwrap();
    assert_eq!(in_force(&rig), Some((1, Some(400.0))));
    rig.command_of("li", put(410.0, "critical")).await.unwrap();
    rig.command_of("wang", decide(2, false)).await.unwrap();
    let end = rig.published.rules.proposal("over").unwrap().end.unwrap();
    assert_eq!((&*end.by, end.reason.as_deref()), ("wang", Some("seen")));
    rig.command_of("li", put(420.0, "critical")).await.unwrap();
    assert_eq!(waits(&rig), [(3, "li".to_owned())]);
    // To put what runs takes back what waits.
    let back = rig.command_of("li", put(400.0, "minor")).await.unwrap();
    assert_eq!(back["revision"], 1);
    assert_eq!(
        (in_force(&rig), waits(&rig)),
        (Some((1, Some(400.0))), vec![])
    );
    rig.command_of("li", put(395.0, "minor")).await.unwrap();
    assert_eq!(in_force(&rig), Some((4, Some(395.0))));
    let expected = [
        ("li", "put_rule", 1),
        ("li", "propose_rule", 2),
        ("wang", "reject_rule", 2),
        ("li", "propose_rule", 3),
        ("li", "withdraw_rule", 3),
        ("li", "put_rule", 4),
    ];
    assert_eq!(told(&rig), words(&expected));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_critical_rule_is_deleted_by_two_and_the_files_need_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let rig = begin(folder.path(), Clock::starting_at(at(0)));
    let files = |above: Option<f64>| Action::ChangeRules {
        put: above
            .map(|above| ("over".to_owned(), over(above, "critical")))
            .into_iter()
            .collect(),
        delete: vec![],
    };
    rig.command_of("~", files(Some(400.0))).await.unwrap();
    assert_eq!(in_force(&rig), Some((1, Some(400.0))));
    let answer = rig.command_of("li", delete()).await.unwrap();
    assert_eq!(
        answer,
        json!({"id": "over", "revision": 2, "state": "pending"})
    );
    // What the files change meanwhile is not what somebody wanted to delete.
    rig.command_of("~", files(Some(405.0))).await.unwrap();
    assert_eq!(
        (in_force(&rig), waits(&rig)),
        (Some((3, Some(405.0))), vec![])
    );
    rig.command_of("li", delete()).await.unwrap();
    rig.command_of("wang", decide(4, true)).await.unwrap();
    assert_eq!((in_force(&rig), waits(&rig)), (None, vec![]));
    // A new rule that only waits is withdrawn by deleting it.
    rig.command_of("li", put(400.0, "critical")).await.unwrap();
    assert_eq!(rig.command_of("li", delete()).await.unwrap(), Value::Null);
    assert_eq!((in_force(&rig), waits(&rig)), (None, vec![]));
    let nothing = rig.command_of("li", delete()).await;
    assert!(
        matches!(nothing, Err(CommandError::NotFound(_))),
        "{nothing:?}"
    );
    rig.stop().await;
}
