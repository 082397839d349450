//! Finds cases by category and place.

use model::geo::Point;
use model::{CasePlace, CaseRow, Location};

/// Cells of this size index cases by place. At 60° of latitude such a cell is 556 m wide, so that
/// all that is within the greatest distance of repeats lies in a cell or its neighbours.
const CELL_DEG: f64 = 0.01;

/// The greatest distance at which an alarm can be a repeat, so that neighbouring cells are enough.
pub(super) const DISTANCE_M_MAX: f64 = 500.0;

/// Where cases that might be the same are looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cell {
    category: String,
    /// Smoke and gas may share a class for what is left over, but are never the same case.
    kind: String,
    at: At,
}

/// Where a case is: without a place, only the same device can be the same case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum At {
    Square(i32, i32),
    Device(String),
}

impl Cell {
    pub(super) fn of(row: &CaseRow) -> Self {
        let point = row.location.as_ref().and_then(point);
        let at = match point {
            Some(point) => At::Square(index(point.lon()), index(point.lat())),
            None => At::Device(row.device.clone()),
        };
        Self {
            category: row.category.code.clone(),
            kind: row.kind.clone(),
            at,
        }
    }

    /// Gives the cell and its neighbours; one without a place has none.
    pub(super) fn around(self) -> Vec<Self> {
        let At::Square(x, y) = self.at else {
            return vec![self];
        };
        let mut cells = Vec::with_capacity(9);
        for dx in -1..=1 {
            for dy in -1..=1 {
                cells.push(Self {
                    at: At::Square(x.saturating_add(dx), y.saturating_add(dy)),
                    ..self.clone()
                });
            }
        }
        cells
    }
}

/// Measures between two places, each converted from its own datum.
pub(super) fn distance_m(a: &CasePlace, b: &CasePlace) -> Option<f64> {
    Some(point(a)?.distance_m(point(b)?))
}

fn point(place: &CasePlace) -> Option<Point> {
    let location = Location {
        lon: place.lon,
        lat: place.lat,
        datum: place.datum.clone(),
    };
    location.point()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "degrees over the size of a cell fit i32, and a cast of a float saturates"
)]
fn index(degrees: f64) -> i32 {
    (degrees / CELL_DEG).floor() as i32
}
