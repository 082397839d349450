//! A pressure terminal that sends its raw frame: answered when it is stored, its records in the past.

use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use tests::audit;
use tests::hub::{Place, plain_config};
use tests::mqtt::{Client, Identity, Outcome, Version};
use tests::time::{PATIENCE, now_ms};

const DRIVER: &str = r#"
[drivers.terminals]
kind = "pressure_frame"
listen = "127.0.0.1:0"
"#;

/// CRC-16/MODBUS with its high byte first, and the end.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut crc = 0xffff_u16;
    for byte in &bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xa001
            } else {
                crc >> 1
            };
        }
    }
    bytes.extend(crc.to_be_bytes());
    bytes.extend([0x55, 0xaa]);
    bytes
}

/// 1.8 kPa now, 2.5 and 2.2 kPa ten and five minutes before, low alarm.
fn report(seconds: i64) -> Vec<u8> {
    let mut bytes = b"\xa5\x5a\x00\x00\x2dSHGS26030001\x8a\xba\x01\x2c\x00\x03\x00\x01".to_vec();
    bytes.extend([0, 0x14, 0, 0x23, 0, 0x12]);
    bytes.extend(u32::try_from(seconds).unwrap().to_be_bytes());
    bytes.extend([0, 0x19, 0, 0x16, 0, 0x12]);
    sealed(bytes)
}

#[test]
fn a_report_is_answered_over_tcp_and_udp_and_its_records_are_history() {
    let place = Place::with_config(&(plain_config() + DRIVER));
    let hub = place.start();
    hub.register(&json!([
        {"id": "gas-7", "kind": "gas_pressure", "identities": {"pressure_frame": "SHGS26030001"}},
    ]));
    let answer = sealed(b"\xa5\x5a\x00\x00\x15SHGS26030001".to_vec());
    let seconds = now_ms() / 1000 - 5;
    let mut terminal = TcpStream::connect(hub.addr("terminals.listen")).unwrap();
    terminal.set_read_timeout(Some(PATIENCE)).unwrap();
    terminal.write_all(b"\xa5noise").unwrap();
    for byte in report(seconds) {
        terminal.write_all(&[byte]).unwrap();
    }
    let mut heard = [0; 21];
    terminal.read_exact(&mut heard).unwrap();
    assert_eq!(heard[..], answer);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
        .send_to(&report(seconds), hub.addr("terminals.listen"))
        .unwrap();
    let (len, _) = socket.recv_from(&mut heard).unwrap();
    assert_eq!(heard[..len], answer);
    let ms = seconds * 1000;
    let expected = [
        json!([ms - 600_000, 2.5, "good"]),
        json!([ms - 300_000, 2.2, "good"]),
        json!([ms, 1.8, "good"]),
    ];
    assert_eq!(hub.points("gas-7", "pressure_kpa"), expected);
    assert_eq!(
        hub.points("gas-7", "pressure_low_alarm"),
        [json!([ms, 1.0, "good"])]
    );
    drop(hub.stop());
    place.verify();
}

/// MQTT 5 `Not authorized` and `Payload format invalid`.
const NOT_AUTHORIZED: u8 = 0x87;
const PAYLOAD_INVALID: u8 = 0x99;

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[test]
fn the_same_report_comes_as_digits_over_mqtt_and_http() {
    let profile = "[profiles.terminal]\ncodec = \"pressure_frame\"\nframe = \"/data\"\n";
    let place = Place::with_config(&(plain_config() + profile));
    let hub = place.start();
    hub.register(&json!([
        {"id": "gw", "kind": "gateway"},
        {"id": "gas-7", "kind": "gas_pressure", "parent": "gw", "profile": "terminal",
            "identities": {"pressure_frame": "SHGS26030001"}},
        {"id": "gas-8", "kind": "gas_pressure"},
    ]));
    let ms = now_ms() / 1000 * 1000 - 5_000;
    let report = report(ms / 1000);
    let topic = "GIOT-GW/UL/SHGS26030001";
    // The terminal itself, its gateway, and somebody else.
    for (device, answer) in [("gas-7", 0), ("gw", 0), ("gas-8", NOT_AUTHORIZED)] {
        let mut client = Client::connect(hub.mqtt(), Version::V5, &Identity::device(device));
        let sent = client.publish(topic, digits(&report).as_bytes());
        assert_eq!(sent, Outcome::Acked(answer), "{device}");
    }
    let mut gateway = Client::connect(hub.mqtt(), Version::V5, &Identity::device("gw"));
    let cut = digits(&report[..20]);
    let sent = gateway.publish(topic, cut.as_bytes());
    assert_eq!(sent, Outcome::Acked(PAYLOAD_INVALID));
    // A number that nobody registered, with a checksum that is right.
    let mut stranger = report[..report.len() - 4].to_vec();
    stranger[5] = b'A';
    let sent = gateway.publish(topic, digits(&sealed(stranger)).as_bytes());
    assert_eq!(sent, Outcome::Acked(NOT_AUTHORIZED));
    // Over HTTP the bytes, their digits, or JSON that holds them, by the profile of the terminal.
    let within = json!({"data": digits(&report)}).to_string();
    for body in [&report[..], digits(&report).as_bytes(), within.as_bytes()] {
        assert_eq!(hub.post("gas-7", body).status, 204);
    }
    let expected = [
        json!([ms - 600_000, 2.5, "good"]),
        json!([ms - 300_000, 2.2, "good"]),
        json!([ms, 1.8, "good"]),
    ];
    assert_eq!(hub.points("gas-7", "pressure_kpa"), expected);
    let counts = audit::ledger(&hub.api()).device("gas-7");
    assert_eq!((counts.stored, counts.duplicate), (9, 4 * 9));
    hub.stop();
    place.verify();
}
