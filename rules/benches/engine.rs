//! Readings per second through the engine, live and in a backtest, with 1, 10 and 100 rules a device.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use model::{Catalogue, Device, DeviceKey, Quality, Reading, Series, Timestamp, Value};
use rules::{DeviceView, Engine, Plan, Rule, Settings, backtest, parse_toml};
use std::convert::Infallible;
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const DEVICES: u32 = 1_000;
const ROUNDS: u32 = 100;
const CADENCE_MS: i64 = 60_000;
const START_MS: i64 = 1_772_323_200_000;

fn devices() -> Vec<DeviceView> {
    let device = |key| {
        let json = serde_json::json!({
            "id": format!("gas-{key}"), "kind": "gas_pressure", "cadence_s": 60
        });
        let device: Device = serde_json::from_value(json).expect("a good device");
        DeviceView::new(DeviceKey(key), &device, None)
    };
    (0..DEVICES).map(device).collect()
}

/// Threshold rules on the one metric that is sent, with delays and levels, and one on silence.
fn rules(count: usize) -> Vec<Rule> {
    let mut toml = String::new();
    for index in 0..count {
        let text = match index {
            9 => "kind = \"silence\"\nselect = {}\nfactor = 3\n".to_owned(),
            index if index % 3 == 1 => format!(
                "kind = \"threshold\"\nselect = {{}}\nmetric = \"pressure_kpa\"\non_delay_s = 90\n\
                 levels = [{{ above = {index}380, severity = \"minor\" }}, {{ above = {index}390, severity = \"major\" }}]\n"
            ),
            index => format!(
                "kind = \"threshold\"\nselect = {{}}\nmetric = \"pressure_kpa\"\nabove = {}\n\
                 deadband = 5\noff_delay_s = 30\nseverity = \"minor\"\n",
                395 + index
            ),
        };
        write!(toml, "[rules.r{index:03}]\n{text}\n").expect("memory");
    }
    let specs = parse_toml("bench.toml", &toml).expect("good rules");
    let rule = |(id, spec)| Rule {
        id,
        revision: 1,
        spec,
    };
    specs.into_iter().map(rule).collect()
}

/// A day-and-night swing with noise, of which one reading in a thousand is beyond the first limit;
/// each comes 20 to 150 ms after its own time.
fn readings() -> Vec<Reading> {
    let pressure = Catalogue::built_in()
        .find("pressure_kpa")
        .expect("built in");
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed >> 16
    };
    let mut readings = Vec::new();
    for round in 0..ROUNDS {
        for device in 0..DEVICES {
            let phase_ms = CADENCE_MS * i64::from(device) / i64::from(DEVICES);
            let observed_ms = START_MS + 1_000 + CADENCE_MS * i64::from(round) + phase_ms;
            let noise = f64::from(u32::try_from(random() % 1000).expect("small")) / 1000.0;
            let peak = if random() % 1000 == 0 { 90.0 } else { 0.0 };
            let delay_ms = 20 + i64::try_from(random() % 130).expect("small");
            readings.push(Reading {
                series: Series {
                    device: DeviceKey(device),
                    metric: pressure,
                },
                value: Value::Number(310.0 + noise + peak),
                quality: Quality::GOOD,
                observed_at: Timestamp::from_millis(observed_ms),
                received_at: Timestamp::from_millis(observed_ms + delay_ms),
            });
        }
    }
    readings.sort_by_key(|reading| reading.received_at);
    readings
}

fn live(criterion: &mut Criterion) {
    let readings = readings();
    let mut group = criterion.benchmark_group("live");
    group.throughput(Throughput::Elements(readings.len() as u64));
    for count in [1, 10, 100] {
        let mut engine = Engine::new(Settings::default(), Arc::new(Catalogue::built_in()));
        let mut changes = Vec::new();
        let start = Timestamp::from_millis(START_MS);
        for device in devices() {
            engine.put_device(start, device, &mut changes);
        }
        for rule in rules(count) {
            engine.put_rule(start, rule, &mut changes);
        }
        let checkpoint = engine.checkpoint();
        let fresh = || {
            Engine::restore(
                Settings::default(),
                Arc::new(Catalogue::built_in()),
                &checkpoint,
            )
            .expect("a good checkpoint")
        };
        group.bench_function(BenchmarkId::new("rules_per_device", count), |bencher| {
            bencher.iter_batched(
                fresh,
                |mut engine| {
                    let mut changes = Vec::new();
                    for reading in &readings {
                        engine.apply(reading.received_at, reading, &mut changes);
                        black_box(&changes);
                        changes.clear();
                    }
                    engine
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn recorded(criterion: &mut Criterion) {
    let readings = readings();
    let chunks: Vec<Vec<Reading>> = readings.chunks(4096).map(<[Reading]>::to_vec).collect();
    let mut group = criterion.benchmark_group("backtest");
    group.throughput(Throughput::Elements(readings.len() as u64));
    for count in [1, 10] {
        let plan = Plan {
            settings: Settings::default(),
            catalogue: Arc::new(Catalogue::built_in()),
            devices: devices(),
            rules: rules(count),
            from: Timestamp::from_millis(START_MS),
            until: Timestamp::from_millis(START_MS + CADENCE_MS * i64::from(ROUNDS + 10)),
        };
        group.bench_function(BenchmarkId::new("rules_per_device", count), |bencher| {
            bencher.iter_batched(
                || (plan.clone(), chunks.clone()),
                |(plan, chunks)| backtest::<Infallible>(plan, chunks.into_iter().map(Ok)),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// How many devices a large city has.
const CITY: u32 = 100_000;
const CITY_RULES: u32 = 1_000;

/// Registers a hundred thousand devices of a thousand sites, then puts a rule for each site, edits
/// them all, and puts them again unchanged. The budget is a second for each.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "what happens once in an engine's life is measured once, and told"
)]
fn reload(_: &mut Criterion) {
    let start = Timestamp::from_millis(START_MS);
    let mut engine = Engine::new(Settings::default(), Arc::new(Catalogue::built_in()));
    let mut changes = Vec::new();
    let clock = Instant::now();
    for key in 0..CITY {
        let json = serde_json::json!({
            "id": format!("gas-{key}"), "kind": "gas_pressure", "cadence_s": 60,
            "site": format!("site-{}", key % CITY_RULES)
        });
        let device: Device = serde_json::from_value(json).expect("a good device");
        let view = DeviceView::new(DeviceKey(key), &device, None);
        engine.put_device(start, view, &mut changes);
    }
    println!("reload/register {CITY} devices: {:?}", clock.elapsed());
    for (name, above, title) in [
        ("put", 400, "a"),
        ("edit limits of", 410, "a"),
        ("edit titles of", 410, "b"),
        ("put again", 410, "b"),
    ] {
        let clock = Instant::now();
        for site in 0..CITY_RULES {
            let toml = format!(
                "[rules.r{site}]\ntitle = \"{title}\"\nkind = \"threshold\"\nselect = {{ site = \"site-{site}\" }}\n\
                 metric = \"pressure_kpa\"\nabove = {above}\n"
            );
            for (id, spec) in parse_toml("bench.toml", &toml).expect("a good rule") {
                let revision = 1;
                engine.put_rule(start, Rule { id, revision, spec }, &mut changes);
            }
        }
        let took = clock.elapsed();
        let share = took.as_secs_f64() * 100.0;
        println!("reload/{name} {CITY_RULES} rules: {took:?}, {share:.0} % of a second");
    }
    let clock = Instant::now();
    let bytes = engine.checkpoint().len();
    let written = clock.elapsed();
    println!("reload/checkpoint of {CITY} devices: {written:?}, {bytes} bytes");
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = live, recorded, reload
}
criterion_main!(benches);
