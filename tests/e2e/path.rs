//! The one path: telemetry in, acknowledged when on disk, alarm out.

use serde_json::{Value, json};
use tests::audit;
use tests::fleet::overpressure;
use tests::hub::{Place, secret};
use tests::mqtt::{Client, Identity, Outcome, Version};
use tests::time::{ms, now_s_in_ms};

fn gas(id: &str) -> Value {
    json!({"id": id, "kind": "gas_pressure", "name": "花园路调压箱03", "site": "花园路调压站",
           "cadence_s": 60, "tags": {"class": "medium"},
           "location": {"lon": 118.0894, "lat": 24.4798, "datum": "WGS84"}})
}

fn pressure(ts: i64, kpa: f64) -> Value {
    json!({"ts": ts, "values": {"pressure_kpa": kpa}})
}

/// The types of all events about alarms so far, without their prefix.
fn alarm_events(api: &tests::http::Api) -> Vec<String> {
    let events = audit::events(api);
    let kinds = events.iter().map(|event| event["type"].as_str().unwrap());
    kinds
        .filter_map(|kind| kind.strip_prefix("cityhub.alarm."))
        .map(str::to_owned)
        .collect()
}

/// The one alarm of the list, raised by a reading of 405 kPa.
fn only_alarm(api: &tests::http::Api) -> Value {
    let list = api.get("/api/v1/alarms");
    let [alarm] = list["items"].as_array().unwrap().as_slice() else {
        panic!("one alarm: {list}");
    };
    let expected = json!({
        "rule": "gas_overpressure", "device": "gas-0001", "kind": "gas_pressure",
        "site": "花园路调压站", "severity": "critical", "state": "active_unacked",
        "active": true, "acked": false, "value": 405.0, "limit": 400.0, "unit": "kPa",
        "peak": 405.0, "count": 1, "cleared_at": null, "version": 1,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&alarm[key], value, "{key} of {alarm}");
    }
    alarm.clone()
}

#[test]
fn a_reading_over_mqtt_raises_an_alarm_that_is_acknowledged_and_cleared() {
    for version in Version::BOTH {
        let hub = Place::default();
        let hub = hub.start();
        let api = hub.api();
        hub.register(&json!([gas("gas-0001")]));
        hub.rule("gas_overpressure", &overpressure());
        let mut stream = api.stream("?from=0&types=cityhub.alarm", None);
        let mut device = Client::connect(hub.mqtt(), version, &Identity::device("gas-0001"));

        let start = now_s_in_ms() - 60_000;
        device.report("gas-0001", &pressure(start, 405.0));

        // What was acknowledged can be read at once.
        assert_eq!(
            hub.points("gas-0001", "pressure_kpa"),
            [json!([start, 405.0, "good"])]
        );
        let alarm = &only_alarm(&api);
        assert_eq!(ms(&alarm["raised_at"]), start);

        // The platform's cursor and the officer's stream show the same event.
        let sent = stream.next_fact().unwrap();
        let events = audit::events(&api);
        let raised = events
            .iter()
            .find(|event| event["type"] == "cityhub.alarm.raised")
            .unwrap();
        assert_eq!(sent.event, "cityhub.alarm.raised");
        assert_eq!(sent.id, Some(audit::sequence(raised)));
        assert_eq!(&sent.json(), raised);
        assert_eq!(raised["specversion"], "1.0");
        assert_eq!(raised["subject"], alarm["id"]);
        assert_eq!(&raised["data"], alarm);

        let id = alarm["id"].as_str().unwrap();
        let path = format!("/api/v1/alarms/{id}/ack");
        let officer = hub.api_as("officer");
        let acked = officer
            .post(&path, &json!({"version": 1, "comment": "去看看"}))
            .expect(200);
        assert_eq!(acked["state"], "active_acked");
        officer.post(&path, &json!({"version": 1})).problem(409);
        assert_eq!(stream.wait_alarm("acked", "gas_overpressure")["version"], 2);

        // 391 is inside the deadband: still active. Under 390 it clears, at the reading's time.
        device.report("gas-0001", &pressure(start + 5_000, 420.0));
        device.report("gas-0001", &pressure(start + 10_000, 391.0));
        assert_eq!(
            api.get("/api/v1/alarms")["items"][0]["state"],
            "active_acked"
        );
        device.report("gas-0001", &pressure(start + 20_000, 389.9));
        assert_eq!(api.get("/api/v1/alarms")["items"], json!([]));
        let cleared = stream.wait_alarm("cleared", "gas_overpressure");
        assert_eq!(cleared["state"], "normal");
        assert_eq!(ms(&cleared["cleared_at"]), start + 20_000);
        assert_eq!(
            (&cleared["peak"], &cleared["count"]),
            (&json!(420.0), &json!(2))
        );
        let history = api.get("/api/v1/alarms?state=all");
        assert_eq!(history["items"], json!([cleared]));
        assert_eq!(alarm_events(&api), ["raised", "acked", "cleared"]);

        let ledger = audit::ledger(&api);
        let counts = ledger.device("gas-0001");
        assert_eq!((counts.received, counts.stored, counts.late), (4, 4, 0));
        assert_eq!(ledger.driver("mqtt"), counts);
        drop(device);
        let (status, log) = hub.stop();
        assert!(status.success(), "{log}");
    }
}

#[test]
fn a_reading_over_http_raises_an_alarm() {
    let place = Place::default();
    let hub = place.start();
    let api = hub.api();
    hub.register(&json!([{"id": "noise-01", "kind": "noise", "cadence_s": 60}]));
    let rule = json!({"title": "夜间噪声", "kind": "threshold", "devices": ["noise-01"],
        "metric": "laeq_dba", "above": 55.0, "deadband": 2.0, "severity": "minor"});
    hub.rule("night_noise", &rule);

    let start = now_s_in_ms() - 30_000;
    // An array, a text time, and no time at all.
    let text = model::Timestamp::from_millis(start + 1_000).to_string();
    let body = json!([{"ts": start, "values": {"laeq_dba": 50.5, "lamax_dba": 52.0}},
                      {"ts": text, "values": {"laeq_dba": 55.5}}]);
    hub.store("noise-01", &body);
    hub.store("noise-01", &json!({"battery_pct": 77}));

    let expected = [
        json!([start, 50.5, "good"]),
        json!([start + 1_000, 55.5, "good"]),
    ];
    assert_eq!(hub.points("noise-01", "laeq_dba"), expected);
    let battery = hub.points("noise-01", "battery_pct");
    assert_eq!(battery.len(), 1);
    let age = tests::time::now_ms() - battery[0][0].as_i64().unwrap();
    assert!(
        (0..60_000).contains(&age),
        "stamped on arrival: {battery:?}"
    );
    let alarm = &api.get("/api/v1/alarms?severity=minor")["items"][0];
    assert_eq!(alarm["rule"], "night_noise");
    assert_eq!(ms(&alarm["raised_at"]), start + 1_000);
    assert_eq!(audit::ledger(&api).driver("ingest").stored, 4);
}

#[test]
fn the_api_shows_what_is_known_of_a_device_and_never_its_secret() {
    let place = Place::default();
    let hub = place.start();
    let api = hub.api();
    hub.register(&json!([gas("gas-1"), gas("gas-2")]));
    assert_eq!(api.get("/api/v1/devices/gas-1")["status"], "never_seen");
    let now = tests::time::now_ms();
    hub.store("gas-1", &pressure(now, 300.25));
    let device = api.get("/api/v1/devices/gas-1");
    assert_eq!(device["status"], "online");
    assert!(ms(&device["last_seen"]) >= now - 1000, "{device}");
    assert_eq!(device["name"], "花园路调压箱03");
    let latest = api.get("/api/v1/latest?kind=gas_pressure");
    assert!(latest.to_string().contains("300.25"), "{latest}");
    for path in ["/api/v1/devices", "/api/v1/devices/gas-1"] {
        let text = api.get(path).to_string();
        assert!(!text.contains(&secret("gas-1")), "{text}");
    }
    let reply = api.delete("/api/v1/devices/gas-2");
    assert!((200..300).contains(&reply.status), "{}", reply.text());
    api.send("GET", "/api/v1/devices/gas-2", None).problem(404);
    assert_eq!(hub.post("gas-2", b"{\"pressure_kpa\":1}").status, 404);
}

#[test]
fn history_is_paged_and_down_sampled() {
    let place = Place::default();
    let hub = place.start();
    let api = hub.api();
    hub.register(&json!([gas("gas-1")]));
    // A whole minute, so that buckets start where the expected ones do.
    let start = (tests::time::now_ms() - 100_000) / 60_000 * 60_000;
    let values = [1.0, 5.0, 3.0, 10.0, 20.0];
    let ts = |index: usize| start + 10_000 * i64::try_from(index).unwrap();
    let body: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(i, v)| pressure(ts(i), *v))
        .collect();
    hub.store("gas-1", &Value::Array(body));
    let to = start + 60_000;
    let path = format!("/api/v1/devices/gas-1/readings?metric=pressure_kpa&from={start}&to={to}");
    let page = api.get(&format!("{path}&limit=2"));
    assert_eq!(page["metric"], "pressure_kpa");
    assert_eq!(page["unit"], "kPa");
    assert_eq!(page["points"].as_array().unwrap().len(), 2);
    let cursor = page["next"].as_str().unwrap();
    let page = api.get(&format!("{path}&limit=2&cursor={cursor}"));
    assert_eq!(page["points"][0], json!([ts(2), 3.0, "good"]));

    // Buckets of 30 s: 1, 5, 3 and 10, 20.
    let buckets = |agg: &str| {
        let page = api.get(&format!("{path}&step=30s&agg={agg}"));
        let points = page["points"].as_array().unwrap().clone();
        points
            .iter()
            .map(|point| point[1].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(buckets("mean"), [json!(3.0), json!(15.0)]);
    assert_eq!(buckets("min"), [json!(1.0), json!(10.0)]);
    assert_eq!(buckets("max"), [json!(5.0), json!(20.0)]);
    assert_eq!(buckets("last"), [json!(3.0), json!(20.0)]);
    api.send("GET", &format!("{path}&agg=median"), None)
        .problem(400);
    api.send("GET", &format!("{path}&colour=red"), None)
        .problem(400);
}

#[test]
fn devices_of_a_thingsboard_city_report_without_being_changed() {
    let place = Place::default();
    let hub = place.start();
    hub.register(&json!([
        {"id": "smoke-1", "kind": "smoke"},
        {"id": "gw-1", "kind": "gateway"},
        {"id": "child-a", "kind": "smoke", "parent": "gw-1"},
        {"id": "child-b", "kind": "smoke", "parent": "gw-1"},
    ]));
    let start = now_s_in_ms() - 10_000;
    for (version, offset) in [(Version::V3, 0), (Version::V5, 1)] {
        // The access token is the user name, and there is no password.
        let mut identity = Identity::device("smoke-1");
        identity.username = Some(secret("smoke-1"));
        identity.password = None;
        let mut device = Client::connect(hub.mqtt(), version, &identity);
        let ts = start + offset;
        let payload = json!({"ts": ts, "values": {"smoke_obscuration_dbm": 0.5}});
        let sent = device.publish("v1/devices/me/telemetry", payload.to_string().as_bytes());
        assert_eq!(sent, Outcome::Acked(0));

        let mut gateway = Client::connect(hub.mqtt(), version, &Identity::device("gw-1"));
        let payload = json!({
            "child-a": [{"ts": ts, "values": {"temperature_c": 21}},
                        {"ts": ts + 500, "values": {"temperature_c": 22}}],
            "child-b": [{"ts": ts, "values": {"smoke_alarm": true}}],
        });
        let sent = gateway.publish("v1/gateway/telemetry", payload.to_string().as_bytes());
        assert_eq!(sent, Outcome::Acked(0));
    }
    let points = |device: &str, metric: &str| {
        let points = hub.points(device, metric);
        let pair = |point: &Value| {
            (
                point[0].as_i64().unwrap() - start,
                point[1].as_f64().unwrap(),
            )
        };
        points.iter().map(pair).collect::<Vec<_>>()
    };
    assert_eq!(
        points("smoke-1", "smoke_obscuration_dbm"),
        [(0, 0.5), (1, 0.5)]
    );
    let expected = [(0, 21.0), (1, 21.0), (500, 22.0), (501, 22.0)];
    assert_eq!(points("child-a", "temperature_c"), expected);
    assert_eq!(points("child-b", "smoke_alarm"), [(0, 1.0), (1, 1.0)]);
    assert_eq!(audit::ledger(&hub.api()).total.rejected_total(), 0);
}

#[test]
fn a_bike_reports_where_it_is() {
    let place = Place::default();
    let hub = place.start();
    hub.register(&json!([{"id": "bike-1", "kind": "bike"}]));
    let start = now_s_in_ms() - 10_000;
    let position = json!({"lon": 118.09, "lat": 24.48, "accuracy_m": 5.0, "locked": true});
    hub.store(
        "bike-1",
        &json!({"ts": start, "values": {"position": position}}),
    );
    let points = hub.points("bike-1", "position");
    assert_eq!(points.len(), 1, "{points:?}");
    for key in ["lon", "lat", "accuracy_m", "locked"] {
        assert_eq!(points[0][1][key], position[key], "{key} of {points:?}");
    }
}
