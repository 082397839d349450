//! Every reading reaches the server of the city's choice, whatever happens to it or to the hub, and no device
//! waits for it.

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tests::http::Request;
use tests::hub::{Hub, Place, plain_config, words};
use tests::influx::{Influx, TOKEN, Trouble};
use tests::time::{now_s_in_ms, until};

fn config(influx: &Influx, more: &str) -> String {
    format!("{}{}", plain_config(), influx.config(more))
}

fn rewrite(place: &Place, text: &str) {
    std::fs::write(place.path().join("hub.toml"), text).unwrap();
}

fn mirror(hub: &Hub) -> Value {
    hub.api().get("/api/v1/health")["mirrors"]["long_term"].clone()
}

pub(crate) fn register(hub: &Hub) {
    hub.register(&json!([
        {"id": "gas-1", "kind": "gas_pressure"},
        {"id": "gas-2", "kind": "gas_pressure"},
    ]));
}

/// Sends readings of one device, a second apart, and gives how many values that are.
fn send(hub: &Hub, device: &str, start: i64, count: i64) -> usize {
    for first in (0..count).step_by(200) {
        let seconds = first..count.min(first + 200);
        let values = |n: i64| json!({"pressure_kpa": 300.0 + 0.25 * n as f64, "battery_pct": 90});
        let rows: Vec<Value> = seconds
            .map(|n| json!({"ts": start + n * 1_000, "values": values(n)}))
            .collect();
        hub.store(device, &Value::Array(rows));
    }
    usize::try_from(2 * count).unwrap()
}

fn stop(hub: Hub) {
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn the_server_gets_exactly_what_the_shape_promises() {
    let influx = Influx::start();
    let place = Place::with_config(&config(&influx, "resend_s = 0"));
    let hub = place.start();
    hub.register(&json!([
        {"id": "gas-1", "kind": "gas_pressure"},
        {"id": "bike-7", "kind": "bike"},
    ]));
    let ts = now_s_in_ms() - 60_000;
    hub.store(
        "gas-1",
        &json!({"ts": ts, "values": {"pressure_kpa": 312.4, "battery_pct": 91, "temperature_c": 999}}),
    );
    let place_of = json!({"lon": 118.0894, "lat": 24.4798, "accuracy_m": 3.5, "locked": true});
    hub.store(
        "bike-7",
        &json!({"ts": ts, "values": {"position": place_of}}),
    );
    let expected = [
        ("bike-7", "position_accuracy_m", 3.5),
        ("bike-7", "position_lat", 24.4798),
        ("bike-7", "position_locked", 1.0),
        ("bike-7", "position_lon", 118.0894),
        ("gas-1", "battery_pct", 91.0),
        ("gas-1", "pressure_kpa", 312.4),
        ("gas-1", "temperature_c", 999.0),
        // Beyond what a sensor can measure: bad (128) because of its range (1).
        ("gas-1", "temperature_c_quality", 129.0),
    ];
    until("the server has everything", || {
        influx.ledger().points.len() >= expected.len()
    });
    let expected = expected.map(|(d, f, v)| ((d.to_owned(), f.to_owned(), ts), v));
    assert_eq!(influx.ledger().points, expected.into());
    assert_eq!(influx.ledger().lines, 2, "one line is one message");
    // Without the hub's own test sensor.
    until("they are counted", || mirror(&hub)["sent_readings"] == 4);
    assert_eq!(influx.ledger().complaints, Vec::<String>::new());
    stop(hub);
    assert!(
        !influx
            .ledger()
            .points
            .keys()
            .any(|key| key.0.starts_with('~'))
    );
}

#[test]
fn an_outage_of_any_kind_costs_nothing_and_no_device_notices() {
    let mut influx = Influx::start();
    let place = Place::with_config(&config(&influx, "timeout_s = 1"));
    let hub = place.start();
    register(&hub);
    let start = now_s_in_ms() - 3_600_000;
    let status = |status, fields, body| Trouble::Status(status, fields, body);
    let retry = "Retry-After: 1\r\n";
    let mut sent = 0;
    // One failure after another makes the hub wait for longer and longer, so they come in threes.
    for (round, troubles) in [
        [
            status(503, retry, "{\"code\":\"unavailable\"}"),
            status(429, retry, "{\"code\":\"too many requests\"}"),
            status(500, "", "{\"code\":\"internal error\"}"),
        ],
        [
            Trouble::Hang,
            Trouble::CutShort,
            status(200, "", "<html>a portal of somebody else</html>"),
        ],
    ]
    .into_iter()
    .enumerate()
    {
        let failures = mirror(&hub)["failures"].as_u64();
        influx.trouble(troubles);
        let start = start + i64::try_from(round).unwrap() * 200_000;
        sent += send(&hub, "gas-1", start, 100);
        until("it was refused", || {
            mirror(&hub)["failures"].as_u64() > failures
        });
        // Devices are answered all the same.
        sent += send(&hub, "gas-2", start, 100);
        until("the server has everything", || {
            influx.ledger().points.len() == sent
        });
    }
    influx.trouble([status(413, "", "{\"code\":\"request too large\"}")]);
    influx.stop();
    sent += send(&hub, "gas-1", start + 600_000, 100);
    until("it says how much waits", || {
        mirror(&hub)["lag_readings"].as_u64() >= Some(200)
    });
    influx.start_again();
    until("the server has everything", || {
        influx.ledger().points.len() == sent
    });
    until("the mirror says so", || mirror(&hub)["level"] == true);
    assert_eq!(influx.ledger().complaints, Vec::<String>::new());
    assert!(influx.ledger().troubles.is_empty(), "all of it happened");
    let shown = mirror(&hub);
    assert_eq!(
        (&shown["state"], &shown["dead_letters"]),
        (&json!("up"), &json!(0))
    );
    let figures = hub.api().send("GET", "/metrics", None).text();
    let up = "cityhub_mirror_up{mirror=\"long_term\"} 1";
    assert!(figures.contains(up), "{figures}");
    stop(hub);
    place.verify();
}

#[test]
fn a_line_that_the_server_refuses_is_kept_apart_and_the_others_arrive() {
    let influx = Influx::start();
    influx.ledger().conflicts.insert("gas-2".to_owned());
    let place = Place::with_config(&config(&influx, ""));
    let hub = place.start();
    register(&hub);
    let start = now_s_in_ms() - 600_000;
    // Both in one request, as they are there before the mirror looks again.
    send(&hub, "gas-2", start, 3);
    let sent = send(&hub, "gas-1", start, 150);
    until("the others are there", || {
        influx.ledger().points.len() == sent
    });
    until("the three are counted", || {
        mirror(&hub)["dead_letters"] == 3
    });
    let reason = mirror(&hub)["last_dead_letter"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(reason.contains("field type conflict"), "{reason}");
    let kept = std::fs::read_to_string(place.data().join("mirror/long_term.lp")).unwrap();
    let (reasons, lines): (Vec<&str>, Vec<&str>) = kept.lines().partition(|l| l.starts_with('#'));
    assert!(
        reasons.iter().all(|r| r.contains("field type conflict")),
        "{kept}"
    );
    let expected: Vec<String> = (0..3)
        .map(|n| {
            let (kpa, at) = (300.0 + 0.25 * f64::from(n), start + i64::from(n) * 1_000);
            format!("cityhub,device=gas-2 pressure_kpa={kpa},battery_pct=90 {at}")
        })
        .collect();
    // The order of a message's metrics is the hub's own.
    let sorted = |line: &str| {
        let mut parts: Vec<String> = line.split([' ', ',']).map(str::to_owned).collect();
        parts.sort();
        parts
    };
    let sorted_all = |lines: Vec<&str>| lines.into_iter().map(sorted).collect::<Vec<_>>();
    assert_eq!(
        sorted_all(lines),
        sorted_all(expected.iter().map(String::as_str).collect())
    );
    stop(hub);
}

#[test]
fn a_wrong_token_is_said_and_nothing_is_lost_until_it_is_right() {
    let influx = Influx::start();
    let wrong = config(&influx, "").replace(TOKEN, "another");
    let place = Place::with_config(&wrong);
    let hub = place.start();
    register(&hub);
    let sent = send(&hub, "gas-1", now_s_in_ms() - 600_000, 50);
    until("it is denied", || mirror(&hub)["state"] == "denied");
    let reason = mirror(&hub)["last_error"].as_str().unwrap().to_owned();
    assert!(reason.contains("401"), "{reason}");
    assert!(!reason.contains("another"), "{reason}");
    stop(hub);
    rewrite(&place, &config(&influx, ""));
    let hub = place.start();
    until("the server has everything", || {
        influx.ledger().points.len() == sent
    });
    stop(hub);
}

#[test]
fn a_server_that_forgets_what_it_took_is_told_again() {
    let mut influx = Influx::start();
    let place = Place::with_config(&config(&influx, ""));
    let hub = place.start();
    register(&hub);
    let start = now_s_in_ms() - 600_000;
    let sent = send(&hub, "gas-1", start, 300);
    until("the server has everything", || {
        influx.ledger().points.len() == sent
    });
    // As VictoriaMetrics does that is killed within seconds.
    influx.stop();
    influx.ledger().points.clear();
    influx.start_again();
    until("it has everything again", || {
        influx.ledger().points.len() == sent
    });
    assert_eq!(mirror(&hub)["rewinds"], 1);
    // And goes on from there.
    let sent = sent + send(&hub, "gas-2", start, 10);
    until("it has what came since", || {
        influx.ledger().points.len() == sent
    });
    stop(hub);
}

#[test]
fn a_new_mirror_gets_what_was_there_before_it_unless_it_is_told_not_to() {
    let influx = Influx::start();
    let store = "[store]\nseal_cells = 1000\nseal_after_s = 1\n";
    let place = Place::with_config(&format!("{}{store}", plain_config()));
    let hub = place.start();
    register(&hub);
    let start = now_s_in_ms() - 3 * 86_400_000;
    let mut sent = send(&hub, "gas-1", start, 1_500);
    until("it rests in segments", || {
        hub.api().get("/api/v1/health")["store"]["head_cells"] == 0
    });
    sent += send(&hub, "gas-2", start, 100);
    stop(hub);
    let more = "resend_s = 0\nbatch_lines = 100";
    let with = format!("{}{store}{}", plain_config(), influx.config(more));
    rewrite(&place, &with);
    let hub = place.start();
    until("the server has everything", || {
        influx.ledger().points.len() == sent
    });
    assert_eq!(influx.ledger().lines * 2, sent, "and nothing twice");
    sent += send(&hub, "gas-2", start + 500_000, 7);
    until("it follows", || influx.ledger().points.len() == sent);
    assert_eq!(influx.ledger().complaints, Vec::<String>::new());
    until("the journal knows", || {
        let confirmed = mirror(&hub)["confirmed_before"].clone();
        confirmed.is_string() && mirror(&hub)["level"] == true
    });
    stop(hub);

    // It goes on where it was, also for somebody who is killed.
    let lines = influx.ledger().lines;
    let hub = place.start();
    sent += send(&hub, "gas-1", start + 5_000_000, 3);
    until("it goes on", || influx.ledger().points.len() == sent);
    let again = influx.ledger().lines - lines;
    assert!(
        again <= 3 + 7,
        "{again} lines for 3 new ones and the last commit"
    );
    hub.kill();
    let hub = place.start();
    sent += send(&hub, "gas-1", start + 6_000_000, 3);
    until("it goes on", || influx.ledger().points.len() == sent);
    stop(hub);

    // Under another name it is another mirror: this one wants only what comes.
    let other = Influx::start();
    let only_new = format!(
        "{}{store}{}",
        plain_config(),
        other
            .config("backfill = false")
            .replace("long_term", "other")
    );
    rewrite(&place, &only_new);
    let hub = place.start();
    let new = send(&hub, "gas-1", start + 8_000_000, 5);
    until("it has what is new", || other.ledger().points.len() == new);
    stop(hub);
    place.verify();
}

#[test]
fn retention_spares_what_the_mirror_has_not_confirmed_for_as_long_as_it_is_told() {
    let mut influx = Influx::start();
    influx.stop();
    let store = "[store]\nseal_cells = 1000\nseal_after_s = 1\n";
    let kept = "[store.retention]\nreadings_max_age_d = 30\n";
    let config = |more: &str| {
        let mirror = influx.config(more);
        format!("{}{store}{kept}{mirror}", plain_config())
    };
    let place = Place::with_config(&config(""));
    let hub = place.start();
    register(&hub);
    // Its own time is long past its age, and it was received only now.
    let start = now_s_in_ms() - 90 * 86_400_000;
    let sent = send(&hub, "gas-1", start, 600);
    until("it rests in segments", || {
        hub.api().get("/api/v1/health")["store"]["head_cells"] == 0
    });
    stop(hub);
    // Retention looks at once at a start, and finds all of it expired, and held.
    let hub = place.start();
    until("the mirror has tried", || {
        mirror(&hub)["state"] == "retrying"
    });
    assert!(mirror(&hub)["held_from"].is_string());
    assert_eq!(hub.points("gas-1", "pressure_kpa").len(), 600);
    stop(hub);
    let confirmed = config("resend_s = 0");
    influx.start_again();
    rewrite(&place, &confirmed);
    let hub = place.start();
    until("the server has everything", || {
        influx.ledger().points.len() == sent
    });
    stop(hub);
    // What it has confirmed is held no more.
    let hub = place.start();
    send(&hub, "gas-2", now_s_in_ms() - 60_000, 1);
    stop(hub);
    rewrite(&place, &config_without_hold(&confirmed));
    let hub = place.start();
    until("it is gone", || {
        hub.points("gas-1", "pressure_kpa").is_empty()
    });
    stop(hub);
}

fn config_without_hold(config: &str) -> String {
    config.replace("resend_s = 0", "resend_s = 0\nhold_max_age_d = 0")
}

#[test]
fn a_url_with_a_path_is_refused_before_anything_runs() {
    let influx = Influx::start();
    let text = config(&influx, "").replace("\"\norg", "/influx\"\norg");
    let place = Place::with_config(&text);
    let output = place.run(&["check", "--config", "hub.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = words(&output);
    assert!(said.contains("`store.mirror.long_term.url`"), "{said}");
    let line = text.lines().position(|l| l.starts_with("url")).unwrap() + 1;
    assert!(said.contains(&format!("hub.toml:{line}")), "{said}");
}

/// A port that nobody is given by chance, as whoever knocks at a closed one of those may meet himself.
pub(crate) fn free_port() -> u16 {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..32_000).find(is_free).unwrap()
}

/// `VictoriaMetrics` with a folder that outlives it.
pub(crate) struct Victoria {
    child: Child,
    port: u16,
}

impl Drop for Victoria {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Victoria {
    pub(crate) fn start(folder: &Path, port: u16) -> Self {
        let child = Command::new("victoria-metrics")
            .arg(format!("-storageDataPath={}", folder.display()))
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .args(["-retentionPeriod=100y", "-dedup.minScrapeInterval=1ms"])
            .args(["-memory.allowedPercent=5"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("victoria-metrics of Debian's package is installed");
        let server = Self { child, port };
        until("VictoriaMetrics answers", || {
            server.get("/health").is_some()
        });
        server
    }

    fn get(&self, path: &str) -> Option<String> {
        let request = Request {
            method: "GET",
            path,
            headers: &[],
            body: b"",
        };
        let reply = request.send(([127, 0, 0, 1], self.port).into()).ok()?;
        (reply.status == 200).then(|| reply.text())
    }

    /// Counts instants of all series, each once.
    pub(crate) fn count(&self) -> usize {
        drop(self.get("/internal/force_flush"));
        // {__name__=~"cityhub_.*"}
        let path = "/api/v1/export?match[]=%7B__name__%3D~%22cityhub_.%2A%22%7D";
        let lines = self.get(path).unwrap_or_default();
        let series = lines.lines().map(|line| {
            let series: Value = serde_json::from_str(line).unwrap();
            let times = series["timestamps"].as_array().unwrap();
            let times: std::collections::BTreeSet<i64> =
                times.iter().map(|at| at.as_i64().unwrap()).collect();
            times.len()
        });
        series.sum()
    }
}

#[test]
fn victoria_metrics_that_is_killed_after_its_answer_has_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let server = Victoria::start(folder.path(), port);
    let mirrored = format!(
        "{}[store.mirror.long_term]\nkind = \"influxdb\"\nurl = \"http://127.0.0.1:{port}\"\nbucket = \"telemetry\"\n",
        plain_config()
    );
    let place = Place::with_config(&mirrored);
    let hub = place.start();
    register(&hub);
    let start = now_s_in_ms() - 3_600_000;
    let mut sent = send(&hub, "gas-1", start, 1_000);
    until("it took everything", || server.count() == sent);
    // SIGKILL, within seconds of its answers: what it had not written yet is gone.
    drop(server);
    sent += send(&hub, "gas-2", start, 500);
    let server = Victoria::start(folder.path(), port);
    until("it has everything, also what it forgot", || {
        server.count() == sent
    });
    until("the mirror says so", || mirror(&hub)["level"] == true);
    assert_eq!(hub.api().get("/api/v1/ledger")["total"]["stored"], sent);
    stop(hub);
}
