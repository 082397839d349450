//! Each stage is broken in turn; time is in the test's hand.

use super::{Canary, Chirp, Course, Door, Gate, Stage, Way, link};
use crate::feed::JournalFeed;
use crate::writer::Verdict;
use model::{Catalogue, Timestamp};
use sdk::{Clock, Devices, Intake, Mark, Operator, SecretSalt, Tail};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::NewEvent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use web::{Health, SinkHealth, SinkState};

/// How a stage fails.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Fault {
    /// It never answers.
    Hangs,
    /// It says that it cannot.
    Fails,
    /// It answers, but nothing comes of it.
    Loses,
}

/// A hub of which one stage is broken.
#[derive(Clone, Debug, Default)]
struct Stub {
    fault: Arc<Mutex<Option<(Stage, Fault)>>>,
    sent: Arc<Mutex<Vec<f64>>>,
    /// The writer, which every listener waits for.
    stuck: Arc<Mutex<Option<Fault>>>,
}

impl Stub {
    async fn meet(&self, stage: Stage) -> Result<bool, String> {
        let fault = *self.fault.lock().unwrap();
        match fault.filter(|(broken, _)| *broken == stage) {
            Some((_, Fault::Hangs)) => std::future::pending().await,
            Some((_, Fault::Fails)) => Err("no space left".to_owned()),
            Some((_, Fault::Loses)) => Ok(false),
            None => Ok(true),
        }
    }
}

impl Course for Stub {
    fn gates(&self) -> Vec<Gate> {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let gate = |driver: &str, door| Gate {
            driver: driver.to_owned(),
            door,
        };
        vec![
            gate("http", Door::Http(address)),
            gate("mqtt", Door::Mqtt(address)),
        ]
    }

    async fn send(&self, _: &Gate, chirp: Chirp) -> Result<(), String> {
        self.sent.lock().unwrap().push(chirp.value);
        match self.meet(Stage::Protocol).await {
            Ok(true) => Ok(()),
            Ok(false) => std::future::pending().await,
            Err(reason) => Err(reason),
        }
    }

    async fn is_writing(&self) -> Result<(), String> {
        let stuck = *self.stuck.lock().unwrap();
        match stuck {
            Some(Fault::Fails) => Err("the disk is full".to_owned()),
            Some(_) => std::future::pending().await,
            None => Ok(()),
        }
    }

    async fn has_passed(&self, stage: Stage, _: Chirp) -> Result<bool, String> {
        self.meet(stage).await
    }

    fn waits_for(&self, _: Stage) -> Option<String> {
        None
    }
}

struct Rig {
    stub: Stub,
    health: Health,
    clock: Clock,
    stop: CancellationToken,
}

impl Rig {
    fn start() -> Self {
        let clock = Clock::starting_at(Timestamp::from_millis(1_772_323_200_000));
        let rig = Self {
            stub: Stub::default(),
            health: Health::new("test", clock.now()),
            clock: clock.clone(),
            stop: CancellationToken::new(),
        };
        let canary = Canary {
            course: rig.stub.clone(),
            clock,
            every: Duration::from_secs(60),
            webhook: None,
            health: rig.health.clone(),
            city: json!({ "code": "350200" }),
        };
        TaskTracker::new().spawn(canary.run(rig.stop.clone()));
        rig
    }

    fn put(&self, fault: Option<(Stage, Fault)>) {
        *self.stub.fault.lock().unwrap() = fault;
    }

    fn look(&self) -> Value {
        self.health
            .canary_json(self.clock.now())
            .unwrap_or(Value::Null)
    }

    /// Lets time pass until the canary is in this state, and tells how many seconds it took.
    async fn until(&self, state: &str) -> u64 {
        let start = Instant::now();
        while self.look()["state"] != state {
            tokio::time::advance(Duration::from_millis(500)).await;
            tokio::task::yield_now().await;
            assert!(
                start.elapsed().as_secs() < 300,
                "never {state}: {}",
                self.look()
            );
        }
        start.elapsed().as_secs()
    }
}

#[tokio::test(start_paused = true)]
async fn each_stage_that_breaks_is_named_within_90_s_however_it_breaks() {
    let stages = [Stage::Protocol].into_iter().chain(Stage::AFTER_PROTOCOL);
    for stage in stages {
        for fault in [Fault::Hangs, Fault::Fails, Fault::Loses] {
            let rig = Rig::start();
            rig.until("passing").await;
            rig.put(Some((stage, fault)));
            let took = rig.until("failing").await;
            assert!(took <= 90, "{stage} {fault:?} was told after {took} s");
            let told = rig.look();
            assert_eq!(told["stage"], stage.name(), "{fault:?}: {told}");
            assert_eq!(told["driver"], "http");
            rig.put(None);
            rig.until("passing").await;
            assert_eq!(rig.look()["stage"], Value::Null);
            rig.stop.cancel();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_waits_for_the_disk_in_vain_is_not_what_broke() {
    for (stuck, reason) in [
        (Fault::Hangs, "the writer does not answer (no space left)"),
        (Fault::Fails, "the disk is full (no space left)"),
    ] {
        let rig = Rig::start();
        rig.until("passing").await;
        *rig.stub.stuck.lock().unwrap() = Some(stuck);
        rig.put(Some((Stage::Protocol, Fault::Fails)));
        let took = rig.until("failing").await;
        assert!(took <= 90, "{stuck:?} was told after {took} s");
        let told = rig.look();
        assert_eq!(
            (&told["stage"], &told["reason"]),
            (&json!("store"), &json!(reason))
        );
        rig.stop.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn each_driver_is_tested_with_a_raise_and_a_clear_and_what_is_left_raised_is_cleared_first() {
    let rig = Rig::start();
    assert_eq!(rig.until("passing").await, 60);
    // The first one clears what an earlier start may have left.
    assert_eq!(*rig.stub.sent.lock().unwrap(), [0.0, 1.0, 0.0, 1.0, 0.0]);
    assert_eq!(rig.look()["drivers"].as_object().unwrap().len(), 2);
    rig.stub.sent.lock().unwrap().clear();
    rig.put(Some((Stage::Rule, Fault::Fails)));
    rig.until("failing").await;
    assert_eq!(*rig.stub.sent.lock().unwrap(), [1.0]);
    rig.put(None);
    rig.stub.sent.lock().unwrap().clear();
    rig.until("passing").await;
    assert_eq!(*rig.stub.sent.lock().unwrap(), [0.0, 1.0, 0.0, 1.0, 0.0]);
    rig.stop.cancel();
}

/// Takes one request and answers it; gives its whole text.
#[tokio::test(start_paused = true)]
async fn whoever_wants_a_test_now_gets_one_between_those_of_the_clock() {
    let rig = Rig::start();
    rig.until("passing").await;
    let before = Instant::now();
    rig.health.want_canary();
    while rig.look()["passes"] != 2 {
        tokio::time::advance(Duration::from_millis(100)).await;
        tokio::task::yield_now().await;
    }
    assert!(before.elapsed() < Duration::from_secs(5));
    rig.stop.cancel();
}

async fn answer(listener: &TcpListener, status: &str) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut text = Vec::new();
    loop {
        let read = stream.read_buf(&mut text).await.unwrap();
        let so_far = String::from_utf8_lossy(&text).into_owned();
        let (head, body) = so_far.split_once("\r\n\r\n").unwrap_or((&so_far, ""));
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if read == 0 || length.is_some_and(|length| body.len().to_string() == length) {
            break;
        }
    }
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_post_is_what_http_wants_and_only_a_2xx_is_taken_as_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = link::Url::of(address, "/hook?a=1");
    for (status, heard) in [
        ("204 No Content", true),
        ("500 Oops", false),
        ("302 Found", false),
    ] {
        let body = json!({ "a": 1 });
        let (text, posted) = tokio::join!(answer(&listener, status), link::post(&url, None, &body));
        assert_eq!(posted.is_ok(), heard, "{posted:?}");
        let expected = format!(
            "POST /hook?a=1 HTTP/1.1\r\nhost: {address}\r\nuser-agent: cityhub-canary\r\n\
             content-type: application/json\r\ncontent-length: 7\r\nconnection: close\r\n\r\n\
             {{\"a\":1}}"
        );
        assert_eq!(text, expected);
    }
}

#[tokio::test]
async fn a_tail_and_each_delivery_that_runs_must_have_come_as_far_as_the_canary() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, reader, _) = store::open(folder.path(), store::Options::default()).unwrap();
    let at = Timestamp::from_millis(1_772_323_200_000);
    let (mark, receiver) = watch::channel(Mark::default());
    let number = 1;
    let (_verdict, verdict) = watch::channel(Verdict {
        number,
        raised_at: Some(at),
        cleared_at: None,
    });
    let health = Health::new("test", at);
    let tail = Tail {
        feed: Arc::new(JournalFeed(reader.clone())),
        mark: receiver,
        urgent: watch::channel(0).1,
    };
    let (requests, _intake) = Intake::open();
    let (way, follower) = Way::new(
        (Devices::new(SecretSalt([7; 16])), &Catalogue::built_in()),
        (reader, tail),
        (Operator::new(requests), verdict),
        health.clone(),
        ("secret".to_owned(), None),
    );
    let stop = CancellationToken::new();
    TaskTracker::new().spawn(follower.run(stop.clone()));
    let chirp = Chirp { at, value: 1.0 };
    let passed = async |stage| way.has_passed(stage, chirp).await.unwrap();
    assert!(passed(Stage::Rule).await && !passed(Stage::Event).await);

    let mut group = journal.begin(at);
    let event = NewEvent {
        kind: "cityhub.device.online",
        subject: "gas-1",
        severity: None,
        grid: None,
        time: at,
        data: "{}",
    };
    group.event(&event);
    group.canary(number, &event);
    let commit = journal.commit(group).unwrap();
    assert!(passed(Stage::Event).await && !passed(Stage::Subscriber).await);
    mark.send_replace(Mark { commit, event: 1 });
    while !passed(Stage::Subscriber).await {
        tokio::task::yield_now().await;
    }
    let sink = |state, cursor| SinkHealth {
        kind: "webhook".to_owned(),
        state,
        since: at,
        cursor,
        attempts: 0,
        delivered: 0,
        last_error: None,
    };
    health.put_sink("a", sink(SinkState::Paused, 0));
    health.put_sink("b", sink(SinkState::Retrying, 0));
    assert!(!passed(Stage::Subscriber).await);
    let reason = way.waits_for(Stage::Subscriber).unwrap();
    assert_eq!(reason, "delivery `b` has come to event 0, the feed is at 1");
    health.put_sink("b", sink(SinkState::Up, 1));
    assert!(passed(Stage::Subscriber).await);
    health.put_sink("c", sink(SinkState::Retrying, 0));
    assert!(!passed(Stage::Subscriber).await);
    let reason = way.waits_for(Stage::Subscriber).unwrap();
    assert_eq!(reason, "delivery `c` has come to event 0, the feed is at 1");
    health.put_sink("c", sink(SinkState::Up, 1));
    assert!(passed(Stage::Subscriber).await);
    assert_eq!(way.waits_for(Stage::Subscriber), None);
    stop.cancel();
}
