//! The MQTT sink against a broker whose every byte is in the test's hand.

use super::{Mqtt, MqttConfig};
use crate::{DeliveryError, Sink, SinkContext, Subscription};
use model::{Event, Timestamp};
use sdk::Clock;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

fn event(seq: u64, grid: Option<&str>) -> Event {
    Event {
        seq,
        kind: "cityhub.alarm.raised".to_owned(),
        subject: format!("a-{seq}"),
        severity: None,
        grid: grid.map(str::to_owned),
        json: json!({"id": seq.to_string()}).to_string(),
    }
}

fn open(port: u16, more: &Value) -> Mqtt {
    let mut config = json!({"url": format!("mqtt://127.0.0.1:{port}")});
    let fields = more.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(fields);
    let config: MqttConfig = serde_json::from_value(config).unwrap();
    Mqtt::check(&config).unwrap();
    let cx = SinkContext {
        name: "province".to_owned(),
        city_code: "350200".to_owned(),
        clock: Clock::starting_at(Timestamp::from_millis(0)),
        tasks: TaskTracker::new(),
        tracer: sdk::Tracer::default(),
    };
    Mqtt::open(config, cx).unwrap()
}

/// Reads one packet: its first byte and what follows the length (section 2.2 of MQTT 3.1.1).
async fn read_packet(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let first = stream.read_u8().await.unwrap();
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = stream.read_u8().await.unwrap();
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await.unwrap();
    (first, rest)
}

/// Lets a client in; gives its CONNECT.
async fn let_in(listener: &TcpListener) -> (TcpStream, Vec<u8>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (first, connect) = read_packet(&mut stream).await;
    assert_eq!(first, 0x10);
    stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
    (stream, connect)
}

/// Reads a PUBLISH of QoS 1: its topic, packet id and payload.
async fn read_publish(stream: &mut TcpStream) -> (String, [u8; 2], String) {
    let (first, rest) = read_packet(stream).await;
    assert_eq!(first, 0x32, "QoS 1, neither repeated nor retained");
    let topic_end = 2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let id = [rest[topic_end], rest[topic_end + 1]];
    (text(&rest[2..topic_end]), id, text(&rest[topic_end + 2..]))
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn events_count_as_delivered_once_the_broker_has_acknowledged_all() {
    let (listener, port) = listen().await;
    let mut sink = open(port, &json!({"user": "city", "password": "a word"}));
    let events = [event(7, Some("350203001007")), event(8, None)];
    let broker = async {
        let (mut stream, connect) = let_in(&listener).await;
        let connect = String::from_utf8_lossy(&connect).into_owned();
        for part in ["cityhub-350200-province", "city", "a word"] {
            assert!(connect.contains(part), "{part}: {connect}");
        }
        let mut topics = Vec::new();
        for event in &events {
            let (topic, id, payload) = read_publish(&mut stream).await;
            assert_eq!(payload, event.json);
            stream.write_all(&[0x40, 2, id[0], id[1]]).await.unwrap();
            topics.push(topic);
        }
        let places = ["350203001007", "350200"];
        let expected = places.map(|place| format!("events/{place}/cityhub.alarm.raised"));
        assert_eq!(topics, expected);
        // The next ones come over the same connection.
        let (_, id, payload) = read_publish(&mut stream).await;
        assert_eq!(payload, r#"{"id":"9"}"#);
        stream.write_all(&[0x40, 2, id[0], id[1]]).await.unwrap();
        stream
    };
    let sending = async {
        assert_eq!(Sink::deliver(&mut sink, &events).await, Ok(()));
        assert_eq!(Sink::deliver(&mut sink, &[event(9, None)]).await, Ok(()));
    };
    tokio::join!(broker, sending);
}

#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again_over_a_new_connection() {
    let (listener, port) = listen().await;
    let mut sink = open(port, &json!({}));
    let events = [event(7, None), event(8, None)];
    let broker = async {
        let (mut stream, _) = let_in(&listener).await;
        let (_, id, _) = read_publish(&mut stream).await;
        stream.write_all(&[0x40, 2, id[0], id[1]]).await.unwrap();
        drop(stream);
        let (mut stream, _) = let_in(&listener).await;
        for event in &events {
            let (_, id, payload) = read_publish(&mut stream).await;
            assert_eq!(payload, event.json);
            stream.write_all(&[0x40, 2, id[0], id[1]]).await.unwrap();
        }
        stream
    };
    let sending = async {
        let error = Sink::deliver(&mut sink, &events).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Retry { .. }), "{error:?}");
        assert_eq!(Sink::deliver(&mut sink, &events).await, Ok(()));
    };
    tokio::join!(broker, sending);
}

#[tokio::test]
async fn a_broker_that_lets_nobody_in_is_named_with_its_reason() {
    let (listener, port) = listen().await;
    let mut sink = open(port, &json!({}));
    let broker = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_packet(&mut stream).await;
        // Return code 5: not authorized.
        stream.write_all(&[0x20, 2, 0, 5]).await.unwrap();
        stream
    };
    let events = [event(7, None)];
    let (delivered, _stream) = tokio::join!(Sink::deliver(&mut sink, &events), broker);
    let error = delivered.unwrap_err().to_string();
    assert!(error.contains("NotAuthorized"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_never_acknowledges_is_given_up_after_the_timeout() {
    let (listener, port) = listen().await;
    let mut sink = open(port, &json!({"timeout_s": 20}));
    let events = [event(7, None)];
    let before = tokio::time::Instant::now();
    let (delivered, _held) = tokio::join!(Sink::deliver(&mut sink, &events), listener.accept());
    let DeliveryError::Retry { .. } = delivered.unwrap_err() else {
        panic!("it may acknowledge another time");
    };
    assert!(before.elapsed() >= Duration::from_secs(20));
}

#[tokio::test]
async fn an_event_that_no_packet_holds_is_refused_at_once() {
    let mut sink = open(1, &json!({}));
    let large = Event {
        json: "x".repeat(300_000),
        ..event(7, None)
    };
    let error = Sink::deliver(&mut sink, &[large]).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Refused { .. }), "{error:?}");
}

#[test]
fn what_is_wrong_with_a_broker_is_named() {
    let wrong = [
        (json!({"url": "tcp://x"}), "`url`"),
        (json!({"url": "mqtt://"}), "`url`"),
        (json!({"url": "mqtt://x:port"}), "`url`"),
        (json!({"url": "mqtt://user:word@x"}), "`url`"),
        (json!({"topic": "events/#"}), "`topic`"),
        (json!({"topic": "events/{place}"}), "`topic`"),
        (json!({"password": "word"}), "`password`"),
        (json!({"timeout_s": 301}), "`timeout_s`"),
        (json!({"qos": 2}), "`qos`"),
    ];
    for (more, named) in wrong {
        let mut spec = json!({"kind": "mqtt", "url": "mqtt://broker"});
        let fields = more.as_object().unwrap().clone();
        spec.as_object_mut().unwrap().extend(fields);
        let error = Subscription::parse(&spec).unwrap_err().to_string();
        assert!(error.contains(named), "{more}: {error}");
    }
}
