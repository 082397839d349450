//! Who is behind whom: the channels of recorders, as the register of devices has them.

use model::DeviceKey;
use sdk::Devices;
use std::collections::HashMap;
use std::sync::Arc;

/// The name of the protocol in a device's identities.
pub(crate) const PROTOCOL: &str = "gb28181";

/// A channel of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    pub(crate) id: String,
    pub(crate) key: DeviceKey,
}

/// Keeps the channels until the register changes.
#[derive(Debug)]
pub(crate) struct Roster {
    devices: Devices,
    version: Option<u64>,
    channels: HashMap<DeviceKey, Arc<Vec<Channel>>>,
}

impl Roster {
    pub(crate) fn new(devices: Devices) -> Self {
        Self {
            devices,
            version: None,
            channels: HashMap::new(),
        }
    }

    /// Gives the enabled devices with an identity of this protocol whose parent this is.
    pub(crate) fn channels(&mut self, parent: DeviceKey) -> Arc<Vec<Channel>> {
        let version = self.devices.version();
        if self.version != Some(version) {
            self.version = Some(version);
            self.read();
        }
        self.channels.get(&parent).cloned().unwrap_or_default()
    }

    fn read(&mut self) {
        let is_channel = |device: &model::Device| {
            let identities = &device.identities;
            device.enabled && device.parent.is_some() && identities.contains_key(PROTOCOL)
        };
        let mut channels: HashMap<DeviceKey, Vec<Channel>> = HashMap::new();
        for id in self.devices.ids_where(is_channel) {
            let found = self.devices.find(&id).and_then(|entry| {
                let parent = entry.device.parent.as_ref()?;
                let parent = self.devices.find(parent.as_str())?;
                let id = entry.device.identities.get(PROTOCOL)?.clone();
                Some((parent.key, Channel { id, key: entry.key }))
            });
            if let Some((parent, channel)) = found {
                channels.entry(parent).or_default().push(channel);
            }
        }
        for of_one in channels.values_mut() {
            of_one.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        }
        let shared = channels
            .into_iter()
            .map(|(key, list)| (key, Arc::new(list)));
        self.channels = shared.collect();
    }
}
