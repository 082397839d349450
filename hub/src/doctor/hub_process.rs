//! The hub that runs on a data directory: who holds its lock, and what it answers.

use super::machine::Machine;
use crate::config::Loaded;
use crate::probe::{self, Scheme};
use sdk::Role;
use serde_json::Value;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A process that holds the lock of the data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    /// As the system calls it.
    pub(crate) name: String,
    /// The path of its program; ` (deleted)` behind it when that was replaced.
    pub(crate) program: Option<String>,
}

impl Holder {
    pub(crate) fn is_hub(&self) -> bool {
        self.name.starts_with("cityhub")
    }
}

/// Finds who holds the lock: looking takes no lock.
pub(crate) fn holder(machine: &Machine, data_dir: &Path) -> Option<Holder> {
    let lock = data_dir.join("lock");
    let pid = in_locks(machine, &lock).or_else(|| in_open_files(machine, &lock))?;
    let name = machine.text(&format!("/proc/{pid}/comm"));
    Some(Holder {
        pid,
        name: name.unwrap_or_default().trim().to_owned(),
        program: machine.link(&format!("/proc/{pid}/exe")),
    })
}

/// In the list of all locks, which not every container has (proc_locks(5)).
fn in_locks(machine: &Machine, lock: &Path) -> Option<u32> {
    let inode = std::fs::metadata(lock).ok()?.ino();
    let locks = machine.text("/proc/locks")?;
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let is_flock = words.next() == Some("FLOCK");
        let pid: u32 = words.nth(2)?.parse().ok()?;
        let (_, number) = words.next()?.rsplit_once(':')?;
        (is_flock && number.parse() == Ok(inode)).then_some(pid)
    })
}

/// Among the open files of the processes that this user may look into. Only a hub keeps it open.
fn in_open_files(machine: &Machine, lock: &Path) -> Option<u32> {
    let lock = lock.canonicalize().ok()?;
    machine.who_has_open(&lock.to_string_lossy())
}

/// What the running hub says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// Whether it takes telemetry, or why not.
    pub(crate) ready: Option<Result<(), String>>,
    /// `GET /api/v1/health`; nothing without a token.
    pub(crate) health: Option<Value>,
    /// `GET /api/v1/devices/unclaimed`
    pub(crate) unclaimed: Option<Value>,
}

/// Asks the running hub as `cityhub health` does, and with a token for more.
pub(crate) fn ask(loaded: &Loaded, token: Option<&str>) -> Answers {
    // With port 0 the system chose one, which the configuration does not know.
    if loaded.config.http.listen.port() == 0 {
        return Answers::default();
    }
    let authority = probe::authority_of(loaded.config.http.listen);
    let by = match loaded.config.http.tls {
        Some(_) => Scheme::Https,
        None => Scheme::Http,
    };
    let ready = match probe::ask(&authority, by, false) {
        probe::Finding::Well | probe::Finding::Empty => Ok(()),
        probe::Finding::Unwell(reason) => Err(reason),
    };
    let token = token
        .map(str::to_owned)
        .or_else(|| of_configuration(loaded));
    let get = |path: &str| {
        let (status, body) = probe::fetch((&authority, by), path, token.as_deref()?).ok()?;
        (status == 200).then(|| serde_json::from_slice(&body).ok())?
    };
    Answers {
        ready: Some(ready),
        health: get("/api/v1/health"),
        unclaimed: get("/api/v1/devices/unclaimed"),
    }
}

/// A token of the configuration that may look at the hub.
fn of_configuration(loaded: &Loaded) -> Option<String> {
    let tokens = &loaded.config.auth.tokens;
    let roles = [
        Role::Admin,
        Role::Engineer,
        Role::Supervisor,
        Role::Officer,
        Role::Viewer,
    ];
    let found = roles
        .into_iter()
        .find_map(|role| tokens.values().find(|token| token.role == role))?;
    Some(found.token.reveal().to_owned())
}
