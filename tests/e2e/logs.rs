//! The log as those who collect it see it.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use tests::hub::{Hub, Place, plain_config, program, secret, token};
use tests::mqtt::{Identity, Version, connect};

/// Ends the line where it can, forges another, and moves the cursor of a terminal.
const EVIL: &str = "x\n{\"level\":\"error\",\"message\":\"forged\"}\r\u{1b}[2J\u{2028}<3>y";

fn log_config(format: &str) -> String {
    format!(
        "{}[log]\nlevel = \"debug\"\nformat = \"{format}\"\n",
        plain_config()
    )
}

/// Knocks with names and secrets that are wrong in every way.
fn knock(hub: &Hub) {
    use std::io::Write as _;
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure", "name": EVIL}]));
    hub.store("gas-1", &json!({"values": {"pressure_kpa": 300.0}}));
    for identity in [
        Identity::named(EVIL, "wrong"),
        Identity::named("gas-1", EVIL),
        Identity::named("gas-1", "not-the-secret-of-gas-1"),
    ] {
        let mut stream = std::net::TcpStream::connect(hub.mqtt()).unwrap();
        stream.write_all(&connect(Version::V3, &identity)).unwrap();
        let mut answer = [0; 4];
        drop(std::io::Read::read(&mut stream, &mut answer));
    }
    hub.post("gas-1%0Aforged", b"{}");
    hub.post("gas-1", EVIL.as_bytes());
    let body = json!({"user": EVIL, "password": "the-password-of-somebody"});
    hub.api().send("POST", "/api/v1/session", Some(&body));
}

/// The lines of the log proper: the hub says in the clear that it is ready, and how to begin.
fn lines(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| !line.starts_with("ready "))
}

#[test]
fn each_line_of_json_is_one_event_with_fixed_names() {
    let place = Place::with_config(&log_config("json"));
    let hub = place.start();
    knock(&hub);
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    let mut count = 0;
    for line in lines(&log) {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}"));
        let time = event["time"].as_str().unwrap();
        assert!(
            time.len() == 24 && time.ends_with('Z') && time.as_bytes()[19] == b'.',
            "{time}"
        );
        let level = event["level"].as_str().unwrap();
        assert!(
            ["error", "warn", "info", "debug"].contains(&level),
            "{line}"
        );
        assert!(
            event["target"].is_string() && event["message"].is_string(),
            "{line}"
        );
        assert_ne!(event["message"], "forged", "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
        count += 1;
    }
    assert!(count > 3, "{log}");
    for hidden in [
        token("admin"),
        secret("gas-1"),
        "not-the-secret-of-gas-1".to_owned(),
        "the-password-of-somebody".to_owned(),
    ] {
        assert!(!log.contains(&hidden), "{hidden} is in the log");
    }
}

#[test]
fn lines_of_text_cannot_be_forged() {
    let place = Place::with_config(&log_config("text"));
    let hub = place.start();
    knock(&hub);
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    for line in lines(&log) {
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{line:?}");
        let level = rest.split_whitespace().next().unwrap();
        assert!(
            ["ERROR", "WARN", "INFO", "DEBUG"].contains(&level),
            "{line:?}"
        );
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

/// What systemd sets is the device and inode of the stream; here it is the pipe of the test.
#[test]
fn the_journal_is_told_priorities() {
    let place = Place::with_config(&plain_config());
    let script = "export JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2); exec \"$0\" run --config hub.toml";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .arg(program())
        .current_dir(place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = log
        .by_ref()
        .map_while(Result::ok)
        .find(|line| line.starts_with("ready "));
    assert!(ready.is_some());
    let pid = child.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    let rest: Vec<String> = log.map_while(Result::ok).collect();
    assert!(child.wait().unwrap().success());
    assert!(
        rest.iter()
            .any(|line| line.starts_with("<6>") && line.ends_with("stopping")),
        "{rest:?}"
    );
    assert!(rest.iter().all(|line| line.starts_with('<')), "{rest:?}");
}
