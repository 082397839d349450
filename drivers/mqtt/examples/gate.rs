//! A gate without a hub behind it: it confirms every submission at once. For trying clients by hand
//! and for measuring the gate alone.
//!
//! `cargo run -p driver-mqtt --example gate -- PORT [TLS_PORT CERT KEY [CLIENT_CA]]`, with the
//! devices `d1` … `d600` (secret `s-d1` …), the gateway `gw` with the child `c1`, and the tokens
//! `token-<role>`.

#![expect(
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a program to try things with"
)]

use driver_mqtt::{Config, Mqtt};
use model::{Event, Reading, Series, Severity, Timestamp};
use sdk::testkit::Kit;
use sdk::{Driver, LiveBatch, Mark, Receipt, Request};
use std::sync::PoisonError;

/// Registered devices besides the gateway and its child.
const DEVICES: usize = 600;

/// An event is made up after this many commits that carry a reading, to have something to see.
const COMMITS_PER_EVENT: u64 = 10;

/// Batches that the made-up feed keeps for live subscribers.
const LIVE_BATCHES: usize = 64;

fn config(arguments: &[String]) -> Config {
    let argument = |index: usize| arguments.get(index).map(String::as_str);
    let port = argument(0).unwrap_or("18830");
    let mut config = serde_json::json!({ "kind": "mqtt", "listen": format!("127.0.0.1:{port}") });
    if let (Some(tls), Some(cert), Some(key)) = (argument(1), argument(2), argument(3)) {
        config["tls_listen"] = format!("127.0.0.1:{tls}").into();
        config["tls_cert"] = cert.into();
        config["tls_key"] = key.into();
    }
    if let Some(authority) = argument(4) {
        config["client_ca"] = authority.into();
        config["client_certificate"] = "optional".into();
    }
    serde_json::from_value(config).expect("the configuration is complete")
}

fn event(seq: u64) -> Event {
    Event {
        seq,
        kind: "cityhub.alarm.raised".to_owned(),
        subject: format!("a{seq}"),
        severity: Some(Severity::Warning),
        grid: None,
        json: format!(r#"{{"specversion":"1.0","id":"{seq}","sequence":"{seq:020}"}}"#),
    }
}

#[tokio::main]
async fn main() {
    let mut devices: Vec<String> = (1..=DEVICES)
        .map(|number| format!(r#"{{"id":"d{number}","kind":"gas_pressure"}}"#))
        .collect();
    devices.push(r#"{"id":"gw","kind":"gateway"}"#.to_owned());
    devices.push(r#"{"id":"c1","kind":"smoke","parent":"gw"}"#.to_owned());
    let devices: Vec<&str> = devices.iter().map(String::as_str).collect();
    let mut kit = Kit::new(&devices);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let driver = Mqtt::open(config(&arguments), kit.cx.clone()).await;
    let driver = driver.expect("the gate opens");
    eprintln!("gate: {:?}", driver.addresses());
    let stop = kit.cx.stop.clone();
    let serving = async {
        tokio::select! {
            done = driver.run() => done.expect("the gate runs"),
            signal = tokio::signal::ctrl_c() => {
                signal.expect("signals work");
                stop.cancel();
            }
        }
    };
    tokio::join!(serving, confirm_all(&mut kit));
}

/// Confirms every submission, and feeds live subscribers and subscribers of events.
async fn confirm_all(kit: &mut Kit) {
    let mut commit = 0;
    let mut events = 0;
    while let Some(request) = kit.requests.recv().await {
        let pending = match request {
            Request::Submit(pending) => pending,
            Request::MoveCursor { name, seq } => {
                let cursors = &kit.feed.cursors;
                let mut cursors = cursors.lock().unwrap_or_else(PoisonError::into_inner);
                cursors.insert(name, seq);
                continue;
            }
            Request::KeepSession(pending) => {
                pending.confirm();
                continue;
            }
            Request::Command(_) | Request::Delivered(_) | Request::Mirrored(_) => continue,
        };
        commit += 1;
        let now = Timestamp::from_millis(i64::try_from(commit).unwrap_or(i64::MAX));
        let mut readings = Vec::new();
        for part in &pending.submission.parts {
            readings.extend(part.observations.iter().map(|observation| Reading {
                series: Series {
                    device: part.device,
                    metric: observation.metric,
                },
                value: observation.value,
                quality: observation.quality,
                observed_at: observation.observed_at.unwrap_or(now),
                received_at: now,
            }));
        }
        let stored = readings.len() as u64;
        if commit % COMMITS_PER_EVENT == 0 {
            events += 1;
            let kept = &kit.feed.events;
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(event(events));
        }
        let live = &kit.feed.live;
        let mut live = live.lock().unwrap_or_else(PoisonError::into_inner);
        if live.len() >= LIVE_BATCHES {
            live.remove(0);
        }
        live.push(LiveBatch { commit, readings });
        drop(live);
        pending.confirm(Receipt {
            seq: commit,
            stored,
            ..Receipt::default()
        });
        kit.mark.send_replace(Mark {
            commit,
            event: events,
        });
    }
}
