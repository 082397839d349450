//! The same answers from the embedded store and from `VictoriaMetrics`.

use crate::kit::{DAY, Dice, HOUR, MINUTE, NOW, Rig, START, ask, assert_same, lines};
use dial::{Client, Question, Target};
use hyper::{HeaderMap, Method};
use mirror::MirrorConfig;
use mirror::history::{History, HistoryError, ServerSetup};
use model::Reading;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use store::Agg;
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

const AGGREGATES: [Agg; 5] = [Agg::Mean, Agg::Min, Agg::Max, Agg::Last, Agg::MinMax];

/// A server of our own, which ends with the test.
struct Server {
    child: Child,
    url: String,
    _data: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut child = Command::new("victoria-metrics")
            .arg(format!("-httpListenAddr={address}"))
            .arg(format!("-storageDataPath={}", data.path().display()))
            .args(["-retentionPeriod=100y", "-memory.allowedBytes=200MB"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("Debian's package victoria-metrics is installed");
        let mut log = BufReader::new(child.stderr.take().unwrap()).split(b'\n');
        let is_serving = |line: std::io::Result<Vec<u8>>| {
            String::from_utf8_lossy(&line.unwrap()).contains("pprof handlers are exposed")
        };
        assert!(log.any(is_serving), "VictoriaMetrics did not start");
        // It says so just before it listens.
        while TcpStream::connect(address).is_err() {
            std::thread::yield_now();
        }
        // Whoever does not read what it says holds it up.
        std::thread::spawn(move || log.for_each(drop));
        Self {
            child,
            url: format!("http://{address}"),
            _data: data,
        }
    }

    /// Writes lines as a mirror does, and lets them be seen at once.
    async fn take(&self, readings: &[Reading]) {
        for part in readings.chunks(5_000) {
            self.post(
                "/api/v2/write?org=city&bucket=telemetry&precision=ms",
                lines(part),
            )
            .await;
        }
        self.post("/internal/force_flush", String::new()).await;
    }

    async fn post(&self, path: &str, body: String) {
        let target = Target::parse(&format!("{}{path}", self.url)).unwrap();
        let limits = (Duration::from_secs(60), 1 << 20);
        let question = Question {
            method: Method::POST,
            fields: HeaderMap::new(),
            body: body.into(),
        };
        let mut client = Client::new(target, None, TaskTracker::new(), limits);
        let answer = client.send(&question).await.unwrap();
        assert!(answer.status.is_success(), "{path}: {answer:?}");
    }

    fn setup(&self) -> ServerSetup {
        let config = MirrorConfig::new(&self.url, "city", "telemetry", "");
        ServerSetup::victoriametrics("long_term", &config, &TaskTracker::new()).unwrap()
    }
}

#[tokio::test]
async fn a_journal_that_was_lost_is_read_back_from_the_server() {
    let (server, mut truth, fresh) = (Server::start(), Rig::new(), Rig::new());
    let mut dice = Dice(20_261_122);
    let mut readings = dice.numbers(1, 1_500, 40 * MINUTE);
    readings.extend(dice.numbers(2, 3_000, 2 * MINUTE));
    readings.extend(dice.places(3, 500, HOUR));
    truth.put(NOW, &readings);
    server.take(&readings).await;
    // What is sent again, as after a restart of the server, is stored there twice.
    server.take(&readings[500..2_500]).await;
    let history = History::new(server.setup(), fresh.reader.clone(), None);
    let ranges = [
        (i64::MIN, i64::MAX),
        (START + 3 * DAY + 12_345, START + 21 * DAY + 6_789),
        (START - 700 * DAY, START),
    ];
    for series in [(1, 0), (2, 0), (3, 1)] {
        for range in ranges {
            for limit in [397, 10_000] {
                assert_same(&history, &truth, ask(series, range, None, limit)).await;
            }
            for step_ms in [MINUTE, 7 * MINUTE, HOUR + 1, 6 * HOUR] {
                for agg in AGGREGATES {
                    let agg = Some((agg, step_ms));
                    assert_same(&history, &truth, ask(series, range, agg, 900)).await;
                }
            }
        }
        for agg in AGGREGATES {
            let agg = Some((agg, DAY));
            assert_same(&history, &truth, ask(series, ranges[1], agg, 5)).await;
        }
    }
    assert_eq!(history.figures().failed, 0);
}

#[tokio::test]
async fn what_the_server_has_not_got_yet_comes_from_the_journal() {
    let (server, mut truth, mut here) = (Server::start(), Rig::new(), Rig::new());
    let mut dice = Dice(7);
    let readings = dice.numbers(1, 2_000, 20 * MINUTE);
    truth.put(NOW, &readings);
    // The server lacks the end and some late ones; the journal has those and some that both have.
    let (mut there, mut local) = (Vec::new(), Vec::new());
    for (index, reading) in readings.iter().enumerate() {
        let is_late = index % 97 == 0;
        if index < 1_500 && !is_late {
            there.push(*reading);
        }
        if index >= 1_450 || is_late {
            local.push(*reading);
        }
    }
    server.take(&there).await;
    here.put(NOW, &local);
    let history = History::new(server.setup(), here.reader.clone(), None);
    for range in [(i64::MIN, i64::MAX), (START + DAY, START + 25 * DAY)] {
        for limit in [701, 10_000] {
            assert_same(&history, &truth, ask((1, 0), range, None, limit)).await;
        }
        for step_ms in [10 * MINUTE, 2 * HOUR] {
            for agg in AGGREGATES {
                let agg = Some((agg, step_ms));
                assert_same(&history, &truth, ask((1, 0), range, agg, 700)).await;
            }
        }
    }
}

#[tokio::test]
async fn without_the_server_the_journal_answers_and_says_what_is_missing() {
    let (server, mut here) = (Server::start(), Rig::new());
    let readings = Dice(3).numbers(1, 500, HOUR);
    here.put(NOW, &readings);
    let setup = server.setup();
    drop(server);
    let history = History::new(setup, here.reader.clone(), None);
    for agg in [None, Some((Agg::Mean, HOUR)), Some((Agg::Max, HOUR))] {
        let ask = ask((1, 0), (START - DAY, i64::MAX), agg, 10_000);
        let found = history.page(ask.clone()).await.unwrap();
        assert_eq!(found.page, here.answer(&ask));
        let missing = found.missing.expect("the server is not there");
        assert_eq!(missing.from.millis(), START - DAY);
        assert_eq!(missing.to.millis(), NOW);
        assert!(missing.reason.contains("connect"), "{}", missing.reason);
    }
    let before = ask((1, 0), (START - DAY, START), None, 10_000);
    let refused = history.page(before).await;
    assert!(
        matches!(refused, Err(HistoryError::Unavailable(_))),
        "{refused:?}"
    );
    assert_eq!(history.figures().failed, 4);
}
