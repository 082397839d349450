//! Geofencing zones: what may be done at a place, by the operator's own rules.
//!
//! Precedence is decided for each field by itself: the first zone of the file that holds the place and
//! has a rule for the type of vehicle with that field decides it; then the global rules. Zones out of
//! their time are not there.

use crate::feed::{Edition, Feed, FeedError, Time, zones};
use model::Timestamp;
use model::geo::{self, Form, Point};
use serde::Deserialize;
use serde_json::{Value, json};

/// Corners of all zones, as for the fences of a rule.
const VERTICES_MAX: usize = 200_000;
const ZONES_MAX: usize = 4_096;
const RULES_MAX: usize = 64;

/// What may be done, as far as it is said.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub(crate) struct Terms {
    pub(crate) ride_start_allowed: Option<bool>,
    pub(crate) ride_end_allowed: Option<bool>,
    pub(crate) ride_through_allowed: Option<bool>,
    pub(crate) maximum_speed_kph: Option<f64>,
    pub(crate) station_parking: Option<bool>,
}

impl Terms {
    /// Takes over the fields that are not decided yet.
    fn complete(&mut self, other: &Self) {
        self.ride_start_allowed = self.ride_start_allowed.or(other.ride_start_allowed);
        self.ride_end_allowed = self.ride_end_allowed.or(other.ride_end_allowed);
        self.ride_through_allowed = self.ride_through_allowed.or(other.ride_through_allowed);
        self.maximum_speed_kph = self.maximum_speed_kph.or(other.maximum_speed_kph);
        self.station_parking = self.station_parking.or(other.station_parking);
    }

    /// Tells whether a vehicle may not stand here, at a station or away from one.
    pub(crate) fn forbids_parking(&self, is_at_station: bool) -> bool {
        self.ride_end_allowed == Some(false) || self.station_parking == Some(true) && !is_at_station
    }
}

/// One rule; without types it holds for all.
#[derive(Clone, Debug, PartialEq)]
struct Rule {
    types: Vec<String>,
    terms: Terms,
}

impl Rule {
    fn is_for(&self, vehicle_type: Option<&str>) -> bool {
        let is_meant = |known: &String| Some(known.as_str()) == vehicle_type;
        self.types.is_empty() || self.types.iter().any(is_meant)
    }
}

/// One zone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Zone {
    pub(crate) name: String,
    form: Form,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    rules: Vec<Rule>,
    geometry: Value,
}

impl Zone {
    /// Tells whether it is there at an instant and holds a place.
    pub(crate) fn holds(&self, point: Point, at: Timestamp) -> bool {
        let has_begun = self.start.is_none_or(|start| at >= start);
        let has_ended = self.end.is_some_and(|end| at >= end);
        has_begun && !has_ended && self.form.holds(point)
    }
}

/// All zones of an operator.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Zones {
    pub(crate) zones: Vec<Zone>,
    global: Vec<Rule>,
    /// Why others are not among them.
    pub(crate) bad: Vec<FeedError>,
}

#[derive(Deserialize)]
struct RawRule {
    #[serde(default, alias = "vehicle_type_id")]
    vehicle_type_ids: Option<Vec<String>>,
    ride_start_allowed: Option<bool>,
    ride_end_allowed: Option<bool>,
    /// Before 3.0: both.
    ride_allowed: Option<bool>,
    ride_through_allowed: Option<bool>,
    maximum_speed_kph: Option<f64>,
    station_parking: Option<bool>,
}

#[derive(Default, Deserialize)]
struct RawProperties {
    name: Option<Name>,
    start: Option<Time>,
    end: Option<Time>,
    #[serde(default)]
    rules: Option<Vec<RawRule>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Name {
    Plain(String),
    Languages(Vec<NameIn>),
}

#[derive(Deserialize)]
struct NameIn {
    text: String,
    language: String,
}

impl Name {
    fn in_language(self, language: &str) -> Option<String> {
        match self {
            Self::Plain(name) => Some(name),
            Self::Languages(names) => {
                let own = names
                    .iter()
                    .find(|name| name.language.starts_with(language));
                own.or(names.first()).map(|name| name.text.clone())
            }
        }
    }
}

fn rules(raw: Vec<RawRule>) -> Vec<Rule> {
    let rule = |raw: RawRule| Rule {
        types: raw.vehicle_type_ids.unwrap_or_default(),
        terms: Terms {
            ride_start_allowed: raw.ride_start_allowed.or(raw.ride_allowed),
            ride_end_allowed: raw.ride_end_allowed.or(raw.ride_allowed),
            ride_through_allowed: raw.ride_through_allowed,
            maximum_speed_kph: raw.maximum_speed_kph,
            station_parking: raw.station_parking,
        },
    };
    raw.into_iter().take(RULES_MAX).map(rule).collect()
}

fn schema(error: &dyn std::fmt::Display) -> FeedError {
    FeedError::Schema(error.to_string())
}

impl Zones {
    /// Reads the feed.
    pub(crate) fn read(bytes: &[u8], language: &str) -> Result<Feed<Self>, FeedError> {
        let (edition, feed) = zones(bytes)?;
        let (collection, global) = &feed.data;
        let read = Self::of(edition, collection, global, language)?;
        Ok(feed.with(read))
    }

    /// Reads a collection of zones and the global rules. A zone that is wrong leaves the others be.
    pub(crate) fn of(
        edition: Edition,
        collection: &Value,
        global: &Value,
        language: &str,
    ) -> Result<Self, FeedError> {
        let features = collection.get("features").and_then(Value::as_array);
        let features = features.ok_or_else(|| schema(&"no `features`"))?;
        let global = match global {
            Value::Null => Vec::new(),
            some => Vec::<RawRule>::deserialize(some).map_err(|error| schema(&error))?,
        };
        let mut read = Self {
            global: rules(global),
            ..Self::default()
        };
        let mut vertices = 0;
        for (feature, number) in features.iter().zip(1..).take(ZONES_MAX) {
            match zone(edition, feature, (number, language)) {
                Ok(zone) if vertices + zone.form.vertices() <= VERTICES_MAX => {
                    vertices += zone.form.vertices();
                    read.zones.push(zone);
                }
                Ok(_) => read
                    .bad
                    .push(schema(&format!("more than {VERTICES_MAX} vertices"))),
                Err(error) => read.bad.push(error),
            }
        }
        if features.len() > ZONES_MAX {
            read.bad
                .push(schema(&format!("more than {ZONES_MAX} zones")));
        }
        Ok(read)
    }

    /// Tells what a vehicle of a type may do at a place and an instant.
    pub(crate) fn resolve(&self, point: Point, vehicle_type: Option<&str>, at: Timestamp) -> Terms {
        let mut terms = Terms::default();
        let zones = self.zones.iter().filter(|zone| zone.holds(point, at));
        let rules = zones.flat_map(|zone| &zone.rules).chain(&self.global);
        for rule in rules.filter(|rule| rule.is_for(vehicle_type)) {
            terms.complete(&rule.terms);
        }
        terms
    }

    /// Gives the zones in which some vehicle may not be left, as GeoJSON for fences and map layers.
    pub(crate) fn forbidden(&self) -> Value {
        let forbids = |zone: &&Zone| {
            let mut terms = zone.rules.iter().map(|rule| &rule.terms);
            terms.any(|terms| terms.forbids_parking(false))
        };
        let feature = |zone: &Zone| {
            json!({
                "type": "Feature",
                "properties": {"name": zone.name},
                "geometry": zone.geometry,
            })
        };
        let features: Vec<Value> = self.zones.iter().filter(forbids).map(feature).collect();
        json!({"type": "FeatureCollection", "features": features})
    }
}

fn zone(
    edition: Edition,
    feature: &Value,
    (number, language): (u32, &str),
) -> Result<Zone, FeedError> {
    let geometry = feature.get("geometry").cloned().unwrap_or_default();
    let whole = json!({"type": "Feature", "geometry": geometry, "properties": {}});
    let shapes = geo::read(&whole, VERTICES_MAX).map_err(|error| schema(&error))?;
    let form = shapes.into_iter().next().map(|shape| shape.form);
    let form = form.ok_or_else(|| schema(&"no geometry"))?;
    let properties = match feature.get("properties") {
        None | Some(Value::Null) => RawProperties::default(),
        Some(some) => RawProperties::deserialize(some).map_err(|error| schema(&error))?,
    };
    let name = properties.name.and_then(|name| name.in_language(language));
    Ok(Zone {
        name: name.unwrap_or_else(|| number.to_string()),
        form,
        start: edition.time(properties.start.as_ref(), "start")?,
        end: edition.time(properties.end.as_ref(), "end")?,
        rules: rules(properties.rules.unwrap_or_default()),
        geometry,
    })
}

#[cfg(test)]
mod tests;
