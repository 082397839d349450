//! A thing in the field with an identity and a place.

use crate::geo::{Point, wgs84_from_gcj02};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What the ids of the hub's own devices and rules begin with; nobody else's may.
pub const OWN: char = '~';

/// Longest device id in bytes; it must fit an MQTT topic level and a URL segment.
pub(crate) const DEVICE_ID_BYTES_MAX: usize = 128;

/// The hub's own number of a device; never reused, and stable across restarts.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceKey(pub u32);

/// The name by which people and protocols know a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(Arc<str>);

/// A device id that could not be used in a topic or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDeviceId(pub String);

impl fmt::Display for InvalidDeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "device id `{}` must have 1 to {DEVICE_ID_BYTES_MAX} bytes, no white space, no control \
             character and none of / + # $ ? %",
            self.0
        )
    }
}

impl std::error::Error for InvalidDeviceId {}

impl DeviceId {
    /// Takes a name that fits an MQTT topic level and a URL segment.
    pub fn new(id: &str) -> Result<Self, InvalidDeviceId> {
        let forbidden = |c: char| {
            c.is_whitespace() || c.is_control() || matches!(c, '/' | '+' | '#' | '$' | '?' | '%')
        };
        if id.is_empty() || id.len() > DEVICE_ID_BYTES_MAX || id.contains(forbidden) {
            return Err(InvalidDeviceId(id.to_owned()));
        }
        Ok(Self(id.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether it is a device of the hub's own, which is in no list and no sum.
    pub fn is_own(&self) -> bool {
        self.0.starts_with(OWN)
    }
}

impl std::borrow::Borrow<str> for DeviceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DeviceId {
    type Error = InvalidDeviceId;
    fn try_from(id: String) -> Result<Self, InvalidDeviceId> {
        Self::new(&id)
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.0.as_ref().to_owned()
    }
}

/// Where a device stands, in degrees of the named datum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Location {
    pub lon: f64,
    pub lat: f64,
    /// `WGS84`, `CGCS2000` or `GCJ02`; never mixed silently.
    #[serde(default = "wgs84", deserialize_with = "datum")]
    pub datum: String,
}

impl Location {
    /// Gives the place in WGS84; none if it is not on the globe or its datum is not known. CGCS2000
    /// differs by centimetres and is taken as it is; GCJ-02 is up to 700 m off and is converted.
    pub fn point(&self) -> Option<Point> {
        let (lon, lat) = match self.datum.as_str() {
            "WGS84" | "CGCS2000" => (self.lon, self.lat),
            "GCJ02" => wgs84_from_gcj02(self.lon, self.lat),
            _ => return None,
        };
        Point::from_degrees(lon, lat)
    }
}

/// Reads a datum in the spellings that are about, such as `GCJ-02` and `wgs 84`; another text stays
/// as it is.
fn datum<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(datum_of(&text).map_or(text, str::to_owned))
}

/// Gives the name of a datum by one of its spellings.
fn datum_of(text: &str) -> Option<&'static str> {
    let plain: String = text
        .chars()
        .filter(|letter| !matches!(letter, '-' | '_' | ' '))
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    ["WGS84", "CGCS2000", "GCJ02"]
        .into_iter()
        .find(|datum| *datum == plain)
}

fn wgs84() -> String {
    "WGS84".to_owned()
}

fn yes() -> bool {
    true
}

/// A registered device, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub id: DeviceId,
    /// A kind of the metric catalogue, such as `gas_pressure`.
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The gateway that speaks for this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<DeviceId>,
    /// How often the device promises to report, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cadence_s: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component_code: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Names of this device in field protocols, such as `hj212_mn`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub identities: BTreeMap<String, String>,
    /// How devices of its model write: a `[profiles.NAME]` table of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    #[serde(default = "yes")]
    pub enabled: bool,
}

#[cfg(test)]
mod tests {
    use super::{DeviceId, Location};

    #[test]
    fn a_datum_is_read_in_its_common_spellings() {
        for (given, read) in [
            ("GCJ-02", "GCJ02"),
            ("gcj02", "GCJ02"),
            ("wgs84", "WGS84"),
            ("WGS 84", "WGS84"),
            ("cgcs-2000", "CGCS2000"),
            ("BD09", "BD09"),
        ] {
            let json = format!(r#"{{"lon":118.1,"lat":24.5,"datum":"{given}"}}"#);
            let location: Location = serde_json::from_str(&json).unwrap();
            assert_eq!(location.datum, read);
        }
    }

    #[test]
    fn a_place_is_converted_from_its_datum_and_never_guessed() {
        let point = |lon, lat, datum: &str| {
            let datum = datum.to_owned();
            Location { lon, lat, datum }.point()
        };
        let plain = point(120.0, 40.0, "WGS84").unwrap();
        assert_eq!(point(120.0, 40.0, "CGCS2000"), Some(plain));
        // The same place as maps of China show it, by the published value of the algorithm.
        assert_eq!(point(120.005_675_684, 40.001_304_790, "GCJ02"), Some(plain));
        assert_eq!(point(120.0, 40.0, "BD09"), None);
        assert_eq!(point(118.0, 91.0, "WGS84"), None);
    }

    #[test]
    fn an_id_that_breaks_topics_or_paths_is_refused() {
        for id in ["", "a/b", "a+b", "#", "$SYS", "a b", "a\n", "a?b", "a%2fb"] {
            assert!(DeviceId::new(id).is_err(), "{id:?}");
        }
        assert!(DeviceId::new(&"x".repeat(129)).is_err());
        for id in ["gas-0001", "花园路-03", "0123:ab.cd_e"] {
            assert!(DeviceId::new(id).is_ok(), "{id:?}");
        }
    }
}
