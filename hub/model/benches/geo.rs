//! How long it takes to find the unit grid of a place among 20,000, and the nearest of 20,000 fences.

use criterion::{Criterion, criterion_group, criterion_main};
use model::geo::{Form, Point, Polygon, Shape, Shapes};
use std::f64::consts::TAU;
use std::hint::black_box;

/// A large city has about so many unit grids: 200 in a row, 100 rows.
const COLUMNS: u32 = 200;
const ROWS: u32 = 100;
/// A grid follows streets and has some dozen corners.
const CORNERS: u32 = 24;

fn place(lon: f64, lat: f64) -> Point {
    Point::from_degrees(lon, lat).expect("a place on the globe")
}

/// Neighbours of about 100 m that do not lie quite side by side.
fn city() -> Shapes {
    let cell = |number: u32| {
        let (column, row) = (f64::from(number % COLUMNS), f64::from(number / COLUMNS));
        let corner = |index: u32| {
            let (sin, cos) = (TAU * f64::from(index) / f64::from(CORNERS)).sin_cos();
            let reach = if index.is_multiple_of(2) {
                0.000_49
            } else {
                0.000_43
            };
            place(
                118.0 + column * 0.001 + reach * cos,
                24.4 + row * 0.001 + reach * sin,
            )
        };
        let ring = (0..CORNERS).map(corner).collect();
        Shape {
            name: number.to_string(),
            form: Form::Polygons(vec![Polygon::new(vec![ring])]),
        }
    };
    Shapes::new((0..COLUMNS * ROWS).map(cell).collect())
}

fn circles() -> Shapes {
    let circle = |number: u32| {
        let (column, row) = (f64::from(number % COLUMNS), f64::from(number / COLUMNS));
        Shape {
            name: number.to_string(),
            form: Form::Circle {
                center: place(118.0 + column * 0.001, 24.4 + row * 0.001),
                radius_m: 15.0,
            },
        }
    };
    Shapes::new((0..COLUMNS * ROWS).map(circle).collect())
}

/// Places all over the city and a little beyond, in no order.
fn places() -> Vec<Point> {
    let place = |number: u32| {
        let across = f64::from(number.wrapping_mul(2_654_435_761) >> 12) / f64::from(1 << 20);
        let along = f64::from(number.wrapping_mul(2_246_822_519) >> 12) / f64::from(1 << 20);
        place(117.99 + across * 0.22, 24.39 + along * 0.12)
    };
    (1..=10_000).map(place).collect()
}

fn lookups(c: &mut Criterion) {
    let places = places();
    let mut group = c.benchmark_group("geo");
    for (name, shapes) in [("20000_polygons", city()), ("20000_circles", circles())] {
        let mut next = places.iter().cycle();
        group.bench_function(format!("find_in_{name}"), |b| {
            b.iter(|| {
                let place = *next.next().expect("a cycle does not end");
                black_box(shapes.find(place).is_some())
            });
        });
        group.bench_function(format!("nearest_of_{name}"), |b| {
            b.iter(|| {
                let place = *next.next().expect("a cycle does not end");
                black_box(shapes.nearest(place).map(|(distance, _)| distance))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, lookups);
criterion_main!(benches);
