//! Payloads that are not the hub's own JSON: by the profile of the device, and through LoRaWAN network servers.

use serde_json::{Value, json};
use tests::audit;
use tests::hub::{Hub, Place, plain_config};
use tests::mqtt::{Client, Identity, Outcome, Version};
use tests::time::now_ms;

/// MQTT 5 `Not authorized` and `Payload format invalid`.
const NOT_AUTHORIZED: u8 = 0x87;
const PAYLOAD_INVALID: u8 = 0x99;

const PROFILES: &str = r#"
[profiles.dust_maker]
codec = "json"
time = "/head/at"
[profiles.dust_maker.values]
pm10_ugm3 = { at = "/d/0/v", scale = 0.1, sentinels = [65535] }
temperature_c = { at = "/d/1/v", scale = 0.01, offset = -40.0 }

[profiles.lenient]
codec = "json"

[profiles.pack]
codec = "senml"

[profiles.chirpstack]
codec = "chirpstack_v4"

[profiles.soil]
codec = "json"
values.temperature_c = { at = "/TempC_SHT", sentinels = [327.67] }
values.humidity_pct = { at = "/Hum_SHT" }
"#;

fn city() -> (Place, Hub) {
    let place = Place::with_config(&format!("{}{PROFILES}", plain_config()));
    let hub = place.start();
    hub.register(&json!([
        {"id": "dust-1", "kind": "dust", "profile": "dust_maker"},
        {"id": "dust-2", "kind": "dust", "profile": "lenient"},
        {"id": "pack-1", "kind": "smoke", "profile": "pack"},
        {"id": "lns", "kind": "gateway", "profile": "chirpstack"},
        {"id": "soil-1", "kind": "smoke", "parent": "lns", "profile": "soil",
            "identities": {"dev_eui": "a840415711866a85"}},
        {"id": "tts-1", "kind": "smoke", "parent": "lns",
            "identities": {"tts_device": "app1/dev1"}},
        {"id": "other", "kind": "smoke", "identities": {"dev_eui": "00000000000000ff"}},
    ]));
    (place, hub)
}

/// The only point of a series: its value and its time in milliseconds.
fn point(hub: &Hub, device: &str, metric: &str) -> Value {
    let points = hub.points(device, metric);
    assert_eq!(points.len(), 1, "{device} {metric}: {points:?}");
    points[0].clone()
}

fn connect(hub: &Hub, device: &str, version: Version) -> Client {
    Client::connect(hub.mqtt(), version, &Identity::device(device))
}

fn rfc3339(millis: i64) -> Value {
    json!(model::Timestamp::from_millis(millis))
}

fn chirpstack(dev_eui: &str, at: i64) -> Vec<u8> {
    let up = json!({
        "deduplicationId": "838f2b6e-a781-48ec-9a79-600442adbe7c", "time": rfc3339(at),
        "deviceInfo": {"devEui": dev_eui, "deviceName": "LHT52"}, "fPort": 2,
        "data": "CmQCD3//AWXgqk4=", "object": {"TempC_SHT": 26.6, "Hum_SHT": 52.7, "Ext": 1.0},
        "rxInfo": [{"rssi": -103, "snr": 1.0}, {"rssi": -49, "snr": 14.2}],
    });
    up.to_string().into_bytes()
}

#[test]
fn a_device_is_decoded_by_its_profile_over_mqtt_and_http() {
    let (place, hub) = city();
    let at = now_ms() / 1000 * 1000 - 60_000;
    let before = audit::ledger(&hub.api());
    let message = json!({"head": {"at": at / 1000}, "d": [{"v": "625"}, {"v": 6500}], "sn": "x"});
    connect(&hub, "dust-1", Version::V5).report("dust-1", &message);
    assert_eq!(point(&hub, "dust-1", "pm10_ugm3")[1], json!(62.5));
    assert_eq!(point(&hub, "dust-1", "temperature_c")[1], json!(25.0));
    // Partly good: a sentinel is counted, the value beside it is stored.
    let message = json!({"head": {"at": at / 1000 + 1}, "d": [{"v": 65535}, {"v": 6500}]});
    let reply = hub.post("dust-1", message.to_string().as_bytes());
    assert_eq!(reply.expect(200)["rejected"][0]["reason"], "sentinel");
    let reply = hub.post(
        "dust-2",
        format!(r#"{{"Time":"{at}","pm10_ugm3":"61"}}"#).as_bytes(),
    );
    assert_eq!(reply.status, 204, "{}", reply.text());
    let since = audit::ledger(&hub.api());
    let counts = since.device("dust-1").since(&before.device("dust-1"));
    assert_eq!((counts.received, counts.stored), (4, 3));
    assert_eq!(counts.rejected_total(), 1);
    hub.stop();
    place.verify();
}

#[test]
fn senml_comes_in_json_and_cbor() {
    let (place, hub) = city();
    let mut client = connect(&hub, "pack-1", Version::V5);
    let pack = br#"[{"bn":"urn:dev:mac:0024befffe804ff1:","n":"humidity_pct","u":"%RH","v":40}]"#;
    let topic = "devices/pack-1/telemetry";
    assert_eq!(client.publish(topic, pack), Outcome::Acked(0));
    // [{0: "temperature_c", 2: 21.5}], the number as a half float.
    let cbor = b"\x81\xa2\x00\x6dtemperature_c\x02\xf9\x4d\x60";
    assert_eq!(client.publish(topic, cbor), Outcome::Acked(0));
    assert_eq!(point(&hub, "pack-1", "humidity_pct")[1], json!(40.0));
    assert_eq!(point(&hub, "pack-1", "temperature_c")[1], json!(21.5));
    // A pack that nobody may read in part is told to be unreadable, and the connection lives on.
    let newer = br#"[{"bver":11,"n":"temperature_c","v":1}]"#;
    assert_eq!(
        client.publish(topic, newer),
        Outcome::Acked(PAYLOAD_INVALID)
    );
    assert_eq!(client.publish(topic, pack), Outcome::Acked(0));
    let counts = audit::ledger(&hub.api()).device("pack-1");
    assert_eq!(counts.rejected.get("unsupported_version"), Some(&1));
    hub.stop();
    place.verify();
}

#[test]
fn a_network_server_writes_for_its_children_only() {
    let (place, hub) = city();
    let at = now_ms() - 60_000;
    let mut server = connect(&hub, "lns", Version::V5);
    let topic = "application/9f18/device/a840415711866a85/event/up";
    let up = chirpstack("a840415711866a85", at);
    assert_eq!(server.publish(topic, &up), Outcome::Acked(0));
    assert_eq!(point(&hub, "soil-1", "temperature_c")[1], json!(26.6));
    assert_eq!(point(&hub, "soil-1", "signal_dbm")[1], json!(-49.0));
    // The same again, as after a lost acknowledgement: answered, stored once.
    assert_eq!(server.publish(topic, &up), Outcome::Acked(0));
    assert_eq!(hub.points("soil-1", "temperature_c").len(), 1);
    // Over HTTP the server posts to its own address.
    let reply = hub.post("lns", &chirpstack("a840415711866a85", at + 1000));
    assert_eq!(reply.status, 204, "{}", reply.text());
    assert_eq!(hub.points("soil-1", "temperature_c").len(), 2);
    let tts = json!({
        "end_device_ids": {"device_id": "dev1", "application_ids": {"application_id": "app1"}},
        "received_at": rfc3339(at), "uplink_message": {"f_port": 1, "frm_payload": "gkHe",
            "decoded_payload": {"temperature_c": 1.5}, "rx_metadata": [{"rssi": -35}]},
    });
    let tts_topic = "v3/app1@tenant1/devices/dev1/up";
    let sent = server.publish(tts_topic, tts.to_string().as_bytes());
    assert_eq!(sent, Outcome::Acked(0));
    assert_eq!(point(&hub, "tts-1", "temperature_c")[1], json!(1.5));
    // Neither a device that is not its own, nor one that nobody knows, nor one under another's name.
    for (eui, answer) in [
        ("00000000000000ff", NOT_AUTHORIZED),
        ("00000000000000aa", NOT_AUTHORIZED),
    ] {
        let topic = format!("application/9f18/device/{eui}/event/up");
        assert_eq!(
            server.publish(&topic, &chirpstack(eui, at)),
            Outcome::Acked(answer)
        );
    }
    let other = chirpstack("00000000000000ff", at);
    assert_eq!(
        server.publish(topic, &other),
        Outcome::Acked(PAYLOAD_INVALID)
    );
    // Joins and the like hold no values; version 3 of ChirpStack is told to be none.
    let join = topic.replace("/up", "/join");
    assert_eq!(server.publish(&join, b"{}"), Outcome::Acked(0));
    let old = br#"{"applicationID":"8","devEUI":"a840415711866a85","object":{"t":1}}"#;
    assert_eq!(server.publish(topic, old), Outcome::Acked(PAYLOAD_INVALID));
    // A child that is no gateway may not speak as one.
    let mut child = connect(&hub, "soil-1", Version::V5);
    assert_eq!(child.publish(topic, &up), Outcome::Acked(NOT_AUTHORIZED));
    assert!(hub.points("other", "temperature_c").is_empty());
    let ledger = audit::ledger(&hub.api());
    assert_eq!(ledger.device("lns").rejected.get("other_device"), Some(&1));
    assert_eq!(ledger.device("lns").rejected.get("not_v4"), Some(&1));
    hub.stop();
    place.verify();
}
