//! A user transmission device as the standard prints its bytes: confirmed when stored, denied when
//! damaged, and its fire rings whatever its clock and its status bits say.

use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use tests::audit;
use tests::hub::{Hub, Place, plain_config};
use tests::time::{PATIENCE, now_ms};

const DRIVER: &str = r#"
[drivers.fire]
kind = "gb26875"
listen = "127.0.0.1:0"
"#;

fn start(place: &Place) -> Hub {
    let hub = place.start();
    hub.register(&json!([
        {"id": "panel", "kind": "gateway", "identities": {"gb26875": "010203040506"}},
        {"id": "corridor", "kind": "smoke", "parent": "panel",
         "identities": {"gb26875": "010203040506/1.3.40.d9000600"}},
        {"id": "box", "kind": "smoke", "identities": {"gb26875": "0000000c38f6"}},
    ]));
    hub
}

fn place() -> Place {
    Place::with_config(&(plain_config() + DRIVER))
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
    let pair = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// Puts a frame together: everything is given but the sum.
fn frame(serial: u8, stamp: &[u8], source: &str, unit: &[u8]) -> Vec<u8> {
    let mut bytes = hex("4040");
    bytes.extend([serial, 0, 1, 1]);
    bytes.extend(stamp);
    bytes.extend(hex(source));
    bytes.extend(hex("385b01000000"));
    bytes.extend([u8::try_from(unit.len()).unwrap(), 0, 2]);
    bytes.extend(unit);
    let sum = bytes
        .iter()
        .skip(2)
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.push(sum);
    bytes.extend(b"##");
    bytes
}

/// The time of Beijing as frames have it, by `date`.
fn stamp(ms: i64) -> Vec<u8> {
    let seconds = format!("@{}", ms / 1000);
    let output = std::process::Command::new("date")
        .args(["-d", &seconds, "+%S %M %H %d %m %y"])
        .env("TZ", "UTC-8")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace()
        .map(|part| part.parse().unwrap())
        .collect()
}

fn connect(hub: &Hub) -> TcpStream {
    let stream = TcpStream::connect(hub.addr("fire.listen")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends and reads one answer; gives it without its time and with its sum checked.
fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).unwrap();
    let mut answer = [0; 30];
    stream.read_exact(&mut answer).unwrap();
    checked(&answer)
}

fn checked(answer: &[u8]) -> Vec<u8> {
    let sum = answer[2..27]
        .iter()
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    assert_eq!((answer[27], &answer[28..]), (sum, &b"##"[..]));
    [&answer[..6], &answer[12..27]].concat()
}

/// 部件状态 of detector `number` of system 1.4, which is no device of its own.
fn detector(serial: u8, at: i64, number: u8, bits: u8) -> Vec<u8> {
    let mut unit = hex("02 01 01 04 28");
    unit.extend([number, 0, 0, 0, bits, 0]);
    unit.resize(2 + 40, 0);
    unit.extend(stamp(at));
    frame(serial, &stamp(at), "060504030201", &unit)
}

#[test]
fn a_fire_outlives_a_restart_whatever_other_rooms_say_and_ends_with_the_reset() {
    let place = place();
    let hub = start(&place);
    let at = now_ms() / 1000 * 1000 - 20_000;
    exchange(&mut connect(&hub), &detector(1, at, 1, 3));
    drop(hub.stop());
    let hub = place.start();
    let mut device = connect(&hub);
    exchange(&mut device, &detector(2, at + 5_000, 2, 1));
    // 操作: system 1.4, 复位, operator 7.
    let mut reset = hex("04 01 01 04 01 07");
    reset.extend(stamp(at + 10_000));
    exchange(
        &mut device,
        &frame(3, &stamp(at + 10_000), "060504030201", &reset),
    );
    let expected = [
        json!([at, 1.0, "good"]),
        json!([at + 5_000, 1.0, "good"]),
        json!([at + 10_000, 0.0, "good"]),
    ];
    assert_eq!(hub.points("panel", "smoke_alarm"), expected);
    drop(hub.stop());
    place.verify();
}

#[test]
fn a_fire_is_confirmed_when_it_is_stored_and_rings() {
    let place = place();
    let hub = start(&place);
    let rule = json!({"title": "火警", "kind": "threshold", "select": {},
        "metric": "smoke_alarm", "above": 0.5, "severity": "critical"});
    hub.rule("fire", &rule);
    let mut device = connect(&hub);
    let at = now_ms() / 1000 * 1000 - 2_000;
    // 部件状态: 火灾报警系统 3, 感烟 d9000600, 状态 0002, "Ａ区１层呷哺走廊".
    let mut unit = hex("02 01 01 03 28 d9000600 0200 a3c1c7f8a3b1b2e3dfc8b2b8d7dfc0c8");
    unit.resize(2 + 40, 0);
    unit.extend(stamp(at));
    let fire = frame(7, &stamp(at), "060504030201", &unit);
    let confirmed = hex("4040 0700 0101 385b01000000 060504030201 0000 03");
    assert_eq!(exchange(&mut device, &fire), confirmed);
    // Sent again, it is confirmed again and stored once.
    assert_eq!(exchange(&mut device, &fire), confirmed);
    assert_eq!(
        hub.points("corridor", "smoke_alarm"),
        [json!([at, 1.0, "uncertain:flag"])]
    );
    assert_eq!(
        hub.points("corridor", "test_state"),
        [json!([at, 1.0, "good"])]
    );
    let alarms = hub.api().get("/api/v1/alarms");
    assert_eq!(alarms["items"][0]["device"], "corridor");
    let kept = hub.api().get("/api/v1/quarantine").to_string();
    assert!(kept.contains("Ａ区１层呷哺走廊"), "{kept}");
    let counts = audit::ledger(&hub.api()).device("corridor");
    assert_eq!(counts.received, counts.stored + counts.duplicate);
    assert_eq!(counts.stored * 2, counts.received);
    drop(hub.stop());
    place.verify();
}

#[test]
fn the_frame_of_a_real_fire_rings_at_its_arrival_though_its_clock_is_of_2021() {
    let place = place();
    let hub = start(&place);
    let before = now_ms();
    let mut device = connect(&hub);
    let fire = hex(
        "4040360001012c230a1c0a15f6380c0000000000000000003000020201010000fb8a010003000200\
         00000000000000000000000000000000000000000000000000000000002c230a1c0a155b2323",
    );
    let confirmed = hex("4040 3600 0101 000000000000 f6380c000000 0000 03");
    assert_eq!(exchange(&mut device, &fire), confirmed);
    let points = hub.points("box", "smoke_alarm");
    assert_eq!(
        (points.len(), &points[0][1], &points[0][2]),
        (1, &json!(1.0), &json!("uncertain:clock"))
    );
    assert!(points[0][0].as_i64().unwrap() >= before);
    drop(hub.stop());
}

#[test]
fn bad_frames_end_nothing_and_strangers_are_listed_and_never_confirmed() {
    let place = place();
    let hub = start(&place);
    let mut device = connect(&hub);
    let now = stamp(now_ms());
    let state = |serial, source| frame(serial, &now, source, &[&[21, 1, 0x09][..], &now].concat());
    let mut damaged = state(1, "060504030201");
    damaged[29] = 0x08;
    let denied = hex("4040 0100 0101 385b01000000 060504030201 0000 06");
    assert_eq!(exchange(&mut device, &damaged), denied);
    // A stranger, noise, a false start and a good frame, byte by byte.
    let mut bytes = state(2, "aabbccddeeff");
    bytes.extend(b"noise @@");
    bytes.extend(state(3, "060504030201"));
    for byte in &bytes[..bytes.len() - 1] {
        device.write_all(&[*byte]).unwrap();
    }
    let confirmed = hex("4040 0300 0101 385b01000000 060504030201 0000 03");
    assert_eq!(exchange(&mut device, &bytes[bytes.len() - 1..]), confirmed);
    assert_eq!(hub.points("panel", "main_power_fault").len(), 1);
    let unclaimed = hub.api().get("/api/v1/devices/unclaimed").to_string();
    assert!(unclaimed.contains("ffeeddccbbaa"), "{unclaimed}");
    // The same over UDP, where the answer comes from the same port.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
        .send_to(&state(4, "060504030201"), hub.addr("fire.listen"))
        .unwrap();
    let mut answer = [0; 64];
    let (len, from) = socket.recv_from(&mut answer).unwrap();
    assert_eq!((len, from), (30, hub.addr("fire.listen")));
    assert_eq!(
        checked(&answer[..len]),
        hex("4040 0400 0101 385b01000000 060504030201 0000 03")
    );
    let (_, log) = hub.stop();
    assert!(!log.contains("panic"), "{log}");
    place.verify();
}

#[test]
fn a_guard_call_goes_to_the_device_and_his_reply_is_a_reading() {
    let place = place();
    let hub = start(&place);
    let mut device = connect(&hub);
    let now = stamp(now_ms());
    let heartbeat = frame(1, &now, "060504030201", &[]);
    exchange(&mut device, &heartbeat);
    assert_eq!(hub.points("panel", "heartbeat").len(), 1);
    let api = hub.api();
    let asked = std::thread::spawn(move || {
        let body = json!({"command": "guard_call", "args": {"minutes": 10}});
        api.post("/api/v1/devices/panel/commands", &body)
    });
    let mut call = [0; 33];
    device.read_exact(&mut call).unwrap();
    assert_eq!(
        call[12..30],
        hex("385b01000000 060504030201 0300 01 5b010a")
    );
    let mut confirmed = hex("4040 0000 0101 000000000000 060504030201 385b01000000 0000 03");
    confirmed[2..4].copy_from_slice(&call[2..4]);
    confirmed[6..12].copy_from_slice(&now);
    let sum = confirmed[2..]
        .iter()
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    confirmed.push(sum);
    confirmed.extend(b"##");
    device.write_all(&confirmed).unwrap();
    let answered = asked.join().unwrap();
    assert_eq!(answered.status, 200, "{}", answered.text());
    // 查岗应答 by operator 1.
    let reply = frame(
        2,
        &now,
        "060504030201",
        &[&[24, 1, 0x20, 1][..], &now].concat(),
    );
    exchange(&mut device, &reply);
    assert_eq!(hub.points("panel", "guard_reply").len(), 1);
    drop(hub.stop());
}
