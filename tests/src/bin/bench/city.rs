//! A hub with devices and rules, as the benches need it.

use serde_json::{Value, json};
use sim::load::LoadArgs;
use tests::hub::{Hub, Place, plain_config};

/// Devices of one request.
const CHUNK: usize = 1_000;

/// A configuration that lets the load in: all its connections come from one address, and its few
/// devices send as much as a city.
pub(crate) fn place() -> Place {
    let open = "kind = \"mqtt\"\nconnections_max = 20000\nconnections_per_address_max = 20000\n";
    let text = plain_config().replace("kind = \"mqtt\"\n", open);
    let free = "[limits]\ndevice_values_per_s = 0\n";
    Place::with_config(&format!("{text}{free}[log]\nlevel = \"warn\"\n"))
}

/// The rules that are on in every run: limits on both metrics of the load, and silence.
pub(crate) fn rules() -> Vec<(&'static str, Value)> {
    vec![
        (
            "overpressure",
            json!({"title": "overpressure", "kind": "threshold", "select": {"kind": "gas_pressure"},
                   "metric": "pressure_kpa", "above": 400.0, "deadband": 10.0, "on_delay_s": 10,
                   "off_delay_s": 30, "severity": "critical"}),
        ),
        (
            "hot",
            json!({"title": "hot", "kind": "threshold", "select": {},
                   "metric": "temperature_c", "above": 60.0, "deadband": 2.0,
                   "severity": "minor"}),
        ),
        (
            "silent",
            json!({"title": "silent", "kind": "silence", "select": {"kind": "gas_pressure"},
                   "after_s": 900, "severity": "warning"}),
        ),
    ]
}

/// The same rules as the file that `cityhub backtest` reads.
pub(crate) fn rules_toml() -> String {
    let key = |value: &Value| match value {
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{key} = {value}"));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    };
    let table = |(id, rule): &(&str, Value)| {
        let keys = rule.as_object().expect("a rule is an object");
        let lines = keys
            .iter()
            .map(|(name, value)| format!("{name} = {}\n", key(value)));
        format!("[rules.{id}]\n{}", lines.collect::<String>())
    };
    rules().iter().map(table).collect()
}

/// Registers the devices of a load with their secrets.
pub(crate) fn register(hub: &Hub, load: &LoadArgs) {
    let devices: Vec<Value> = load
        .devices()
        .into_iter()
        .map(|device| {
            json!({"id": device.id, "kind": "gas_pressure", "cadence_s": 60,
                   "secret": device.secret, "parent": device.parent})
        })
        .collect();
    put(hub, &devices);
}

pub(crate) fn put(hub: &Hub, devices: &[Value]) {
    for chunk in devices.chunks(CHUNK) {
        let reply = hub
            .api()
            .put("/api/v1/devices", &Value::Array(chunk.to_vec()));
        assert!(reply.status < 300, "{}", reply.text());
    }
}

pub(crate) fn put_rules(hub: &Hub) {
    for (id, rule) in rules() {
        hub.rule(id, &rule);
    }
}
