//! A truck by JT/T 808: registered, let in, located; answered to the byte, and stored once.

use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use tests::hub::{Place, plain_config};
use tests::time::{PATIENCE, now_ms};

const DRIVER: &str = r#"
[drivers.trucks]
kind = "jt808"
listen = "127.0.0.1:0"
"#;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
    let pair = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// Sends and reads so many bytes of an answer.
fn exchange(stream: &mut TcpStream, bytes: &[u8], len: usize) -> Vec<u8> {
    stream.write_all(bytes).unwrap();
    let mut answer = vec![0; len];
    stream.read_exact(&mut answer).unwrap();
    answer
}

fn sealed(mut plain: Vec<u8>) -> Vec<u8> {
    plain.push(plain.iter().fold(0, |sum, byte| sum ^ byte));
    let escaped = plain.iter().flat_map(|byte| match byte {
        0x7e => vec![0x7d, 2],
        0x7d => vec![0x7d, 1],
        byte => vec![*byte],
    });
    [vec![0x7e], escaped.collect(), vec![0x7e]].concat()
}

/// The time of Beijing in BCD, by `date`.
fn bcd(ms: i64) -> Vec<u8> {
    let output = std::process::Command::new("date")
        .args(["-d", &format!("@{}", ms / 1000), "+%y%m%d%H%M%S"])
        .env("TZ", "UTC-8")
        .output()
        .unwrap();
    hex(std::str::from_utf8(&output.stdout).unwrap())
}

#[test]
fn a_truck_is_located_and_answered_and_its_clock_may_lie() {
    let place = Place::with_config(&(plain_config() + DRIVER));
    let hub = place.start();
    hub.register(&json!([
        {"id": "truck-1", "kind": "truck", "identities": {"jt808": "112233445566"}},
    ]));
    let mut truck = TcpStream::connect(hub.addr("trucks.listen")).unwrap();
    truck.set_read_timeout(Some(PATIENCE)).unwrap();
    let at = now_ms() / 1000 * 1000 - 3_000;
    let mut located =
        hex("0200 001c 112233445566 0007 00000001 00000003 00ba7f0e 06e4f11c 0028 003c 0000");
    located.extend(bcd(at));
    let located = sealed(located);
    let answer = exchange(&mut truck, &located, 20);
    assert_eq!(
        answer,
        sealed(hex("8001 0005 112233445566 0000 0007 0200 00"))
    );
    // Sent again behind noise and in bytes, it is answered again and stored once.
    truck
        .write_all(b"(740190311185,1,001,ELOCK,3,529439)")
        .unwrap();
    for byte in &located[..located.len() - 1] {
        truck.write_all(&[*byte]).unwrap();
    }
    let answer = exchange(&mut truck, &located[located.len() - 1..], 20);
    assert_eq!(
        answer,
        sealed(hex("8001 0005 112233445566 0001 0007 0200 00"))
    );
    let points = hub.points("truck-1", "position");
    assert_eq!(points.len(), 1);
    assert_eq!(points[0][0], json!(at));
    assert_eq!(points[0][1]["lat"], json!(12.222_222));
    assert_eq!(
        hub.points("truck-1", "sos_alarm"),
        [json!([at, 1.0, "good"])]
    );
    // The location of the vectors is of 2018: it counts when it came.
    let before = now_ms();
    let old = hex(
        "7e0200002611223344556622b8000000010000000200ba7f0e07e4f11c0028003c000018071510101001040000006402020037577e",
    );
    let answer = exchange(&mut truck, &old, 20);
    assert_eq!(
        answer,
        sealed(hex("8001 0005 112233445566 0002 22b8 0200 00"))
    );
    let last = hub.points("truck-1", "position").pop().unwrap();
    assert_eq!(last[2], "uncertain:clock");
    assert!(last[0].as_i64().unwrap() >= before);
    let (_, log) = hub.stop();
    assert!(!log.contains("panic"), "{log}");
    place.verify();
}
