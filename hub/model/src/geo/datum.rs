//! GCJ-02 (国测局坐标系), the shifted coordinates of public maps in China, to WGS84 and back.
//!
//! The shift is 300 to 700 m and changes slowly from place to place. Its formula was never published
//! by its authority; this is the one that the public has used since 2013, with the Krasovsky 1940
//! ellipsoid. CGCS2000 differs from WGS84 by centimetres and is taken as the same.

use std::f64::consts::PI;

/// Krasovsky 1940: half the longer axis in metres, and the square of the first eccentricity.
const SEMI_MAJOR_M: f64 = 6_378_245.0;
const ECCENTRICITY_SQUARED: f64 = 0.006_693_421_622_965_943;

/// Where the shift is measured from.
const ORIGIN: (f64, f64) = (105.0, 35.0);

/// The shift is applied within this box only: west, south, east, north.
const SHIFTED: [f64; 4] = [72.004, 0.8293, 137.8347, 55.8271];

/// Every step of the inversion leaves less than a hundredth of the error of the one before, which
/// is under 0.01 degree at first.
const STEPS: usize = 6;

/// Gives the GCJ-02 coordinates of a place in WGS84 degrees, as (lon, lat).
pub fn gcj02_from_wgs84(lon: f64, lat: f64) -> (f64, f64) {
    let (east, north) = shift(lon, lat);
    (lon + east, lat + north)
}

/// Gives the WGS84 coordinates of a place in GCJ-02 degrees, as (lon, lat), to 1e-8 degree.
pub fn wgs84_from_gcj02(lon: f64, lat: f64) -> (f64, f64) {
    let mut found = (lon, lat);
    for _ in 0..STEPS {
        let (east, north) = shift(found.0, found.1);
        found = (lon - east, lat - north);
    }
    found
}

fn shift(lon: f64, lat: f64) -> (f64, f64) {
    let [west, south, east, north] = SHIFTED;
    if !(west..=east).contains(&lon) || !(south..=north).contains(&lat) {
        return (0.0, 0.0);
    }
    let (x, y) = (lon - ORIGIN.0, lat - ORIGIN.1);
    let sin = lat.to_radians().sin();
    let flattened = 1.0 - ECCENTRICITY_SQUARED * sin * sin;
    let root = flattened.sqrt();
    let meridian_m = SEMI_MAJOR_M * (1.0 - ECCENTRICITY_SQUARED) / (flattened * root);
    let parallel_m = SEMI_MAJOR_M / root * lat.to_radians().cos();
    (
        (east_m(x, y) / parallel_m).to_degrees(),
        (north_m(x, y) / meridian_m).to_degrees(),
    )
}

/// Sums waves of these heights in metres and these lengths in degrees.
fn waves(at: f64, waves: [(f64, f64); 2]) -> f64 {
    let sum: f64 = waves
        .iter()
        .map(|(height_m, length)| height_m * (2.0 * PI * at / length).sin())
        .sum();
    sum * 2.0 / 3.0
}

/// The short waves that both parts have from west to east.
fn ripple_m(x: f64) -> f64 {
    waves(x, [(20.0, 1.0 / 3.0), (20.0, 1.0)])
}

fn east_m(x: f64, y: f64) -> f64 {
    300.0
        + x
        + 2.0 * y
        + 0.1 * x * x
        + 0.1 * x * y
        + 0.1 * x.abs().sqrt()
        + ripple_m(x)
        + waves(x, [(20.0, 2.0), (40.0, 6.0)])
        + waves(x, [(150.0, 24.0), (300.0, 60.0)])
}

fn north_m(x: f64, y: f64) -> f64 {
    -100.0
        + 2.0 * x
        + 3.0 * y
        + 0.2 * y * y
        + 0.1 * x * y
        + 0.2 * x.abs().sqrt()
        + ripple_m(x)
        + waves(y, [(20.0, 2.0), (40.0, 6.0)])
        + waves(y, [(160.0, 24.0), (320.0, 60.0)])
}

#[cfg(test)]
mod tests {
    use super::{gcj02_from_wgs84, wgs84_from_gcj02};
    use crate::geo::Point;
    use proptest::prelude::*;

    #[test]
    fn the_published_value_comes_out() {
        // (120, 40) is (120.005675684, 40.001304790) by a published library of the algorithm.
        let (lon, lat) = gcj02_from_wgs84(120.0, 40.0);
        assert!((lon - 120.005_675_684).abs() < 1e-9, "{lon}");
        assert!((lat - 40.001_304_790).abs() < 1e-9, "{lat}");
    }

    #[test]
    fn a_place_in_xiamen_is_shifted_by_583_m() {
        let (lon, lat) = gcj02_from_wgs84(118.0894, 24.4798);
        let from = Point::from_degrees(118.0894, 24.4798).unwrap();
        let shift_m = from.distance_m(Point::from_degrees(lon, lat).unwrap());
        assert!((shift_m - 583.0).abs() < 10.0, "{shift_m}");
    }

    #[test]
    fn a_place_outside_of_china_is_not_shifted() {
        assert_eq!(gcj02_from_wgs84(2.35, 48.86), (2.35, 48.86));
        assert_eq!(wgs84_from_gcj02(-0.12, 51.5), (-0.12, 51.5));
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_place(lon in 73.0..135.0_f64, lat in 3.0..54.0_f64) {
            let (gcj_lon, gcj_lat) = gcj02_from_wgs84(lon, lat);
            let (back_lon, back_lat) = wgs84_from_gcj02(gcj_lon, gcj_lat);
            prop_assert!((back_lon - lon).abs() < 1e-8, "{} for {}", back_lon, lon);
            prop_assert!((back_lat - lat).abs() < 1e-8, "{} for {}", back_lat, lat);
        }
    }
}
