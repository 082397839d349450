//! A server with the write API of `InfluxDB` 2 that is strict: every request and every line must be as the documentation
//! has it. It fails as it is told to, and forgets as a server does whose answers are not durable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

pub const ORG: &str = "city";
pub const BUCKET: &str = "telemetry";
pub const TOKEN: &str = "token-of-the-long-term-store";

/// Device, field and time in milliseconds.
pub type Key = (String, String, i64);

/// A device, its fields and a time in milliseconds.
type Line = (String, Vec<(String, f64)>, i64);

/// How the server answers one request instead of doing what it should.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// A status with header fields of its own and a body.
    Status(u16, &'static str, &'static str),
    /// No answer, for as long as the other side waits.
    Hang,
    /// The lines are taken, and the answer breaks off in the middle of its head.
    CutShort,
}

/// What the server has and knows.
#[derive(Debug, Default)]
pub struct Ledger {
    pub points: BTreeMap<Key, f64>,
    /// Requests to write that were answered with 204.
    pub taken: usize,
    /// Requests to write, all of them.
    pub asked: usize,
    /// Lines of all requests that were answered with 204.
    pub lines: usize,
    /// What was wrong with requests, other than what was meant to be.
    pub complaints: Vec<String>,
    pub troubles: VecDeque<Trouble>,
    /// Fields of these devices are of another type: their lines are refused, the others of the request taken.
    pub conflicts: BTreeSet<String>,
}

/// The server; it outlives its own crash.
#[derive(Debug)]
pub struct Influx {
    ledger: Arc<Mutex<Ledger>>,
    addr: SocketAddr,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    stop: Arc<AtomicBool>,
    peers: Arc<Mutex<Vec<TcpStream>>>,
    accepting: JoinHandle<()>,
}

impl Drop for Influx {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Influx {
    pub fn start() -> Self {
        let mut influx = Self {
            ledger: Arc::default(),
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            running: None,
        };
        influx.start_again();
        influx
    }

    /// Listens again, at the same address.
    pub fn start_again(&mut self) {
        let listener = TcpListener::bind(self.addr).expect("a port of the loopback");
        self.addr = listener.local_addr().expect("it is bound");
        let (stop, peers) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let ledger = Arc::clone(&self.ledger);
        let (stopped, open) = (Arc::clone(&stop), Arc::clone(&peers));
        let accepting = std::thread::spawn(move || accept(&listener, &ledger, (&stopped, &open)));
        self.running = Some(Running {
            stop,
            peers,
            accepting,
        });
    }

    /// Ends at once: connections break, and nobody listens any more.
    pub fn stop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        running.stop.store(true, Ordering::Release);
        // Wakes the one who accepts.
        drop(TcpStream::connect(self.addr));
        running.accepting.join().expect("it ends");
        for peer in running.peers.lock().expect("nobody panics").drain(..) {
            drop(peer.shutdown(Shutdown::Both));
        }
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("nobody panics with it")
    }

    pub fn trouble(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.ledger().troubles.extend(troubles);
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The table of the configuration, with more keys.
    pub fn config(&self, more: &str) -> String {
        format!(
            "[store.mirror.long_term]\nkind = \"influxdb\"\nurl = \"{}\"\norg = \"{ORG}\"\nbucket = \"{BUCKET}\"\n\
             token = \"{TOKEN}\"\n{more}\n",
            self.url()
        )
    }
}

fn accept(
    listener: &TcpListener,
    ledger: &Arc<Mutex<Ledger>>,
    (stop, peers): (&Arc<AtomicBool>, &Arc<Mutex<Vec<TcpStream>>>),
) {
    for stream in listener.incoming() {
        if stop.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let copy = stream.try_clone().expect("a handle more");
        peers.lock().expect("nobody panics").push(copy);
        let ledger = Arc::clone(ledger);
        std::thread::spawn(move || serve(stream, &ledger));
    }
}

/// A request as it came.
struct Asked {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    fields: BTreeMap<String, String>,
    body: String,
}

fn serve(stream: TcpStream, ledger: &Mutex<Ledger>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a handle more"));
    let mut stream = stream;
    while let Some(asked) = read(&mut reader) {
        if (asked.method.as_str(), asked.path.as_str()) != ("POST", "/api/v2/write") {
            let health = r#"{"name":"influxdb","status":"pass"}"#;
            let found = asked.path == "/health" && asked.method == "GET";
            answer(&mut stream, if found { 200 } else { 404 }, "", health);
            continue;
        }
        let trouble = {
            let mut ledger = ledger.lock().expect("nobody panics with it");
            ledger.asked += 1;
            ledger.troubles.pop_front()
        };
        match trouble {
            None => {
                let (status, body) = write(&asked, ledger);
                answer(&mut stream, status, "", &body);
            }
            Some(Trouble::Status(status, fields, body)) => {
                answer(&mut stream, status, fields, body);
            }
            Some(Trouble::Hang) => {
                // Until the other side gives up.
                drop(reader.read(&mut [0]));
                return;
            }
            Some(Trouble::CutShort) => {
                write(&asked, ledger);
                drop(stream.write_all(b"HTTP/1.1 204 No Con"));
                drop(stream.shutdown(Shutdown::Both));
                return;
            }
        }
    }
}

fn answer(stream: &mut TcpStream, status: u16, fields: &str, body: &str) {
    let length = match status {
        204 => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    let head = format!("HTTP/1.1 {status} As-It-Is\r\n{length}{fields}\r\n");
    let body = if status == 204 { "" } else { body };
    // The other side may have gone.
    drop(stream.write_all(format!("{head}{body}").as_bytes()));
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = || {
        let mut line = String::new();
        let count = reader.read_line(&mut line).ok()?;
        (count > 0).then(|| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let path = path.to_owned();
    let mut fields = BTreeMap::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        fields.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = fields.get("content-length").and_then(|n| n.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Asked {
        method,
        path,
        query,
        fields,
        body: String::from_utf8(body).ok()?,
    })
}

fn problem(code: &str, message: &str) -> String {
    serde_json::json!({"code": code, "message": message}).to_string()
}

/// Does what `POST /api/v2/write` does.
fn write(asked: &Asked, ledger: &Mutex<Ledger>) -> (u16, String) {
    let mut ledger = ledger.lock().expect("nobody panics with it");
    let is = |key: &str, value: &str| asked.query.get(key).is_some_and(|given| given == value);
    let token = format!("Token {TOKEN}");
    if asked.fields.get("authorization") != Some(&token) {
        return (401, problem("unauthorized", "unauthorized access"));
    }
    if !is("org", ORG) {
        return (404, problem("not found", "organization not found"));
    }
    if !is("bucket", BUCKET) {
        return (404, problem("not found", "bucket not found"));
    }
    if !is("precision", "ms") {
        ledger.complaints.push(format!("query: {:?}", asked.query));
        return (400, problem("invalid", "the precision is not ms"));
    }
    let (mut points, mut dropped) = (Vec::new(), 0);
    let mut lines = 0;
    for line in asked.body.split_terminator('\n') {
        let Some(of_line) = parse(line) else {
            ledger.complaints.push(line.to_owned());
            let message = format!("unable to parse '{line}'");
            return (400, problem("invalid", &message));
        };
        lines += 1;
        if ledger.conflicts.contains(&of_line.0) {
            dropped += 1;
            continue;
        }
        let (device, fields, at) = of_line;
        points.extend(
            fields
                .into_iter()
                .map(|(f, v)| ((device.clone(), f, at), v)),
        );
    }
    ledger.points.extend(points);
    if dropped > 0 {
        let message = format!(
            "partial write: field type conflict: input field \"x\" on measurement \"cityhub\" is type float, \
             already exists as type integer dropped={dropped}"
        );
        return (400, problem("invalid", &message));
    }
    ledger.taken += 1;
    ledger.lines += lines;
    (204, String::new())
}

/// Reads a line as it must be: the measurement `cityhub`, the tag `device`, float fields in the form of the
/// protocol, and a time. What these tests send needs no escapes.
fn parse(line: &str) -> Option<Line> {
    let mut parts = line.split(' ');
    let (series, fields, at) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let device = series.strip_prefix("cityhub,device=")?;
    let plain = |text: &str| !text.is_empty() && !text.contains([',', '=', '\\', '"', '\r']);
    let mut read = Vec::new();
    for field in fields.split(',') {
        let (name, number) = field.split_once('=')?;
        let is_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let number = Some(number).filter(|text| text.chars().all(is_number))?;
        let number: f64 = number.parse().ok()?;
        read.push((Some(name).filter(|name| plain(name))?.to_owned(), number));
    }
    let device = Some(device).filter(|device| plain(device))?;
    Some((device.to_owned(), read, at.parse().ok()?))
}
