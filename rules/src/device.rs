//! What the rules need to know about a device.

use crate::kind::Params;
use model::geo::Point;
use model::{Device, DeviceId, DeviceKey, Location};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A device as rules select and watch it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    pub key: DeviceKey,
    pub id: DeviceId,
    pub kind: String,
    pub site: Option<String>,
    /// Unit grid code (单元网格), where the city has a grid and the device a place in it.
    pub grid: Option<String>,
    /// Where it stands, in WGS84.
    pub place: Option<Point>,
    pub tags: BTreeMap<String, String>,
    pub cadence_s: Option<u32>,
    pub parent: Option<DeviceId>,
    /// A device out of use is watched by no rule.
    pub enabled: bool,
}

impl DeviceView {
    pub fn new(key: DeviceKey, device: &Device, grid: Option<&str>) -> Self {
        Self {
            key,
            id: device.id.clone(),
            kind: device.kind.clone(),
            site: device.site.clone(),
            grid: grid.map(str::to_owned),
            place: device.location.as_ref().and_then(Location::point),
            tags: device.tags.clone(),
            cadence_s: device.cadence_s,
            parent: device.parent.clone(),
            enabled: device.enabled,
        }
    }

    /// Gives what lanes take from their device.
    pub(crate) fn params(&self) -> Params {
        let capacity = self.tags.get("capacity").and_then(|text| text.parse().ok());
        Params {
            cadence_ms: self.cadence_s.map(|s| i64::from(s) * 1000),
            capacity: capacity.filter(|capacity: &f64| capacity.is_finite() && *capacity >= 0.0),
        }
    }
}
