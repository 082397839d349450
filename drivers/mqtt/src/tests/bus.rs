//! What is live: readings for those who watch, commands for devices.

use super::{Bench, Hello};
use crate::fanout::Fanout;
use bytes::Bytes;
use model::{Quality, Reading, Series, Timestamp, Value};
use sdk::{LiveBatch, Mark};
use std::sync::PoisonError;

impl Bench {
    /// Commits readings: device, metric, value, and second of observation.
    fn commit(&self, commit: u64, readings: &[(&str, &str, f64, i64)]) {
        let cx = &self.kit.cx;
        let readings = readings.iter().map(|(device, metric, value, at)| Reading {
            series: Series {
                device: cx.devices.find(device).unwrap().key,
                metric: cx.catalogue.find(metric).unwrap(),
            },
            value: Value::number(*value).unwrap(),
            quality: Quality::GOOD,
            observed_at: Timestamp::from_millis(at * 1_000),
            received_at: Timestamp::from_millis(9_000),
        });
        let batch = LiveBatch {
            commit,
            readings: readings.collect(),
        };
        let live = &self.kit.feed.live;
        live.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(batch);
        self.kit.mark.send_replace(Mark { commit, event: 0 });
    }
}

/// Reads the payload as JSON, which has no order of keys.
fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn who_may_read_sees_committed_readings_live() {
    for version in [4, 5] {
        let bench = Bench::new().with_bus();
        bench.commit(1, &[("a", "pressure_kpa", 1.0, 1)]);
        let mut all = bench.person(version, "viewer").await;
        all.subscribe(1, &[("devices/+/telemetry", 1)]).await;
        let suback = all.packet().await;
        // What is live may be lost, so QoS 0 is granted whatever was asked for.
        assert_eq!(suback.last(), Some(&0));
        let mut one = bench.person(version, "officer").await;
        one.subscribe(1, &[("devices/b/telemetry", 0)]).await;
        one.packet().await;
        let wanted = bench.gate.bus.fanout.telemetry_wanted();
        assert_eq!(wanted.borrow().subscriptions, 2);
        bench.commit(2, &[("a", "pressure_kpa", 2.0, 2)]);
        let (id, topic, payload) = all.message().await;
        assert_eq!((id, topic.as_str()), (0, "devices/a/telemetry"));
        let expected = r#"{"ts":2000,"values":{"pressure_kpa":2.0}}"#;
        assert_eq!(json(&payload), json(expected));
        let both = [
            ("b", "smoke_alarm", 1.0, 3),
            ("a", "pressure_kpa", 3.0, 3),
            ("b", "fault", 0.0, 3),
            ("b", "fault", 1.0, 4),
        ];
        bench.commit(3, &both);
        let (_, topic, payload) = one.message().await;
        assert_eq!(topic, "devices/b/telemetry");
        let expected = r#"{"ts":3000,"values":{"smoke_alarm":1.0,"fault":0.0}}"#;
        assert_eq!(json(&payload), json(expected));
        // One message for each device and instant.
        for (topic, ts) in [
            ("devices/a/telemetry", 3_000),
            ("devices/b/telemetry", 3_000),
            ("devices/b/telemetry", 4_000),
        ] {
            let (_, got, payload) = all.message().await;
            assert_eq!((got.as_str(), &json(&payload)["ts"]), (topic, &ts.into()));
        }
        bench.kit.cx.stop.cancel();
    }
}

#[tokio::test]
async fn nobody_tails_the_journal_when_the_last_watcher_is_gone() {
    let bench = Bench::new().with_bus();
    let mut client = bench.person(5, "viewer").await;
    client.subscribe(1, &[("devices/+/telemetry", 0)]).await;
    client.packet().await;
    let mut wanted = bench.gate.bus.fanout.telemetry_wanted();
    assert_eq!(wanted.borrow_and_update().subscriptions, 1);
    drop(client);
    let gone = wanted.wait_for(|wanted| wanted.subscriptions == 0).await;
    assert!(gone.is_ok());
    bench.kit.cx.stop.cancel();
}

#[tokio::test]
async fn a_command_reaches_its_device_and_no_other() {
    for (version, qos) in [(4, 0), (4, 1), (5, 1), (5, 2)] {
        let bench = Bench::new().with_bus();
        let mut device = bench.device(version, "a").await;
        device.subscribe(1, &[("devices/a/commands", 1)]).await;
        device.packet().await;
        let mut other = bench.device(version, "b").await;
        other.subscribe(1, &[("devices/b/commands", 1)]).await;
        other.packet().await;
        let mut engineer = bench.person(version, "engineer").await;
        engineer
            .publish(qos, 5, "devices/a/commands", b"{\"valve\":\"shut\"}")
            .await;
        match qos {
            1 => engineer.expect(&[0x40, 2, 0, 5]).await,
            2 => engineer.expect(&[0x50, 2, 0, 5]).await,
            _ => {}
        }
        let (_, topic, payload) = device.message().await;
        assert_eq!(
            (topic.as_str(), payload.as_str()),
            ("devices/a/commands", "{\"valve\":\"shut\"}")
        );
        other.expect_silence().await;
        bench.kit.cx.stop.cancel();
    }
}

#[tokio::test]
async fn who_commands_is_told_that_nobody_listens_or_that_it_may_not() {
    let bench = Bench::new().with_bus();
    for (role, topic, answer) in [
        ("platform", "devices/a/commands", [0x40, 4, 0, 1, 0x10, 0]),
        ("viewer", "devices/a/commands", [0x40, 4, 0, 1, 0x87, 0]),
        ("officer", "devices/a/commands", [0x40, 4, 0, 1, 0x87, 0]),
        (
            "engineer",
            "devices/stranger/commands",
            [0x40, 4, 0, 1, 0x90, 0],
        ),
        ("engineer", "devices/a/telemetry", [0x40, 4, 0, 1, 0x87, 0]),
        ("admin", "events/350200/x", [0x40, 4, 0, 1, 0x87, 0]),
    ] {
        let mut client = bench.person(5, role).await;
        client.publish(1, 1, topic, b"{}").await;
        client.expect(&answer).await;
    }
    bench.kit.cx.stop.cancel();
}

#[tokio::test]
async fn a_person_may_not_leave_a_will() {
    let bench = Bench::new();
    let mut client = bench.dial(5);
    let hello = Hello {
        will: Some(("devices/a/commands".to_owned(), b"{}".to_vec())),
        ..Hello::person(5, "engineer")
    };
    client.send(&hello.bytes()).await;
    assert_eq!(client.connack().await, (false, 0x87));
}

#[test]
fn a_slow_subscriber_loses_its_own_messages_and_nobody_elses() {
    let fanout = Fanout::new();
    let mut slow = fanout.subscriber();
    slow.add("devices/+/telemetry", 0);
    let mut quick = fanout.subscriber();
    quick.add("devices/a/telemetry", 0);
    for _ in 0..2_000 {
        fanout.dispatch("devices/a/telemetry", Bytes::from_static(b"{}"));
        assert!(quick.messages.try_recv().is_ok());
    }
    // 1,024 wait for the slow one; the rest is lost, and counted.
    assert_eq!(fanout.lost(), 2_000 - 1_024);
    assert_eq!(slow.messages.len(), 1_024);
}

#[test]
fn a_subscriber_that_is_gone_leaves_nothing_behind() {
    let fanout = Fanout::new();
    let mut one = fanout.subscriber();
    one.add("devices/a/telemetry", 0);
    one.add("devices/+/telemetry", 0);
    one.add("devices/a/commands", 0);
    assert_eq!(fanout.telemetry_wanted().borrow().subscriptions, 2);
    assert!(one.remove("devices/a/telemetry"));
    assert!(!one.remove("devices/a/telemetry"));
    assert!(fanout.has_listener("devices/b/telemetry"));
    drop(one);
    assert_eq!(fanout.telemetry_wanted().borrow().subscriptions, 0);
    assert!(!fanout.has_listener("devices/b/telemetry"));
    assert!(!fanout.has_listener("devices/a/commands"));
}
