//! Unit grids (单元网格): which polygon a place lies in.

use anyhow::{Context, Result, bail};
use model::Location;
use serde_json::Value;
use std::path::Path;

/// The city's unit grids.
#[derive(Debug, Default)]
pub struct Grids {
    grids: Vec<Grid>,
}

#[derive(Debug)]
struct Grid {
    code: String,
    /// West, south, east, north.
    bounds: [f64; 4],
    /// Rings of (lon, lat); the even-odd rule makes holes of inner rings.
    rings: Vec<Vec<[f64; 2]>>,
}

impl Grids {
    /// Reads a GeoJSON FeatureCollection (RFC 7946) of Polygons and MultiPolygons.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let root: Value = serde_json::from_str(text)?;
        let features = root.get("features").and_then(Value::as_array);
        let features = features.context("a GeoJSON FeatureCollection has `features`")?;
        let grids = features.iter().enumerate().map(|(index, feature)| {
            parse_feature(feature).with_context(|| format!("feature {index}"))
        });
        Ok(Self {
            grids: grids.collect::<Result<_>>()?,
        })
    }

    /// Finds the code of the grid in which a place lies. Only WGS84 and CGCS2000 (which differ by
    /// centimetres) are looked up; a GCJ-02 place is up to 700 m off and would name a wrong grid.
    pub fn find(&self, location: &Location) -> Option<&str> {
        if !matches!(location.datum.as_str(), "WGS84" | "CGCS2000") {
            return None;
        }
        let point = [location.lon, location.lat];
        self.grids
            .iter()
            .find(|grid| grid.holds(point))
            .map(|grid| grid.code.as_str())
    }
}

impl Grid {
    fn holds(&self, [lon, lat]: [f64; 2]) -> bool {
        let [west, south, east, north] = self.bounds;
        lon >= west
            && lon <= east
            && lat >= south
            && lat <= north
            && self
                .rings
                .iter()
                .filter(|ring| crosses(ring, lon, lat))
                .count()
                % 2
                == 1
    }
}

/// Tells whether a ray to the east crosses the ring an odd number of times.
fn crosses(ring: &[[f64; 2]], lon: f64, lat: f64) -> bool {
    let next = ring.iter().cycle().skip(1);
    let edges = ring.iter().zip(next);
    let crossed = edges.filter(|([x1, y1], [x2, y2])| {
        (*y1 > lat) != (*y2 > lat) && lon < (x2 - x1) * (lat - y1) / (y2 - y1) + x1
    });
    crossed.count() % 2 == 1
}

fn parse_feature(feature: &Value) -> Result<Grid> {
    let code = feature
        .pointer("/properties/code")
        .context("has no property `code`")?;
    let code = match code {
        Value::String(code) => code.clone(),
        Value::Number(code) => code.to_string(),
        _ => bail!("property `code` is neither text nor number"),
    };
    let kind = feature
        .pointer("/geometry/type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let coordinates = feature
        .pointer("/geometry/coordinates")
        .context("has no coordinates")?;
    let rings = match kind {
        "Polygon" => parse_rings(coordinates)?,
        "MultiPolygon" => {
            let polygons = coordinates.as_array().context("coordinates are no array")?;
            let rings: Result<Vec<_>> = polygons.iter().map(parse_rings).collect();
            rings?.into_iter().flatten().collect()
        }
        other => bail!("geometry `{other}` is neither Polygon nor MultiPolygon"),
    };
    let mut bounds = [
        f64::INFINITY,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NEG_INFINITY,
    ];
    for [lon, lat] in rings.iter().flatten() {
        let [west, south, east, north] = bounds;
        bounds = [
            west.min(*lon),
            south.min(*lat),
            east.max(*lon),
            north.max(*lat),
        ];
    }
    Ok(Grid {
        code,
        bounds,
        rings,
    })
}

fn parse_rings(coordinates: &Value) -> Result<Vec<Vec<[f64; 2]>>> {
    let rings = coordinates
        .as_array()
        .context("coordinates are no array of rings")?;
    let point = |point: &Value| {
        let at = |index: usize| point.get(index).and_then(Value::as_f64);
        at(0)
            .zip(at(1))
            .map(|(lon, lat)| [lon, lat])
            .context("a point needs two numbers")
    };
    let ring = |ring: &Value| {
        ring.as_array()
            .context("a ring is no array")?
            .iter()
            .map(point)
            .collect()
    };
    rings.iter().map(ring).collect()
}

#[cfg(test)]
mod tests {
    use super::Grids;
    use model::Location;

    // A square with a square hole, and a second square beside it.
    const CITY: &str = r#"{"type":"FeatureCollection","features":[
        {"type":"Feature","properties":{"code":"350200001001001"},"geometry":{"type":"Polygon","coordinates":
            [[[0,0],[10,0],[10,10],[0,10],[0,0]],[[4,4],[6,4],[6,6],[4,6],[4,4]]]}},
        {"type":"Feature","properties":{"code":"350200001001002"},"geometry":{"type":"MultiPolygon","coordinates":
            [[[[20,0],[30,0],[30,10],[20,10],[20,0]]]]}}]}"#;

    fn find(lon: f64, lat: f64, datum: &str) -> Option<String> {
        let location = Location {
            lon,
            lat,
            datum: datum.to_owned(),
        };
        Grids::parse(CITY)
            .unwrap()
            .find(&location)
            .map(str::to_owned)
    }

    #[test]
    fn a_place_is_found_in_its_polygon_and_not_in_a_hole() {
        assert_eq!(find(1.0, 1.0, "WGS84").as_deref(), Some("350200001001001"));
        assert_eq!(
            find(25.0, 5.0, "CGCS2000").as_deref(),
            Some("350200001001002")
        );
        assert_eq!(find(5.0, 5.0, "WGS84"), None);
        assert_eq!(find(15.0, 5.0, "WGS84"), None);
    }

    #[test]
    fn a_place_of_another_datum_is_not_looked_up() {
        assert_eq!(find(1.0, 1.0, "GCJ02"), None);
    }

    #[test]
    fn a_broken_file_names_the_feature() {
        let broken = CITY.replace("\"code\":\"350200001001002\"", "\"x\":1");
        let error = format!("{:#}", Grids::parse(&broken).unwrap_err());
        assert!(
            error.contains("feature 1") && error.contains("code"),
            "{error}"
        );
    }
}
