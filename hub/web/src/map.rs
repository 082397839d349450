//! The map: where the devices are, and the city's own drawings under them.

use crate::problem::Problem;
use crate::query::RawParams;
use crate::state::{Inner, Shared, work};
use crate::written::Written;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::Severity;
use model::geo::Point;
use rules::AlarmBook;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// Units of a [`Point`] in one of the map's.
const E7_PER_E6: i32 = 10;

/// Digits of an entity tag.
const TAG_BYTES: usize = 16;

/// What the console's map is made of.
#[derive(Clone, Debug, Default)]
pub struct MapSetup {
    /// Longitude and latitude; the middle of the devices if none is given.
    pub center: Option<[f64; 2]>,
    pub zoom: u8,
    pub tiles: Option<Tiles>,
    pub layers: BTreeMap<String, Layer>,
}

/// A base map from a tile server, as the browser needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tiles {
    pub url: String,
    /// `EPSG3857` or `EPSG4326`.
    pub crs: &'static str,
    /// `wgs84`, `gcj02` or `bd09`.
    pub datum: &'static str,
    pub attribution: String,
    /// 审图号.
    pub approval_no: Option<String>,
    /// Each character is one subdomain.
    pub subdomains: String,
    /// Hosts of the tiles, which pages may load images from.
    #[serde(skip)]
    pub hosts: Vec<String>,
}

/// One drawing: GeoJSON, ready to be sent.
#[derive(Clone, Debug)]
pub struct Layer {
    style: &'static str,
    json: Bytes,
    tag: String,
}

impl Layer {
    pub fn new(style: &'static str, json: String) -> Self {
        let sum = Sha256::digest(json.as_bytes());
        let hex: String = sum
            .iter()
            .take(TAG_BYTES)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            style,
            json: json.into(),
            tag: format!("\"{hex}\""),
        }
    }
}

/// The map as `GET /api/v1/config/public` gives it.
pub(crate) fn shown(hub: &Inner) -> serde_json::Value {
    let map = &hub.desk.map;
    let layers = map.layers.iter().map(|(name, layer)| {
        let url = format!("/api/v1/map/layers/{name}");
        serde_json::json!({"name": name, "style": layer.style, "url": url})
    });
    serde_json::json!({
        "layers": layers.collect::<Vec<_>>(),
        "tiles": map.tiles,
        "center": map.center.or_else(|| middle(hub)),
        "zoom": map.zoom,
    })
}

/// The middle of the box around all devices.
fn middle(hub: &Inner) -> Option<[f64; 2]> {
    let devices = hub.devices.all();
    let mut points = devices.iter().filter_map(|entry| place(entry));
    let first = points.next()?;
    let start = (first.lon_e7, first.lon_e7, first.lat_e7, first.lat_e7);
    let (west, east, south, north) = points.fold(start, |(west, east, south, north), point| {
        (
            west.min(point.lon_e7),
            east.max(point.lon_e7),
            south.min(point.lat_e7),
            north.max(point.lat_e7),
        )
    });
    let half = |a: i32, b: i32| (f64::from(a) + f64::from(b)) / 2e7;
    Some([half(west, east), half(south, north)])
}

fn place(entry: &sdk::DeviceEntry) -> Option<Point> {
    entry.device.location.as_ref()?.point()
}

/// The devices as columns: a quarter of the size of as many objects.
#[derive(Debug, Default, Serialize)]
struct Points<'a> {
    as_of_seq: u64,
    id: Vec<&'a str>,
    /// WGS84, in millionths of a degree.
    x: Vec<i32>,
    y: Vec<i32>,
    kind: Vec<&'a str>,
    status: Vec<&'static str>,
    name: Vec<&'a str>,
    site: Vec<Option<&'a str>>,
    grid: Vec<Option<&'a str>>,
    /// The worst severity of the open alarms that ask for a response.
    severity: Vec<Option<&'static str>>,
    /// How many such alarms there are.
    alarms: Vec<u32>,
    without_location: u64,
}

/// `GET /api/v1/map/points`
pub(crate) async fn points(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Written, Problem> {
    let params = raw.only(&["kind"])?;
    let kind = params.text("kind").map(str::to_owned);
    work(&shared, "put the devices on the map", move |hub| {
        let as_of_seq = hub.tail.mark.borrow().event;
        let worst = worst_by_device(&hub.alarms());
        let devices = hub.devices.all();
        let mut columns = Points {
            as_of_seq,
            ..Points::default()
        };
        for entry in &devices {
            let device = &entry.device;
            if kind.as_ref().is_some_and(|kind| *kind != device.kind) {
                continue;
            }
            let Some(point) = place(entry) else {
                columns.without_location += 1;
                continue;
            };
            let id = device.id.as_str();
            let alarm = worst.get(id);
            columns.id.push(id);
            columns.x.push(point.lon_e7 / E7_PER_E6);
            columns.y.push(point.lat_e7 / E7_PER_E6);
            columns.kind.push(&device.kind);
            columns.status.push(if device.enabled {
                hub.statuses.of(entry.key).status.name()
            } else {
                "disabled"
            });
            columns.name.push(device.name.as_deref().unwrap_or(id));
            columns.site.push(device.site.as_deref());
            columns.grid.push(entry.grid.as_deref());
            columns.severity.push(alarm.map(|(worst, _)| worst.name()));
            columns.alarms.push(alarm.map_or(0, |(_, count)| *count));
        }
        Written::json(&columns)
    })
    .await
}

fn worst_by_device(book: &AlarmBook) -> HashMap<String, (Severity, u32)> {
    let mut worst: HashMap<String, (Severity, u32)> = HashMap::new();
    for row in book.rows().filter(|row| row.state.asks()) {
        let of = worst
            .entry(row.device.as_str().to_owned())
            .or_insert((row.severity, 0));
        of.0 = of.0.max(row.severity);
        of.1 += 1;
    }
    worst
}

/// `GET /api/v1/map/layers/{name}`
pub(crate) async fn layer(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    raw: RawParams,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    raw.only(&[])?;
    let Some(layer) = shared.desk.map.layers.get(&name) else {
        return Err(Problem::not_found(format!("there is no layer `{name}`")));
    };
    let given = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let is_known = given
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag == layer.tag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let json = HeaderValue::from_static("application/geo+json");
        ([(header::CONTENT_TYPE, json)], layer.json.clone()).into_response()
    };
    let fields = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&layer.tag) {
        fields.insert(header::ETAG, tag);
    }
    let cache = HeaderValue::from_static("private, no-cache");
    fields.insert(header::CACHE_CONTROL, cache);
    Ok(response)
}
