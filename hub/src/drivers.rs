//! Every driver that this hub was built with, one line each.

use config::Value;
use sdk::Registration;

/// The drivers, by the `kind` of their configuration.
pub const ALL: &[Registration] = &[
    Registration::of::<driver_http::Http>(),
    Registration::of::<driver_mqtt::Mqtt>(),
];

/// Finds the driver of a `[drivers.NAME]` table by its `kind`.
pub fn find(value: &Value) -> Result<&'static Registration, String> {
    let kind = value
        .clone()
        .into_table()
        .map_err(|error| error.to_string())?
        .remove("kind")
        .ok_or_else(|| "missing `kind`, which says which driver this is".to_owned())?
        .into_string()
        .map_err(|error| error.to_string())?;
    let known = || {
        ALL.iter()
            .map(|known| known.kind)
            .collect::<Vec<_>>()
            .join(", ")
    };
    ALL.iter()
        .find(|known| known.kind == kind)
        .ok_or_else(|| format!("no driver of kind `{kind}` in this hub; known: {}", known()))
}
