//! A hub as a process of its own: built once, started in a folder, stopped, killed, started again.

use crate::http::{Api, Reply, Request};
use crate::time::PATIENCE;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;

/// Lines of the log that may wait for the reader of it.
const LOG_LINES: usize = 10_000;

/// Tokens that every hub of these tests knows, one a role; the token is the role and these words.
const ROLES: [&str; 7] = [
    "admin",
    "engineer",
    "supervisor",
    "officer",
    "viewer",
    "auditor",
    "platform",
];

/// Gives the token of a role.
pub fn token(role: &str) -> String {
    format!("{role}-0123456789abcdef0123456789abcdef")
}

/// Gives the program: `CITYHUB_BIN`, or what cargo builds in the profile `CITYHUB_PROFILE`.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(path) = std::env::var_os("CITYHUB_BIN") {
            return PathBuf::from(path);
        }
        let profile = std::env::var("CITYHUB_PROFILE").unwrap_or_else(|_| "dev".to_owned());
        build(&profile)
    })
}

fn build(profile: &str) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "-p",
            "hub",
            "--bin",
            "cityhub",
            "--features",
            "influx",
            "--profile",
            profile,
        ])
        .args(["--message-format", "json"])
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "the hub builds");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the program")
}

/// Gives the top folder of the sources.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests lies in the root").to_owned()
}

/// A folder with a configuration and, later, data.
#[derive(Debug)]
pub struct Place {
    dir: tempfile::TempDir,
    env: Vec<(OsString, OsString)>,
}

/// A configuration with every listener on a free port of the loopback.
pub fn plain_config() -> String {
    let mut text = String::from(
        r#"data_dir = "data"
[city]
name = "示范市"
code = "350200"
time_zone = "Asia/Shanghai"
[http]
listen = "127.0.0.1:0"
[drivers.mqtt]
kind = "mqtt"
listen = "127.0.0.1:0"
[drivers.ingest]
kind = "http"
listen = "127.0.0.1:0"
"#,
    );
    for role in ROLES {
        let token = token(role);
        writeln!(
            text,
            "[auth.tokens.{role}]\ntoken = \"{token}\"\nrole = \"{role}\""
        )
        .expect("a text takes all");
    }
    text
}

impl Default for Place {
    fn default() -> Self {
        Self::with_config(&plain_config())
    }
}

impl Place {
    pub fn with_config(text: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder for the hub");
        std::fs::write(dir.path().join("hub.toml"), text).expect("the configuration is written");
        let mut place = Self {
            dir,
            env: Vec::new(),
        };
        // Many hubs run beside one another, on machines whose disks may be nearly full.
        place.set("CITYHUB__STORE__DISK__RESERVE_MB", "4");
        place.set("CITYHUB__STORE__DISK__WARN_FREE_PCT", "0");
        place
    }

    /// Sets a variable of the environment for every command that is started here.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.env.push((name.into(), value.into()));
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(args)
            .current_dir(self.dir.path())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command of the program to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program runs")
    }

    /// The same with something to read on stdin.
    pub fn run_with(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.command(args);
        let piped = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the program runs");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // A program that refuses at once reads nothing.
        drop(stdin.write_all(input.as_bytes()));
        drop(stdin);
        child.wait_with_output().expect("the program ends")
    }

    /// Demands that the stored history agrees with itself and with the engine.
    #[track_caller]
    pub fn verify(&self) {
        let output = self.run(&["verify", "--config", "hub.toml"]);
        assert_eq!(output.status.code(), Some(0), "verify: {}", words(&output));
    }

    /// Starts the hub and waits for its `ready` line.
    #[track_caller]
    pub fn start(&self) -> Hub {
        self.try_start().unwrap_or_else(|(status, log)| {
            panic!("the hub ended with {status} before it was ready:\n{log}")
        })
    }

    /// Starts the hub; gives how it ended and what it said when it does not become ready.
    pub fn try_start(&self) -> Result<Hub, (ExitStatus, String)> {
        let mut child = self
            .command(&["run", "--config", "hub.toml"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("stderr is piped");
        let (sender, lines) = sync_channel(LOG_LINES);
        let log = Arc::new(Mutex::new(String::new()));
        let copy = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = copy.lock().expect("no reader panics");
                log.push_str(&line);
                log.push('\n');
                // Nobody listens any more once the hub is ready.
                drop(sender.try_send(line));
            }
        });
        let mut hub = Hub {
            child,
            addresses: BTreeMap::new(),
            log,
            reader: Some(reader),
        };
        match wait_ready(&lines) {
            Ok(addresses) => {
                hub.addresses = addresses;
                Ok(hub)
            }
            Err(RecvTimeoutError::Timeout) => panic!("never ready:\n{}", hub.log()),
            Err(RecvTimeoutError::Disconnected) => {
                let status = hub.wait();
                Err((status, hub.log()))
            }
        }
    }
}

fn wait_ready(lines: &Receiver<String>) -> Result<BTreeMap<String, SocketAddr>, RecvTimeoutError> {
    loop {
        let line = lines.recv_timeout(PATIENCE * 2)?;
        let mut words = line.split_whitespace().skip_while(|word| *word != "ready");
        if words.next().is_none() {
            continue;
        }
        let addresses: BTreeMap<_, _> = words
            .filter_map(|word| word.split_once('='))
            .filter_map(|(name, addr)| Some((name.to_owned(), addr.parse().ok()?)))
            .collect();
        if addresses.contains_key("http") {
            return Ok(addresses);
        }
    }
}

/// Joins what a command printed.
pub fn words(output: &Output) -> String {
    format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A hub that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Hub {
    child: Child,
    addresses: BTreeMap<String, SocketAddr>,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Drop for Hub {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Hub {
    /// Gives the real address of a listener, such as `http` or `mqtt.listen`.
    #[track_caller]
    pub fn addr(&self, name: &str) -> SocketAddr {
        *self
            .addresses
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.addresses))
    }

    /// Lists the real addresses of all listeners by their names.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.addresses
            .iter()
            .map(|(name, addr)| (name.as_str(), *addr))
    }

    pub fn mqtt(&self) -> SocketAddr {
        self.addr("mqtt.listen")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives the API as somebody with this role.
    pub fn api_as(&self, role: &str) -> Api {
        Api {
            addr: self.addr("http"),
            token: token(role),
        }
    }

    /// Gives the API as an administrator.
    pub fn api(&self) -> Api {
        self.api_as("admin")
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("no reader panics").clone()
    }

    /// Registers devices; each gets the secret that [`secret`] tells.
    #[track_caller]
    pub fn register(&self, devices: &Value) {
        let mut devices = devices.clone();
        for device in devices.as_array_mut().expect("an array of devices") {
            let id = device["id"]
                .as_str()
                .expect("a device has an id")
                .to_owned();
            device["secret"] = json!(secret(&id));
        }
        let reply = self.api().put("/api/v1/devices", &devices);
        assert!((200..300).contains(&reply.status), "{}", reply.text());
    }

    /// Puts a rule.
    #[track_caller]
    pub fn rule(&self, id: &str, spec: &Value) {
        let reply = self.api().put(&format!("/api/v1/rules/{id}"), spec);
        assert!((200..300).contains(&reply.status), "{}", reply.text());
    }

    /// Sends telemetry over HTTP as a device does.
    pub fn post(&self, device: &str, body: &[u8]) -> Reply {
        let bearer = format!("Bearer {}", secret(device));
        let request = Request {
            method: "POST",
            path: &format!("/devices/{device}/telemetry"),
            headers: &[
                ("authorization", &bearer),
                ("content-type", "application/json"),
            ],
            body,
        };
        request
            .send(self.addr("ingest.listen"))
            .unwrap_or_else(|error| panic!("{device}: {error}"))
    }

    /// Sends telemetry over HTTP and demands that all of it is stored.
    #[track_caller]
    pub fn store(&self, device: &str, body: &Value) {
        let reply = self.post(device, body.to_string().as_bytes());
        assert_eq!(reply.status, 204, "{}", reply.text());
    }

    /// Gives all points of a series as the API shows them, page by page.
    #[track_caller]
    pub fn points(&self, device: &str, metric: &str) -> Vec<Value> {
        let path = format!(
            "/api/v1/devices/{device}/readings?metric={metric}&from=2020-01-01T00:00:00Z&to=2099-01-01T00:00:00Z"
        );
        let mut points = Vec::new();
        let mut page = self.api().get(&path);
        loop {
            points.extend(page["points"].as_array().expect("points").iter().cloned());
            let Some(cursor) = page["next"].as_str().map(str::to_owned) else {
                return points;
            };
            page = self.api().get(&format!("{path}&cursor={cursor}"));
        }
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) -> (ExitStatus, String) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.expect("kill runs").success(), "the hub still runs");
        let status = self.wait();
        (status, self.log())
    }

    /// Ends it as a power cut ends a process: at once, whatever it does.
    pub fn kill(mut self) {
        self.child.kill().expect("the hub still runs");
        self.wait();
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("the hub is a child");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log is read to its end");
        }
        status
    }
}

/// Gives the secret of a device of these tests.
pub fn secret(device: &str) -> String {
    format!("secret-of-{device}")
}
