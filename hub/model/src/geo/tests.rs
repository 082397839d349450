//! Geometry by hand, and as properties against slow and plain ways to the same answer.

use super::{Feature, Form, Plane, Point, Polygon, Shape, Shapes, read};
use proptest::prelude::*;
use serde_json::{Value, json};

fn point(lon: f64, lat: f64) -> Point {
    Point::from_degrees(lon, lat).unwrap()
}

fn features(json: &Value) -> Vec<Feature> {
    read(json, 1000).unwrap()
}

fn error(json: &Value) -> String {
    read(json, 1000).unwrap_err().to_string()
}

/// A square of 10 degrees with a square hole of 2 degrees in its middle.
fn holed() -> Value {
    json!({"type": "Polygon", "coordinates":
        [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]], [[4, 4], [6, 4], [6, 6], [4, 6], [4, 4]]]})
}

fn feature(geometry: &Value) -> Value {
    json!({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"name": "good"}, "geometry": holed()},
        {"type": "Feature", "properties": {"name": "书院街"}, "geometry": geometry}]})
}

#[test]
fn a_place_in_a_hole_is_outside() {
    let form = &features(&holed())[0].form;
    assert!(form.holds(point(1.0, 1.0)));
    assert!(!form.holds(point(5.0, 5.0)));
    assert!(!form.holds(point(11.0, 5.0)));
}

#[test]
fn a_place_on_a_shared_edge_lies_in_one_of_its_two_polygons() {
    let ring =
        |ring: &[(f64, f64)]| Polygon::new(vec![ring.iter().map(|(x, y)| point(*x, *y)).collect()]);
    let left = ring(&[(0.0, 0.0), (3.0, 0.0), (1.0, 7.0), (0.0, 7.0)]);
    let right = ring(&[(3.0, 0.0), (5.0, 0.0), (5.0, 7.0), (1.0, 7.0)]);
    for step in 0..70 {
        let lat = f64::from(step) / 10.0;
        let shared = point(3.0 - 2.0 * lat / 7.0, lat);
        assert!(left.holds(shared) != right.holds(shared), "{shared:?}");
    }
    assert!(left.holds(point(0.0, 0.0)) && !left.holds(point(0.0, 7.0)));
}

#[test]
fn metres_are_those_of_the_ellipsoid() {
    // One degree of latitude from the equator is 110 574 m, one of longitude on it 111 320 m; at
    // 45° one degree of longitude is 78 847 m (NIMA TR8350.2, lengths of a degree).
    let from = |lon, lat, to_lon, to_lat| point(lon, lat).distance_m(point(to_lon, to_lat));
    assert!((from(118.0, 0.0, 118.01, 0.0) - 1_113.195).abs() < 0.01);
    assert!((from(118.0, 0.0, 118.0, 0.01) - 1_105.743).abs() < 0.01);
    assert!((from(118.0, 45.0, 118.01, 45.0) - 788.47).abs() < 0.01);
}

#[test]
fn the_distance_to_an_edge_is_negative_inside() {
    let north = Plane::at(point(118.0, 24.5))
        .project(point(118.0, 24.501))
        .1;
    let east = Plane::at(point(118.0, 24.5))
        .project(point(118.001, 24.5))
        .0;
    let square = json!({"type": "Polygon", "coordinates":
        [[[118.0, 24.5], [118.002, 24.5], [118.002, 24.502], [118.0, 24.502], [118.0, 24.5]]]});
    let form = &features(&square)[0].form;
    let distance = |lon, lat| form.signed_distance_m(&Plane::at(point(lon, lat)));
    // Half of a side, and the sides are shorter from east to west.
    assert!((distance(118.001, 24.501) + east).abs() < 0.01);
    assert!((distance(118.001, 24.499) - north).abs() < 0.01);
    assert!((distance(117.999, 24.501) - east).abs() < 0.01);
    assert!((distance(117.999, 24.499) - north.hypot(east)).abs() < 0.01);
    assert!(distance(118.0, 24.5).abs() < 1e-9);
}

#[test]
fn a_circle_holds_what_is_within_its_radius() {
    let circle = json!({"type": "Feature", "properties": {"name": "a", "radius_m": 100},
        "geometry": {"type": "Point", "coordinates": [118.0, 24.5]}});
    let form = &features(&circle)[0].form;
    // 0.0009° of latitude are 99.7 m here, 0.001° of longitude 101.3 m.
    assert!(form.holds(point(118.0, 24.5009)));
    assert!(!form.holds(point(118.001, 24.5)));
    let distance = form.signed_distance_m(&Plane::at(point(118.001, 24.5)));
    assert!((distance - 1.3).abs() < 0.1, "{distance}");
}

#[test]
fn wrong_geojson_names_the_feature_and_the_reason() {
    let ring = |ring: Value| feature(&json!({"type": "Polygon", "coordinates": [ring]}));
    for (json, parts) in [
        (
            ring(json!([[0, 0], [1, 0], [1, 1], [0, 1]])),
            ["ring 0", "not closed"],
        ),
        (
            ring(json!([[0, 0], [1, 0], [0, 0]])),
            ["3 positions", "at least 4"],
        ),
        (
            ring(json!([[0, 0], [24.5, 118], [1, 1], [0, 0]])),
            ["position 1", "swapped"],
        ),
        (
            ring(json!([[455_000.0, 2_700_000.0], [1, 0], [1, 1], [0, 0]])),
            ["position 0", "metres of a projection"],
        ),
        (
            ring(json!([[0, 0], ["x", 0], [1, 1], [0, 0]])),
            ["position 1", "no position"],
        ),
        (
            ring(json!([[0, 0], [1, 1], [2, 2], [0, 0]])),
            ["ring 0", "no area"],
        ),
        (
            ring(json!([[-179, 0], [179, 0], [179, 1], [-179, 0]])),
            ["ring 0", "antimeridian"],
        ),
        (
            feature(&json!({"type": "LineString", "coordinates": [[0, 0], [1, 1]]})),
            ["`LineString`", "none of Polygon"],
        ),
        (
            feature(&json!({"type": "Point", "coordinates": [0, 0]})),
            ["circle", "radius_m"],
        ),
        (
            feature(&json!({"type": "MultiPolygon", "coordinates": [[[[0, 0]]]]})),
            ["polygon 0, ring 0", "1 positions"],
        ),
    ] {
        let error = error(&json);
        for part in parts.iter().chain(&["feature 1", "书院街"]) {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
}

#[test]
fn a_file_in_another_coordinate_system_is_refused() {
    let mut file = feature(&holed());
    let crs = |name: &str| json!({"type": "name", "properties": {"name": name}});
    file["crs"] = crs("urn:ogc:def:crs:EPSG::4490");
    assert_eq!(features(&file).len(), 2);
    file["crs"] = crs("urn:ogc:def:crs:EPSG::4549");
    assert!(error(&file).contains("EPSG::4549"), "{}", error(&file));
}

#[test]
fn a_file_with_too_many_vertices_is_refused() {
    let error = read(&feature(&holed()), 15).unwrap_err();
    assert_eq!(
        (error.feature, error.reason.contains("15")),
        (Some(1), true)
    );
}

#[test]
fn a_shape_is_read_back_as_it_was_written() {
    let polygons = features(&holed()).remove(0).form;
    let circle = Form::Circle {
        center: point(118.089_400_1, 24.479_812_3),
        radius_m: 12.5,
    };
    for form in [polygons, circle] {
        let name = "书院街".to_owned();
        let shape = Shape { name, form };
        let read = features(&shape.to_geojson()).remove(0);
        assert_eq!((read.form, read.name.unwrap()), (shape.form, shape.name));
    }
}

#[test]
fn of_two_shapes_over_each_other_the_first_is_found() {
    let square = |size: i32| {
        let corner = |x, y| point(f64::from(x * size), f64::from(y * size));
        let ring = vec![corner(0, 0), corner(1, 0), corner(1, 1), corner(0, 1)];
        Shape {
            name: size.to_string(),
            form: Form::Polygons(vec![Polygon::new(vec![ring])]),
        }
    };
    let shapes = Shapes::new((1..=40).rev().map(square).collect());
    assert_eq!(shapes.find(point(0.5, 0.5)).unwrap().name, "40");
    assert!(shapes.find(point(40.5, 0.5)).is_none());
    assert_eq!(shapes.nearest(point(0.5, 20.0)).unwrap().1.name, "40");
}

#[test]
fn without_shapes_nothing_is_near() {
    let shapes = Shapes::default();
    assert!(shapes.is_empty() && shapes.nearest(point(0.0, 0.0)).is_none());
    assert!(shapes.find(point(0.0, 0.0)).is_none());
}

/// Decides by the winding number: how often the ring runs around the place, as a sum of angles.
fn winds_around(ring: &[(i32, i32)], (x, y): (i32, i32)) -> bool {
    let angle = |(px, py): (i32, i32)| f64::from(py - y).atan2(f64::from(px - x));
    let mut turned = 0.0;
    for (a, b) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        let mut turn = angle(*b) - angle(*a);
        if turn > std::f64::consts::PI {
            turn -= std::f64::consts::TAU;
        } else if turn < -std::f64::consts::PI {
            turn += std::f64::consts::TAU;
        }
        turned += turn;
    }
    turned.abs() > std::f64::consts::PI
}

/// A star-shaped ring around the middle, so that it does not cross itself.
fn star() -> impl Strategy<Value = Vec<(i32, i32)>> {
    prop::collection::vec(20_i32..1000, 3..24).prop_map(|reaches| {
        let count = f64::from(u32::try_from(reaches.len()).unwrap());
        let corner = |(index, reach): (u32, i32)| {
            let angle = std::f64::consts::TAU * f64::from(index) / count;
            let (y, x) = angle.sin_cos();
            #[expect(clippy::cast_possible_truncation, reason = "a reach is at most 1000")]
            let at = |part: f64| (part * f64::from(reach)).round() as i32;
            (at(x), at(y))
        };
        (0..).zip(reaches).map(corner).collect()
    })
}

/// Puts small whole numbers near a city, 100 units (about a metre) apart.
fn place((x, y): (i32, i32)) -> Point {
    Point {
        lon_e7: 1_180_000_000 + x * 100,
        lat_e7: 245_000_000 + y * 100,
    }
}

fn is_on_edge(ring: &[(i32, i32)], (x, y): (i32, i32)) -> bool {
    ring.iter().zip(ring.iter().cycle().skip(1)).any(|(a, b)| {
        let cross = (b.0 - a.0) * (y - a.1) - (b.1 - a.1) * (x - a.0);
        cross == 0
            && (a.0.min(b.0)..=a.0.max(b.0)).contains(&x)
            && (a.1.min(b.1)..=a.1.max(b.1)).contains(&y)
    })
}

fn shape() -> impl Strategy<Value = Form> {
    let middle = (-3000_i32..3000, -3000_i32..3000);
    let polygon = (star(), middle.clone()).prop_map(|(ring, (x, y))| {
        let ring = ring.into_iter().map(|(dx, dy)| place((x + dx, y + dy)));
        Form::Polygons(vec![Polygon::new(vec![ring.collect()])])
    });
    let circle = (middle, 1_u32..800).prop_map(|(middle, radius_m)| Form::Circle {
        center: place(middle),
        radius_m: f64::from(radius_m),
    });
    prop_oneof![polygon, circle]
}

/// Walks along every edge in small steps, and takes the nearest place.
fn walked_distance_m(ring: &[(i32, i32)], from: Point) -> f64 {
    const STEPS: i32 = 400;
    let edges = ring.iter().zip(ring.iter().cycle().skip(1));
    let places = edges.flat_map(|(a, b)| {
        let (a, b) = (place(*a), place(*b));
        (0..=STEPS).map(move |step| Point {
            lon_e7: a.lon_e7 + (b.lon_e7 - a.lon_e7) / STEPS * step,
            lat_e7: a.lat_e7 + (b.lat_e7 - a.lat_e7) / STEPS * step,
        })
    });
    places
        .map(|to| from.distance_m(to))
        .fold(f64::INFINITY, f64::min)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn inside_is_where_the_ring_winds_around(
        ring in star(),
        at in (-1100_i32..1100, -1100_i32..1100),
    ) {
        prop_assume!(!is_on_edge(&ring, at));
        let polygon = Polygon::new(vec![ring.iter().map(|corner| place(*corner)).collect()]);
        prop_assert_eq!(polygon.holds(place(at)), winds_around(&ring, at));
    }

    #[test]
    fn the_index_answers_like_a_linear_scan(
        forms in prop::collection::vec(shape(), 0..120),
        at in (-4500_i32..4500, -4500_i32..4500),
    ) {
        let named = |(index, form): (usize, Form)| Shape { name: index.to_string(), form };
        let list: Vec<Shape> = forms.into_iter().enumerate().map(named).collect();
        let shapes = Shapes::new(list.clone());
        let at = place(at);
        let first = list.iter().find(|shape| shape.form.holds(at));
        prop_assert_eq!(shapes.find(at), first);
        let plane = Plane::at(at);
        let least = list.iter().map(|shape| shape.form.signed_distance_m(&plane));
        let least = least.min_by(f64::total_cmp);
        let nearest = shapes.nearest(at);
        prop_assert_eq!(nearest.is_some(), least.is_some());
        if let (Some((distance, shape)), Some(least)) = (nearest, least) {
            prop_assert!((distance - least).abs() < 1e-6, "{} and {}", distance, least);
            prop_assert!((shape.form.signed_distance_m(&plane) - distance).abs() < 1e-9);
            // Inside is inside, whichever way it is asked.
            prop_assert!(distance > -1e-6 || first.is_some());
            prop_assert!(distance < 1e-6 || first.is_none());
        }
    }

    #[test]
    fn the_distance_is_that_of_a_walk_along_the_edges(
        ring in star(),
        at in (-1500_i32..1500, -1500_i32..1500),
    ) {
        let polygon = Polygon::new(vec![ring.iter().map(|corner| place(*corner)).collect()]);
        let form = Form::Polygons(vec![polygon]);
        let from = place(at);
        let distance = form.signed_distance_m(&Plane::at(from)).abs();
        // A step is at most 2000 / 400 = 5 units of about a metre, and whole units are left over.
        let walked = walked_distance_m(&ring, from);
        prop_assert!((distance - walked).abs() < 8.0, "{} and {}", distance, walked);
    }
}
