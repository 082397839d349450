//! Modbus devices as the field has them, byte for byte by hand: a server that dies and comes back, and
//! a DTU that dials in.

use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tests::audit;
use tests::hub::{Hub, Place, plain_config};
use tests::time::{PATIENCE, until};

/// A pressure transmitter that answers every question with the same data.
struct Server {
    port: u16,
    ends: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Unit 1, function 3, six bytes: unit code 1 (kPa), one digit after the point, 3125.
const PRESSURE: [u8; 9] = [1, 3, 6, 0, 1, 0, 1, 0x0c, 0x35];
/// The same with 3134.
const HIGHER: [u8; 9] = [1, 3, 6, 0, 1, 0, 1, 0x0c, 0x3e];
/// Exception 4: the device failed.
const FAILED: [u8; 3] = [1, 0x83, 4];
/// Registers 2, 3 and 4 of unit 1, without the transaction before it.
const QUESTION: [u8; 10] = [0, 0, 0, 6, 1, 3, 0, 2, 0, 3];

impl Server {
    fn start(port: u16, answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                answer_all(stream, answer, &ended);
            }
        });
        Self { port, ends, thread }
    }

    /// Ends as a power cut does: connections and all.
    fn kill(self) -> u16 {
        self.ends.store(true, Ordering::Relaxed);
        // Wakes it where it waits for somebody.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        self.thread.join().unwrap();
        self.port
    }
}

fn answer_all(mut stream: TcpStream, answer: &[u8], ended: &AtomicBool) {
    let glance = Some(Duration::from_millis(20));
    stream.set_read_timeout(glance).unwrap();
    let mut asked = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let mut bytes = [0; 64];
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Ok(count) => asked.extend_from_slice(&bytes[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
        if asked.len() < 12 {
            continue;
        }
        assert_eq!(asked[2..], QUESTION, "one request for the three registers");
        let length = u8::try_from(answer.len()).unwrap();
        let reply = [&asked[..2], &[0, 0, 0, length], answer].concat();
        asked.clear();
        if stream.write_all(&reply).is_err() {
            return;
        }
    }
}

fn hub(driver: &str) -> (Place, Hub) {
    let place = Place::with_config(&format!("{}{driver}", plain_config()));
    let hub = place.start();
    (place, hub)
}

fn last(hub: &Hub, device: &str, metric: &str) -> Option<f64> {
    let points = hub.points(device, metric);
    points.last().and_then(|point| point[1].as_f64())
}

#[test]
fn a_device_that_dies_comes_back_and_fails_is_told_for_what_it_is() {
    let server = Server::start(0, &PRESSURE);
    let (place, hub) = hub(&format!(
        "[drivers.regulator_station]\nkind = \"modbus\"\nconnect = \"tcp://127.0.0.1:{}\"\n\
         [profiles.transmitter]\ncodec = \"modbus\"\nmap = \"pressure-i16\"\n",
        server.port
    ));
    hub.register(&json!([{
        "id": "gas-1", "kind": "gas_pressure", "profile": "transmitter",
        "identities": {"modbus": "regulator_station/1"},
    }]));
    until("the first reading", || {
        last(&hub, "gas-1", "pressure_kpa").is_some()
    });
    assert_eq!(last(&hub, "gas-1", "pressure_kpa"), Some(312.5));
    assert_eq!(last(&hub, "gas-1", "fault"), Some(0.0));

    let port = server.kill();
    until("a poll that finds nobody", || {
        let counts = audit::ledger(&hub.api()).device("gas-1");
        counts.rejected.contains_key("link_closed")
    });

    let server = Server::start(port, &HIGHER);
    until("a reading of the device that is back", || {
        last(&hub, "gas-1", "pressure_kpa") == Some(313.4)
    });

    let port = server.kill();
    let _server = Server::start(port, &FAILED);
    until("its fault", || last(&hub, "gas-1", "fault") == Some(1.0));
    let counts = audit::ledger(&hub.api()).device("gas-1");
    assert!(
        counts.rejected.contains_key("exception_device_failure"),
        "{counts:?}"
    );
    assert_eq!(counts.received, counts.stored + counts.rejected_total());

    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    place.verify();
}

/// A DTU that dials in and answers what it is asked; `answers` are sent one after the other, the
/// last again and again.
fn dial(
    hub: &Hub,
    registration: &'static [u8],
    answers: &'static [&'static [u8]],
) -> JoinHandle<()> {
    let address = hub.addr("dtus.connect");
    std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(registration).unwrap();
        let (last, first) = answers.split_last().unwrap();
        let mut answers = first.iter().chain(std::iter::repeat(last));
        let mut asked = [0; 8];
        while stream.read_exact(&mut asked).is_ok() {
            // Register 0 of unit 1, as captured from a real noise sensor.
            assert_eq!(asked, [1, 3, 0, 0, 0, 1, 0x84, 0x0a]);
            let answer = answers.next().unwrap();
            for byte in *answer {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
            }
        }
    })
}

#[test]
fn a_dtu_dials_in_is_polled_through_its_heartbeats_and_a_stranger_is_shown() {
    let (_place, hub) = hub(
        "[drivers.dtus]\nkind = \"modbus\"\nconnect = \"rtu+tcp-listen://127.0.0.1:0\"\n\
         map = \"rs485-noise\"\nperiod_s = 1\ntimeout_ms = 1000\n",
    );
    hub.register(&json!([
        {"id": "dtu-1", "kind": "gateway", "identities": {"dtu": "ZC1000"}},
        {"id": "noise-1", "kind": "noise", "parent": "dtu-1",
         "identities": {"modbus": "dtu-1/1"}},
    ]));
    let _stranger = dial(&hub, b"ZC2000", &[b""]);
    // Captured from a real sensor: 58.0, 49.0 and 47.0 dB; in between what DTUs do.
    let answers: &[&[u8]] = &[
        b"\x01\x03\x02\x02\x44\xb9\x17",
        b"www.usr.cn\x01\x03\x02\x01\xea\x38\x5b",
        // A wrong CRC: 44 instead of 4a at its end.
        b"\x01\x03\x02\x01\xd6\x38\x44",
        b"\x01\x03\x02www.usr.cn\x01\xd6\x38\x4a",
    ];
    let dtu = dial(&hub, b"ZC1000", answers);
    until("the last reading", || {
        last(&hub, "noise-1", "laeq_dba") == Some(47.0)
    });
    let points = hub.points("noise-1", "laeq_dba");
    let values: Vec<f64> = points
        .iter()
        .filter_map(|point| point[1].as_f64())
        .collect();
    assert_eq!(values[..3], [58.0, 49.0, 47.0]);
    let counts = audit::ledger(&hub.api()).device("noise-1");
    assert_eq!(counts.received, counts.stored + counts.rejected_total());
    until("the stranger among the unclaimed", || {
        let unclaimed = hub.api().get("/api/v1/devices/unclaimed").to_string();
        unclaimed.contains("ZC2000")
    });
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    dtu.join().unwrap();
}
