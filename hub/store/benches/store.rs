//! Prints what the store reaches on this machine:
//! `cargo bench -p store --bench store -- [devices] [minutes] [readings a group]`.
//!
//! A group has one received time. So the density at rest is told by groups as small as they are when
//! devices send one by one (1), and the rate of commits by large ones (2,000).
//!
//! The fleet: 40 % gas pressure, 25 % smoke, 15 % noise, 15 % dust, 5 % bikes, one message a minute
//! with 150 ms of jitter, received 20 to 150 ms later, 2.2 values a message.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench measures time and prints rates"
)]

use model::{DeviceKey, MetricKey, Position, Quality, Reading, Series, Timestamp, Value};
use std::path::Path;
use std::time::{Duration, Instant};
use store::{Agg, Journal, Options, Reader, SeriesQuery};

const START: i64 = 1_772_323_200_000;
const MINUTE: i64 = 60_000;
const DAY: i64 = 1440 * MINUTE;
const METRICS: [&str; 7] = [
    "pressure_kpa",
    "battery_pct",
    "smoke_obscuration_dbm",
    "laeq_dba",
    "pm10_ugm3",
    "tsp_ugm3",
    "position",
];

/// A small generator of random numbers (xorshift64*), so that every run has the same data.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A whole number from `-spread` to `spread`.
    fn around(&mut self, spread: i64) -> i64 {
        let width = spread.unsigned_abs() * 2 + 1;
        self.below(width).cast_signed() - spread
    }
}

/// A device and where its values stand, in the least steps of their sensors.
struct Sensor {
    key: u32,
    level: i64,
    second: i64,
    battery: i64,
}

struct Message {
    device: u32,
    observed: i64,
    received: i64,
    values: Vec<(u16, Value)>,
}

fn steps(count: i64, per_unit: f64) -> Value {
    Value::Number(count as f64 / per_unit)
}

impl Sensor {
    fn values(&mut self, random: &mut Random) -> Vec<(u16, Value)> {
        if random.below(700) == 0 {
            self.battery = (self.battery - 1).max(0);
        }
        let battery = (1, steps(self.battery, 1.0));
        match self.key % 20 {
            0..8 => {
                self.level += random.around(1);
                vec![(0, steps(3000 + self.level, 10.0)), battery]
            }
            8..13 => {
                let smoke = if random.below(100) == 0 {
                    random.below(40)
                } else {
                    0
                };
                vec![(2, steps(smoke.cast_signed(), 1000.0)), battery]
            }
            13..16 => {
                self.level = (self.level + random.around(15)).clamp(-150, 150);
                vec![(3, steps(550 + self.level, 10.0)), battery]
            }
            16..19 => {
                self.level = (self.level + random.around(3)).clamp(-60, 200);
                let tsp = 2 * (70 + self.level) + random.around(4);
                vec![
                    (4, steps(70 + self.level, 1.0)),
                    (5, steps(tsp, 1.0)),
                    battery,
                ]
            }
            _ => {
                self.level += random.around(60);
                self.second += random.around(60);
                let position = Position {
                    lon: (118_089_400 + self.level) as f64 / 1e6,
                    lat: (24_479_800 + self.second) as f64 / 1e6,
                    accuracy_m: None,
                    locked: None,
                };
                vec![(6, Value::Position(position)), battery]
            }
        }
    }
}

/// Makes a minute of the fleet's messages, in the order of their arrival.
fn minute(sensors: &mut [Sensor], n: i64, random: &mut Random) -> Vec<Message> {
    let mut messages = Vec::with_capacity(sensors.len());
    for sensor in sensors {
        let values = sensor.values(random);
        if random.below(200) == 0 {
            continue;
        }
        let phase = i64::from(sensor.key).wrapping_mul(7919) % MINUTE;
        let observed = START + n * MINUTE + phase + random.below(150).cast_signed();
        let received = observed + 20 + random.below(130).cast_signed();
        messages.push(Message {
            device: sensor.key,
            observed,
            received,
            values,
        });
    }
    messages.sort_by_key(|message| message.received);
    messages
}

fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|f| f.parse::<u64>().ok())
            .unwrap_or(0)
    };
    Duration::from_millis((ticks(12) + ticks(13)) * 10)
}

fn rss_mb(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|l| l.strip_prefix(line));
    let kb = found.and_then(|rest| {
        rest.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .ok()
    });
    kb.unwrap_or(0) / 1024
}

/// Devices, minutes, readings a group.
type Fleet = (u32, i64, usize);

#[derive(Default)]
struct Ingest {
    readings: u64,
    wall: Duration,
    cpu: Duration,
    commits: Vec<Duration>,
}

fn commit(journal: &mut Journal, driver: u16, messages: &[Message], done: &mut Ingest) {
    let (Some(last), start) = (messages.last(), Instant::now()) else {
        return;
    };
    let stamp = Timestamp::from_millis(last.received);
    let mut group = journal.begin(stamp);
    for message in messages {
        let received = u32::try_from(message.values.len()).expect("few values");
        group.part(driver, DeviceKey(message.device), received);
        for (metric, value) in &message.values {
            let reading = Reading {
                series: Series {
                    device: DeviceKey(message.device),
                    metric: MetricKey(*metric),
                },
                value: *value,
                quality: Quality::GOOD,
                observed_at: Timestamp::from_millis(message.observed),
                received_at: stamp,
            };
            group.observe(journal, &reading, false).expect("admitted");
            done.readings += 1;
        }
    }
    journal.commit(group).expect("committed");
    done.commits.push(start.elapsed());
    if journal.wants_seal(stamp) {
        journal.seal(Vec::new()).expect("sealed");
    }
    journal.tick(stamp).expect("ticked");
}

fn ingest(journal: &mut Journal, driver: u16, (devices, minutes, group): Fleet) -> Ingest {
    let mut random = Random(42);
    let mut sensors: Vec<Sensor> = (1..=devices)
        .map(|key| Sensor {
            key,
            level: random.around(40),
            second: 0,
            battery: 60 + random.below(40).cast_signed(),
        })
        .collect();
    let mut done = Ingest::default();
    let mut waiting: Vec<Message> = Vec::new();
    for n in 0..minutes {
        waiting.extend(minute(&mut sensors, n, &mut random));
        let (wall, used) = (Instant::now(), cpu());
        let per_group = (group * 10 / 22).max(1);
        let whole = waiting.len() / per_group * per_group;
        for messages in waiting.chunks(per_group).take(whole / per_group) {
            commit(journal, driver, messages, &mut done);
        }
        done.wall += wall.elapsed();
        done.cpu += cpu() - used;
        waiting.drain(..whole);
    }
    commit(journal, driver, &waiting, &mut done);
    done
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

fn print_times(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    println!(
        "{what:<34} p50 {:>9.3?}  p99 {:>9.3?}  max {:>9.3?}",
        percentile(&times, 50),
        percentile(&times, 99),
        percentile(&times, 100)
    );
}

fn day_queries(reader: &Reader, devices: u32, agg: Option<Agg>) -> Vec<Duration> {
    let mut random = Random(7);
    (0..300)
        .map(|_| {
            let device = u32::try_from(random.below(devices.into())).unwrap_or(0) + 1;
            let query = SeriesQuery {
                series: Series {
                    device: DeviceKey(device),
                    metric: MetricKey(1),
                },
                from: Timestamp::from_millis(START),
                to: Timestamp::from_millis(START + DAY),
                limit: 10_000,
            };
            let start = Instant::now();
            let page = match agg {
                None => reader.readings(&query),
                Some(agg) => reader.buckets(&query, 15 * MINUTE, agg),
            };
            let took = start.elapsed();
            assert!(!page.expect("a page").points.is_empty());
            took
        })
        .collect()
}

fn print_size(when: &str, reader: &Reader) {
    let stats = reader.stats().expect("stats");
    println!(
        "{when:<34} {:.3} bytes/reading in {} segments, main.db {} KiB + wal {} KiB",
        stats.segment_bytes as f64 / stats.sealed_readings.max(1) as f64,
        stats.segments,
        stats.database_bytes / 1024,
        stats.wal_bytes / 1024,
    );
}

fn print_replay(reader: &Reader) {
    let (start, used) = (Instant::now(), cpu());
    let mut readings = 0u64;
    let mut last = i64::MIN;
    for chunk in reader
        .replay(Timestamp::MIN, Timestamp::MAX)
        .expect("replay")
    {
        for reading in chunk.expect("chunk") {
            assert!(reading.received_at.millis() >= last, "replay is in order");
            last = reading.received_at.millis();
            readings += 1;
        }
    }
    let took = start.elapsed();
    println!(
        "{:<34} {:.1} M readings/s, {:.1} M per CPU second ({readings} in {took:.2?})",
        "replay of everything",
        readings as f64 / took.as_secs_f64() / 1e6,
        readings as f64 / (cpu() - used).as_secs_f64().max(0.01) / 1e6
    );
}

fn print_reads(reader: &Reader, devices: u32) {
    print_size("merged", reader);
    print_times("one day of one series", day_queries(reader, devices, None));
    print_times(
        "the same in 96 buckets",
        day_queries(reader, devices, Some(Agg::MinMax)),
    );
    let start = Instant::now();
    let latest = reader.latest_all(|_| true).len();
    println!(
        "{:<34} {latest} series in {:.2?}",
        "latest of all",
        start.elapsed()
    );
    print_replay(reader);
    let start = Instant::now();
    let ledger = reader
        .ledger(Some(Timestamp::from_millis(START)), None)
        .expect("ledger");
    println!(
        "{:<34} {} stored in {:.2?}",
        "ledger by minutes",
        ledger.total.stored,
        start.elapsed()
    );
    println!(
        "{:<34} {} MB, peak {} MB",
        "memory",
        rss_mb("VmRSS:"),
        rss_mb("VmHWM:")
    );
}

fn run(dir: &Path, fleet: Fleet) {
    let (devices, _, group) = fleet;
    let (mut journal, reader, _) = store::open(dir, Options::default()).expect("opened");
    journal.number_metrics(&METRICS).expect("numbered");
    let driver = journal.number_driver("bench").expect("numbered");
    let done = ingest(&mut journal, driver, fleet);
    let (wall, used) = (done.wall.as_secs_f64(), done.cpu.as_secs_f64());
    println!(
        "{:<34} {:.2} M readings/s, {:.2} M per CPU second ({} readings, with seals)",
        format!("ingest, groups of {group}"),
        done.readings as f64 / wall / 1e6,
        done.readings as f64 / used.max(0.01) / 1e6,
        done.readings
    );
    print_times("commit of a group", done.commits);
    println!(
        "{:<34} {} MB, peak {} MB",
        "memory",
        rss_mb("VmRSS:"),
        rss_mb("VmHWM:")
    );
    journal.settle().expect("settled");
    journal.seal(Vec::new()).expect("sealed");
    journal.settle().expect("settled");
    print_size("sealed, not merged", &reader);
    print_times(
        "one day of one series, unmerged",
        day_queries(&reader, devices, None),
    );

    let (start, used) = (Instant::now(), cpu());
    for _ in 0..8 {
        journal
            .tick(Timestamp::from_millis(START + 3 * DAY))
            .expect("ticked");
        journal.settle().expect("settled");
    }
    println!(
        "{:<34} {:.2?}, {:.2?} CPU",
        "merging the day",
        start.elapsed(),
        cpu() - used
    );
    print_reads(&reader, devices);
    journal.close().expect("closed");
    let start = Instant::now();
    drop(store::open(dir, Options::default()).expect("opened"));
    println!("{:<34} {:.2?}", "opening again", start.elapsed());
}

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse::<u32>().ok());
    let devices = numbers.next().unwrap_or(2_000);
    let minutes = numbers.next().unwrap_or(1_440);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let group = numbers.next().map_or(2_000, |group| group as usize);
    println!("store: {devices} devices, {minutes} minutes, groups of {group}, {cores} cores");
    let dir = tempfile::tempdir().expect("a folder");
    run(dir.path(), (devices, minutes.into(), group));
}
