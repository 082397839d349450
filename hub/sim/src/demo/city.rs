//! The devices of the demo city, as its device file lists them, and what each of them plays.

use super::programme::{Part, parts};
use crate::error::SimError;
use crate::fleet::{Device, Fleet, GasClass};
use crate::kind::Kind;
use crate::link::Way;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

const DEVICES: &str = include_str!("../../../../deploy/demo/devices.csv");

/// What a device has to play.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cast {
    pub(crate) part: Part,
    /// Where bikes are parked, in degrees.
    pub(crate) stands: Arc<[(f64, f64)]>,
}

/// Gives each device of the fleet its part.
pub(crate) fn cast(fleet: &Fleet, seed: u64) -> Vec<Cast> {
    let fences = fleet.devices.iter().filter(|d| d.kind == Kind::BikeFence);
    let stands: Arc<[(f64, f64)]> = fences.map(|d| (d.lon, d.lat)).collect();
    let parts = parts(fleet, seed).into_iter();
    parts
        .map(|part| Cast {
            part,
            stands: Arc::clone(&stands),
        })
        .collect()
}

/// Reads the fleet of the demo city.
pub(crate) fn fleet() -> Result<Fleet, SimError> {
    read(DEVICES).map_err(|reason| SimError::Usage(format!("the demo city: {reason}")))
}

/// Reads a device file without quotes, as the demo's script writes it.
fn read(text: &str) -> Result<Fleet, String> {
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
    let tags: BTreeMap<String, String> = row
        .iter()
        .filter_map(|(column, value)| Some((column.strip_prefix("tags.")?, value)))
        .map(|(tag, value)| (tag.to_owned(), (*value).to_owned()))
        .collect();
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
        secret: text("secret")?,
        component_code: text("component_code"),
        gas_class: match tags.get("class").map(String::as_str) {
            Some("low") => GasClass::Low,
            Some("high") => GasClass::High,
            _ => GasClass::Medium,
        },
        tags,
        ordinal: 0,
        way,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_city_has_some_five_hundred_devices_of_every_kind() {
        let fleet = fleet().unwrap();
        assert_eq!(fleet.devices.len(), 500);
        for name in [
            "gas_pressure",
            "smoke",
            "noise",
            "dust",
            "bike_fence",
            "bike",
            "gateway",
        ] {
            let kind = Kind::named(name).unwrap();
            let count = fleet.devices.iter().filter(|d| d.kind == kind).count();
            assert!(count >= 20, "{count} of {name}");
        }
    }

    #[test]
    fn every_protocol_speaks_for_somebody_and_children_stand_near_their_gateway() {
        let fleet = fleet().unwrap();
        for way in Way::ALL {
            let speaks = fleet.devices.iter().any(|d| d.way == Some(way));
            assert!(speaks, "nobody uses {way:?}");
        }
        for device in &fleet.devices {
            match device.parent {
                Some(parent) => {
                    let gateway = &fleet.devices[parent];
                    assert_eq!(
                        (gateway.kind, &gateway.site),
                        (Kind::Gateway, &device.site),
                        "{}",
                        device.id
                    );
                    // 300 m would be far for a radio between houses.
                    let away = (device.lon - gateway.lon).hypot(device.lat - gateway.lat);
                    assert!(away < 0.003, "{} is {away}° away", device.id);
                }
                None => assert!(device.way.is_some(), "{} has no way", device.id),
            }
        }
    }

    #[test]
    fn a_child_before_its_gateway_is_refused() {
        let header = "id,kind,name,site,lon,lat,parent,cadence_s,secret\n";
        let line = "gas-1,gas_pressure,a,b,1,2,gw-1,10,s\n";
        let error = read(&format!("{header}{line}")).unwrap_err();
        assert!(error.contains("`gw-1` comes after"), "{error}");
        assert!(read(&format!("{header}gas-1,plasma,a,b,1,2,,10,s\n")).is_err());
    }
}
