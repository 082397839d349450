//! A fleet as a device file of the hub lists it, with a tag that says how each device speaks.

use super::{Device, Fleet, GasClass};
use crate::kind::Kind;
use crate::way::Way;
use std::collections::{BTreeMap, HashMap};

/// Reads a device file without quotes, as the demo's script writes it.
pub(crate) fn read(text: &str) -> Result<Fleet, String> {
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let mut fleet = Fleet::default();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut counts: HashMap<Kind, usize> = HashMap::new();
    for line in lines {
        let row: BTreeMap<&str, &str> = columns
            .iter()
            .copied()
            .zip(line.split(','))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let mut device = device(&row).ok_or_else(|| format!("what is `{line}`?"))?;
        if let Some(parent) = row.get("parent") {
            let gateway = known.get(*parent).copied();
            let gateway = gateway.ok_or_else(|| format!("`{parent}` comes after `{line}`"))?;
            device.parent = Some(gateway);
        }
        let count = counts.entry(device.kind).or_default();
        device.ordinal = *count;
        *count += 1;
        known.insert(device.id.clone(), fleet.devices.len());
        fleet.devices.push(device);
    }
    Ok(fleet)
}

fn device(row: &BTreeMap<&str, &str>) -> Option<Device> {
    let text = |column: &str| row.get(column).map(|value| (*value).to_owned());
    let named = |prefix: &str| -> BTreeMap<String, String> {
        let columns = row.iter();
        columns
            .filter_map(|(column, value)| Some((column.strip_prefix(prefix)?, value)))
            .map(|(name, value)| (name.to_owned(), (*value).to_owned()))
            .collect()
    };
    let (tags, identities) = (named("tags."), named("identities."));
    let way = match tags.get("protocol") {
        Some(protocol) => Some(Way::named(protocol)?),
        None => None,
    };
    Some(Device {
        id: text("id")?,
        kind: Kind::named(row.get("kind")?)?,
        name: text("name")?,
        site: text("site")?,
        lon: row.get("lon")?.parse().ok()?,
        lat: row.get("lat")?.parse().ok()?,
        parent: None,
        cadence_s: row.get("cadence_s")?.parse().ok()?,
        secret: text("secret").unwrap_or_default(),
        component_code: text("component_code"),
        gas_class: match tags.get("class").map(String::as_str) {
            Some("low") => GasClass::Low,
            Some("high") => GasClass::High,
            _ => GasClass::Medium,
        },
        tags,
        ordinal: 0,
        way,
        identities,
        profile: text("profile"),
    })
}
