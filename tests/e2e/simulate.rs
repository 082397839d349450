//! A fleet that speaks every protocol against one hub: what the simulator says was acknowledged is
//! there, and nothing was refused.

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use tests::audit;
use tests::hub::{Hub, Place, plain_config, program, words};

const DRIVERS: &str = r#"
[drivers.hj212]
kind = "hj212"
listen = "127.0.0.1:0"
profile = "site"
[drivers.gb26875]
kind = "gb26875"
listen = "127.0.0.1:0"
udp = true
[drivers.jt808]
kind = "jt808"
listen = "127.0.0.1:0"
[drivers.bikelock]
kind = "bikelock"
listen = "127.0.0.1:0"
[drivers.pressure]
kind = "pressure_frame"
listen = "127.0.0.1:0"
[drivers.dtu]
kind = "modbus"
connect = "rtu+tcp-listen://127.0.0.1:0"
map = "rs485-noise"
[drivers.coap]
kind = "coap"
listen = "127.0.0.1:0"
[drivers.ingest.push.telecom]
format = "ctwing"
path = "/push/ctwing-3f9c0a7be1d24485"
[drivers.ingest.push.mobile]
format = "onenet"
path = "/push/onenet"
token = "token-of-the-platform"
[drivers.ingest.push.huawei]
format = "oceanconnect"
path = "/push/ocean-77b1a90c3e5d1f24"
[drivers.gb28181]
kind = "gb28181"
listen = "127.0.0.1:0"
password = "password-of-the-domain"
[drivers.gbfs]
kind = "gbfs"
url = "http://GBFS/gbfs.json"
[drivers.probe]
kind = "camera_probe"
period_s = 1
[profiles.pack]
codec = "senml"
[profiles.site]
codec = "hj212"
units = { a34001 = "ug/m3", a34002 = "ug/m3", a34004 = "ug/m3" }
[profiles.station]
codec = "modbus"
map = "rs-fsxcs"
"#;

/// Invented devices: id, kind, parent, protocol, profile, and what each is called there.
const FLEET: &[[&str; 6]] = &[
    ["gw-1", "gateway", "", "mqtt", "", ""],
    [
        "utd-1",
        "gateway",
        "",
        "gb26875",
        "",
        "gb26875=0f0000000001",
    ],
    ["dtu-1", "gateway", "", "modbus-dtu", "", "dtu=SIM-DTU-0001"],
    ["gas-1", "gas_pressure", "gw-1", "", "", ""],
    [
        "gas-2",
        "gas_pressure",
        "",
        "pressure",
        "",
        "pressure_frame=SHSM00000001",
    ],
    [
        "gas-3",
        "gas_pressure",
        "",
        "pressure-udp",
        "",
        "pressure_frame=SHSM00000002",
    ],
    [
        "smoke-1",
        "smoke",
        "utd-1",
        "",
        "",
        "gb26875=0f0000000001/1.1.40.01000000",
    ],
    [
        "smoke-2",
        "smoke",
        "utd-1",
        "",
        "",
        "gb26875=0f0000000001/1.1.40.02000000",
    ],
    [
        "smoke-3",
        "smoke",
        "",
        "gb26875-udp",
        "",
        "gb26875=0f0000000002",
    ],
    ["noise-1", "noise", "", "mqtt5", "", ""],
    [
        "noise-2",
        "noise",
        "",
        "hj212",
        "",
        "hj212_mn=0F0000SIM000000000000001",
    ],
    ["noise-3", "noise", "dtu-1", "", "", "modbus=dtu-1/1"],
    [
        "dust-1",
        "dust",
        "",
        "hj212",
        "",
        "hj212_mn=0F0000SIM000000000000002",
    ],
    ["dust-2", "dust", "dtu-1", "", "station", "modbus=dtu-1/2"],
    ["dust-3", "dust", "", "http", "", ""],
    [
        "sewage-1",
        "sewage",
        "",
        "hj212",
        "",
        "hj212_mn=0F0000SIM000000000000003",
    ],
    ["truck-1", "truck", "", "jt808", "", "jt808=10000000001"],
    [
        "truck-2",
        "truck",
        "",
        "jt808",
        "",
        "jt808=00000000010000000002",
    ],
    [
        "bike-1",
        "bike",
        "",
        "bikelock",
        "",
        "bikelock=990000000000011",
    ],
    ["lns-1", "gateway", "", "chirpstack", "", ""],
    [
        "gas-4",
        "gas_pressure",
        "lns-1",
        "",
        "",
        "dev_eui=f0f0000000000001",
    ],
    ["lns-2", "gateway", "", "tts", "", ""],
    [
        "gas-5",
        "gas_pressure",
        "lns-2",
        "",
        "",
        "tts_device=gas/gas-5",
    ],
    ["tb-1", "gateway", "", "thingsboard", "", ""],
    ["gas-6", "gas_pressure", "tb-1", "", "", ""],
    [
        "plc-1",
        "gateway",
        "",
        "sparkplug",
        "",
        "sparkplug=City/plc-1",
    ],
    ["dust-4", "dust", "plc-1", "", "", "sparkplug=City/plc-1/d4"],
    ["dust-5", "dust", "", "senml", "pack", ""],
    ["noise-4", "noise", "", "senml-cbor", "pack", ""],
    [
        "cam-1",
        "camera",
        "",
        "gb28181",
        "",
        "gb28181=35020000001320000001",
    ],
    [
        "cam-2",
        "camera",
        "",
        "gb28181-tcp",
        "",
        "gb28181=35020000001320000002",
    ],
    [
        "cam-3",
        "camera",
        "",
        "rtsp",
        "",
        "rtsp=rtsp://{rtsp}/cam-3",
    ],
    ["gas-7", "gas_pressure", "", "coap", "", ""],
    ["gas-8", "gas_pressure", "", "coap-cbor", "", ""],
    ["noise-5", "noise", "", "coap-senml", "", ""],
    ["noise-6", "noise", "", "coap-senml-cbor", "", ""],
    [
        "smoke-4",
        "smoke",
        "",
        "ctwing",
        "",
        "ctwing=c0ffee0000000001",
    ],
    ["smoke-5", "smoke", "", "onenet", "", "onenet=city/smoke-5"],
    [
        "smoke-6",
        "smoke",
        "",
        "oceanconnect",
        "",
        "oceanconnect=0c-0001",
    ],
    ["fence-1", "bike_fence", "", "gbfs", "", "gbfs=gbfs/stand-1"],
];

const IDENTITIES: [&str; 16] = [
    "gb26875",
    "dtu",
    "modbus",
    "pressure_frame",
    "hj212_mn",
    "jt808",
    "bikelock",
    "dev_eui",
    "tts_device",
    "sparkplug",
    "gb28181",
    "rtsp",
    "ctwing",
    "onenet",
    "oceanconnect",
    "gbfs",
];

/// Lists them; cameras that are asked stand at the address `rtsp`.
fn device_file(rtsp: &str) -> String {
    let columns = IDENTITIES
        .map(|name| format!("identities.{name}"))
        .join(",");
    let mut text = format!(
        "id,kind,name,site,lon,lat,parent,cadence_s,secret,profile,tags.protocol,{columns}\n"
    );
    for [id, kind, parent, protocol, profile, identity] in FLEET {
        // A monitor of HJ 212 with a secret would have to show it as its password.
        let secret = if *protocol == "hj212" {
            String::new()
        } else {
            format!("secret-of-{id}-0123456789")
        };
        let named = IDENTITIES.map(|name| {
            let own = identity.split_once('=').filter(|(known, _)| *known == name);
            own.map_or("", |(_, value)| value)
        });
        let named = named.join(",").replace("{rtsp}", rtsp);
        text.push_str(&format!(
            "{id},{kind},{id},试验点,118.09,24.48,{parent},2,{secret},{profile},{protocol},{named}\n"
        ));
    }
    text
}

/// Runs the fleet for some seconds and gives its account.
fn simulate(place: &Place, hub: &Hub, seconds: u32, served: [&str; 2]) -> Value {
    let mut command = Command::new(program());
    command.args([
        "simulate",
        "--fleet",
        "devices.csv",
        "--ack-log",
        "acked.log",
    ]);
    command.args(["--duration-s", &seconds.to_string()]);
    for (name, listener) in [
        ("mqtt", "mqtt.listen"),
        ("http", "ingest.listen"),
        ("hj212", "hj212.listen"),
        ("gb26875", "gb26875.listen"),
        ("jt808", "jt808.listen"),
        ("bikelock", "bikelock.listen"),
        ("pressure", "pressure.listen"),
        ("dtu", "dtu.connect"),
        ("coap", "coap.listen"),
    ] {
        command.args(["--address", &format!("{name}={}", hub.addr(listener))]);
    }
    let (cameras, ingest) = (hub.addr("gb28181.listen"), hub.addr("ingest.listen"));
    for (platform, token, path) in [
        ("ctwing", "", "push/ctwing-3f9c0a7be1d24485"),
        ("onenet", "token-of-the-platform@", "push/onenet"),
        ("oceanconnect", "", "push/ocean-77b1a90c3e5d1f24"),
    ] {
        command.arg(format!("--address={platform}={token}{ingest}/{path}"));
    }
    command.arg(format!(
        "--address=gb28181=password-of-the-domain@{cameras}"
    ));
    for (name, addr) in ["rtsp", "gbfs"].into_iter().zip(served) {
        command.arg(format!("--address={name}={addr}"));
    }
    let output = command
        .current_dir(place.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", words(&output));
    assert!(
        !words(&output).contains("no --address"),
        "{}",
        words(&output)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Demands that each value of the log is stored at its time.
fn all_there(place: &Place, hub: &Hub) -> BTreeSet<String> {
    let log = std::fs::read_to_string(place.path().join("acked.log")).unwrap();
    let mut series: std::collections::BTreeMap<(String, String), Vec<Value>> = Default::default();
    let mut devices = BTreeSet::new();
    for line in log.lines() {
        let mut parts = line.splitn(3, ',');
        let (device, ts, values) = (
            parts.next().unwrap(),
            parts.next().unwrap().parse::<i64>().unwrap(),
            parts.next().unwrap(),
        );
        devices.insert(device.to_owned());
        for value in values.split(';') {
            let (metric, said) = value.split_once('=').unwrap();
            let points = series
                .entry((device.to_owned(), metric.to_owned()))
                .or_insert_with(|| hub.points(device, metric));
            let point = points.iter().find(|point| point[0] == ts);
            let point = point.unwrap_or_else(|| panic!("{line}: no {metric} in {points:?}"));
            if let Ok(number) = said.parse::<f64>() {
                let stored = point[1].as_f64().unwrap();
                assert!((stored - number).abs() < 1e-6, "{line}: {point}");
            }
        }
    }
    devices
}

/// Finds an address at which the simulator can listen.
fn free() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn what_each_protocol_acknowledged_is_stored_and_nothing_is_refused() {
    let (rtsp, gbfs) = (free(), free());
    let config =
        format!("devices = \"devices.csv\"\n{}{DRIVERS}", plain_config()).replace("GBFS", &gbfs);
    let place = Place::with_config(&config);
    std::fs::write(place.path().join("devices.csv"), device_file(&rtsp)).unwrap();
    let hub = place.start();
    let account = simulate(&place, &hub, 14, [&rtsp, &gbfs]);
    for nothing in ["refused", "partly_stored", "resent", "connects_failed"] {
        assert_eq!(account[nothing], 0, "{account}");
    }
    // The feed is not asked for again within the patience of the end.
    assert!(account["abandoned"].as_u64() <= Some(1), "{account}");
    let devices = all_there(&place, &hub);
    let ledger = audit::ledger(&hub.api());
    // The camera and the feed were asked for before they were there.
    let early = ["probe", "gbfs"].map(|driver| ledger.driver(driver).rejected_total());
    let rejected = ledger.total.rejected_total();
    assert_eq!(rejected, early.iter().sum::<u64>(), "{ledger:?}");
    for [id, kind, ..] in FLEET {
        // A DTU is heard, but measures nothing of its own; a feed is asked for again when it is time.
        if !["dtu-1", "fence-1"].contains(id) {
            assert!(ledger.device(id).stored > 0, "{id}: {ledger:?}");
        }
        // Registers that were read and places of a parked bike are answered by nobody.
        let silent = [
            "dtu-1", "noise-3", "dust-2", "bike-1", "plc-1", "dust-4", "fence-1",
        ];
        let answered = !silent.contains(id) && *kind != "camera";
        assert_eq!(devices.contains(*id), answered, "{id}, {kind}");
    }
    // What nobody answers is there all the same.
    for (device, metric) in [
        ("bike-1", "battery_pct"),
        ("bike-1", "position"),
        ("noise-3", "laeq_dba"),
        ("dust-2", "pm10_ugm3"),
        ("dust-4", "pm10_ugm3"),
        ("cam-1", "online"),
        ("cam-2", "online"),
        ("cam-3", "online"),
    ] {
        assert!(hub.points(device, metric).len() >= 2, "{device} {metric}");
    }
    hub.kill();
    place.verify();
}
