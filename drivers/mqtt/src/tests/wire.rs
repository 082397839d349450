//! Bytes that are wrong, late, or too many; and two connections with one name.

use super::{Bench, Client, GOOD, Hello, observed, packet, publish, refusal, text};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

const TOPIC: &str = "devices/a/telemetry";

/// Sends a good message and then `bytes`: the good one is stored and answered, then comes the end.
async fn ends_with(version: u8, bytes: &[u8], reason: u8, word: &str, message: bool) {
    let mut bench = Bench::new();
    let mut client = bench.device(version, "a").await;
    let mut both = publish(version, 1, 1, TOPIC.as_bytes(), GOOD);
    both.extend(bytes);
    client.send(&both).await;
    assert_eq!(observed(&bench.store().await), [(1, 1)]);
    client.expect(&[0x40, 2, 0, 1]).await;
    client.expect_goodbye(reason).await;
    assert_eq!(bench.refused(), [refusal(word, Some("a"), message)]);
}

#[tokio::test]
async fn a_packet_that_is_too_large_is_refused_before_it_is_read() {
    for version in [4, 5] {
        // The header alone, of a PUBLISH with 65,537 bytes to come.
        let header = [0x32, 0x81, 0x80, 0x04];
        ends_with(version, &header, 0x95, "packet_too_large", true).await;
        let subscribe = [0x82, 0xff, 0xff, 0x7f];
        ends_with(version, &subscribe, 0x95, "packet_too_large", false).await;
    }
}

#[tokio::test]
async fn the_largest_packet_is_taken() {
    let mut bench = Bench::with(|config| config.packet_bytes_max = 256);
    let mut client = bench.device(4, "a").await;
    // 2 bytes of header length, 2 + 19 of topic, 2 of id: 256 in all, and one more is too many.
    let payload = |len: usize| {
        let mut payload = br#"{"pressure_kpa":300}"#.to_vec();
        payload.resize(len, b' ');
        payload
    };
    let largest = publish(4, 1, 1, TOPIC.as_bytes(), &payload(230));
    assert_eq!(largest.len(), 256);
    client.send(&largest).await;
    bench.store().await;
    client.expect(&[0x40, 2, 0, 1]).await;
    client
        .send(&publish(4, 1, 2, TOPIC.as_bytes(), &payload(231)))
        .await;
    client.expect_closed().await;
}

#[tokio::test]
async fn a_topic_that_is_no_topic_name_is_counted_and_ends_the_connection() {
    let topics: [&[u8]; 5] = [
        b"devices/\xff/telemetry",
        b"",
        b"devices/+/telemetry",
        b"#",
        b"a\0b",
    ];
    for topic in topics {
        for version in [4, 5] {
            let bytes = publish(version, 1, 2, topic, GOOD);
            ends_with(version, &bytes, 0x90, "invalid_topic", true).await;
        }
    }
}

#[tokio::test]
async fn a_topic_alias_is_refused_because_none_was_offered() {
    let mut body = text(TOPIC.as_bytes());
    body.extend([0, 2, 3, 35, 0, 1]);
    body.extend(GOOD);
    ends_with(5, &packet(0x32, &body), 0x94, "topic_alias", true).await;
}

#[tokio::test]
async fn packets_that_a_client_must_not_send_end_the_connection() {
    let connect = Hello::device(5, "a").bytes();
    let cases: [(&[u8], u8, &str); 8] = [
        (&connect, 0x82, "protocol_error"),
        (&[0x20, 2, 0, 0], 0x82, "protocol_error"),
        (&[0x90, 3, 0, 1, 0], 0x82, "protocol_error"),
        (&[0xd0, 0], 0x82, "protocol_error"),
        (&[0x50, 2, 0, 1], 0x82, "protocol_error"),
        (&[0xf0, 2, 0, 0], 0x82, "protocol_error"),
        // SUBSCRIBE without its flag, and one without a filter.
        (&[0x80, 5, 0, 1, 0, 0, 0], 0x81, "malformed_packet"),
        (&[0x82, 3, 0, 1, 0], 0x81, "malformed_packet"),
    ];
    for (bytes, reason, word) in cases {
        ends_with(5, bytes, reason, word, false).await;
    }
    ends_with(4, &[0xe0, 1, 0], 0x81, "malformed_packet", false).await;
}

#[tokio::test]
async fn a_publish_that_breaks_off_is_malformed() {
    for body in [&[0, 50, b'a'][..], &[0, 1, b'a', 0, 0], &[0, 1, b'a', 0]] {
        ends_with(4, &packet(0x32, body), 0x81, "malformed_packet", true).await;
    }
    // QoS 3; and a length that never ends.
    ends_with(
        4,
        &packet(0x36, b"\0\x01a\0\x01"),
        0x81,
        "malformed_packet",
        true,
    )
    .await;
    ends_with(
        5,
        &[0x32, 0xff, 0xff, 0xff, 0xff],
        0x81,
        "malformed_packet",
        false,
    )
    .await;
}

#[tokio::test]
async fn more_than_the_receive_maximum_ends_a_version_5_connection() {
    let mut bench = Bench::with(|config| config.receive_maximum = 2);
    let mut client = bench.device(5, "a").await;
    let flood: Vec<u8> = (1..=3)
        .flat_map(|id| publish(5, 1, id, TOPIC.as_bytes(), GOOD))
        .collect();
    client.send(&flood).await;
    assert_eq!(observed(&bench.store().await), [(1, 2)]);
    client.expect(&[0x40, 2, 0, 1]).await;
    client.expect(&[0x40, 2, 0, 2]).await;
    client.expect_goodbye(0x93).await;
}

#[tokio::test]
async fn packets_may_come_one_byte_at_a_time() {
    let mut bench = Bench::new();
    let mut client = bench.dial_as(5, None, 1);
    for byte in Hello::device(5, "a").bytes() {
        client.send(&[byte]).await;
    }
    assert_eq!(client.connack().await, (false, 0));
    for byte in publish(5, 1, 1, TOPIC.as_bytes(), GOOD) {
        client.send(&[byte]).await;
    }
    assert_eq!(observed(&bench.store().await), [(1, 1)]);
    client.expect(&[0x40, 2, 0, 1]).await;
}

#[tokio::test]
async fn a_client_that_does_not_begin_with_connect_gets_nothing() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xc0, 0],
        &[0x30, 3, 0, 1, b'a'],
    ] {
        let bench = Bench::new();
        let mut client = bench.dial(4);
        client.send(bytes).await;
        client.expect_closed().await;
        assert_eq!(bench.refused().len(), 1);
    }
}

#[tokio::test]
async fn an_unknown_protocol_level_is_answered_in_the_oldest_form() {
    for (name, level) in [("MQIsdp", 3), ("MQTT", 3), ("MQTT", 6)] {
        let bench = Bench::new();
        let mut client = bench.dial(4);
        let mut body = text(name.as_bytes());
        body.extend([level, 2, 0, 60]);
        body.extend(text(b"x"));
        client.send(&packet(0x10, &body)).await;
        client.expect(&[0x20, 2, 0, 1]).await;
        client.expect_closed().await;
        assert_eq!(bench.refused(), [refusal("unknown_version", None, false)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_say_who_it_is_is_cut_off_after_5_seconds() {
    let bench = Bench::new();
    let start = Instant::now();
    let mut client = bench.dial(4);
    client.send(&Hello::device(4, "a").bytes()[..10]).await;
    client.expect_closed().await;
    let seconds = start.elapsed().as_secs();
    // Five, and one that the hub waits for the client to hang up.
    assert!((5..=6).contains(&seconds), "{seconds}");
    assert_eq!(bench.refused(), [refusal("connect_timeout", None, false)]);
}

/// Tells after how many seconds of silence the gate hangs up.
async fn silence_s(version: u8, keep_alive_s: u16) -> (u64, Client) {
    let bench = Bench::with(|config| config.keep_alive_s_max = 100);
    let mut client = bench.dial(version);
    let hello = Hello {
        keep_alive_s,
        ..Hello::device(version, "a")
    };
    client.send(&hello.bytes()).await;
    assert_eq!(client.connack().await.1, 0);
    let start = Instant::now();
    // Longer than the patience of the other tests; time is paused.
    if version == 5 {
        let mut goodbye = [0; 4];
        client.io.read_exact(&mut goodbye).await.unwrap();
        assert_eq!(goodbye, [0xe0, 2, 0x8d, 0]);
    } else {
        assert_eq!(client.io.read_u8().await.ok(), None);
    }
    (start.elapsed().as_secs(), client)
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_cut_off_after_one_and_a_half_times_its_keep_alive() {
    for (version, asked, seconds) in [(4, 20, 30), (5, 20, 30), (4, 0, 150), (5, 0, 150)] {
        assert_eq!(silence_s(version, asked).await.0, seconds);
    }
    // Version 5 can be told a shorter time; 3.1.1 keeps what it asked for.
    assert_eq!(silence_s(5, 1000).await.0, 150);
    assert_eq!(silence_s(4, 1000).await.0, 1500);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_packet_do_not_keep_a_connection_alive() {
    let bench = Bench::new();
    let mut client = bench.dial(4);
    let hello = Hello {
        keep_alive_s: 20,
        ..Hello::device(4, "a")
    };
    client.send(&hello.bytes()).await;
    assert_eq!(client.connack().await.1, 0);
    let start = Instant::now();
    for byte in publish(4, 1, 1, b"devices/a/telemetry", b"{}") {
        tokio::time::sleep(Duration::from_secs(9)).await;
        if client.io.write_all(&[byte]).await.is_err() {
            break;
        }
        if start.elapsed() > Duration::from_secs(60) {
            break;
        }
    }
    client.expect_closed().await;
    let seconds = start.elapsed().as_secs();
    assert!((30..=45).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_version_5_client_is_told_what_the_hub_decided() {
    let bench = Bench::new();
    let mut client = bench.dial(5);
    let hello = Hello {
        keep_alive_s: 0,
        client_id: String::new(),
        ..Hello::device(5, "a")
    };
    client.send(&hello.bytes()).await;
    let connack = client.packet().await;
    let has = |property: &[u8]| connack.windows(property.len()).any(|part| part == property);
    assert!(has(&[19, 0x04, 0xb0]), "server keep alive 1200 s");
    assert!(has(&[39, 0, 1, 0, 0]), "maximum packet size 65536");
    assert!(has(&[33, 0x04, 0x00]), "receive maximum 1024");
    assert!(has(&[17, 0, 0, 0, 0]), "no session is kept for a device");
    assert!(
        has(&[41, 0]) && has(&[42, 0]),
        "no identifiers, no shared subscriptions"
    );
    assert!(has(b"\x12\0\x15auto-"), "an id of 21 bytes is assigned");
}

#[tokio::test]
async fn a_3_1_1_client_without_an_id_gets_one_only_for_a_clean_session() {
    for (clean, code) in [(true, 0), (false, 2)] {
        let bench = Bench::new();
        let mut client = bench.dial(4);
        let hello = Hello {
            client_id: String::new(),
            clean,
            ..Hello::device(4, "a")
        };
        client.send(&hello.bytes()).await;
        assert_eq!(client.connack().await, (false, code));
    }
}

#[tokio::test]
async fn a_second_connection_with_the_same_name_takes_over() {
    for version in [4, 5] {
        let mut bench = Bench::new();
        let mut first = bench.dial(version);
        let hello = Hello {
            will: Some((TOPIC.to_owned(), GOOD.to_vec())),
            ..Hello::device(version, "a")
        };
        first.send(&hello.bytes()).await;
        first.connack().await;
        let mut other = bench.device(version, "b").await;
        let mut second = bench.device(version, "a").await;
        first.expect_goodbye(0x8e).await;
        // The first was lost, as far as its will is concerned.
        assert_eq!(observed(&bench.store().await), [(1, 1)]);
        second.expect_silence().await;
        other.expect_silence().await;
    }
}

#[tokio::test]
async fn two_devices_may_use_the_same_client_id() {
    let bench = Bench::new();
    let mut clients = Vec::new();
    for id in ["a", "b"] {
        let mut client = bench.dial(4);
        let hello = Hello {
            client_id: "sensor".to_owned(),
            ..Hello::device(4, id)
        };
        client.send(&hello.bytes()).await;
        assert_eq!(client.connack().await, (false, 0));
        clients.push(client);
    }
    for client in &mut clients {
        client.expect_silence().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_answers_is_given_up() {
    let bench = Bench::new();
    let mut client = bench.dial_as(4, None, 64);
    client.send(&Hello::device(4, "a").bytes()).await;
    client.connack().await;
    // Pings without end, and not one answer read: the pipe of 64 bytes fills, then the gate's own
    // buffer, then it stops reading, and after ten seconds without progress it hangs up.
    let ping = [0xc0, 0].repeat(64 * 1024);
    let flood = async { while client.io.write_all(&ping).await.is_ok() {} };
    let minute = Duration::from_secs(60);
    assert!(tokio::time::timeout(minute, flood).await.is_ok());
}
