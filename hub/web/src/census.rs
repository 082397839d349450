//! How many devices are in which status, by kind.

use crate::state::Inner;
use model::DeviceStatus;
use serde::Serialize;
use std::collections::BTreeMap;

/// Counts by status; every status has one, be it 0.
pub(crate) type ByStatus = BTreeMap<&'static str, u64>;

/// The registered devices by how they are doing.
#[derive(Debug, Serialize)]
pub(crate) struct Census {
    pub(crate) total: u64,
    /// Out of use, and counted nowhere else.
    pub(crate) disabled: u64,
    pub(crate) by_status: ByStatus,
    pub(crate) by_kind: BTreeMap<String, ByStatus>,
    /// The share of the devices in use that report: online, frozen or with a wrong clock.
    pub(crate) online_rate: Option<f64>,
}

impl Census {
    pub(crate) fn take(hub: &Inner) -> Self {
        let mut census = Self {
            total: 0,
            disabled: 0,
            by_status: none(),
            by_kind: BTreeMap::new(),
            online_rate: None,
        };
        let mut reporting = 0u64;
        for entry in hub.devices.all() {
            census.total += 1;
            if !entry.device.enabled {
                census.disabled += 1;
                continue;
            }
            let status = hub.statuses.of(entry.key).status;
            let silent = matches!(status, DeviceStatus::Offline | DeviceStatus::NeverSeen);
            reporting += u64::from(!silent);
            *census.by_status.entry(status.name()).or_default() += 1;
            if !census.by_kind.contains_key(&entry.device.kind) {
                census.by_kind.insert(entry.device.kind.clone(), none());
            }
            if let Some(counts) = census.by_kind.get_mut(&entry.device.kind) {
                *counts.entry(status.name()).or_default() += 1;
            }
        }
        let in_use = census.total - census.disabled;
        census.online_rate = (in_use > 0).then(|| reporting as f64 / in_use as f64);
        census
    }
}

fn none() -> ByStatus {
    DeviceStatus::ALL.map(|status| (status.name(), 0)).into()
}
