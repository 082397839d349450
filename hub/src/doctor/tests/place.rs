//! An installation on a machine that is made up: files, units, a hub and what it keeps.

use crate::config::{self, Loaded};
use crate::doctor::finding::Finding;
use crate::doctor::hub_process::{Answers, Holder};
use crate::doctor::scene::Scene;
use crate::doctor::{Machine, Subject, look};
use model::{Device, DeviceHealth, DeviceKey, DeviceStatus, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use store::{DatabaseVerdict, Delivery, StoredDevice, StoredRule, StoredStatus, Survey};
use tempfile::TempDir;

/// Stands in the configuration, and must not be told.
pub(super) const SECRET: &str = "Zk3vQ9xT7mB2wL5nR8cJ4hF6";

pub(super) const HOUR_MS: i64 = 3_600_000;
const HUB: u32 = 4_711;

pub(super) struct Place {
    root: TempDir,
    pub(super) now: Timestamp,
    pub(super) config: String,
    /// What `systemctl show` says, by unit.
    pub(super) units: BTreeMap<String, String>,
    pub(super) synchronised: Option<&'static str>,
    pub(super) holder: Option<Holder>,
    pub(super) answers: Answers,
    pub(super) survey: Option<Result<Survey, store::StoreError>>,
    pub(super) without_file: bool,
}

impl Default for Place {
    fn default() -> Self {
        let now = Timestamp::parse("2026-11-22T12:00:00Z").unwrap();
        let root = tempfile::tempdir().unwrap();
        let uid = root.path().metadata().unwrap().uid();
        let gid = root.path().metadata().unwrap().gid();
        let place = Self {
            now,
            config: format!(
                "data_dir = \"data\"\n[packs]\ngas = true\n[http]\nlisten = \"127.0.0.1:8080\"\n\
                 [auth.tokens.ops]\ntoken = \"{SECRET}\"\nrole = \"admin\"\n\
                 [drivers.ingest]\nkind = \"http\"\nlisten = \"127.0.0.1:8081\"\n"
            ),
            units: BTreeMap::new(),
            synchronised: Some("yes"),
            holder: Some(Holder {
                pid: HUB,
                name: "cityhub".to_owned(),
                program: Some("/usr/bin/cityhub".to_owned()),
            }),
            answers: Answers {
                ready: Some(Ok(())),
                health: Some(health()),
                unclaimed: Some(json!({"items": []})),
            },
            survey: Some(Ok(survey(now))),
            without_file: false,
            root,
        };
        let mut place = place;
        place.unit("cityhub.service", "ActiveState=active\nUnitFileState=enabled\nUser=cityhub\nNRestarts=0\nLimitNOFILE=262144");
        place.unit("cityhub-backup.timer", "ActiveState=active");
        place.unit("cityhub-backup.service", "ActiveState=inactive");
        place.file(
            "etc/passwd",
            &format!("root:x:0:0:::\ncityhub:x:{uid}:{gid}:::\n"),
        );
        place.file("etc/group", &format!("root:x:0:\ncityhub:x:{gid}:\n"));
        place.file(
            "proc/self/mountinfo",
            "1 0 254:0 / / rw,relatime - ext4 /dev/vda rw\n",
        );
        place.file("proc/sys/net/core/somaxconn", "4096\n");
        place.file("proc/sys/net/ipv4/ip_unprivileged_port_start", "1024\n");
        place.file("proc/meminfo", "MemTotal:        8000000 kB\n");
        place.file("proc/cpuinfo", "processor : 0\nprocessor : 1\n");
        place.file(
            &format!("proc/{HUB}/limits"),
            "Max open files            262144               262144               files\n",
        );
        place.listening("tcp", &[("0100007F:1F90", 1), ("0100007F:1F91", 2)]);
        place.owner(HUB, "cityhub", &[1, 2]);
        fs::create_dir(place.data()).unwrap();
        fs::set_permissions(place.data(), Permissions::from_mode(0o700)).unwrap();
        place.user();
        place
    }
}

impl Place {
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(super) fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), Permissions::from_mode(mode)).unwrap();
    }

    pub(super) fn unit(&mut self, name: &str, properties: &str) {
        let text = format!("LoadState=loaded\n{properties}\n");
        self.units.insert(name.to_owned(), text);
    }

    /// The same service with one property more, which wins.
    pub(super) fn service(&mut self, property: &str) {
        let unit = self.units.get_mut("cityhub.service").unwrap();
        unit.push_str(&format!("{property}\n"));
    }

    /// Sockets that listen, as the kernel lists them.
    pub(super) fn listening(&self, protocol: &str, sockets: &[(&str, u64)]) {
        let state = if protocol.starts_with("tcp") {
            "0A"
        } else {
            "07"
        };
        let mut text = "  sl  local_address rem_address   st …\n".to_owned();
        for (address, inode) in sockets {
            text.push_str(&format!(
                " 0: {address} 00000000:0000 {state} 0:0 00:0 0 0 0 {inode} 1 0\n"
            ));
        }
        self.file(&format!("proc/net/{protocol}"), &text);
    }

    pub(super) fn owner(&self, pid: u32, name: &str, inodes: &[u64]) {
        self.file(&format!("proc/{pid}/comm"), &format!("{name}\n"));
        fs::create_dir_all(self.path(&format!("proc/{pid}/fd"))).unwrap();
        for inode in inodes {
            let link = self.path(&format!("proc/{pid}/fd/{inode}"));
            std::os::unix::fs::symlink(format!("socket:[{inode}]"), link).unwrap();
        }
    }

    /// The hub is stopped, in order.
    pub(super) fn stopped(&mut self) {
        self.holder = None;
        self.answers = Answers::default();
        self.listening("tcp", &[]);
    }

    /// The user of the service is another one than the owner of all files.
    pub(super) fn foreign(&self) {
        let uid = self.root.path().metadata().unwrap().uid() + 1;
        self.file("etc/passwd", &format!("cityhub:x:{uid}:{uid}:::\n"));
        self.file("etc/group", &format!("cityhub:x:{uid}:\n"));
    }

    fn user(&self) {
        let user = json!({"display_name": "", "role": "admin", "enabled": true,
            "must_change_password": false, "created_at": "2026-01-01T00:00:00Z",
            "password": {"algorithm": "argon2id", "memory_kib": 8, "passes": 1, "lanes": 1,
                "salt": "c2FsdA", "hash": "aGFzaA"}});
        let access = json!({"tokens": {}, "users": {"me": user}});
        self.file("data/access.json", &access.to_string());
    }

    pub(super) fn survey(&mut self) -> &mut Survey {
        self.survey.as_mut().unwrap().as_mut().unwrap()
    }

    pub(super) fn health(&mut self) -> &mut Value {
        self.answers.health.as_mut().unwrap()
    }

    fn machine(&self) -> Machine {
        let (units, synchronised) = (self.units.clone(), self.synchronised);
        let run = move |program: &str, args: &[&str]| match program {
            "systemctl" => Some(
                units
                    .get(args[1])
                    .cloned()
                    .unwrap_or_else(|| "LoadState=not-found\n".to_owned()),
            ),
            "timedatectl" => synchronised.map(|word| format!("{word}\n")),
            _ => None,
        };
        Machine::made(self.root.path(), self.now, Box::new(run))
    }

    fn load(&self) -> (Subject, Result<Loaded, config::ConfigError>) {
        let file = self.path("hub.toml");
        if !file.exists() {
            fs::write(&file, &self.config).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        }
        let subject = Subject {
            config: (!self.without_file).then_some(file),
            data_dir: self.without_file.then(|| self.data()),
            token: None,
        };
        let loaded = config::load(subject.config.as_deref(), subject.data_dir.as_deref());
        (subject, loaded)
    }

    /// Makes every check.
    pub(super) fn look(&self) -> Vec<Finding> {
        let machine = self.machine();
        let (subject, loaded) = self.load();
        let mut scene = Scene::of(&loaded, &subject, &machine);
        scene.holder = self.holder.clone();
        scene.answers = self.answers.clone();
        scene.survey = match &self.survey {
            Some(Ok(survey)) => Some(Ok(copy(survey))),
            Some(Err(error)) => Some(Err(store::StoreError::Damaged(error.to_string()))),
            None => scene.survey,
        };
        look(&scene)
    }
}

pub(super) fn stored(key: u32, fields: Value) -> StoredDevice {
    let device: Device = serde_json::from_value(fields).unwrap();
    StoredDevice {
        key: DeviceKey(key),
        device,
        secret_hash: None,
        grid: None,
    }
}

pub(super) fn status(key: u32, status: DeviceStatus) -> StoredStatus {
    let since = Timestamp::from_millis(0);
    StoredStatus {
        key: DeviceKey(key),
        health: DeviceHealth {
            status,
            since,
            cause: None,
        },
        memory: String::new(),
    }
}

fn survey(now: Timestamp) -> Survey {
    let ago = |hours: i64| Timestamp::from_millis(now.millis() - hours * HOUR_MS);
    let rule = json!({"title": "t", "kind": "threshold", "select": {"kind": "gas_pressure"},
        "metric": "pressure_kpa", "above": 400.0, "severity": "major"});
    Survey {
        format: 2,
        known_format: 2,
        database: DatabaseVerdict::Whole,
        segments: 12,
        faulty_segments: Vec::new(),
        bytes_by_day: BTreeMap::new(),
        devices: vec![stored(1, json!({"id": "gas-1", "kind": "gas_pressure"}))],
        statuses: vec![status(1, DeviceStatus::Online)],
        rules: vec![StoredRule {
            id: "r".to_owned(),
            revision: 1,
            spec: rule,
        }],
        deliveries: vec![Delivery {
            name: "platform".to_owned(),
            json: "{}".to_owned(),
            lag_events: 0,
            owed_since: None,
            parked: 0,
        }],
        last_stamp: now,
        last_backup: Some(ago(9)),
    }
}

fn copy(survey: &Survey) -> Survey {
    Survey {
        database: survey.database.clone(),
        faulty_segments: survey.faulty_segments.clone(),
        bytes_by_day: survey.bytes_by_day.clone(),
        devices: survey.devices.clone(),
        statuses: survey.statuses.clone(),
        rules: survey.rules.clone(),
        deliveries: survey.deliveries.clone(),
        ..*survey
    }
}

fn health() -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "clock": {"moved_ms": 3},
        "canary": {"state": "passing"},
        "drivers": {"ingest": {"state": "up", "restarts": 0, "last_error": null}},
        "sinks": {"platform": {"last_error": "connection refused"}},
    })
}

/// A certificate of its own with its key, in two files.
pub(super) fn certificate(
    place: &Place,
    (cert, key): (&str, &str),
    (from, to): (i32, i32),
    names: &[&str],
) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 12, 10);
    let pair = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&pair).unwrap();
    place.file(cert, &made.pem());
    place.file(key, &pair.serialize_pem());
}
