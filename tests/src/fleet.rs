//! A fleet of gas sensors that report as fast as they are acknowledged, and remember what was.

use crate::http::Api;
use crate::hub::{Hub, secret};
use crate::mqtt::{self, Identity, Publish, Version, take_packet};
use crate::time::{PATIENCE, now_ms};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How far in the past a fleet starts, in milliseconds, so that a fast sensor never overtakes the
/// clock and a slow one is never late (120 s).
const HEAD_START_MS: i64 = 90_000;

/// One reading: the sensor's time and its pressure.
pub type Sample = (i64, f64);

/// A sensor: what it sent and what of that was acknowledged.
#[derive(Clone, Debug)]
pub struct Sensor {
    pub id: String,
    pub acked: Vec<Sample>,
    /// Sent, but the hub went away before it answered; to be sent again.
    pub unacked: VecDeque<Sample>,
    last_ts: i64,
    number: u32,
}

impl Sensor {
    /// Goes up and down through the limits of a rule, once in about 50 readings.
    fn next_sample(&mut self) -> Sample {
        self.last_ts = (self.last_ts + 1).max(now_ms() - HEAD_START_MS);
        self.number = self.number.wrapping_add(1);
        let phase = self.number % 50;
        let height = if phase < 25 { phase } else { 50 - phase };
        (self.last_ts, 350.0 + 4.0 * f64::from(height))
    }
}

/// How many readings were acknowledged so far, for whoever waits for that.
#[derive(Debug, Default)]
pub struct Progress {
    acked: Mutex<u64>,
    moved: Condvar,
    stop: AtomicBool,
}

impl Progress {
    fn add(&self, count: u64) {
        *self.acked.lock().expect("nobody panics with it") += count;
        self.moved.notify_all();
    }

    /// Waits until that many were acknowledged.
    pub fn wait_for(&self, wanted: u64) {
        let acked = self.acked.lock().expect("nobody panics with it");
        let waited = self
            .moved
            .wait_timeout_while(acked, PATIENCE, |acked| *acked < wanted);
        let (acked, timeout) = waited.expect("nobody panics with it");
        assert!(
            !timeout.timed_out(),
            "only {acked} of {wanted} acknowledged"
        );
    }

    pub fn acked(&self) -> u64 {
        *self.acked.lock().expect("nobody panics with it")
    }

    /// Tells the sensors to send no more and to leave when all they sent is acknowledged.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// Sensors of one fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub sensors: Vec<Sensor>,
    window: usize,
}

impl Fleet {
    /// Makes sensors that may each have `window` readings under way.
    pub fn new(count: usize, window: usize) -> Self {
        let sensor = |index: usize| Sensor {
            id: format!("gas-{index:04}"),
            acked: Vec::new(),
            unacked: VecDeque::new(),
            last_ts: 0,
            number: u32::try_from(index).expect("few sensors"),
        };
        Self {
            sensors: (0..count).map(sensor).collect(),
            window,
        }
    }

    /// Registers the sensors.
    pub fn register(&self, hub: &Hub) {
        let device =
            |sensor: &Sensor| json!({"id": sensor.id, "kind": "gas_pressure", "cadence_s": 60});
        hub.register(&Value::Array(self.sensors.iter().map(device).collect()));
    }

    /// Reports until the hub hangs up or `progress` says stop.
    pub fn report(&mut self, addr: SocketAddr, progress: &Arc<Progress>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let window = self.window;
        let sensors = std::mem::take(&mut self.sensors);
        self.sensors = runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for sensor in sensors {
                tasks.spawn(drive(sensor, addr, window, Arc::clone(progress)));
            }
            tasks.join_all().await
        });
        self.sensors.sort_by(|a, b| a.id.cmp(&b.id));
    }

    /// Demands that every acknowledged reading can be read back with its value, each once, and
    /// nothing that was never sent.
    #[track_caller]
    pub fn check(&self, hub: &Hub) {
        for sensor in &self.sensors {
            let points = hub.points(&sensor.id, "pressure_kpa");
            let mut stored = points.iter().map(sample).collect::<Vec<_>>();
            let times = stored.iter().map(|(ts, _)| *ts).collect::<Vec<_>>();
            assert!(
                times.is_sorted_by(|a, b| a < b),
                "{}: in order, each once",
                sensor.id
            );
            let mut missing = 0;
            for acked in &sensor.acked {
                match stored.binary_search_by_key(&acked.0, |sample| sample.0) {
                    Ok(at) => assert_eq!(stored[at], *acked, "{}: another value", sensor.id),
                    Err(_) => missing += 1,
                }
            }
            assert_eq!(missing, 0, "{}: acknowledged and lost", sensor.id);
            let mut sent = sensor.acked.clone();
            sent.extend(&sensor.unacked);
            sent.sort_by_key(|sample| sample.0);
            stored.retain(|sample| sent.binary_search_by_key(&sample.0, |s| s.0).is_err());
            assert_eq!(stored, [], "{}: stored but never sent", sensor.id);
        }
    }

    pub fn acked(&self) -> usize {
        self.sensors.iter().map(|sensor| sensor.acked.len()).sum()
    }

    pub fn unacked(&self) -> usize {
        self.sensors.iter().map(|sensor| sensor.unacked.len()).sum()
    }
}

fn sample(point: &Value) -> Sample {
    let ts = point[0].as_i64().expect("a point starts with its time");
    (ts, point[1].as_f64().expect("a point has a value"))
}

/// A rule that the fleet's readings raise and clear again and again.
pub fn overpressure() -> Value {
    json!({"title": "overpressure", "kind": "threshold", "select": {"kind": "gas_pressure"},
           "metric": "pressure_kpa", "above": 400.0, "deadband": 10.0, "severity": "critical"})
}

/// Reads the total of stored readings from the ledger.
pub fn stored_total(api: &Api) -> u64 {
    crate::audit::ledger(api).total.stored
}

struct Flight {
    packet_id: u16,
    sample: Sample,
}

/// Speaks for one sensor until the connection ends.
async fn drive(
    mut sensor: Sensor,
    addr: SocketAddr,
    window: usize,
    progress: Arc<Progress>,
) -> Sensor {
    let mut flights = VecDeque::new();
    let talked = talk(&mut sensor, addr, &mut flights, (window, &progress)).await;
    // A hub that was killed resets its connections: that is what these fleets are for.
    drop(talked);
    let lost = flights.into_iter().map(|flight: Flight| flight.sample);
    let mut unacked: VecDeque<_> = lost.collect();
    unacked.append(&mut sensor.unacked);
    sensor.unacked = unacked;
    sensor
}

async fn talk(
    sensor: &mut Sensor,
    addr: SocketAddr,
    flights: &mut VecDeque<Flight>,
    (window, progress): (usize, &Progress),
) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let identity = Identity::named(&sensor.id, &secret(&sensor.id));
    stream
        .write_all(&mqtt::connect(Version::V3, &identity))
        .await?;
    let mut input = Vec::with_capacity(4096);
    while input.len() < 4 {
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
    let connack = take_packet(&mut input).expect("four bytes are a CONNACK");
    assert_eq!(connack.body, [0, 0], "{} is let in", sensor.id);
    let topic = format!("devices/{}/telemetry", sensor.id);
    let mut packet_id = 0u16;
    loop {
        let mut output = Vec::new();
        while flights.len() < window {
            let next = sensor.unacked.pop_front();
            let Some(sample) = next.or_else(|| (!progress.stopped()).then(|| sensor.next_sample()))
            else {
                break;
            };
            packet_id = packet_id % u16::MAX + 1;
            let payload = format!(
                r#"{{"ts":{},"values":{{"pressure_kpa":{}}}}}"#,
                sample.0, sample.1
            );
            let publish = Publish {
                topic: topic.as_bytes(),
                payload: payload.as_bytes(),
                qos: 1,
                packet_id,
            };
            output.extend(publish.bytes(Version::V3));
            flights.push_back(Flight { packet_id, sample });
        }
        if flights.is_empty() {
            return Ok(());
        }
        stream.write_all(&output).await?;
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        let mut count = 0;
        while let Some(packet) = take_packet(&mut input) {
            let flight = flights
                .pop_front()
                .expect("only what was sent is acknowledged");
            assert_eq!(
                (packet.first, packet.packet_id()),
                (0x40, flight.packet_id),
                "in order"
            );
            sensor.acked.push(flight.sample);
            count += 1;
        }
        progress.add(count);
    }
}
