//! Administrators let people in and out, and whoever may do less is felt at once.

use super::kit::{Hub, PASSWORD};
use axum::body::Body;
use http_body_util::BodyExt;
use sdk::{Action, Role};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// Opens a stream as the console does and reads what comes first.
async fn listen(hub: &Hub, cookie: &str) -> Body {
    let headers = [("cookie", cookie)];
    let asked = ("get", "/api/v1/stream");
    let response = hub.open("", asked, &headers, "").await;
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    for expected in ["retry", "event: hb"] {
        let frame = body.frame().await.unwrap().unwrap();
        let text = String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap();
        assert!(text.contains(expected), "{text}");
    }
    body
}

/// Reads to the end of a stream; heartbeats do not count.
async fn end(mut stream: Body) {
    while let Some(frame) = stream.frame().await {
        let text = String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap();
        assert!(text.contains("event: hb"), "{text}");
    }
}

async fn send(hub: &Hub, method: &str, path: &str, body: serde_json::Value) -> super::kit::Answer {
    hub.ask("admin", method, path, &body.to_string()).await
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_its_user_signs_out_becomes_another_or_goes() {
    let hub = Hub::start();
    hub.add_user(Role::Officer);
    for ending in ["sign_out", "role", "disable", "password", "remove"] {
        let cookie = hub.sign_in("the-officer").await;
        let other = hub.sign_in("the-officer").await;
        let (stream, beside) = (listen(&hub, &cookie).await, listen(&hub, &other).await);
        let before = Instant::now();
        let user = "/api/v1/users/the-officer";
        let answer = match ending {
            "sign_out" => {
                let close = ("delete", "/api/v1/session");
                hub.ask_by(&cookie, close, "").await
            }
            "role" => send(&hub, "patch", user, json!({"role": "supervisor"})).await,
            "disable" => send(&hub, "patch", user, json!({"enabled": false})).await,
            "password" => send(&hub, "patch", user, json!({"password": PASSWORD})).await,
            _ => send(&hub, "delete", user, json!({})).await,
        };
        assert!(answer.status.is_success(), "{ending}: {}", answer.text);
        end(stream).await;
        assert!(before.elapsed() < Duration::from_secs(1), "{ending}");
        if ending == "sign_out" {
            // The other console of the same person goes on.
            let close = ("delete", "/api/v1/session");
            hub.ask_by(&other, close, "").await;
        }
        end(beside).await;
        let back = json!({"enabled": true, "role": "officer", "must_change_password": false});
        if ending != "remove" {
            assert_eq!(send(&hub, "patch", user, back).await.status, 200);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_age_of_its_session() {
    let hub = Hub::start();
    hub.add_user(Role::Viewer);
    let cookie = hub.sign_in("the-viewer").await;
    let stream = listen(&hub, &cookie).await;
    let before = Instant::now();
    end(stream).await;
    let age = before.elapsed().as_secs();
    assert!((86_390..=86_405).contains(&age), "{age}");
    hub.ask_by(&cookie, ("get", "/api/v1/session"), "")
        .await
        .problem(401);
}

#[tokio::test]
async fn an_alarm_can_be_given_to_whoever_may_sign_in_and_act() {
    let hub = Hub::start();
    for role in [
        Role::Officer,
        Role::Supervisor,
        Role::Viewer,
        Role::Engineer,
    ] {
        hub.add_user(role);
    }
    let people = hub.ask("officer", "get", "/api/v1/people", "").await.json();
    let row =
        |name: &str, role: &str| json!({"name": name, "display_name": "值班员甲", "role": role});
    let both = json!([
        row("the-officer", "officer"),
        row("the-supervisor", "supervisor")
    ]);
    assert_eq!(people["items"], both);
    let off = json!({"enabled": false});
    send(&hub, "patch", "/api/v1/users/the-officer", off).await;
    let people = hub.ask("officer", "get", "/api/v1/people", "").await.json();
    assert_eq!(
        people["items"],
        json!([row("the-supervisor", "supervisor")])
    );
}

#[tokio::test]
async fn users_are_added_changed_and_removed_by_administrators_and_it_is_told_who_did_it() {
    let hub = Hub::start();
    hub.add_user(Role::Admin);
    let li = json!({"name": "li", "display_name": "李四", "role": "officer", "password": PASSWORD,
        "must_change_password": false});
    let added = send(&hub, "post", "/api/v1/users", li.clone()).await;
    assert_eq!(added.status, 201, "{}", added.text);
    let row = added.json();
    assert_eq!(
        (&row["name"], &row["display_name"]),
        (&json!("li"), &json!("李四"))
    );
    assert_eq!(
        (&row["locked_until"], &row["last_seen"]),
        (&json!(null), &json!(null))
    );
    assert!(!added.text.contains("argon2id"), "hashes are never shown");
    send(&hub, "post", "/api/v1/users", li).await.problem(409);
    let guessed = json!({"name": "wang", "role": "viewer", "password": "1234567890"});
    let refused = send(&hub, "post", "/api/v1/users", guessed).await;
    assert!(refused.problem(422).contains("everybody tries"));
    assert_eq!(refused.json()["field"], "password");
    send(&hub, "get", "/api/v1/users/nobody", json!({}))
        .await
        .problem(404);
    let changed = send(&hub, "patch", "/api/v1/users/li", json!({"role": "viewer"})).await;
    assert_eq!(changed.json()["role"], "viewer");
    let last = send(&hub, "delete", "/api/v1/users/the-admin", json!({})).await;
    assert!(last.problem(409).contains("last administrator"));
    let gone = send(&hub, "delete", "/api/v1/users/li", json!({})).await;
    assert_eq!(gone.status, 204);
    assert_eq!(hub.try_sign_in("li", PASSWORD).await.status, 401);

    let commands = hub.commands.lock().unwrap();
    let told: Vec<(&str, &str)> = commands
        .iter()
        .filter(|command| command.actor.name == "admin")
        .filter_map(|command| match &command.action {
            Action::Note {
                action, subject, ..
            } => Some((action.as_str(), subject.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        told,
        [
            ("add_user", "li"),
            ("change_user", "li"),
            ("remove_user", "li")
        ]
    );
    let text = format!("{commands:?}");
    assert!(!text.contains(PASSWORD) && !text.contains("salt"));
}

#[tokio::test]
async fn an_administrator_ends_a_lock_out() {
    let hub = Hub::start();
    hub.add_user(Role::Officer);
    for _ in 0..6 {
        hub.try_sign_in("the-officer", "not the right one").await;
    }
    let path = "/api/v1/users/the-officer";
    let row = hub.ask("admin", "get", path, "").await.json();
    assert!(row["locked_until"].is_string(), "{row}");
    let unlocked = send(&hub, "post", &format!("{path}/unlock"), json!({})).await;
    assert_eq!(unlocked.json()["locked_until"], json!(null));
    hub.sign_in("the-officer").await;
    let row = hub.ask("admin", "get", path, "").await.json();
    assert!(row["last_seen"].is_string(), "{row}");
}

#[tokio::test]
async fn a_token_is_shown_once_and_refused_when_it_is_gone() {
    let hub = Hub::start();
    let body = json!({"name": "wall", "role": "viewer"});
    let made = send(&hub, "post", "/api/v1/tokens", body.clone()).await;
    assert_eq!(made.status, 201);
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(token.len(), 48);
    send(&hub, "post", "/api/v1/tokens", body)
        .await
        .problem(409);
    let list = hub.ask("admin", "get", "/api/v1/tokens", "").await;
    assert!(!list.text.contains(&token));
    assert_eq!(
        list.json()["items"],
        json!([{"name": "wall", "role": "viewer", "configured": false}])
    );
    let gone = send(&hub, "delete", "/api/v1/tokens/wall", json!({})).await;
    assert_eq!(gone.status, 204);
    send(&hub, "delete", "/api/v1/tokens/wall", json!({}))
        .await
        .problem(404);
}
