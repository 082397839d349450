//! What people see of alarms: one cause is one alarm, and nothing is set aside for ever or unseen.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;
use tests::audit;
use tests::fleet::overpressure;
use tests::http::Stream;
use tests::hub::{Hub, Place};
use tests::mqtt::{Client, Identity, Outcome, Version};
use tests::time::{PATIENCE, ms, now_ms, now_s_in_ms};

/// How often a gateway that is well speaks: four times within the patience for it.
const BEAT: Duration = Duration::from_millis(500);

/// The events of alarms and floods from the first on, with all that were seen so far.
struct Feed {
    stream: Stream,
    seen: Vec<Value>,
}

impl Feed {
    fn open(hub: &Hub) -> Self {
        let stream = hub
            .api()
            .stream("?from=0&types=cityhub.alarm,cityhub.flood", None);
        Self {
            stream,
            seen: Vec::new(),
        }
    }

    /// Gives the last row of each device among the events of a type.
    fn rows(&self, kind: &str) -> BTreeMap<String, Value> {
        let wanted = format!("cityhub.alarm.{kind}");
        let events = self.seen.iter().filter(|event| event["type"] == wanted);
        let row = |event: &Value| event["data"].clone();
        events
            .map(|event| (event["data"]["device"].as_str().unwrap().to_owned(), event))
            .map(|(device, event)| (device, row(event)))
            .collect()
    }

    /// Reads on until this many devices have a row of this type that is as it should be.
    #[track_caller]
    fn wait(
        &mut self,
        kind: &str,
        count: usize,
        is_meant: impl Fn(&Value) -> bool,
    ) -> BTreeMap<String, Value> {
        let start = tokio::time::Instant::now();
        loop {
            let mut rows = self.rows(kind);
            rows.retain(|_, row| is_meant(row));
            if rows.len() >= count {
                return rows;
            }
            let late = start.elapsed() > PATIENCE;
            assert!(!late, "only {} of {count} {kind}: {rows:#?}", rows.len());
            let sent = self.stream.next_fact().expect("the stream is open");
            self.seen.push(sent.json());
        }
    }

    /// Waits for an event of a device.
    #[track_caller]
    fn of(&mut self, kind: &str, device: &str) -> Value {
        self.wait(kind, 1, |row| row["device"] == device)[device].clone()
    }
}

fn child(index: usize) -> String {
    format!("child-{index:02}")
}

/// Registers a gateway and the devices behind it, which report at these intervals.
fn register_district(hub: &Hub, cadences_s: &[u32]) {
    let behind = cadences_s.iter().enumerate().map(|(index, cadence_s)| {
        json!({"id": child(index), "kind": "gas_pressure", "cadence_s": cadence_s, "parent": "gw"})
    });
    let gateway = json!({"id": "gw", "kind": "gateway", "cadence_s": 1});
    hub.register(&Value::Array([gateway].into_iter().chain(behind).collect()));
}

/// Has devices silent after twice their cadence be noticed.
fn watch_silence(hub: &Hub) {
    let rule = json!({"title": "失联", "kind": "silence", "select": {}, "factor": 2,
        "severity": "minor"});
    hub.rule("silent", &rule);
}

/// Lets the gateway send a message with readings of its first children, at these times from now;
/// gives the time that is now.
fn speak(hub: &Hub, children: usize, offsets_ms: &[i64]) -> i64 {
    let now = now_ms();
    let readings: Vec<_> = offsets_ms
        .iter()
        .map(|offset| json!({"ts": now + offset, "values": {"pressure_kpa": 300.0}}))
        .collect();
    let message: BTreeMap<_, _> = (0..children).map(|i| (child(i), &readings)).collect();
    let mut gateway = Client::connect(hub.mqtt(), Version::V5, &Identity::device("gw"));
    let payload = serde_json::to_vec(&message).unwrap();
    let outcome = gateway.publish("v1/gateway/telemetry", &payload);
    assert_eq!(outcome, Outcome::Acked(0));
    now
}

/// A gateway that goes on speaking for its first children twice a second, until this is dropped.
struct Chorus {
    _end: mpsc::Sender<()>,
    /// The time of the first reading.
    began: i64,
}

impl Chorus {
    fn of(hub: &Hub, children: usize) -> Self {
        let (end, ended) = mpsc::channel::<()>();
        let (began, first) = mpsc::channel();
        let address = hub.mqtt();
        std::thread::spawn(move || {
            let mut gateway = Client::connect(address, Version::V5, &Identity::device("gw"));
            loop {
                let now = now_ms();
                let reading = json!([{"ts": now, "values": {"pressure_kpa": 300.0}}]);
                let message: BTreeMap<_, _> = (0..children).map(|i| (child(i), &reading)).collect();
                let payload = serde_json::to_vec(&message).unwrap();
                let outcome = gateway.publish("v1/gateway/telemetry", &payload);
                assert_eq!(outcome, Outcome::Acked(0));
                began.send(now).ok();
                if ended.recv_timeout(BEAT) != Err(mpsc::RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Self {
            _end: end,
            began: first.recv().expect("the gateway speaks"),
        }
    }
}

/// Registers sensors, and gives a time from which on they may report.
fn register_gas(hub: &Hub, ids: &[&str]) -> i64 {
    let device = |id: &&str| json!({"id": id, "kind": "gas_pressure", "cadence_s": 60});
    hub.register(&Value::Array(ids.iter().map(device).collect()));
    now_s_in_ms() - 60_000
}

fn report(hub: &Hub, device: &str, at: i64, kpa: f64) {
    let body = json!({"ts": at, "values": {"pressure_kpa": kpa}});
    hub.store(device, &body);
}

fn path(row: &Value, verb: &str) -> String {
    format!("/api/v1/alarms/{}/{verb}", row["id"].as_str().unwrap())
}

/// Gives the alarms that are not normal, by id.
fn open(hub: &Hub) -> BTreeMap<String, Value> {
    let page = hub.api().get("/api/v1/alarms");
    let rows = page["items"].as_array().unwrap().iter();
    rows.map(|row| (row["id"].as_str().unwrap().to_owned(), row.clone()))
        .collect()
}

#[test]
fn a_dead_gateway_is_one_alarm_and_whoever_stays_silent_after_it_rings_in_turn() {
    let place = Place::default();
    let hub = place.start();
    let mut cadences_s = [1; 20];
    (cadences_s[18], cadences_s[19]) = (2, 3);
    register_district(&hub, &cadences_s);
    speak(&hub, 20, &[0]);
    watch_silence(&hub);
    let mut feed = Feed::open(&hub);
    let gateway = feed.of("raised", "gw");
    let is_explained = |row: &Value| row["suppressed_by"] == gateway["id"];
    feed.wait("suppressed", 20, is_explained);
    assert_eq!(feed.rows("raised").len(), 1);
    let rows = open(&hub);
    assert_eq!(rows.len(), 21);
    for row in rows.values().filter(|row| row["device"] != "gw") {
        assert_eq!(row["state"], "suppressed", "{row}");
        assert_eq!(row["suppression"], "gateway", "{row}");
        assert!(is_explained(row), "{row}");
        assert_eq!(row["announced_at"], Value::Null, "{row}");
    }

    // The gateway comes back with 17 of its children, which go on for a while.
    let chorus = Chorus::of(&hub, 17);
    let back = chorus.began;
    assert_eq!(ms(&feed.of("cleared", "gw")["cleared_at"]), back);
    // Nobody was told that they were silent, so nobody is told that they are not.
    let settled = feed.wait("settled", 17, |row| row["active"] == false);
    for row in settled.values() {
        assert_eq!(
            (ms(&row["cleared_at"]), &row["state"]),
            (back, &json!("normal"))
        );
    }
    for (index, patience_ms) in [(17, 2_000), (18, 4_000), (19, 6_000)] {
        let row = feed.of("returned", &child(index));
        assert_eq!(ms(&row["announced_at"]), back + patience_ms, "{row}");
        assert_eq!(row["state"], "active_unacked", "{row}");
        assert_eq!(row["suppressed_by"], Value::Null, "{row}");
    }
    assert_eq!(feed.rows("returned").len(), 3);
    assert_eq!(feed.rows("raised").len(), 1);
    audit::alarms_take_turns(&audit::events(&hub.api()));
    drop(chorus);
    hub.kill();
    place.verify();
}

#[test]
fn a_false_alarm_of_the_gateway_lets_its_children_ring_at_once_which_is_a_flood() {
    let place = Place::default();
    let hub = place.start();
    register_district(&hub, &[1; 12]);
    speak(&hub, 12, &[0]);
    watch_silence(&hub);
    let mut feed = Feed::open(&hub);
    let gateway = feed.of("raised", "gw");
    feed.wait("suppressed", 12, |row| {
        row["suppressed_by"] == gateway["id"]
    });
    let said = json!({"version": gateway["version"], "comment": "网关正常"});
    let officer = hub.api_as("officer");
    let row = officer
        .post(&path(&gateway, "false_alarm"), &said)
        .expect(200);
    assert_eq!(
        (&row["state"], &row["verdict"]),
        (&json!("active_acked"), &json!("false_alarm"))
    );
    let told = feed.of("false_alarm", "gw");
    assert_eq!(
        (&told["actor"], &told["comment"]),
        (&json!("officer"), &json!("网关正常"))
    );
    let returned = feed.wait("returned", 12, |row| row["state"] == "active_unacked");
    let times: Vec<_> = returned.values().map(|row| &row["announced_at"]).collect();
    assert!(times.iter().all(|time| *time == times[0]), "{times:?}");
    // More than ten in ten minutes (EEMUA 191).
    let floods: Vec<_> = feed
        .seen
        .iter()
        .filter(|event| event["type"] == "cityhub.flood.began")
        .collect();
    assert_eq!(floods.len(), 1);
    assert_eq!(
        (&floods[0]["subject"], &floods[0]["data"]["announced"]),
        (&json!("hub"), &json!(11))
    );
    hub.kill();
    place.verify();
}

#[test]
fn a_latched_alarm_stays_until_somebody_resets_it() {
    let place = Place::default();
    let hub = place.start();
    let start = register_gas(&hub, &["gas-1"]);
    let mut rule = overpressure();
    rule["latch"] = json!(true);
    hub.rule("over", &rule);
    let mut feed = Feed::open(&hub);
    report(&hub, "gas-1", start, 450.0);
    let row = feed.of("raised", "gas-1");
    let officer = hub.api_as("officer");
    let reset = path(&row, "reset");
    // The condition still holds.
    officer.post(&reset, &json!({})).problem(409);
    report(&hub, "gas-1", start + 1_000, 300.0);
    let row = feed.of("cleared", "gas-1");
    assert_eq!(
        (&row["state"], &row["active"], &row["latching"]),
        (&json!("latched_unacked"), &json!(false), &json!(true))
    );
    let row = officer.post(&path(&row, "ack"), &json!({})).expect(200);
    assert_eq!(row["state"], "latched_acked");
    let row = officer.post(&reset, &json!({})).expect(200);
    assert_eq!(row["state"], "normal");
    assert_eq!(feed.of("reset", "gas-1")["actor"], "officer");
    assert_eq!(open(&hub), BTreeMap::new());
    officer.post(&reset, &json!({})).problem(409);
}

#[test]
fn what_becomes_worse_than_it_was_shelved_at_leaves_the_shelf() {
    let place = Place::default();
    let hub = place.start();
    let start = register_gas(&hub, &["gas-1"]);
    let rule = json!({"title": "levels", "kind": "threshold", "select": {},
        "metric": "pressure_kpa", "deadband": 10.0, "levels": [
            {"severity": "minor", "above": 300.0}, {"severity": "major", "above": 350.0}]});
    hub.rule("levels", &rule);
    let mut feed = Feed::open(&hub);
    report(&hub, "gas-1", start, 310.0);
    let row = feed.of("raised", "gas-1");
    let shelve = json!({"version": row["version"], "minutes": 30, "reason": "管道施工"});
    let before = now_ms();
    let officer = hub.api_as("officer");
    officer.post(&path(&row, "shelve"), &shelve).expect(200);
    let row = open(&hub).into_values().next().unwrap();
    assert_eq!(
        (&row["state"], &row["shelve_reason"], &row["shelved_by"]),
        (&json!("shelved"), &json!("管道施工"), &json!("officer"))
    );
    let until = ms(&row["shelved_until"]) - 30 * 60_000;
    assert!((before..=now_ms()).contains(&until), "{row}");
    report(&hub, "gas-1", start + 1_000, 360.0);
    let row = feed.of("escalated", "gas-1");
    assert_eq!(
        (&row["state"], &row["severity"], &row["shelved_until"]),
        (&json!("active_unacked"), &json!("major"), &Value::Null)
    );
    report(&hub, "gas-1", start + 2_000, 320.0);
    assert_eq!(feed.of("deescalated", "gas-1")["severity"], "minor");
    report(&hub, "gas-1", start + 3_000, 200.0);
    assert_eq!(feed.of("cleared", "gas-1")["state"], "cleared_unacked");
    let kinds: Vec<_> = feed
        .seen
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    let story = ["raised", "shelved", "escalated", "deescalated", "cleared"];
    assert_eq!(kinds, story.map(|kind| format!("cityhub.alarm.{kind}")));
}

#[test]
fn a_new_episode_joins_the_one_that_is_shelved_or_out_of_service() {
    let place = Place::default();
    let hub = place.start();
    let start = register_gas(&hub, &["gas-1", "gas-2"]);
    hub.rule("over", &overpressure());
    let mut feed = Feed::open(&hub);
    let api = hub.api_as("supervisor");
    let cases = [
        ("gas-1", "shelve", "shelved", "unshelve", "unshelved"),
        (
            "gas-2",
            "out_of_service",
            "out_of_service",
            "in_service",
            "in_service",
        ),
    ];
    for (device, verb, state, undo, undone) in cases {
        report(&hub, device, start, 450.0);
        let first = feed.of("raised", device);
        let said = json!({"comment": "探头更换", "minutes": 60, "reason": "探头更换"});
        api.post(&path(&first, verb), &said).expect(200);
        report(&hub, device, start + 1_000, 300.0);
        assert_eq!(feed.of("cleared", device)["state"], state);
        report(&hub, device, start + 2_000, 460.0);
        let next = feed.wait(state, 1, |row| {
            row["device"] == device && row["id"] != first["id"]
        });
        let next = &next[device];
        assert_eq!(
            (&next["state"], &next["announced_at"]),
            (&json!(state), &Value::Null)
        );
        // One row carries it on; the first is over.
        assert_eq!(feed.of("settled", device)["id"], first["id"]);
        let row = api.post(&path(next, undo), &json!({})).expect(200);
        assert_eq!(row["state"], "active_unacked", "{row}");
        let told = feed.of(undone, device);
        assert_eq!(told["id"], next["id"]);
        assert!(told["announced_at"].is_string(), "{told}");
    }
    assert_eq!(feed.rows("raised").len(), 2);
    audit::alarms_take_turns(&audit::events(&hub.api()));
}

#[test]
fn a_crash_forgets_nothing_that_was_set_aside_and_no_time() {
    let place = Place::default();
    let hub = place.start();
    let start = register_gas(&hub, &["gas-1", "gas-2"]);
    register_district(&hub, &[1, 3]);
    hub.rule("over", &overpressure());
    speak(&hub, 2, &[0]);
    watch_silence(&hub);
    let mut feed = Feed::open(&hub);
    for (device, verb) in [("gas-1", "shelve"), ("gas-2", "out_of_service")] {
        report(&hub, device, start, 450.0);
        let row = feed.of("raised", device);
        let said = json!({"comment": "检修", "minutes": 1440, "reason": "检修"});
        hub.api().post(&path(&row, verb), &said).expect(200);
    }
    let gateway = feed.of("raised", "gw");
    feed.wait("suppressed", 2, |row| row["suppressed_by"] == gateway["id"]);
    let before = open(&hub);
    let states: Vec<_> = before.values().map(|row| row["state"].as_str()).collect();
    for (state, count) in [("shelved", 1), ("out_of_service", 1), ("suppressed", 2)] {
        let found = states.iter().filter(|found| **found == Some(state)).count();
        assert_eq!(found, count, "{state}: {states:?}");
    }
    hub.kill();
    let hub = place.start();
    assert_eq!(open(&hub), before);

    // The gateway speaks; its second child has its own patience left, which a crash does not move.
    let chorus = Chorus::of(&hub, 1);
    let back = chorus.began;
    let mut feed = Feed::open(&hub);
    feed.of("cleared", "gw");
    drop(chorus);
    hub.kill();
    let hub = place.start();
    let _chorus = Chorus::of(&hub, 1);
    let mut feed = Feed::open(&hub);
    let row = feed.of("returned", &child(1));
    assert_eq!(ms(&row["announced_at"]), back + 6_000, "{row}");
    let after = open(&hub);
    for (id, row) in before.iter().filter(|(_, row)| row["rule"] == "over") {
        assert_eq!(after[id], *row);
    }
    audit::alarms_take_turns(&audit::events(&hub.api()));
    hub.kill();
    place.verify();
}
