//! A camera that is asked by RTSP OPTIONS: there, in trouble, gone, and back; and a web server in its place.

use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tests::audit;
use tests::hub::{Hub, Place, plain_config};
use tests::time::until;

const DRIVER: &str = r#"
[packs]
health = true
[drivers.probe]
kind = "camera_probe"
period_s = 1
backoff_max_s = 1
timeout_ms = 500
retries = 0
"#;

/// A server that answers whatever it is told to; nothing means that it hangs up.
struct Camera {
    port: u16,
    answer: Arc<Mutex<&'static str>>,
    asked: Arc<Mutex<String>>,
    _thread: JoinHandle<()>,
}

impl Camera {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = Arc::new(Mutex::new(""));
        let asked = Arc::new(Mutex::new(String::new()));
        let (told, heard) = (Arc::clone(&answer), Arc::clone(&asked));
        let serve = move |mut stream: TcpStream| {
            let mut bytes = [0; 512];
            let len = stream.read(&mut bytes).unwrap_or(0);
            *heard.lock().unwrap() = String::from_utf8_lossy(&bytes[..len]).into_owned();
            let answer = *told.lock().unwrap();
            // Byte by byte, as over a bad line.
            drop(stream.set_nodelay(true));
            answer.bytes().all(|byte| stream.write_all(&[byte]).is_ok())
        };
        let thread = std::thread::spawn(move || {
            listener.incoming().flatten().for_each(|stream| {
                serve(stream);
            });
        });
        Self {
            port,
            answer,
            asked,
            _thread: thread,
        }
    }

    fn answers(&self, text: &'static str) {
        *self.answer.lock().unwrap() = text;
    }
}

fn last(hub: &Hub, metric: &str) -> Option<f64> {
    let points = hub.points("cam-1", metric);
    points.last().and_then(|point| point[1].as_f64())
}

#[test]
fn a_camera_is_told_for_what_it_is_and_rings_when_it_is_gone() {
    let camera = Camera::start();
    camera.answers(
        "RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm=\"x\"\r\n\r\n",
    );
    let place = Place::with_config(&(plain_config() + DRIVER));
    let hub = place.start();
    hub.register(&json!([{"id": "cam-1", "kind": "camera", "cadence_s": 1,
        "identities": {"rtsp": format!("rtsp://admin:secret@127.0.0.1:{}/ch1", camera.port)}}]));
    until("the camera", || last(&hub, "online") == Some(1.0));
    assert_eq!(last(&hub, "fault"), Some(0.0));
    let asked = camera.asked.lock().unwrap().clone();
    let question = format!(
        "OPTIONS rtsp://127.0.0.1:{}/ch1 RTSP/1.0\r\nCSeq: 1\r\n",
        camera.port
    );
    assert!(
        asked.starts_with(&question) && !asked.contains("secret"),
        "{asked}"
    );

    camera.answers("RTSP/1.0 503 Service Unavailable\r\nCSeq: 1\r\n\r\n");
    until("its trouble", || last(&hub, "fault") == Some(1.0));
    assert_eq!(last(&hub, "online"), Some(1.0));

    camera.answers("HTTP/1.1 400 Bad Request\r\n\r\n");
    until("the web server in its place", || {
        last(&hub, "online") == Some(0.0)
    });
    camera.answers("RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n");
    until("the answer to another question", || {
        let counts = audit::ledger(&hub.api()).device("cam-1");
        ["wrong_service", "cseq_mismatch"]
            .iter()
            .all(|word| counts.rejected.contains_key(*word))
    });
    until("its silence", || {
        let alarms = hub.api().get("/api/v1/alarms");
        let items = alarms["items"].as_array().unwrap();
        items
            .iter()
            .any(|alarm| alarm["rule"] == "health.camera_silent")
    });
    let status = hub.api().get("/api/v1/devices/cam-1")["status"].clone();
    assert_eq!(status, "offline");

    camera.answers("RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n");
    until("its return", || last(&hub, "online") == Some(1.0));
    let counts = audit::ledger(&hub.api()).device("cam-1");
    assert_eq!(counts.received, counts.stored + counts.rejected_total());
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    place.verify();
}
