//! A platform that subscribed gets every event, whatever happens to it or to the hub.

use crate::resume::Toggler;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver as Lines, sync_channel};
use tests::audit::{self, sequence};
use tests::hub::{Hub, Place, plain_config, root};
use tests::time::{PATIENCE, until};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// Lines that may wait to be read; no test here makes as many.
const LINES: usize = 10_000;

/// The reference receiver of `deploy/examples`, as a process of its own.
struct Receiver {
    child: Child,
    lines: Lines<String>,
    port: u16,
}

impl Receiver {
    fn start(store: &Path, port: u16, more: &[&str]) -> Self {
        let mut child = Command::new("python3")
            .arg(root().join("deploy/examples/receiver/receiver.py"))
            .args(["--secret", SECRET, "--listen", &format!("127.0.0.1:{port}")])
            .args(["--store", store.to_str().unwrap()])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 runs");
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = sync_channel(LINES);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let first: String = lines.recv_timeout(PATIENCE).unwrap();
        let port = first.rsplit(':').next().unwrap().parse().unwrap();
        Self { child, lines, port }
    }

    /// Gives the sequence of the next event that came, repeats included.
    fn next(&self) -> u64 {
        let line = self.lines.recv_timeout(PATIENCE).unwrap();
        line.split(' ').next().unwrap().parse().unwrap()
    }

    /// Takes what comes up to this event; gives all of it.
    fn up_to(&self, last: u64) -> Vec<u64> {
        let mut seen = Vec::new();
        while seen.last() != Some(&last) {
            seen.push(self.next());
        }
        seen
    }

    fn kill(mut self) -> u16 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.port
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn newest(hub: &Hub) -> u64 {
    sequence(audit::events(&hub.api()).last().unwrap())
}

/// What comes is each event after the last one, or the last ones again.
fn assert_in_order(seen: &[u64], last: u64) {
    let mut next = 1;
    for seq in seen {
        assert!(*seq <= next, "{seq} came before {next}: {seen:?}");
        next = next.max(seq + 1);
    }
    assert_eq!(next, last + 1);
}

#[test]
fn a_webhook_gets_every_event_in_order_though_the_hub_is_killed_and_the_receiver_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("events.db");
    let receiver = Receiver::start(&store, 0, &[]);
    let place = Place::with_config(&format!(
        "{}[sinks.platform]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/\"\n\
         secret = \"{SECRET}\"\nfrom = \"beginning\"\n",
        plain_config(),
        receiver.port
    ));
    let hub = place.start();
    let mut toggler = Toggler::new(&hub);
    toggler.rounds(&hub, 5);
    // It is in the midst of sending, or of storing its cursor.
    receiver.next();
    hub.kill();
    let hub = place.start();
    toggler.rounds(&hub, 3);
    let port = receiver.kill();
    toggler.rounds(&hub, 3);
    let receiver = Receiver::start(&store, port, &[]);
    toggler.rounds(&hub, 3);
    let last = newest(&hub);
    receiver.up_to(last);
    // What the first receiver took before it was killed it stored before it answered.
    let stored = Command::new("python3")
        .args(["-c", "import sqlite3,sys\nfor r in sqlite3.connect(sys.argv[1]).execute('SELECT id FROM event ORDER BY sequence'): print(r[0])"])
        .arg(&store)
        .output()
        .unwrap();
    let stored = String::from_utf8(stored.stdout).unwrap();
    let stored: Vec<u64> = stored.lines().map(|id| id.parse().unwrap()).collect();
    assert_eq!(stored, (1..=last).collect::<Vec<_>>());
    let (status, _) = hub.stop();
    assert!(status.success());
}

#[test]
fn what_a_receiver_refuses_is_parked_and_can_be_sent_again_or_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&folder.path().join("events.db"), 0, &["--token", "right"]);
    let place = Place::default();
    let hub = place.start();
    let mut toggler = Toggler::new(&hub);
    toggler.rounds(&hub, 2);
    let last = newest(&hub);
    let api = hub.api_as("engineer");
    let mut spec = json!({
        "kind": "webhook", "url": format!("http://127.0.0.1:{}/", receiver.port),
        "secret": SECRET, "token": "wrong", "from": "beginning",
    });
    const PATH: &str = "/api/v1/subscriptions/platform";
    let put = api.put(PATH, &spec).expect(200);
    assert_eq!(
        (&put["secret"], &put["token"]),
        (&json!("***"), &json!("***"))
    );
    // Every one is refused, and none holds up the next.
    let health = wait_for(&hub, |sink| sink["parked"] == last);
    assert_eq!(
        (&health["state"], &health["lag_events"]),
        (&json!("up"), &json!(0))
    );
    let parked = api.get(&format!("{PATH}/parked"));
    assert_eq!(parked["items"].as_array().unwrap().len() as u64, last);
    assert_eq!(parked["items"][0]["reason"], "answered 401: wrong token");
    assert_eq!(parked["items"][0]["event"]["id"], "1");
    // With the right token, and the secret as it was shown.
    spec["token"] = json!("right");
    spec["secret"] = json!("***");
    api.put(PATH, &spec).expect(200);
    api.post(&format!("{PATH}/parked/2/resend"), &json!({}))
        .expect(200);
    assert_eq!(receiver.next(), 2);
    wait_for(&hub, |sink| sink["parked"] == last - 1);
    let reply = api.delete(&format!("{PATH}/parked/1"));
    assert_eq!(reply.status, 204);
    let reply = api.post(&format!("{PATH}/parked/1/resend"), &json!({}));
    assert_eq!(reply.status, 404);
    api.post(&format!("{PATH}/parked/resend"), &json!({}))
        .expect(200);
    assert_eq!(receiver.up_to(last), (3..=last).collect::<Vec<_>>());
    wait_for(&hub, |sink| sink["parked"] == 0);
    let trail = hub.api_as("auditor").get("/api/v1/audit?limit=1000");
    let actions: BTreeSet<&str> = trail["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["subject"] == "platform")
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    let expected = ["drop_parked", "put_subscription", "resend_parked"];
    assert_eq!(actions, BTreeSet::from(expected));
    assert!(
        !trail.to_string().contains("AAECAw"),
        "a secret is in the audit"
    );
    assert_eq!(api.delete(PATH).status, 204);
    assert_eq!(api.get("/api/v1/subscriptions")["items"], json!([]));
    drop(receiver);
}

#[test]
fn a_subscription_that_could_never_deliver_or_would_jump_is_refused() {
    let place = Place::default();
    let hub = place.start();
    let api = hub.api_as("engineer");
    const PATH: &str = "/api/v1/subscriptions/platform";
    let spec = json!({"kind": "webhook", "url": "http://127.0.0.1:9/", "secret": SECRET});
    let with = |name: &str, value: Value| {
        let mut spec = spec.clone();
        spec[name] = value;
        spec
    };
    for (condition, word) in [("types", "zz"), ("regions", "abc"), ("kinds", "nokind")] {
        let put = api.put(PATH, &with("filter", json!({ condition: [word] })));
        let problem = put.problem(422);
        assert!(
            problem["detail"].as_str().unwrap().contains(word),
            "{problem}"
        );
    }
    api.put(PATH, &with("from", json!("beginning"))).expect(200);
    let problem = api.put(PATH, &with("from", json!("now"))).problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("replay"));
    let same = api.put(PATH, &spec).expect(200);
    assert_eq!(same["from"], "beginning");
}

#[test]
fn a_delivery_that_was_paused_goes_on_where_it_was_and_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&folder.path().join("events.db"), 0, &[]);
    let place = Place::default();
    let hub = place.start();
    let mut toggler = Toggler::new(&hub);
    toggler.rounds(&hub, 2);
    let last = newest(&hub);
    let api = hub.api_as("engineer");
    const PATH: &str = "/api/v1/subscriptions/platform";
    let url = format!("http://127.0.0.1:{}/", receiver.port);
    let spec = json!({"kind": "webhook", "url": url, "secret": SECRET, "from": "beginning"});
    api.put(PATH, &spec).expect(200);
    assert_eq!(receiver.up_to(last), (1..=last).collect::<Vec<_>>());
    wait_for(&hub, |sink| sink["lag_events"] == 0);
    api.post(&format!("{PATH}/pause"), &json!({})).expect(200);
    toggler.rounds(&hub, 2);
    wait_for(&hub, |sink| sink["state"] == "paused");
    let newest = newest(&hub);
    api.post(&format!("{PATH}/resume"), &json!({})).expect(200);
    assert_eq!(
        receiver.up_to(newest),
        (last + 1..=newest).collect::<Vec<_>>()
    );
    api.post(&format!("{PATH}/replay"), &json!({"from": "beginning"}))
        .expect(200);
    assert_in_order(&receiver.up_to(newest), newest);
}

#[test]
fn a_subscription_of_the_configuration_is_changed_there_and_keeps_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&folder.path().join("events.db"), 0, &[]);
    let sink = format!(
        "[sinks.platform]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/\"\nsecret = \"{SECRET}\"\n\
         [sinks.platform.filter]\ntypes = \"cityhub.alarm.raised\"\n",
        receiver.port
    );
    let config = |text: &str| format!("{}{text}", plain_config());
    let place = Place::with_config(&config(&sink));
    let hub = place.start();
    let api = hub.api();
    assert_eq!(api.delete("/api/v1/subscriptions/platform").status, 409);
    let shown = api.get("/api/v1/subscriptions/platform");
    assert_eq!(shown["configured"], true);
    let mut toggler = Toggler::new(&hub);
    toggler.rounds(&hub, 2);
    let raised = |hub: &Hub| -> Vec<u64> {
        let events = audit::events(&hub.api());
        let of_type = |event: &&Value| event["type"] == "cityhub.alarm.raised";
        events.iter().filter(of_type).map(sequence).collect()
    };
    let first = raised(&hub);
    assert_eq!(receiver.up_to(first[1]), first);
    wait_for(&hub, |sink| sink["lag_events"] == 0);
    // Taken out of the file for a while, it goes on where it was.
    drop(hub.stop());
    std::fs::write(place.path().join("hub.toml"), config("")).unwrap();
    let hub = place.start();
    assert_eq!(hub.api().get("/api/v1/subscriptions")["items"], json!([]));
    toggler.rounds(&hub, 1);
    drop(hub.stop());
    std::fs::write(place.path().join("hub.toml"), config(&sink)).unwrap();
    let hub = place.start();
    let all = raised(&hub);
    assert_eq!(receiver.next(), all[2]);
}

#[test]
fn sinks_are_reloaded_while_the_hub_runs_and_a_mistake_changes_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&folder.path().join("events.db"), 0, &[]);
    let sink = |name: &str, more: &str| {
        format!(
            "[sinks.{name}]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/\"\n\
             secret = \"{SECRET}\"\nfrom = \"beginning\"\n{more}",
            receiver.port
        )
    };
    let place = Place::default();
    let write = |sinks: &str| {
        let text = format!("{}{sinks}", plain_config());
        std::fs::write(place.path().join("hub.toml"), text).unwrap();
    };
    let hub = place.start();
    let api = hub.api_as("engineer");
    let mut toggler = Toggler::new(&hub);
    toggler.rounds(&hub, 1);
    let last = newest(&hub);
    let reload = || api.post("/api/v1/rules/reload", &json!({}));
    let names = || -> Vec<String> {
        let list = api.get("/api/v1/subscriptions");
        let names = list["items"].as_array().unwrap().iter();
        names
            .map(|row| row["name"].as_str().unwrap().to_owned())
            .collect()
    };
    write(&sink("platform", ""));
    let done = reload().expect(200);
    assert_eq!(
        done["sinks"],
        json!({"put": 1, "removed": 0, "unchanged": 0})
    );
    assert_eq!(receiver.up_to(last), (1..=last).collect::<Vec<_>>());
    wait_for(&hub, |sink| sink["lag_events"] == 0);
    // One mistake, in whichever of them, and all stay as they were.
    for (wrong, named) in [
        ("batch_max = 0\n", "batch_max"),
        ("from = 999999\n", "999999"),
    ] {
        let other = sink("a", wrong).replace("from = \"beginning\"\nfrom", "from");
        write(&format!("{other}{}", sink("platform", "batch_max = 9\n")));
        let reply = reload();
        assert!(matches!(reply.status, 409 | 422), "{}", reply.text());
        assert!(reply.text().contains(named), "{}", reply.text());
        assert!(!reply.text().contains("AAECAw"), "{}", reply.text());
        assert_eq!(names(), ["platform"]);
        let shown = api.get("/api/v1/subscriptions/platform");
        assert_eq!(
            (&shown["batch_max"], &shown["revision"]),
            (&json!(1), &json!(1))
        );
    }
    // By the signal: it goes on with what is new, in batches.
    write(&sink("platform", "batch_max = 9\n"));
    crate::reload::hang_up(&hub);
    let path = "/api/v1/subscriptions/platform";
    until("the signal is heard", || api.get(path)["batch_max"] == 9);
    toggler.rounds(&hub, 1);
    let now = newest(&hub);
    assert_eq!(receiver.up_to(now), (last + 1..=now).collect::<Vec<_>>());
    write("");
    let done = reload().expect(200);
    assert_eq!(
        done["sinks"],
        json!({"put": 0, "removed": 1, "unchanged": 0})
    );
    assert!(names().is_empty());
    let (_, log) = hub.stop();
    assert!(log.contains("rules and sinks reloaded"), "{log}");
    assert!(!log.contains("AAECAw"), "a secret is in the log");
}

/// Waits for the health report to say so of the delivery `platform`.
fn wait_for(hub: &Hub, said: impl Fn(&Value) -> bool) -> Value {
    let mut sink = Value::Null;
    until("the delivery is so", || {
        sink = hub.api().get("/api/v1/health")["sinks"]["platform"].clone();
        said(&sink)
    });
    sink
}
