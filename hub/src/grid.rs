//! Unit grids (单元网格): which polygon a place lies in.

use anyhow::{Context, Result, bail};
use model::Location;
use model::geo::{Feature, Form, Shape, Shapes};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// A city of 50,000 grids of 200 corners; a file with more is none of unit grids.
const VERTICES_MAX: usize = 10_000_000;

/// The city's unit grids.
#[derive(Debug, Default)]
pub struct Grids {
    /// Named by their codes.
    grids: Shapes,
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
        if root.get("features").is_none() {
            bail!("a GeoJSON FeatureCollection has `features`");
        }
        let features = model::geo::read(&root, VERTICES_MAX)?;
        let grids = features
            .into_iter()
            .enumerate()
            .map(|(index, feature)| grid_of(feature).with_context(|| format!("feature {index}")));
        let grids = grids.collect::<Result<Vec<Shape>>>()?;
        if grids.is_empty() {
            bail!("has no features; leave `grid` out where the city has no unit grids");
        }
        let mut known = HashMap::new();
        for (index, grid) in grids.iter().enumerate() {
            if let Some(first) = known.insert(&grid.name, index) {
                let code = &grid.name;
                bail!(
                    "features {first} and {index} have the same `code` {code}; several parts of one \
                     grid are a MultiPolygon"
                );
            }
        }
        Ok(Self {
            grids: Shapes::new(grids),
        })
    }

    /// Tells whether the city has no unit grids at all.
    pub fn is_empty(&self) -> bool {
        self.grids.is_empty()
    }

    /// Finds the code of the grid in which a place lies; none if its datum is not that of the grids.
    pub fn find(&self, location: &Location) -> Option<&str> {
        let point = location.point()?;
        Some(self.grids.find(point)?.name.as_str())
    }
}

fn grid_of(feature: Feature) -> Result<Shape> {
    let code = match feature.properties.get("code") {
        Some(Value::String(code)) => code.clone(),
        Some(Value::Number(code)) => code.to_string(),
        Some(_) => bail!("property `code` is neither text nor number"),
        None => bail!("has no property `code`"),
    };
    match feature.form {
        form @ Form::Polygons(_) => Ok(Shape { name: code, form }),
        Form::Circle { .. } => bail!("a circle is no unit grid"),
    }
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
    fn a_place_of_another_datum_is_converted_or_not_looked_up() {
        // (120, 40) is (120.005675684, 40.001304790) in GCJ-02, which is 500 m to the east.
        let shifted = CITY
            .replace("[20,0]", "[120,39.99]")
            .replace("[30,0]", "[120.003,39.99]");
        let shifted = shifted.replace("[30,10]", "[120.003,40.01]");
        let shifted = shifted.replace("[20,10]", "[119.9,40.01]");
        let grids = Grids::parse(&shifted).unwrap();
        let find = |datum: &str| {
            grids.find(&Location {
                lon: 120.005_675_684,
                lat: 40.001_304_790,
                datum: datum.to_owned(),
            })
        };
        assert_eq!(find("GCJ02"), Some("350200001001002"));
        assert_eq!(find("WGS84"), None);
        assert_eq!(find("BD09"), None);
    }

    #[test]
    fn a_code_that_is_there_twice_and_a_file_without_grids_are_refused() {
        let twice = CITY.replace("350200001001002", "350200001001001");
        let error = format!("{:#}", Grids::parse(&twice).unwrap_err());
        assert!(
            error.contains("features 0 and 1") && error.contains("350200001001001"),
            "{error}"
        );
        let empty = r#"{"type":"FeatureCollection","features":[]}"#;
        let error = format!("{:#}", Grids::parse(empty).unwrap_err());
        assert!(error.contains("no features"), "{error}");
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
