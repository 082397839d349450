//! Who is let in to push, and what a configuration may say of it.

use super::{Push, PushConfig};
use axum::http::HeaderMap;
use serde_json::{Value, json};
use std::net::IpAddr;

fn push(config: Value) -> Result<Push, String> {
    let config: PushConfig = serde_json::from_value(config).map_err(|error| error.to_string())?;
    Push::try_from(config)
}

fn ctwing(more: &Value) -> Value {
    let mut config = json!({"format": "ctwing", "path": "/push/0123456789abcdef"});
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

#[test]
fn only_the_networks_of_the_platform_are_let_in() {
    let push = push(ctwing(
        &json!({"from": "203.0.113.7, 10.0.0.0/8,2001:db8::/32"}),
    ));
    let push = push.unwrap();
    for (peer, is_let_in) in [
        ("203.0.113.7", true),
        ("203.0.113.8", false),
        ("10.255.0.1", true),
        ("11.0.0.1", false),
        ("::ffff:10.0.0.1", true),
        ("2001:db8:1::5", true),
        ("2001:db9::5", false),
    ] {
        let peer: IpAddr = peer.parse().unwrap();
        assert_eq!(
            push.admit(peer, &HeaderMap::new()).is_ok(),
            is_let_in,
            "{peer}"
        );
    }
    let all = "0.0.0.0/0".parse::<sdk::Network>().unwrap();
    assert!(all.holds("1.2.3.4".parse().unwrap()));
}

#[test]
fn a_header_must_be_there_and_have_its_value() {
    let push = push(ctwing(&json!({"header": "X-City-Push:  s3cret "}))).unwrap();
    let peer: IpAddr = "203.0.113.7".parse().unwrap();
    for (value, is_let_in) in [
        (None, false),
        (Some("s3cre"), false),
        (Some("s3cret1"), false),
        (Some("s3cret"), true),
    ] {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert("x-city-push", value.parse().unwrap());
        }
        assert_eq!(push.admit(peer, &headers).is_ok(), is_let_in, "{value:?}");
    }
    assert!(!format!("{push:?}").contains("s3cret"));
}

#[test]
fn what_cannot_be_meant_is_refused_and_secrets_are_never_told() {
    let onenet = |more: Value| {
        let mut config = json!({"format": "onenet", "path": "/push/onenet"});
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        config
    };
    for (config, told) in [
        (
            json!({"format": "ctwing", "path": "push"}),
            "path starts with",
        ),
        (
            json!({"format": "ctwing", "path": "/push/{id}"}),
            "path starts with",
        ),
        (
            json!({"format": "ctwing", "path": "/devices/a/telemetry"}),
            "path: devices send",
        ),
        (onenet(json!({})), "onenet needs `token`"),
        (
            onenet(json!({"token": ""})),
            "a token has at least one character",
        ),
        (
            onenet(json!({"token": "t", "aes_key": "hidden"})),
            "aes_key is the 43 characters",
        ),
        (ctwing(&json!({"token": "hidden"})), "token: only onenet"),
        (
            ctwing(&json!({"aes_key": "A".repeat(43)})),
            "aes_key: only onenet",
        ),
        (
            ctwing(&json!({"from": "10.0.0.0/33"})),
            "from: `10.0.0.0/33`",
        ),
        (ctwing(&json!({"from": "here"})), "from: `here`"),
        (ctwing(&json!({"header": "hidden"})), "header is written"),
        (ctwing(&json!({"header": "hidden: "})), "header is written"),
        (ctwing(&json!({"script": "x"})), "unknown field `script`"),
    ] {
        let wrong = push(config).unwrap_err();
        assert!(wrong.starts_with(told), "{wrong}");
        assert!(!wrong.contains("hidden"), "{wrong}");
    }
}

#[test]
fn an_address_is_open_where_nothing_but_a_guess_keeps_others_out() {
    for (config, is_open) in [
        (json!({"format": "ctwing", "path": "/push/ctwing"}), true),
        (
            json!({"format": "ctwing", "path": "/push/0123456789abcdef"}),
            false,
        ),
        (
            json!({"format": "ctwing", "path": "/push/ctwing", "from": "10.0.0.1"}),
            false,
        ),
        (
            json!({"format": "oceanconnect", "path": "/p", "header": "A: b"}),
            false,
        ),
        (
            json!({"format": "onenet", "path": "/push/onenet", "token": "t"}),
            false,
        ),
    ] {
        let push = push(config).unwrap();
        assert_eq!(push.is_open(), is_open, "{push:?}");
    }
}
