//! People sign in, are locked out, lock their console, and may do what their role may.

use super::access::{LETTERS, WHO, concrete};
use super::kit::{Answer, Hub, PASSWORD};
use sdk::{Action, Role};
use serde_json::{Value, json};
use std::time::Duration;

/// What the audit trail was told: who, what, and on what.
fn told(hub: &Hub) -> Vec<(String, String, String)> {
    let commands = hub.commands.lock().unwrap();
    let notes = commands.iter().filter_map(|command| match &command.action {
        Action::Note {
            action, subject, ..
        } => Some((command.actor.name.clone(), action.clone(), subject.clone())),
        _ => None,
    });
    notes.collect()
}

fn row(actor: &str, action: &str, subject: &str) -> (String, String, String) {
    (actor.to_owned(), action.to_owned(), subject.to_owned())
}

fn slug(answer: &Answer) -> String {
    let kind = answer.json()["type"].as_str().unwrap().to_owned();
    kind.rsplit(':').next().unwrap().to_owned()
}

#[tokio::test]
async fn every_role_reaches_by_a_session_what_it_reaches_by_a_token() {
    let hub = Hub::start();
    for (letter, role) in LETTERS {
        hub.add_user(Role::parse(role).unwrap());
        let accounts = &hub.state.accounts;
        let name = format!("the-{role}");
        accounts.refresh();
        let person = accounts.prove(&name, PASSWORD).unwrap();
        for &(method, path, who) in WHO {
            let now = hub.state.clock.now();
            let cookie = accounts.sign_in(&person, "here", now).unwrap();
            let cookie = format!("cityhub_session={cookie}");
            let headers = [("cookie", cookie.as_str()), ("x-requested-by", "console")];
            let asked = (method, concrete(path));
            let answer = hub.open("", (method, &asked.1), &headers, "").await;
            let status = answer.status().as_u16();
            let allowed = who == "-" || who.contains(letter);
            assert_eq!(
                status == 403,
                !allowed,
                "{method} {path} as {role}: {status}"
            );
            assert_ne!(status, 401, "{method} {path} as {role}");
        }
    }
}

#[tokio::test]
async fn whoever_signs_in_is_told_who_they_are_and_it_is_in_the_trail() {
    let hub = Hub::start();
    hub.add_user(Role::Officer);
    let cookie = hub.sign_in("the-officer").await;
    let session = hub
        .ask_by(&cookie, ("get", "/api/v1/session"), "")
        .await
        .json();
    assert_eq!(session["name"], "the-officer");
    assert_eq!(session["display_name"], "值班员甲");
    assert_eq!(session["rights"], json!(["read", "read_events", "act"]));
    assert_eq!(session["via"], "session");
    assert_eq!(session["locked"], false);
    assert_eq!(session["lock_after_s"], 1_800);
    let out = hub.ask_by(&cookie, ("delete", "/api/v1/session"), "").await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    let gone = hub.ask_by(&cookie, ("get", "/api/v1/session"), "").await;
    assert!(gone.problem(401).contains("sign in again"));
    let by = told(&hub);
    assert_eq!(by[1], row("the-officer", "sign_in", "the-officer"));
    assert_eq!(by[2], row("the-officer", "sign_out", "the-officer"));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_and_an_unknown_name_get_the_same_answers_until_locked_out() {
    let hub = Hub::start();
    hub.add_user(Role::Officer);
    let mut seen: Vec<Vec<Value>> = Vec::new();
    for name in ["the-officer", "nobody-at-all"] {
        let mut answers = Vec::new();
        for _ in 0..6 {
            let answer = hub.try_sign_in(name, "not the right one").await;
            let mut body = answer.json();
            body["request_id"] = Value::Null;
            body["retry_after"] = answer.header("retry-after").into();
            // The lock-out of the one begins a little after that of the other.
            body["until"] = body["until"].is_string().into();
            answers.push(body);
        }
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1]);
    let statuses: Vec<&Value> = seen[0].iter().map(|body| &body["status"]).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    assert_eq!(seen[0][4]["type"], "urn:cityhub:problem:sign_in_failed");
    assert_eq!(seen[0][5]["type"], "urn:cityhub:problem:locked_out");
    assert_eq!(seen[0][5]["retry_after"], "900");
    assert_eq!(seen[0][5]["until"], true);
    // The right password does not help now, and does later.
    let answer = hub.try_sign_in("the-officer", PASSWORD).await;
    assert_eq!(slug(&answer), "locked_out");
    tokio::time::advance(Duration::from_secs(900)).await;
    hub.sign_in("the-officer").await;

    let told = told(&hub);
    let count = |wanted: (String, String, String)| told.iter().filter(|t| **t == wanted).count();
    assert_eq!(count(row("stranger", "password_failed", "the-officer")), 5);
    assert_eq!(count(row("stranger", "password_failed", "unknown")), 5);
    assert_eq!(count(row("stranger", "lock_out", "the-officer")), 1);
    assert_eq!(count(row("stranger", "lock_out", "unknown")), 1);
    let all = format!("{:?}", hub.commands.lock().unwrap());
    assert!(!all.contains("nobody-at-all"), "it may be a password");
}

#[tokio::test]
async fn a_change_with_a_cookie_needs_the_console_and_one_with_a_token_does_not() {
    let hub = Hub::start();
    hub.add_user(Role::Engineer);
    let cookie = hub.sign_in("the-engineer").await;
    let put = ("put", "/api/v1/devices");
    let ask = async |headers: &[(&str, &str)]| hub.ask_with("", put, headers, "[]").await;
    let (by, host) = (("x-requested-by", "console"), ("host", "hub.city"));
    let with_cookie = ("cookie", cookie.as_str());
    for refused in [
        ask(&[with_cookie]).await,
        ask(&[with_cookie, by, host, ("origin", "http://evil.example")]).await,
    ] {
        refused.problem(403);
        assert_eq!(slug(&refused), "cross_site");
    }
    let taken = ask(&[with_cookie, by, host, ("origin", "https://hub.city")]).await;
    assert_eq!(taken.status, 200, "{}", taken.text);
    assert_eq!(hub.ask("engineer", put.0, put.1, "[]").await.status, 200);
    // Nobody is signed in by a page of another site either.
    let body = json!({"user": "the-engineer", "password": PASSWORD}).to_string();
    let headers = [host, ("origin", "http://evil.example")];
    let answer = hub.ask_with("", ("post", "/api/v1/session"), &headers, &body);
    assert_eq!(slug(&answer.await), "cross_site");
}

#[tokio::test(start_paused = true)]
async fn a_locked_console_reads_and_does_nothing_until_the_password_comes() {
    let hub = Hub::start();
    hub.add_user(Role::Engineer);
    let cookie = hub.sign_in("the-engineer").await;
    let put = ("put", "/api/v1/devices");
    let post = async |path: &str, body: &str| hub.ask_by(&cookie, ("post", path), body).await;
    let locked = post("/api/v1/session/lock", "").await;
    assert_eq!(locked.json()["locked"], true);
    for answer in [
        hub.ask_by(&cookie, put, "[]").await,
        post("/api/v1/session/alive", "").await,
        post("/api/v1/session/password", "{}").await,
    ] {
        answer.problem(423);
        assert_eq!(slug(&answer), "locked");
    }
    let read = hub.ask_by(&cookie, ("get", "/api/v1/alarms"), "").await;
    assert_eq!(read.status, 200);
    let wrong = post("/api/v1/session/unlock", r#"{"password":"no"}"#).await;
    wrong.problem(403);
    assert_eq!(slug(&wrong), "wrong_password");
    let right = json!({ "password": PASSWORD }).to_string();
    let unlocked = post("/api/v1/session/unlock", &right).await;
    assert_eq!(unlocked.json()["locked"], false);
    assert_eq!(hub.ask_by(&cookie, put, "[]").await.status, 200);

    // Half an hour after the last change it is locked by itself; a sign of life puts it off.
    tokio::time::advance(Duration::from_secs(1_000)).await;
    assert_eq!(post("/api/v1/session/alive", "").await.status, 204);
    tokio::time::advance(Duration::from_secs(1_790)).await;
    assert_eq!(hub.ask_by(&cookie, put, "[]").await.status, 200);
    tokio::time::advance(Duration::from_secs(1_800)).await;
    hub.ask_by(&cookie, put, "[]").await.problem(423);
    let session = hub.ask_by(&cookie, ("get", "/api/v1/session"), "").await;
    assert_eq!(session.json()["locked"], true);
    // A token has no session to lock.
    hub.ask("admin", "post", "/api/v1/session/lock", "")
        .await
        .problem(409);
}

#[tokio::test(start_paused = true)]
async fn who_is_wrong_at_a_locked_console_is_locked_out_there_alone() {
    let hub = Hub::start();
    hub.add_user(Role::Officer);
    let (one, two) = (
        hub.sign_in("the-officer").await,
        hub.sign_in("the-officer").await,
    );
    let unlock = ("post", "/api/v1/session/unlock");
    for _ in 0..5 {
        let wrong = hub.ask_by(&one, unlock, r#"{"password":"no"}"#).await;
        wrong.problem(403);
    }
    let right = json!({ "password": PASSWORD }).to_string();
    hub.ask_by(&one, unlock, &right).await.problem(429);
    assert_eq!(hub.ask_by(&two, unlock, &right).await.status, 200);
    // And a stranger who is wrong at the door does not keep the officer at the desk out.
    for _ in 0..6 {
        hub.try_sign_in("the-officer", "no").await;
    }
    assert_eq!(hub.ask_by(&two, unlock, &right).await.status, 200);
}

#[tokio::test]
async fn a_password_of_somebody_elses_choice_is_changed_before_anything_else() {
    let hub = Hub::start();
    let user = json!({"name": "li", "role": "officer", "password": PASSWORD});
    let added = hub
        .ask("admin", "post", "/api/v1/users", &user.to_string())
        .await;
    assert_eq!(added.status, 201, "{}", added.text);
    assert_eq!(added.json()["must_change_password"], true);
    let cookie = hub.sign_in("li").await;
    let other = hub.sign_in("li").await;
    let read = hub.ask_by(&cookie, ("get", "/api/v1/alarms"), "").await;
    read.problem(403);
    assert_eq!(slug(&read), "must_change_password");
    let change = async |old: &str, new: &str| {
        let body = json!({"old": old, "new": new}).to_string();
        let path = "/api/v1/session/password";
        hub.ask_by(&cookie, ("post", path), &body).await
    };
    change("no", "another long one").await.problem(403);
    change(PASSWORD, PASSWORD).await.problem(422);
    let short = change(PASSWORD, "short").await;
    assert!(short.problem(422).contains("10 characters"));
    assert_eq!(short.json()["field"], "password");
    let changed = change(PASSWORD, "another long one").await;
    assert_eq!(changed.json()["must_change_password"], false);
    let read = hub.ask_by(&cookie, ("get", "/api/v1/alarms"), "").await;
    assert_eq!(read.status, 200);
    // The other session was made with the old one.
    hub.ask_by(&other, ("get", "/api/v1/session"), "")
        .await
        .problem(401);
    assert_eq!(hub.try_sign_in("li", PASSWORD).await.status, 401);
    assert_eq!(hub.try_sign_in("li", "another long one").await.status, 200);
    assert!(told(&hub).contains(&row("li", "set_password", "li")));
}
