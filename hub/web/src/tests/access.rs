//! Who gets in, and how errors look.

use super::kit::Hub;
use crate::STREAM_CLIENTS_MAX;
use crate::right::Right;
use crate::routes::table;
use axum::body::{Body, Bytes};
use axum::http::Request;
use std::time::Duration;
use tokio::time::Instant;
use tower::ServiceExt;

/// Who may do what, by the contract: v(iewer) o(fficer) s(upervisor) e(ngineer) a(dmin)
/// u (auditor) p(latform). A dash needs no token.
pub(super) const WHO: &[(&str, &str, &str)] = &[
    ("get", "/healthz", "-"),
    ("get", "/readyz", "-"),
    ("get", "/metrics", "voseau"),
    ("get", "/api/v1/openapi.json", "voseaup"),
    ("get", "/api/v1/session", "voseaup"),
    ("post", "/api/v1/session", "-"),
    ("delete", "/api/v1/session", "voseaup"),
    ("post", "/api/v1/session/lock", "voseaup"),
    ("post", "/api/v1/session/unlock", "voseaup"),
    ("post", "/api/v1/session/alive", "voseaup"),
    ("post", "/api/v1/session/password", "voseaup"),
    ("get", "/api/v1/people", "osa"),
    ("get", "/api/v1/users", "a"),
    ("post", "/api/v1/users", "a"),
    ("get", "/api/v1/users/{name}", "a"),
    ("patch", "/api/v1/users/{name}", "a"),
    ("delete", "/api/v1/users/{name}", "a"),
    ("post", "/api/v1/users/{name}/unlock", "a"),
    ("get", "/api/v1/tokens", "a"),
    ("post", "/api/v1/tokens", "a"),
    ("delete", "/api/v1/tokens/{name}", "a"),
    ("get", "/api/v1/health", "voseau"),
    ("get", "/api/v1/ledger", "voseau"),
    ("get", "/api/v1/catalogue", "voseau"),
    ("get", "/api/v1/config/public", "voseaup"),
    ("get", "/api/v1/map/points", "voseau"),
    ("get", "/api/v1/shift-log", "voseau"),
    ("post", "/api/v1/shift-log", "osa"),
    ("get", "/api/v1/handover", "voseau"),
    ("put", "/api/v1/handover", "osa"),
    ("post", "/api/v1/handover/sign", "osa"),
    ("get", "/api/v1/handovers", "voseau"),
    ("get", "/api/v1/handovers/{id}", "voseau"),
    ("get", "/api/v1/map/layers/{name}", "voseau"),
    ("get", "/api/v1/devices", "voseau"),
    ("put", "/api/v1/devices", "ea"),
    ("get", "/api/v1/devices/unclaimed", "voseau"),
    ("get", "/api/v1/devices/{id}", "voseau"),
    ("delete", "/api/v1/devices/{id}", "ea"),
    ("post", "/api/v1/devices/{id}/commands", "ea"),
    ("get", "/api/v1/devices/{id}/readings", "voseau"),
    ("get", "/api/v1/devices/{id}/raw", "voseau"),
    ("get", "/api/v1/latest", "voseau"),
    ("get", "/api/v1/rules", "voseau"),
    ("post", "/api/v1/rules/backtest", "sea"),
    ("post", "/api/v1/rules/reload", "ea"),
    ("get", "/api/v1/rules/{id}", "voseau"),
    ("put", "/api/v1/rules/{id}", "ea"),
    ("delete", "/api/v1/rules/{id}", "ea"),
    ("get", "/api/v1/rules/{id}/versions", "voseau"),
    ("post", "/api/v1/rules/{id}/rollback", "ea"),
    ("post", "/api/v1/rules/{id}/approve", "sa"),
    ("post", "/api/v1/rules/{id}/reject", "sa"),
    ("get", "/api/v1/alarms", "voseaup"),
    ("post", "/api/v1/alarms/bulk", "osa"),
    ("get", "/api/v1/alarms/{id}", "voseaup"),
    ("get", "/api/v1/alarms/{id}/evidence", "voseaup"),
    ("get", "/api/v1/alarms/{id}/history", "voseaup"),
    ("get", "/api/v1/explain", "voseau"),
    ("post", "/api/v1/alarms/{id}/{action}", "osa"),
    ("get", "/api/v1/cases", "voseaup"),
    ("get", "/api/v1/cases/{id}", "voseaup"),
    ("post", "/api/v1/cases/{id}/steps", "sap"),
    ("get", "/api/v1/events", "voseaup"),
    ("get", "/api/v1/stream", "voseaup"),
    ("get", "/api/v1/asyncapi.json", "voseaup"),
    ("get", "/api/v1/schemas", "voseaup"),
    ("get", "/api/v1/schemas/{type}", "voseaup"),
    ("get", "/api/v1/cases/{id}/cap", "voseaup"),
    ("get", "/api/v1/subscriptions", "ea"),
    ("get", "/api/v1/subscriptions/{name}", "ea"),
    ("put", "/api/v1/subscriptions/{name}", "ea"),
    ("delete", "/api/v1/subscriptions/{name}", "ea"),
    ("post", "/api/v1/subscriptions/{name}/{action}", "ea"),
    ("get", "/api/v1/subscriptions/{name}/parked", "ea"),
    ("delete", "/api/v1/subscriptions/{name}/parked", "ea"),
    ("post", "/api/v1/subscriptions/{name}/parked/resend", "ea"),
    ("delete", "/api/v1/subscriptions/{name}/parked/{seq}", "ea"),
    (
        "post",
        "/api/v1/subscriptions/{name}/parked/{seq}/resend",
        "ea",
    ),
    ("get", "/api/v1/kpi", "voseau"),
    ("get", "/api/v1/reports/monthly", "voseau"),
    ("get", "/api/v1/audit", "au"),
    ("get", "/api/v1/audit/check", "au"),
    ("post", "/api/v1/canary", "ea"),
    ("get", "/api/v1/quarantine", "ea"),
];

pub(super) const LETTERS: [(char, &str); 7] = [
    ('v', "viewer"),
    ('o', "officer"),
    ('s', "supervisor"),
    ('e', "engineer"),
    ('a', "admin"),
    ('u', "auditor"),
    ('p', "platform"),
];

pub(super) fn concrete(path: &str) -> String {
    path.replace("{id}", "nobody-1")
        .replace("{action}", "ack")
        .replace("{name}", "nobody")
        .replace("{seq}", "7")
        .replace("{type}", "cityhub.flood.began")
}

#[tokio::test]
async fn every_role_reaches_what_the_contract_gives_it_and_nothing_else() {
    let hub = Hub::start();
    assert_eq!(table().len(), WHO.len());
    for (method, path, who) in WHO.iter().copied() {
        let path = concrete(path);
        for (letter, role) in LETTERS {
            let response = hub.open(role, (method, &path), &[], "").await;
            let allowed = who == "-" || who.contains(letter);
            let status = response.status().as_u16();
            assert_eq!(
                status == 403,
                !allowed,
                "{method} {path} as {role}: {status}"
            );
            assert_ne!(status, 401, "{method} {path} as {role}");
        }
        let nobody = hub.open("", (method, &path), &[], "").await;
        assert_eq!(
            nobody.status() == 401,
            who != "-",
            "{method} {path} without a token"
        );
    }
}

#[tokio::test]
async fn a_forbidden_action_names_the_roles_that_may() {
    let hub = Hub::start();
    let answer = hub.ask("viewer", "put", "/api/v1/devices", "[]").await;
    let detail = answer.problem(403);
    assert_eq!(
        detail,
        "role `viewer` may not do this: it needs the right `edit`; roles that may: engineer, admin"
    );
    assert_eq!(
        answer.json()["roles"],
        serde_json::json!(["engineer", "admin"])
    );
    assert_eq!(answer.json()["instance"], "/api/v1/devices");
}

#[tokio::test]
async fn a_missing_or_wrong_token_is_401_with_a_challenge() {
    let hub = Hub::start();
    let missing = hub.ask("", "get", "/api/v1/alarms", "").await;
    assert!(missing.problem(401).contains("Authorization: Bearer"));
    assert!(missing.header("www-authenticate").starts_with("Bearer"));
    hub.ask("stranger", "get", "/api/v1/alarms", "")
        .await
        .problem(401);
    let basic = [("authorization", "Basic dG9rZW4tYWRtaW4=")];
    hub.ask_with("", ("get", "/api/v1/alarms"), &basic, "")
        .await
        .problem(401);
    // What does not exist is not told to strangers.
    hub.ask("", "get", "/api/v1/nothing", "").await.problem(401);
    hub.ask("viewer", "get", "/api/v1/nothing", "")
        .await
        .problem(404);
}

#[tokio::test]
async fn without_any_token_nothing_but_healthz_answers() {
    let hub = Hub::start_with(sdk::TokenTable::new(), STREAM_CLIENTS_MAX);
    for (method, path, _) in WHO {
        let answer = hub.ask("admin", method, &concrete(path), "").await;
        if *path == "/healthz" {
            assert_eq!(
                (answer.status.as_u16(), answer.text.as_str()),
                (200, "ok\n")
            );
        } else {
            assert!(
                answer.problem(401).contains("cityhub admin user add"),
                "{path}"
            );
        }
    }
    hub.ask("", "get", "/", "").await.problem(401);
}

#[tokio::test]
async fn every_error_has_the_one_shape() {
    let hub = Hub::start();
    let method = hub.ask("viewer", "patch", "/api/v1/alarms", "").await;
    method.problem(405);
    assert!(method.header("allow").contains("GET"));
    let big = "x".repeat(70_000);
    hub.ask("engineer", "put", "/api/v1/rules/r", &big)
        .await
        .problem(413);
    let json = hub
        .ask("engineer", "put", "/api/v1/rules/r", "{\"kind\":")
        .await;
    assert!(json.problem(400).contains("line 1 column"));
    let unknown = hub.get("/api/v1/alarms?severty=major&limit=5").await;
    assert!(unknown.problem(400).contains("`severty`"));
    let twice = hub.get("/api/v1/alarms?limit=5&limit=6").await;
    assert!(twice.problem(400).contains("more than once"));
    let word = hub.get("/api/v1/alarms?severity=bad").await;
    assert!(word.problem(400).contains("critical"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_given_up() {
    let hub = Hub::start();
    let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
    let request = Request::builder()
        .method("PUT")
        .uri("/api/v1/rules/r")
        .header("authorization", "Bearer token-admin")
        .body(Body::from_stream(never))
        .unwrap();
    let before = Instant::now();
    let response = hub.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 408);
    assert_eq!(before.elapsed(), Duration::from_secs(30));
}

#[tokio::test]
async fn a_request_keeps_its_id_or_gets_one() {
    let hub = Hub::start();
    let given = [("x-request-id", "desk-7.1")];
    let kept = hub
        .ask_with("viewer", ("get", "/api/v1/nothing"), &given, "")
        .await;
    kept.problem(404);
    assert_eq!(kept.header("x-request-id"), "desk-7.1");
    let hostile = [("x-request-id", "a b\"c")];
    let first = hub
        .ask_with("viewer", ("get", "/api/v1/rules"), &hostile, "")
        .await;
    let second = hub.get("/api/v1/rules").await;
    assert!(!first.header("x-request-id").contains('"'));
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    assert_eq!(first.header("cache-control"), "no-store");
}

#[tokio::test]
async fn the_page_is_served_to_whoever_comes_so_that_they_can_sign_in() {
    let hub = Hub::start();
    let page = hub.ask("", "get", "/", "").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    let tag = page.header("etag").to_owned();
    let again = hub
        .ask_with("", ("get", "/"), &[("if-none-match", &tag)], "")
        .await;
    assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""));
    hub.ask("", "get", "/assets/gone.js", "").await.problem(404);
    hub.ask("", "post", "/", "").await.problem(404);
}

#[test]
fn every_right_is_held_by_somebody() {
    for right in Right::ALL {
        assert!(right.holders().contains(&"admin"), "{right:?}");
    }
}
