//! What a whole feed of vehicles amounts to: how many stand, and where the operator's own rules do not let
//! them.
//!
//! Ids of vehicles change after every ride, as the standard demands, so that counts are what lasts.

use crate::feed::{Feed, FeedError, Vehicle, vehicles};
use crate::zones::{Terms, Zones};
use model::Timestamp;
use model::geo::Point;
use std::collections::BTreeMap;

/// How many vehicles stand somewhere.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) parked: u32,
    pub(crate) wrongly: u32,
}

/// A feed of vehicles, looked through.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Survey {
    /// Each vehicle, and what may be done where it stands; nothing is known of those at stations.
    pub(crate) vehicles: Vec<(Vehicle, Terms)>,
    pub(crate) all: Count,
    pub(crate) available: u32,
    pub(crate) reserved: u32,
    pub(crate) disabled: u32,
    /// By the names of the zones that there are now; several zones of one name are one.
    pub(crate) zones: BTreeMap<String, Count>,
    pub(crate) bad: Vec<FeedError>,
}

/// Reads a feed of vehicles and holds it against the zones as they are at its time.
pub(crate) fn survey(bytes: &[u8], zones: &Zones) -> Result<Feed<Survey>, FeedError> {
    let feed = vehicles(bytes)?;
    let at = feed.last_updated;
    let mut survey = Survey {
        zones: zones
            .zones
            .iter()
            .map(|zone| (zone.name.clone(), Count::default()))
            .collect(),
        ..Survey::default()
    };
    let items = feed.data.clone();
    survey.bad = items.bad;
    for vehicle in items.good {
        survey.add(vehicle, zones, at);
    }
    Ok(feed.with(survey))
}

impl Survey {
    fn add(&mut self, vehicle: Vehicle, zones: &Zones, at: Timestamp) {
        let point = vehicle
            .place
            .and_then(|(lon, lat)| Point::from_degrees(lon, lat));
        let terms = point.map_or_else(Terms::default, |point| {
            zones.resolve(point, vehicle.type_id.as_deref(), at)
        });
        let one_wrongly = u32::from(terms.forbids_parking(vehicle.station.is_some()));
        self.all.parked += 1;
        self.all.wrongly += one_wrongly;
        self.reserved += u32::from(vehicle.is_reserved);
        self.disabled += u32::from(vehicle.is_disabled);
        self.available += u32::from(!vehicle.is_reserved && !vehicle.is_disabled);
        if let Some(point) = point {
            let mut last = None;
            for zone in zones.zones.iter().filter(|zone| zone.holds(point, at)) {
                // Parts of one zone may lie over each other; a vehicle counts once by a name.
                if last != Some(&zone.name)
                    && let Some(count) = self.zones.get_mut(&zone.name)
                {
                    count.parked += 1;
                    count.wrongly += one_wrongly;
                }
                last = Some(&zone.name);
            }
        }
        self.vehicles.push((vehicle, terms));
    }
}
