//! The driver as pollers are examined, and against servers on real sockets.

use crate::plan::{Pace, Slot};
use crate::probe::ask;
use crate::roster::{Member, Roster};
use crate::{CameraProbe, Config};
use model::DeviceKey;
use sdk::testkit::Kit;
use sdk::testkit::conformance::{Subject, check_config};
use sdk::{Context, Driver, Registration, Submission};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::Instant;

const CAMERA: &str = r#"{"id":"cam","kind":"camera","identities":{"rtsp":"rtsp://10.0.0.9/"}}"#;

const QUESTION: &[u8] =
    b"OPTIONS rtsp://10.0.0.9:554/ RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: cityhub\r\n\r\n";

const ALIVE: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS\r\n\r\n";

/// The open vectors of one kind of probe.
pub(crate) fn vectors(probe: &str) -> Vec<serde_json::Value> {
    let all = include_str!("../testdata/vectors.jsonl").lines();
    let read = all.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    read.filter(|vector| vector["probe"] == probe).collect()
}

fn config(more: &str) -> Config {
    serde_json::from_str(&format!(r#"{{"kind":"camera_probe","period_s":2{more}}}"#)).unwrap()
}

/// Asks over one and the same pipe, as the driver does over a connection for each probe.
async fn serve(mut stream: DuplexStream, cx: Context) {
    let config = config("");
    let prober = config.prober(&cx).unwrap();
    let member = Roster::new(cx.devices.clone()).changed().unwrap().remove(0);
    let pace: Pace = config.pace().unwrap();
    let mut slot = Slot::new(member.clone(), Instant::now(), &pace);
    let mut tries = 0;
    loop {
        let asking = ask(&mut stream, &member.target);
        let Some(outcome) = prober.attempt(asking).await else {
            return;
        };
        if !prober.is_final(&outcome, tries) {
            tries += 1;
            continue;
        }
        tries = 0;
        let is_alive = outcome.is_ok();
        let told = prober.tell(&member, outcome, slot.told).await;
        slot.told = told.or(slot.told);
        let due = slot.settle(is_alive && told.is_some(), Instant::now(), &pace);
        tokio::time::sleep_until(due).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_driver_keeps_all_that_pollers_promise() {
    let subject = Subject {
        devices: vec![CAMERA],
        serve: |stream, cx| Box::pin(serve(stream, cx)),
        greeting: Some((Vec::new(), QUESTION.to_vec())),
        good: |_| ALIVE.to_vec(),
        // The next question is the acknowledgement.
        ack: |_| QUESTION.to_vec(),
        bad: b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        bad_answer: QUESTION.to_vec(),
    };
    subject.check_poller().await;
    check_config(
        &Registration::of::<CameraProbe>(),
        "kind = \"camera_probe\"\nperiod_s = 60\ndiscovery_listen = \"0.0.0.0:3702\"\n",
    );
}

/// Answers every connection with the next of these bytes, and with the last again and again.
async fn camera(listener: TcpListener, answers: &'static [&'static [u8]]) {
    let (last, first) = answers.split_last().unwrap();
    for answer in first.iter().chain(std::iter::repeat(last)) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut question = [0; 512];
        let len = stream.read(&mut question).await.unwrap();
        assert!(question[..len].starts_with(b"OPTIONS rtsp://127.0.0.1:"));
        stream.write_all(answer).await.unwrap();
        let _end = stream.read(&mut question).await;
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let device = format!(
        r#"{{"id":"cam","kind":"camera","cadence_s":1,"identities":{{"rtsp":"rtsp://127.0.0.1:{port}/"}}}}"#
    );
    (listener, device)
}

/// Gives values by their metric, and the words of what was rejected.
fn told(kit: &Kit, submission: &Submission) -> (Vec<(String, f64)>, Vec<String>) {
    let part = &submission.parts[0];
    let values = part.observations.iter().map(|seen| {
        let name = kit.cx.catalogue.def(seen.metric).unwrap().name.clone();
        (name, seen.value.as_number().unwrap())
    });
    let rejected = part
        .rejected
        .iter()
        .map(|rejected| rejected.reason.to_string());
    (values.collect(), rejected.collect())
}

#[tokio::test]
async fn what_a_camera_answers_is_told_for_what_it_is() {
    let answers: &[&[u8]] = &[
        ALIVE,
        b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n\r\n",
        b"RTSP/1.0 503 Service Unavailable\r\nCSeq: 1\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        ALIVE,
    ];
    let (listener, device) = listen().await;
    let mut kit = Kit::new(&[&device]);
    let driver = CameraProbe::open(config(r#","retries":0,"backoff_max_s":1"#), kit.cx.clone());
    let driver = driver.await.unwrap();
    let stop = kit.cx.stop.clone();
    let checks = async {
        for (values, reason) in [
            (vec![("online", 1.0), ("fault", 0.0)], None),
            (vec![("online", 1.0), ("fault", 0.0)], None),
            (vec![("online", 1.0), ("fault", 1.0)], None),
            (vec![("online", 0.0)], Some("cseq_mismatch")),
            // It is told once that nobody is there.
            (vec![], Some("wrong_service")),
            (vec![("online", 1.0), ("fault", 0.0)], None),
        ] {
            let submission = kit.store_next().await.unwrap();
            let (said, rejected) = told(&kit, &submission);
            let said: Vec<_> = said
                .iter()
                .map(|(name, value)| (name.as_str(), *value))
                .collect();
            assert_eq!(said, values);
            assert_eq!(rejected.first().map(String::as_str), reason);
            assert_eq!(submission.quarantined.len(), usize::from(reason.is_some()));
        }
        stop.cancel();
    };
    tokio::select! {
        (ended, ()) = async { tokio::join!(driver.run(), checks) } => ended.unwrap(),
        () = camera(listener, answers) => {}
    }
}

#[tokio::test]
async fn a_camera_that_is_not_there_is_told_by_the_way_it_is_missing() {
    let (listener, device) = listen().await;
    let mut kit = Kit::new(&[&device]);
    let driver = CameraProbe::open(config(r#","timeout_ms":50"#), kit.cx.clone())
        .await
        .unwrap();
    let stop = kit.cx.stop.clone();
    let checks = async {
        // It accepts and says nothing, twice.
        let submission = kit.store_next().await.unwrap();
        assert_eq!(told(&kit, &submission).1, ["timeout"]);
        drop(listener);
        let submission = kit.store_next().await.unwrap();
        assert_eq!(told(&kit, &submission).1, ["connection_refused"]);
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(driver.run(), checks);
    ended.unwrap();
}

#[tokio::test]
async fn cameras_of_the_lan_are_heard_strangers_are_shown_and_a_bye_changes_nothing() {
    let known = r#"{"id":"cam","kind":"camera",
        "identities":{"onvif":"a1f48ac2-dc8b-11df-b255-00408c1836b2"}}"#;
    let mut kit = Kit::new(&[known]);
    let config = config(r#","discovery_listen":"127.0.0.1:0""#);
    let driver = CameraProbe::open(config, kit.cx.clone()).await.unwrap();
    let [("discovery_listen", address)] = driver.addresses()[..] else {
        panic!("it listens");
    };
    let stop = kit.cx.stop.clone();
    let vectors = vectors("ws-discovery");
    let text = |at: usize| vectors[at]["input_text"].as_str().unwrap().to_owned();
    let checks = async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let stranger = text(0).replace("a1f48ac2", "b1f48ac2");
        for datagram in [text(1), text(2), stranger, text(0)] {
            socket.send_to(datagram.as_bytes(), address).await.unwrap();
        }
        let submission = kit.store_next().await.unwrap();
        assert_eq!(told(&kit, &submission).0, [("online".to_owned(), 1.0)]);
        let drained = kit.refusals.drain();
        let samples = drained.samples.iter();
        let words: Vec<_> = samples
            .map(|(_, refusal, _)| refusal.reason.as_ref())
            .collect();
        assert_eq!(words, ["dtd_forbidden", "unknown_device"]);
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(driver.run(), checks);
    ended.unwrap();
}

#[test]
fn pauses_double_up_to_the_longest_and_a_success_ends_them() {
    let pace = Pace {
        period: Duration::from_secs(60),
        backoff_max: Duration::from_secs(300),
    };
    let member = Member {
        key: DeviceKey(7),
        target: crate::rtsp::Target::parse("10.0.0.9").unwrap(),
        cadence_s: None,
    };
    let now = Instant::now();
    let mut slot = Slot::new(member, now, &pace);
    // Each within a twentieth: 60, 120, 240, 300, 300, and 60 again.
    for (is_done, seconds) in [
        (true, 60.0),
        (false, 120.0),
        (false, 240.0),
        (false, 300.0),
        (false, 300.0),
        (true, 60.0),
    ] {
        let pause = slot
            .settle(is_done, now, &pace)
            .duration_since(now)
            .as_secs_f64();
        assert!(
            (pause / seconds - 1.0).abs() <= 0.0501,
            "{pause} is not near {seconds}"
        );
    }
}

#[test]
fn the_fuzzers_corpus_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/rtsp");
    let mut files = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        crate::fuzzed::take(&std::fs::read(file.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files > 8);
}
