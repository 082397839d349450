//! `cityhub schema`: the JSON Schema of the configuration, drivers included.

use crate::config::Config;
use serde_json::{Map, Value, json};

/// Gives the schema of `hub.toml`. Each `[drivers.NAME]` table is one of the drivers' own schemas.
pub fn schema() -> Value {
    let mut root = Value::from(schemars::schema_for!(Config));
    let mut kinds = Vec::new();
    let mut definitions = Map::new();
    for driver in crate::drivers::ALL {
        let mut schema = Value::from((driver.schema)());
        if let Some(fields) = schema.as_object_mut() {
            fields.remove("$schema");
            if let Some(Value::Object(inner)) = fields.remove("$defs") {
                definitions.extend(inner);
            }
        }
        if let Some(kind) = schema.pointer_mut("/properties/kind") {
            *kind = json!({ "const": driver.kind, "description": "Says which driver this is." });
        }
        let name = format!("Driver_{}", driver.kind);
        kinds.push(json!({ "$ref": format!("#/$defs/{name}") }));
        definitions.insert(name, schema);
    }
    if let Some(drivers) = root.pointer_mut("/properties/drivers/additionalProperties") {
        *drivers = json!({ "oneOf": kinds });
    }
    if let Some(known) = root.pointer_mut("/$defs").and_then(Value::as_object_mut) {
        known.extend(definitions);
    }
    root
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
            "/properties/city",
            "/$defs/StoreConfig/properties/seal_cells/description",
        ] {
            assert!(schema.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
