//! Who may say what: strangers are refused and counted, and the good device beside them goes on.

use serde_json::json;
use std::net::{SocketAddr, TcpStream};
use tests::audit;
use tests::hub::{Hub, Place, plain_config, secret, token};
use tests::mqtt::{Client, Identity, Outcome, Version};
use tests::time::now_ms;

/// A device that reports all the while, to show that nobody beside it is harmed.
struct Witness {
    client: Client,
    reports: u64,
    last_ts: i64,
}

impl Witness {
    fn new(hub: &Hub) -> Self {
        let client = Client::connect(hub.mqtt(), Version::V5, &Identity::device("good"));
        Self {
            client,
            reports: 0,
            last_ts: 0,
        }
    }

    #[track_caller]
    fn report(&mut self) {
        self.reports += 1;
        // Two reports of one millisecond would be a repeat.
        self.last_ts = now_ms().max(self.last_ts + 1);
        let percent = self.reports % 100;
        let reading = json!({"ts": self.last_ts, "values": {"battery_pct": percent}});
        self.client.report("good", &reading);
    }
}

/// Two devices, a gateway with a child, and another gateway's child.
fn register(hub: &Hub) {
    hub.register(&json!([
        {"id": "good", "kind": "smoke"},
        {"id": "thief", "kind": "smoke"},
        {"id": "gw", "kind": "gateway"},
        {"id": "child", "kind": "smoke", "parent": "gw"},
        {"id": "other", "kind": "gateway"},
        {"id": "stepchild", "kind": "smoke", "parent": "other"},
        {"id": "retired", "kind": "smoke", "enabled": false},
    ]));
}

const READING: &[u8] = b"{\"battery_pct\":50}";

/// CONNACK `not authorized` or `bad user name or password`, which both say no.
fn says_no(version: Version, code: Option<u8>) -> bool {
    match version {
        Version::V3 => matches!(code, Some(4 | 5)),
        Version::V5 => matches!(code, Some(0x86 | 0x87)),
    }
}

#[test]
fn only_the_right_secret_opens_the_door() {
    for version in Version::BOTH {
        let place = Place::default();
        let hub = place.start();
        register(&hub);
        let mut witness = Witness::new(&hub);
        let nobody = Identity {
            username: None,
            password: None,
            ..Identity::device("thief")
        };
        let refused = [
            Identity::named("thief", "a wrong secret"),
            Identity::named("thief", &secret("good")),
            Identity::named("stranger", "whatever"),
            Identity::device("retired"),
            nobody,
        ];
        for identity in refused {
            let code = Client::try_connect(hub.mqtt(), version, &identity).map(drop);
            let code = code.expect_err("not let in");
            assert!(says_no(version, code), "{identity:?}: {code:?}");
            witness.report();
        }
        // Every refusal stands in the audit trail; the stranger waits to be claimed.
        let audit = hub.api_as("auditor").get("/api/v1/audit").to_string();
        assert!(
            audit.contains("wrong_secret") && audit.contains("thief"),
            "{audit}"
        );
        let unclaimed = hub.api().get("/api/v1/devices/unclaimed").to_string();
        assert!(unclaimed.contains("stranger"), "{unclaimed}");
        assert!(!unclaimed.contains("thief"), "{unclaimed}");
        let ledger = audit::ledger(&hub.api());
        assert_eq!(ledger.total.stored, witness.reports);
    }
}

#[test]
fn over_http_only_the_right_secret_stores_anything() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    let mut witness = Witness::new(&hub);
    let send = |device: &str, bearer: Option<&str>| {
        let bearer = bearer.map(|secret| format!("Bearer {secret}"));
        let headers: Vec<_> = bearer
            .iter()
            .map(|b| ("authorization", b.as_str()))
            .collect();
        let request = tests::http::Request {
            method: "POST",
            path: &format!("/devices/{device}/telemetry"),
            headers: &headers,
            body: READING,
        };
        request.send(hub.addr("ingest.listen")).unwrap()
    };
    send("thief", None).problem(401);
    send("thief", Some("a wrong secret")).problem(401);
    send("good", Some(&secret("thief"))).problem(401);
    // A token of a person is no secret of a device.
    send("good", Some(&token("admin"))).problem(401);
    send("stepchild", Some(&secret("gw"))).problem(401);
    send("stranger", Some("whatever")).problem(404);
    send("retired", Some(&secret("retired"))).problem(403);
    assert_eq!(send("child", Some(&secret("gw"))).status, 204);
    witness.report();

    let ledger = audit::ledger(&hub.api());
    assert_eq!(ledger.driver("ingest").stored, 1);
    assert_eq!(ledger.driver("ingest").rejected_total(), 7);
    assert_eq!(ledger.total.rejected.get("wrong_secret"), Some(&4));
    assert_eq!(ledger.total.rejected.get("unknown_device"), Some(&1));
    let unclaimed = hub.api().get("/api/v1/devices/unclaimed").to_string();
    assert!(unclaimed.contains("stranger"), "{unclaimed}");
}

#[test]
fn a_device_writes_only_under_its_own_topics() {
    let topics = [
        "devices/good/telemetry",
        "devices/thief",
        "devices/thief/commands",
        "devices/thief/telemetry/more",
        "v1/gateway/telemetry",
        "events/350200/cityhub.alarm.raised",
        "$SYS/broker",
        "anything",
    ];
    for version in Version::BOTH {
        let place = Place::default();
        let hub = place.start();
        register(&hub);
        let mut witness = Witness::new(&hub);
        for (topic, count) in topics.into_iter().zip(1..) {
            let mut thief = Client::connect(hub.mqtt(), version, &Identity::device("thief"));
            let outcome = thief.publish(topic, READING);
            match version {
                Version::V3 => assert_eq!(outcome, Outcome::Closed, "{topic}"),
                Version::V5 => {
                    // `Not authorized`, and the connection goes on.
                    assert_eq!(outcome, Outcome::Acked(0x87), "{topic}");
                    thief.ping();
                }
            }
            witness.report();
            let ledger = audit::ledger(&hub.api());
            let refused = ledger.driver("mqtt").rejected_total();
            assert_eq!(refused, count, "{topic}: {ledger:?}");
        }
        let ledger = audit::ledger(&hub.api());
        assert_eq!(ledger.total.stored, witness.reports);
        assert_eq!(ledger.device("good").stored, witness.reports);
        let audit = hub.api_as("auditor").get("/api/v1/audit").to_string();
        assert!(audit.contains("forbidden_topic"), "{audit}");
    }
}

#[test]
fn a_gateway_writes_for_its_children_and_for_nobody_else() {
    for version in Version::BOTH {
        let place = Place::default();
        let hub = place.start();
        register(&hub);
        let mut gateway = Client::connect(hub.mqtt(), version, &Identity::device("gw"));
        assert_eq!(
            gateway.publish("devices/child/telemetry", READING),
            Outcome::Acked(0)
        );
        assert_eq!(
            gateway.publish("devices/gw/telemetry", READING),
            Outcome::Acked(0)
        );
        // In one message the stepchild and the stranger are refused, the child is stored.
        let mixed = json!({"child": [{"temperature_c": 20}], "stepchild": [{"temperature_c": 21}],
            "stranger": [{"temperature_c": 22}]});
        let outcome = gateway.publish("v1/gateway/telemetry", mixed.to_string().as_bytes());
        assert_eq!(outcome, Outcome::Acked(0));
        let ledger = audit::ledger(&hub.api());
        assert_eq!(ledger.device("child").stored, 2);
        assert_eq!(ledger.device("gw").stored, 1);
        assert_eq!(ledger.device("stepchild").stored, 0);
        assert_eq!(ledger.total.rejected_total(), 2, "{ledger:?}");
        let unclaimed = hub.api().get("/api/v1/devices/unclaimed").to_string();
        assert!(unclaimed.contains("stranger"), "{unclaimed}");

        let outcome = gateway.publish("devices/stepchild/telemetry", READING);
        let expected = match version {
            Version::V3 => Outcome::Closed,
            Version::V5 => Outcome::Acked(0x87),
        };
        assert_eq!(outcome, expected);
        let mut child = Client::connect(hub.mqtt(), version, &Identity::device("child"));
        let outcome = child.publish("devices/gw/telemetry", READING);
        assert_eq!(outcome, expected);
        assert_eq!(audit::ledger(&hub.api()).total.stored, 3);
    }
}

#[test]
fn a_will_is_bound_to_its_own_device_too() {
    for version in Version::BOTH {
        let place = Place::default();
        let hub = place.start();
        register(&hub);
        let mut witness = Witness::new(&hub);
        let with_will = |topic: &str| Identity {
            will: Some((topic.to_owned(), b"{\"fault\":1}".to_vec())),
            ..Identity::device("thief")
        };
        for topic in ["devices/good/telemetry", "anything/else"] {
            let refused = Client::try_connect(hub.mqtt(), version, &with_will(topic)).map(drop);
            assert!(
                says_no(version, refused.expect_err("not let in")),
                "{topic}"
            );
        }
        let own = with_will("devices/thief/telemetry");
        // Whoever says goodbye leaves no will.
        let polite = Client::connect(hub.mqtt(), version, &own);
        polite.disconnect();
        let cut = Client::connect(hub.mqtt(), version, &own);
        let mut feed =
            Client::connect(hub.mqtt(), version, &Identity::named("v", &token("viewer")));
        assert!(feed.subscribe("devices/thief/telemetry", 0) < 0x80);
        drop(cut);
        let message = feed.message();
        assert_eq!(message.topic, "devices/thief/telemetry");
        assert_eq!(hub.points("thief", "fault").len(), 1);
        witness.report();
        let ledger = audit::ledger(&hub.api());
        assert_eq!(ledger.device("good").stored, witness.reports);
        assert_eq!(ledger.device("thief").stored, 1);
    }
}

#[test]
fn a_device_reads_nothing_but_its_own_commands() {
    for version in Version::BOTH {
        let place = Place::default();
        let hub = place.start();
        register(&hub);
        let mut device = Client::connect(hub.mqtt(), version, &Identity::device("thief"));
        let foreign = [
            "#",
            "devices/+/telemetry",
            "devices/good/commands",
            "events/#",
            "$SYS/#",
        ];
        for filter in foreign {
            let code = device.subscribe(filter, 1);
            assert!(code >= 0x80, "{filter}: {code:#x}");
        }
        assert!(device.subscribe("devices/thief/commands", 1) < 0x80);
        let engineer = Identity::named("e", &token("engineer"));
        let mut engineer = Client::connect(hub.mqtt(), version, &engineer);
        let outcome = engineer.publish("devices/thief/commands", b"{\"method\":\"reboot\"}");
        assert_eq!(outcome, Outcome::Acked(0));
        let command = device.message();
        assert_eq!(command.topic, "devices/thief/commands");
        assert_eq!(command.payload, b"{\"method\":\"reboot\"}");
        let viewer = Identity::named("v", &token("viewer"));
        let mut viewer = Client::connect(hub.mqtt(), version, &viewer);
        let outcome = viewer.publish("devices/thief/commands", b"{}");
        assert_ne!(outcome, Outcome::Acked(0));
    }
}

fn tls_place() -> (Place, String) {
    let text = plain_config().replace(
        "kind = \"mqtt\"\n",
        "kind = \"mqtt\"\ntls_listen = \"127.0.0.1:0\"\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\nclient_ca = \"ca.pem\"\nclient_certificate = \"optional\"\n",
    );
    let place = Place::with_config(&text);
    let certificates = Certificates::make();
    let ca = place.path().join("ca.pem").to_str().unwrap().to_owned();
    for (name, pem) in [
        ("ca.pem", &certificates.ca),
        ("cert.pem", &certificates.server.0),
        ("key.pem", &certificates.server.1),
        ("device.pem", &certificates.device.0),
        ("device.key", &certificates.device.1),
    ] {
        std::fs::write(place.path().join(name), pem).unwrap();
    }
    (place, ca)
}

struct Certificates {
    ca: String,
    server: (String, String),
    device: (String, String),
}

impl Certificates {
    fn make() -> Self {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
        let named = |name: &str| {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = named("city");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = ca.self_signed(&ca_key).unwrap().pem();
        let issuer = Issuer::new(ca, ca_key);
        let signed = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let certificate = named(name).signed_by(&key, &issuer).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        Self {
            ca: pem,
            server: signed("localhost"),
            device: signed("good"),
        }
    }
}

fn mosquitto_tls(addr: SocketAddr, ca: &str, more: &[&str]) -> std::process::Output {
    let port = addr.port().to_string();
    let mut command = std::process::Command::new("mosquitto_pub");
    command.args(["-h", "localhost", "-p", &port, "--cafile", ca, "-q", "1"]);
    command.args(["-t", "devices/good/telemetry"]).args(more);
    command
        .output()
        .expect("mosquitto_pub is installed (mosquitto-clients)")
}

#[test]
fn a_stalled_handshake_holds_up_nobody_and_a_certificate_is_an_identity() {
    let (place, ca) = tls_place();
    let hub = place.start();
    register(&hub);
    let addr = hub.addr("mqtt.tls_listen");
    let stalled: Vec<_> = (0..20).map(|_| TcpStream::connect(addr).unwrap()).collect();

    let password = secret("good");
    let with_password = ["-u", "good", "-P", &password, "-m", "{\"battery_pct\":50}"];
    let output = mosquitto_tls(addr, &ca, &with_password);
    assert!(output.status.success(), "{output:?}");

    let (cert, key) = (
        place.path().join("device.pem"),
        place.path().join("device.key"),
    );
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let with_certificate = ["--cert", cert, "--key", key, "-m", "{\"temperature_c\":21}"];
    let output = mosquitto_tls(addr, &ca, &with_certificate);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(hub.points("good", "temperature_c").len(), 1);

    let output = mosquitto_tls(addr, &ca, &["-u", "good", "-P", "wrong", "-m", "{}"]);
    assert!(!output.status.success());
    drop(stalled);
    assert_eq!(audit::ledger(&hub.api()).device("good").stored, 2);
}

#[test]
fn two_thousand_idle_connections_are_harmless() {
    let text = plain_config().replace(
        "kind = \"mqtt\"\n",
        "kind = \"mqtt\"\nconnections_per_address_max = 4000\n",
    );
    let place = Place::with_config(&text);
    let hub = place.start();
    register(&hub);
    let mut witness = Witness::new(&hub);
    let addr = hub.mqtt();
    let idle: Vec<_> = (0..2_000)
        .map(|_| TcpStream::connect(addr).unwrap())
        .collect();
    for _ in 0..20 {
        witness.report();
    }
    let mut newcomer = Client::connect(addr, Version::V3, &Identity::device("thief"));
    newcomer.report("thief", &json!({"battery_pct": 50}));
    drop(idle);
    witness.report();
    assert_eq!(audit::ledger(&hub.api()).total.stored, 22);
}
