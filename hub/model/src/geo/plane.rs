//! A plane that touches the ellipsoid at one place, for distances around it.

use super::{Bounds, Point, UNITS_PER_DEGREE};

/// WGS84 (EPSG:7030): half the longer axis in metres, and the square of the first eccentricity.
/// CGCS2000 differs in the eleventh digit of the latter.
const SEMI_MAJOR_M: f64 = 6_378_137.0;
const ECCENTRICITY_SQUARED: f64 = 0.006_694_379_990_14;

/// A circle's scale differs a little from place to place; its box is this much wider, which holds
/// for places within some hundred kilometres.
const CIRCLE_MARGIN: f64 = 1.05;

/// The metres around one place, to the east and to the north.
#[derive(Copy, Clone, Debug)]
pub struct Plane {
    origin: Point,
    east_m_per_unit: f64,
    north_m_per_unit: f64,
}

impl Plane {
    pub fn at(origin: Point) -> Self {
        let (east_m_per_unit, north_m_per_unit) = scale(origin.lat());
        Self {
            origin,
            east_m_per_unit,
            north_m_per_unit,
        }
    }

    pub fn origin(&self) -> Point {
        self.origin
    }

    /// Gives the metres to the east and to the north of the plane's origin.
    #[inline]
    pub fn project(&self, point: Point) -> (f64, f64) {
        self.offset(point.lon_e7, point.lat_e7)
    }

    #[inline]
    fn offset(&self, lon_e7: i32, lat_e7: i32) -> (f64, f64) {
        let east = f64::from(lon_e7) - f64::from(self.origin.lon_e7);
        let north = f64::from(lat_e7) - f64::from(self.origin.lat_e7);
        (east * self.east_m_per_unit, north * self.north_m_per_unit)
    }

    /// Gives the square of the metres from the origin to the nearest point between `a` and `b`.
    #[inline]
    pub(super) fn square_distance_to_segment(&self, a: Point, b: Point) -> f64 {
        let (ax, ay) = self.project(a);
        let (bx, by) = self.project(b);
        let (dx, dy) = (bx - ax, by - ay);
        let length_squared = dx * dx + dy * dy;
        // Two corners at one place are an edge without a length.
        let along = if length_squared > 0.0 {
            (-(ax * dx + ay * dy) / length_squared).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let (x, y) = (ax + along * dx, ay + along * dy);
        x * x + y * y
    }

    /// Gives the metres to the edge of a box: nothing within it is nearer, or lies deeper.
    #[inline]
    pub(super) fn signed_distance_to_box(&self, bounds: &Bounds) -> f64 {
        let (west, south) = self.offset(bounds.west, bounds.south);
        let (east, north) = self.offset(bounds.east, bounds.north);
        let x = west.max(-east);
        let y = south.max(-north);
        if x <= 0.0 && y <= 0.0 {
            x.max(y)
        } else {
            x.max(0.0).hypot(y.max(0.0))
        }
    }
}

/// Gives the metres in a unit of longitude and of latitude, from the radii of curvature.
fn scale(lat: f64) -> (f64, f64) {
    let (sin, cos) = lat.to_radians().sin_cos();
    let flattened = 1.0 - ECCENTRICITY_SQUARED * sin * sin;
    let root = flattened.sqrt();
    let prime_vertical_m = SEMI_MAJOR_M / root;
    let meridian_m = SEMI_MAJOR_M * (1.0 - ECCENTRICITY_SQUARED) / (flattened * root);
    let radians_per_unit = (1.0 / UNITS_PER_DEGREE).to_radians();
    (
        prime_vertical_m * cos * radians_per_unit,
        meridian_m * radians_per_unit,
    )
}

pub(super) fn circle_bounds(center: Point, radius_m: f64) -> Bounds {
    let (east_m_per_unit, north_m_per_unit) = scale(center.lat());
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float that does not fit stops at the ends of the range, which is what is meant"
    )]
    let reach = |m_per_unit: f64| (radius_m * CIRCLE_MARGIN / m_per_unit).ceil() as i32;
    let (east, north) = (reach(east_m_per_unit), reach(north_m_per_unit));
    Bounds {
        west: center.lon_e7.saturating_sub(east),
        south: center.lat_e7.saturating_sub(north),
        east: center.lon_e7.saturating_add(east),
        north: center.lat_e7.saturating_add(north),
    }
}
