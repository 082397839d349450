//! What is told of devices: only what has changed since it was told last, each with its own time.

use crate::feed::{Feed, Station};
use crate::survey::{Count, Survey};
use crate::zones::Terms;
use model::{Catalogue, DeviceKey, MetricKey, Observation, Position, Quality, Timestamp, Value};
use sdk::{Context, Part, Refusal, Submission};
use std::collections::{HashMap, HashSet};

/// `identities.gbfs`: `SYSTEM`, `SYSTEM/STATION`, `SYSTEM/zone:NAME` or `SYSTEM/vehicle:ID`.
const PROTOCOL: &str = "gbfs";

/// Names that nobody registered and that were shown already.
const SHOWN_MAX: usize = 20_000;

/// Devices in one commit.
const PARTS_MAX: usize = 512;

/// The metrics of this driver by their names.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(HashMap<&'static str, MetricKey>);

const NAMES: [&str; 20] = [
    "vehicles_available",
    "vehicles_disabled",
    "vehicles_reserved",
    "docks_available",
    "docks_disabled",
    "is_installed",
    "is_renting",
    "is_returning",
    "parked_count",
    "parked_wrongly",
    "position",
    "battery_pct",
    "range_km",
    "vehicle_reserved",
    "vehicle_disabled",
    "zone_ride_start_allowed",
    "zone_ride_end_allowed",
    "zone_ride_through_allowed",
    "zone_maximum_speed_kph",
    "zone_station_parking",
];

impl Metrics {
    pub(crate) fn of(catalogue: &Catalogue) -> Result<Self, String> {
        let find = |name: &'static str| {
            let found = catalogue.find(name);
            let missing = || format!("the catalogue has no metric `{name}`");
            Ok((name, found.ok_or_else(missing)?))
        };
        NAMES
            .into_iter()
            .map(find)
            .collect::<Result<_, String>>()
            .map(Self)
    }
}

/// What was told last of a device.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    at: Timestamp,
    values: Vec<(MetricKey, Value)>,
}

/// What was told of all devices.
#[derive(Debug, Default)]
pub(crate) struct Book {
    told: HashMap<DeviceKey, Told>,
    shown: HashSet<String>,
    register: u64,
}

/// What a feed has to tell, on its way to the commit.
#[derive(Debug)]
pub(crate) struct Sheet<'a> {
    cx: &'a Context,
    metrics: &'a Metrics,
    book: &'a mut Book,
    system: &'a str,
    parts: Vec<Part>,
    told: Vec<(DeviceKey, Told)>,
}

/// A value that may not have been said.
type Said = (&'static str, Option<Value>);

fn number(name: &'static str, number: Option<f64>) -> Said {
    (name, number.and_then(Value::number))
}

fn flag(name: &'static str, is: Option<bool>) -> Said {
    number(name, is.map(|is| if is { 1.0 } else { 0.0 }))
}

fn count(name: &'static str, count: u32) -> Said {
    number(name, Some(f64::from(count)))
}

impl<'a> Sheet<'a> {
    pub(crate) fn new(
        cx: &'a Context,
        metrics: &'a Metrics,
        book: &'a mut Book,
        system: &'a str,
    ) -> Self {
        let version = cx.devices.version();
        if book.register != version {
            book.register = version;
            book.shown.clear();
        }
        Self {
            cx,
            metrics,
            book,
            system,
            parts: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Puts down what a device says, unless it said the same before. A time of its own that stands still
    /// while the values move cannot be theirs; then that of the feed is.
    fn put(&mut self, name: &str, (own, feed): (Option<Timestamp>, Timestamp), said: &[Said]) {
        let Some(entry) = self.cx.devices.find_identity(PROTOCOL, name) else {
            return;
        };
        if !entry.device.enabled {
            return;
        }
        let keyed = said
            .iter()
            .filter_map(|(name, value)| Some((*self.metrics.0.get(name)?, (*value)?)));
        let values: Vec<(MetricKey, Value)> = keyed.collect();
        let before = self.book.told.get(&entry.key);
        let reported = own.unwrap_or(feed);
        let at = match before {
            Some(before) if reported > before.at => reported,
            Some(before) if before.values == values || feed <= before.at => return,
            Some(_) => feed,
            None => reported,
        };
        let observation = |(metric, value): &(MetricKey, Value)| Observation {
            metric: *metric,
            value: *value,
            quality: Quality::GOOD,
            observed_at: Some(at),
        };
        let observations: Vec<_> = values.iter().map(observation).collect();
        if observations.is_empty() {
            return;
        }
        self.parts.push(Part {
            device: entry.key,
            received: u32::try_from(observations.len()).unwrap_or(u32::MAX),
            observations,
            rejected: Vec::new(),
        });
        self.told.push((entry.key, Told { at, values }));
    }

    /// Shows a name that nobody registered, once.
    fn show(&mut self, name: String) {
        let is_known = self.cx.devices.find_identity(PROTOCOL, &name).is_some();
        if is_known || self.book.shown.len() >= SHOWN_MAX || self.book.shown.contains(&name) {
            return;
        }
        self.cx.ingest.refuse(Refusal {
            reason: "unknown_device".into(),
            claimed: Some(name.clone()),
            peer: self.system.to_owned(),
            message: true,
        });
        self.book.shown.insert(name);
    }

    pub(crate) fn stations(&mut self, stations: &[Station], feed: Timestamp) {
        for station in stations {
            let name = format!("{}/{}", self.system, station.id);
            let parked = station
                .vehicles_available
                .map(|available| available + station.vehicles_disabled.unwrap_or(0.0));
            let said = [
                number("vehicles_available", station.vehicles_available),
                number("vehicles_disabled", station.vehicles_disabled),
                number("docks_available", station.docks_available),
                number("docks_disabled", station.docks_disabled),
                number("parked_count", parked),
                flag("is_installed", station.is_installed),
                flag("is_renting", station.is_renting),
                flag("is_returning", station.is_returning),
            ];
            self.put(&name, (station.last_reported, feed), &said);
            self.show(name);
        }
    }

    pub(crate) fn survey(&mut self, feed: &Feed<Survey>, has_stable_ids: bool) {
        let (survey, at) = (&feed.data, feed.last_updated);
        let system = self.system.to_owned();
        let of = |Count { parked, wrongly }: Count| {
            [
                count("parked_count", parked),
                count("parked_wrongly", wrongly),
            ]
        };
        let [parked, wrongly] = of(survey.all);
        let said = [
            parked,
            wrongly,
            count("vehicles_available", survey.available),
            count("vehicles_reserved", survey.reserved),
            count("vehicles_disabled", survey.disabled),
        ];
        self.put(&system, (None, at), &said);
        self.show(system.clone());
        for (name, count) in &survey.zones {
            let name = format!("{system}/zone:{name}");
            self.put(&name, (None, at), &of(*count));
            self.show(name);
        }
        if has_stable_ids {
            for (vehicle, terms) in &survey.vehicles {
                self.vehicle(vehicle, terms, at);
            }
        }
    }

    fn vehicle(&mut self, vehicle: &crate::feed::Vehicle, terms: &Terms, feed: Timestamp) {
        let name = format!("{}/vehicle:{}", self.system, vehicle.id);
        // Who is in this feed is not ridden.
        let position = vehicle.place.map(|(lon, lat)| {
            Value::Position(Position {
                lon,
                lat,
                accuracy_m: None,
                locked: Some(true),
            })
        });
        let said = [
            ("position", position),
            flag("vehicle_reserved", Some(vehicle.is_reserved)),
            flag("vehicle_disabled", Some(vehicle.is_disabled)),
            number("battery_pct", vehicle.fuel.map(|fuel| fuel * 100.0)),
            number("range_km", vehicle.range_m.map(|metres| metres / 1_000.0)),
            flag("zone_ride_start_allowed", terms.ride_start_allowed),
            flag("zone_ride_end_allowed", terms.ride_end_allowed),
            flag("zone_ride_through_allowed", terms.ride_through_allowed),
            number("zone_maximum_speed_kph", terms.maximum_speed_kph),
            flag("zone_station_parking", terms.station_parking),
        ];
        self.put(&name, (vehicle.last_reported, feed), &said);
    }

    /// Commits all of it, in shares. What is on disk counts as told, also when the rest fails.
    pub(crate) async fn commit(self) -> Result<(), sdk::IngestError> {
        let mut told = self.told.into_iter();
        let mut parts = self.parts;
        while !parts.is_empty() {
            let rest = parts.split_off(parts.len().min(PARTS_MAX));
            let share = std::mem::replace(&mut parts, rest);
            let devices = share.len();
            let submission = Submission {
                parts: share,
                quarantined: Vec::new(),
            };
            let _proof = self.cx.ingest.commit(submission).await?;
            self.book.told.extend(told.by_ref().take(devices));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
