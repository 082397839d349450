//! One row that is being read: field by field, so that every mistake is named.

use model::{Device, DeviceId, Location};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Longest text of a field, in bytes.
const TEXT_BYTES_MAX: usize = 512;

/// Longest reason that is given for one field.
const REASON_CHARS_MAX: usize = 300;

/// Slowest cadence that makes sense: once in 31 days.
const CADENCE_S_MAX: u32 = 2_678_400;

/// Places in these datums are never mixed silently.
const DATUMS: [&str; 3] = ["WGS84", "CGCS2000", "GCJ02"];

pub(super) const FIELDS: &str = "id, kind, name, site, location (CSV: lon, lat, datum), parent, cadence_s, \
                      secret, component_code, tags (CSV: tags.NAME), identities (CSV: \
                      identities.NAME), profile, enabled";

/// A row that is being read.
pub(super) struct Draft {
    pub(super) line: Option<u64>,
    pub(super) row: usize,
    pub(super) fields: Map<String, Value>,
    pub(super) errors: Vec<(Option<String>, String)>,
}

impl Draft {
    pub(super) fn new(line: Option<u64>, row: usize, fields: Map<String, Value>) -> Self {
        Self {
            line,
            row,
            fields,
            errors: Vec::new(),
        }
    }

    fn wrong(&mut self, field: &str, reason: impl Into<String>) {
        let reason: String = reason.into();
        // A wrong value is quoted, but not at any length.
        let reason = match reason.char_indices().nth(REASON_CHARS_MAX) {
            Some((end, _)) => format!("{}…", reason.get(..end).unwrap_or_default()),
            None => reason,
        };
        self.errors.push((Some(field.to_owned()), reason));
    }

    fn text(&mut self, field: &str) -> Option<String> {
        match self.fields.remove(field)? {
            Value::Null => None,
            Value::String(text) if text.len() <= TEXT_BYTES_MAX => {
                Some(text).filter(|text| !text.is_empty())
            }
            Value::String(_) => {
                self.wrong(field, format!("longer than {TEXT_BYTES_MAX} bytes"));
                None
            }
            // Whoever sees the answer, or a log of it, need not know the secret.
            _ if field == "secret" => {
                self.wrong(field, "not a text");
                None
            }
            other => {
                self.wrong(field, format!("`{other}` is not a text"));
                None
            }
        }
    }

    fn required(&mut self, field: &str) -> Option<String> {
        let errors = self.errors.len();
        let text = self.text(field);
        if text.is_none() && self.errors.len() == errors {
            self.wrong(field, "missing");
        }
        text
    }

    pub(super) fn secret(&mut self) -> Option<String> {
        if self.fields.get("secret").is_some_and(|secret| secret == "") {
            self.wrong("secret", "empty; leave it out to keep the present one");
        }
        match self.text("secret") {
            Some(secret) if secret.chars().any(char::is_control) => {
                self.wrong("secret", "holds a control character");
                None
            }
            secret => secret,
        }
    }

    fn id(&mut self, field: &str, text: Option<String>) -> Option<DeviceId> {
        match DeviceId::new(&text?) {
            Ok(id) => Some(id),
            Err(error) => {
                self.wrong(field, error.to_string());
                None
            }
        }
    }

    fn cadence(&mut self) -> Option<u32> {
        let value = self
            .fields
            .remove("cadence_s")
            .filter(|value| !value.is_null())?;
        let cadence = value
            .as_u64()
            .and_then(|s| u32::try_from(s).ok())
            .filter(|s| (1..=CADENCE_S_MAX).contains(s));
        if cadence.is_none() {
            let reason =
                format!("`{value}` is not a whole number of seconds from 1 to {CADENCE_S_MAX}");
            self.wrong("cadence_s", reason);
        }
        cadence
    }

    fn enabled(&mut self) -> bool {
        match self.fields.remove("enabled") {
            None | Some(Value::Null) => true,
            Some(Value::Bool(enabled)) => enabled,
            Some(other) => {
                self.wrong("enabled", format!("`{other}` is neither true nor false"));
                true
            }
        }
    }

    fn table(&mut self, field: &str) -> BTreeMap<String, String> {
        let table = match self.fields.remove(field) {
            None | Some(Value::Null) => return BTreeMap::new(),
            Some(Value::Object(table)) => table,
            Some(other) => {
                self.wrong(field, format!("`{other}` is not an object of texts"));
                return BTreeMap::new();
            }
        };
        let mut texts = BTreeMap::new();
        for (name, value) in table {
            match value {
                Value::String(text)
                    if text.len() <= TEXT_BYTES_MAX && name.len() <= TEXT_BYTES_MAX =>
                {
                    texts.insert(name, text);
                }
                other => self.wrong(
                    &format!("{field}.{name}"),
                    format!("`{other}` is not a short text"),
                ),
            }
        }
        texts
    }

    fn location(&mut self) -> Option<Location> {
        let value = self
            .fields
            .remove("location")
            .filter(|value| !value.is_null())?;
        let location = match serde_json::from_value::<Location>(value) {
            Ok(location) => location,
            Err(error) => {
                self.wrong("location", error.to_string());
                return None;
            }
        };
        if !(-180.0..=180.0).contains(&location.lon) {
            self.wrong(
                "location.lon",
                format!("{} is not within -180 and 180", location.lon),
            );
        }
        if !(-90.0..=90.0).contains(&location.lat) {
            self.wrong(
                "location.lat",
                format!("{} is not within -90 and 90", location.lat),
            );
        }
        if !DATUMS.contains(&location.datum.as_str()) {
            let reason = format!(
                "unknown datum `{}`; known: {}",
                location.datum,
                DATUMS.join(", ")
            );
            self.wrong("location.datum", reason);
        }
        Some(location)
    }

    pub(super) fn device(&mut self) -> Option<Device> {
        let id = self.required("id");
        let id = self.id("id", id);
        let kind = self.required("kind");
        let parent = self.text("parent");
        let parent = self.id("parent", parent);
        let name = self.text("name");
        let site = self.text("site");
        let location = self.location();
        let cadence_s = self.cadence();
        let component_code = self.text("component_code");
        let tags = self.table("tags");
        let identities = self.table("identities");
        let profile = self.text("profile");
        let enabled = self.enabled();
        let strange: Vec<String> = self.fields.keys().cloned().collect();
        for field in strange {
            self.wrong(&field, format!("unknown field; known: {FIELDS}"));
        }
        Some(Device {
            id: id?,
            kind: kind?,
            name,
            site,
            location,
            parent,
            cadence_s,
            component_code,
            tags,
            identities,
            profile,
            enabled,
        })
    }
}
