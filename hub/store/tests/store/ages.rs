//! Kinds of devices that are kept for another time than the rest, and how fast what is past goes.

use crate::kit::{DAY, Rig, START, at, number};
use model::{Device, DeviceId, DeviceKey, MetricKey};
use std::collections::BTreeMap;
use store::{Options, StoredDevice};

const PRESSURE: u16 = 0;
const BATTERY: u16 = 1;

/// Devices of these tests, and their kinds.
const FLEET: [(u32, &str); 3] = [(1, "gas_pressure"), (2, "bike"), (3, "smoke")];

fn register(rig: &mut Rig) {
    let mut group = rig.begin(START);
    for (key, kind) in FLEET {
        let json = serde_json::json!({"id": format!("{kind}-{key}"), "kind": kind});
        let device: Device = serde_json::from_value(json).unwrap();
        assert_eq!(device.id, DeviceId::new(&format!("{kind}-{key}")).unwrap());
        group.put_device(&StoredDevice {
            key: DeviceKey(key),
            device,
            secret_hash: None,
            grid: None,
        });
    }
    rig.journal.commit(group).unwrap();
}

/// Two metrics of each device on each day, one segment a day.
fn fill(rig: &mut Rig, days: std::ops::Range<i64>) {
    for day in days {
        let time = START + day * DAY;
        for (key, _) in FLEET {
            let values = [
                number(key, PRESSURE, time, 300.0),
                number(key, BATTERY, time, 90.0),
            ];
            rig.put(time, &values);
        }
        rig.seal();
    }
}

/// Looks at retention for as many seconds.
fn look(rig: &mut Rig, now: i64, seconds: i64) {
    for second in 0..seconds {
        rig.tick(now + second * 1_000);
    }
}

fn days_of(rig: &Rig, device: u32, metric: u16) -> Vec<i64> {
    let points = rig.all(device, metric);
    let days = points.iter().map(|point| point.at.millis() - START);
    days.map(|since| since.div_euclid(DAY)).collect()
}

fn named(days: &[(&str, u32)]) -> BTreeMap<String, u32> {
    let owned = |(name, days): &(&str, u32)| ((*name).to_owned(), *days);
    days.iter().map(owned).collect()
}

#[test]
fn a_kind_of_devices_may_be_kept_shorter_or_longer_than_the_rest_and_a_metric_has_its_own_say() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        retention_days: Some(4),
        kind_retention_days: named(&[("bike", 2), ("smoke", 0)]),
        metric_retention_days: named(&[("battery_pct", 3)]),
        ..Options::default()
    };
    let mut rig = Rig::open_with(dir.path(), options.clone());
    register(&mut rig);
    fill(&mut rig, 0..8);
    let ledger = rig.reader.ledger(None, None).unwrap();
    look(&mut rig, START + 8 * DAY, 20);
    let expected = [
        (1, vec![4, 5, 6, 7]),
        (2, vec![6, 7]),
        (3, (0..8).collect()),
    ];
    for (device, pressure) in expected.clone() {
        assert_eq!(days_of(&rig, device, PRESSURE), pressure, "{device}");
        assert_eq!(days_of(&rig, device, BATTERY), [5, 6, 7], "{device}");
    }
    // Of pressure not all is there before the seventh day: alarms of before cannot be judged.
    let kept = |rig: &Rig, metric| rig.reader.kept_from(Some(MetricKey(metric)));
    assert_eq!(kept(&rig, PRESSURE), Some(at(START + 6 * DAY)));
    assert_eq!(kept(&rig, BATTERY), Some(at(START + 5 * DAY)));
    assert_eq!(rig.reader.ledger(None, None).unwrap(), ledger);
    rig.assert_sound();
    let stats = rig.reader.stats().unwrap();
    rig.journal.close().unwrap();

    // What was written anew once is not after a restart, and a day later only what is new is.
    let mut rig = Rig::open_with(dir.path(), options);
    let names = || {
        let files = crate::kit::files(dir.path());
        files.into_iter().filter(|name| name.ends_with(".parquet"))
    };
    let before: Vec<String> = names().collect();
    look(&mut rig, START + 8 * DAY + DAY / 2, 20);
    assert_eq!(names().collect::<Vec<_>>(), before);
    assert_eq!(rig.reader.stats().unwrap().segments, stats.segments);
    look(&mut rig, START + 9 * DAY, 20);
    assert_eq!(days_of(&rig, 1, PRESSURE), [5, 6, 7]);
    assert_eq!(days_of(&rig, 2, PRESSURE), [7]);
    assert_eq!(days_of(&rig, 3, PRESSURE), (0..8).collect::<Vec<_>>());
    rig.assert_sound();
}

#[test]
fn a_day_on_which_only_a_kind_spoke_that_is_past_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        kind_retention_days: named(&[("bike", 1)]),
        ..Options::default()
    };
    let mut rig = Rig::open_with(dir.path(), options);
    register(&mut rig);
    rig.put(START, &[number(2, PRESSURE, START, 1.0)]);
    rig.seal();
    fill(&mut rig, 1..2);
    let segments = rig.reader.stats().unwrap().segments;
    look(&mut rig, START + 5 * DAY, 10);
    assert_eq!(days_of(&rig, 2, PRESSURE), Vec::<i64>::new());
    assert_eq!(days_of(&rig, 1, PRESSURE), [1]);
    assert_eq!(rig.reader.stats().unwrap().segments, segments - 1);
    rig.assert_sound();
}

#[test]
fn a_year_of_one_metric_goes_in_minutes_and_not_in_hours() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    register(&mut rig);
    fill(&mut rig, 0..100);
    rig.journal.close().unwrap();
    let options = Options {
        metric_retention_days: named(&[("battery_pct", 10)]),
        ..Options::default()
    };
    let mut rig = Rig::open_with(dir.path(), options);
    // A segment a second, since each is done before the next second.
    look(&mut rig, START + 100 * DAY, 100);
    assert_eq!(days_of(&rig, 1, BATTERY), (90..100).collect::<Vec<_>>());
    rig.assert_sound();
}
