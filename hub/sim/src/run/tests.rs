//! A whole simulation against small hubs written by hand.

use super::*;
use crate::wire_tap::{packet, publish, request};
use clap::Parser;
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    args: Args,
}

fn args(words: &[&str]) -> Args {
    let words = std::iter::once("simulate").chain(words.iter().copied());
    Program::try_parse_from(words).unwrap().args
}

/// What the hubs have heard: who signed in, and how many messages came on which path.
#[derive(Debug, Default)]
struct Heard {
    messages: u32,
    paths: BTreeMap<String, u32>,
    clients: Vec<String>,
}

type Ear = Arc<Mutex<Heard>>;

/// Counts a message; after `enough` of them the simulation is told to stop.
fn hear(ear: &Ear, path: String, stop: &CancellationToken, enough: u32) {
    let mut heard = ear.lock().unwrap();
    heard.messages += 1;
    *heard.paths.entry(path).or_default() += 1;
    if heard.messages == enough {
        stop.cancel();
    }
}

async fn mqtt_hub(listener: TcpListener, ear: Ear, stop: CancellationToken, enough: u32) {
    let tracker = TaskTracker::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (ear, stop) = (Arc::clone(&ear), stop.clone());
        tracker.spawn(async move {
            let (_, connect) = packet(&mut stream).await.unwrap();
            let id_end = 12 + usize::from(connect[11]);
            let id = String::from_utf8(connect[12..id_end].to_vec()).unwrap();
            ear.lock().unwrap().clients.push(id);
            stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
            while let Some((0x32, body)) = packet(&mut stream).await {
                let publish = publish(&body, false);
                let [high, low] = publish.packet_id;
                stream.write_all(&[0x40, 2, high, low]).await.unwrap();
                hear(&ear, publish.topic, &stop, enough);
            }
        });
    }
}

async fn http_hub(listener: TcpListener, ear: Ear, stop: CancellationToken, enough: u32) {
    let tracker = TaskTracker::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (ear, stop) = (Arc::clone(&ear), stop.clone());
        tracker.spawn(async move {
            while let Some((head, _)) = request(&mut stream).await {
                let path = head.split(' ').nth(1).unwrap().to_owned();
                stream
                    .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                    .await
                    .unwrap();
                hear(&ear, path, &stop, enough);
            }
        });
    }
}

/// Runs the simulation until the hubs have heard enough; answers the summary and what they heard.
async fn simulated(words: &[&str], enough: u32) -> (Summary, Heard) {
    let mqtt = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut args = args(words);
    args.mqtt = Some(mqtt.local_addr().unwrap().to_string());
    args.http = Some(http.local_addr().unwrap().to_string());
    check(&args).unwrap();
    let fleet = Fleet::new(&FleetPlan {
        devices: args.devices,
        prefix: "sim",
        secret_seed: "demo",
        cadence_s: None,
    });
    let source = (Source::Plan(ordinary(&args, &fleet, 0)), args.duration_s);
    let (ear, stop) = (Ear::default(), CancellationToken::new());
    let summary = tokio::select! {
        summary = simulate(&args, fleet, source, &stop) => summary.unwrap(),
        () = mqtt_hub(mqtt, Arc::clone(&ear), stop.clone(), enough) => unreachable!(),
        () = http_hub(http, Arc::clone(&ear), stop.clone(), enough) => unreachable!(),
    };
    let heard = std::mem::take(&mut *ear.lock().unwrap());
    (summary, heard)
}

#[tokio::test]
async fn a_fleet_uses_both_protocols_and_its_account_balances() {
    let (summary, heard) = simulated(&["--devices", "11", "--rate", "1100"], 500).await;
    let counts = &summary.counts;
    assert!(heard.messages >= 500, "{heard:?}");
    assert_eq!(counts.planned, counts.acked + counts.skipped, "{counts:?}");
    assert_eq!(counts.acked, u64::from(heard.messages));
    assert!(counts.acked_values >= 2 * counts.acked);
    assert_eq!(
        (counts.connected, counts.refused, counts.abandoned),
        (0, 0, 0)
    );
    // Devices without a gateway take the protocols in turn; children speak through theirs.
    for path in [
        "devices/sim-noise-0001/telemetry",
        "/devices/sim-dust-0001/telemetry",
        "devices/sim-gw-0001/telemetry",
        "devices/sim-gas-0001/telemetry",
        "devices/sim-gas-0002/telemetry",
        "devices/sim-smoke-0002/telemetry",
        "devices/sim-fence-0001/telemetry",
        "/devices/sim-bike-0001/telemetry",
        "devices/sim-bike-0002/telemetry",
    ] {
        assert!(
            heard.paths.contains_key(path),
            "{path} of {:?}",
            heard.paths
        );
    }
    assert_eq!(heard.paths.len(), 11);
    let mut clients = heard.clients;
    clients.sort();
    assert_eq!(
        clients,
        [
            "sim-bike-0002",
            "sim-fence-0001",
            "sim-gw-0001",
            "sim-gw-0002",
            "sim-noise-0001"
        ]
    );
}

#[tokio::test]
async fn a_direct_fleet_gives_every_device_its_own_connection() {
    let words = ["--devices", "5", "--rate", "500", "--direct"];
    let (_, heard) = simulated(&words, 100).await;
    let mut clients = heard.clients;
    clients.sort();
    assert_eq!(clients, ["sim-gas-0002", "sim-gw-0001", "sim-noise-0001"]);
    assert!(heard.paths.contains_key("/devices/sim-gas-0001/telemetry"));
}

#[tokio::test]
async fn the_fleet_is_registered_a_thousand_at_a_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let plan = FleetPlan {
        devices: 1001,
        prefix: "sim",
        secret_seed: "demo",
        cadence_s: None,
    };
    let fleet = Fleet::new(&plan);
    let hub = async {
        let mut sizes = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (head, body) = request(&mut stream).await.unwrap();
            assert!(
                head.starts_with("PUT /api/v1/devices HTTP/1.1\r\n"),
                "{head}"
            );
            assert!(
                head.contains("\r\nAuthorization: Bearer t0ken\r\n"),
                "{head}"
            );
            let rows: serde_json::Value = serde_json::from_str(&body).unwrap();
            sizes.push(rows.as_array().unwrap().len());
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
        }
        sizes
    };
    let base = Base::parse(&url).unwrap();
    let (result, sizes) = tokio::join!(register(&base, "t0ken", &fleet), hub);
    result.unwrap();
    assert_eq!(sizes, [1000, 1]);
}

#[tokio::test]
async fn a_hub_that_refuses_the_fleet_is_quoted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Base::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let plan = FleetPlan {
        devices: 1,
        prefix: "sim",
        secret_seed: "demo",
        cadence_s: None,
    };
    let fleet = Fleet::new(&plan);
    let hub = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await.unwrap();
        let answer = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 7\r\n\r\nviewers";
        stream.write_all(answer).await.unwrap();
    };
    let (result, ()) = tokio::join!(register(&base, "t", &fleet), hub);
    let error = result.unwrap_err().to_string();
    assert_eq!(error, "registering: status 403: viewers");
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused() {
    for words in [
        &[][..],
        &["--mqtt", "127.0.0.1:1", "--devices", "0"],
        &["--mqtt", "127.0.0.1:1", "--cadence-s", "0"],
        &["--mqtt", "127.0.0.1:1", "--prefix", "a/b"],
        &["--mqtt", "127.0.0.1:1", "--devices", "2", "--rate", "1001"],
        &["--mqtt", "127.0.0.1:1", "--rate", "0"],
        &["--mqtt", "127.0.0.1"],
        &["--http", ":80"],
    ] {
        assert!(
            matches!(check(&args(words)), Err(SimError::Usage(_))),
            "{words:?}"
        );
    }
    check(&args(&[
        "--mqtt",
        "127.0.0.1:1",
        "--devices",
        "2",
        "--rate",
        "1000",
    ]))
    .unwrap();
    check(&args(&["--print-devices", "csv"])).unwrap();
}

#[test]
fn what_is_left_without_an_answer_is_abandoned() {
    let mut counts = Counts {
        planned: 10,
        acked: 4,
        refused: 1,
        skipped: 2,
        ..Counts::default()
    };
    counts.abandon_the_rest();
    assert_eq!(counts.abandoned, 3);
}
