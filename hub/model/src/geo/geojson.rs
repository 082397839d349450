//! Reads shapes from GeoJSON (RFC 7946); an error says which feature, which ring, and why.

use super::{Form, Point, Polygon, RADIUS_M_MAX};
use serde_json::{Map, Value};
use std::fmt;

/// Coordinate systems that a file may name in the old member `crs`. CGCS2000 (4490) and WGS84
/// differ by centimetres; anything else would be metres or hundreds of metres off.
const KNOWN_CRS: [&str; 5] = ["CRS84", "4326", "4490", "WGS84", "CGCS2000"];

/// Properties that may carry a feature's name.
const NAME_KEYS: [&str; 3] = ["name", "code", "id"];

/// One feature: its form and what is said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    pub form: Form,
    pub properties: Map<String, Value>,
    /// The property `name`, `code` or `id`, or the feature's own `id`.
    pub name: Option<String>,
}

/// GeoJSON that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeoError {
    /// The feature's number, counted from 0.
    pub feature: Option<usize>,
    pub name: Option<String>,
    pub reason: String,
}

impl fmt::Display for GeoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.feature, &self.name) {
            (Some(feature), Some(name)) => write!(f, "feature {feature} (`{name}`): ")?,
            (Some(feature), None) => write!(f, "feature {feature}: ")?,
            (None, _) => {}
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for GeoError {}

/// Reads a FeatureCollection, a Feature or a bare geometry of at most so many vertices. Geometries
/// are Polygon, MultiPolygon, and Point with the property `radius_m`, which is a circle.
pub fn read(root: &Value, vertices_max: usize) -> Result<Vec<Feature>, GeoError> {
    let whole = |reason: String| GeoError {
        feature: None,
        name: None,
        reason,
    };
    check_crs(root).map_err(whole)?;
    let features = match text(root, "type") {
        Some("FeatureCollection") => root
            .get("features")
            .and_then(Value::as_array)
            .ok_or_else(|| whole("a FeatureCollection has a list `features`".to_owned()))?
            .as_slice(),
        Some("Feature" | "Polygon" | "MultiPolygon") => std::slice::from_ref(root),
        Some(other) => {
            return Err(whole(format!(
                "`{other}` is none of FeatureCollection, Feature, Polygon and MultiPolygon"
            )));
        }
        None => return Err(whole("has no `type`, so that it is no GeoJSON".to_owned())),
    };
    let mut vertices = 0_usize;
    let mut read = Vec::with_capacity(features.len());
    for (index, feature) in features.iter().enumerate() {
        let name = name_of(feature);
        let wrong = |reason: String| GeoError {
            feature: Some(index),
            name: name.clone(),
            reason,
        };
        let feature = read_feature(feature, name.clone()).map_err(wrong)?;
        vertices += feature.form.vertices();
        if vertices > vertices_max {
            let reason = format!("with it there are more than {vertices_max} vertices");
            return Err(wrong(reason));
        }
        read.push(feature);
    }
    Ok(read)
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn check_crs(root: &Value) -> Result<(), String> {
    let Some(crs) = root.get("crs").filter(|crs| !crs.is_null()) else {
        return Ok(());
    };
    let name = crs.pointer("/properties/name").and_then(Value::as_str);
    let name = name.unwrap_or("without a name");
    if KNOWN_CRS.iter().any(|known| name.ends_with(known)) {
        return Ok(());
    }
    Err(format!(
        "the coordinate system `{name}` is neither WGS84 nor CGCS2000 in degrees; convert the file"
    ))
}

fn name_of(feature: &Value) -> Option<String> {
    let properties = feature.get("properties");
    let named = NAME_KEYS
        .iter()
        .filter_map(|key| properties?.get(*key))
        .chain(feature.get("id"));
    named
        .filter_map(|value| match value {
            Value::String(name) => Some(name.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .next()
}

fn read_feature(feature: &Value, name: Option<String>) -> Result<Feature, String> {
    let is_feature = text(feature, "type") == Some("Feature");
    let geometry = if is_feature {
        let geometry = feature.get("geometry").filter(|value| !value.is_null());
        geometry.ok_or("has no `geometry`")?
    } else {
        feature
    };
    let properties = feature.get("properties").and_then(Value::as_object);
    let properties = properties.filter(|_| is_feature).cloned();
    let properties = properties.unwrap_or_default();
    let coordinates = geometry.get("coordinates");
    let coordinates = coordinates.ok_or("its geometry has no `coordinates`")?;
    let form = match text(geometry, "type").unwrap_or("a geometry without a type") {
        "Polygon" => Form::Polygons(vec![read_polygon(coordinates)?]),
        "MultiPolygon" => Form::Polygons(read_polygons(coordinates)?),
        "Point" => Form::Circle {
            center: read_position(coordinates)?,
            radius_m: read_radius(&properties)?,
        },
        other => {
            return Err(format!(
                "`{other}` is none of Polygon, MultiPolygon and Point with `radius_m`"
            ));
        }
    };
    Ok(Feature {
        form,
        properties,
        name,
    })
}

fn read_radius(properties: &Map<String, Value>) -> Result<f64, String> {
    let radius_m = properties.get("radius_m").and_then(Value::as_f64);
    let radius_m = radius_m.ok_or("a Point is a circle, and needs the number `radius_m`")?;
    if radius_m > 0.0 && radius_m <= RADIUS_M_MAX {
        return Ok(radius_m);
    }
    Err(format!(
        "`radius_m` must be above 0 and at most {RADIUS_M_MAX}, not {radius_m}"
    ))
}

fn read_polygons(coordinates: &Value) -> Result<Vec<Polygon>, String> {
    let polygons = coordinates.as_array().filter(|list| !list.is_empty());
    let polygons = polygons.ok_or("the coordinates are no list of polygons")?;
    let read = |(index, polygon): (usize, &Value)| {
        read_polygon(polygon).map_err(|reason| format!("polygon {index}, {reason}"))
    };
    polygons.iter().enumerate().map(read).collect()
}

fn read_polygon(coordinates: &Value) -> Result<Polygon, String> {
    let rings = coordinates.as_array().filter(|list| !list.is_empty());
    let rings = rings.ok_or("the coordinates are no list of rings")?;
    let read = |(index, ring): (usize, &Value)| {
        read_ring(ring).map_err(|reason| format!("ring {index}: {reason}"))
    };
    let rings: Result<Vec<_>, String> = rings.iter().enumerate().map(read).collect();
    Ok(Polygon::new(rings?))
}

/// Reads a closed ring, and leaves out the repeated last position.
fn read_ring(ring: &Value) -> Result<Vec<Point>, String> {
    let positions = ring.as_array().ok_or("is no list of positions")?;
    if positions.len() < 4 {
        return Err(format!(
            "has {} positions; a closed ring has at least 4",
            positions.len()
        ));
    }
    let read = |(index, position): (usize, &Value)| {
        read_position(position).map_err(|reason| format!("position {index}: {reason}"))
    };
    let points: Result<Vec<Point>, String> = positions.iter().enumerate().map(read).collect();
    let mut points = points?;
    if points.first() != points.last() {
        return Err("is not closed: its last position is not its first".to_owned());
    }
    points.pop();
    let west = points.iter().map(|p| p.lon_e7).min().unwrap_or_default();
    let east = points.iter().map(|p| p.lon_e7).max().unwrap_or_default();
    if i64::from(east) - i64::from(west) > 1_800_000_000 {
        let reason = "spans more than 180 degrees; cut it at the antimeridian (RFC 7946, 3.1.9)";
        return Err(reason.to_owned());
    }
    if doubled_area(&points) == 0 {
        return Err("has no area".to_owned());
    }
    Ok(points)
}

/// Computes the doubled area in square units, by the shoelace formula.
fn doubled_area(points: &[Point]) -> i128 {
    let next = points.iter().cycle().skip(1);
    let crossed = points.iter().zip(next).map(|(a, b)| {
        i128::from(a.lon_e7) * i128::from(b.lat_e7) - i128::from(b.lon_e7) * i128::from(a.lat_e7)
    });
    crossed.sum()
}

fn read_position(position: &Value) -> Result<Point, String> {
    let at = |index: usize| position.get(index).and_then(Value::as_f64);
    let (Some(lon), Some(lat)) = (at(0), at(1)) else {
        return Err(format!(
            "`{position}` is no position; it has two numbers, [longitude, latitude]"
        ));
    };
    Point::from_degrees(lon, lat).ok_or_else(|| {
        let hint = if Point::from_degrees(lat, lon).is_some() {
            "; are they swapped? GeoJSON has the longitude first"
        } else {
            ", in degrees; are these metres of a projection?"
        };
        format!("longitude {lon} and latitude {lat} are not on the globe{hint}")
    })
}
