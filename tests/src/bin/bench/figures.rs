//! The figures of `make bench`, one run after the other on the same machine.

use crate::broker::Bare;
use crate::{city, machine};
use serde_json::{Value, json};
use sim::load::{Credentials, LoadArgs, LoadReport};
use std::net::SocketAddr;
use std::time::Duration;
use tests::audit;
use tests::http::Api;
use tests::hub::{Hub, Place, token};
use tests::mqtt::{Client, Identity, Version};
use tests::time::now_ms;
use tokio::time::Instant;

/// Connections and the window of each: 5,000 messages under way in both.
const SHAPES: [(usize, u16); 2] = [(50, 100), (500, 10)];

/// Readings a second at which latency is measured, and the messages that carry them.
const PACED_READINGS_PER_S: f64 = 20_000.0;

/// How often the probe reports while the latency of alarms is measured.
const PROBE_EVERY: Duration = Duration::from_millis(50);

struct Run {
    report: LoadReport,
    cores: f64,
    rss_mb: f64,
    greatest_mb: f64,
}

/// Measures and prints everything.
pub(crate) fn print() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    println!("{}", machine::describe());
    println!("QoS 1, two values a message; a reading is one value.\n");
    for (connections, window) in SHAPES {
        let bare = runtime.block_on(bare(connections, window));
        line("bare rumqttd", &bare);
        let (hub, _place) = start();
        let durable = runtime.block_on(load(&hub, &full_load(&hub, connections, window)));
        line("hub, durable, 3 rules", &durable);
        let ratio = durable.report.readings_per_s / bare.report.readings_per_s;
        let target = (bare.report.readings_per_s / 2.0).min(250_000.0);
        let word = if durable.report.readings_per_s >= target {
            "reached"
        } else {
            "MISSED"
        };
        println!("  ratio {ratio:.2}; target {target:.0} readings/s: {word}\n");
        let total = audit::ledger(&hub.api()).total;
        assert_eq!(
            total.stored, durable.report.readings,
            "what was acknowledged is stored"
        );
    }
    latency(&runtime);
    history();
}

fn start() -> (Hub, Place) {
    let place = city::place();
    let hub = place.start();
    let (idle, _) = machine::memory_mb(hub.pid());
    println!("hub idle: {idle:.1} MB (target under 60)");
    city::put_rules(&hub);
    (hub, place)
}

fn seconds() -> f64 {
    let text = std::env::var("SECONDS").ok();
    text.map_or(10.0, |text| text.parse().expect("SECONDS is a number"))
}

fn shape(addr: SocketAddr, connections: usize, window: u16) -> LoadArgs {
    LoadArgs {
        addr,
        connections,
        window,
        seconds: seconds(),
        // A fast connection's device time runs ahead of the clock by a few seconds a second.
        start_ms: Some(now_ms() - 100_000),
        ..LoadArgs::default()
    }
}

/// A load as fast as the hub answers, with its devices registered.
fn full_load(hub: &Hub, connections: usize, window: u16) -> LoadArgs {
    let load = LoadArgs {
        credentials: Credentials::Device {
            secret_prefix: "secret-of-".to_owned(),
        },
        ..shape(hub.mqtt(), connections, window)
    };
    city::register(hub, &load);
    load
}

async fn bare(connections: usize, window: u16) -> Run {
    let broker = Bare::start().await;
    let load = shape(broker.addr, connections, window);
    measured(broker.pid(), &load).await
}

async fn load(hub: &Hub, args: &LoadArgs) -> Run {
    measured(hub.pid(), args).await
}

async fn measured(pid: u32, args: &LoadArgs) -> Run {
    let before = machine::cpu_s(pid);
    let report = sim::load::run(args.clone()).await.expect("the load runs");
    let (rss_mb, greatest_mb) = machine::memory_mb(pid);
    assert_eq!(report.connections_lost, 0, "every connection stayed");
    Run {
        cores: (machine::cpu_s(pid) - before) / report.seconds,
        report,
        rss_mb,
        greatest_mb,
    }
}

fn line(name: &str, run: &Run) {
    let report = &run.report;
    println!(
        "{name:<24} {:>3} connections: {:>9.0} readings/s ({:.0} messages/s), ack p50 {:.1} ms \
         p99 {:.1} ms, {:.2} cores, RSS {:.0} MB (at most {:.0})",
        report.connections,
        report.readings_per_s,
        report.acks_per_s,
        report.p50_us as f64 / 1000.0,
        report.p99_us as f64 / 1000.0,
        run.cores,
        run.rss_mb,
        run.greatest_mb,
    );
}

/// Reading -> acknowledgement and reading -> alarm on a stream, while a paced load goes on.
fn latency(runtime: &tokio::runtime::Runtime) {
    let (hub, _place) = start();
    let probe_rule = json!({"title": "probe", "kind": "threshold", "devices": ["probe"],
        "metric": "pressure_kpa", "levels": [{"severity": "minor", "above": 400.0},
            {"severity": "major", "above": 500.0}]});
    hub.register(&json!([{"id": "probe", "kind": "gas_pressure"}]));
    hub.rule("probe", &probe_rule);
    let paced = LoadArgs {
        rate: Some(PACED_READINGS_PER_S / 2.0),
        ..full_load(&hub, 500, 10)
    };
    let api = hub.api_as("officer");
    let (mqtt, count) = (hub.mqtt(), (seconds() / PROBE_EVERY.as_secs_f64()) as usize);
    let probe = std::thread::spawn(move || probe(mqtt, &api, count));
    let run = runtime.block_on(load(&hub, &paced));
    line("hub, paced", &run);
    let samples = probe.join().expect("the probe ends well");
    println!(
        "reading -> alarm on the stream at {PACED_READINGS_PER_S:.0} readings/s: p50 {:.1} ms, \
         p99 {:.1} ms of {} alarms (target p99 under 50)\n",
        quantile(&samples, 0.5),
        quantile(&samples, 0.99),
        samples.len(),
    );
}

/// Raises an alarm and lets it become worse and better again and again, which is no chatter; gives
/// the milliseconds until each was seen.
fn probe(mqtt: SocketAddr, api: &Api, count: usize) -> Vec<f64> {
    let mut stream = api.stream("?types=cityhub.alarm", None);
    let mut device = Client::connect(mqtt, Version::V5, &Identity::device("probe"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let mut ticks = runtime.block_on(async { tokio::time::interval(PROBE_EVERY) });
    let mut samples = Vec::with_capacity(count);
    for round in 0..count {
        runtime.block_on(ticks.tick());
        let (kpa, kind) = match round {
            0 => (450, "raised"),
            _ if round % 2 == 1 => (550, "escalated"),
            _ => (450, "deescalated"),
        };
        let payload = json!({"ts": now_ms(), "values": {"pressure_kpa": kpa}}).to_string();
        let sent = Instant::now();
        device.send_publish("devices/probe/telemetry", payload.as_bytes());
        stream.wait_alarm(kind, "probe");
        samples.push(sent.elapsed().as_secs_f64() * 1000.0);
        device.read().expect("the probe is acknowledged");
    }
    samples.sort_by(f64::total_cmp);
    samples
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    sorted[at.min(sorted.len() - 1)]
}

/// One device's day over HTTP, and the backtest of all that was stored.
fn history() {
    let (hub, place) = start();
    hub.register(&json!([{"id": "day", "kind": "gas_pressure"}]));
    let from = now_ms() / 60_000 * 60_000 - 86_400_000;
    let reading = |minute: i64| {
        let kpa = 300.0 + (minute % 40) as f64;
        json!({"ts": from + minute * 60_000, "values": {"pressure_kpa": kpa}})
    };
    hub.store("day", &Value::Array((0..1440).map(reading).collect()));
    // Other devices around it, so that the day is a needle in the history.
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let args = full_load(&hub, 50, 100);
    runtime.block_on(load(&hub, &args));
    let path = format!(
        "/api/v1/devices/day/readings?metric=pressure_kpa&from={from}&to={}&limit=2000",
        now_ms()
    );
    let api = Api {
        addr: hub.addr("http"),
        token: token("viewer"),
    };
    let mut samples: Vec<f64> = (0..300)
        .map(|_| {
            let asked = Instant::now();
            let page = api.get(&path);
            let took = asked.elapsed().as_secs_f64() * 1000.0;
            assert_eq!(page["points"].as_array().map(Vec::len), Some(1440));
            took
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    println!(
        "one day of one series over HTTP, 1440 points: p50 {:.2} ms, p99 {:.2} ms (target 2)",
        quantile(&samples, 0.5),
        quantile(&samples, 0.99),
    );
    let stored = audit::ledger(&hub.api()).total.stored;
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    let bytes = machine::bytes_in(&place.data());
    println!(
        "{stored} values take {:.1} MB right after the load, {:.2} bytes each with the log and its \
         WAL; what they take at rest is in the store's own bench",
        bytes as f64 / 1e6,
        bytes as f64 / stored as f64
    );
    backtest(&place, stored);
}

fn backtest(place: &Place, stored: u64) {
    std::fs::write(place.path().join("rules.toml"), city::rules_toml()).expect("the rules");
    let to = (now_ms() + 3_600_000).to_string();
    let from = (now_ms() - 2 * 86_400_000).to_string();
    let args = ["backtest", "--config", "hub.toml", "--rules", "rules.toml"];
    let started = Instant::now();
    let output = place.run(&[&args[..], &["--from", &from, "--to", &to]].concat());
    let took = started.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", tests::hub::words(&output));
    println!(
        "backtest of {stored} readings with 3 rules, start included: {took:.2} s, {:.1} million \
         readings/s (target 5)",
        stored as f64 / took / 1e6
    );
}
