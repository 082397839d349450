//! What the rules need to know about a device.

use model::{Device, DeviceId, DeviceKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A device as rules select and watch it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    pub key: DeviceKey,
    pub id: DeviceId,
    pub kind: String,
    pub site: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub cadence_s: Option<u32>,
    pub parent: Option<DeviceId>,
    /// A device out of use is watched by no rule.
    pub enabled: bool,
}

impl DeviceView {
    pub fn new(key: DeviceKey, device: &Device) -> Self {
        Self {
            key,
            id: device.id.clone(),
            kind: device.kind.clone(),
            site: device.site.clone(),
            tags: device.tags.clone(),
            cadence_s: device.cadence_s,
            parent: device.parent.clone(),
            enabled: device.enabled,
        }
    }
}
