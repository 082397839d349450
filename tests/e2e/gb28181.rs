//! Cameras by GB/T 28181: raw bytes of the vectors, and the clients sipp and sipsak with their own digests.

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Command, Output};
use tests::audit;
use tests::hub::{Hub, Place, plain_config, root};
use tests::time::{PATIENCE, until};

const OPEN: &str = r#"
[drivers.cameras]
kind = "gb28181"
listen = "127.0.0.1:0"
"#;

const SECURED: &str = r#"
[drivers.cameras]
kind = "gb28181"
listen = "127.0.0.1:0"
server_id = "34020000002000000001"
password = "12345678"
"#;

const ID: &str = "34020000001320000001";

fn hub(driver: &str) -> (Place, Hub) {
    let place = Place::with_config(&(plain_config() + driver));
    let hub = place.start();
    (place, hub)
}

fn camera(id: &str, name: &str) -> Value {
    json!({"id": id, "kind": "camera", "cadence_s": 60, "identities": {"gb28181": name}})
}

/// A heartbeat as in the vectors, by its number.
fn heartbeat(number: usize, sender: &str, body: &str) -> String {
    format!(
        "MESSAGE sip:34020000002000000001@3402000000 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK-msg-{number};rport\r\n\
         From: <sip:{sender}@3402000000>;tag=m1\r\nTo: <sip:34020000002000000001@3402000000>\r\n\
         Call-ID: msg-{number}@192.168.1.20\r\nCSeq: 20 MESSAGE\r\nMax-Forwards: 70\r\n\
         Content-Type: Application/MANSCDP+xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn keepalive(sender: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><Notify><CmdType>Keepalive</CmdType><SN>7</SN>\
         <DeviceID>{sender}</DeviceID><Status>OK</Status></Notify>"
    )
}

struct Camera(UdpSocket, SocketAddr);

impl Camera {
    fn new(hub: &Hub) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket, hub.addr("cameras.listen_udp"))
    }

    fn ask(&self, text: &str) -> String {
        self.0.send_to(text.as_bytes(), self.1).unwrap();
        let mut heard = [0; 2_048];
        let (len, _) = self.0.recv_from(&mut heard).unwrap();
        String::from_utf8(heard[..len].to_vec()).unwrap()
    }
}

fn values(hub: &Hub, device: &str, metric: &str) -> Vec<f64> {
    let points = hub.points(device, metric);
    points
        .iter()
        .map(|point| point[1].as_f64().unwrap())
        .collect()
}

#[test]
fn a_heartbeat_is_stored_once_however_often_it_comes_and_a_stranger_is_forbidden() {
    let (place, hub) = hub(OPEN);
    hub.register(&json!([camera("cam-1", ID)]));
    let peer = Camera::new(&hub);
    let first = peer.ask(&heartbeat(1, ID, &keepalive(ID)));
    let port = peer.0.local_addr().unwrap().port();
    let head = format!(
        "SIP/2.0 200 OK\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK-msg-1;rport={port};received=127.0.0.1\r\n\
         From: <sip:{ID}@3402000000>;tag=m1\r\n\
         To: <sip:34020000002000000001@3402000000>;tag="
    );
    assert!(first.starts_with(&head), "{first}");
    assert!(first.contains("\r\nCall-ID: msg-1@192.168.1.20\r\nCSeq: 20 MESSAGE\r\n"));
    // The answer got lost: the same request, the same answer, nothing stored twice.
    assert_eq!(peer.ask(&heartbeat(1, ID, &keepalive(ID))), first);
    assert_eq!(values(&hub, "cam-1", "online"), [1.0]);

    let stranger = "34020000001320009999";
    let said = peer.ask(&heartbeat(2, stranger, &keepalive(stranger)));
    assert!(said.starts_with("SIP/2.0 403 "), "{said}");
    until("the stranger among the unclaimed", || {
        let unclaimed = hub.api().get("/api/v1/devices/unclaimed").to_string();
        unclaimed.contains(stranger)
    });
    // What the field does otherwise, and what must not be taken.
    let query = keepalive(ID).replace("Notify", "Query").replace("OK", "ON");
    assert!(
        peer.ask(&heartbeat(3, ID, &query))
            .starts_with("SIP/2.0 200 ")
    );
    let bomb = "<!DOCTYPE l [<!ENTITY a \"aaaa\">]><Notify><CmdType>&a;</CmdType></Notify>";
    assert!(
        peer.ask(&heartbeat(4, ID, bomb))
            .starts_with("SIP/2.0 400 ")
    );
    let counts = audit::ledger(&hub.api()).device("cam-1");
    assert_eq!((counts.received, counts.stored), (5, 4));
    assert_eq!(counts.rejected.get("dtd_forbidden"), Some(&1));

    // Signing off is told at once.
    let off = heartbeat(5, ID, "")
        .replace("MESSAGE", "REGISTER")
        .replace("Max-", "Expires: 0\r\nMax-");
    assert!(peer.ask(&off).starts_with("SIP/2.0 200 "));
    assert_eq!(values(&hub, "cam-1", "online").last(), Some(&0.0));
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    place.verify();
}

#[test]
fn a_camera_that_falls_silent_is_told_to_be_down_and_rings() {
    let driver = format!("{OPEN}heartbeat_s = 1\nheartbeats_missed_max = 2\n");
    let (_place, hub) = hub(&driver);
    let mut silent = camera("cam-1", ID);
    silent.as_object_mut().unwrap().remove("cadence_s");
    hub.register(&json!([silent]));
    hub.rule(
        "camera_down",
        &json!({"kind": "threshold", "title": "视频探头离线", "select": {"kind": "camera"},
                "metric": "online", "below": 0.5, "severity": "minor"}),
    );
    let peer = Camera::new(&hub);
    assert!(
        peer.ask(&heartbeat(1, ID, &keepalive(ID)))
            .starts_with("SIP/2.0 200 ")
    );
    until("its alarm", || {
        let alarms = hub.api().get("/api/v1/alarms");
        let items = alarms["items"].as_array().unwrap();
        items
            .iter()
            .any(|alarm| alarm["rule"] == "camera_down" && alarm["device"] == "cam-1")
    });
    assert_eq!(values(&hub, "cam-1", "online"), [1.0, 0.0]);
}

#[test]
fn a_recorder_speaks_for_its_channels_over_tcp_beside_some_that_never_finish_a_message() {
    let (_place, hub) = hub(OPEN);
    let mut channel = camera("cam-2", "34020000001320000002");
    channel["parent"] = json!("nvr");
    hub.register(&json!([camera("nvr", "34020000001110000001"), channel]));
    let dial = || {
        let stream = TcpStream::connect(hub.addr("cameras.listen")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let mut loiterers: Vec<_> = (0..50).map(|_| dial()).collect();
    for loiterer in &mut loiterers {
        loiterer
            .write_all(b"MESSAGE sip:x SIP/2.0\r\nVia: SIP/2.0/TC")
            .unwrap();
    }
    // The body of the vector: channel 2 is at fault.
    let body = "<?xml version=\"1.0\" encoding=\"GB2312\"?>\r\n<Notify>\r\n\
        <CmdType>Keepalive</CmdType>\r\n<SN>2034</SN>\r\n\
        <DeviceID>34020000001110000001</DeviceID>\r\n<Status>OK</Status>\r\n<Info>\r\n\
        <DeviceID>34020000001320000002</DeviceID>\r\n</Info>\r\n</Notify>\r\n";
    let beat = |number| heartbeat(number, "34020000001110000001", body);
    let mut line = dial();
    line.set_nodelay(true).unwrap();
    line.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    for byte in beat(1).as_bytes() {
        line.write_all(&[*byte]).unwrap();
    }
    hear(&mut line, 1);
    line.write_all((beat(2) + "\r\n\r\n" + &beat(3)).as_bytes())
        .unwrap();
    hear(&mut line, 2);
    assert_eq!(values(&hub, "nvr", "online"), [1.0, 1.0, 1.0]);
    assert_eq!(values(&hub, "cam-2", "online"), [0.0]);
}

/// Waits for so many answers.
fn hear(line: &mut TcpStream, answers: usize) {
    let mut heard = String::new();
    while heard.matches("SIP/2.0 200 OK").count() < answers || !heard.ends_with("\r\n\r\n") {
        let mut bytes = [0; 4_096];
        let len = line.read(&mut bytes).unwrap();
        assert!(len > 0, "{heard}");
        heard += std::str::from_utf8(&bytes[..len]).unwrap();
    }
}

fn words(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(error)
    )
}

/// Has sipp play so many cameras at once, each with a digest of its own.
fn sipp(place: &Place, hub: &Hub, transport: &str, cameras: usize) {
    let mut table = "SEQUENTIAL\n".to_owned();
    for number in 0..cameras {
        let id = name(number);
        writeln!(
            table,
            "{id};[authentication username={id} password=12345678]"
        )
        .unwrap();
    }
    std::fs::write(place.path().join("cameras.csv"), table).unwrap();
    let output = Command::new("sipp")
        .arg(hub.addr("cameras.listen").to_string())
        .args([
            "-sf",
            root()
                .join("tests/foreign/sipp_camera.xml")
                .to_str()
                .unwrap(),
        ])
        .args(["-inf", "cameras.csv", "-t", transport, "-i", "127.0.0.1"])
        .args([
            "-m",
            &cameras.to_string(),
            "-l",
            &cameras.to_string(),
            "-r",
            "400",
        ])
        .args([
            "-max_socket",
            "4000",
            "-nostdin",
            "-timeout",
            "60",
            "-timeout_error",
        ])
        .current_dir(place.path())
        .output()
        .expect("sipp is installed (Debian: sip-tester)");
    assert!(output.status.success(), "{}", words(&output));
}

fn name(number: usize) -> String {
    format!("3402000000132{number:07}")
}

#[test]
fn a_thousand_cameras_of_sipp_register_with_their_digests_and_beat() {
    const CAMERAS: usize = 1_000;
    let (place, hub) = hub(SECURED);
    let all: Vec<_> = (0..CAMERAS)
        .map(|n| camera(&format!("cam-{n}"), &name(n)))
        .collect();
    hub.register(&json!(all));
    sipp(&place, &hub, "u1", CAMERAS);
    let counts = audit::ledger(&hub.api()).driver("cameras");
    // A registration, and two heartbeats of two values.
    assert_eq!((counts.stored, counts.rejected_total()), (5_000, 0));
    // The same over as many connections.
    sipp(&place, &hub, "tn", CAMERAS);
    let counts = audit::ledger(&hub.api()).driver("cameras");
    assert_eq!((counts.stored, counts.rejected_total()), (10_000, 0));
}

#[test]
fn sipsak_asks_for_options_and_registers_with_the_right_password_only() {
    let (_place, hub) = hub(SECURED);
    hub.register(&json!([camera("cam-1", ID)]));
    let address = hub.addr("cameras.listen");
    let sipsak = |args: &[&str]| {
        let output = Command::new("sipsak").args(args).output();
        output.expect("sipsak is installed")
    };
    let output = sipsak(&["-v", "-s", &format!("sip:hub@{address}")]);
    assert!(output.status.success(), "{}", words(&output));
    let target = format!("sip:{ID}@{address}");
    let register = |password: &str| {
        let contact = format!("sip:{ID}@127.0.0.1:5060");
        sipsak(&[
            "-U", "-i", "-x", "600", "-C", &contact, "-u", ID, "-a", password, "-s", &target,
        ])
    };
    let output = register("wrong");
    assert!(!output.status.success(), "{}", words(&output));
    assert_eq!(values(&hub, "cam-1", "online"), Vec::<f64>::new());
    let output = register("12345678");
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(values(&hub, "cam-1", "online"), [1.0]);
}
