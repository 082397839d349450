//! What can be wrong, one way for each outcome.

use super::place::{HOUR_MS, Place, SECRET, certificate, status, stored};
use crate::doctor::hub_process::{Answers, Holder};
use model::{DeviceStatus, Timestamp};
use serde_json::json;
use std::fs;
use store::DatabaseVerdict;

type Case = (&'static str, &'static str, fn(&mut Place));

const SERIAL: &str = "[drivers.line]\nkind = \"modbus\"\nconnect = \"rtu:///dev/ttyUSB0?baud=9600\"\nmap = \"rs485-noise\"\n";

pub(super) const CASES: &[Case] = &[
    ("config", "mistake", |place| {
        place.config = place.config.replace("listen", "lisen");
    }),
    ("config", "none", |place| place.without_file = true),
    ("config-files", "wrong", |place| {
        place
            .config
            .push_str("[city]\ngrid = \"nowhere.geojson\"\n");
    }),
    ("config-mode", "open", |place| {
        place.file("hub.toml", &place.config);
        place.mode("hub.toml", 0o644);
    }),
    ("config-mode", "closed", foreign),
    ("credentials", "no-key", |place| {
        secret(place, "webhook-secret", 0o600, SECRET);
    }),
    ("credentials", "open", |place| {
        secret(place, "CITYHUB__A__B", 0o644, SECRET);
    }),
    ("credentials", "empty", |place| {
        secret(place, "CITYHUB__A__B", 0o600, "");
    }),
    ("rules", "wrong", |place| {
        place.config = format!("rules = \"rules.d\"\n{}", place.config);
        place.file("rules.d/a.toml", &rule("metric = \"pressure_psi\""));
    }),
    ("rules", "unroutable", |place| {
        place.config = format!("rules = \"rules.d\"\n{}", place.config);
        let known = rule("metric = \"pressure_kpa\"");
        place.file("rules.d/a.toml", &format!("{known}category = \"9999\"\n"));
    }),
    ("rules", "none", |place| {
        place.config = place.config.replace("gas = true", "gas = false");
        place.survey().rules.clear();
    }),
    ("coverage", "unwatched", |place| {
        place
            .survey()
            .devices
            .push(stored(2, json!({"id": "n-1", "kind": "noise"})));
    }),
    ("data-folder", "missing", |place| {
        fs::remove_dir_all(place.data()).unwrap();
        place.stopped();
    }),
    ("data-folder", "no-folder", |place| {
        fs::remove_dir_all(place.data()).unwrap();
        place.file("data", "");
        place.stopped();
    }),
    ("data-folder", "open", |place| place.mode("data", 0o755)),
    ("data-folder", "no-user", |place| {
        place.service("User=nobody-here");
    }),
    ("data-folder", "owner", foreign),
    ("file-system", "untold", |place| {
        place.file("proc/self/mountinfo", "");
    }),
    ("file-system", "read-only", |place| {
        mounted(place, "ro", "ext4");
    }),
    ("file-system", "network", |place| {
        mounted(place, "rw", "nfs4");
    }),
    ("file-system", "volatile", |place| {
        mounted(place, "rw", "tmpfs");
    }),
    ("format", "newer", |place| place.survey().format = 3),
    ("format", "older", |place| place.survey().format = 1),
    ("lock", "free", Place::stopped),
    ("lock", "other", |place| {
        place.stopped();
        place.holder = Some(Holder {
            pid: 77,
            name: "rsync".to_owned(),
            program: None,
        });
    }),
    ("lock", "unclean", |place| {
        place.stopped();
        place.file("data/main.db-wal", "left");
    }),
    ("journal", "none", |place| place.survey = None),
    ("journal", "damaged", |place| {
        place.survey().database = DatabaseVerdict::Faulty("page 7 is never used".to_owned());
    }),
    ("journal", "unfinished", |place| {
        place.survey().database = DatabaseVerdict::Unfinished;
    }),
    ("journal", "unreadable", |place| {
        // No database, but a file of its name.
        place.survey = None;
        place.stopped();
        fs::create_dir(place.path("data/main.db")).unwrap();
    }),
    ("segments", "faulty", |place| {
        place
            .survey()
            .faulty_segments
            .push("segment 4 has 3 bytes instead of 9".to_owned());
    }),
    ("backup", "never", |place| place.survey().last_backup = None),
    ("backup", "old", |place| {
        let at = Timestamp::from_millis(place.now.millis() - 51 * HOUR_MS);
        place.survey().last_backup = Some(at);
    }),
    ("clock", "alone", |place| place.synchronised = Some("no")),
    ("clock", "untold", |place| place.synchronised = None),
    ("time-jump", "ahead", |place| {
        place.survey().last_stamp = Timestamp::from_millis(place.now.millis() + 6_000);
    }),
    ("time-jump", "set", |place| {
        place.health()["clock"]["moved_ms"] = json!(-61_000);
    }),
    ("ports", "taken", |place| {
        place.stopped();
        place.listening("tcp", &[("00000000:1F90", 9)]);
        place.owner(77, "nginx", &[9]);
    }),
    ("ports", "silent", |place| {
        place.listening("tcp", &[("0100007F:1F90", 1)]);
    }),
    // TEST-NET-1 of RFC 5737 is on no machine.
    ("ports", "elsewhere", |place| {
        place.config = place.config.replace("127.0.0.1:8081", "192.0.2.7:8081");
    }),
    ("ports", "privileged", |place| {
        place.stopped();
        place.config = place.config.replace("127.0.0.1:8081", "127.0.0.1:81");
    }),
    ("firewall", "untold", |place| {
        place.config = place.config.replace("127.0.0.1:8081", "0.0.0.0:8081");
    }),
    ("tls", "unusable", |place| {
        tls(place);
        certificate(place, ("other.crt", "server.key"), (2020, 2040), &["hub"]);
    }),
    ("tls", "plain", |place| {
        place.config = place.config.replace("127.0.0.1:8080", "0.0.0.0:8080");
    }),
    ("tls", "expired", |place| {
        tls(place);
        certificate(place, ("server.crt", "server.key"), (2020, 2025), &["hub"]);
    }),
    ("tls", "future", |place| {
        tls(place);
        certificate(place, ("server.crt", "server.key"), (2027, 2040), &["hub"]);
    }),
    ("tls", "ending", |place| {
        tls(place);
        certificate(place, ("server.crt", "server.key"), (2020, 2026), &["hub"]);
    }),
    ("tls", "nameless", |place| {
        tls(place);
        certificate(place, ("server.crt", "server.key"), (2020, 2040), &[]);
    }),
    ("sign-in", "unreadable", |place| {
        place.file("data/access.json", "{");
    }),
    ("sign-in", "nobody", |place| {
        place.file("data/access.json", "{\"tokens\":{}}");
        place.config = place.config.replace(
            &format!("[auth.tokens.ops]\ntoken = \"{SECRET}\"\nrole = \"admin\"\n"),
            "",
        );
    }),
    ("sign-in", "no-admin", |place| {
        place.file("data/access.json", "{\"tokens\":{}}");
    }),
    ("tokens", "weak", |place| {
        place.config = place.config.replace(SECRET, "demo-admin-0123456789abcdef");
    }),
    ("tokens", "demo", |place| {
        place.config = place.config.replace("127.0.0.1:8080", "0.0.0.0:8080");
        place.config.push_str("[city]\ndemo = true\n");
    }),
    ("hub", "stopped", Place::stopped),
    ("hub", "silent", |place| {
        place.answers.ready = Some(Err("connection refused".to_owned()));
    }),
    ("hub", "untold", |place| {
        place.answers = Answers {
            ready: Some(Ok(())),
            ..Answers::default()
        };
    }),
    ("version", "replaced", |place| {
        program(place, "/usr/bin/cityhub (deleted)");
    }),
    ("version", "other", |place| {
        place.health()["version"] = json!("0.0.1");
    }),
    ("version", "elsewhere", |place| {
        place.file("usr/bin/cityhub", "one");
        place.file("opt/cityhub", "other");
        program(place, "/opt/cityhub");
    }),
    ("canary", "broken", |place| {
        place.health()["canary"] =
            json!({"state": "failing", "stage": "rule", "reason": "no alarm"});
    }),
    ("canary", "off", |place| {
        place.health()["canary"] = json!(null);
    }),
    ("drivers", "down", |place| {
        place.health()["drivers"]["ingest"]["state"] = json!("restarting");
    }),
    ("drivers", "restarted", |place| {
        place.health()["drivers"]["ingest"]["restarts"] = json!(3);
    }),
    ("devices", "none", |place| place.survey().devices.clear()),
    ("devices", "never-seen", |place| {
        place.survey().statuses.clear();
    }),
    ("gateways", "half", |place| {
        let child = |id: &str| json!({"id": id, "kind": "gas_pressure", "parent": "gw"});
        let survey = place.survey();
        survey
            .devices
            .extend([stored(2, child("a")), stored(3, child("b"))]);
        survey.statuses.extend([
            status(2, DeviceStatus::Online),
            status(3, DeviceStatus::Offline),
        ]);
    }),
    ("unclaimed", "untold", |place| {
        place.answers.unclaimed = None;
    }),
    ("unclaimed", "knocking", |place| {
        place.answers.unclaimed =
            Some(json!({"items": [{"id": "gas-9\u{1b}[2J", "driver": "mqtt"}]}));
    }),
    ("sinks", "owed", |place| {
        let since = Timestamp::from_millis(place.now.millis() - 11 * 60_000);
        for delivery in &mut place.survey().deliveries {
            (delivery.lag_events, delivery.owed_since) = (40, Some(since));
        }
    }),
    ("sinks", "parked", |place| {
        for delivery in &mut place.survey().deliveries {
            delivery.parked = 2;
        }
    }),
    ("serial", "absent", |place| place.config.push_str(SERIAL)),
    ("serial", "shut-in", |place| {
        place.config.push_str(SERIAL);
        place.file("dev/ttyUSB0", "");
        place.service("PrivateDevices=yes");
    }),
    ("serial", "forbidden", |place| {
        place.config.push_str(SERIAL);
        place.file("dev/ttyUSB0", "");
        place.mode("dev/ttyUSB0", 0o600);
        place.service("PrivateDevices=no\nDeviceAllow=char-ttyUSB rw");
        place.foreign();
    }),
    ("service", "untold", |place| place.units.clear()),
    ("service", "failed", |place| {
        place.service("ActiveState=failed\nResult=exit-code\nExecMainStatus=2");
    }),
    ("service", "stopped", |place| {
        place.service("ActiveState=inactive");
    }),
    ("service", "activating", |place| {
        place.service("ActiveState=activating");
    }),
    ("service", "disabled", |place| {
        place.service("UnitFileState=disabled");
    }),
    ("service", "restarted", |place| place.service("NRestarts=4")),
    ("service", "drop-ins", |place| {
        place.service("DropInPaths=/etc/systemd/system/cityhub.service.d/override.conf");
    }),
    ("backup-timer", "off", |place| {
        place.unit("cityhub-backup.timer", "ActiveState=inactive");
    }),
    ("backup-timer", "failed", |place| {
        place.unit("cityhub-backup.service", "ActiveState=failed");
    }),
    ("open-files", "few", |place| {
        place.file(
            "proc/4711/limits",
            "Max open files            1024                 4096                 files\n",
        );
    }),
    ("memory", "little", |place| {
        place.file("proc/4711/cgroup", "0::/system.slice/cityhub.service\n");
        place.file(
            "sys/fs/cgroup/system.slice/cityhub.service/memory.max",
            "268435456\n",
        );
    }),
    ("memory", "untold", |place| place.file("proc/meminfo", "")),
    ("backlog", "small", |place| {
        place.file("proc/sys/net/core/somaxconn", "128\n");
    }),
    ("backlog", "untold", |place| {
        place.file("proc/sys/net/core/somaxconn", "");
    }),
    ("cores", "one", |place| {
        place.file("proc/cpuinfo", "processor : 0\n");
    }),
    ("cores", "untold", |place| place.file("proc/cpuinfo", "")),
];

/// All files belong to somebody else than the service.
fn foreign(place: &mut Place) {
    place.foreign();
}

fn secret(place: &Place, name: &str, mode: u32, text: &str) {
    let path = format!("etc/cityhub/secrets/{name}");
    place.file(&path, text);
    place.mode(&path, mode);
}

fn rule(more: &str) -> String {
    format!(
        "[rules.a]\ntitle = \"A\"\nkind = \"threshold\"\nselect = {{}}\nabove = 400.0\nseverity = \"major\"\n{more}\n"
    )
}

fn mounted(place: &Place, option: &str, kind: &str) {
    let data = place.data().canonicalize().unwrap();
    let line = format!(
        "2 1 0:9 / {} {option},relatime - {kind} server:/x {option}\n",
        data.display()
    );
    place.file(
        "proc/self/mountinfo",
        &format!("1 0 254:0 / / rw - ext4 /dev/vda rw\n{line}"),
    );
}

/// A listener with a certificate that is good.
fn tls(place: &mut Place) {
    place.config.push_str(
        "[drivers.mqtt]\nkind = \"mqtt\"\nlisten = \"127.0.0.1:0\"\ntls_listen = \"127.0.0.1:0\"\n\
         tls_cert = \"server.crt\"\ntls_key = \"server.key\"\n",
    );
    certificate(place, ("server.crt", "server.key"), (2020, 2040), &["hub"]);
}

fn program(place: &mut Place, path: &str) {
    if let Some(holder) = &mut place.holder {
        holder.program = Some(path.to_owned());
    }
}
