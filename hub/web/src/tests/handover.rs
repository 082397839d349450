//! Handing a shift over by the API: what is shown, and whose password signs.

use super::kit::{Hub, alarm};
use model::{AlarmState, Severity};
use sdk::{Action, HandoverPart, Role};
use serde_json::json;

const PASSWORD: &str = "a long enough one";

#[tokio::test]
async fn the_draft_shows_the_nine_sections_as_they_are_now() {
    let hub = Hub::start();
    hub.raise(&alarm(1, Severity::Critical, 0), "raised");
    let mut shelved = alarm(2, Severity::Minor, 1);
    shelved.state = AlarmState::Shelved;
    hub.raise(&shelved, "shelved");
    hub.commit(|group| group.shift_log("li", "patrol", "巡检正常"));
    let draft = hub.get("/api/v1/handover").await.json();
    assert_eq!(
        (&draft["state"], &draft["version"]),
        (&json!("draft"), &json!(0))
    );
    let sections = &draft["sections"];
    assert_eq!(sections.as_object().unwrap().len(), 9);
    assert_eq!(sections["open_alarms"]["items"][0]["id"], "a1");
    assert_eq!(sections["set_aside"]["items"][0]["id"], "a2");
    assert_eq!(sections["log"]["kinds"]["patrol"], 1);
    let log = hub.get("/api/v1/shift-log").await.json();
    assert_eq!(log["items"][0]["text"], "巡检正常");
    hub.get("/api/v1/handovers/1").await.problem(404);
}

#[tokio::test]
async fn a_signature_is_that_of_the_password_and_needs_the_right() {
    let hub = Hub::start();
    hub.add_user(Role::Supervisor);
    hub.add_user(Role::Viewer);
    let sign = |user: &str, password: &str| {
        json!({"part": "outgoing", "user": user, "password": password, "version": 0}).to_string()
    };
    let path = "/api/v1/handover/sign";
    let wrong = sign("the-supervisor", "not this one");
    let answer = hub.ask("officer", "post", path, &wrong).await;
    answer.problem(403);
    assert_eq!(
        answer.json()["type"],
        "urn:cityhub:problem:signature_failed"
    );
    let viewer = sign("the-viewer", PASSWORD);
    hub.ask("officer", "post", path, &viewer).await.problem(403);
    let mut shelved = alarm(2, Severity::Minor, 1);
    shelved.state = AlarmState::Shelved;
    hub.raise(&shelved, "shelved");
    let right = sign("the-supervisor", PASSWORD);
    let answer = hub.ask("officer", "post", path, &right).await;
    answer.problem(409);
    assert_eq!(answer.json()["section"], "set_aside");
    let mut draft = hub.state.handovers.draft();
    draft.explained.insert("set_aside".to_owned(), true);
    hub.state.handovers.put(draft);
    let answer = hub.ask("officer", "post", path, &right).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let commands = hub.commands.lock().unwrap();
    let signed = commands.last().unwrap();
    assert_eq!(signed.actor.name, "the-supervisor");
    let Action::SignHandover { part, snapshot, .. } = &signed.action else {
        panic!("{signed:?}");
    };
    assert_eq!(*part, HandoverPart::Outgoing);
    assert_eq!(snapshot["entered_by"], "officer");
}

#[tokio::test]
async fn what_somebody_changes_in_one_go_is_one_change() {
    let hub = Hub::start();
    hub.commit(|group| {
        for rule in ["a", "b", "c"] {
            group.audit("configuration", "admin", "put_rule", rule, "{}");
        }
        group.audit("wang", "engineer", "put_rule", "a", "{}");
        group.audit("wang", "engineer", "ack", "a1", "{}");
    });
    let page = hub.ask("viewer", "get", "/api/v1/handover", "").await;
    let changes = &page.json()["sections"]["changes"];
    assert_eq!(changes["count"], 2);
    let told = |at: usize| {
        let item = &changes["items"][at];
        [&item["actor"], &item["subject"], &item["times"]].map(Clone::clone)
    };
    assert_eq!(json!(told(0)), json!(["wang", "a", 1]));
    assert_eq!(json!(told(1)), json!(["configuration", "a", 3]));
}

#[tokio::test]
async fn an_entry_of_the_log_has_a_kind_and_a_note_has_a_text() {
    let hub = Hub::start();
    let path = "/api/v1/shift-log";
    for body in [
        r#"{"kind":"gossip","text":"x"}"#,
        r#"{"kind":"note","text":" "}"#,
    ] {
        hub.ask("officer", "post", path, body).await.problem(422);
    }
    let body = r#"{"kind":"sound_test","text":"听到"}"#;
    assert_eq!(hub.ask("officer", "post", path, body).await.status, 200);
}
