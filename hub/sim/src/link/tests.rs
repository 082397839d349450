//! Links against hand-written hubs that answer late, wrongly or not at all.

use super::*;
use crate::fault::FaultShare;
use crate::fleet::FleetPlan;
use crate::mqtt::Version;
use crate::plan::{Plan, PlanSpec};
use crate::tally::Counts;
use crate::wire_tap::{Publish, packet, publish, request};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A file of our own in the system's folder for such, removed with the value.
struct AckLog(PathBuf);

impl AckLog {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("cityhub-sim-{}-{number}.log", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for AckLog {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn fleet() -> Fleet {
    Fleet::new(&FleetPlan {
        devices: 5,
        prefix: "t",
        secret_seed: "s",
        cadence_s: Some(1),
    })
}

/// The first messages of the noise meter, which is device 0.
fn messages(count: usize, faults: &[&str]) -> Vec<Message> {
    let faults = faults
        .iter()
        .map(|text| text.parse::<FaultShare>().unwrap())
        .collect();
    let spec = PlanSpec {
        seed: 1,
        start_ms: 1_772_294_400_000,
        demo: false,
        rate: None,
        faults,
    };
    let mut plan = Plan::new(&fleet(), spec);
    std::iter::from_fn(|| plan.next())
        .map(|(_, message)| message)
        .filter(|message| message.device == 0)
        .take(count)
        .collect()
}

/// The log lines as the contract of the option words them, taken from payloads on the wire.
fn lines_of(payloads: &[&[u8]]) -> Vec<String> {
    let line = |payload: &&[u8]| {
        let text = std::str::from_utf8(payload).unwrap();
        let ts: String = text.chars().skip("{\"ts\":".len()).take(13).collect();
        let values = text
            .split_once("\"values\":{")
            .unwrap()
            .1
            .trim_end_matches('}');
        let values = values.replace('"', "").replace(',', ";").replace(':', "=");
        format!("t-noise-0001,{ts},{values}")
    };
    payloads.iter().map(line).collect()
}

struct Bench {
    listener: TcpListener,
    shared: Arc<Shared>,
    log: AckLog,
    queue: mpsc::Receiver<Message>,
}

impl Bench {
    /// Prepares a hub's ear and a queue that holds the messages and then ends.
    async fn new(messages: Vec<Message>) -> Self {
        let log = AckLog::new();
        let tally = Tally::new(Some(&log.0)).unwrap();
        let (sender, queue) = mpsc::channel(QUEUE_MESSAGES);
        tally.count(|counts| counts.planned += messages.len() as u64);
        for message in messages {
            sender.try_send(message).unwrap();
        }
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            shared: Arc::new(Shared::new(fleet(), tally)),
            log,
            queue,
        }
    }

    /// Runs an MQTT link beside the hub.
    async fn mqtt(
        self,
        version: Version,
        window: u16,
        hub: impl AsyncFnOnce(TcpListener),
    ) -> (Counts, Vec<String>) {
        let setup = MqttSetup {
            shared: Arc::clone(&self.shared),
            addr: self.listener.local_addr().unwrap().to_string().into(),
            device: 0,
            version,
            dialect: crate::way::Dialect::Own,
            window,
            seed: 1,
        };
        let link = MqttLink::new(setup, self.queue);
        tokio::join!(link.run(), hub(self.listener));
        (self.shared.tally.summary(1, 1.0).counts, self.log.lines())
    }

    /// Runs an HTTP link beside the hub.
    async fn http(self, hub: impl AsyncFnOnce(TcpListener)) -> (Counts, Vec<String>) {
        let addr = self.listener.local_addr().unwrap().to_string().into();
        let shared = Arc::clone(&self.shared);
        let link = HttpLink::new(shared, addr, Random::new(1, 0), self.queue);
        tokio::join!(link.run(), hub(self.listener));
        (self.shared.tally.summary(1, 1.0).counts, self.log.lines())
    }
}

/// Accepts a device and answers its CONNECT.
async fn welcome(listener: &TcpListener, connack: &[u8]) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (first, _) = packet(&mut stream).await.unwrap();
    assert_eq!(first, 0x10);
    stream.write_all(connack).await.unwrap();
    stream
}

/// Reads a PUBLISH that has this first byte.
async fn published(stream: &mut TcpStream, first_byte: u8, v5: bool) -> Publish {
    let (first, body) = packet(stream).await.unwrap();
    assert_eq!(first, first_byte, "first byte {first:#x}");
    publish(&body, v5)
}

async fn ack(stream: &mut TcpStream, publish: &Publish) {
    let [high, low] = publish.packet_id;
    stream.write_all(&[0x40, 2, high, low]).await.unwrap();
}

/// Waits until the device says its farewell.
async fn farewell(stream: &mut TcpStream) {
    assert_eq!(packet(stream).await, Some((0xe0, vec![])));
}

#[tokio::test]
async fn what_a_dying_hub_did_not_answer_is_resent_and_only_answered_messages_are_logged() {
    let bench = Bench::new(messages(3, &[])).await;
    let mut wire = Vec::new();
    let log_path = bench.log.0.clone();
    let hub = async |listener: TcpListener| {
        let mut stream = welcome(&listener, &[0x20, 2, 0, 0]).await;
        for _ in 0..3 {
            wire.push(published(&mut stream, 0x32, false).await);
        }
        ack(&mut stream, &wire[0]).await;
        drop(stream);
        let mut stream = welcome(&listener, &[0x20, 2, 0, 0]).await;
        // The same ids and bytes, now with DUP.
        for before in &wire[1..] {
            assert_eq!(published(&mut stream, 0x3a, false).await, *before);
        }
        // The answer to the first was read before the connection broke; nothing else was given.
        let logged = std::fs::read_to_string(&log_path).unwrap();
        assert_eq!(logged.lines().count(), 1);
        ack(&mut stream, &wire[1]).await;
        ack(&mut stream, &wire[2]).await;
        farewell(&mut stream).await;
    };
    let (counts, lines) = bench.mqtt(Version::V311, 10, hub).await;
    let payloads: Vec<&[u8]> = wire.iter().map(|publish| &publish.payload[..]).collect();
    assert_eq!(lines, lines_of(&payloads));
    assert_eq!(wire[0].topic, "devices/t-noise-0001/telemetry");
    assert_eq!((counts.sent, counts.resent, counts.acked), (3, 2, 3));
    assert_eq!((counts.connections_lost, counts.connected), (1, 0));
}

#[tokio::test]
async fn version_5_marks_a_resent_message_only_where_the_hub_remembers_the_session() {
    for (connack, first_byte) in [([0x20, 3, 0, 0, 0], 0x32), ([0x20, 3, 1, 0, 0], 0x3a)] {
        let bench = Bench::new(messages(1, &[])).await;
        let hub = async |listener: TcpListener| {
            let mut stream = welcome(&listener, &[0x20, 3, 0, 0, 0]).await;
            let before = published(&mut stream, 0x32, true).await;
            drop(stream);
            let mut stream = welcome(&listener, &connack).await;
            let again = published(&mut stream, first_byte, true).await;
            assert_eq!(before, again);
            ack(&mut stream, &again).await;
            farewell(&mut stream).await;
        };
        let (counts, lines) = bench.mqtt(Version::V5, 1, hub).await;
        assert_eq!((counts.acked, lines.len()), (1, 1));
    }
}

#[tokio::test]
async fn no_more_than_a_window_of_messages_waits_for_answers() {
    let bench = Bench::new(messages(3, &[])).await;
    let shared = Arc::clone(&bench.shared);
    let hub = async |listener: TcpListener| {
        let mut stream = welcome(&listener, &[0x20, 2, 0, 0]).await;
        published(&mut stream, 0x32, false).await;
        published(&mut stream, 0x32, false).await;
        shared.drain(Instant::now());
        // Any byte wakes the link; a third message would come before its farewell.
        stream.write_all(&[0xd0, 0]).await.unwrap();
        farewell(&mut stream).await;
    };
    let (counts, lines) = bench.mqtt(Version::V311, 2, hub).await;
    assert_eq!((counts.sent, counts.abandoned, lines.len()), (2, 3, 0));
}

#[tokio::test]
async fn answers_out_of_order_make_room_as_well() {
    let bench = Bench::new(messages(3, &[])).await;
    let hub = async |listener: TcpListener| {
        let mut stream = welcome(&listener, &[0x20, 2, 0, 0]).await;
        let first = published(&mut stream, 0x32, false).await;
        let second = published(&mut stream, 0x32, false).await;
        ack(&mut stream, &second).await;
        let third = published(&mut stream, 0x32, false).await;
        ack(&mut stream, &third).await;
        ack(&mut stream, &first).await;
        farewell(&mut stream).await;
    };
    let (counts, lines) = bench.mqtt(Version::V311, 2, hub).await;
    assert_eq!((counts.acked, counts.resent, lines.len()), (3, 0, 3));
}

#[tokio::test]
async fn a_refused_message_is_counted_and_not_logged() {
    let bench = Bench::new(messages(2, &[])).await;
    let hub = async |listener: TcpListener| {
        let mut stream = welcome(&listener, &[0x20, 3, 0, 0, 0]).await;
        let first = published(&mut stream, 0x32, true).await;
        let second = published(&mut stream, 0x32, true).await;
        let [high, low] = first.packet_id;
        stream.write_all(&[0x40, 3, high, low, 0x87]).await.unwrap();
        ack(&mut stream, &second).await;
        farewell(&mut stream).await;
    };
    let (counts, lines) = bench.mqtt(Version::V5, 10, hub).await;
    assert_eq!((counts.acked, counts.refused, lines.len()), (1, 1, 1));
}

#[tokio::test]
async fn an_acknowledged_piece_of_garbage_is_not_logged() {
    let bench = Bench::new(messages(3, &["garbage=1"])).await;
    let hub = async |listener: TcpListener| {
        let mut stream = welcome(&listener, &[0x20, 2, 0, 0]).await;
        for _ in 0..3 {
            let garbage = published(&mut stream, 0x32, false).await;
            ack(&mut stream, &garbage).await;
        }
        farewell(&mut stream).await;
    };
    let (counts, lines) = bench.mqtt(Version::V311, 10, hub).await;
    assert_eq!((counts.acked, counts.acked_values, lines.len()), (3, 0, 0));
}

#[tokio::test]
async fn a_hub_that_never_answers_leaves_an_empty_log_when_the_drain_is_over() {
    let bench = Bench::new(messages(4, &[])).await;
    let shared = Arc::clone(&bench.shared);
    let hub = async |listener: TcpListener| {
        let mut stream = welcome(&listener, &[0x20, 2, 0, 0]).await;
        published(&mut stream, 0x32, false).await;
        shared.drain(Instant::now());
        // Any byte wakes the link; it finds that its time is over.
        stream.write_all(&[0xd0, 0]).await.unwrap();
        while packet(&mut stream).await.is_some() {}
    };
    let (counts, lines) = bench.mqtt(Version::V311, 1, hub).await;
    assert_eq!((counts.acked, counts.abandoned, lines.len()), (0, 4, 0));
}

#[tokio::test]
async fn a_message_that_makes_the_hub_hang_up_every_time_is_given_up() {
    let bench = Bench::new(messages(1, &[])).await;
    let hub = async |listener: TcpListener| {
        // MQTT 3.1.1 knows no other refusal than to close.
        for turn in 0..5 {
            let mut stream = welcome(&listener, &[0x20, 2, 0, 0]).await;
            let first_byte = if turn == 0 { 0x32 } else { 0x3a };
            published(&mut stream, first_byte, false).await;
        }
        let mut stream = welcome(&listener, &[0x20, 2, 0, 0]).await;
        farewell(&mut stream).await;
    };
    let (counts, lines) = bench.mqtt(Version::V311, 10, hub).await;
    assert_eq!(
        (counts.acked, counts.abandoned, counts.resent, lines.len()),
        (0, 1, 4, 0)
    );
}

#[tokio::test]
async fn an_http_device_repeats_until_204_and_takes_the_other_answers_for_what_they_say() {
    let bench = Bench::new(messages(4, &[])).await;
    let secret = bench.shared.fleet.devices[0].secret.clone();
    let mut bodies = Vec::new();
    let hub = async |listener: TcpListener| {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (head, body) = request(&mut stream).await.unwrap();
        assert!(
            head.starts_with("POST /devices/t-noise-0001/telemetry HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(
            head.contains(&format!("\r\nAuthorization: Bearer {secret}\r\n")),
            "{head}"
        );
        bodies.push(body.clone());
        let busy = b"HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(busy).await.unwrap();
        assert_eq!(request(&mut stream).await.unwrap().1, body);
        // Killed before its answer: the device has to ask again on a new connection.
        drop(stream);
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_eq!(request(&mut stream).await.unwrap().1, body);
        for answer in [
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 422 No\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
        ] {
            stream.write_all(answer.as_bytes()).await.unwrap();
            if bodies.len() < 4 {
                bodies.push(request(&mut stream).await.unwrap().1);
            }
        }
    };
    let (counts, lines) = bench.http(hub).await;
    assert_eq!((counts.sent, counts.resent), (4, 2));
    assert_eq!(
        (counts.acked, counts.partly_stored, counts.refused),
        (2, 1, 1)
    );
    assert_eq!(
        lines,
        lines_of(&[bodies[0].as_bytes(), bodies[3].as_bytes()])
    );
}

#[test]
fn pauses_double_up_to_ten_seconds_and_start_over() {
    let mut backoff = Backoff::new(Random::new(1, 1));
    let steps: Vec<Duration> = (0..9).map(|_| backoff.step()).collect();
    for (index, most_ms) in [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
        .iter()
        .enumerate()
    {
        let most = Duration::from_millis(*most_ms);
        assert!(
            steps[index] <= most && steps[index] >= most / 2,
            "{steps:?}"
        );
    }
    backoff.reset();
    assert!(backoff.step() <= Duration::from_millis(100));
}
