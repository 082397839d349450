//! The devices of the demo city, as its device file lists them, and what each of them plays.

use super::programme::{Part, parts};
use crate::error::SimError;
use crate::fleet::{self, Fleet};
use crate::kind::Kind;
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
    fleet::read(DEVICES).map_err(|reason| SimError::Usage(format!("the demo city: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::read;
    use crate::way::Way;
    use std::collections::BTreeSet;

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
        let spoken: BTreeSet<Way> = fleet.devices.iter().filter_map(|d| d.way).collect();
        assert_eq!(spoken, Way::all().collect());
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
