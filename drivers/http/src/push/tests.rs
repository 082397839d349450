//! Platforms at the ingest port, against a writer that the test holds in its hand.

use crate::serve::router;
use crate::{Config, Http, check_pushes};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt as _;
use sdk::Registration;
use sdk::testkit::Kit;
use sdk::testkit::conformance::check_config;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tower::ServiceExt as _;

const DEVICES: &[&str] = &[
    r#"{"id":"gas-1","kind":"gas_pressure","identities":{"ctwing":"c1","imei":"860374051096202"}}"#,
    r#"{"id":"gas-2","kind":"gas_pressure","identities":{"pressure_frame":"SHGS26030001"}}"#,
    r#"{"id":"off","kind":"smoke","enabled":false,"identities":{"ctwing":"c0"}}"#,
    r#"{"id":"smoke-1","kind":"smoke","identities":{"onenet":"2016617"}}"#,
];

const AEP: &str = "/push/0123456789abcdef";
const ONE: &str = "/push/onenet";

fn config() -> Config {
    let config = json!({"kind": "http", "listen": "127.0.0.1:0", "push": {
        "aep": {"format": "ctwing", "path": AEP, "from": "127.0.0.0/8", "header": "X-City: s"},
        "one": {"format": "onenet", "path": ONE, "token": "city-hub-token"},
    }});
    serde_json::from_value(config).unwrap()
}

fn hub(kit: &Kit) -> Router {
    router(&config(), codecs::Book::default(), kit.cx.clone())
}

fn request(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("x-city", "s")
        .extension(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 5))))
        .body(body.into())
        .unwrap()
}

fn data(device: &str, time: Value) -> Value {
    json!({"messageType": "dataReport", "deviceId": device, "timestamp": time, "payload": {"pressure_kpa": 2.5}})
}

async fn json(response: Response) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

/// What was counted: reason and how often.
fn counted(kit: &Kit) -> Vec<(String, u64)> {
    let messages = kit.refusals.drain().messages;
    messages
        .iter()
        .map(|((_, reason), count)| (reason.to_string(), *count))
        .collect()
}

#[tokio::test]
async fn a_push_is_answered_200_after_the_commit_and_not_before() {
    let mut kit = Kit::new(DEVICES);
    let body = data("c1", json!(1_772_323_200_000_i64)).to_string();
    let mut answer = std::pin::pin!(hub(&kit).oneshot(request("POST", AEP, body)));
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
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let told = json!({"stored": 1, "duplicate": 0, "rejected": [], "refused": []});
    assert_eq!(json(answer).await, told);
}

#[tokio::test]
async fn a_commit_that_fails_is_answered_503_so_that_the_platform_sends_again() {
    let mut kit = Kit::new(DEVICES);
    let body = data("c1", json!(1)).to_string();
    let answer = hub(&kit).oneshot(request("POST", AEP, body));
    let (answer, ()) = tokio::join!(answer, async { drop(kit.next().await) });
    let answer = answer.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "5");
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_takes_too_long_is_answered_within_the_patience_of_the_platform() {
    let mut kit = Kit::new(DEVICES);
    let before = tokio::time::Instant::now();
    let body = data("c1", json!(1)).to_string();
    let answer = hub(&kit).oneshot(request("POST", AEP, body));
    let (answer, _pending) = tokio::join!(answer, kit.next());
    assert_eq!(answer.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_device_is_found_by_the_platforms_name_its_imei_or_the_number_in_its_frame() {
    const FRAME: &str = "pVoAAC1TSEdTMjYwMzAwMDGKugEsAAMAAQAUACMAEmmjgYAAGQAWABKoxVWq";
    let mut by_imei = data("new", json!(1_772_323_200_000_i64));
    by_imei["IMEI"] = json!("860374051096202");
    let mut by_frame = data("new", json!(1_772_323_200_000_i64));
    by_frame["payload"] = json!({ "APPdata": FRAME });
    for (body, key) in [(by_imei, 1), (by_frame, 2)] {
        let mut kit = Kit::new(DEVICES);
        let answer = hub(&kit).oneshot(request("POST", AEP, body.to_string()));
        let (answer, submission) = tokio::join!(answer, kit.store_next());
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
        let submission = submission.unwrap();
        assert_eq!(submission.parts[0].device, model::DeviceKey(key));
        assert!(submission.quarantined.is_empty());
    }
}

#[tokio::test]
async fn who_is_unknown_and_what_is_unreadable_must_not_stop_the_pushes_of_all_others() {
    let bad =
        json!({"messageType": "dataReport", "deviceId": "c1", "payload": {"APPdata": "%%%="}});
    let mut stranger = bad.clone();
    stranger["deviceId"] = json!("c9");
    for (body, refused, reason, parts) in [
        (
            data("c9", json!(1)),
            vec![("unknown_device", 1)],
            "unknown_device",
            0,
        ),
        (
            data("c0", json!(1)),
            vec![("device_disabled", 1)],
            "device_disabled",
            0,
        ),
        (
            json!({}),
            vec![("unknown_message_type", 1)],
            "unknown_message_type",
            0,
        ),
        (stranger, vec![("payload_base64", 1)], "payload_base64", 0),
        (bad, vec![], "payload_base64", 1),
    ] {
        let mut kit = Kit::new(DEVICES);
        let answer = hub(&kit).oneshot(request("POST", AEP, body.to_string()));
        let (answer, submission) = tokio::join!(answer, kit.store_next());
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{body}");
        let told = json(answer).await;
        assert_eq!(told["stored"], 0, "{body}");
        let submission = submission.unwrap();
        assert_eq!(submission.parts.len(), parts, "{body}");
        assert_eq!(submission.quarantined[0].reason, reason, "{body}");
        let list = if parts == 0 { "refused" } else { "rejected" };
        assert_eq!(told[list][0]["reason"], reason, "{body}");
        let refused: Vec<_> = refused
            .into_iter()
            .map(|(r, n)| (r.to_owned(), n))
            .collect();
        assert_eq!(counted(&kit), refused, "{body}");
    }
}

#[tokio::test]
async fn what_is_no_push_at_all_is_400_and_kept() {
    let mut kit = Kit::new(DEVICES);
    let answer = hub(&kit).oneshot(request("POST", AEP, "APPdata=AQFW"));
    let (answer, submission) = tokio::join!(answer, kit.store_next());
    let answer = answer.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(submission.unwrap().quarantined[0].bytes, b"APPdata=AQFW");
    assert_eq!(counted(&kit), [("invalid_json".to_owned(), 1)]);
}

#[tokio::test]
async fn what_strangers_leave_has_a_bound() {
    let mut kit = Kit::new(DEVICES);
    let many: Vec<Value> = (0..70).map(|n| data(&format!("s{n}"), json!(1))).collect();
    let answer = hub(&kit).oneshot(request("POST", AEP, json!(many).to_string()));
    let (answer, submission) = tokio::join!(answer, kit.store_next());
    assert_eq!(
        json(answer.unwrap()).await["refused"]
            .as_array()
            .unwrap()
            .len(),
        64
    );
    assert_eq!(submission.unwrap().quarantined.len(), 60);
    assert_eq!(counted(&kit), [("unknown_device".to_owned(), 70)]);
}

#[tokio::test]
async fn the_address_is_not_there_for_anybody_else() {
    let kit = Kit::new(DEVICES);
    let mut elsewhere = request("POST", AEP, "{}");
    let peer = ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 5)));
    elsewhere.extensions_mut().insert(peer);
    let mut plain = request("POST", AEP, "{}");
    plain.headers_mut().remove("x-city");
    for (asked, reason) in [
        (elsewhere, Some("forbidden_address")),
        (plain, Some("wrong_header")),
        (request("POST", "/push/0123456789abcdee", "{}"), None),
        (request("GET", &format!("{AEP}?msg=5"), ""), None),
        (request("PUT", AEP, "{}"), None),
    ] {
        let answer = hub(&kit).oneshot(asked).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        let mut told = json(answer).await;
        told["request_id"].take();
        let nothing = json!({"type": "urn:cityhub:problem:not_found", "title": "Not Found",
            "status": 404, "detail": "there is no such resource", "request_id": null});
        assert_eq!(told, nothing);
        let expected: Vec<_> = reason.map(|r| (r.to_owned(), 1)).into_iter().collect();
        assert_eq!(counted(&kit), expected);
    }
}

#[tokio::test]
async fn onenet_is_answered_its_own_word_where_it_signs_it() {
    let kit = Kit::new(DEVICES);
    let asked = "?msg=5&nonce=aB3dE6gH&signature=vnJM0CIpUkGW3Ee4evh%2BAQ%3D%3D";
    let answer = hub(&kit)
        .oneshot(request("GET", &format!("{ONE}{asked}"), ""))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "5");
    let wrong = asked.replace("vnJM", "AAAA");
    let forged = r#"{"msg":{"type":1},"nonce":"a","msg_signature":"AAAAAAAAAAAAAAAAAAAAAA=="}"#;
    for asked in [
        request("GET", &format!("{ONE}{wrong}"), ""),
        request("POST", ONE, forged),
    ] {
        let answer = hub(&kit).oneshot(asked).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!(counted(&kit), [("signature".to_owned(), 1)]);
    }
}

#[tokio::test]
async fn what_has_no_believable_time_has_the_same_arrival_when_it_comes_again() {
    let mut kit = Kit::new(DEVICES);
    let hub = hub(&kit);
    // 2016, as the vectors of OneNET have it: two values of one stream.
    let body = json!([
        data("c1", json!(1_466_133_706_841_i64)),
        data("c1", json!(1_466_133_706_842_i64)),
    ]);
    let mut arrivals = Vec::new();
    for _ in 0..2 {
        let answer = hub.clone().oneshot(request("POST", AEP, body.to_string()));
        let (_, submission) = tokio::join!(answer, kit.store_next());
        let parts = submission.unwrap().parts;
        assert_eq!(parts.len(), 1);
        let times = parts[0]
            .observations
            .iter()
            .map(|of| of.observed_at.unwrap());
        arrivals.push(times.collect::<Vec<_>>());
    }
    assert_eq!(arrivals[0], arrivals[1]);
    assert!(arrivals[0][0] < arrivals[0][1]);
}

#[test]
fn the_configuration_is_documented_and_open_doors_are_refused() {
    const EXAMPLE: &str = "kind = \"http\"\nlisten = \"127.0.0.1:0\"\n[push.aep]\nformat = \"ctwing\"\npath = \"/push/0123456789abcdef\"\n";
    check_config(&Registration::of::<Http>(), EXAMPLE);
    let mut config = config();
    let open = json!({"format": "ctwing", "path": "/push/ctwing"});
    config
        .push
        .insert("open".to_owned(), serde_json::from_value(open).unwrap());
    check_pushes(&config).unwrap();
    config.listen = "0.0.0.0:0".parse().unwrap();
    let wrong = check_pushes(&config).unwrap_err().to_string();
    assert!(
        wrong.starts_with("push.open: its pushes are not signed"),
        "{wrong}"
    );
    let same = json!({"format": "oceanconnect", "path": AEP});
    config
        .push
        .insert("second".to_owned(), serde_json::from_value(same).unwrap());
    config.push.remove("open");
    let wrong = check_pushes(&config).unwrap_err().to_string();
    assert_eq!(wrong, "push.second.path is that of push.aep");
}
