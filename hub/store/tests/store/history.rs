//! A series over time: pages and buckets across memory and segments.

use crate::kit::{DAY, Rig, START, at, number, place, query};
use model::{Cause, Quality, Reading, Value};
use store::{Agg, Point, SeriesQuery};

/// 100 values a second apart: the first 40 sealed, the next 40 being sealed, the rest in memory.
fn spread(rig: &mut Rig) {
    let readings: Vec<Reading> = (0..100i32)
        .map(|n| {
            number(
                1,
                0,
                START + DAY - 50_000 + i64::from(n) * 1000,
                f64::from(n),
            )
        })
        .collect();
    rig.put(START + DAY, &readings[..40]);
    rig.seal();
    rig.put(START + DAY + 1, &readings[40..80]);
    rig.journal.seal(Vec::new()).unwrap();
    rig.put(START + DAY + 2, &readings[80..]);
}

fn numbers(points: &[Point]) -> Vec<f64> {
    points
        .iter()
        .filter_map(|point| point.value.as_number())
        .collect()
}

#[test]
fn pages_follow_one_another_without_a_gap_or_a_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    spread(&mut rig);
    for limit in [1, 7, 50, 100, 1000] {
        let mut found = Vec::new();
        let mut next = Some(at(START));
        while let Some(from) = next {
            let page = rig
                .reader
                .readings(&SeriesQuery {
                    from,
                    limit,
                    ..query(1, 0)
                })
                .unwrap();
            assert!(page.points.len() <= limit);
            found.extend(numbers(&page.points));
            next = page.next;
        }
        let expected: Vec<f64> = (0..100i32).map(f64::from).collect();
        assert_eq!(found, expected, "limit {limit}");
    }
}

#[test]
fn a_range_includes_its_start_and_not_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    spread(&mut rig);
    let from = START + DAY - 50_000 + 39_000;
    let page = rig
        .reader
        .readings(&SeriesQuery {
            from: at(from),
            to: at(from + 2000),
            ..query(1, 0)
        })
        .unwrap();
    assert_eq!(numbers(&page.points), [39.0, 40.0]);
    let empty = SeriesQuery {
        from: at(from),
        to: at(from),
        ..query(1, 0)
    };
    assert_eq!(rig.reader.readings(&empty).unwrap().points, []);
}

#[test]
fn buckets_keep_the_peak_and_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    let values = [(0, 5.0), (10, 9.5), (20, 1.0), (59, 4.0), (60, 7.0)];
    let readings = values.map(|(s, value)| number(1, 0, START + s * 1000, value));
    rig.put(START + 100_000, &readings[..2]);
    rig.seal();
    rig.put(START + 100_001, &readings[2..]);
    let ask = |agg| {
        let page = rig.reader.buckets(&query(1, 0), 60_000, agg).unwrap();
        page.points
            .iter()
            .map(|point| {
                (
                    (point.at.millis() - START) / 1000,
                    point.value.as_number().unwrap(),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(ask(Agg::MinMax), [(10, 9.5), (20, 1.0), (60, 7.0)]);
    assert_eq!(ask(Agg::Mean), [(0, 4.875), (60, 7.0)]);
    assert_eq!(ask(Agg::Min), [(0, 1.0), (60, 7.0)]);
    assert_eq!(ask(Agg::Max), [(0, 9.5), (60, 7.0)]);
    assert_eq!(ask(Agg::Last), [(0, 4.0), (60, 7.0)]);
}

#[test]
fn bad_values_count_only_where_there_is_nothing_better() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    let bad = |s: i64, value| Reading {
        quality: Quality::bad(Cause::Range),
        ..number(1, 0, START + s * 1000, value)
    };
    rig.put(
        START + 200_000,
        &[
            bad(0, 9999.0),
            number(1, 0, START + 1000, 3.0),
            bad(2, -9999.0),
            bad(60, 5000.0),
        ],
    );
    let page = rig.reader.buckets(&query(1, 0), 60_000, Agg::Max).unwrap();
    assert_eq!(numbers(&page.points), [3.0, 5000.0]);
    assert_eq!(page.points[0].quality, Quality::GOOD);
    assert_eq!(page.points[1].quality, Quality::bad(Cause::Range));
}

#[test]
fn pages_of_buckets_follow_one_another() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    spread(&mut rig);
    let whole = rig.reader.buckets(&query(1, 0), 7_000, Agg::Mean).unwrap();
    assert_eq!(whole.next, None);
    let mut found = Vec::new();
    let mut next = Some(at(START));
    while let Some(from) = next {
        let part = SeriesQuery {
            from,
            limit: 4,
            ..query(1, 0)
        };
        let page = rig.reader.buckets(&part, 7_000, Agg::Mean).unwrap();
        found.extend(page.points);
        next = page.next;
    }
    assert_eq!(found, whole.points);
    assert_eq!(found.len(), 15);
    assert!(rig.reader.buckets(&query(1, 0), 0, Agg::Mean).is_err());
}

#[test]
fn places_come_back_whole_from_memory_and_segments() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    let places = [
        place(1, START, 118.1, Some(true)),
        place(1, START + 1, 118.2, None),
        place(1, START + 2, 118.3, Some(false)),
    ];
    rig.put(START + 10, &places[..2]);
    rig.seal();
    rig.put(START + 11, &places[2..]);
    let values: Vec<Value> = rig.all(1, 2).iter().map(|point| point.value).collect();
    assert_eq!(values, places.map(|place| place.value));
    let last = rig.reader.buckets(&query(1, 2), 60_000, Agg::Mean).unwrap();
    assert_eq!(last.points.len(), 1);
    assert_eq!(last.points[0].value, places[2].value);
}

#[test]
fn a_clock_that_runs_ahead_does_not_stay_the_latest() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    rig.put(START, &[number(1, 0, START + 3_600_000, 1.0)]);
    rig.put(START + 60_000, &[number(1, 0, START + 60_000, 2.0)]);
    // Late data does not become the latest.
    rig.put(START + 70_000, &[number(1, 0, START - 60_000, 3.0)]);
    let latest = rig.reader.latest(model::DeviceKey(1));
    assert_eq!(latest.len(), 1);
    assert_eq!(latest[0].value, Value::Number(2.0));
    rig.put(
        START + 80_000,
        &[number(2, 1, START, 50.0), number(2, 0, START, 5.0)],
    );
    let all = rig.reader.latest_all(|device| device.0 == 2);
    let metrics: Vec<_> = all.iter().map(|reading| reading.series.metric.0).collect();
    assert_eq!(metrics, [0, 1]);
}
