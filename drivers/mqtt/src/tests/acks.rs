//! When and in what order a device is acknowledged.

use super::{A, Bench, GOOD, Hello, confirm, observed, publish};
use model::{MetricKey, Rejected};
use sdk::Receipt;
use sdk::testkit::Kit;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const TOPIC: &str = "devices/a/telemetry";

#[tokio::test]
async fn no_acknowledgement_is_sent_before_the_commit() {
    for version in [4, 5] {
        for (qos, ack) in [(1, [0x40, 2, 0, 9]), (2, [0x50, 2, 0, 9])] {
            let mut bench = Bench::new();
            let mut client = bench.device(version, "a").await;
            client.publish(qos, 9, TOPIC, GOOD).await;
            let pending = bench.next().await;
            client.expect_silence().await;
            confirm(pending);
            client.expect(&ack).await;
        }
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_when_the_commit_fails() {
    for (version, qos) in [(4, 1), (4, 2), (5, 1), (5, 2)] {
        let mut bench = Bench::new();
        let mut client = bench.device(version, "a").await;
        client.publish(qos, 9, TOPIC, GOOD).await;
        drop(bench.next().await);
        client.expect_goodbye(0x8b).await;
    }
}

#[tokio::test]
async fn acknowledgements_come_in_the_order_of_the_messages_whatever_is_committed_first() {
    let mut bench = Bench::new();
    let mut client = bench.device(5, "a").await;
    let mut pending = Vec::new();
    for id in 1..=3 {
        client.publish(1, id, TOPIC, GOOD).await;
        pending.push(bench.next().await);
    }
    let [first, second, third] = pending.try_into().unwrap();
    confirm(third);
    confirm(second);
    client.expect_silence().await;
    confirm(first);
    for id in 1..=3 {
        client.expect(&[0x40, 2, 0, id]).await;
    }
}

#[tokio::test]
async fn what_follows_a_failed_commit_is_not_acknowledged_either() {
    let mut bench = Bench::new();
    let mut client = bench.device(4, "a").await;
    client.publish(1, 1, TOPIC, GOOD).await;
    let first = bench.next().await;
    client.publish(1, 2, TOPIC, GOOD).await;
    let second = bench.next().await;
    confirm(second);
    drop(first);
    client.expect_closed().await;
}

#[tokio::test]
async fn messages_that_came_together_are_one_submission() {
    let mut bench = Bench::new();
    let mut client = bench.device(4, "gw").await;
    let mut bytes = Vec::new();
    for (id, topic) in [
        (1, "devices/gw/telemetry"),
        (2, "devices/gw/telemetry"),
        (3, "devices/c/telemetry"),
    ] {
        bytes.extend(publish(4, 1, id, topic.as_bytes(), GOOD));
    }
    client.send(&bytes).await;
    let submission = bench.store().await;
    // The gateway is the fourth device of the register, its child the fifth.
    assert_eq!(observed(&submission), [(4, 2), (5, 1)]);
    assert_eq!(submission.parts[0].received, 2);
    for id in 1..=3 {
        client.expect(&[0x40, 2, 0, id]).await;
    }
}

#[tokio::test]
async fn a_reading_arrives_as_it_was_sent() {
    let mut bench = Bench::new();
    let mut client = bench.device(5, "a").await;
    client.publish(0, 0, TOPIC, GOOD).await;
    let submission = bench.store().await;
    let observation = submission.parts[0].observations[0];
    let pressure: MetricKey = bench.kit.cx.catalogue.find("pressure_kpa").unwrap();
    assert_eq!(observation.metric, pressure);
    assert_eq!(observation.value.as_number(), Some(300.0));
    let at = observation.observed_at.unwrap().millis();
    assert_eq!(at, 1_763_700_000_000);
    // QoS 0 is committed all the same, and not answered.
    client.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_takes_too_long_ends_the_connection_without_an_acknowledgement() {
    for version in [4, 5] {
        let mut bench = Bench::new();
        let mut client = bench.device(version, "a").await;
        client.publish(1, 1, TOPIC, GOOD).await;
        let late = bench.next().await;
        client.expect_goodbye(0x89).await;
        confirm(late);
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_too_fast_is_slowed_and_loses_nothing() {
    for version in [4, 5] {
        let mut kit = Kit::new(&[A]);
        let quotas = sdk::Quotas::new(sdk::Quota::new(1, 1), [].into(), kit.cx.devices.clone());
        kit.cx.ingest = kit.cx.ingest.clone().with_quotas(quotas.clone());
        let mut bench = Bench::around(kit, |_| {});
        let mut client = bench.device(version, "a").await;
        let begun = tokio::time::Instant::now();
        for id in 1..=12 {
            client.publish(1, id, TOPIC, GOOD).await;
            bench.store().await;
            client
                .expect(&[0x40, 2, 0, u8::try_from(id).unwrap()])
                .await;
        }
        // One at once and one on credit, then one a second.
        assert_eq!(begun.elapsed().as_secs(), 10);
        assert!(quotas.drain().0.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_slowed_ends_the_connection_without_an_acknowledgement() {
    for version in [4, 5] {
        let mut kit = Kit::new(&[A]);
        let quotas = sdk::Quotas::new(sdk::Quota::new(1, 1), [].into(), kit.cx.devices.clone());
        kit.cx.ingest = kit.cx.ingest.clone().with_quotas(quotas.clone());
        let mut bench = Bench::around(kit, |_| {});
        let mut client = bench.device(version, "a").await;
        let nine = ["{\"pressure_kpa\":300.0}"; 9].join(",");
        client
            .publish(0, 0, TOPIC, format!("[{nine}]").as_bytes())
            .await;
        bench.store().await;
        client.publish(1, 1, TOPIC, GOOD).await;
        // MQTT 5 section 3.14.2.1: quota exceeded.
        client.expect_goodbye(0x97).await;
        assert_eq!(quotas.drain().0.into_values().sum::<u64>(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn reading_stops_while_too_many_commits_are_under_way() {
    let mut bench = Bench::with(|config| config.inflight_batches_max = 2);
    let mut client = bench.dial_as(4, None, 512);
    client.send(&Hello::device(4, "a").bytes()).await;
    client.connack().await;
    let mut pending = Vec::new();
    for id in 1..=2 {
        client.publish(1, id, TOPIC, GOOD).await;
        pending.push(bench.next().await);
    }
    let flood: Vec<u8> = (3..=40)
        .flat_map(|id| publish(4, 1, id, TOPIC.as_bytes(), GOOD))
        .collect();
    // Time is paused, so this ends only when nothing else can go on: the pipe of 512 bytes is full.
    let second = Duration::from_secs(1);
    let written = tokio::time::timeout(second, client.io.write_all(&flood)).await;
    assert!(written.is_err());
    assert!(bench.kit.requests.is_empty());
    for pending in pending {
        confirm(pending);
    }
    client.expect(&[0x40, 2, 0, 1]).await;
    client.expect(&[0x40, 2, 0, 2]).await;
    // It goes on with what is in the pipe.
    assert!(!bench.store().await.parts.is_empty());
}

#[tokio::test]
async fn a_stop_answers_what_is_in_flight_and_reads_no_more() {
    for version in [4, 5] {
        let mut bench = Bench::new();
        let mut client = bench.device(version, "a").await;
        client.publish(1, 1, TOPIC, GOOD).await;
        let pending = bench.next().await;
        bench.kit.cx.stop.cancel();
        client.publish(1, 2, TOPIC, GOOD).await;
        confirm(pending);
        client.expect(&[0x40, 2, 0, 1]).await;
        client.expect_goodbye(0x8b).await;
        assert!(bench.kit.requests.is_empty());
    }
}

#[tokio::test]
async fn qos_2_is_stored_once_however_often_it_is_sent() {
    for version in [4, 5] {
        let mut bench = Bench::new();
        let mut client = bench.device(version, "a").await;
        client.publish(2, 7, TOPIC, GOOD).await;
        assert_eq!(observed(&bench.store().await), [(1, 1)]);
        client.expect(&[0x50, 2, 0, 7]).await;
        // The same with DUP: PUBREC may have been lost.
        let mut again = publish(version, 2, 7, TOPIC.as_bytes(), GOOD);
        again[0] |= 8;
        client.send(&again).await;
        assert_eq!(observed(&bench.store().await), []);
        client.expect(&[0x50, 2, 0, 7]).await;
        client.send(&[0x62, 2, 0, 7]).await;
        client.expect(&[0x70, 2, 0, 7]).await;
        // Released, so the id stands for another message.
        client.publish(2, 7, TOPIC, GOOD).await;
        assert_eq!(observed(&bench.store().await), [(1, 1)]);
    }
}

#[tokio::test]
async fn a_release_of_an_unknown_packet_is_completed_with_a_word_about_it() {
    let bench = Bench::new();
    let mut client = bench.device(5, "a").await;
    client.send(&[0x62, 2, 0, 7]).await;
    client.expect(&[0x70, 4, 0, 7, 0x92, 0]).await;
    let mut client = bench.device(4, "b").await;
    client.send(&[0x62, 2, 0, 7]).await;
    client.expect(&[0x70, 2, 0, 7]).await;
}

#[tokio::test]
async fn a_payload_that_cannot_be_decoded_is_quarantined_before_it_is_answered() {
    let answers: [(u8, u8, &[u8]); 4] = [
        (4, 1, &[0x40, 2, 0, 3]),
        (5, 1, &[0x40, 4, 0, 3, 0x99, 0]),
        (4, 2, &[0x50, 2, 0, 3]),
        (5, 2, &[0x50, 4, 0, 3, 0x99, 0]),
    ];
    for (version, qos, answer) in answers {
        let mut bench = Bench::new();
        let mut client = bench.device(version, "a").await;
        client.publish(qos, 3, TOPIC, b"{\"ts\":").await;
        let pending = bench.next().await;
        client.expect_silence().await;
        let submission = pending.submission.clone();
        confirm(pending);
        client.expect(answer).await;
        assert_eq!(submission.quarantined[0].bytes, b"{\"ts\":");
        assert_eq!(submission.parts[0].received, 1);
        assert_eq!(submission.parts[0].rejected.len(), 1);
    }
}

#[tokio::test]
async fn a_payload_that_is_good_in_part_is_a_success() {
    let mut bench = Bench::new();
    let mut client = bench.device(5, "a").await;
    let payload = br#"{"pressure_kpa":300,"no_such_metric":1}"#;
    client.publish(1, 3, TOPIC, payload).await;
    let submission = bench.store().await;
    assert_eq!(observed(&submission), [(1, 1)]);
    assert_eq!(submission.parts[0].received, 2);
    assert_eq!(submission.parts[0].rejected[0].reason, "unknown_metric");
    client.expect(&[0x40, 2, 0, 3]).await;
}

#[tokio::test]
async fn a_repeated_qos_2_message_is_quarantined_once() {
    let mut bench = Bench::new();
    let mut client = bench.device(4, "a").await;
    for times in [1, 0] {
        client.publish(2, 7, TOPIC, b"noise").await;
        assert_eq!(bench.store().await.quarantined.len(), times);
        client.expect(&[0x50, 2, 0, 7]).await;
    }
}

/// What a message gets of which nothing was stored: version 3.1.1 cannot be told why.
const NOTHING_STORED: [(u8, u8, &[u8]); 4] = [
    (4, 1, &[0x40, 2, 0, 3]),
    (5, 1, &[0x40, 4, 0, 3, 0x99, 0]),
    (4, 2, &[0x50, 2, 0, 3]),
    (5, 2, &[0x50, 4, 0, 3, 0x99, 0]),
];

#[tokio::test]
async fn a_message_without_one_good_value_is_committed_and_not_called_a_success() {
    for (payload, reason) in [
        (r#"{"no_such_metric":1}"#, "unknown_metric"),
        (r#"{"pressure_kpa":"high"}"#, "wrong_type"),
        ("{}", "no_values"),
        ("[]", "no_values"),
    ] {
        for (version, qos, answer) in NOTHING_STORED {
            let mut bench = Bench::new();
            let mut client = bench.device(version, "a").await;
            client.publish(qos, 3, TOPIC, payload.as_bytes()).await;
            let pending = bench.next().await;
            client.expect_silence().await;
            let part = pending.submission.parts[0].clone();
            confirm(pending);
            client.expect(answer).await;
            assert_eq!(part.observations.len(), 0, "{payload}");
            assert_eq!((part.received, part.rejected.len()), (1, 1), "{payload}");
            assert_eq!(part.rejected[0].reason, reason, "{payload}");
        }
    }
}

#[tokio::test]
async fn a_gateway_message_is_a_success_if_a_value_of_any_child_is_good() {
    for (payload, answer) in [
        (r#"{"c":[{"smoke_alarm":1}]}"#, &[0x40, 2, 0, 3][..]),
        (
            r#"{"gw":[{"no_such_metric":1}],"c":[{"smoke_alarm":1}]}"#,
            &[0x40, 2, 0, 3],
        ),
        (
            r#"{"gw":[{"no_such_metric":1}],"c":[]}"#,
            &[0x40, 4, 0, 3, 0x99, 0],
        ),
        (r#"{"c":5}"#, &[0x40, 4, 0, 3, 0x99, 0]),
        ("{}", &[0x40, 4, 0, 3, 0x99, 0]),
    ] {
        let mut bench = Bench::new();
        let mut client = bench.device(5, "gw").await;
        let payload = payload.as_bytes();
        client.publish(1, 3, "v1/gateway/telemetry", payload).await;
        confirm(bench.next().await);
        client.expect(answer).await;
    }
}

/// A receipt of a writer that found `count` times impossible.
fn refused_for_their_times(count: usize, stored: u64, duplicate: u64) -> Receipt {
    let rejected = Rejected {
        metric: None,
        reason: "clock_implausible".into(),
        detail: None,
    };
    Receipt {
        seq: 1,
        stored,
        duplicate,
        rejected: vec![rejected; count],
    }
}

#[tokio::test]
async fn a_message_that_the_writer_refused_whole_is_not_called_a_success() {
    for (version, qos, answer) in NOTHING_STORED {
        let mut bench = Bench::new();
        let mut client = bench.device(version, "a").await;
        client.publish(qos, 3, TOPIC, GOOD).await;
        let pending = bench.next().await;
        pending.confirm(refused_for_their_times(1, 0, 0));
        client.expect(answer).await;
    }
}

#[tokio::test]
async fn messages_that_were_committed_together_fail_only_if_nothing_of_them_was_stored() {
    for (receipt, reason) in [
        (refused_for_their_times(2, 0, 0), 0x99),
        (refused_for_their_times(1, 1, 0), 0),
        (refused_for_their_times(1, 0, 1), 0),
    ] {
        let mut bench = Bench::new();
        let mut client = bench.device(5, "a").await;
        let mut bytes = publish(5, 1, 1, TOPIC.as_bytes(), GOOD);
        bytes.extend(publish(5, 1, 2, TOPIC.as_bytes(), GOOD));
        client.send(&bytes).await;
        bench.next().await.confirm(receipt);
        for id in [1, 2] {
            match reason {
                0 => client.expect(&[0x40, 2, 0, id]).await,
                _ => client.expect(&[0x40, 4, 0, id, reason, 0]).await,
            }
        }
    }
}
