//! The driver as pollers are examined, and against a server of feeds on a real socket.

use crate::fuzzed::{counted, example, example_zones};
use crate::poll::Operator;
use crate::sheet::Metrics;
use crate::{Config, Gbfs};
use model::{Catalogue, Timestamp};
use sdk::testkit::Kit;
use sdk::testkit::conformance::{Subject, check_config};
use sdk::{Context, Driver, Registration, Submission};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;

const STATION: &str =
    r#"{"id":"s1","kind":"bike_fence","identities":{"gbfs":"op/86"},"tags":{"capacity":"10"}}"#;

const QUESTION: &[u8] = b"GET /station_status.json HTTP/1.1\r\naccept: application/json\r\n\
    user-agent: cityhub\r\nhost: op.example\r\n\r\n";

fn with_metrics(cx: &mut Context) {
    let mut catalogue = Catalogue::built_in();
    catalogue.extend(&Gbfs::metrics()).unwrap();
    cx.catalogue = Arc::new(catalogue);
}

fn config(url: &str, more: &str) -> Config {
    let text = format!(r#"{{"kind":"gbfs","url":"{url}","system":"op","period_min_s":2{more}}}"#);
    serde_json::from_str(&text).unwrap()
}

fn operator(config: &Config, cx: &Context) -> Operator {
    let metrics = Metrics::of(&cx.catalogue).unwrap();
    let settings = config.settings("op").unwrap();
    Operator::new(config, settings, (metrics, cx.clone())).unwrap()
}

/// 2026-03-01T00:00:00Z and so many seconds.
fn at(seconds: usize) -> String {
    let at = Timestamp::from_millis(1_772_323_200_000).plus_s(i64::try_from(seconds).unwrap());
    serde_json::to_string(&at).unwrap()
}

fn stations(number: usize) -> String {
    let time = at(number);
    format!(
        r#"{{"last_updated":{time},"ttl":0,"version":"3.0","data":{{"stations":[{{"station_id":"86",
        "num_vehicles_available":{number},"num_vehicles_disabled":1,"num_docks_available":4,"is_installed":true,
        "is_renting":true,"is_returning":true,"last_reported":{time}}}]}}}}"#
    )
}

fn response(status: &str, more: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Reads one head, and the body that it announces.
async fn message(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes.clone())
        .unwrap()
        .to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    bytes.extend(body);
    Some(bytes)
}

/// Carries questions out and answers in, an answer for each question: as HTTP over a socket.
async fn carry(mut wire: DuplexStream, mut inner: DuplexStream) {
    while let Some(question) = message(&mut inner).await {
        if wire.write_all(&question).await.is_err() {
            return;
        }
        let Some(answer) = message(&mut wire).await else {
            return;
        };
        if inner.write_all(&answer).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_driver_keeps_all_that_pollers_promise() {
    let subject = Subject {
        devices: vec![STATION],
        serve: |wire, mut cx| {
            Box::pin(async move {
                with_metrics(&mut cx);
                let config = config("http://op.example/gbfs.json", "");
                let mut operator = operator(&config, &cx);
                let (ours, inner) = tokio::io::duplex(4_096);
                let url = "http://op.example/station_status.json";
                operator.only_stations(url, ours).await;
                tokio::join!(carry(wire, inner), operator.run());
            })
        },
        greeting: Some((Vec::new(), QUESTION.to_vec())),
        good: |number| response("200 OK", "", &stations(number)),
        // The next question is the acknowledgement.
        ack: |_| QUESTION.to_vec(),
        bad: response("500 Internal Server Error", "", ""),
        bad_answer: Vec::new(),
    };
    subject.check_poller().await;
    check_config(
        &Registration::of::<Gbfs>(),
        "kind = \"gbfs\"\nurl = \"https://operator.example/gbfs.json\"\n",
    );
}

/// A server whose files a test changes, and what it was asked.
#[derive(Clone, Default)]
struct Server {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn put(&self, path: &str, answer: Vec<u8>) {
        self.files.lock().unwrap().insert(path.to_owned(), answer);
    }

    async fn serve(self, listener: TcpListener) {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let server = self.clone();
            #[expect(clippy::disallowed_methods, reason = "a test's own server")]
            drop(tokio::spawn(async move {
                while let Some(question) = message(&mut stream).await {
                    let question = String::from_utf8(question).unwrap();
                    let path = question.split(' ').nth(1).unwrap().to_owned();
                    server.asked.lock().unwrap().push(question);
                    let answer = server.files.lock().unwrap().get(&path).cloned();
                    let answer = answer.unwrap_or_else(|| response("404 Not Found", "", ""));
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            }));
        }
    }
}

fn discovery(port: u16, feeds: &[&str]) -> Vec<u8> {
    let feeds: Vec<String> = feeds
        .iter()
        .map(|name| format!(r#"{{"name":"{name}","url":"http://127.0.0.1:{port}/{name}"}}"#))
        .collect();
    let time = at(0);
    let body = format!(
        r#"{{"last_updated":{time},"ttl":300,"version":"3.0","data":{{"feeds":[{}]}}}}"#,
        feeds.join(",")
    );
    response("200 OK", "", &body)
}

/// Values by (device, metric), each with its time.
fn told(cx: &Context, submission: &Submission) -> BTreeMap<(String, String), (f64, i64)> {
    let mut values = BTreeMap::new();
    for part in &submission.parts {
        let id = cx.devices.get(part.device).unwrap().device.id.to_string();
        for seen in &part.observations {
            let name = cx.catalogue.def(seen.metric).unwrap().name.clone();
            let value = seen.value.as_number().unwrap_or(f64::NAN);
            let at = seen.observed_at.unwrap().millis();
            values.insert((id.clone(), name), (value, at));
        }
    }
    values
}

const ZONE: &str = r#"{"id":"z0","kind":"bike_fence","identities":{"gbfs":"op/zone:z15"}}"#;
const OPERATOR: &str = r#"{"id":"op","kind":"gateway","identities":{"gbfs":"op"}}"#;
const BIKE: &str = r#"{"id":"b7","kind":"bike","identities":{"gbfs":"op/vehicle:v7"}}"#;

#[tokio::test]
async fn feeds_are_found_counted_and_asked_again_only_for_what_is_new() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::default();
    server.put(
        "/gbfs.json",
        discovery(
            port,
            &["geofencing_zones", "vehicle_status", "station_status"],
        ),
    );
    server.put(
        "/geofencing_zones",
        response("200 OK", "", &example_zones(20)),
    );
    let tagged = response(
        "200 OK",
        "ETag: \"v1\"\r\n",
        &example(100).replace("\"ttl\":60", "\"ttl\":1"),
    );
    server.put("/vehicle_status", tagged);
    server.put("/station_status", response("200 OK", "", &stations(3)));
    let mut kit = Kit::new(&[STATION, ZONE, OPERATOR, BIKE]);
    with_metrics(&mut kit.cx);
    let url = format!("http://127.0.0.1:{port}/gbfs.json");
    let folder = std::env::temp_dir().join(format!("gbfs-{port}.geojson"));
    let more = format!(
        r#","stable_vehicle_ids":true,"zones_file":"{}""#,
        folder.display()
    );
    let driver = Gbfs::open(config(&url, &more), kit.cx.clone())
        .await
        .unwrap();
    let (stop, cx) = (kit.cx.stop.clone(), kit.cx.clone());
    let checks = async {
        let first = told(&cx, &kit.store_next().await.unwrap());
        let second = told(&cx, &kit.store_next().await.unwrap());
        let (stations, vehicles) = (first, second);
        check_first(&stations, &vehicles);
        // The zones that nobody registered are shown, once; of vehicles nobody is.
        let drained = kit.refusals.drain();
        let shown = drained
            .samples
            .iter()
            .filter(|(_, refusal, _)| refusal.reason == "unknown_device");
        assert_eq!(shown.count(), 19);
        // What moves later is told; the vehicles are asked for by their tag, and stay as they are.
        server.put("/vehicle_status", response("304 Not Modified", "", ""));
        server.put("/station_status", response("200 OK", "", &stations_again()));
        let third = told(&cx, &kit.store_next().await.unwrap());
        assert_eq!(
            of(&third, "s1", "vehicles_available"),
            Some((9.0, ZERO + 60_000))
        );
        let is_tagged = |question: &String| question.contains("if-none-match: \"v1\"");
        while !server.asked.lock().unwrap().iter().any(is_tagged) {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    tokio::select! {
        (ended, ()) = async { tokio::join!(driver.run(), checks) } => ended.unwrap(),
        () = server.clone().serve(listener) => {}
    }
    let written = std::fs::read_to_string(&folder).unwrap();
    std::fs::remove_file(&folder).unwrap();
    assert_eq!(written.matches("\"Feature\"").count(), 20);
}

/// 2026-03-01T00:00:00Z
const ZERO: i64 = 1_772_323_200_000;

type Values = BTreeMap<(String, String), (f64, i64)>;

fn of(values: &Values, device: &str, metric: &str) -> Option<(f64, i64)> {
    values.get(&(device.to_owned(), metric.to_owned())).copied()
}

fn check_first(stations: &Values, vehicles: &Values) {
    assert_eq!(
        of(stations, "s1", "vehicles_available"),
        Some((3.0, ZERO + 3_000))
    );
    assert_eq!(
        of(stations, "s1", "parked_count"),
        Some((4.0, ZERO + 3_000))
    );
    assert_eq!(of(stations, "s1", "is_renting"), Some((1.0, ZERO + 3_000)));
    // Longitudes 121.01000 to 121.01099 lie in the zones 10 (from 121.010) alone.
    assert_eq!(of(vehicles, "op", "parked_count"), Some((100.0, ZERO)));
    assert_eq!(of(vehicles, "op", "parked_wrongly"), Some((100.0, ZERO)));
    assert_eq!(
        of(vehicles, "op", "vehicles_available"),
        Some((100.0, ZERO))
    );
    assert_eq!(of(vehicles, "z0", "parked_count"), Some((0.0, ZERO)));
    assert_eq!(
        of(vehicles, "b7", "zone_ride_end_allowed"),
        Some((0.0, ZERO))
    );
    assert_eq!(of(vehicles, "b7", "range_km"), Some((6.543, ZERO)));
    assert!(of(vehicles, "b7", "position").is_some());
}

/// The station's own time stands still while its values move; that of the feed does not.
fn stations_again() -> String {
    let (own, feed) = (at(3), at(60));
    stations(3)
        .replace(
            r#""num_vehicles_available":3"#,
            r#""num_vehicles_available":9"#,
        )
        .replacen(&own, &feed, 1)
}

#[tokio::test]
async fn a_station_that_is_registered_later_is_told_though_the_feed_has_nothing_new() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::default();
    server.put("/gbfs.json", discovery(port, &["station_status"]));
    let tagged = response("200 OK", "ETag: \"v1\"\r\n", &stations(3));
    server.put("/station_status", tagged);
    let mut kit = Kit::new(&[STATION]);
    with_metrics(&mut kit.cx);
    let station = kit.cx.devices.find("s1").unwrap();
    kit.cx.devices.remove(station.key);
    let url = format!("http://127.0.0.1:{port}/gbfs.json");
    let driver = Gbfs::open(config(&url, ""), kit.cx.clone()).await.unwrap();
    let (stop, cx) = (kit.cx.stop.clone(), kit.cx.clone());
    let checks = async {
        let asks = || server.asked.lock().unwrap().len();
        while asks() < 2 {
            tokio::task::yield_now().await;
        }
        cx.devices.put([(*station).clone()]);
        let first = told(&cx, &kit.store_next().await.unwrap());
        assert_eq!(
            of(&first, "s1", "vehicles_available"),
            Some((3.0, ZERO + 3_000))
        );
        let asked = server.asked.lock().unwrap().clone();
        assert!(
            !asked
                .iter()
                .any(|question| question.contains("if-none-match")),
            "{asked:?}"
        );
        stop.cancel();
    };
    tokio::select! {
        (ended, ()) = async { tokio::join!(driver.run(), checks) } => ended.unwrap(),
        () = server.clone().serve(listener) => {}
    }
}

#[tokio::test]
async fn what_an_operator_does_wrong_is_told_by_its_word() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::default();
    let elsewhere =
        String::from_utf8(discovery(port, &["vehicle_status", "station_status"])).unwrap();
    let elsewhere = elsewhere.split("\r\n\r\n").nth(1).unwrap();
    let elsewhere = elsewhere.replace(
        &format!("127.0.0.1:{port}/station"),
        &format!("10.0.0.1:{port}/station"),
    );
    server.put("/gbfs.json", response("200 OK", "", &elsewhere));
    let huge = example(100);
    server.put("/vehicle_status", response("200 OK", "", &huge));
    let kit = {
        let mut kit = Kit::new(&[OPERATOR]);
        with_metrics(&mut kit.cx);
        kit
    };
    let url = format!("http://127.0.0.1:{port}/gbfs.json");
    let config = config(&url, r#","body_bytes_max":5000"#);
    let driver = Gbfs::open(config, kit.cx.clone()).await.unwrap();
    let stop = kit.cx.stop.clone();
    let checks = async {
        let mut words = std::collections::BTreeSet::new();
        while words.len() < 2 {
            tokio::task::yield_now().await;
            let drained = kit.refusals.drain();
            words.extend(
                drained
                    .samples
                    .iter()
                    .map(|(_, refusal, _)| refusal.reason.to_string()),
            );
        }
        let expected = ["body_too_large".to_owned(), "feed_url".to_owned()];
        assert_eq!(words.into_iter().collect::<Vec<_>>(), expected);
        stop.cancel();
    };
    tokio::select! {
        (ended, ()) = async { tokio::join!(driver.run(), checks) } => ended.unwrap(),
        () = server.serve(listener) => {}
    }
}

#[test]
fn settings_that_cannot_be_are_refused_with_their_key() {
    for (url, more, word) in [
        ("ftp://x/", "", "url"),
        ("http://u:p@x/", "", "url"),
        ("http://x/", r#","timeout_s":0"#, "timeout_s"),
        ("http://x/", r#","period_max_s":1"#, "period_max_s"),
        ("http://x/", r#","token":"a\nb""#, "token"),
        ("http://x/", r#","ca_file":"/nowhere""#, "ca_file"),
    ] {
        let error = config(url, more).settings("op").unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_vehicle_counts_in_the_zones_that_hold_it() {
    assert_eq!(counted(&example(1_000), &example_zones(30)), (1_000, 1_000));
    assert_eq!(counted(&example(1_000), &example_zones(5)), (1_000, 0));
}

#[test]
fn the_fuzzers_corpus_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/gbfs");
    let mut files = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        crate::fuzzed::take(&std::fs::read(file.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files > 5);
}
