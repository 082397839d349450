//! Who is to be polled where: the register of devices, as lines see it.

use crate::frame::UNIT_MAX;
use crate::texts;
use model::{Device, DeviceKey};
use sdk::Devices;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// `identities.modbus`: where a device is polled.
const MODBUS: &str = "modbus";
/// `identities.dtu`: what a DTU says when it dials in.
const DTU: &str = "dtu";

/// A device on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: DeviceKey,
    pub(crate) id: String,
    pub(crate) unit: u8,
    /// Added to every address of its map.
    pub(crate) offset: u16,
    pub(crate) profile: Option<String>,
    pub(crate) cadence_s: Option<u32>,
}

/// The register at one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) version: u64,
    lines: HashMap<String, Vec<Member>>,
    dtus: HashMap<Vec<u8>, DeviceKey>,
    /// How long the registrations of DTUs are; the longest first.
    lengths: Vec<usize>,
    /// Devices whose identity cannot be used, and why.
    wrong: BTreeMap<String, String>,
}

impl Snapshot {
    /// Gives the devices of a line: of a driver by its name, or of a DTU by its device id.
    pub(crate) fn members(&self, line: &str) -> &[Member] {
        self.lines.get(line).map_or(&[], Vec::as_slice)
    }

    /// Finds the DTU whose registration stands in what was received, and that registration. Of
    /// several the longest is meant.
    pub(crate) fn dtu<'a>(&self, received: &'a [u8]) -> Option<(DeviceKey, &'a [u8])> {
        self.lengths.iter().find_map(|len| {
            let mut windows = received.windows(*len);
            windows.find_map(|window| Some((*self.dtus.get(window)?, window)))
        })
    }

    /// Tells whether that device still registers with that text.
    pub(crate) fn has_dtu(&self, key: DeviceKey, registration: &[u8]) -> bool {
        self.dtus.get(registration) == Some(&key)
    }
}

/// Keeps a snapshot until the register changes.
#[derive(Debug)]
pub(crate) struct Roster {
    devices: Devices,
    current: Mutex<Arc<Snapshot>>,
}

impl Roster {
    pub(crate) fn new(devices: Devices) -> Self {
        Self {
            devices,
            current: Mutex::default(),
        }
    }

    pub(crate) fn look(&self) -> Arc<Snapshot> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.devices.version();
        if current.version != version {
            let read = Arc::new(read(&self.devices, version));
            for (id, why) in &read.wrong {
                if current.wrong.get(id) != Some(why) {
                    tracing::warn!(id, why, "a device cannot be polled");
                }
            }
            *current = read;
        }
        Arc::clone(&current)
    }
}

fn read(devices: &Devices, version: u64) -> Snapshot {
    let named = |device: &Device| {
        let identities = &device.identities;
        device.enabled && (identities.contains_key(MODBUS) || identities.contains_key(DTU))
    };
    let mut ids = devices.ids_where(named);
    ids.sort_unstable();
    let mut snapshot = Snapshot {
        version,
        ..Snapshot::default()
    };
    for entry in ids.iter().filter_map(|id| devices.find(id)) {
        let device = &entry.device;
        let taken = snapshot.take(entry.key, device);
        if let Err(why) = taken {
            snapshot.wrong.insert(device.id.to_string(), why);
        }
    }
    let lengths: BTreeSet<usize> = snapshot.dtus.keys().map(Vec::len).collect();
    snapshot.lengths = lengths.into_iter().rev().collect();
    snapshot
}

impl Snapshot {
    fn take(&mut self, key: DeviceKey, device: &Device) -> Result<(), String> {
        if let Some(text) = device.identities.get(DTU) {
            self.dtus.insert(texts::bytes(text)?, key);
        }
        let Some(address) = device.identities.get(MODBUS) else {
            return Ok(());
        };
        let (line, unit, offset) = parse(address)?;
        self.lines.entry(line.to_owned()).or_default().push(Member {
            key,
            id: device.id.to_string(),
            unit,
            offset,
            profile: device.profile.clone(),
            cadence_s: device.cadence_s,
        });
        Ok(())
    }
}

/// Reads `LINE/UNIT`, `LINE/UNIT@OFFSET` and either with `/NAME` behind.
fn parse(address: &str) -> Result<(&str, u8, u16), String> {
    let wrong = || format!("identities.modbus `{address}` is not LINE/UNIT or LINE/UNIT@OFFSET");
    let mut parts = address.splitn(3, '/');
    let line = parts.next().filter(|line| !line.is_empty());
    let (line, place) = line.zip(parts.next()).ok_or_else(wrong)?;
    let (unit, offset) = place.split_once('@').unwrap_or((place, "0"));
    let unit = unit
        .parse::<u8>()
        .ok()
        .filter(|unit| *unit <= UNIT_MAX || *unit == u8::MAX);
    let unit = unit.ok_or_else(|| format!("{}: units are 0 to {UNIT_MAX} and 255", wrong()))?;
    let offset = offset.parse().map_err(|_| wrong())?;
    Ok((line, unit, offset))
}

#[cfg(test)]
mod tests;
