//! Whoever follows events goes on where it stopped, after any outage of either side.

use serde_json::{Value, json};
use tests::audit::{self, sequence};
use tests::fleet::overpressure;
use tests::hub::{Hub, Place, token};
use tests::mqtt::{Client, Identity, Version};
use tests::time::now_s_in_ms;

/// How many sensors take turns, so that none of them chatters.
const SENSORS: usize = 16;

/// Gas sensors of which the next raises and clears an alarm with a pair of readings: two events a
/// round, and the one that says that the sensor is there.
pub(crate) struct Toggler {
    ts: i64,
    round: usize,
}

impl Toggler {
    pub(crate) fn new(hub: &Hub) -> Self {
        let sensor = |number| json!({"id": format!("gas-{number}"), "kind": "gas_pressure"});
        hub.register(&Value::Array((0..SENSORS).map(sensor).collect()));
        hub.rule("gas_overpressure", &overpressure());
        Self {
            ts: now_s_in_ms() - 100_000,
            round: 0,
        }
    }

    pub(crate) fn rounds(&mut self, hub: &Hub, count: usize) {
        for _ in 0..count {
            let device = format!("gas-{}", self.round % SENSORS);
            self.round += 1;
            for kpa in [450, 300] {
                self.ts += 100;
                let body = json!({"ts": self.ts, "values": {"pressure_kpa": kpa}});
                hub.store(&device, &body);
            }
        }
        // An alarm that nobody acknowledged stays in the list, so the next one is another.
        for alarm in hub.api().get("/api/v1/alarms")["items"].as_array().unwrap() {
            let path = format!("/api/v1/alarms/{}/ack", alarm["id"].as_str().unwrap());
            hub.api()
                .post(&path, &json!({"version": alarm["version"]}))
                .expect(200);
        }
    }
}

fn all(hub: &Hub) -> Vec<(u64, Value)> {
    let events = audit::events(&hub.api());
    events
        .into_iter()
        .map(|event| (sequence(&event), event))
        .collect()
}

#[test]
fn a_stream_goes_on_after_its_last_event_across_a_crash() {
    let place = Place::default();
    let hub = place.start();
    let mut toggler = Toggler::new(&hub);
    toggler.rounds(&hub, 3);
    let mut stream = hub.api().stream("?from=0", None);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let sent = stream.next_fact().unwrap();
        seen.push((sent.id.unwrap(), sent.json()));
    }
    hub.kill();
    let hub = place.start();
    toggler.rounds(&hub, 2);
    let wanted = all(&hub);
    assert!(wanted.len() >= 10, "{wanted:?}");
    let last = seen.last().unwrap().0;
    // The header wins over the query, as browsers reconnect to the same address.
    let mut stream = hub.api().stream("?from=0", Some(last));
    while seen.len() < wanted.len() {
        let sent = stream.next_fact().unwrap();
        assert_ne!(sent.event, "reset");
        seen.push((sent.id.unwrap(), sent.json()));
    }
    assert_eq!(seen, wanted);
}

#[test]
fn a_stream_starts_live_and_shows_a_sign_of_life() {
    let place = Place::default();
    let hub = place.start();
    let mut toggler = Toggler::new(&hub);
    toggler.rounds(&hub, 1);
    let mut stream = hub.api().stream("", None);
    // The heartbeat comes first: nothing happens until it is there.
    let beat = stream.receive().unwrap();
    assert_eq!(beat.event, "hb");
    let mark = beat.json()["seq"].as_u64().unwrap();
    assert_eq!(mark, all(&hub).last().unwrap().0);
    // Whatever happens while it listens comes one after the other.
    let mut seen = mark;
    for _ in 0..3 {
        toggler.rounds(&hub, 1);
        let newest = all(&hub).last().unwrap().0;
        while seen < newest {
            seen += 1;
            assert_eq!(stream.next_fact().unwrap().id, Some(seen));
        }
    }
}

#[test]
fn a_cursor_that_never_was_is_answered_with_a_reset_and_not_with_silence() {
    let place = Place::default();
    let hub = place.start();
    let mut toggler = Toggler::new(&hub);
    toggler.rounds(&hub, 1);
    let newest = all(&hub).last().unwrap().0;
    let mut stream = hub.api().stream("", Some(1_000_000));
    let reset = stream.next_fact().unwrap();
    assert_eq!(reset.event, "reset");
    assert_eq!(reset.json()["newest"], newest);
    // After the reset the stream goes on with what comes.
    toggler.rounds(&hub, 1);
    let mut id = stream.next_fact().unwrap().id.unwrap();
    while id < newest + 1 {
        id = stream.next_fact().unwrap().id.unwrap();
    }
    assert_eq!(id, newest + 1);
}

#[test]
fn the_cursor_pages_without_a_hole_and_filters_without_losing_its_place() {
    let place = Place::default();
    let hub = place.start();
    let api = hub.api_as("platform");
    let mut toggler = Toggler::new(&hub);
    let mild = json!({"title": "mild", "kind": "threshold", "select": {}, "metric": "pressure_kpa",
        "above": 400.0, "severity": "warning"});
    hub.rule("mild", &mild);
    toggler.rounds(&hub, 3);
    let wanted = all(&hub);
    let follow = |query: &str| {
        let (mut after, mut found) = (0, Vec::new());
        loop {
            let page = api.get(&format!("/api/v1/events?after={after}&limit=2{query}"));
            let items = page["items"].as_array().unwrap();
            let next = page["next"]
                .as_u64()
                .or_else(|| page["next"].as_str()?.parse().ok());
            found.extend(items.iter().map(|event| (sequence(event), event.clone())));
            let next = next.unwrap_or(after);
            if items.is_empty() && next == after {
                return found;
            }
            after = next;
        }
    };
    assert_eq!(follow(""), wanted);
    let of = |keep: &dyn Fn(&Value) -> bool| {
        let kept = wanted.iter().filter(|(_, event)| keep(event));
        kept.cloned().collect::<Vec<_>>()
    };
    let raised = of(&|event| event["type"] == "cityhub.alarm.raised");
    assert_eq!(raised.len(), 6);
    assert_eq!(follow("&types=cityhub.alarm.raised"), raised);
    let critical = of(&|event| event["data"]["severity"] != "warning");
    assert!(critical.len() < wanted.len());
    assert_eq!(follow("&min_severity=critical"), critical);
}

fn platform(clean: bool) -> Identity {
    Identity {
        client_id: "city-platform".to_owned(),
        clean,
        session_expiry_s: 3600,
        ..Identity::named("platform", &token("platform"))
    }
}

#[test]
fn a_platform_on_mqtt_misses_no_event_over_any_outage() {
    for version in Version::BOTH {
        let place = Place::default();
        let hub = place.start();
        let mut toggler = Toggler::new(&hub);
        let mut client = Client::connect(hub.mqtt(), version, &platform(false));
        assert!(!client.session_present);
        assert_eq!(client.subscribe("events/#", 1), 1);
        toggler.rounds(&hub, 3);
        let wanted = all(&hub);
        let first_event = wanted
            .iter()
            .find(|(_, event)| event["type"] == "cityhub.alarm.raised");
        let first_event = first_event.unwrap().0;

        // It takes four and leaves in order.
        let mut last = 0;
        for expected in 0..4 {
            let message = client.message();
            assert_eq!(message.qos, 1);
            let event: Value = serde_json::from_slice(&message.payload).unwrap();
            let seq = sequence(&event);
            if expected == 0 {
                assert!(seq <= first_event, "starts before the first alarm");
            } else {
                assert_eq!(seq, last + 1, "without a hole");
            }
            let kind = event["type"].as_str().unwrap();
            assert_eq!(message.topic, format!("events/350200/{kind}"));
            last = seq;
            client.ack(&message);
        }
        client.ping();
        client.disconnect();
        // It comes back to its session for one more, and is cut off before it can say goodbye.
        let mut client = Client::connect(hub.mqtt(), version, &platform(false));
        assert!(client.session_present, "the session was kept");
        let message = client.message();
        let event: Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(sequence(&event), last + 1, "goes on where it stopped");
        drop(client);
        // While it is away, more happens, and the hub is killed.
        toggler.rounds(&hub, 2);
        hub.kill();
        let hub = place.start();
        toggler.rounds(&hub, 1);
        let wanted = all(&hub);

        let mut client = Client::connect(hub.mqtt(), version, &platform(false));
        assert!(client.session_present, "the session outlives the hub");
        let mut got = Vec::new();
        while got
            .last()
            .is_none_or(|(seq, _)| *seq < wanted.last().unwrap().0)
        {
            let message = client.message();
            let event: Value = serde_json::from_slice(&message.payload).unwrap();
            got.push((sequence(&event), event));
            client.ack(&message);
        }
        got.dedup();
        let rest: Vec<_> = wanted
            .iter()
            .filter(|(seq, _)| *seq > last)
            .cloned()
            .collect();
        assert_eq!(got, rest, "goes on after {last}");
    }
}

#[test]
fn a_clean_session_starts_with_what_comes() {
    let place = Place::default();
    let hub = place.start();
    let mut toggler = Toggler::new(&hub);
    toggler.rounds(&hub, 2);
    let before = all(&hub).last().unwrap().0;
    let mut client = Client::connect(hub.mqtt(), Version::V5, &platform(true));
    assert!(!client.session_present);
    assert!(client.subscribe("events/350200/cityhub.alarm.raised", 1) < 0x80);
    toggler.rounds(&hub, 1);
    let event: Value = serde_json::from_slice(&client.message().payload).unwrap();
    assert_eq!(event["type"], "cityhub.alarm.raised");
    assert!(sequence(&event) > before);
}
