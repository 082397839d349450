//! Which cameras are to be asked: the register of devices, as this driver sees it.

use crate::rtsp::Target;
use model::{Device, DeviceKey};
use sdk::Devices;
use std::collections::BTreeMap;

/// `identities.rtsp`: where a camera is asked.
const RTSP: &str = "rtsp";

/// A camera to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: DeviceKey,
    pub(crate) target: Target,
    pub(crate) cadence_s: Option<u32>,
}

/// Follows the register.
#[derive(Debug)]
pub(crate) struct Roster {
    devices: Devices,
    version: Option<u64>,
    wrong: BTreeMap<String, String>,
}

impl Roster {
    pub(crate) fn new(devices: Devices) -> Self {
        Self {
            devices,
            version: None,
            wrong: BTreeMap::new(),
        }
    }

    /// Gives all members if the register has changed since it was asked last.
    pub(crate) fn changed(&mut self) -> Option<Vec<Member>> {
        let version = self.devices.version();
        if self.version == Some(version) {
            return None;
        }
        self.version = Some(version);
        let is_member = |device: &Device| device.enabled && device.identities.contains_key(RTSP);
        let mut ids = self.devices.ids_where(is_member);
        ids.sort_unstable();
        let (mut members, mut wrong) = (Vec::new(), BTreeMap::new());
        for entry in ids.iter().filter_map(|id| self.devices.find(id)) {
            let device = &entry.device;
            let Some(address) = device.identities.get(RTSP) else {
                continue;
            };
            match Target::parse(address) {
                Ok(target) => members.push(Member {
                    key: entry.key,
                    target,
                    cadence_s: device.cadence_s.filter(|seconds| *seconds > 0),
                }),
                Err(why) => {
                    wrong.insert(device.id.to_string(), why);
                }
            }
        }
        for (id, why) in &wrong {
            if self.wrong.get(id) != Some(why) {
                tracing::warn!(id, why, "a camera cannot be asked");
            }
        }
        self.wrong = wrong;
        Some(members)
    }
}
