//! An alarm as it is shown: the row with what a list needs to know of its device.

use crate::state::Inner;
use model::{AlarmRow, Device, Location};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A row with the name and the place of its device, so that no list asks for each.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    row: AlarmRow,
    device_name: Option<String>,
    location: Option<Location>,
}

impl Shown {
    pub(crate) fn new(row: AlarmRow, device: Option<&Device>) -> Self {
        Self {
            row,
            device_name: device.and_then(|device| device.name.clone()),
            location: device.and_then(|device| device.location.clone()),
        }
    }

    pub(crate) fn of(hub: &Inner, row: AlarmRow) -> Self {
        let entry = hub.devices.find(row.device.as_str());
        Self::new(row, entry.as_ref().map(|entry| &entry.device))
    }

    pub(crate) fn rule(&self) -> &str {
        &self.row.rule
    }
}

/// Writes an alarm as every list, action and event shows it; `device` is the one it is of.
pub fn alarm_row(row: &AlarmRow, device: Option<&Device>) -> Value {
    serde_json::to_value(Shown::new(row.clone(), device)).expect("an alarm row is plain data")
}

/// What a list says once of each rule that its rows name.
pub(crate) fn rules_of<'a>(
    hub: &Inner,
    rows: impl Iterator<Item = &'a Shown>,
) -> Map<String, Value> {
    let mut rules = Map::new();
    for row in rows {
        if rules.contains_key(row.rule()) {
            continue;
        }
        if let Some(entry) = hub.rules.find(row.rule()) {
            let field = |name: &str| entry.spec.get(name).cloned().unwrap_or_default();
            let shown = json!({
                "title": field("title"),
                "kind": field("kind"),
                "revision": entry.revision,
                "advice": field("advice"),
                "source": field("source"),
            });
            rules.insert(row.rule().to_owned(), shown);
        }
    }
    rules
}
