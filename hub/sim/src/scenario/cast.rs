//! The devices of a script as a fleet that the links know, and what each of them plays.

use super::script::{Group, Script};
use crate::fleet::{Device, Fleet, secret};
use std::collections::{BTreeMap, HashMap};

/// What a device is told to do.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) group: &'a Group,
    /// Its number in the group, from 1 on.
    pub(crate) number: usize,
}

/// Metres of one degree of latitude.
const DEGREE_M: f64 = 111_320.0;

/// Moves a place; good for the metres of a street, not for the width of a country.
pub(crate) fn shifted([lon, lat]: [f64; 2], east_m: f64, north_m: f64) -> [f64; 2] {
    let wide = DEGREE_M * lat.to_radians().cos();
    [lon + east_m / wide, lat + north_m / DEGREE_M]
}

/// Gives the fleet with gateways before their children, and the part of each device.
pub(crate) fn cast<'a>(
    script: &'a Script,
    secret_seed: &str,
) -> Result<(Fleet, Vec<Part<'a>>), String> {
    let mut parts = Vec::new();
    for group in script.devices.values().filter(|g| g.parent.is_none()) {
        parts.extend((1..=group.count).map(|number| Part { group, number }));
    }
    for group in script.devices.values().filter(|g| g.parent.is_some()) {
        parts.extend((1..=group.count).map(|number| Part { group, number }));
    }
    let mut fleet = Fleet::default();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (index, part) in parts.iter().enumerate() {
        let group = part.group;
        let id = part.named(&group.id);
        let parent =
            match &group.parent {
                Some(parent) => {
                    let name = part.named(parent);
                    let found = known.get(&name).copied();
                    Some(found.ok_or_else(|| {
                        format!("`{id}` has the parent `{name}`, which is not there")
                    })?)
                }
                None => None,
            };
        let [lon, lat] = part.home();
        fleet.devices.push(Device {
            secret: secret(secret_seed, &id),
            kind: group.kind,
            name: format!("{}{}", group.kind.chinese_name(), part.number),
            site: part.named(group.site.as_deref().unwrap_or("示范点")),
            lon,
            lat,
            parent,
            cadence_s: group.cadence_s,
            component_code: None,
            tags: group.tags.clone(),
            gas_class: crate::fleet::GasClass::Medium,
            ordinal: part.number - 1,
            way: None,
            identities: BTreeMap::new(),
            profile: None,
            id: id.clone(),
        });
        if known.insert(id.clone(), index).is_some() {
            return Err(format!("`{id}` is there twice"));
        }
    }
    Ok((fleet, parts))
}

impl Part<'_> {
    fn named(&self, pattern: &str) -> String {
        let site = (self.number - 1) / self.group.devices_per_site.max(1) + 1;
        pattern
            .replace("{n}", &self.number.to_string())
            .replace("{s}", &site.to_string())
    }

    /// The place in the register, rounded to 0.1 m as the hub keeps it.
    pub(crate) fn home(&self) -> [f64; 2] {
        let before = (self.number - 1) as f64;
        let east_m = self.group.spacing_m * before;
        shifted(self.group.location, east_m, 0.0).map(|degrees| (degrees * 1e6).round() / 1e6)
    }
}
