//! An operator's GBFS feeds, served by Python's http.server: bikes left where its own rules forbid it ring.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};
use tests::audit;
use tests::hub::{Hub, Place, plain_config};
use tests::time::{now_ms, until};

/// A server of the files in a folder, killed at the end.
struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 is installed");
        // Serving HTTP on 127.0.0.1 port 40000 (http://127.0.0.1:40000/) ...
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line
            .split_whitespace()
            .skip_while(|word| *word != "port")
            .nth(1);
        Self {
            port: port.unwrap().parse().unwrap(),
            child,
            folder,
        }
    }

    fn put(&self, name: &str, version: &str, last_updated: &Value, data: &Value) {
        let feed =
            json!({"last_updated": last_updated, "ttl": 1, "version": version, "data": data});
        replace(self.folder.path(), name, &feed);
    }
}

fn replace(folder: &Path, name: &str, feed: &Value) {
    let beside = folder.join("part");
    std::fs::write(&beside, feed.to_string()).unwrap();
    // The kernel stamps files by its last tick: a file of this second could be as old as the one before,
    // which the server then calls unchanged.
    let now = UNIX_EPOCH + Duration::from_millis(now_ms().unsigned_abs());
    let file = std::fs::File::options().write(true).open(&beside);
    file.unwrap().set_modified(now).unwrap();
    std::fs::rename(beside, folder.join(name)).unwrap();
}

/// RFC 3339, by `date`.
fn stamp() -> Value {
    let seconds = format!("@{}", now_ms() / 1000);
    let output = Command::new("date")
        .args(["-u", "-d", &seconds, "+%Y-%m-%dT%H:%M:%SZ"])
        .output();
    json!(String::from_utf8(output.unwrap().stdout).unwrap().trim())
}

fn start(server: &Server, more: &str) -> (Place, Hub) {
    let driver = format!(
        "[drivers.op]\nkind = \"gbfs\"\nurl = \"http://127.0.0.1:{}/gbfs.json\"\nperiod_min_s = 1\n{more}",
        server.port
    );
    let place = Place::with_config(&(plain_config() + &driver));
    let hub = place.start();
    (place, hub)
}

fn last(hub: &Hub, device: &str, metric: &str) -> Option<f64> {
    let points = hub.points(device, metric);
    points.last().and_then(|point| point[1].as_f64())
}

/// The vehicles of the standard's own example, and so many in the zone; one is not as it must be.
fn vehicles(in_zone: usize) -> Value {
    let bike = |number: usize| {
        json!({"vehicle_id": format!("v{number}"), "lat": 31.005, "lon": 121.005,
               "is_reserved": false, "is_disabled": false, "vehicle_type_id": "bike"})
    };
    let mut all: Vec<Value> = (0..in_zone).map(bike).collect();
    all.push(
        json!({"vehicle_id": "at-station", "station_id": "86", "is_reserved": true,
                    "is_disabled": false, "vehicle_type_id": "bike"}),
    );
    all.push(json!({"vehicle_id": "wrong", "lat": 31.005, "lon": 121.005, "is_reserved": false}));
    json!({"vehicles": all})
}

#[test]
fn bikes_that_are_left_where_no_ride_may_end_are_counted_and_ring() {
    let server = Server::start();
    let base = format!("http://127.0.0.1:{}", server.port);
    let feeds: Vec<Value> = ["vehicle_status", "station_status", "geofencing_zones"]
        .map(|name| json!({"name": name, "url": format!("{base}/{name}.json")}))
        .into();
    server.put("gbfs.json", "3.0", &stamp(), &json!({"feeds": feeds}));
    // Only bikes may not be left in it; what holds for all is allowed.
    let zone = json!({"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates":
        [[[[121.0, 31.0], [121.01, 31.0], [121.01, 31.01], [121.0, 31.01], [121.0, 31.0]]]]},
        "properties": {"name": [{"text": "湖滨", "language": "zh"}],
            "rules": [{"vehicle_type_ids": ["bike"], "ride_end_allowed": false}]}});
    let zones = json!({"geofencing_zones": {"type": "FeatureCollection", "features": [zone]},
        "global_rules": [{"ride_start_allowed": true, "ride_end_allowed": true, "ride_through_allowed": true}]});
    server.put("geofencing_zones.json", "3.0", &stamp(), &zones);
    let station = json!({"station_id": "86", "num_vehicles_available": 7, "num_vehicles_disabled": 1,
        "num_docks_available": 2, "is_installed": true, "is_renting": true, "is_returning": false,
        "last_reported": stamp()});
    server.put(
        "station_status.json",
        "3.0",
        &stamp(),
        &json!({"stations": [station]}),
    );
    server.put("vehicle_status.json", "3.0", &stamp(), &vehicles(2));
    let (place, hub) = start(
        &server,
        "stable_vehicle_ids = true\nzones_file = \"zones.geojson\"\n",
    );
    hub.register(&json!([
        {"id": "op", "kind": "gateway", "identities": {"gbfs": "op"}},
        {"id": "rack", "kind": "bike_fence", "identities": {"gbfs": "op/86"}},
        {"id": "lake", "kind": "bike_fence", "identities": {"gbfs": "op/zone:湖滨"}},
        {"id": "bike-1", "kind": "bike", "identities": {"gbfs": "op/vehicle:v1"}},
    ]));
    hub.rule(
        "left",
        &json!({"kind": "threshold", "title": "禁停区停放", "select": {"kind": "bike_fence"},
                "metric": "parked_wrongly", "above": 2, "severity": "warning"}),
    );
    until("the counts", || {
        last(&hub, "lake", "parked_wrongly") == Some(2.0)
    });
    assert_eq!(last(&hub, "op", "parked_count"), Some(3.0));
    assert_eq!(last(&hub, "op", "vehicles_reserved"), Some(1.0));
    until("the bike", || {
        last(&hub, "bike-1", "zone_ride_end_allowed") == Some(0.0)
    });
    assert_eq!(last(&hub, "bike-1", "zone_ride_start_allowed"), Some(1.0));
    until("the station", || {
        last(&hub, "rack", "parked_count") == Some(8.0)
    });
    assert_eq!(last(&hub, "rack", "is_returning"), Some(0.0));
    let counts = audit::ledger(&hub.api()).driver("op");
    assert!(counts.rejected.contains_key("schema"), "{counts:?}");
    let zones = std::fs::read_to_string(place.path().join("zones.geojson")).unwrap();
    assert!(zones.contains("湖滨"), "{zones}");

    // A later state of the same, as its own time says.
    let first = stamp();
    until("another second", || stamp() != first);
    server.put("vehicle_status.json", "3.0", &stamp(), &vehicles(3));
    until("its alarm", || {
        let alarms = hub.api().get("/api/v1/alarms?state=all");
        let items = alarms["items"].as_array().unwrap();
        items
            .iter()
            .any(|alarm| alarm["device"] == "lake" && alarm["rule"] == "left")
    });
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    place.verify();
}

#[test]
fn feeds_before_3_are_read_and_a_feed_of_the_wrong_edition_is_refused() {
    let server = Server::start();
    let base = format!("http://127.0.0.1:{}", server.port);
    let names = ["free_bike_status", "station_status"];
    let feeds = names.map(|name| json!({"name": name, "url": format!("{base}/{name}.json")}));
    let seconds = json!(now_ms() / 1000);
    server.put(
        "gbfs.json",
        "2.3",
        &seconds,
        &json!({"en": {"feeds": feeds}}),
    );
    let bike = json!({"bike_id": "b", "lat": 31.0, "lon": 121.0, "is_reserved": false, "is_disabled": true,
                      "last_reported": seconds});
    server.put(
        "free_bike_status.json",
        "2.3",
        &seconds,
        &json!({"bikes": [bike]}),
    );
    // The seconds of 2.x in a feed that says 3.0.
    server.put(
        "station_status.json",
        "3.0",
        &seconds,
        &json!({"stations": []}),
    );
    let (_place, hub) = start(&server, "");
    hub.register(&json!([{"id": "op", "kind": "gateway", "identities": {"gbfs": "op"}}]));
    until("the bike", || {
        last(&hub, "op", "vehicles_disabled") == Some(1.0)
    });
    until("the refusal", || {
        let counts = audit::ledger(&hub.api()).driver("op");
        counts.rejected.contains_key("schema")
    });
}
