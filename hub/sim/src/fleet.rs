//! The devices of an invented city: who they are, where they stand, what they are called.
//!
//! The fleet depends on its size, its prefix and the secret seed only, so that a device file made
//! once fits every later run.

mod file;

pub(crate) use file::read;

use crate::kind::Kind;
use crate::random::{Random, mix};
use crate::way::Way;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Centre of the invented city, in WGS84 degrees, and how far sites lie from it.
const CENTRE: (f64, f64) = (118.0894, 24.4798);
const SPREAD: (f64, f64) = (0.030, 0.020);
/// Devices of a site stand within so many degrees (about 20 m) of its middle.
const SITE_SPREAD: f64 = 0.0002;
/// Bikes that a fence is painted for.
pub(crate) const FENCE_CAPACITY: u32 = 20;
/// Administrative division of the invented district in component codes.
const DIVISION: &str = "350203";

const ROADS: [&str; 16] = [
    "花园路",
    "春晖路",
    "望海路",
    "榕树街",
    "朝霞路",
    "石桥街",
    "云顶路",
    "白鹭街",
    "滨湖路",
    "书院街",
    "杏林路",
    "新塘街",
    "月光路",
    "茶山街",
    "金榜路",
    "灯塔街",
];

/// Pressure band of a gas point (GB 50028-2006: low, medium, high).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum GasClass {
    Low,
    Medium,
    High,
}

impl GasClass {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// One device of the fleet.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) site: String,
    pub(crate) lon: f64,
    pub(crate) lat: f64,
    /// Index of the gateway that speaks for it.
    pub(crate) parent: Option<usize>,
    pub(crate) cadence_s: u32,
    pub(crate) secret: String,
    pub(crate) component_code: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) gas_class: GasClass,
    /// How many devices of the same kind come before it.
    pub(crate) ordinal: usize,
    /// How it reaches the hub, where that is decided.
    pub(crate) way: Option<Way>,
    /// What it is called in its protocol.
    pub(crate) identities: BTreeMap<String, String>,
    pub(crate) profile: Option<String>,
}

/// What the fleet shall look like.
#[derive(Clone, Debug)]
pub(crate) struct FleetPlan<'a> {
    pub(crate) devices: usize,
    pub(crate) prefix: &'a str,
    pub(crate) secret_seed: &'a str,
    pub(crate) cadence_s: Option<u32>,
}

/// All devices, gateways before their children.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fleet {
    pub(crate) devices: Vec<Device>,
}

/// The sites of a round; rounds repeat until there are enough devices.
const ROUND: [(&str, &[Kind]); 4] = [
    ("工地", &[Kind::Noise, Kind::Dust]),
    (
        "调压站",
        &[Kind::Gateway, Kind::GasPressure, Kind::GasPressure],
    ),
    ("小区", &[Kind::Gateway, Kind::Smoke, Kind::Smoke]),
    ("停车点", &[Kind::BikeFence, Kind::Bike, Kind::Bike]),
];

impl Fleet {
    /// Makes the fleet.
    pub(crate) fn new(plan: &FleetPlan<'_>) -> Self {
        let mut builder = Builder {
            plan,
            devices: Vec::with_capacity(plan.devices),
            counts: BTreeMap::new(),
        };
        for round in 0.. {
            for (index, (what, kinds)) in ROUND.iter().enumerate() {
                if builder.devices.len() >= plan.devices {
                    return Self {
                        devices: builder.devices,
                    };
                }
                builder.site(round, index, what, kinds);
            }
        }
        Self::default()
    }

    /// Lists the fleet as the hub's API takes it.
    pub(crate) fn rows(&self) -> Vec<Row<'_>> {
        self.devices.iter().map(|device| self.row(device)).collect()
    }

    fn row<'a>(&'a self, device: &'a Device) -> Row<'a> {
        let parent = device.parent.and_then(|parent| self.devices.get(parent));
        Row {
            id: &device.id,
            kind: device.kind.name(),
            name: &device.name,
            site: &device.site,
            location: Location {
                lon: device.lon,
                lat: device.lat,
                datum: "WGS84",
            },
            parent: parent.map(|gateway| gateway.id.as_str()),
            cadence_s: device.cadence_s,
            secret: &device.secret,
            component_code: device.component_code.as_deref(),
            tags: &device.tags,
            identities: &device.identities,
            profile: device.profile.as_deref(),
        }
    }

    /// Tells how a device is heard: by its own protocol, or by that of its gateway.
    pub(crate) fn way_of(&self, index: usize) -> Option<Way> {
        let device = self.devices.get(index)?;
        let parent = || self.devices.get(device.parent?)?.way;
        device
            .way
            .or_else(|| parent().filter(|way| way.carries_children()))
    }

    /// Writes the fleet as the hub's device file, one device a line. No field has a comma or a
    /// quote in it: names are made here, and the prefix has been checked.
    pub(crate) fn csv(&self) -> String {
        let tags: BTreeSet<&str> = self
            .devices
            .iter()
            .flat_map(|device| device.tags.keys())
            .map(String::as_str)
            .collect();
        let mut csv =
            "id,kind,name,site,lon,lat,datum,parent,cadence_s,secret,component_code".to_owned();
        for tag in &tags {
            csv.push_str(&format!(",tags.{tag}"));
        }
        csv.push('\n');
        for row in self.rows() {
            csv.push_str(&format!(
                "{},{},{},{},{},{},{},{},{},{},{}",
                row.id,
                row.kind,
                row.name,
                row.site,
                row.location.lon,
                row.location.lat,
                row.location.datum,
                row.parent.unwrap_or_default(),
                row.cadence_s,
                row.secret,
                row.component_code.unwrap_or_default(),
            ));
            for tag in &tags {
                csv.push(',');
                csv.push_str(row.tags.get(*tag).map_or("", String::as_str));
            }
            csv.push('\n');
        }
        csv
    }
}

/// One device as the hub's API takes it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row<'a> {
    id: &'a str,
    kind: &'static str,
    name: &'a str,
    site: &'a str,
    location: Location,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a str>,
    cadence_s: u32,
    secret: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    component_code: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    identities: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
}

#[derive(Copy, Clone, Debug, Serialize)]
struct Location {
    lon: f64,
    lat: f64,
    datum: &'static str,
}

struct Builder<'a> {
    plan: &'a FleetPlan<'a>,
    devices: Vec<Device>,
    counts: BTreeMap<&'static str, usize>,
}

impl Builder<'_> {
    fn site(&mut self, round: usize, index: usize, what: &str, kinds: &[Kind]) {
        let number = round * ROUND.len() + index;
        let mut random = Random::new(0xc17, number as u64);
        let road = ROADS
            .get((round * 5 + index * 3) % ROADS.len())
            .copied()
            .unwrap_or_default();
        let site = match round / ROADS.len() {
            0 => format!("{road}{what}"),
            more => format!("{road}{what}{}", more + 1),
        };
        let middle = (
            CENTRE.0 + random.between(-SPREAD.0, SPREAD.0),
            CENTRE.1 + random.between(-SPREAD.1, SPREAD.1),
        );
        let mut gateway = None;
        for (place, kind) in kinds.iter().copied().enumerate() {
            if self.devices.len() >= self.plan.devices {
                return;
            }
            let gas_class = match (place, round % 5) {
                (1, _) => GasClass::Medium,
                (_, 4) => GasClass::High,
                _ => GasClass::Low,
            };
            let mut device = self.device(kind, &site, gas_class);
            device.lon = rounded(middle.0 + random.between(-SITE_SPREAD, SITE_SPREAD));
            device.lat = rounded(middle.1 + random.between(-SITE_SPREAD, SITE_SPREAD));
            device.parent = gateway;
            if kind == Kind::Gateway {
                gateway = Some(self.devices.len());
            }
            self.devices.push(device);
        }
    }

    fn device(&mut self, kind: Kind, site: &str, gas_class: GasClass) -> Device {
        let count = self.counts.entry(kind.name()).or_default();
        *count += 1;
        let number = *count;
        let dash = if self.plan.prefix.is_empty() { "" } else { "-" };
        let id = format!(
            "{}{dash}{}-{number:04}",
            self.plan.prefix,
            kind.short_name()
        );
        Device {
            secret: secret(self.plan.secret_seed, &id),
            kind,
            name: format!("{site}{}{number:02}", kind.chinese_name()),
            site: site.to_owned(),
            lon: 0.0,
            lat: 0.0,
            parent: None,
            cadence_s: self.plan.cadence_s.unwrap_or_else(|| kind.cadence_s()),
            component_code: kind
                .component_class()
                .map(|class| format!("{DIVISION}{class}{number:06}")),
            tags: tags(kind, gas_class),
            gas_class,
            ordinal: number - 1,
            way: None,
            identities: BTreeMap::new(),
            profile: None,
            id,
        }
    }
}

/// Gives the tags by which rules select devices of this kind.
fn tags(kind: Kind, gas_class: GasClass) -> BTreeMap<String, String> {
    let tag = match kind {
        Kind::GasPressure => ("class", gas_class.name().to_owned()),
        Kind::BikeFence => ("capacity", FENCE_CAPACITY.to_string()),
        _ => return BTreeMap::new(),
    };
    BTreeMap::from([(tag.0.to_owned(), tag.1)])
}

/// Keeps six decimals of a degree, about 0.1 m.
fn rounded(degrees: f64) -> f64 {
    (degrees * 1e6).round() / 1e6
}

/// Derives a device's secret. This mixes, it does not protect: simulated devices only.
pub(crate) fn secret(seed: &str, id: &str) -> String {
    let mut state = Random::from_text(&format!("{seed}/{id}")).bits();
    format!("{:016x}{:016x}", mix(&mut state), mix(&mut state))
}

#[cfg(test)]
mod tests;
