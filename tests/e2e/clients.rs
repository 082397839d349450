//! Clients that this project did not write: mosquitto, rumqttc and curl; and the simulator.

use rumqttc::{Client, Connection, Event, MqttOptions, Packet, QoS};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tests::audit;
use tests::fleet::overpressure;
use tests::hub::{Hub, Place, program, secret, token, words};
use tests::time::{PATIENCE, now_s_in_ms};

fn gas_city() -> (Place, Hub) {
    let place = Place::default();
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    hub.rule("gas_overpressure", &overpressure());
    (place, hub)
}

fn mosquitto(program: &str, hub: &Hub, args: &[&str]) -> Command {
    let port = hub.mqtt().port().to_string();
    // Line by line, as on a terminal: a pipe would be given whole blocks only.
    let mut command = Command::new("stdbuf");
    command
        .args(["-oL", program, "-h", "127.0.0.1", "-p", &port, "-q", "1"])
        .args(args);
    command
}

fn run(mut command: Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} (mosquitto-clients): {error}"))
}

/// A subscriber that is ended with its story.
struct Subscriber(Child, BufReader<std::process::ChildStdout>);

impl Drop for Subscriber {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Subscriber {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "mosquitto_sub (mosquitto-clients) ended");
        line.trim_end().to_owned()
    }
}

#[test]
fn mosquitto_publishes_and_follows_in_both_versions() {
    for version in ["mqttv311", "mqttv5"] {
        let (_place, hub) = gas_city();
        let (password, platform) = (secret("gas-1"), token("platform"));
        let args = [
            "-V", version, "-i", "follower", "-u", "city", "-P", &platform,
        ];
        let mut command = mosquitto("mosquitto_sub", &hub, &args);
        // `-d` prints a line when the subscription stands.
        command.args(["-d", "-F", "MESSAGE %t %p", "-t", "events/#"]);
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("mosquitto_sub is installed");
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut follower = Subscriber(child, lines);
        while !follower.line().starts_with("Subscribed") {}

        let ts = now_s_in_ms();
        let message = json!({"ts": ts, "values": {"pressure_kpa": 450}}).to_string();
        let args = ["-V", version, "-u", "gas-1", "-P", &password];
        let publish = |topic: &str| {
            let mut command = mosquitto("mosquitto_pub", &hub, &args);
            command.args(["-t", topic, "-m", &message]);
            run(command)
        };
        let output = publish("devices/gas-1/telemetry");
        assert!(output.status.success(), "{}", words(&output));
        assert_eq!(
            hub.points("gas-1", "pressure_kpa"),
            [json!([ts, 450.0, "good"])]
        );
        let raised = loop {
            let line = follower.line();
            let wanted = "MESSAGE events/350200/cityhub.alarm.raised ";
            if let Some(payload) = line.strip_prefix(wanted) {
                break payload.to_owned();
            }
        };
        let event: Value = serde_json::from_str(&raised).unwrap();
        assert_eq!(event["data"]["rule"], "gas_overpressure");

        let wrong = mosquitto(
            "mosquitto_pub",
            &hub,
            &["-V", version, "-u", "gas-1", "-P", "no"],
        );
        let mut wrong = wrong;
        wrong.args(["-t", "devices/gas-1/telemetry", "-m", "{}"]);
        assert!(!run(wrong).status.success(), "a wrong secret");
        // mosquitto_pub reports a publish that version 5 refuses, and a closed connection.
        let output = publish("devices/gas-2/telemetry");
        let refused = !output.status.success() || words(&output).contains("Not authorized");
        assert!(refused, "{}", words(&output));
        assert_eq!(audit::ledger(&hub.api()).total.stored, 1);
    }
}

/// Runs the client's loop until something that is looked for comes.
fn until<T>(connection: &mut Connection, mut find: impl FnMut(&Event) -> Option<T>) -> T {
    loop {
        let event = connection.recv_timeout(PATIENCE).expect("something comes");
        if let Some(found) = find(&event.expect("the connection stands")) {
            return found;
        }
    }
}

#[test]
fn rumqttc_publishes_and_watches_live_readings() {
    let (_place, hub) = gas_city();
    let connect = |id: &str, user: &str, password: &str| {
        let mut options = MqttOptions::new(id, "127.0.0.1", hub.mqtt().port());
        options.set_credentials(user, password);
        options.set_keep_alive(Duration::from_secs(30));
        Client::new(options, 64)
    };
    let (viewer, mut viewer_loop) = connect("watch", "viewer", &token("viewer"));
    viewer
        .subscribe("devices/+/telemetry", QoS::AtMostOnce)
        .unwrap();
    until(&mut viewer_loop, |event| {
        matches!(event, Event::Incoming(Packet::SubAck(_))).then_some(())
    });
    let (device, mut device_loop) = connect("gas-1", "gas-1", &secret("gas-1"));
    let ts = now_s_in_ms();
    for (qos, offset) in [
        (QoS::AtMostOnce, 0),
        (QoS::AtLeastOnce, 1),
        (QoS::ExactlyOnce, 2),
    ] {
        let message = json!({"ts": ts + offset, "values": {"pressure_kpa": 300 + offset}});
        device
            .publish("devices/gas-1/telemetry", qos, false, message.to_string())
            .unwrap();
    }
    // PUBCOMP ends the exchange of QoS 2; on one connection what came before is stored too.
    until(&mut device_loop, |event| {
        matches!(event, Event::Incoming(Packet::PubComp(_))).then_some(())
    });
    let expected: Vec<_> = (0..3)
        .map(|offset| json!([ts + offset, 300.0 + offset as f64, "good"]))
        .collect();
    assert_eq!(hub.points("gas-1", "pressure_kpa"), expected);
    let seen = until(&mut viewer_loop, |event| match event {
        Event::Incoming(Packet::Publish(message)) => Some(message.clone()),
        _ => None,
    });
    assert_eq!(seen.topic, "devices/gas-1/telemetry");
    let seen: Value = serde_json::from_slice(&seen.payload).unwrap();
    assert_eq!(seen["values"]["pressure_kpa"], 300.0, "{seen}");
}

#[test]
fn curl_posts_telemetry_and_reads_alarms() {
    let (_place, hub) = gas_city();
    let bearer = format!("Authorization: Bearer {}", secret("gas-1"));
    let url = format!(
        "http://{}/devices/gas-1/telemetry",
        hub.addr("ingest.listen")
    );
    let post = |body: &str| {
        let output = Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", &bearer])
            .args(["--data", body, &url])
            .output()
            .expect("curl is installed");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(post("{\"pressure_kpa\":450}"), "204");
    assert_eq!(post("{\"pressure_kpa\":"), "400");
    let bearer = format!("Authorization: Bearer {}", token("viewer"));
    let url = format!("http://{}/api/v1/alarms", hub.addr("http"));
    let output = Command::new("curl")
        .args(["-sf", "-H", &bearer, &url])
        .output()
        .unwrap();
    let alarms: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(alarms["items"][0]["rule"], "gas_overpressure");
}

#[test]
fn a_simulated_fleet_with_every_fault_leaves_a_ledger_that_balances() {
    let place = Place::default();
    let hub = place.start();
    let (mqtt, http) = (
        hub.mqtt().to_string(),
        hub.addr("ingest.listen").to_string(),
    );
    let api = format!("http://{}", hub.addr("http"));
    let output = Command::new(program())
        .args(["simulate", "--mqtt", &mqtt, "--http", &http, "--api", &api])
        .args([
            "--token",
            &token("engineer"),
            "--devices",
            "40",
            "--rate",
            "300",
            "--seed",
            "7",
        ])
        .args([
            "--duration-s",
            "3",
            "--fault",
            "duplicate=0.1",
            "--fault",
            "late=0.1",
        ])
        .args([
            "--fault",
            "garbage=0.1",
            "--fault",
            "burst=0.1",
            "--fault",
            "clock-skew=0.1",
        ])
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", words(&output));
    let ledger = audit::ledger(&hub.api());
    assert!(ledger.total.stored > 300, "{ledger:?}");
    for driver in ["mqtt", "ingest"] {
        assert!(ledger.driver(driver).stored > 0, "{driver}: {ledger:?}");
    }
    assert!(
        ledger.total.duplicate > 0 && ledger.total.late > 0,
        "{ledger:?}"
    );
    assert!(ledger.total.rejected_total() > 0, "{ledger:?}");
    hub.kill();
    place.verify();
}
