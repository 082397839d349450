//! A Sparkplug B node with one device, its protobuf written by hand: births, aliases, a restart of the hub, a death by will.

use serde_json::{Value, json};
use tests::audit;
use tests::hub::{Hub, Place, plain_config};
use tests::mqtt::{Client, Identity, Outcome, Version};
use tests::time::{now_ms, until};

const PROFILE: &str = r#"
[profiles.dust_plc]
codec = "sparkplug_b"
values.pm10_ugm3 = { name = "Inputs/PM10" }
values.temperature_c = { name = "Inputs/T" }
"#;

/// A length or number, seven bits a byte.
fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let [low, ..] = (number % 128).to_le_bytes();
        number /= 128;
        if number == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}

fn field(number: u8, wire: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | wire];
    if wire == 2 {
        out.extend(varint(value.len() as u64));
    }
    out.extend(value);
    out
}

/// Field 2 of a payload: name 1, alias 2, timestamp 3, datatype 4, and the value.
fn metric(name: Option<&str>, alias: u64, datatype: u64, value: &[u8]) -> Vec<u8> {
    let mut metric = name.map_or_else(Vec::new, |name| field(1, 2, name.as_bytes()));
    metric.extend(field(2, 0, &varint(alias)));
    if name.is_some() {
        metric.extend(field(4, 0, &varint(datatype)));
    }
    metric.extend(value);
    field(2, 2, &metric)
}

fn double(value: f64) -> Vec<u8> {
    field(13, 1, &value.to_le_bytes())
}

/// An Int32, as its two's complement.
fn int(value: i32) -> Vec<u8> {
    field(10, 0, &varint(u64::from(value.cast_unsigned())))
}

fn payload(at: i64, seq: u64, metrics: &[Vec<u8>]) -> Vec<u8> {
    let mut out = field(1, 0, &varint(at.cast_unsigned()));
    out.extend(metrics.concat());
    out.extend(field(3, 0, &varint(seq)));
    out
}

/// `bdSeq`, an UInt64, without an alias.
fn life(number: u64) -> Vec<u8> {
    let mut metric = field(1, 2, b"bdSeq");
    metric.extend(field(4, 0, &varint(8)));
    metric.extend(field(11, 0, &varint(number)));
    field(2, 2, &metric)
}

fn say(client: &mut Client, topic: &str, payload: &[u8]) {
    let topic = format!("spBv1.0/CityA/{topic}");
    assert_eq!(
        client.publish(&topic, payload),
        Outcome::Acked(0),
        "{topic}"
    );
}

/// Connects the node, has it listen for commands, and sends its births.
fn node(hub: &Hub, at: i64, alias: u64) -> Client {
    let identity = Identity {
        will: Some(("spBv1.0/CityA/NDEATH/edge1".to_owned(), life(7))),
        ..Identity::device("plc")
    };
    let mut client = Client::connect(hub.mqtt(), Version::V3, &identity);
    assert!(client.subscribe("spBv1.0/CityA/NCMD/edge1", 1) < 0x80);
    say(&mut client, "NBIRTH/edge1", &payload(at, 0, &[life(7)]));
    let metrics = [
        metric(Some("Inputs/PM10"), alias, 10, &double(60.5)),
        metric(Some("Inputs/T"), alias + 1, 3, &int(-7)),
    ];
    say(
        &mut client,
        "DBIRTH/edge1/dust-01",
        &payload(at, 1, &metrics),
    );
    client
}

fn values(hub: &Hub, device: &str, metric: &str) -> Vec<Value> {
    let points = hub.points(device, metric);
    points.into_iter().map(|point| point[1].clone()).collect()
}

#[test]
fn a_node_is_understood_by_its_births_over_a_restart_and_to_its_death() {
    let place = Place::with_config(&format!("{}{PROFILE}", plain_config()));
    let hub = place.start();
    hub.register(&json!([
        {"id": "plc", "kind": "gateway", "identities": {"sparkplug": "CityA/edge1"}},
        {"id": "dust-1", "kind": "dust", "parent": "plc", "profile": "dust_plc",
            "identities": {"sparkplug": "CityA/edge1/dust-01"}},
    ]));
    let at = now_ms() - 60_000;
    let mut client = node(&hub, at, 1);
    let data = [
        metric(None, 1, 10, &double(64.75)),
        metric(None, 2, 3, &int(-8)),
    ];
    say(
        &mut client,
        "DDATA/edge1/dust-01",
        &payload(at + 1_000, 2, &data),
    );
    assert_eq!(
        values(&hub, "dust-1", "pm10_ugm3"),
        [json!(60.5), json!(64.75)]
    );
    assert_eq!(
        values(&hub, "dust-1", "temperature_c"),
        [json!(-7.0), json!(-8.0)]
    );
    hub.stop();
    // The node is back, and goes on as if nothing had been: its aliases mean nothing to this hub.
    let hub = place.start();
    let identity = Identity::device("plc");
    let mut client = Client::connect(hub.mqtt(), Version::V3, &identity);
    assert!(client.subscribe("spBv1.0/CityA/NCMD/edge1", 1) < 0x80);
    client.send_publish(
        "spBv1.0/CityA/DDATA/edge1/dust-01",
        &payload(at + 2_000, 3, &data),
    );
    let asked = client.message();
    assert_eq!(asked.topic, "spBv1.0/CityA/NCMD/edge1");
    let name = b"Node Control/Rebirth";
    assert!(asked.payload.windows(name.len()).any(|part| part == name));
    until("the data without a birth is counted", || {
        let counts = audit::ledger(&hub.api()).device("dust-1");
        counts.rejected.get("unknown_alias_request_rebirth") == Some(&2)
    });
    drop(client);
    // Born anew under other aliases, and lost: the will is the node's death, and its device's.
    let mut client = node(&hub, at + 3_000, 11);
    let data = [metric(None, 11, 10, &double(70.5))];
    say(
        &mut client,
        "DDATA/edge1/dust-01",
        &payload(at + 4_000, 2, &data),
    );
    assert_eq!(
        values(&hub, "dust-1", "pm10_ugm3"),
        [json!(60.5), json!(64.75), json!(60.5), json!(70.5)]
    );
    drop(client);
    for device in ["plc", "dust-1"] {
        until("the death is noted", || {
            values(&hub, device, "link_fault").last() == Some(&json!(1.0))
        });
    }
    hub.stop();
    place.verify();
}
