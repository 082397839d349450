//! HJ 212 over TCP: bytes written by hand, a logger in another language, and very many connections.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use tests::audit;
use tests::hub::{Hub, Place, plain_config, root};
use tests::time::PATIENCE;

/// A frame of the vectors, by hand: dust 0.178 mg/m³ and 63.2 dB at 2026-03-01 08:05:00 in Beijing.
const FRAME: &[u8] = b"##0163QN=20260301080500123;ST=39;CN=2011;PW=123456;MN=010000A8900016F000169DC0;Flag=5;CP=&&DataTime=20260301080500;a34001-Rtd=0.178,a34001-Flag=N;LA-Rtd=63.2,LA-Flag=N&&2940\r\n";
const ACK: &[u8] = b"##0087QN=20260301080500123;ST=91;CN=9014;PW=123456;MN=010000A8900016F000169DC0;Flag=4;CP=&&&&2EC0\r\n";

/// 2026-03-01T00:05:00Z
const AT: i64 = 1_772_323_500_000;

/// A hub whose devices write dust in mg/m³.
fn site() -> (Place, Hub) {
    let config = r#"
[drivers.site]
kind = "hj212"
listen = "127.0.0.1:0"
[profiles.site]
codec = "hj212"
units = { a34001 = "mg/m3" }
"#;
    let place = Place::with_config(&(plain_config() + config));
    let hub = place.start();
    (place, hub)
}

/// Registers devices that have no secret, and so may show any PW.
fn register(hub: &Hub, devices: &Value) {
    let reply = hub.api().put("/api/v1/devices", devices);
    assert!((200..300).contains(&reply.status), "{}", reply.text());
}

fn dust(id: &str, mn: &str) -> Value {
    json!({"id": id, "kind": "dust", "profile": "site", "identities": {"hj212_mn": mn}})
}

fn dial(hub: &Hub) -> TcpStream {
    let stream = TcpStream::connect(hub.addr("site.listen")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn hear(stream: &mut TcpStream, expected: &[u8]) {
    let mut heard = vec![0; expected.len()];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(
        heard.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

#[test]
fn what_is_acknowledged_is_stored_once_whatever_comes_around_it() {
    let (_place, hub) = site();
    register(&hub, &json!([dust("dust-1", "010000A8900016F000169DC0")]));
    let mut device = dial(&hub);
    device.write_all(FRAME).unwrap();
    hear(&mut device, ACK);
    assert_eq!(
        hub.points("dust-1", "tsp_ugm3"),
        [json!([AT, 178.0, "good"])]
    );
    assert_eq!(
        hub.points("dust-1", "laeq_dba"),
        [json!([AT, 63.2, "good"])]
    );

    // Noise, a wrong sum, a wrong head; then the same again, byte by byte, and glued.
    let mut wrong = FRAME.to_vec();
    wrong[100] ^= 1;
    device.write_all(b"Real").unwrap();
    device.write_all(&wrong).unwrap();
    device.write_all(b"##00A1\r\n").unwrap();
    device.set_nodelay(true).unwrap();
    for byte in FRAME {
        device.write_all(&[*byte]).unwrap();
    }
    hear(&mut device, ACK);
    device.write_all(&[FRAME, FRAME].concat()).unwrap();
    hear(&mut device, &[ACK, ACK].concat());

    let ledger = audit::ledger(&hub.api());
    let counts = ledger.device("dust-1");
    assert_eq!(
        (counts.received, counts.stored, counts.duplicate),
        (8, 2, 6)
    );
    let refused = ledger.driver("site").rejected;
    let expected = [("noise", 1), ("crc_mismatch", 1), ("bad_length", 1)];
    for (reason, count) in expected {
        assert_eq!(refused.get(reason), Some(&count), "{reason} of {refused:?}");
    }
}

#[test]
fn a_device_that_nobody_registered_is_not_acknowledged_and_is_shown() {
    let (_place, hub) = site();
    register(&hub, &json!([dust("dust-1", "M1")]));
    let mut device = dial(&hub);
    device.write_all(FRAME).unwrap();
    // The next answer on the line is that of the known device: the unknown one got none.
    let head = "QN=20260301080500124;ST=39;CN=2011;PW=123456;MN=M1;Flag=5;";
    let known = Sum::frame(&format!("{head}CP=&&DataTime=20260301080500;LA-Rtd=60.0&&"));
    device.write_all(known.as_bytes()).unwrap();
    let answer = "QN=20260301080500124;ST=91;CN=9014;PW=123456;MN=M1;Flag=4;CP=&&&&";
    hear(&mut device, Sum::frame(answer).as_bytes());
    let unclaimed = hub.api().get("/api/v1/devices/unclaimed");
    let listed = unclaimed.to_string();
    assert!(listed.contains("010000A8900016F000169DC0"), "{listed}");
}

/// Whether people are offered a metric, as in the form of a rule.
fn is_offered(hub: &Hub, metric: &str) -> bool {
    hub.api().get("/api/v1/config/public")["metrics"][metric].is_object()
}

#[test]
fn a_logger_in_another_language_uploads_and_obeys() {
    let (place, hub) = site();
    register(&hub, &json!([dust("dust-1", "LOGGER01")]));
    assert!(is_offered(&hub, "tsp_ugm3") && !is_offered(&hub, "hour_avg_tsp_ugm3"));
    let rule = json!({"title": "PM10", "kind": "threshold", "select": {}, "above": 150,
        "metric": "day_avg_pm10_ugm3", "severity": "minor"});
    hub.rule("pm10", &rule);
    assert!(is_offered(&hub, "day_avg_pm10_ugm3"));
    let addr: SocketAddr = hub.addr("site.listen");
    let mut logger = Command::new("python3")
        .arg(root().join("tests/foreign/hj212_site.py"))
        .args([
            "127.0.0.1",
            &addr.port().to_string(),
            "LOGGER01",
            "20260301",
            "3",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut said = BufReader::new(logger.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "ready");

    let api = hub.api();
    let order = |command: &str, args: Value| {
        let body = json!({"command": command, "args": args});
        api.post("/api/v1/devices/dust-1/commands", &body)
            .expect(200)["answer"]
            .clone()
    };
    assert_eq!(order("set_interval", json!({"seconds": 60})), json!({}));
    assert_eq!(order("read_interval", json!({})), json!({"seconds": 60}));
    let hour = json!({"from": "2026-03-01T05:00:00+08:00", "to": "2026-03-01T06:00:00+08:00"});
    assert_eq!(order("fetch_hours", hour), json!({"frames": 1}));

    let seen: Value = serde_json::from_str(&said.next().unwrap().unwrap()).unwrap();
    assert!(logger.wait().unwrap().success());
    assert_eq!(
        seen,
        json!({
            "acks": ["1013 9013", "2011 9014", "2011 9014", "2061 9014", "2061 9014", "2051 9014",
                     "2011 9014", "2061 9014"],
            "requests": ["1062 RtdInterval=60", "1061 ",
                         "2061 BeginTime=20260301050000,EndTime=20260301060000"],
        })
    );
    check_stored(&hub);
    assert!(is_offered(&hub, "hour_avg_tsp_ugm3") && !is_offered(&hub, "hour_avg_pm10_ugm3"));
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    place.verify();
}

/// What the logger's frames are in the hub.
fn check_stored(hub: &Hub) {
    let hour_ms: i64 = 3_600_000;
    let eight: i64 = 1_772_323_200_000;
    for (metric, expected) in [
        (
            "tsp_ugm3",
            vec![
                json!([eight, 178.0, "good"]),
                json!([eight + 30_000, 181.0, "uncertain:flag"]),
            ],
        ),
        ("fault", vec![json!([eight + 30_000, 1.0, "good"])]),
        ("laeq_dba", vec![json!([eight, 63.2, "good"])]),
        (
            "hour_avg_tsp_ugm3",
            vec![
                json!([eight - 3 * hour_ms, 111.0, "good"]),
                json!([eight - hour_ms, 150.0, "good"]),
            ],
        ),
        (
            "hour_max_tsp_ugm3",
            vec![json!([eight - hour_ms, 200.0, "good"])],
        ),
        (
            "hour_laeq_dba",
            vec![json!([eight - hour_ms, 61.5, "good"])],
        ),
        (
            "minute_avg_tsp_ugm3",
            vec![json!([eight - 600_000, 160.0, "good"])],
        ),
    ] {
        assert_eq!(hub.points("dust-1", metric), expected, "{metric}");
    }
    let counts = audit::ledger(&hub.api()).device("dust-1");
    assert_eq!((counts.stored, counts.duplicate), (10, 2));
    assert_eq!(counts.rejected.get("not_a_number"), Some(&1));
}

#[test]
fn a_thousand_connections_are_served_beside_some_that_never_finish_a_frame() {
    const DEVICES: usize = 1_000;
    let (_place, hub) = site();
    let devices: Vec<_> = (0..DEVICES)
        .map(|n| dust(&format!("d-{n}"), &format!("MN{n:04}")))
        .collect();
    register(&hub, &json!(devices));
    let mut loiterers: Vec<_> = (0..50).map(|_| dial(&hub)).collect();
    for loiterer in &mut loiterers {
        loiterer.write_all(b"##0163QN=2026030108").unwrap();
    }
    let mut lines: Vec<_> = (0..DEVICES).map(|_| dial(&hub)).collect();
    for (n, line) in lines.iter_mut().enumerate() {
        let head = format!(
            "QN=20260301080500{:03};ST=39;CN=2011;PW=1;MN=MN{n:04};Flag=5;",
            n % 1000
        );
        let frame = Sum::frame(&format!("{head}CP=&&DataTime=20260301080500;LA-Rtd=60.0&&"));
        line.write_all(frame.as_bytes()).unwrap();
    }
    for (n, line) in lines.iter_mut().enumerate() {
        let head = format!(
            "QN=20260301080500{:03};ST=91;CN=9014;PW=1;MN=MN{n:04};Flag=4;",
            n % 1000
        );
        hear(line, Sum::frame(&format!("{head}CP=&&&&")).as_bytes());
    }
    let counts = audit::ledger(&hub.api()).driver("site");
    assert_eq!((counts.received, counts.stored), (1_000, 1_000));
}

/// The checksum of annex A, bit by bit.
pub(crate) struct Sum;

impl Sum {
    fn of(segment: &[u8]) -> String {
        let mut register: u16 = 0xFFFF;
        for byte in segment {
            register = (register >> 8) ^ u16::from(*byte);
            for _ in 0..8 {
                let last = register & 1;
                register >>= 1;
                if last == 1 {
                    register ^= 0xA001;
                }
            }
        }
        format!("{register:04X}")
    }

    pub(crate) fn frame(segment: &str) -> String {
        format!(
            "##{:04}{segment}{}\r\n",
            segment.len(),
            Self::of(segment.as_bytes())
        )
    }
}
