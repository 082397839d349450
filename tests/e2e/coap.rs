//! CoAP as the field has it: libcoap's client, bytes written by hand, a device that observes its
//! commands, and very many endpoints at once.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use tests::audit;
use tests::hub::{Hub, Place, plain_config, secret};
use tests::time::{PATIENCE, until};

const CONFIG: &str = r#"
[drivers.coap]
kind = "coap"
listen = "127.0.0.1:0"
"#;

/// 2026-03-01T00:00:00Z
const AT: i64 = 1_772_323_200_000;

fn site() -> (Place, Hub) {
    let place = Place::with_config(&(plain_config() + CONFIG));
    let hub = place.start();
    hub.register(&json!([
        {"id": "gas-1", "kind": "gas_pressure"},
        {"id": "gas-2", "kind": "gas_pressure"},
    ]));
    (place, hub)
}

fn telemetry(hub: &Hub, device: &str, secret: &str) -> String {
    let addr = hub.addr("coap.listen");
    format!("coap://{addr}/devices/{device}/telemetry?k={secret}")
}

/// Runs libcoap's client, and gives what it printed: the codes of errors, and bodies.
fn client(program: &str, args: &[&str]) -> String {
    // A patience of its own, so that a story fails with what it says.
    let output = Command::new(program).args(["-B", "20"]).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program} (libcoap3-bin): {error}"));
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8(said).unwrap().trim().to_owned()
}

fn coap(args: &[&str]) -> String {
    client("coap-client-notls", args)
}

fn file(place: &Place, name: &str, bytes: &[u8]) -> String {
    let path = place.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    Path::to_str(&path).unwrap().to_owned()
}

fn reading(offset_s: i64, kpa: f64) -> Value {
    json!({"ts": AT + offset_s * 1000, "values": {"pressure_kpa": kpa}})
}

#[test]
fn a_client_of_others_is_understood_in_every_format_whole_and_in_blocks() {
    let (place, hub) = site();
    let url = telemetry(&hub, "gas-1", &secret("gas-1"));
    let post = |format: &str, payload: &[u8], more: &[&str]| {
        let payload = file(&place, "payload", payload);
        let args = ["-m", "post", "-t", format, "-f", &payload];
        coap(&[&args[..], more, &[&url]].concat())
    };
    let json = |offset_s, kpa| reading(offset_s, kpa).to_string();
    assert_eq!(post("50", json(0, 300.5).as_bytes(), &[]), "");
    assert_eq!(post("50", json(1, 301.5).as_bytes(), &["-N"]), "");
    // {"ts": AT + 2000, "values": {"pressure_kpa": 302.5}}
    let mut cbor = b"\xa2\x62ts\x1b".to_vec();
    cbor.extend((AT + 2_000).to_be_bytes());
    cbor.extend(b"\x66values\xa1\x6cpressure_kpa\xfb");
    cbor.extend(302.5_f64.to_be_bytes());
    assert_eq!(post("60", &cbor, &[]), "");
    let senml = r#"[{"bn":"urn:dev:gas-1:","bt":1772323203,"n":"pressure_kpa","v":303.5}]"#;
    assert_eq!(post("110", senml.as_bytes(), &[]), "");
    // [{-3: AT / 1000 + 4, 0: "pressure_kpa", 2: 304.5}]
    let mut pack = b"\x81\xa3\x22\x1a".to_vec();
    pack.extend(u32::try_from(AT / 1000 + 4).unwrap().to_be_bytes());
    pack.extend(b"\x00\x6cpressure_kpa\x02\xfb");
    pack.extend(304.5_f64.to_be_bytes());
    assert_eq!(post("112", &pack, &[]), "");
    // Twenty kilobytes in blocks of 64 and of 1024 bytes.
    for (offset_s, size) in [(5, "64"), (6, "1024")] {
        let body = json(offset_s, 300.5 + f64::from(u8::try_from(offset_s).unwrap()));
        let long = format!("{body}{}", " ".repeat(20_000));
        assert_eq!(post("50", long.as_bytes(), &["-b", size]), "");
    }
    let expected: Vec<Value> = (0..7u8)
        .map(|n| json!([AT + i64::from(n) * 1000, 300.5 + f64::from(n), "good"]))
        .collect();
    assert_eq!(hub.points("gas-1", "pressure_kpa"), expected);

    // The client prints what was refused.
    let option = post("50", json(9, 1.0).as_bytes(), &["-O", "65001,x"]);
    assert!(option.starts_with("4.02"), "{option}");
    assert!(post("41", b"<a/>", &[]).starts_with("4.15"));
    assert!(post("50", b"{", &[]).starts_with("4.00"));
    assert!(post("50", &[b' '; 70_000], &["-b", "1024"]).starts_with("4.13"));
    let part = post("50", br#"{"pressure_kpa":1,"colour":2}"#, &[]);
    assert_eq!(
        serde_json::from_str::<Value>(&part).unwrap()["rejected"][0]["metric"],
        "colour"
    );
    let core = format!("coap://{}/.well-known/core", hub.addr("coap.listen"));
    assert!(coap(&[&core]).contains("</devices/{id}/telemetry>"));
    for (device, secret) in [("gas-1", "wrong"), ("nobody", "s")] {
        let url = telemetry(&hub, device, secret);
        let said = coap(&["-m", "post", "-t", "50", "-e", "{}", &url]);
        assert!(said.starts_with("4.01"), "{said}");
    }
    let api = hub.api();
    until("the stranger is listed", || {
        api.get("/api/v1/devices/unclaimed")["items"][0]["id"] == "nobody"
    });
    let counted = || audit::ledger(&hub.api()).driver("coap");
    until("the stranger is counted", || {
        counted().rejected.get("unknown_device") == Some(&1)
    });
    let counts = counted();
    assert_eq!((counts.stored, counts.duplicate), (8, 0));
    for reason in [
        "bad_option",
        "unsupported_format",
        "invalid_json",
        "packet_too_large",
        "wrong_secret",
    ] {
        assert_eq!(counts.rejected.get(reason), Some(&1), "{reason} {counts:?}");
    }
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    place.verify();
}

#[test]
fn a_client_with_a_key_needs_no_secret_and_one_with_a_wrong_key_is_not_heard() {
    let dtls = "[drivers.coap.dtls]\nlisten = \"127.0.0.1:0\"\nkeys = \"keys.csv\"\n";
    let place = Place::with_config(&(plain_config() + CONFIG + dtls));
    let keys = place.path().join("keys.csv");
    std::fs::write(
        &keys,
        "id,secret\ngas-1,key-of-gas-1\ngw,hex:6b65792d6f662d6777\n",
    )
    .unwrap();
    let hub = place.start();
    hub.register(&json!([
        {"id": "gas-1", "kind": "gas_pressure", "parent": "gw"},
        {"id": "gas-2", "kind": "gas_pressure"},
        {"id": "gw", "kind": "gateway"},
    ]));
    let addr = hub.addr("coap.dtls_listen");
    let post = |identity: &str, key: &str, device: &str, body: &Value| {
        let url = format!("coaps://{addr}/devices/{device}/telemetry");
        let body = body.to_string();
        let who = ["-u", identity, "-k", key, "-m", "post", "-t", "50", "-e"];
        client("coap-client-openssl", &[&who[..], &[&body, &url]].concat())
    };
    assert_eq!(
        post("gas-1", "key-of-gas-1", "gas-1", &reading(0, 300.5)),
        ""
    );
    assert_eq!(post("gw", "key-of-gw", "gas-1", &reading(1, 301.5)), "");
    let other = post("gas-1", "key-of-gas-1", "gas-2", &reading(0, 1.0));
    assert!(other.starts_with("4.01"), "{other}");
    let expected = [
        json!([AT, 300.5, "good"]),
        json!([AT + 1000, 301.5, "good"]),
    ];
    assert_eq!(hub.points("gas-1", "pressure_kpa"), expected);
    // A long body goes in blocks here, too.
    let long = json!({"ts": AT + 2_000, "pressure_kpa": 302.5, "note": "x".repeat(3_000)});
    let said = post("gas-1", "key-of-gas-1", "gas-1", &long);
    assert!(said.contains("\"stored\":1"), "{said}");
    // A key that is added counts at once.
    std::fs::write(&keys, "id,secret\ngas-2,key-of-gas-2\n").unwrap();
    assert_eq!(
        post("gas-2", "key-of-gas-2", "gas-2", &reading(0, 300.5)),
        ""
    );
    let counts = audit::ledger(&hub.api()).driver("coap");
    assert_eq!(
        (counts.stored, counts.rejected.get("wrong_secret")),
        (4, Some(&1))
    );
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    place.verify();
}

/// A socket that speaks with the hub.
fn socket(hub: &Hub) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(hub.addr("coap.listen")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn hear(socket: &UdpSocket) -> Vec<u8> {
    let mut heard = [0; 1_500];
    let len = socket.recv(&mut heard).unwrap();
    heard[..len].to_vec()
}

/// A confirmable POST of JSON with the token `aa`; every part of its path is shorter than 13 bytes or
/// longer than that.
fn request(mid: u16, device: &str, payload: &str) -> Vec<u8> {
    let mut bytes = vec![0x41, 0x02];
    bytes.extend(mid.to_be_bytes());
    bytes.push(0xaa);
    let query = format!("k={}", secret(device));
    let options = [
        (11, "devices"),
        (0, device),
        (0, "telemetry"),
        (1, "2"),
        (3, &query),
    ];
    for (delta, value) in options {
        let len = u8::try_from(value.len()).unwrap();
        if len < 13 {
            bytes.push(delta << 4 | len);
        } else {
            bytes.extend([delta << 4 | 13, len - 13]);
        }
        bytes.extend(value.as_bytes());
    }
    bytes.push(0xff);
    bytes.extend(payload.as_bytes());
    bytes
}

#[test]
fn a_repetition_is_answered_with_the_same_bytes_and_what_is_acknowledged_outlives_the_hub() {
    let (place, hub) = site();
    let device = socket(&hub);
    let first = request(0x0101, "gas-1", &reading(0, 300.5).to_string());
    device.send(&first).unwrap();
    let acknowledged = hear(&device);
    assert_eq!(acknowledged, [0x61, 0x44, 0x01, 0x01, 0xaa]);
    device.send(&first).unwrap();
    assert_eq!(hear(&device), acknowledged);
    // A ping; silence for what is no CoAP; resets for what is broken; and on it goes.
    device.send(b"\x40\x00\x12\x34").unwrap();
    assert_eq!(hear(&device), b"\x70\x00\x12\x34");
    device.send(b"\x00\x01\x00\x01").unwrap();
    device.send(b"\x40\x01\x00").unwrap();
    device.send(b"\x40\x01\x00\x01\xff").unwrap();
    assert_eq!(hear(&device), b"\x70\x00\x00\x01");
    device.send(b"\x40\x01\x00\x02\xb4\x74\x65\x73").unwrap();
    assert_eq!(hear(&device), b"\x70\x00\x00\x02");
    device
        .send(&request(0x0102, "gas-1", &reading(1, 301.5).to_string()))
        .unwrap();
    assert_eq!(hear(&device), [0x61, 0x44, 0x01, 0x02, 0xaa]);
    let counts = audit::ledger(&hub.api()).driver("coap");
    assert_eq!(
        (counts.received, counts.stored, counts.duplicate),
        (6, 2, 0)
    );
    assert_eq!(counts.rejected.get("not_coap"), Some(&2));
    assert_eq!(counts.rejected.get("message_format_error"), Some(&2));
    hub.kill();
    let hub = place.start();
    let expected = [
        json!([AT, 300.5, "good"]),
        json!([AT + 1000, 301.5, "good"]),
    ];
    assert_eq!(hub.points("gas-1", "pressure_kpa"), expected);
    // The hub has forgotten the exchange, but not the reading.
    let device = socket(&hub);
    device.send(&first).unwrap();
    assert_eq!(hear(&device), acknowledged);
    let counts = audit::ledger(&hub.api()).device("gas-1");
    assert_eq!((counts.stored, counts.duplicate), (2, 1));
    drop(hub);
    place.verify();
}

#[test]
fn a_device_that_observes_its_commands_is_told_and_answers() {
    let (_place, hub) = site();
    let commands = format!("coap://{}/devices/gas-1/commands", hub.addr("coap.listen"));
    let observed = format!("{commands}?k={}", secret("gas-1"));
    let mut observer = Command::new("coap-client-notls")
        .args(["-w", "-s", "60", &observed])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(observer.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "{}", "nothing to do yet");
    let body = json!({"command": "set_interval", "args": {"seconds": 60}});
    let api = hub.api();
    let asked = std::thread::spawn(move || {
        let reply = api.post("/api/v1/devices/gas-1/commands", &body);
        reply.expect(200)["answer"].clone()
    });
    let told: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(
        (&told["command"], &told["args"]["seconds"]),
        (&json!("set_interval"), &json!(60))
    );
    let answer = format!(
        "{commands}/{}?k={}",
        told["id"].as_str().unwrap(),
        secret("gas-1")
    );
    let said = coap(&[
        "-m",
        "post",
        "-t",
        "50",
        "-e",
        "{\"interval_s\":60}",
        &answer,
    ]);
    assert_eq!(said, "");
    assert_eq!(asked.join().unwrap(), json!({"interval_s": 60}));
    observer.kill().unwrap();
    observer.wait().unwrap();
}

#[test]
fn a_thousand_endpoints_at_once_are_all_answered_and_each_is_stored_once() {
    const ENDPOINTS: usize = 1_000;
    let (_place, hub) = site();
    let devices: Vec<_> = (0..ENDPOINTS)
        .map(|n| json!({"id": format!("e-{n}"), "kind": "gas_pressure"}))
        .collect();
    hub.register(&json!(devices));
    let sockets: Vec<_> = (0..ENDPOINTS).map(|_| socket(&hub)).collect();
    let requests: Vec<_> = (0..ENDPOINTS)
        .map(|n| request(7, &format!("e-{n}"), &reading(0, 300.5).to_string()))
        .collect();
    for (socket, request) in sockets.iter().zip(&requests) {
        socket.send(request).unwrap();
    }
    for (socket, request) in sockets.iter().zip(&requests) {
        // A datagram may be lost where the system holds few: it is sent again, as every client does.
        socket.set_read_timeout(Some(PATIENCE / 10)).unwrap();
        let mut heard = [0; 64];
        let len = socket.recv(&mut heard).or_else(|_| {
            socket.send(request)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.recv(&mut heard)
        });
        assert_eq!(heard[..len.unwrap()], [0x61, 0x44, 0, 7, 0xaa]);
    }
    let counts = audit::ledger(&hub.api()).driver("coap");
    assert_eq!((counts.received, counts.stored), (1_000, 1_000));
}
