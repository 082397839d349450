//! What the duty console shows and asks for: the map and the shifts.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The map of the console. Without a layer or tiles the points stand on plain grey.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MapConfig {
    /// Longitude and latitude (WGS84) in the middle of the map; the middle of the devices unless said.
    pub center_lon: Option<f64>,
    pub center_lat: Option<f64>,
    pub zoom: u8,
    /// A base map from a tile server. Its host becomes an allowed source of images.
    pub tiles: Option<TilesConfig>,
    /// The city's own drawings, by name; the unit grids of `city.grid` are the layer `grid`.
    pub layers: BTreeMap<String, LayerConfig>,
}

impl Default for MapConfig {
    fn default() -> Self {
        Self {
            center_lon: None,
            center_lat: None,
            zoom: 13,
            tiles: None,
            layers: BTreeMap::new(),
        }
    }
}

/// One layer of the map.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerConfig {
    /// GeoJSON (RFC 7946), WGS84 or CGCS2000.
    pub file: PathBuf,
    pub style: LayerStyle,
}

/// How a layer is drawn.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LayerStyle {
    Road,
    Water,
    Boundary,
    Grid,
    Site,
}

impl LayerStyle {
    pub fn name(self) -> &'static str {
        match self {
            Self::Road => "road",
            Self::Water => "water",
            Self::Boundary => "boundary",
            Self::Grid => "grid",
            Self::Site => "site",
        }
    }
}

/// A tile server. Public maps of China need a review number (审图号).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TilesConfig {
    /// With `{z}`, `{x}`, `{y}`, and `{s}` where there are subdomains; `http(s)://` or a path of
    /// this host.
    pub url: String,
    #[serde(default)]
    pub crs: TileCrs,
    #[serde(default)]
    pub datum: TileDatum,
    #[serde(default)]
    pub attribution: String,
    /// 审图号.
    pub approval_no: Option<String>,
    /// Each character is one subdomain, such as `01234567`.
    #[serde(default)]
    pub subdomains: String,
}

/// How the tiles are cut.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TileCrs {
    #[default]
    #[serde(rename = "EPSG3857")]
    Mercator,
    /// Latitude and longitude, as CGCS2000 (EPSG 4490) tiles are.
    #[serde(rename = "EPSG4326")]
    Degrees,
}

/// By which datum the tiles are drawn.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TileDatum {
    #[default]
    Wgs84,
    Gcj02,
    Bd09,
}

/// One shift of the day.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShiftConfig {
    /// Time of day in the city's zone, such as `20:00`. It ends where the next one starts.
    pub starts: String,
}

/// How a shift is handed over.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HandoverConfig {
    /// The incoming person may sign so long before the shift ends.
    pub opens_before_min: u32,
    /// A handover that is not signed so long after the end of the shift is overdue.
    pub overdue_after_min: u32,
    /// Items of the city's own on every handover, by any name, such as `keys = "钥匙"`.
    pub checklist: BTreeMap<String, String>,
}

impl Default for HandoverConfig {
    fn default() -> Self {
        // Ten minutes early is what 交接班制度 of several control rooms ask for.
        Self {
            opens_before_min: 10,
            overdue_after_min: 30,
            checklist: BTreeMap::new(),
        }
    }
}
