//! How soon a silent device is known among many, and whether jitter ever calls one silent.
#![expect(
    clippy::disallowed_methods,
    reason = "the field reports at its own times, and the watch is as long as it says"
)]

use crate::{city, machine};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tests::http::Api;
use tests::hub::{Hub, secret, token};
use tests::mqtt::{Client, Identity, Version};
use tests::time::now_ms;

const CADENCE_S: i64 = 30;

/// Reports that may be missed, as the hub has it unless told otherwise.
const MISSED_MAX: i64 = 3;

/// Gateways, each of which reports for its share of the devices over one connection.
const GATEWAYS: usize = 50;

/// A report comes at most this share of the tolerance after the one before: never too late.
const JITTER_SHARE: f64 = 0.9;

/// One device in so many stops.
const STOPS_EVERY: usize = 100;

/// How long all report before some stop, and how long the rest is watched after that.
const STEADY: Duration = Duration::from_secs(120);
const WATCHED: Duration = Duration::from_secs(180);

/// What the gateways have done.
#[derive(Default)]
struct Field {
    /// Device and the time of its last report, of those that stopped.
    stopped: Mutex<BTreeMap<String, i64>>,
    reports: std::sync::atomic::AtomicU64,
    stopping: AtomicBool,
    ended: AtomicBool,
}

/// Registers the devices, lets them report with jitter, stops one in a hundred, and prints how
/// long after its true deadline each was said to be offline.
pub(crate) fn run(devices: usize) {
    let place = city::place();
    let hub = place.start();
    let pid = hub.pid();
    println!("{}", machine::describe());
    let idle = machine::memory_mb(pid).0;
    println!("idle: {idle:.1} MB");
    register(&hub, devices);
    let registered = machine::memory_mb(pid).0;
    println!(
        "{devices} devices registered: {registered:.1} MB, {:.0} bytes each",
        (registered - idle) * 1024.0 * 1024.0 / devices as f64
    );
    let (facts, seen) = mpsc::channel();
    listen(&hub, facts);
    let field = Arc::new(Field::default());
    let cpu = machine::cpu_s(pid);
    let started = std::time::Instant::now();
    let gateways: Vec<_> = (0..GATEWAYS)
        .map(|number| {
            let (field, addr) = (Arc::clone(&field), hub.mqtt());
            std::thread::spawn(move || gateway(&field, addr, number, devices))
        })
        .collect();
    pause(STEADY);
    let reporting = machine::memory_mb(pid);
    field.stopping.store(true, Ordering::Release);
    pause(WATCHED);
    field.ended.store(true, Ordering::Release);
    for gateway in gateways {
        gateway.join().expect("a gateway ends well");
    }
    let cores = (machine::cpu_s(pid) - cpu) / started.elapsed().as_secs_f64();
    let reports = field.reports.load(Ordering::Relaxed);
    println!(
        "all reporting: {:.1} MB (at most {:.1}), {:.0} reports/s, {cores:.2} cores",
        reporting.0,
        reporting.1,
        reports as f64 / started.elapsed().as_secs_f64(),
    );
    let stopped = field.stopped.lock().expect("nobody panics with it");
    judge(&stopped, seen.try_iter());
    let census = hub.api().get("/api/v1/health")["devices"]["by_status"].clone();
    println!("statuses: {census}");
}

/// Lets the time pass that a part of the bench takes.
fn pause(length: Duration) {
    let until = std::time::Instant::now() + length;
    while let Some(left) = until.checked_duration_since(std::time::Instant::now()) {
        std::thread::park_timeout(left);
    }
}

fn register(hub: &Hub, devices: usize) {
    let gateways: Vec<Value> = (0..GATEWAYS)
        .map(|number| {
            let id = format!("gw-{number}");
            json!({"id": id, "kind": "gateway", "cadence_s": CADENCE_S, "secret": secret(&id)})
        })
        .collect();
    city::put(hub, &gateways);
    let sensors: Vec<Value> = (0..devices)
        .map(|index| {
            json!({"id": format!("d-{index}"), "kind": "gas_pressure", "cadence_s": CADENCE_S,
                   "parent": format!("gw-{}", index % GATEWAYS)})
        })
        .collect();
    city::put(hub, &sensors);
}

/// One event of a device as it was seen: when, of which device, with which deadline.
struct Seen {
    at_ms: i64,
    device: String,
    since_ms: i64,
}

fn listen(hub: &Hub, facts: mpsc::Sender<Seen>) {
    let api = Api {
        addr: hub.addr("http"),
        token: token("viewer"),
    };
    std::thread::spawn(move || {
        let mut stream = api.stream("?types=cityhub.device.offline", None);
        while let Some(sent) = stream.receive() {
            if sent.id.is_none() || !sent.data.contains("cityhub.device.offline") {
                continue;
            }
            let at_ms = now_ms();
            let fact = sent.json();
            let text = |key: &str| fact[key].as_str().expect("a text").to_owned();
            let since = model::Timestamp::parse(&text("time")).expect("a time");
            let seen = Seen {
                at_ms,
                device: text("subject"),
                since_ms: since.millis(),
            };
            if facts.send(seen).is_err() {
                return;
            }
        }
    });
}

/// Reports for every device of one gateway, each at its own odd times.
fn gateway(field: &Field, addr: std::net::SocketAddr, number: usize, devices: usize) {
    let id = format!("gw-{number}");
    let mut client = Client::connect(addr, Version::V5, &Identity::device(&id));
    let mut random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number as u64 + 1);
    let mut next = move |below: f64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % 1_000_000) as f64 / 1e6 * below
    };
    let tolerance_ms = (CADENCE_S * MISSED_MAX * 1000) as f64;
    let begun = now_ms();
    let mut due: BinaryHeap<Reverse<(i64, usize)>> = (number..devices)
        .step_by(GATEWAYS)
        .map(|index| Reverse((begun + next(CADENCE_S as f64 * 1000.0) as i64, index)))
        .collect();
    let mut unanswered = 0;
    while let Some(Reverse((at_ms, index))) = due.pop() {
        if field.ended.load(Ordering::Acquire) {
            break;
        }
        let wait_ms = at_ms - now_ms();
        if wait_ms > 0 {
            while unanswered > 0 {
                client.read().expect("a report is acknowledged");
                unanswered -= 1;
            }
            pause(Duration::from_millis(wait_ms.unsigned_abs()));
        }
        let ts = now_ms();
        let mut payload = String::new();
        write!(
            payload,
            "{{\"ts\":{ts},\"values\":{{\"pressure_kpa\":{:.1}}}}}",
            300.0 + next(9.0)
        )
        .expect("a string takes any text");
        client.send_publish(&format!("devices/d-{index}/telemetry"), payload.as_bytes());
        unanswered += 1;
        if unanswered >= 16 {
            client.read().expect("a report is acknowledged");
            unanswered -= 1;
        }
        field.reports.fetch_add(1, Ordering::Relaxed);
        if index.is_multiple_of(STOPS_EVERY) && field.stopping.load(Ordering::Acquire) {
            let mut stopped = field.stopped.lock().expect("nobody panics with it");
            stopped.insert(format!("d-{index}"), ts);
            continue;
        }
        // Mostly on time; now and then two reports are missed and the third is almost too late.
        let gap_ms = if next(1.0) < 0.05 {
            tolerance_ms * JITTER_SHARE
        } else {
            CADENCE_S as f64 * 500.0 + next(CADENCE_S as f64 * 1000.0)
        };
        due.push(Reverse((ts + gap_ms as i64, index)));
    }
}

fn judge(stopped: &BTreeMap<String, i64>, seen: impl Iterator<Item = Seen>) {
    let mut errors_ms = Vec::new();
    let (mut wrong, mut inexact) = (0, 0);
    for fact in seen {
        let Some(last_ms) = stopped.get(&fact.device) else {
            wrong += 1;
            continue;
        };
        let deadline_ms = last_ms + CADENCE_S * MISSED_MAX * 1000;
        inexact += u32::from(fact.since_ms != deadline_ms);
        errors_ms.push(fact.at_ms - deadline_ms);
    }
    errors_ms.sort_unstable();
    assert!(!errors_ms.is_empty(), "nobody was said to be offline");
    let quantile = |share: f64| {
        let at = (errors_ms.len() as f64 * share) as usize;
        errors_ms[at.min(errors_ms.len() - 1)]
    };
    assert_eq!(errors_ms.len(), stopped.len(), "each that stopped is known");
    println!(
        "stopped {}, said to be offline {}, of these with another deadline {inexact}; false {wrong}",
        stopped.len(),
        errors_ms.len()
    );
    println!(
        "deadline -> event on a stream: p50 {} ms, p99 {} ms, at most {} ms (target p99 1000)",
        quantile(0.5),
        quantile(0.99),
        quantile(1.0)
    );
}
