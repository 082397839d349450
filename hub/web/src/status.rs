//! What is known of a device now: whether it reports, since when not, and its latest values.

use model::{
    Catalogue, DeviceHealth, DeviceKey, DeviceStatus, Reading, SilenceCause, Timestamp, Value,
};
use sdk::DeviceEntry;
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

/// The words of the filter `status`.
pub(crate) const STATUS_WORDS: [(&str, DeviceStatus); 5] = [
    ("online", DeviceStatus::Online),
    ("offline", DeviceStatus::Offline),
    ("frozen", DeviceStatus::Frozen),
    ("clock_wrong", DeviceStatus::ClockWrong),
    ("never_seen", DeviceStatus::NeverSeen),
];

/// How every device is doing, as of the last commit: the writer fills it, the pages read it.
#[derive(Clone, Debug, Default)]
pub struct Statuses {
    known: Arc<RwLock<HashMap<DeviceKey, DeviceHealth>>>,
}

impl Statuses {
    /// A device that nothing is known of has never been seen.
    pub fn of(&self, device: DeviceKey) -> DeviceHealth {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&device).copied().unwrap_or_default()
    }

    /// Changes what is known of some devices at once; nothing forgets one.
    pub fn put(&self, changed: impl IntoIterator<Item = (DeviceKey, Option<DeviceHealth>)>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (device, health) in changed {
            match health {
                Some(health) => drop(known.insert(device, health)),
                None => drop(known.remove(&device)),
            }
        }
    }
}

/// One latest value, as a device's row shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Latest {
    value: serde_json::Value,
    unit: String,
    quality: String,
    observed_at: Timestamp,
    received_at: Timestamp,
}

/// Names the latest readings of one device by their metrics.
pub(crate) fn latest_by_metric(
    catalogue: &Catalogue,
    readings: &[Reading],
) -> BTreeMap<String, Latest> {
    readings
        .iter()
        .filter_map(|reading| {
            let def = catalogue.def(reading.series.metric)?;
            Some((
                def.name.clone(),
                Latest {
                    value: value_json(&reading.value),
                    unit: def.unit.clone(),
                    quality: reading.quality.to_string(),
                    observed_at: reading.observed_at,
                    received_at: reading.received_at,
                },
            ))
        })
        .collect()
}

/// Writes a value as the API shows it: a number, or the place as an object.
pub(crate) fn value_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Number(number) => json!(number),
        Value::Position(position) => json!(position),
    }
}

/// A device's row, as every GET shows it.
#[derive(Debug, Serialize)]
pub(crate) struct DeviceRow<'a> {
    #[serde(flatten)]
    device: &'a model::Device,
    status: DeviceStatus,
    since: Option<Timestamp>,
    cause: Option<SilenceCause>,
    last_seen: Option<Timestamp>,
    grid: Option<&'a str>,
    latest: BTreeMap<String, Latest>,
}

impl<'a> DeviceRow<'a> {
    pub(crate) fn new(
        entry: &'a DeviceEntry,
        health: DeviceHealth,
        last_seen: Option<Timestamp>,
        latest: BTreeMap<String, Latest>,
    ) -> Self {
        Self {
            device: &entry.device,
            status: health.status,
            since: (health != DeviceHealth::default()).then_some(health.since),
            cause: health.cause,
            last_seen,
            grid: entry.grid.as_deref(),
            latest,
        }
    }
}

/// Writes a device's row as `GET /api/v1/devices/{id}` shows it, for the events about it.
pub fn device_row(
    catalogue: &Catalogue,
    entry: &DeviceEntry,
    health: DeviceHealth,
    last_seen: Option<Timestamp>,
    latest: &[Reading],
) -> serde_json::Value {
    let latest = latest_by_metric(catalogue, latest);
    json!(DeviceRow::new(entry, health, last_seen, latest))
}
