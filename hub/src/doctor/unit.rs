//! What systemd knows of a unit.

use super::machine::Machine;
use std::collections::BTreeMap;

/// Properties that are asked for.
const ASKED: &str = "LoadState,ActiveState,SubState,UnitFileState,NRestarts,Result,ExecMainStatus,\
    MainPID,User,DropInPaths,LimitNOFILE,AmbientCapabilities,DevicePolicy,DeviceAllow,PrivateDevices,\
    SupplementaryGroups,MemoryMax,LastTriggerUSec";

/// A unit that systemd has loaded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unit(BTreeMap<String, String>);

impl Unit {
    /// Asks systemd. Nothing where there is no systemd, or it does not know the unit.
    pub(crate) fn of(machine: &Machine, name: &str) -> Option<Self> {
        let told = machine.ask("systemctl", &["show", name, "--property", ASKED])?;
        let pairs = told.lines().filter_map(|line| line.split_once('='));
        let unit = Self(
            pairs
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        );
        (unit.get("LoadState") != "not-found" && !unit.get("LoadState").is_empty()).then_some(unit)
    }

    /// The value of a property; empty where there is none.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.get(key).parse().ok()
    }
}
