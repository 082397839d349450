//! The ingest port against a writer that the test holds in its hand.

use super::router;
use crate::Config;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt;
use sdk::testkit::Kit;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tower::ServiceExt;

const DEVICES: &[&str] = &[
    r#"{"id":"gas-1","kind":"gas_pressure","parent":"gw"}"#,
    r#"{"id":"gas-2","kind":"gas_pressure"}"#,
    r#"{"id":"gw","kind":"gateway"}"#,
    r#"{"id":"off","kind":"smoke","enabled":false}"#,
];

fn config() -> Config {
    Config {
        kind: "http".to_owned(),
        listen: ([127, 0, 0, 1], 0).into(),
        tls: None,
        body_bytes_max: 1000,
        connections_max: 4,
        requests_max: 4,
        request_timeout_s: 30,
        push: BTreeMap::new(),
    }
}

fn post(device: &str, secret: &str, body: &str) -> Request<Body> {
    Request::post(format!("/devices/{device}/telemetry"))
        .header("authorization", format!("Bearer {secret}"))
        .extension(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 5))))
        .body(Body::from(body.to_owned()))
        .unwrap()
}

async fn json(response: Response) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn nothing_is_answered_before_the_commit_and_204_after_it() {
    let mut kit = Kit::new(DEVICES);
    let router = router(&config(), codecs::Book::default(), kit.cx.clone());
    let request = post(
        "gas-1",
        "s-gas-1",
        r#"{"ts":1763700000000,"values":{"pressure_kpa":1}}"#,
    );
    let mut answer = std::pin::pin!(router.oneshot(request));
    let pending = tokio::select! {
        biased;
        _ = &mut answer => panic!("answered before the commit"),
        pending = kit.next() => pending.unwrap(),
    };
    assert_eq!(pending.submission.parts[0].observations.len(), 1);
    pending.confirm(sdk::Receipt {
        seq: 1,
        stored: 1,
        ..sdk::Receipt::default()
    });
    assert_eq!(answer.await.unwrap().status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_commit_that_fails_is_answered_503_with_retry_after() {
    let mut kit = Kit::new(DEVICES);
    let router = router(&config(), codecs::Book::default(), kit.cx.clone());
    let answer = router.oneshot(post("gas-1", "s-gas-1", r#"{"pressure_kpa":1}"#));
    let (answer, ()) = tokio::join!(answer, async { drop(kit.next().await) });
    let answer = answer.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "5");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_too_fast_is_answered_429_with_the_time_to_wait() {
    let mut kit = Kit::new(DEVICES);
    let quotas = sdk::Quotas::new(sdk::Quota::new(1, 0), [].into(), kit.cx.devices.clone());
    kit.cx.ingest = kit.cx.ingest.clone().with_quotas(quotas.clone());
    let router = router(&config(), codecs::Book::default(), kit.cx.clone());
    let twelve = format!("[{}]", [r#"{"pressure_kpa":1}"#; 12].join(","));
    let answer = router.clone().oneshot(post("gas-1", "s-gas-1", &twelve));
    let (answer, _) = tokio::join!(answer, kit.store_next());
    assert_eq!(answer.unwrap().status(), StatusCode::NO_CONTENT);
    let answer = router
        .clone()
        .oneshot(post("gas-1", "s-gas-1", r#"{"pressure_kpa":1}"#));
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()["retry-after"], "13");
    assert_eq!(
        json(answer).await["type"],
        "urn:cityhub:problem:rate_limited"
    );
    assert_eq!(quotas.drain().0.into_values().collect::<Vec<_>>(), [1]);
    // Another device does not even wait.
    let answer = router.oneshot(post("gas-2", "s-gas-2", r#"{"pressure_kpa":1}"#));
    let (answer, _) = tokio::join!(answer, kit.store_next());
    assert_eq!(answer.unwrap().status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_partly_good_message_is_answered_with_what_was_refused() {
    let mut kit = Kit::new(DEVICES);
    let router = router(&config(), codecs::Book::default(), kit.cx.clone());
    let answer = router.oneshot(post("gas-1", "s-gas-1", r#"{"pressure_kpa":1,"colour":2}"#));
    let (answer, _) = tokio::join!(answer, kit.store_next());
    let answer = answer.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = json(answer).await;
    assert_eq!(body["stored"], 1);
    assert_eq!(body["rejected"][0]["metric"], "colour");
    assert_eq!(body["rejected"][0]["reason"], "unknown_metric");
}

#[tokio::test]
async fn a_message_of_which_nothing_is_good_is_a_4xx_but_is_counted_on_disk() {
    for (payload, status, reason) in [
        ("{", StatusCode::BAD_REQUEST, "invalid_json"),
        ("", StatusCode::BAD_REQUEST, "empty_payload"),
        (
            r#"{"colour":1}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown_metric",
        ),
    ] {
        let mut kit = Kit::new(DEVICES);
        let answer = router(&config(), codecs::Book::default(), kit.cx.clone())
            .oneshot(post("gas-1", "s-gas-1", payload));
        let (answer, submission) = tokio::join!(answer, kit.store_next());
        assert_eq!(submission.unwrap().parts[0].received, 1, "{payload}");
        let answer = answer.unwrap();
        assert_eq!(answer.status(), status, "{payload}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let body = json(answer).await;
        assert_eq!(body["rejected"][0]["reason"], reason);
        assert!(body["request_id"].as_str().is_some_and(|id| !id.is_empty()));
        assert!(
            body["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
    }
}

#[tokio::test]
async fn strangers_are_refused_and_counted() {
    for (device, secret, status, reason) in [
        ("gas-1", "wrong", StatusCode::UNAUTHORIZED, "wrong_secret"),
        ("gas-1", "s-gas-2", StatusCode::UNAUTHORIZED, "wrong_secret"),
        ("gas-2", "s-gw", StatusCode::UNAUTHORIZED, "wrong_secret"),
        ("nobody", "s", StatusCode::NOT_FOUND, "unknown_device"),
        ("off", "s-off", StatusCode::FORBIDDEN, "device_disabled"),
    ] {
        let kit = Kit::new(DEVICES);
        let request = post(device, secret, r#"{"pressure_kpa":1}"#);
        let answer = router(&config(), codecs::Book::default(), kit.cx.clone())
            .oneshot(request)
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{device} {secret}");
        let drained = kit.refusals.drain();
        let counted: Vec<_> = drained
            .messages
            .iter()
            .map(|((_, r), n)| (r.as_ref(), *n))
            .collect();
        assert_eq!(counted, [(reason, 1)], "{device} {secret}");
    }
}

#[tokio::test]
async fn a_gateway_may_post_for_its_child() {
    let mut kit = Kit::new(DEVICES);
    let request = post("gas-1", "s-gw", r#"{"pressure_kpa":1}"#);
    let answer = router(&config(), codecs::Book::default(), kit.cx.clone()).oneshot(request);
    let (answer, submission) = tokio::join!(answer, kit.store_next());
    assert_eq!(answer.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(submission.unwrap().parts[0].device, model::DeviceKey(1));
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_counted() {
    let kit = Kit::new(DEVICES);
    let request = post("gas-1", "s-gas-1", &" ".repeat(1001));
    let answer = router(&config(), codecs::Book::default(), kit.cx.clone())
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(kit.refusals.drain().messages.len(), 1);
}

/// Who comes, for which device, with which secret; the answer, and why with whose name it was refused.
type Caller = (
    tls::Peer,
    &'static str,
    Option<&'static str>,
    u16,
    Option<(&'static str, &'static str)>,
);

fn callers() -> Vec<Caller> {
    let named = |name: &str| tls::Peer::Named(name.to_owned());
    vec![
        (named("gas-2"), "gas-2", None, 204, None),
        (named("gas-2"), "gas-2", Some("s-gas-2"), 204, None),
        // Both are looked at where both are shown.
        (
            named("gas-2"),
            "gas-2",
            Some("s-gas-1"),
            401,
            Some(("wrong_secret", "gas-2")),
        ),
        (
            named("gas-2"),
            "gas-1",
            Some("s-gas-1"),
            401,
            Some(("certificate_mismatch", "gas-2")),
        ),
        (named("gw"), "gas-1", None, 204, None),
        (named("gw"), "gas-1", Some("s-gas-1"), 204, None),
        (
            named("gw"),
            "gas-2",
            None,
            401,
            Some(("certificate_mismatch", "gw")),
        ),
        (
            named("stranger"),
            "gas-2",
            Some("s-gas-2"),
            401,
            Some(("unknown_device", "stranger")),
        ),
        (
            named("stranger"),
            "stranger",
            None,
            404,
            Some(("unknown_device", "stranger")),
        ),
        (
            named("off"),
            "off",
            None,
            403,
            Some(("device_disabled", "off")),
        ),
        (
            tls::Peer::Unnamed,
            "gas-2",
            Some("s-gas-2"),
            401,
            Some(("certificate_unnamed", "gas-2")),
        ),
        (
            tls::Peer::Nobody,
            "gas-2",
            None,
            401,
            Some(("no_secret", "gas-2")),
        ),
        // What a factory wrote into it stands in the register.
        (named("SN-0815"), "gas-3", None, 204, None),
    ]
}

#[tokio::test]
async fn a_certificate_opens_its_own_door_and_a_gateways_those_behind_it() {
    for (peer, device, secret, status, refused) in callers() {
        let mut kit = Kit::new(&[
            DEVICES[0],
            DEVICES[1],
            DEVICES[2],
            DEVICES[3],
            r#"{"id":"gas-3","kind":"gas_pressure","identities":{"certificate":"SN-0815"}}"#,
        ]);
        let router = router(&config(), codecs::Book::default(), kit.cx.clone());
        let case = format!("{peer:?} for {device} with {secret:?}");
        let mut request = post(device, "", r#"{"pressure_kpa":1}"#);
        match secret {
            Some(secret) => {
                let value = format!("Bearer {secret}").parse().unwrap();
                request.headers_mut().insert("authorization", value);
            }
            None => drop(request.headers_mut().remove("authorization")),
        }
        request.extensions_mut().insert(peer);
        let mut answer = std::pin::pin!(router.oneshot(request));
        let answer = tokio::select! {
            answer = &mut answer => answer.unwrap(),
            _ = kit.store_next() => answer.await.unwrap(),
        };
        assert_eq!(answer.status(), status, "{case}");
        let counted = kit.refusals.drain().samples;
        let counted = counted
            .iter()
            .map(|(_, r, _)| (r.reason.as_ref(), r.claimed.as_deref().unwrap_or_default()));
        assert_eq!(
            counted.collect::<Vec<_>>(),
            Vec::from_iter(refused),
            "{case}"
        );
    }
}
