//! Deliveries to receivers that misbehave, with time in the test's hand.

use super::Deliveries;
use model::Timestamp;
use sdk::{Clock, Delivered, Intake, Mark, Operator, Request};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Journal, NewEvent, ParkedEvent, Reader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use web::{Health, SinkState, Subscriber, Subscribers};

/// 2026-03-01T00:00:00Z
const EPOCH: i64 = 1_772_323_200_000;

const DAY: Duration = Duration::from_secs(86_400);

struct Rig {
    subscribers: Subscribers,
    reader: Reader,
    health: Health,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A journal with so many events, deliveries, and a writer that only notes how far they come.
fn start(folder: &Path, events: u64) -> Rig {
    let (mut journal, reader, _) = store::open(folder, store::Options::default()).unwrap();
    let now = Timestamp::from_millis(EPOCH);
    let mut group = journal.begin(now);
    for number in 1..=events {
        group.event(&NewEvent {
            kind: "cityhub.alarm.raised",
            subject: &format!("a-{number}"),
            severity: None,
            grid: None,
            time: now,
            data: "{}",
        });
    }
    let commit = journal.commit(group).unwrap();
    let (sender, mark) = watch::channel(Mark {
        commit,
        event: events,
    });
    let (requests, intake) = Intake::open();
    let rig = Rig {
        subscribers: Subscribers::default(),
        reader: reader.clone(),
        health: Health::new("test", now),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
    };
    rig.tasks.spawn(note(journal, intake.requests, sender));
    let deliveries = Deliveries {
        subscribers: rig.subscribers.clone(),
        reader,
        mark,
        operator: Operator::new(requests),
        health: rig.health.clone(),
        clock: Clock::starting_at(now),
        city_code: "350200".to_owned(),
        tracer: sdk::Tracer::default(),
    };
    rig.tasks.spawn(deliveries.run(rig.stop.clone()));
    rig
}

async fn note(
    mut journal: Journal,
    mut requests: mpsc::Receiver<Request>,
    _mark: watch::Sender<Mark>,
) {
    while let Some(request) = requests.recv().await {
        let Request::Delivered(word) = request else {
            panic!("{request:?}");
        };
        let Delivered {
            name,
            cursor,
            refused,
            settled,
            ..
        } = word;
        let mut group = journal.begin(Timestamp::from_millis(EPOCH));
        group.cursor(&Subscriber::cursor_name(&name), cursor.unwrap());
        for (event, reason) in refused {
            let parked = ParkedEvent {
                at: group.stamp(),
                reason,
                again: false,
                event,
            };
            group.park(&name, parked);
        }
        for seq in settled {
            group.unpark(&name, Some(seq));
        }
        journal.commit(group).unwrap();
    }
}

impl Rig {
    fn subscribe(&self, name: &str, address: &str, more: &Value) {
        let mut spec = json!({
            "kind": "webhook", "url": format!("http://{address}/"), "from": "beginning",
            "secret": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
        });
        let fields = more.as_object().unwrap().clone();
        spec.as_object_mut().unwrap().extend(fields);
        self.subscribers.put(Subscriber {
            name: name.to_owned(),
            revision: 1,
            epoch: 1,
            configured: false,
            paused: false,
            shown: sinks::mask(&spec),
            spec,
        });
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn cursor(&self, name: &str) -> Option<u64> {
        self.reader.cursor(&Subscriber::cursor_name(name)).unwrap()
    }
}

/// What a receiver does with a request that it has read.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Mood {
    Answer(u16),
    /// Takes it and says nothing.
    Hang,
    /// Takes it and hangs up.
    Reset,
    Slow,
    /// Is gone for a day.
    Down,
}

/// Every id that came, in order.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<Vec<u64>>>);

/// Serves one connection after the other by `mood`, which is told the id and how often it came.
async fn receive(
    mut listener: TcpListener,
    seen: Seen,
    last: u64,
    mood: impl Fn(u64, usize) -> Mood,
) {
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        while let Some(id) = read_id(&mut stream).await {
            let times = {
                let mut seen = seen.0.lock().unwrap();
                seen.push(id);
                seen.iter().filter(|other| **other == id).count()
            };
            match mood(id, times) {
                Mood::Answer(status) => {
                    let text = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        break;
                    }
                    if id == last && status == 200 {
                        return;
                    }
                    continue;
                }
                Mood::Slow => {
                    tokio::time::sleep(Duration::from_secs(7)).await;
                    let text = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    if stream.write_all(text).await.is_err() {
                        break;
                    }
                    continue;
                }
                Mood::Hang => held.push(stream),
                Mood::Reset => stream.set_zero_linger().unwrap(),
                Mood::Down => {
                    drop(stream);
                    drop(listener);
                    held.clear();
                    tokio::time::sleep(DAY).await;
                    listener = TcpListener::bind(address).await.unwrap();
                }
            }
            break;
        }
    }
}

async fn read_id(stream: &mut TcpStream) -> Option<u64> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = std::str::from_utf8(&bytes).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.unwrap().parse::<usize>().unwrap() {
            let event: Value = serde_json::from_str(body).unwrap();
            return event["id"].as_str().unwrap().parse().ok();
        }
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

#[tokio::test(start_paused = true)]
async fn whatever_a_receiver_does_it_gets_every_event_in_order_and_repeats_are_of_the_last_only() {
    const EVENTS: u64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), EVENTS);
    let (listener, address) = listen().await;
    let seen = Seen::default();
    let chaos = receive(listener, seen.clone(), EVENTS, |id, times| {
        match (id, times) {
            (100, 1) => Mood::Down,
            (_, 1) if id % 9 == 0 => Mood::Hang,
            (_, 1) if id % 7 == 0 => Mood::Reset,
            (_, 1..=3) if id % 11 == 0 => Mood::Answer(503),
            (_, 1) if id % 13 == 0 => Mood::Slow,
            _ => Mood::Answer(200),
        }
    });
    rig.subscribe("chaos", &address, &json!({}));
    let (steady, steady_address) = listen().await;
    let steady_seen = Seen::default();
    let quiet = receive(steady, steady_seen.clone(), EVENTS, |_, _| {
        Mood::Answer(200)
    });
    rig.subscribe("steady", &steady_address, &json!({}));
    tokio::join!(chaos, quiet);
    rig.stop().await;
    for (seen, repeats) in [(seen, true), (steady_seen, false)] {
        let seen = seen.0.lock().unwrap().clone();
        let ids: BTreeSet<u64> = seen.iter().copied().collect();
        assert!(ids.into_iter().eq(1..=EVENTS));
        // What comes is the one before again, or the next: never one further, never one back.
        let steps = seen.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(steps.clone().all(|step| step <= 1), "{seen:?}");
        assert!(steps.clone().any(|step| step == 0) || !repeats);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_event_is_parked_and_the_next_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), 5);
    let (listener, address) = listen().await;
    let seen = Seen::default();
    let receiver = receive(listener, seen.clone(), 5, |id, _| {
        Mood::Answer(if id == 3 { 422 } else { 200 })
    });
    rig.subscribe("platform", &address, &json!({}));
    receiver.await;
    let reader = rig.reader.clone();
    rig.stop().await;
    assert_eq!(*seen.0.lock().unwrap(), [1, 2, 3, 4, 5]);
    let parked = reader.parked("platform", 0, 10, false).unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!(
        (parked[0].event.seq, parked[0].reason.as_str()),
        (3, "answered 422")
    );
    assert_eq!(reader.cursor("sink:platform").unwrap(), Some(5));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_stopped_goes_on_after_what_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), 10);
    let (listener, address) = listen().await;
    let seen = Seen::default();
    rig.subscribe("platform", &address, &json!({}));
    // The fourth is never taken.
    let stubborn = receive(listener, seen.clone(), 10, |id, _| {
        Mood::Answer(if id == 4 { 500 } else { 200 })
    });
    let board = rig.health.clone();
    tokio::select! {
        () = stubborn => panic!("the fourth was passed over"),
        () = tokio::time::sleep(DAY) => {}
    }
    assert_eq!(rig.cursor("platform"), Some(3));
    board.change_sink("platform", |sink| {
        assert_eq!(sink.state, SinkState::Retrying);
        assert_eq!(sink.last_error.as_deref(), Some("answered 500"));
        // At most a minute between two attempts.
        assert!(sink.attempts > 1_440, "{}", sink.attempts);
        assert_eq!(sink.cursor, 3);
    });
    let reader = rig.reader.clone();
    rig.stop().await;
    assert_eq!(reader.cursor("sink:platform").unwrap(), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_filter_holds_back_and_the_cursor_moves_on_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), 300);
    let (_listener, address) = listen().await;
    rig.subscribe(
        "cases",
        &address,
        &json!({"filter": {"types": ["cityhub.case."]}}),
    );
    let mut changes = 0;
    while rig.cursor("cases") != Some(300) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        changes += 1;
        assert!(
            changes < 1_000,
            "the cursor stays at {:?}",
            rig.cursor("cases")
        );
    }
    rig.stop().await;
}
