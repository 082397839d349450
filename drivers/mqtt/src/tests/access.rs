//! Who comes in, and who may write where.

use super::{A, Bench, GOOD, Hello, observed, refusal};
use sdk::testkit::Kit;
use sdk::{Access, Actor, DeviceEntry, Role, SecretHash, TokenHash, TokenTable};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const NO_MESSAGE: bool = false;
const MESSAGE: bool = true;

#[tokio::test]
async fn a_connect_is_refused_with_the_reason_that_its_version_has() {
    let base = Hello::device(4, "a");
    let with = |username: Option<&str>, password: Option<&str>| Hello {
        username: username.map(str::to_owned),
        password: password.map(str::to_owned),
        ..base.clone()
    };
    let cases = [
        (
            with(Some("a"), Some("wrong")),
            4,
            0x86,
            "wrong_secret",
            Some("a"),
        ),
        (
            with(Some("nobody"), Some("x")),
            4,
            0x86,
            "unknown_device",
            Some("nobody"),
        ),
        (
            with(Some("off"), Some("s-off")),
            5,
            0x87,
            "disabled_device",
            Some("off"),
        ),
        (with(None, None), 5, 0x87, "no_credentials", None),
        // What was tried as a token is not told: it may be a secret with one wrong letter.
        (with(Some("s-x"), None), 4, 0x86, "wrong_secret", None),
        (
            with(Some("b"), Some("s-a")),
            4,
            0x86,
            "wrong_secret",
            Some("b"),
        ),
    ];
    for (hello, code_v4, code_v5, reason, claimed) in cases {
        for (version, code) in [(4, code_v4), (5, code_v5)] {
            let bench = Bench::new();
            let mut client = bench.dial(version);
            let hello = Hello {
                version,
                ..hello.clone()
            };
            client.send(&hello.bytes()).await;
            assert_eq!(client.connack().await, (false, code), "{reason}");
            client.expect_closed().await;
            assert_eq!(bench.refused(), [refusal(reason, claimed, NO_MESSAGE)]);
        }
    }
}

#[tokio::test]
async fn a_device_comes_in_with_its_secret_alone_as_thingsboard_does() {
    let mut bench = Bench::new();
    let mut client = bench.dial(4);
    let hello = Hello {
        username: Some("s-b".to_owned()),
        password: None,
        ..Hello::device(4, "whatever")
    };
    client.send(&hello.bytes()).await;
    assert_eq!(client.connack().await, (false, 0));
    let payload = br#"{"smoke_alarm":1}"#;
    client
        .publish(1, 1, "v1/devices/me/telemetry", payload)
        .await;
    assert_eq!(observed(&bench.store().await), [(2, 1)]);
    client.expect(&[0x40, 2, 0, 1]).await;
}

#[tokio::test]
async fn a_certificate_names_the_device_and_no_other() {
    let hello = |username: Option<&str>| Hello {
        username: username.map(str::to_owned),
        password: None,
        ..Hello::device(5, "x")
    };
    for (name, username, code) in [
        ("a", None, 0),
        ("a", Some("a"), 0),
        ("a", Some("b"), 0x87),
        ("stranger", None, 0x87),
        ("off", None, 0x87),
    ] {
        let bench = Bench::new();
        let mut client = bench.dial_as(5, Some(name), 4096);
        client.send(&hello(username).bytes()).await;
        assert_eq!(client.connack().await.1, code, "{name} as {username:?}");
    }
}

#[tokio::test]
async fn a_secret_or_token_that_is_right_does_not_make_up_for_the_certificate_of_another() {
    let own = |username: &str| (username.to_owned(), format!("s-{username}"));
    let token = ("anybody".to_owned(), "token-viewer".to_owned());
    for (name, (username, password), code) in [
        ("a", own("a"), 0),
        ("a", own("b"), 0x87),
        // A gateway's certificate covers the connections of those behind it, as of a stunnel.
        ("gw", own("c"), 0),
        ("gw", own("a"), 0x87),
        ("stranger", own("a"), 0x87),
        ("off", own("a"), 0x87),
        ("a", token.clone(), 0x87),
        ("platform.example", token.clone(), 0),
    ] {
        let bench = Bench::new();
        let mut client = bench.dial_as(5, Some(name), 4096);
        let hello = Hello {
            username: Some(username.clone()),
            password: Some(password),
            ..Hello::device(5, "x")
        };
        client.send(&hello.bytes()).await;
        assert_eq!(client.connack().await.1, code, "{name} as {username}");
        if code != 0 {
            let claimed = Some(name.to_owned());
            let mismatch = ("certificate_mismatch".to_owned(), claimed, NO_MESSAGE);
            assert_eq!(bench.refused(), [mismatch]);
        }
    }
}

/// Publishes once and tells what a device may do: 0, or the version 5 reason code.
async fn try_topic(id: &str, topic: &str) -> u8 {
    let mut bench = Bench::new();
    let mut client = bench.device(5, id).await;
    client.publish(1, 1, topic, GOOD).await;
    let answer = tokio::select! {
        answer = client.packet() => answer,
        _ = bench.kit.store_next() => client.packet().await,
    };
    // The connection stays, whatever the answer.
    client.expect_silence().await;
    let refused = bench.refused();
    match answer.as_slice() {
        [0x40, 2, 0, 1] => {
            assert_eq!(refused, []);
            0
        }
        [0x40, 4, 0, 1, reason, 0] => {
            assert_eq!(refused.len(), 1);
            assert!(refused[0].2, "a message was lost");
            *reason
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_device_writes_under_its_own_topics_and_a_gateway_for_its_children() {
    for (id, topic, code) in [
        ("a", "devices/a/telemetry", 0),
        ("a", "v1/devices/me/telemetry", 0),
        ("gw", "devices/gw/telemetry", 0),
        ("gw", "devices/c/telemetry", 0),
        ("a", "devices/b/telemetry", 0x87),
        ("a", "devices/c/telemetry", 0x87),
        ("c", "devices/gw/telemetry", 0x87),
        ("gw", "devices/a/telemetry", 0x87),
        ("gw", "devices/stranger/telemetry", 0x87),
        ("a", "devices/a/commands", 0x87),
        ("a", "v1/gateway/telemetry", 0x87),
        ("a", "devices/A/telemetry", 0x87),
        ("a", "devices//telemetry", 0x87),
        ("a", "events/350200/cityhub.alarm.raised", 0x87),
        ("a", "$SYS/broker/uptime", 0x87),
        ("a", "v1/devices/other/attributes", 0x87),
        ("a", "v1/devices/me/attributes", 0),
        ("a", "v1/gateway/attributes", 0x87),
    ] {
        assert_eq!(try_topic(id, topic).await, code, "{id} to {topic}");
    }
}

#[tokio::test]
async fn a_3_1_1_client_is_closed_without_an_acknowledgement_but_what_came_before_is_answered() {
    let mut bench = Bench::new();
    let mut client = bench.device(4, "a").await;
    client.publish(1, 1, "devices/a/telemetry", GOOD).await;
    client.publish(1, 2, "devices/b/telemetry", GOOD).await;
    assert_eq!(observed(&bench.store().await), [(1, 1)]);
    client.expect(&[0x40, 2, 0, 1]).await;
    client.expect_closed().await;
    assert_eq!(
        bench.refused(),
        [refusal("forbidden_topic", Some("a"), MESSAGE)]
    );
}

#[tokio::test]
async fn an_unknown_child_is_counted_and_the_others_are_stored() {
    let payload = br#"{"c":[{"smoke_alarm":1}],"stranger":[{"fault":1}],"a":[{"fault":1}]}"#;
    for version in [4, 5] {
        let mut bench = Bench::new();
        let mut client = bench.device(version, "gw").await;
        client.publish(1, 1, "v1/gateway/telemetry", payload).await;
        assert_eq!(observed(&bench.store().await), [(5, 1)]);
        client.expect(&[0x40, 2, 0, 1]).await;
        let refused = [
            refusal("unknown_device", Some("stranger"), MESSAGE),
            refusal("forbidden_topic", Some("a"), MESSAGE),
        ];
        assert_eq!(bench.refused(), refused);
    }
}

#[tokio::test]
async fn a_gateway_is_not_acknowledged_for_unknown_devices_alone_and_keeps_its_connection() {
    let mut bench = Bench::new();
    for (version, answer) in [(4, None), (5, Some([0x40, 4, 0, 1, 0x87, 0]))] {
        let mut client = bench.device(version, "gw").await;
        let payload = br#"{"stranger":[{"fault":1}]}"#;
        client.publish(1, 1, "v1/gateway/telemetry", payload).await;
        if let Some(answer) = answer {
            client.expect(&answer).await;
        }
        client.publish(1, 2, "devices/c/telemetry", GOOD).await;
        bench.store().await;
        client.expect(&[0x40, 2, 0, 2]).await;
    }
}

#[tokio::test]
async fn a_will_needs_the_same_right_as_a_publish() {
    for (topic, code_v4, code_v5) in [
        ("devices/a/telemetry", 0, 0),
        ("v1/devices/me/telemetry", 0, 0),
        ("devices/b/telemetry", 5, 0x87),
        ("events/350200/x", 5, 0x87),
    ] {
        for (version, code) in [(4, code_v4), (5, code_v5)] {
            let bench = Bench::new();
            let mut client = bench.dial(version);
            let hello = Hello {
                will: Some((topic.to_owned(), GOOD.to_vec())),
                ..Hello::device(version, "a")
            };
            client.send(&hello.bytes()).await;
            assert_eq!(client.connack().await.1, code, "{topic}");
            if code != 0 {
                client.expect_closed().await;
                assert_eq!(
                    bench.refused(),
                    [refusal("forbidden_topic", Some("a"), MESSAGE)]
                );
            }
        }
    }
}

#[tokio::test]
async fn a_will_is_stored_when_the_client_is_lost_and_not_when_it_says_goodbye() {
    for (version, goodbye, stored) in [
        (4, &[0xe0, 0][..], false),
        (5, &[0xe0, 0], false),
        (5, &[0xe0, 1, 0], false),
        (5, &[0xe0, 2, 4, 0], true),
        (4, &[], true),
        (5, &[], true),
    ] {
        let mut bench = Bench::new();
        let mut client = bench.dial(version);
        let hello = Hello {
            will: Some(("devices/a/telemetry".to_owned(), GOOD.to_vec())),
            ..Hello::device(version, "a")
        };
        client.send(&hello.bytes()).await;
        client.connack().await;
        client.send(goodbye).await;
        drop(client);
        if stored {
            assert_eq!(observed(&bench.store().await), [(1, 1)]);
        }
        bench.tasks.close();
        bench.tasks.wait().await;
        assert!(bench.kit.requests.is_empty());
    }
}

#[tokio::test]
async fn a_stop_of_the_hub_stores_no_will() {
    let mut bench = Bench::new();
    let mut client = bench.dial(5);
    let hello = Hello {
        will: Some(("devices/a/telemetry".to_owned(), GOOD.to_vec())),
        ..Hello::device(5, "a")
    };
    client.send(&hello.bytes()).await;
    client.connack().await;
    bench.kit.cx.stop.cancel();
    client.expect_goodbye(0x8b).await;
    drop(client);
    bench.tasks.close();
    bench.tasks.wait().await;
    assert!(bench.kit.requests.try_recv().is_err());
}

#[tokio::test]
async fn a_new_secret_ends_the_session_that_the_old_one_opened() {
    let bench = Bench::new();
    let mut client = bench.device(5, "a").await;
    let devices = &bench.kit.cx.devices;
    let entry = devices.find("a").unwrap();
    devices.put([DeviceEntry {
        secret: Some(SecretHash::of(devices.salt(), "new")),
        ..DeviceEntry::clone(&entry)
    }]);
    client.publish(1, 1, "devices/a/telemetry", GOOD).await;
    client.expect_goodbye(0x87).await;
    assert_eq!(
        bench.refused(),
        [refusal("credentials_revoked", Some("a"), NO_MESSAGE)]
    );
}

#[tokio::test]
async fn a_change_of_another_device_ends_no_session() {
    let mut bench = Bench::new();
    let mut client = bench.device(5, "a").await;
    let devices = &bench.kit.cx.devices;
    devices.remove(devices.find("b").unwrap().key);
    client.publish(1, 1, "devices/a/telemetry", GOOD).await;
    bench.store().await;
    client.expect(&[0x40, 2, 0, 1]).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_ends_soon_after_its_credentials_are_taken_away() {
    let mut kit = Kit::new(&[A]);
    let taken_away = Arc::new(AtomicBool::new(false));
    let reload = {
        let taken_away = Arc::clone(&taken_away);
        move || taken_away.load(Ordering::SeqCst).then(TokenTable::new)
    };
    let viewer = Actor {
        name: "v".to_owned(),
        role: Role::Viewer,
    };
    let table = TokenTable::from([(TokenHash::of("token-viewer"), viewer)]);
    kit.cx.access = Access::new(table, reload);
    let bench = Bench::around(kit, |config| config.keep_alive_s_max = u16::MAX);
    for hello in [Hello::device(5, "a"), Hello::person(5, "viewer")] {
        let mut client = bench.dial(5);
        let hello = Hello {
            keep_alive_s: u16::MAX,
            ..hello
        };
        client.send(&hello.bytes()).await;
        assert_eq!(client.connack().await, (false, 0));
        let devices = &bench.kit.cx.devices;
        if let Some(entry) = devices.find("a") {
            devices.remove(entry.key);
        }
        let is_person = hello.client_id.ends_with("viewer");
        taken_away.store(is_person, Ordering::SeqCst);
        client.expect_goodbye(0x87).await;
    }
}
