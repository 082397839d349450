//! How soon a webhook has an event, alone and beside receivers that misbehave.
#![expect(
    clippy::disallowed_methods,
    reason = "a receiver outside of the hub looks at its own clock"
)]

use crate::{city, machine};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use tests::fleet::overpressure;
use tests::hub::Hub;
use tests::time::now_s_in_ms;

/// Alarms in each run, one after the other, each of a sensor of its own so that none chatters.
const ALARMS: usize = 500;

/// For any one event, hung receivers or not.
const PATIENCE: Duration = Duration::from_secs(30);

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// Prints the time from the device's request to the event at a receiver, first alone, then beside
/// three that fail in their own ways.
pub(crate) fn run() {
    let place = city::place();
    let hub = place.start();
    println!("{}", machine::describe());
    let sensor = |number| json!({"id": format!("gas-{number}"), "kind": "gas_pressure"});
    hub.register(&Value::Array((0..2 * ALARMS).map(sensor).collect()));
    hub.rule("overpressure", &overpressure());
    let (steady, arrived) = listen();
    std::thread::spawn(move || serve(&steady.0, &steady.1, |_| Some("200 OK")));
    subscribe(&hub, "steady", arrived.1, "cityhub.alarm.raised");
    let alone = measure(&hub, 0, &arrived.0);
    print("alone", &alone);
    // One that answers 503, one that takes and never answers, one that is not there.
    let moods: [fn(usize) -> Option<&'static str>; 2] =
        [|_| Some("503 Service Unavailable"), |_| None];
    for (index, mood) in moods.into_iter().enumerate() {
        let (bad, arrivals) = listen();
        subscribe(&hub, &format!("bad-{index}"), arrivals.1, "cityhub.");
        std::thread::spawn(move || {
            serve(&bad.0, &bad.1, mood);
            drop(arrivals);
        });
    }
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = gone.local_addr().expect("an address").port();
    drop(gone);
    subscribe(&hub, "gone", port, "cityhub.");
    let beside = measure(&hub, ALARMS, &arrived.0);
    print("beside three that fail", &beside);
    let sinks = hub.api().get("/api/v1/health")["sinks"].clone();
    for (name, sink) in sinks.as_object().expect("sinks") {
        println!(
            "{name}: {} lag {} attempts {}",
            sink["state"], sink["lag_events"], sink["attempts"]
        );
    }
}

type Server = (TcpListener, Sender<Instant>);

fn listen() -> (Server, (Receiver<Instant>, u16)) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, arrivals) = channel();
    ((listener, sender), (arrivals, port))
}

/// Reads requests and answers each by its number; a connection that gets no answer is held open.
fn serve(
    listener: &TcpListener,
    arrived: &Sender<Instant>,
    mood: impl Fn(usize) -> Option<&'static str>,
) {
    let mut count = 0;
    let mut held = Vec::new();
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        while read_request(&mut stream) {
            count += 1;
            // Those that fail have nobody who counts.
            arrived.send(Instant::now()).unwrap_or_default();
            let Some(status) = mood(count) else { break };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            if stream.write_all(answer.as_bytes()).is_err() {
                break;
            }
        }
        held.push(stream);
    }
}

fn read_request(stream: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return false,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .and_then(|text| text.parse().ok());
        if length == Some(body.len()) {
            return true;
        }
    }
}

fn subscribe(hub: &Hub, name: &str, port: u16, types: &str) {
    let spec = json!({"kind": "webhook", "url": format!("http://127.0.0.1:{port}/"),
        "secret": SECRET, "filter": {"types": [types]}});
    let path = format!("/api/v1/subscriptions/{name}");
    hub.api().put(&path, &spec).expect(200);
}

/// Raises one alarm after the other; gives how long each took to arrive, shortest first.
fn measure(hub: &Hub, first: usize, arrived: &Receiver<Instant>) -> Vec<Duration> {
    let mut took: Vec<Duration> = (first..first + ALARMS)
        .map(|number| {
            let body = json!({"ts": now_s_in_ms(), "values": {"pressure_kpa": 450}});
            let before = Instant::now();
            hub.store(&format!("gas-{number}"), &body);
            let at = arrived.recv_timeout(PATIENCE).expect("the event comes");
            at.duration_since(before)
        })
        .collect();
    took.sort_unstable();
    took
}

fn print(what: &str, took: &[Duration]) {
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
    println!(
        "{what}: p50 {:.1?}, p99 {:.1?}, most {:.1?} of {} events",
        at(50),
        at(99),
        took[took.len() - 1],
        took.len()
    );
}
