//! Feeds of GBFS 3.0, and of 1.1 to 2.3 where they differ: bytes to what stations and vehicles say.
//!
//! A feed whose head is wrong is refused as a whole; of its items each stands for itself.

use model::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Items of one feed; a large operator has 100,000 vehicles in a city.
const ITEMS_MAX: usize = 200_000;

/// Longest name of anything; theirs are UUIDs.
const ID_BYTES_MAX: usize = 200;

/// Why a feed, or an item of it, cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FeedError {
    #[error("no JSON: {0}")]
    Json(String),
    #[error("{0}")]
    Schema(String),
    #[error("a place that is not on the globe")]
    Position,
}

impl FeedError {
    /// The word for the ledger.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Json(_) => "bad_json",
            Self::Schema(_) => "schema",
            Self::Position => "position_range",
        }
    }
}

/// A feed, whole.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Feed<T> {
    pub(crate) last_updated: Timestamp,
    pub(crate) ttl_s: u64,
    pub(crate) data: T,
}

/// The items that could be read, and why others could not.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Items<T> {
    pub(crate) good: Vec<T>,
    pub(crate) bad: Vec<FeedError>,
}

/// A vehicle that stands somewhere; those that are ridden are in no feed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Vehicle {
    pub(crate) id: String,
    /// Longitude and latitude; none where it stands at a station.
    pub(crate) place: Option<(f64, f64)>,
    pub(crate) station: Option<String>,
    pub(crate) is_reserved: bool,
    pub(crate) is_disabled: bool,
    pub(crate) type_id: Option<String>,
    pub(crate) last_reported: Option<Timestamp>,
    pub(crate) range_m: Option<f64>,
    /// A share of 1.
    pub(crate) fuel: Option<f64>,
}

/// What a station says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Station {
    pub(crate) id: String,
    pub(crate) vehicles_available: Option<f64>,
    pub(crate) vehicles_disabled: Option<f64>,
    pub(crate) docks_available: Option<f64>,
    pub(crate) docks_disabled: Option<f64>,
    pub(crate) is_installed: Option<bool>,
    pub(crate) is_renting: Option<bool>,
    pub(crate) is_returning: Option<bool>,
    pub(crate) last_reported: Option<Timestamp>,
}

/// The major version: 3 writes RFC 3339 where those before wrote POSIX seconds, and has other names.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edition {
    Before3,
    Three,
}

#[derive(Deserialize)]
struct Head<'a> {
    last_updated: Option<Time>,
    ttl: Option<serde_json::Value>,
    version: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// A time as either edition writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Time {
    Seconds(i64),
    Text(String),
}

/// A flag; 1.x has 0 and 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Flag {
    Is(bool),
    Number(u8),
}

impl Edition {
    /// Reads a time; 3.0 has only RFC 3339.
    pub(crate) fn time(
        self,
        time: Option<&Time>,
        name: &str,
    ) -> Result<Option<Timestamp>, FeedError> {
        let wrong = |what: &str| FeedError::Schema(format!("{name}: {what}"));
        match (self, time) {
            (_, None) => Ok(None),
            (Self::Three, Some(Time::Seconds(_))) => Err(wrong("3.0 has times of RFC 3339")),
            (Self::Before3, Some(Time::Seconds(seconds))) => {
                Ok(Some(Timestamp::from_millis(seconds.saturating_mul(1_000))))
            }
            (_, Some(Time::Text(text))) if text.contains(['T', 't']) => {
                let read = Timestamp::parse(text);
                read.map(Some).map_err(|_| wrong("no time of RFC 3339"))
            }
            (_, Some(Time::Text(_))) => Err(wrong("no time of RFC 3339")),
        }
    }

    fn flag(self, flag: Option<&Flag>, name: &str) -> Result<Option<bool>, FeedError> {
        match (self, flag) {
            (_, None) => Ok(None),
            (_, Some(Flag::Is(is))) => Ok(Some(*is)),
            (Self::Before3, Some(Flag::Number(number @ 0..=1))) => Ok(Some(*number == 1)),
            _ => Err(FeedError::Schema(format!(
                "{name} is neither true nor false"
            ))),
        }
    }
}

fn needed<T>(value: Option<T>, name: &str) -> Result<T, FeedError> {
    value.ok_or_else(|| FeedError::Schema(format!("no `{name}`")))
}

fn json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, FeedError> {
    serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => FeedError::Schema(error.to_string()),
        _ => FeedError::Json(error.to_string()),
    })
}

/// Reads what all feeds have, and gives the text of their data.
fn head(bytes: &[u8]) -> Result<(Edition, Feed<&str>), FeedError> {
    let text = std::str::from_utf8(bytes).map_err(|error| FeedError::Json(error.to_string()))?;
    let head: Head<'_> = json(text)?;
    let version = needed(head.version, "version")?;
    let edition = match version.split('.').next() {
        Some("1" | "2") => Edition::Before3,
        Some("3") => Edition::Three,
        _ => {
            return Err(FeedError::Schema(format!(
                "version `{version}` is not known"
            )));
        }
    };
    let last_updated = edition.time(head.last_updated.as_ref(), "last_updated")?;
    let ttl_s = needed(head.ttl, "ttl")?.as_u64();
    let feed = Feed {
        last_updated: needed(last_updated, "last_updated")?,
        ttl_s: needed(ttl_s, "ttl")?,
        data: needed(head.data, "data")?.get(),
    };
    Ok((edition, feed))
}

impl<T> Feed<T> {
    pub(crate) fn with<U>(self, data: U) -> Feed<U> {
        Feed {
            last_updated: self.last_updated,
            ttl_s: self.ttl_s,
            data,
        }
    }
}

/// Reads each item by itself.
fn items<T>(list: &[&RawValue], read: impl Fn(&str) -> Result<T, FeedError>) -> Items<T> {
    let mut items = Items {
        good: Vec::with_capacity(list.len().min(ITEMS_MAX)),
        bad: Vec::new(),
    };
    for item in list.iter().take(ITEMS_MAX) {
        match read(item.get()) {
            Ok(item) => items.good.push(item),
            Err(error) => items.bad.push(error),
        }
    }
    for _ in list.iter().skip(ITEMS_MAX) {
        let text = format!("more than {ITEMS_MAX} items");
        items.bad.push(FeedError::Schema(text));
    }
    items
}

#[derive(Deserialize)]
struct FeedEntry {
    name: String,
    url: String,
}

#[derive(Deserialize)]
struct FeedList {
    feeds: Vec<FeedEntry>,
}

/// Reads `gbfs.json`: the feeds by name. Before 3.0 there is a list for each language.
pub(crate) fn discovery(
    bytes: &[u8],
    language: &str,
) -> Result<Feed<BTreeMap<String, String>>, FeedError> {
    let (edition, feed) = head(bytes)?;
    let list = match edition {
        Edition::Three => json::<FeedList>(feed.data)?,
        Edition::Before3 => {
            let mut lists: BTreeMap<String, FeedList> = json(feed.data)?;
            let own = lists.remove(language);
            let any = || lists.into_iter().next().map(|(_, list)| list);
            needed(own.or_else(any), "feeds")?
        }
    };
    let feeds = list.feeds.into_iter().take(ITEMS_MAX);
    let feeds = feeds.map(|entry| (entry.name, entry.url)).collect();
    Ok(feed.with(feeds))
}

#[derive(Deserialize)]
struct RawVehicles<'a> {
    #[serde(borrow, alias = "bikes")]
    vehicles: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawVehicle {
    #[serde(alias = "bike_id")]
    vehicle_id: Option<String>,
    lat: Option<f64>,
    lon: Option<f64>,
    is_reserved: Option<Flag>,
    is_disabled: Option<Flag>,
    vehicle_type_id: Option<String>,
    last_reported: Option<Time>,
    station_id: Option<String>,
    current_range_meters: Option<f64>,
    current_fuel_percent: Option<f64>,
}

/// Reads `vehicle_status`, before 3.0 `free_bike_status`.
pub(crate) fn vehicles(bytes: &[u8]) -> Result<Feed<Items<Vehicle>>, FeedError> {
    let (edition, feed) = head(bytes)?;
    let raw: RawVehicles<'_> = json(feed.data)?;
    let items = items(&raw.vehicles, |text| vehicle(edition, json(text)?));
    Ok(feed.with(items))
}

fn vehicle(edition: Edition, raw: RawVehicle) -> Result<Vehicle, FeedError> {
    let place = match (raw.lon, raw.lat) {
        (Some(lon), Some(lat)) => Some((lon, lat)),
        (None, None) => None,
        _ => {
            return Err(FeedError::Schema(
                "`lat` and `lon` come together".to_owned(),
            ));
        }
    };
    // A receiver without a fix writes zeros; no city has its bikes there.
    if place.is_some_and(|(lon, lat)| !is_place(lon, lat)) {
        return Err(FeedError::Position);
    }
    if place.is_none() && raw.station_id.is_none() {
        let text = "neither `lat` and `lon` nor `station_id`".to_owned();
        return Err(FeedError::Schema(text));
    }
    let is_reserved = edition.flag(raw.is_reserved.as_ref(), "is_reserved")?;
    let is_disabled = edition.flag(raw.is_disabled.as_ref(), "is_disabled")?;
    Ok(Vehicle {
        id: id(raw.vehicle_id, "vehicle_id")?,
        place,
        station: raw.station_id,
        is_reserved: needed(is_reserved, "is_reserved")?,
        is_disabled: needed(is_disabled, "is_disabled")?,
        type_id: raw.vehicle_type_id,
        last_reported: edition.time(raw.last_reported.as_ref(), "last_reported")?,
        range_m: raw.current_range_meters,
        fuel: raw.current_fuel_percent,
    })
}

fn is_place(lon: f64, lat: f64) -> bool {
    let is_on_globe = (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat);
    is_on_globe && lon.abs() + lat.abs() > 1e-6
}

fn id(id: Option<String>, name: &str) -> Result<String, FeedError> {
    let id = needed(id, name)?;
    match id.len() {
        1..=ID_BYTES_MAX => Ok(id),
        _ => Err(FeedError::Schema(format!("`{name}` is empty or too long"))),
    }
}

#[derive(Deserialize)]
struct RawStations<'a> {
    #[serde(borrow)]
    stations: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawStation {
    station_id: Option<String>,
    #[serde(alias = "num_bikes_available")]
    num_vehicles_available: Option<f64>,
    #[serde(alias = "num_bikes_disabled")]
    num_vehicles_disabled: Option<f64>,
    num_docks_available: Option<f64>,
    num_docks_disabled: Option<f64>,
    is_installed: Option<Flag>,
    is_renting: Option<Flag>,
    is_returning: Option<Flag>,
    last_reported: Option<Time>,
}

/// Reads `station_status`.
pub(crate) fn stations(bytes: &[u8]) -> Result<Feed<Items<Station>>, FeedError> {
    let (edition, feed) = head(bytes)?;
    let raw: RawStations<'_> = json(feed.data)?;
    let items = items(&raw.stations, |text| station(edition, json(text)?));
    Ok(feed.with(items))
}

fn station(edition: Edition, raw: RawStation) -> Result<Station, FeedError> {
    let flag = |flag: &Option<Flag>, name| edition.flag(flag.as_ref(), name);
    let is_installed = flag(&raw.is_installed, "is_installed")?;
    let is_renting = flag(&raw.is_renting, "is_renting")?;
    let is_returning = flag(&raw.is_returning, "is_returning")?;
    Ok(Station {
        id: id(raw.station_id, "station_id")?,
        vehicles_available: Some(needed(
            raw.num_vehicles_available,
            "num_vehicles_available",
        )?),
        vehicles_disabled: raw.num_vehicles_disabled,
        docks_available: raw.num_docks_available,
        docks_disabled: raw.num_docks_disabled,
        is_installed: Some(needed(is_installed, "is_installed")?),
        is_renting: Some(needed(is_renting, "is_renting")?),
        is_returning: Some(needed(is_returning, "is_returning")?),
        last_reported: edition.time(raw.last_reported.as_ref(), "last_reported")?,
    })
}

#[derive(Deserialize)]
struct RawZones {
    geofencing_zones: serde_json::Value,
    #[serde(default)]
    global_rules: Option<serde_json::Value>,
}

/// Reads the head of `geofencing_zones`, and gives its collection and the global rules.
pub(crate) fn zones(
    bytes: &[u8],
) -> Result<(Edition, Feed<(serde_json::Value, serde_json::Value)>), FeedError> {
    let (edition, feed) = head(bytes)?;
    let raw: RawZones = json(feed.data)?;
    let global = raw.global_rules.unwrap_or_default();
    Ok((edition, feed.with((raw.geofencing_zones, global))))
}

#[cfg(test)]
pub(crate) mod tests;
