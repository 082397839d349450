//! The list of cases, and how steps are passed on.

use super::kit::{Hub, START_MS};
use model::{CaseState, CaseStep, Severity, Timestamp};
use sdk::{Action, StepReport};
use serde_json::{Value, json};

fn row(number: u32, state: &str, grid: &str) -> Value {
    json!({
        "id": format!("c{number}"), "category": {"code": "0403", "name": "燃气管道破裂"},
        "severity": "major", "title": "中压燃气管道超压", "description": "", "location": null,
        "grid": grid, "district": "350203", "component_code": null, "device": "gas-1",
        "kind": "gas_pressure", "alarm": "a1", "evidence": {"metric": null, "unit": null,
            "value": 412.5, "limit": 400.0, "window_s": null, "peak": null, "from": null,
            "to": null, "readings": 1},
        "state": state, "opened_at": START_MS, "due_at": null, "steps": [], "version": 1,
    })
}

fn filled() -> Hub {
    let hub = Hub::start();
    hub.commit(|group| {
        for (number, state, grid) in [
            (1, "closed", "350203001002003"),
            (2, "reported", "350203001002003"),
            (3, "accepted", "350203002001001"),
        ] {
            group.case(&serde_json::from_value(row(number, state, grid)).unwrap());
        }
    });
    let mut counts = hub.state.cases.write().unwrap();
    counts
        .by_state
        .insert((CaseState::Reported, Severity::Major), 1);
    counts
        .by_state
        .insert((CaseState::Accepted, Severity::Major), 1);
    counts.overdue = 1;
    drop(counts);
    hub
}

#[tokio::test]
async fn the_list_gives_open_cases_with_counts_and_pages() {
    let hub = filled();
    let page = hub
        .ask("platform", "get", "/api/v1/cases?limit=1", "")
        .await
        .json();
    assert_eq!(
        (&page["items"][0]["id"], &page["next"]),
        (&json!("c3"), &json!("c3"))
    );
    assert_eq!(page["items"][0]["evidence"]["value"], 412.5);
    assert_eq!(
        (&page["counts"]["total"], &page["counts"]["matched"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(page["counts"]["state"]["reported"], 1);
    assert_eq!(page["counts"]["state"]["handling"], 0);
    assert_eq!(
        (&page["counts"]["overdue"], &page["counts"]["unroutable"]),
        (&json!(1), &json!(0))
    );
    let rest = hub.get("/api/v1/cases?cursor=c3").await.json();
    assert_eq!(
        (&rest["items"][0]["id"], &rest["next"]),
        (&json!("c2"), &Value::Null)
    );
    for (query, expected) in [
        ("state=all", 3),
        ("state=closed,accepted", 2),
        ("grid=350203001", 1),
        ("category=04&kind=gas_pressure&district=350203", 2),
        ("queue=unroutable", 0),
        ("from=2026-03-01T00:00:01Z", 0),
    ] {
        let page = hub.get(&format!("/api/v1/cases?{query}")).await.json();
        assert_eq!(page["items"].as_array().unwrap().len(), expected, "{query}");
        assert_eq!(page["counts"]["matched"], expected, "{query}");
        // The counts are of all that is open, whatever is asked for.
        assert_eq!(page["counts"]["total"], 2, "{query}");
    }
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let hub = filled();
    for (query, word) in [
        ("state=new", "voided"),
        ("severity=red", "critical"),
        ("queue=mine", "unroutable"),
        ("overdue=yes", "overdue"),
        ("cursor=3", "cursor"),
        ("limit=1001", "1000"),
        ("from=today", "from"),
        ("street_code=1", "street"),
    ] {
        let answer = hub.get(&format!("/api/v1/cases?{query}")).await;
        assert!(answer.problem(400).contains(word), "{query}");
    }
    assert!(
        hub.get("/api/v1/cases/c9")
            .await
            .problem(404)
            .contains("c9")
    );
    assert_eq!(
        hub.get("/api/v1/cases/c3").await.json()["state"],
        "accepted"
    );
}

#[tokio::test]
async fn a_report_is_passed_on_as_it_came_with_its_key() {
    let hub = filled();
    let body = r#"{"step":"defer","actor":"zhang","at":"2026-03-01T08:00:00+08:00","note":"flood",
        "until":1772409600000,"version":1}"#;
    let path = ("post", "/api/v1/cases/c3/steps");
    let answer = hub
        .ask_with("platform", path, &[("idempotency-key", "k-1")], body)
        .await;
    // The kit's writer knows no case.
    answer.problem(404);
    let commands = hub.commands.lock().unwrap();
    let Action::CaseStep { id, report, key } = &commands[0].action else {
        panic!("{commands:?}");
    };
    assert_eq!((id.as_str(), key.as_deref()), ("c3", Some("k-1")));
    let expected = StepReport {
        step: CaseStep::Defer,
        actor: Some("zhang".to_owned()),
        at: Some(Timestamp::from_millis(START_MS)),
        note: Some("flood".to_owned()),
        overrides: false,
        to: None,
        until: Some(Timestamp::from_millis(START_MS + 86_400_000)),
        version: Some(1),
        id: None,
    };
    assert_eq!(*report, expected);
}

#[tokio::test]
async fn a_report_that_says_it_is_no_json_is_not_read() {
    let hub = filled();
    let path = ("post", "/api/v1/cases/c3/steps");
    let body = r#"{"step":"accept"}"#;
    for (kind, status) in [
        ("application/xml", 415),
        ("text/plain", 415),
        ("application/json; charset=utf-8", 404),
        ("application/x-www-form-urlencoded", 404),
    ] {
        let fields = [("content-type", kind)];
        let answer = hub.ask_with("platform", path, &fields, body).await;
        answer.problem(status);
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_read_is_refused_before_the_writer() {
    let hub = filled();
    for (body, word) in [
        ("", "object"),
        (
            r#"["accept",null,null,null,false,null,null,null,null]"#,
            "object",
        ),
        ("{}", "step"),
        (r#"{"step":"finish"}"#, "finish"),
        (r#"{"step":"accept","until":"soon"}"#, "soon"),
        (r#"{"step":"accept","forced":true}"#, "forced"),
    ] {
        let answer = hub
            .ask("platform", "post", "/api/v1/cases/c3/steps", body)
            .await;
        assert!(answer.problem(400).contains(word), "{body}");
    }
    assert!(hub.commands.lock().unwrap().is_empty());
}

#[tokio::test]
async fn figures_that_moved_since_the_row_was_written_are_shown_in_the_list_the_row_and_cap() {
    let hub = filled();
    let mut moved: model::CaseRow =
        serde_json::from_value(row(2, "reported", "350203001002003")).unwrap();
    moved.evidence.value = Some(620.0);
    moved.moved_at = Some(Timestamp::from_millis(START_MS + 5_000));
    {
        let mut shown = hub.state.moved_cases.write().unwrap();
        shown.insert("c2".to_owned(), moved);
    }
    let page = hub.get("/api/v1/cases").await.json();
    assert_eq!(page["items"][1]["evidence"]["value"], 620.0);
    assert_eq!(page["items"][0]["evidence"]["value"], 412.5);
    let one = hub.get("/api/v1/cases/c2").await.json();
    assert_eq!(one["evidence"]["value"], 620.0);
    let cap = hub.get("/api/v1/cases/c2/cap").await;
    let cap = cap.text;
    assert!(cap.contains("<value>620</value>"), "{cap}");
    let identifier = format!("<identifier>c2.1.{}</identifier>", START_MS + 5_000);
    assert!(cap.contains(&identifier), "{cap}");
    assert!(cap.contains("<msgType>Update</msgType>"), "{cap}");
}
