//! Events by cursor and by stream: nothing is missed, and a hole is announced.

use super::kit::{Hub, START_MS, alarm, tokens};
use axum::body::Body;
use http_body_util::BodyExt;
use model::{Severity, Timestamp};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

fn seqs(answer: &Value) -> Vec<u64> {
    let items = answer["items"].as_array().unwrap();
    items
        .iter()
        .map(|e| e["sequence"].as_str().unwrap().parse().unwrap())
        .collect()
}

/// Events 1 to `n`; every third is critical and `cleared`, the others minor and `raised`.
fn happen(hub: &Hub, n: u64) {
    happen_from(hub, 1, n);
}

fn happen_from(hub: &Hub, first: u64, last: u64) {
    let rows: Vec<_> = (first..=last)
        .map(|number| match number % 3 {
            0 => (
                alarm(number, Severity::Critical, 1),
                "cityhub.alarm.cleared",
            ),
            _ => (alarm(number, Severity::Minor, 1), "cityhub.alarm.raised"),
        })
        .collect();
    assert_eq!(hub.announce_all(&rows), last);
}

#[tokio::test]
async fn the_cursor_gives_every_event_once_in_order() {
    let hub = Hub::start();
    happen(&hub, 7);
    let first = hub
        .ask("platform", "get", "/api/v1/events?limit=3", "")
        .await
        .json();
    assert_eq!((seqs(&first), &first["next"]), (vec![1, 2, 3], &json!(3)));
    let event = &first["items"][2];
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "cityhub.alarm.cleared");
    assert_eq!(event["subject"], "a3");
    assert_eq!(event["sequence"], "00000000000000000003");
    assert_eq!(event["data"]["severity"], "critical");
    let rest = hub.get("/api/v1/events?after=3").await.json();
    assert_eq!((seqs(&rest), &rest["next"]), (vec![4, 5, 6, 7], &json!(7)));
    let end = hub.get("/api/v1/events?after=7").await.json();
    assert_eq!((seqs(&end), &end["next"]), (vec![], &json!(7)));
    // Again, the same.
    let again = hub
        .ask("platform", "get", "/api/v1/events?limit=3", "")
        .await
        .json();
    assert_eq!(again, first);
}

#[tokio::test]
async fn filters_leave_out_events_without_losing_the_place() {
    let hub = Hub::start();
    happen(&hub, 7);
    for (query, expected, next) in [
        ("types=cityhub.alarm.cleared", vec![3, 6], 7),
        ("types=cityhub.alarm.cleared&limit=1", vec![3], 3),
        ("types=cityhub.alarm.*&after=5", vec![6, 7], 7),
        ("types=cityhub.device.*", vec![], 7),
        ("min_severity=major", vec![3, 6], 7),
        ("grid=350203010203&after=6", vec![7], 7),
        ("grid=350203&after=6", vec![7], 7),
        ("grid=350205,350203010&after=6", vec![7], 7),
        ("grid=350200&after=6", vec![7], 7),
        ("grid=350205", vec![], 7),
    ] {
        let page = hub.get(&format!("/api/v1/events?{query}")).await.json();
        assert_eq!(
            (seqs(&page), &page["next"]),
            (expected, &json!(next)),
            "{query}"
        );
    }
    for kind in ["alarm", "cityhub.nope", "cityhub.alarm.raisedd", "*"] {
        let query = format!("/api/v1/events?types={kind}");
        assert!(hub.get(&query).await.problem(400).contains(kind));
    }
    hub.get("/api/v1/events?after=-1").await.problem(400);
    for grid in ["abc", "1", "350203%2A"] {
        for path in ["events", "stream", "alarms"] {
            let query = format!("/api/v1/{path}?grid={grid}");
            hub.get(&query).await.problem(400);
        }
    }
}

#[tokio::test]
async fn a_cursor_ahead_of_the_journal_is_told_so() {
    let hub = Hub::start();
    happen(&hub, 2);
    let answer = hub.get("/api/v1/events?after=3").await;
    answer.problem(409);
    assert_eq!(answer.json()["newest"], 2);
}

#[tokio::test]
async fn a_cursor_past_retention_is_told_where_to_begin() {
    let hub = Hub::start();
    happen(&hub, 3);
    hub.outlive_events();
    assert_eq!(
        hub.announce(&alarm(4, Severity::Minor, 1), "cityhub.alarm.raised"),
        4
    );
    let answer = hub.get("/api/v1/events?after=2").await;
    answer.problem(410);
    assert_eq!(answer.json()["oldest"], 4);
    // The last one that is gone is a good place: nothing after it is missing.
    assert_eq!(seqs(&hub.get("/api/v1/events?after=3").await.json()), [4]);
    // Whoever begins, begins with the oldest there is.
    assert_eq!(seqs(&hub.get("/api/v1/events").await.json()), [4]);
}

#[tokio::test(start_paused = true)]
async fn a_place_past_retention_is_announced_and_the_stream_goes_on() {
    let hub = Hub::start();
    happen(&hub, 3);
    hub.outlive_events();
    hub.announce(&alarm(4, Severity::Minor, 1), "cityhub.alarm.raised");
    let mut stream = Listening::open(&hub, "/api/v1/stream?from=1", &[]).await;
    let reset = stream.next().await.unwrap();
    assert_eq!((reset.event.as_str(), reset.id), ("reset", 3));
    let data = json!({"reason": "past_retention", "oldest": 4, "newest": 4});
    assert_eq!(reset.data, data);
    assert_eq!(stream.event().await.id, 4);
    let mut whole = Listening::open(&hub, "/api/v1/stream?from=3", &[]).await;
    assert_eq!(whole.event().await.id, 4);
}

/// One message of a stream.
#[derive(Debug, PartialEq)]
struct Message {
    id: u64,
    event: String,
    data: Value,
}

/// A listener's side of a stream.
struct Listening {
    body: Body,
    text: String,
}

impl Listening {
    async fn open(hub: &Hub, path: &str, headers: &[(&str, &str)]) -> Self {
        let response = hub.open("viewer", ("get", path), headers, "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// Waits for the next message; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let (message, rest) = (message.to_owned(), rest.to_owned());
                self.text = rest;
                if message.starts_with("retry: ") {
                    continue;
                }
                let field = |name: &str| {
                    let line = message.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_else(|| panic!("{message}")).to_owned()
                };
                return Some(Message {
                    id: field("id: ").parse().unwrap(),
                    event: field("event: "),
                    data: serde_json::from_str(&field("data: ")).unwrap(),
                });
            }
            let frame = self.body.frame().await?.unwrap();
            let bytes = frame.into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// Skips heartbeats.
    async fn event(&mut self) -> Message {
        loop {
            let message = self.next().await.unwrap();
            if message.event != "hb" {
                return message;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_place_begins_now_and_hears_what_happens() {
    let hub = Hub::start();
    happen(&hub, 2);
    let mut stream = Listening::open(&hub, "/api/v1/stream", &[]).await;
    let beat = stream.next().await.unwrap();
    assert_eq!((beat.event.as_str(), beat.id), ("hb", 2));
    hub.announce(&alarm(3, Severity::Major, 5), "cityhub.alarm.raised");
    let message = stream.event().await;
    assert_eq!(
        (message.id, message.event.as_str()),
        (3, "cityhub.alarm.raised")
    );
    assert_eq!(message.data["sequence"], "00000000000000000003");
    assert_eq!(message.data["data"]["id"], "a3");
}

#[tokio::test(start_paused = true)]
async fn a_heart_beats_every_five_seconds_with_the_place_and_the_time() {
    let hub = Hub::start();
    happen(&hub, 2);
    let mut stream = Listening::open(&hub, "/api/v1/stream?from=2", &[]).await;
    let opened = Instant::now();
    for beat in 0..4u32 {
        let message = stream.next().await.unwrap();
        assert_eq!(opened.elapsed().as_secs(), u64::from(beat) * 5);
        let now = Timestamp::from_millis(START_MS).plus_s(i64::from(beat) * 5);
        assert_eq!(message.event, "hb");
        let data = &message.data;
        assert_eq!(
            (&data["seq"], &data["server_time"]),
            (&json!(2), &json!(now))
        );
        assert_eq!(data["counts"]["total"], 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_resumes_where_it_was_and_the_header_wins() {
    let hub = Hub::start();
    happen(&hub, 5);
    let mut from = Listening::open(&hub, "/api/v1/stream?from=3", &[]).await;
    assert_eq!(from.event().await.id, 4);
    assert_eq!(from.event().await.id, 5);
    let last = [("last-event-id", "1")];
    let mut resumed = Listening::open(&hub, "/api/v1/stream?from=3", &last).await;
    for id in 2..=5 {
        assert_eq!(resumed.event().await.id, id);
    }
    let wrong = [("last-event-id", "x")];
    let path = "/api/v1/stream";
    hub.ask_with("viewer", ("get", path), &wrong, "")
        .await
        .problem(400);
}

#[tokio::test(start_paused = true)]
async fn a_long_absence_is_made_up_without_a_hole() {
    let hub = Hub::start();
    happen(&hub, 600);
    let mut stream = Listening::open(&hub, "/api/v1/stream?from=0", &[]).await;
    for id in 1..=600 {
        assert_eq!(stream.event().await.id, id);
    }
}

#[tokio::test(start_paused = true)]
async fn listeners_of_every_pace_and_filter_hear_the_same() {
    let hub = Hub::start();
    let mut quick = Listening::open(&hub, "/api/v1/stream", &[]).await;
    let mut slow = Listening::open(&hub, "/api/v1/stream", &[]).await;
    let cleared = "/api/v1/stream?types=cityhub.alarm.cleared";
    let mut filtered = Listening::open(&hub, cleared, &[]).await;
    for hundred in 0..20 {
        let (first, last) = (hundred * 100 + 1, hundred * 100 + 100);
        happen_from(&hub, first, last);
        for id in first..=last {
            assert_eq!(quick.event().await.id, id);
        }
    }
    for id in 1..=2_000 {
        assert_eq!(slow.event().await.id, id);
    }
    for third in 1..=666 {
        assert_eq!(filtered.event().await.id, third * 3);
    }
    // One that comes late to a ring that was not read for a while.
    let mut late = Listening::open(&hub, "/api/v1/stream?from=1990", &[]).await;
    for id in 1_991..=2_000 {
        assert_eq!(late.event().await.id, id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_ahead_of_the_journal_is_announced_and_the_stream_goes_on() {
    let hub = Hub::start();
    happen(&hub, 2);
    let mut stream = Listening::open(&hub, "/api/v1/stream?from=9", &[]).await;
    let reset = stream.next().await.unwrap();
    assert_eq!((reset.event.as_str(), reset.id), ("reset", 2));
    assert_eq!(
        reset.data,
        json!({"reason": "ahead", "oldest": 1, "newest": 2})
    );
    hub.announce(&alarm(3, Severity::Major, 5), "cityhub.alarm.raised");
    assert_eq!(stream.event().await.id, 3);
}

#[tokio::test(start_paused = true)]
async fn a_filtered_stream_moves_its_place_past_what_it_leaves_out() {
    let hub = Hub::start();
    let path = "/api/v1/stream?from=0&types=cityhub.alarm.cleared";
    let mut stream = Listening::open(&hub, path, &[]).await;
    assert_eq!(stream.next().await.unwrap().data["seq"], 0);
    happen(&hub, 5);
    assert_eq!(stream.event().await.id, 3);
    let beat = stream.next().await.unwrap();
    assert_eq!(
        (beat.event.as_str(), beat.id, &beat.data["seq"]),
        ("hb", 5, &json!(5))
    );
}

#[tokio::test(start_paused = true)]
async fn streams_are_limited_and_a_closed_one_makes_room() {
    let hub = Hub::start_with(tokens(), 2);
    let first = Listening::open(&hub, "/api/v1/stream", &[]).await;
    let _second = Listening::open(&hub, "/api/v1/stream", &[]).await;
    let third = hub.ask("viewer", "get", "/api/v1/stream", "").await;
    third.problem(503);
    assert_eq!(third.header("retry-after"), "1");
    drop(first);
    Listening::open(&hub, "/api/v1/stream", &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_token_that_opened_it() {
    let hub = Hub::start();
    let mut stream = Listening::open(&hub, "/api/v1/stream", &[]).await;
    assert_eq!(stream.next().await.unwrap().event, "hb");
    hub.revoked.store(true, Ordering::Release);
    let before = Instant::now();
    assert_eq!(stream.next().await, None);
    assert_eq!(before.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_every_stream() {
    let hub = Hub::start();
    let mut stream = Listening::open(&hub, "/api/v1/stream", &[]).await;
    assert_eq!(stream.next().await.unwrap().event, "hb");
    hub.state.stop.cancel();
    assert_eq!(stream.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn an_event_reaches_the_listener_without_waiting_for_the_beat() {
    let hub = Hub::start();
    let mut stream = Listening::open(&hub, "/api/v1/stream", &[]).await;
    stream.next().await.unwrap();
    let before = Instant::now();
    let (message, _) = tokio::join!(stream.event(), async {
        hub.announce(&alarm(1, Severity::Major, 5), "cityhub.alarm.raised")
    });
    assert_eq!(message.id, 1);
    assert!(before.elapsed() < Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn minor_events_wait_for_their_batch_and_a_critical_alarm_takes_them_along() {
    let hub = Hub::start();
    let mut stream = Listening::open(&hub, "/api/v1/stream", &[]).await;
    stream.next().await.unwrap();
    let minor = |number| (alarm(number, Severity::Minor, 1), "cityhub.alarm.raised");
    hub.announce_all(&[minor(1)]);
    let began = Instant::now();
    assert_eq!(stream.event().await.id, 1);
    hub.announce_all(&[minor(2)]);
    assert_eq!(stream.event().await.id, 2);
    assert_eq!(began.elapsed(), Duration::from_millis(100));
    hub.announce_all(&[minor(3)]);
    let (message, ()) = tokio::join!(stream.event(), async {
        tokio::time::sleep(Duration::from_millis(40)).await;
        hub.announce(&alarm(4, Severity::Critical, 1), "cityhub.alarm.raised");
    });
    assert_eq!(message.id, 3);
    assert_eq!(stream.event().await.id, 4);
    assert_eq!(began.elapsed(), Duration::from_millis(140));
}
