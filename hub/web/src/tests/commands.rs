//! Orders for devices that are connected, and profiles that devices name.

use super::kit::Hub;
use sdk::{Action, OrderError, Profiles};
use serde_json::json;
use std::collections::BTreeMap;

const PATH: &str = "/api/v1/devices/dust-1/commands";

#[tokio::test]
async fn an_order_reaches_the_device_and_both_ends_of_it_are_audited() {
    let hub = Hub::start();
    let key = hub.register(r#"{"id":"dust-1","kind":"dust"}"#);
    let (mut line, mut orders) = hub.state.downlink.line();
    line.bind(key);
    let body = r#"{"command":"set_interval","args":{"interval_s":60}}"#;
    let device = async {
        let order = orders.recv().await.unwrap();
        assert_eq!((order.name.as_str(), order.device), ("set_interval", key));
        assert_eq!(order.args, json!({"interval_s": 60}));
        order.answer(Ok(json!({"executed": true})));
        let order = orders.recv().await.unwrap();
        order.answer(Err(OrderError::Refused("9012 ExeRtn 3".to_owned())));
    };
    let asked = async {
        let done = hub.ask("engineer", "post", PATH, body).await;
        let refused = hub.ask("engineer", "post", PATH, body).await;
        (done, refused)
    };
    let ((done, refused), ()) = tokio::join!(asked, device);
    assert_eq!(done.json(), json!({"answer": {"executed": true}}));
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert!(refused.text.contains("9012 ExeRtn 3"), "{}", refused.text);
    let commands = hub.commands.lock().unwrap();
    let noted: Vec<_> = commands
        .iter()
        .filter_map(|command| match &command.action {
            Action::Note {
                action,
                subject,
                detail,
                ..
            } => Some((action.as_str(), subject.as_str(), detail.clone())),
            _ => None,
        })
        .collect();
    let (command, args) = ("set_interval", json!({"interval_s": 60}));
    let asked = json!({"command": command, "args": args});
    let answered = json!({"command": command, "args": args, "answer": {"executed": true}});
    assert_eq!(noted[0], ("command_device", "dust-1", asked));
    assert_eq!(noted[1], ("device_answer", "dust-1", answered));
}

#[tokio::test]
async fn an_order_that_cannot_be_given_says_why_and_nothing_is_noted() {
    let hub = Hub::start();
    hub.register(r#"{"id":"dust-1","kind":"dust"}"#);
    for (path, body, status, word) in [
        (PATH, r#"{"command":"read_time"}"#, 409, "not-connected"),
        (PATH, r#"{"command":""}"#, 400, "bad-request"),
        (PATH, r#"{"order":"read_time"}"#, 400, "bad-request"),
        (
            "/api/v1/devices/x/commands",
            r#"{"command":"a"}"#,
            404,
            "not-found",
        ),
    ] {
        let answer = hub.ask("engineer", "post", path, body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        assert!(answer.text.contains(word), "{body}: {}", answer.text);
    }
    assert!(hub.commands.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_device_may_name_only_a_profile_that_there_is() {
    let hub = Hub::start();
    let table = config::Value::new(None, config::ValueKind::Nil);
    let profiles = BTreeMap::from([("dust_a".to_owned(), table)]);
    hub.state.devices.know(&Profiles::new(profiles));
    let put = |profile: &str| json!([{"id": "d", "kind": "dust", "profile": profile}]).to_string();
    let answer = hub
        .ask("engineer", "put", "/api/v1/devices", &put("dust_b"))
        .await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    let reason = "unknown profile `dust_b`; known: dust_a";
    assert!(answer.text.contains(reason), "{}", answer.text);
    let answer = hub
        .ask("engineer", "put", "/api/v1/devices", &put("dust_a"))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let shown = hub.get("/api/v1/devices/d").await.json();
    assert_eq!(shown["profile"], "dust_a");
}
