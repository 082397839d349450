//! The load against a hand-written server.

use super::*;
use crate::wire_tap::packet;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

/// Accepts one client; acknowledges every PUBLISH but those of `silent`; answers what it got.
async fn serve_one(listener: TcpListener, v5: bool) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (first, connect) = packet(&mut stream).await.unwrap();
    assert_eq!(first, 0x10);
    let connack: &[u8] = if v5 {
        &[0x20, 3, 0, 0, 0]
    } else {
        &[0x20, 2, 0, 0]
    };
    stream.write_all(connack).await.unwrap();
    let mut bodies = Vec::new();
    while let Some((first, body)) = packet(&mut stream).await {
        if first == 0xe0 {
            break;
        }
        assert_eq!(first, 0x32);
        let topic = usize::from(body[0]) * 256 + usize::from(body[1]);
        let id = [body[2 + topic], body[3 + topic]];
        // Every third message of the v5 server is refused with "payload format invalid".
        if v5 && bodies.len() % 3 == 2 {
            stream
                .write_all(&[0x40, 3, id[0], id[1], 0x99])
                .await
                .unwrap();
        } else {
            stream.write_all(&[0x40, 2, id[0], id[1]]).await.unwrap();
        }
        bodies.push(body);
    }
    (connect, bodies)
}

async fn loaded(args: LoadArgs, v5: bool) -> (LoadReport, Vec<u8>, Vec<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let args = LoadArgs {
        addr,
        connections: 1,
        seconds: 0.2,
        window: 10,
        ..args
    };
    let (report, (connect, bodies)) = tokio::join!(run(args), serve_one(listener, v5));
    (report.unwrap(), connect, bodies)
}

#[tokio::test]
async fn every_message_is_canonical_json_with_a_growing_time() {
    let args = LoadArgs {
        credentials: Credentials::Device {
            secret_prefix: "pw-".to_owned(),
        },
        start_ms: Some(1_763_700_000_000),
        ..LoadArgs::default()
    };
    let (report, connect, bodies) = loaded(args, false).await;
    assert!(report.messages > 20, "{report:?}");
    assert_eq!(report.messages, bodies.len() as u64);
    assert_eq!(report.readings, report.messages * 2);
    assert_eq!(
        (report.unanswered, report.refused, report.connections_lost),
        (0, 0, 0)
    );
    let expected =
        b"\x00\x04MQTT\x04\xc2\x02\x58\x00\x0aload-00000\x00\x0aload-00000\x00\x0dpw-load-00000";
    assert_eq!(connect, expected);
    let mut last = 1_763_699_999_999;
    for body in &bodies {
        let topic = b"\x00\x1cdevices/load-00000/telemetry";
        assert_eq!(&body[..topic.len()], topic);
        let json: serde_json::Value = serde_json::from_slice(&body[topic.len() + 2..]).unwrap();
        let ts = json["ts"].as_i64().unwrap();
        assert!(ts > last && ts < 1_763_700_100_000, "{ts} after {last}");
        last = ts;
        assert!((280.0..=320.0).contains(&json["values"]["pressure_kpa"].as_f64().unwrap()));
        assert!((15.0..=25.0).contains(&json["values"]["temperature_c"].as_f64().unwrap()));
    }
}

#[tokio::test]
async fn a_refusal_of_version_5_is_counted_apart() {
    let args = LoadArgs {
        version: Version::V5,
        ..LoadArgs::default()
    };
    let (report, connect, bodies) = loaded(args, true).await;
    assert_eq!(connect[6], 5);
    assert_eq!(report.refused, bodies.len() as u64 / 3);
    assert_eq!(report.messages + report.refused, bodies.len() as u64);
    let json = &bodies[0][2 + 28 + 2 + 1..];
    assert!(serde_json::from_slice::<serde_json::Value>(json).is_ok());
}

#[tokio::test]
async fn a_paced_load_sends_what_is_due_and_no_more() {
    let args = LoadArgs {
        rate: Some(100.0),
        ..LoadArgs::default()
    };
    let (report, ..) = loaded(args, false).await;
    // 0.2 s at 100/s from phase 0: messages at 0, 10, …, 190 ms.
    assert!((1..=21).contains(&report.messages), "{report:?}");
}

#[tokio::test]
async fn a_gateway_speaks_for_its_children_in_turn() {
    let args = LoadArgs {
        devices_per_connection: 3,
        ..LoadArgs::default()
    };
    let listed: Vec<_> = LoadArgs {
        connections: 1,
        ..args.clone()
    }
    .devices();
    assert_eq!(listed.len(), 4);
    assert_eq!(listed[3].id, "load-00000-0002");
    assert_eq!(listed[3].parent.as_deref(), Some("load-00000"));
    let (_, _, bodies) = loaded(args, false).await;
    for (index, body) in bodies.iter().take(9).enumerate() {
        let topic = format!("devices/load-00000-{:04}/telemetry", index % 3);
        assert_eq!(&body[2..2 + topic.len()], topic.as_bytes());
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_leaves_its_messages_unanswered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let args = LoadArgs {
        addr: listener.local_addr().unwrap(),
        connections: 1,
        window: 5,
        ..LoadArgs::default()
    };
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        packet(&mut stream).await.unwrap();
        stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
        for _ in 0..5 {
            packet(&mut stream).await.unwrap();
        }
    };
    let (report, ()) = tokio::join!(run(args), server);
    let report = report.unwrap();
    assert_eq!(
        (report.messages, report.unanswered, report.connections_lost),
        (0, 5, 1)
    );
}

#[tokio::test]
async fn a_refused_connection_is_an_error_that_names_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let args = LoadArgs {
        addr: listener.local_addr().unwrap(),
        connections: 1,
        ..LoadArgs::default()
    };
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        packet(&mut stream).await.unwrap();
        stream.write_all(&[0x20, 2, 0, 5]).await.unwrap();
    };
    let (report, ()) = tokio::join!(run(args), server);
    let error = report.unwrap_err().to_string();
    assert!(
        error.contains("connection 0") && error.contains("code: 5"),
        "{error}"
    );
}

#[test]
fn a_load_that_makes_no_sense_is_refused() {
    let rejects = |args: LoadArgs| args.check().is_err();
    assert!(rejects(LoadArgs {
        connections: 0,
        ..LoadArgs::default()
    }));
    assert!(rejects(LoadArgs {
        window: 0,
        ..LoadArgs::default()
    }));
    assert!(rejects(LoadArgs {
        rate: Some(0.0),
        ..LoadArgs::default()
    }));
    assert!(rejects(LoadArgs {
        seconds: f64::NAN,
        ..LoadArgs::default()
    }));
    assert!(frames::value_tables(&[LoadMetric::new("x", 9.0, 10.0, 1)]).is_err());
}
