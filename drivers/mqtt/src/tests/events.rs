//! A platform's subscription to events: in order, at least once, from where it was.

use super::{Bench, Client, Hello};
use model::{Event, Severity};
use sdk::{KeptSession, Mark};
use std::future::Future;
use std::sync::PoisonError;

/// The name under which the journal keeps the cursor of [`Hello::person`]'s platform.
const CURSOR: &str = "mqtt:platform:client-of-platform";

fn event(seq: u64, grid: Option<&str>, kind: &str) -> Event {
    Event {
        seq,
        kind: kind.to_owned(),
        subject: "x".to_owned(),
        severity: Some(Severity::Minor),
        grid: grid.map(str::to_owned),
        json: format!("{{\"n\":{seq}}}"),
    }
}

const RAISED: &str = "cityhub.alarm.raised";
const CLEARED: &str = "cityhub.alarm.cleared";

impl Bench {
    /// Writes events `from..=to` to the journal.
    fn happen(&self, from: u64, to: u64) {
        let events = (from..=to).map(|seq| event(seq, None, RAISED));
        self.happened(events.collect());
    }

    fn happened(&self, events: Vec<Event>) {
        let mark = Mark {
            commit: 1,
            event: events.last().map_or(0, |event| event.seq),
        };
        let kept = &self.kit.feed.events;
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(events);
        self.kit.mark.send_replace(mark);
    }

    /// Waits until the journal was told this place of the platform's cursor.
    async fn expect_cursor(&mut self, seq: u64) {
        let cursors = &self.kit.feed.cursors;
        if cursors.lock().unwrap().get(CURSOR) == Some(&seq) {
            return;
        }
        loop {
            let request = tokio::time::timeout(super::PATIENCE, self.kit.requests.recv()).await;
            let (name, told) = match request.unwrap().unwrap() {
                sdk::Request::MoveCursor { name, seq } => (name, seq),
                sdk::Request::KeepSession(pending) => {
                    self.kit.feed.keep_session(pending);
                    continue;
                }
                other => panic!("only cursors and sessions here: {other:?}"),
            };
            assert_eq!(name, CURSOR);
            assert!(told <= seq, "{told} is beyond what was acknowledged");
            let cursors = &self.kit.feed.cursors;
            let mut cursors = cursors.lock().unwrap_or_else(PoisonError::into_inner);
            cursors.insert(name, told);
            if told == seq {
                return;
            }
        }
    }

    /// Connects the platform and subscribes it to all events; tells whether a session was present.
    async fn platform(&mut self, hello: &Hello) -> (Client, bool) {
        let mut client = self.dial(hello.version);
        client.send(&hello.bytes()).await;
        let connack = self.while_keeping(client.connack());
        let (present, code) = connack.await;
        assert_eq!(code, 0);
        if !present {
            client.subscribe(1, &[("events/#", 1)]).await;
            let suback = self.while_keeping(client.packet()).await;
            assert_eq!((suback[0], suback.last()), (0x90, Some(&1)));
        }
        (client, present)
    }

    /// Waits for a client, and keeps the sessions that it asks to be kept.
    async fn while_keeping<T>(&mut self, client: impl Future<Output = T>) -> T {
        tokio::pin!(client);
        loop {
            let request = tokio::select! {
                biased;
                done = &mut client => return done,
                request = self.kit.requests.recv() => request.unwrap(),
            };
            match request {
                sdk::Request::KeepSession(pending) => self.kit.feed.keep_session(pending),
                sdk::Request::MoveCursor { name, seq } => {
                    let cursors = &self.kit.feed.cursors;
                    let mut cursors = cursors.lock().unwrap_or_else(PoisonError::into_inner);
                    cursors.insert(name, seq);
                }
                other => panic!("only cursors and sessions here: {other:?}"),
            }
        }
    }
}

impl Client {
    /// Expects one event of the city as a whole, and gives its packet id.
    async fn event(&mut self, seq: u64) -> u16 {
        let (id, topic, payload) = self.message().await;
        assert_eq!(topic, "events/350200/cityhub.alarm.raised");
        assert_eq!(payload, format!("{{\"n\":{seq}}}"));
        id
    }

    async fn acknowledge(&mut self, id: u16) {
        let [high, low] = id.to_be_bytes();
        self.send(&[0x40, 2, high, low]).await;
    }
}

#[tokio::test]
async fn a_platform_gets_the_events_after_it_subscribed_in_order() {
    for version in [4, 5] {
        let mut bench = Bench::new();
        bench.happen(1, 3);
        let (mut client, _) = bench.platform(&Hello::person(version, "platform")).await;
        bench.happen(4, 6);
        for seq in 4..=6 {
            let id = client.event(seq).await;
            assert_ne!(id, 0);
            client.acknowledge(id).await;
        }
        client.expect_silence().await;
    }
}

#[tokio::test]
async fn no_more_than_64_events_are_on_their_way_unacknowledged() {
    let mut bench = Bench::new();
    let (mut client, _) = bench.platform(&Hello::person(5, "platform")).await;
    bench.happen(1, 100);
    let mut ids = Vec::new();
    for seq in 1..=64 {
        ids.push(client.event(seq).await);
    }
    client.expect_silence().await;
    client.acknowledge(ids[10]).await;
    client.event(65).await;
    client.expect_silence().await;
}

#[tokio::test]
async fn the_receive_maximum_of_a_client_is_kept() {
    let mut bench = Bench::new();
    let mut hello = Hello::person(5, "platform");
    hello.properties.extend([33, 0, 2]);
    let (mut client, _) = bench.platform(&hello).await;
    bench.happen(1, 10);
    let first = client.event(1).await;
    client.event(2).await;
    client.expect_silence().await;
    client.acknowledge(first).await;
    client.event(3).await;
    client.expect_silence().await;
}

#[tokio::test]
async fn the_cursor_moves_only_over_what_is_acknowledged_without_a_hole() {
    for (acknowledged, cursor) in [
        (&[2, 1][..], None),
        (&[2, 0], Some(1)),
        (&[2, 1, 0], Some(3)),
    ] {
        let mut bench = Bench::new();
        let (mut client, _) = bench.platform(&Hello::person(5, "platform").kept()).await;
        // The place is kept from the first moment, before anything was acknowledged.
        bench.expect_cursor(0).await;
        bench.happen(1, 3);
        let mut ids = Vec::new();
        for seq in 1..=3 {
            ids.push(client.event(seq).await);
        }
        for index in acknowledged {
            client.acknowledge(ids[*index]).await;
        }
        drop(client);
        // The end of a session is the last chance to move too far.
        bench.tasks.close();
        bench.tasks.wait().await;
        match cursor {
            Some(seq) => bench.expect_cursor(seq).await,
            None => assert!(bench.kit.requests.is_empty()),
        }
    }
}

#[tokio::test]
async fn a_kept_session_goes_on_after_its_last_acknowledgement() {
    for version in [4, 5] {
        let mut bench = Bench::new();
        let hello = Hello::person(version, "platform").kept();
        let (mut client, present) = bench.platform(&hello).await;
        assert!(!present);
        bench.happen(1, 3);
        let first = client.event(1).await;
        client.event(2).await;
        client.acknowledge(first).await;
        drop(client);
        bench.expect_cursor(1).await;
        bench.happen(4, 5);
        // Its subscriptions are there without being asked for.
        let (mut client, present) = bench.platform(&hello).await;
        assert!(present);
        for seq in 2..=5 {
            let id = client.event(seq).await;
            client.acknowledge(id).await;
        }
        bench.expect_cursor(5).await;
    }
}

#[tokio::test]
async fn a_kept_session_and_its_subscriptions_survive_a_restart_of_the_hub() {
    for version in [4, 5] {
        let mut bench = Bench::new();
        let hello = Hello::person(version, "platform").kept();
        let (mut client, _) = bench.platform(&hello).await;
        bench.happen(1, 3);
        let first = client.event(1).await;
        client.acknowledge(first).await;
        bench.expect_cursor(1).await;
        // Lost without a word, as by a kill: only what the journal keeps is left.
        let mut bench = Bench::around(bench.kit, |_| {});
        let (mut client, present) = bench.platform(&hello).await;
        assert!(present);
        for seq in 2..=3 {
            let id = client.event(seq).await;
            client.acknowledge(id).await;
        }
        bench.expect_cursor(3).await;
    }
}

#[tokio::test]
async fn a_subscription_of_a_kept_session_is_acknowledged_when_it_is_on_disk() {
    let mut bench = Bench::new();
    let mut client = bench.dial(4);
    let hello = Hello::person(4, "platform").kept();
    client.send(&hello.bytes()).await;
    assert_eq!(client.connack().await, (false, 0));
    client.subscribe(1, &[("events/#", 1)]).await;
    // A ping that comes later is answered before.
    client.expect_silence().await;
    let suback = bench.while_keeping(client.packet()).await;
    assert_eq!(suback, [0x90, 3, 0, 1, 1]);
    let sessions = bench.kit.feed.sessions.lock().unwrap();
    let kept = sessions.get(CURSOR).unwrap();
    assert_eq!(kept.filters, [("events/#".to_owned(), 1)].into());
    assert_eq!((kept.expiry_s, kept.expires_at), (u32::MAX, None));
}

#[tokio::test]
async fn a_session_that_expired_while_the_hub_was_away_is_not_present() {
    for (left_ms, present) in [(60_000, true), (-1, false)] {
        let mut bench = Bench::new();
        let now = bench.kit.cx.clock.now();
        let kept = KeptSession {
            filters: [("events/#".to_owned(), 1)].into(),
            expiry_s: 60,
            expires_at: Some(now.plus_ms(left_ms)),
            begins_after: None,
        };
        bench
            .kit
            .feed
            .sessions
            .lock()
            .unwrap()
            .insert(CURSOR.to_owned(), kept);
        let (_client, found) = bench.platform(&Hello::person(5, "platform").kept()).await;
        assert_eq!(found, present, "{left_ms} ms are left");
    }
}

#[tokio::test]
async fn a_clean_start_forgets_what_was_kept_and_begins_with_the_newest() {
    for version in [4, 5] {
        let mut bench = Bench::new();
        let kept = Hello::person(version, "platform").kept();
        let (mut client, _) = bench.platform(&kept).await;
        bench.happen(1, 3);
        client.event(1).await;
        drop(client);
        bench.expect_cursor(0).await;
        let clean = Hello::person(version, "platform");
        let (mut client, present) = bench.platform(&clean).await;
        assert!(!present);
        bench.happen(4, 4);
        client.event(4).await;
        client.expect_silence().await;
    }
}

#[tokio::test]
async fn only_matching_events_are_sent_and_the_others_hold_nothing_up() {
    let mut bench = Bench::new();
    let mut client = bench.dial(5);
    client
        .send(&Hello::person(5, "platform").kept().bytes())
        .await;
    client.connack().await;
    let filters = [("events/G1/+", 1), ("events/+/cityhub.alarm.cleared", 0)];
    client.subscribe(1, &filters).await;
    let suback = client.expect(&[0x90, 5, 0, 1, 0, 1, 0]);
    bench.while_keeping(suback).await;
    bench.happened(vec![
        event(1, Some("G2"), RAISED),
        event(2, Some("G1"), RAISED),
        event(3, None, RAISED),
        event(4, None, CLEARED),
        event(5, Some("G2"), RAISED),
    ]);
    let (id, topic, payload) = client.message().await;
    assert_eq!(
        (topic.as_str(), payload.as_str()),
        ("events/G1/cityhub.alarm.raised", "{\"n\":2}")
    );
    let (none, topic, payload) = client.message().await;
    assert_eq!(none, 0, "QoS 0 where only that was asked for");
    assert_eq!(
        (topic.as_str(), payload.as_str()),
        ("events/350200/cityhub.alarm.cleared", "{\"n\":4}")
    );
    bench.expect_cursor(1).await;
    client.acknowledge(id).await;
    bench.expect_cursor(5).await;
}

#[tokio::test]
async fn an_unsubscribed_filter_gives_nothing_more() {
    let mut bench = Bench::new();
    let (mut client, _) = bench.platform(&Hello::person(5, "platform")).await;
    let mut body = vec![0, 2, 0];
    body.extend(super::text(b"events/#"));
    body.extend(super::text(b"events/never"));
    client.send(&super::packet(0xa2, &body)).await;
    client.expect(&[0xb0, 5, 0, 2, 0, 0, 0x11]).await;
    bench.happen(1, 3);
    client.expect_silence().await;
}

#[tokio::test]
async fn an_event_larger_than_the_client_takes_is_passed_over() {
    let mut bench = Bench::new();
    let mut hello = Hello::person(5, "platform");
    hello.properties.extend([39, 0, 0, 0, 100]);
    let (mut client, _) = bench.platform(&hello).await;
    let mut large = event(1, None, RAISED);
    large.json = "x".repeat(100);
    bench.happened(vec![large, event(2, None, RAISED)]);
    client.event(2).await;
}

#[tokio::test]
async fn a_device_and_a_wrong_filter_get_no_subscription() {
    let bench = Bench::new();
    let mut client = bench.device(5, "a").await;
    client
        .subscribe(
            1,
            &[("events/#", 1), ("devices/b/commands", 0), ("a/#/b", 0)],
        )
        .await;
    client.expect(&[0x90, 6, 0, 1, 0, 0x87, 0x87, 0x8f]).await;
    let mut client = bench.device(4, "b").await;
    client
        .subscribe(1, &[("events/#", 1), ("devices/b/commands", 1)])
        .await;
    client.expect(&[0x90, 4, 0, 1, 0x80, 0]).await;
    assert_eq!(bench.refused().len(), 2);
}

#[tokio::test]
async fn a_person_gets_no_subscription_to_the_events() {
    for (version, suback) in [
        (4, &[0x90, 3, 0, 1, 0x80][..]),
        (5, &[0x90, 4, 0, 1, 0, 0x87]),
    ] {
        let bench = Bench::new();
        let mut client = bench.person(version, "viewer").await;
        client.subscribe(1, &[("events/#", 1)]).await;
        client.expect(suback).await;
        bench.happen(1, 1);
        client.expect_silence().await;
    }
}

#[tokio::test]
async fn a_clean_start_ends_the_kept_session_at_once() {
    for version in [4, 5] {
        let mut bench = Bench::new();
        let kept = Hello::person(version, "platform").kept();
        let (first, _) = bench.platform(&kept).await;
        drop(first);
        let clean = Hello::person(version, "platform");
        let (_second, present) = bench.platform(&clean).await;
        assert!(!present);
        // It takes over from one that is still there, and finds nothing of the first.
        let (_third, present) = bench.platform(&kept).await;
        assert!(!present);
    }
}
