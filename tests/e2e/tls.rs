//! Listeners with TLS: certificates that are renewed while devices report, and whom a certificate lets in.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::{Command, Output};
use tests::audit;
use tests::hub::{Hub, Place, plain_config, secret, token, words};
use tests::mqtt::{Client, Version};

/// An authority whose certificates lie in the folder of a hub.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(place: &Place) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = named("city", 1);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        write(place, "ca.pem", &params.self_signed(&key).unwrap().pem());
        Self {
            issuer: Issuer::new(params, key),
        }
    }

    /// Puts `NAME.pem` and `NAME.key` with the common name.
    fn put(&self, place: &Place, file: &str, common_name: &str, serial: u64) {
        let key = KeyPair::generate().unwrap();
        let certificate = named(common_name, serial).signed_by(&key, &self.issuer);
        write(place, &format!("{file}.pem"), &certificate.unwrap().pem());
        write(place, &format!("{file}.key"), &key.serialize_pem());
    }
}

fn named(common_name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from(serial));
    params
}

fn write(place: &Place, name: &str, text: &str) {
    std::fs::write(place.path().join(name), text).unwrap();
}

/// Telemetry over TLS alone, with certificates of devices that are optional; the API without.
fn devices_over_tls(look_every_s: u32) -> (Place, Authority) {
    let mqtt = "kind = \"mqtt\"\ntls_listen = \"127.0.0.1:0\"\ntls_cert = \"hub.pem\"\n\
                tls_key = \"hub.key\"\nclient_ca = \"ca.pem\"\nclient_auth = \"optional\"\n";
    let ingest = format!(
        "[drivers.ingest.tls]\ncert = \"hub.pem\"\nkey = \"hub.key\"\nclient_ca = \"ca.pem\"\n\
         client_auth = \"optional\"\n[certificates]\nlook_every_s = {look_every_s}\n"
    );
    let text = plain_config().replace("kind = \"mqtt\"\n", mqtt) + &ingest;
    let place = Place::with_config(&text);
    let authority = Authority::new(&place);
    authority.put(&place, "hub", "hub", 0x51);
    (place, authority)
}

fn register(hub: &Hub) {
    hub.register(&json!([
        {"id": "good", "kind": "smoke"},
        {"id": "thief", "kind": "smoke"},
        {"id": "gw", "kind": "gateway"},
        {"id": "child", "kind": "smoke", "parent": "gw"},
        {"id": "factory", "kind": "smoke", "identities": {"certificate": "SN-0815"}},
    ]));
}

fn curl(place: &Place, args: &[&str]) -> Output {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "30", "--cacert", "ca.pem"]);
    let command = command.args(args).current_dir(place.path());
    command.output().expect("curl is installed")
}

/// Reports for a device over HTTPS, and gives the status.
fn post(place: &Place, addr: SocketAddr, device: &str, body: &str, more: &[&str]) -> String {
    let url = format!(
        "https://localhost:{}/devices/{device}/telemetry",
        addr.port()
    );
    let mut args = vec!["-o", "/dev/null", "-w", "%{http_code}", "-d", body, &url];
    args.extend(more);
    let output = curl(place, &args);
    assert!(output.status.success(), "{}", words(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn bearer(id: &str) -> String {
    format!("authorization: Bearer {}", secret(id))
}

fn mosquitto(place: &Place, addr: SocketAddr, device: &str, more: &[&str]) -> bool {
    let port = addr.port().to_string();
    let topic = format!("devices/{device}/telemetry");
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "localhost", "-p", &port, "--cafile", "ca.pem"]);
    command.args(["-q", "1", "-t", &topic]).args(more);
    let output = command.current_dir(place.path()).output();
    output.expect("mosquitto_pub is installed").status.success()
}

fn certificate(hub: &Hub, listener: &str) -> Value {
    hub.api().get("/api/v1/health")["certificates"][listener].clone()
}

fn reload(hub: &Hub) -> Value {
    let body = json!({});
    let reloaded = hub.api().post("/api/v1/rules/reload", &body).expect(200);
    reloaded["certificates"].clone()
}

const LISTENERS: [&str; 2] = ["ingest.tls_listen", "mqtt.tls_listen"];

/// The `n`th report of a device, each of a time of its own.
fn report_is_taken(place: &Place, ingest: SocketAddr, n: u32) {
    let body = format!(
        "{{\"ts\":{},\"values\":{{\"battery_pct\":{n}}}}}",
        1_763_700_000_000_i64 + i64::from(n)
    );
    let header = bearer("good");
    assert_eq!(post(place, ingest, "good", &body, &["-H", &header]), "204");
}

#[test]
fn a_renewed_certificate_is_taken_up_and_a_broken_one_leaves_the_old_in_force() {
    let (place, authority) = devices_over_tls(86_400);
    let hub = place.start();
    register(&hub);
    let ingest = hub.addr("ingest.tls_listen");
    let reports = |n: u32| report_is_taken(&place, ingest, n);
    reports(1);
    assert_eq!(
        reload(&hub),
        json!({"put": 0, "unchanged": 2, "refused": 0})
    );

    authority.put(&place, "hub", "hub", 0x52);
    assert_eq!(certificate(&hub, "ingest.tls_listen")["serial"], "51");
    assert_eq!(
        reload(&hub),
        json!({"put": 2, "unchanged": 0, "refused": 0})
    );
    for listener in LISTENERS {
        let shown = certificate(&hub, listener);
        assert_eq!(shown["serial"], "52");
        assert_eq!(shown["state"], "valid");
    }
    reports(2);

    // A key of another certificate, then half of a certificate: both are refused and told.
    let key = std::fs::read(place.path().join("hub.key")).unwrap();
    write(
        &place,
        "hub.key",
        &KeyPair::generate().unwrap().serialize_pem(),
    );
    assert_eq!(
        reload(&hub),
        json!({"put": 0, "unchanged": 0, "refused": 2})
    );
    std::fs::write(place.path().join("hub.key"), &key).unwrap();
    let whole = std::fs::read_to_string(place.path().join("hub.pem")).unwrap();
    write(&place, "hub.pem", whole.split_at(whole.len() / 2).0);
    assert_eq!(
        reload(&hub),
        json!({"put": 0, "unchanged": 0, "refused": 2})
    );
    let health = hub.api().get("/api/v1/health");
    assert_eq!(health["status"], "degraded");
    for listener in LISTENERS {
        let shown = &health["certificates"][listener];
        assert_eq!(shown["serial"], "52");
        assert!(
            shown["refused"].as_str().unwrap().contains("hub.pem"),
            "{shown}"
        );
        let name = format!("certificates.{listener}");
        assert!(
            health["degraded_by"]
                .as_array()
                .unwrap()
                .contains(&json!(name))
        );
    }
    reports(3);

    write(&place, "hub.pem", &whole);
    crate::reload::hang_up(&hub);
    let is_well = || hub.api().get("/api/v1/health")["status"] == "up";
    tests::time::until("the files are right again", is_well);
    reports(4);
    let trail = hub.api_as("auditor").get("/api/v1/audit").to_string();
    assert!(
        trail.contains("reload_certificates") && trail.contains("\"52\""),
        "{trail}"
    );
    assert_eq!(audit::ledger(&hub.api()).device("good").stored, 4);
}

#[test]
fn a_certificate_that_is_laid_down_is_found_without_being_asked() {
    let (place, authority) = devices_over_tls(1);
    let hub = place.start();
    authority.put(&place, "hub", "hub", 0x53);
    tests::time::until("the new certificate is in force", || {
        LISTENERS
            .iter()
            .all(|listener| certificate(&hub, listener)["serial"] == "53")
    });
}

#[test]
fn a_certificate_opens_its_own_door_and_no_other() {
    let (place, authority) = devices_over_tls(86_400);
    for (file, name) in [
        ("good", "good"),
        ("gw", "gw"),
        ("sn", "SN-0815"),
        ("who", "stranger"),
    ] {
        authority.put(&place, file, name, 2);
    }
    let hub = place.start();
    register(&hub);
    let (ingest, mqtt) = (hub.addr("ingest.tls_listen"), hub.addr("mqtt.tls_listen"));
    let body = "{\"battery_pct\":50}";
    let by = |file: &str| (format!("{file}.pem"), format!("{file}.key"));
    for (file, device, password, stored) in [
        ("good", "good", None, true),
        ("gw", "child", None, true),
        ("sn", "factory", None, true),
        ("gw", "child", Some("child"), true),
        ("good", "thief", None, false),
        // The secret is right, and the certificate is another's.
        ("good", "thief", Some("thief"), false),
        ("gw", "good", Some("good"), false),
        ("who", "good", Some("good"), false),
        ("who", "stranger", None, false),
    ] {
        let (cert, key) = by(file);
        let header = password.map(bearer);
        let mut more = vec!["--cert", cert.as_str(), "--key", key.as_str()];
        if let Some(header) = &header {
            more.extend(["-H", header.as_str()]);
        }
        let status = post(&place, ingest, device, body, &more);
        assert_eq!(
            status == "204",
            stored,
            "HTTPS: {file} as {device}: {status}"
        );
        assert!(
            stored || ["401", "404"].contains(&status.as_str()),
            "{status}"
        );

        let mut more = vec!["--cert", &cert, "--key", &key, "-m", body];
        let password = password.map(secret);
        if let Some(password) = &password {
            more.extend(["-u", device, "-P", password.as_str()]);
        }
        let let_in = mosquitto(&place, mqtt, device, &more);
        assert_eq!(let_in, stored, "MQTT: {file} as {device}");
    }
    // Refusals wait for the next round of the writer.
    let says = |path: &str, word: &str| hub.api_as("admin").get(path).to_string().contains(word);
    tests::time::until("the refusals stand in the audit trail", || {
        says("/api/v1/audit", "certificate_mismatch")
    });
    tests::time::until("who is unknown waits to be claimed", || {
        says("/api/v1/devices/unclaimed", "stranger")
    });
    let ledger = audit::ledger(&hub.api());
    assert_eq!(ledger.device("thief").stored, 0);
    assert_eq!(ledger.device("good").stored, 2);
    assert_eq!(ledger.device("child").stored, 4);
}

#[test]
fn a_port_with_tls_speaks_nothing_else_and_says_so() {
    let text = plain_config().replace(
        "[drivers.mqtt]",
        "[http.tls]\ncert = \"hub.pem\"\nkey = \"hub.key\"\n[drivers.mqtt]",
    );
    let place = Place::with_config(&text);
    let authority = Authority::new(&place);
    authority.put(&place, "hub", "hub", 0x61);
    let hub = place.start();
    let at = |path: &str| format!("https://localhost:{}{path}", hub.addr("http").port());
    let header = format!("authorization: Bearer {}", token("viewer"));
    let output = curl(&place, &["-H", &header, "--tlsv1.3", &at("/api/v1/health")]);
    let health: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(health["certificates"]["http"]["serial"], "61");
    assert_eq!(
        health["certificates"]["http"]["names"],
        json!(["localhost"])
    );
    // TLS 1.2 is spoken too.
    let output = curl(&place, &["--tls-max", "1.2", &at("/healthz")]);
    assert_eq!(output.stdout, b"ok\n", "{}", words(&output));

    let plain = at("/healthz").replace("https:", "http:");
    let output = curl(&place, &["-w", "%{http_code}", &plain]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("https://") && told.ends_with("400"), "{told}");
    let figures = curl(&place, &["-H", &header, &at("/metrics")]);
    let figures = String::from_utf8(figures.stdout).unwrap();
    for line in [
        "cityhub_tls_handshakes_total{listener=\"http\",outcome=\"plaintext\"} 1",
        "cityhub_tls_files_refused{listener=\"http\"} 0",
        "cityhub_refused_total{driver=\"http\",reason=\"tls_plaintext\"} 1",
    ] {
        assert!(figures.contains(line), "no {line}:\n{figures}");
    }
    let port = hub.addr("http").port();
    let asked = place.run(&["health", "--at", &format!("https://127.0.0.1:{port}")]);
    assert_eq!(asked.status.code(), Some(0), "{}", words(&asked));

    // A session's cookie never leaves over a port without TLS.
    let add = [
        "admin", "user", "add", "li", "--role", "admin", "--config", "hub.toml",
    ];
    let added = place.run_with(&add, "correct horse battery\n");
    assert!(added.status.success(), "{}", words(&added));
    let body = "{\"user\":\"li\",\"password\":\"correct horse battery\"}";
    let kind = "content-type: application/json";
    let output = curl(
        &place,
        &["-i", "-d", body, "-H", kind, &at("/api/v1/session")],
    );
    let answer = String::from_utf8(output.stdout).unwrap();
    let cookie = answer.lines().find(|line| line.starts_with("set-cookie:"));
    assert!(
        cookie.is_some_and(|cookie| cookie.contains("; Secure")),
        "{answer}"
    );
}

#[test]
fn a_start_with_a_key_of_another_certificate_names_the_files() {
    let (place, _authority) = devices_over_tls(10);
    write(
        &place,
        "hub.key",
        &KeyPair::generate().unwrap().serialize_pem(),
    );
    let (status, log) = place.try_start().map(drop).unwrap_err();
    assert_eq!(status.code(), Some(2));
    assert!(log.contains("hub.key") && log.contains("drivers."), "{log}");
}

#[test]
fn handshakes_that_lead_nowhere_take_no_place_from_devices() {
    let (place, _authority) = devices_over_tls(86_400);
    let hub = place.start();
    register(&hub);
    let addr = hub.addr("ingest.tls_listen");
    let silent: Vec<_> = (0..1_500)
        .map(|_| Client::open(addr, Version::V5))
        .collect();
    let header = bearer("good");
    let more = ["-H", header.as_str()];
    assert_eq!(
        post(&place, addr, "good", "{\"battery_pct\":50}", &more),
        "204"
    );
    drop(silent);
}
