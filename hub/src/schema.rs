//! `cityhub schema`: the JSON Schema of the configuration, drivers and sinks included.

use crate::config::Config;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// What every sink has beside its own settings.
#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "it is read by `sinks::Subscription`; here it is described"
)]
struct SinkCommon {
    /// Says which sink this is.
    kind: String,
    /// Where a new subscription begins: `now`, `beginning`, or after the event of this number.
    #[schemars(with = "Option<serde_json::Value>")]
    from: Option<Value>,
    filter: Option<sinks::Filter>,
}

/// Gives the schema of `hub.toml`. Each `[drivers.NAME]` table is one of the drivers' own schemas,
/// and each `[sinks.NAME]` table one of the sinks'.
pub fn schema() -> Value {
    let mut root = Value::from(schemars::schema_for!(Config));
    let mut definitions = Map::new();
    let drivers = crate::drivers::ALL.iter();
    let drivers = drivers.map(|driver| (driver.kind, (driver.schema)()));
    put_kinds(&mut root, ("drivers", "Driver"), drivers, &mut definitions);
    let profiles = crate::drivers::PROFILES.iter();
    let profiles = profiles.map(|profile| (profile.codec, (profile.schema)()));
    put_kinds(
        &mut root,
        ("profiles", "Profile"),
        profiles,
        &mut definitions,
    );
    let common = Value::from(schemars::schema_for!(SinkCommon));
    let sinks = sinks::ALL.iter();
    let sinks = sinks.map(|sink| (sink.kind, with_common((sink.schema)(), &common)));
    put_kinds(&mut root, ("sinks", "Sink"), sinks, &mut definitions);
    if let Some(known) = root.pointer_mut("/$defs").and_then(Value::as_object_mut) {
        known.extend(definitions);
    }
    root
}

/// Adds the common settings to those of one kind.
fn with_common(schema: Schema, common: &Value) -> Schema {
    let mut schema = schema;
    for part in ["properties", "$defs"] {
        let Some(common) = common.get(part).and_then(Value::as_object) else {
            continue;
        };
        let own = schema
            .ensure_object()
            .entry(part.to_owned())
            .or_insert_with(|| json!({}));
        if let Some(own) = own.as_object_mut() {
            own.extend(common.clone());
        }
    }
    schema
}

/// Says that each table of `part` is one of these kinds.
fn put_kinds(
    root: &mut Value,
    (part, prefix): (&str, &str),
    schemas: impl Iterator<Item = (&'static str, Schema)>,
    definitions: &mut Map<String, Value>,
) {
    let mut kinds = Vec::new();
    for (kind, schema) in schemas {
        let mut schema = Value::from(schema);
        if let Some(fields) = schema.as_object_mut() {
            fields.remove("$schema");
            if let Some(Value::Object(inner)) = fields.remove("$defs") {
                definitions.extend(inner);
            }
        }
        if let Some(described) = schema.pointer_mut("/properties/kind") {
            let what = prefix.to_lowercase();
            *described =
                json!({ "const": kind, "description": format!("Says which {what} this is.") });
        }
        let name = format!("{prefix}_{kind}");
        kinds.push(json!({ "$ref": format!("#/$defs/{name}") }));
        definitions.insert(name, schema);
    }
    if let Some(tables) = root.pointer_mut(&format!("/properties/{part}/additionalProperties")) {
        *tables = json!({ "oneOf": kinds });
    }
}

#[cfg(test)]
mod tests {
    use super::schema;

    #[test]
    fn every_driver_and_every_table_is_in_the_schema() {
        let schema = schema();
        for pointer in [
            "/$defs/Driver_http/properties/listen",
            "/$defs/Driver_mqtt/properties/listen",
            "/properties/drivers/additionalProperties/oneOf/1",
            "/properties/sinks/additionalProperties/oneOf/1",
            "/$defs/Sink_webhook/properties/secret",
            "/$defs/Sink_webhook/properties/filter",
            "/$defs/Filter/properties/min_severity",
            "/properties/city",
            "/$defs/StoreConfig/properties/seal_cells/description",
        ] {
            assert!(schema.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
