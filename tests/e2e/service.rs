//! The hub as a service: what it tells its manager, what it takes from files, and how it is asked.

use crate::fault::Frail;
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;
use tests::http::Api;
use tests::hub::{Place, plain_config, secret, words};
use tests::time::PATIENCE;

/// The watchdog's time: it wants to be fed at each round of the writer, of which there is one a second.
const WATCHDOG_US: &str = "200000";

/// Several rounds of the writer.
const SILENCE: Duration = Duration::from_secs(4);

/// Whoever starts services: systemd's end of the socket.
struct Manager(UnixDatagram);

impl Manager {
    fn of(place: &mut Place) -> Self {
        let path = place.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        place.set("NOTIFY_SOCKET", path);
        place.set("WATCHDOG_USEC", WATCHDOG_US);
        Self(socket)
    }

    /// Gives the next word, or nothing if none comes in that time.
    fn hear(&self, within: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(within)).unwrap();
        let mut bytes = [0; 256];
        match self.0.recv(&mut bytes) {
            Ok(length) => Some(String::from_utf8(bytes[..length].to_vec()).unwrap()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                None
            }
        }
    }

    #[track_caller]
    fn expect(&self, word: &str) {
        let said = self.hear(PATIENCE).expect("the hub says something");
        assert!(said.lines().any(|line| line == word), "{said}");
    }
}

#[test]
fn the_manager_is_told_when_the_hub_is_ready_alive_and_stopping() {
    let mut place = Place::default();
    let manager = Manager::of(&mut place);
    let hub = place.start();
    manager.expect("READY=1");
    manager.expect("WATCHDOG=1");
    manager.expect("WATCHDOG=1");
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    while let Some(word) = manager.hear(PATIENCE) {
        if word.lines().any(|line| line == "STOPPING=1") {
            return;
        }
    }
    panic!("it never said that it stops");
}

#[test]
fn the_watchdog_is_fed_by_the_writer_alone_and_starves_while_a_disk_hangs() {
    let mut frail = Frail::new();
    let manager = Manager::of(&mut frail.place);
    let hub = frail.place.start();
    manager.expect("READY=1");
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    frail.break_disk("hang");
    let body = json!({"values": {"pressure_kpa": 300}}).to_string();
    let mut device = TcpStream::connect(hub.addr("ingest.listen")).unwrap();
    let request = format!(
        "POST /devices/gas-1/telemetry HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        secret("gas-1"),
        body.len()
    );
    device.write_all(request.as_bytes()).unwrap();
    let rounds = PATIENCE.as_secs();
    let heard = (0..rounds).take_while(|_| manager.hear(SILENCE).is_some());
    assert!(
        heard.count() < usize::try_from(rounds).unwrap(),
        "fed though nothing is written"
    );
    // The rest of the hub lives: only the writer's heart stood still.
    let alive = place_health(&frail.place, &hub.addr("http").to_string(), &["--alive"]);
    assert_eq!(alive, (Some(0), "alive".to_owned()));

    frail.mend_disk();
    manager.expect("WATCHDOG=1");
    let mut answer = String::new();
    device.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

fn place_health(place: &Place, at: &str, more: &[&str]) -> (Option<i32>, String) {
    let args = [&["health", "--at", at], more].concat();
    let output = place.run(&args);
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.code(), said)
}

#[test]
fn whoever_asks_for_its_health_gets_an_exit_code() {
    let place = Place::default();
    let hub = place.start();
    let at = hub.addr("http").to_string();
    assert_eq!(
        place_health(&place, &at, &[]),
        (Some(0), "ready".to_owned())
    );
    hub.stop();
    let output = place.run(&["health", "--at", &at]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(words(&output).contains(&at), "{}", words(&output));

    // Without users nothing but its life is told; that is no fault of it.
    let config = plain_config();
    let (head, _) = config.split_once("[auth.tokens").unwrap();
    let place = Place::with_config(head);
    let hub = place.start();
    let (code, said) = place_health(&place, &hub.addr("http").to_string(), &[]);
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "alive; nobody can sign in yet")
    );
}

#[test]
fn a_secret_in_a_file_is_a_key_of_the_configuration_and_a_variable_wins_over_it() {
    let mut place = Place::default();
    let folder = place.path().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let token = "0123456789abcdef-from-a-file";
    put(
        "secret_CITYHUB__AUTH__TOKENS__MAST__TOKEN",
        &format!("{token}\n"),
    );
    put("CITYHUB__AUTH__TOKENS__MAST__ROLE", "auditor");
    put("tls.key", "not a key of the configuration");
    place.set("CREDENTIALS_DIRECTORY", &folder);
    place.set("CITYHUB__AUTH__TOKENS__MAST__ROLE", "viewer");
    let hub = place.start();
    let api = Api {
        addr: hub.addr("http"),
        token: token.to_owned(),
    };
    assert_eq!(api.get("/api/v1/session")["role"], "viewer");
    drop(hub);

    put("CITYHUB__HTTP__LISTEN", "everywhere");
    let output = place.run(&["check", "--config", "hub.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    assert!(words(&output).contains("credential"), "{}", words(&output));
}
