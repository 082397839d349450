//! The law of duplicates: whatever happens in between, what is stored is what was written first.

use crate::kit::{DAY, Rig, START, everything, number, place};
use model::{Reading, Timestamp, Value};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use store::{Admission, Options};

/// A value: (metric, instant, value).
type Given = (u16, i64, i32);

/// What comes in for one device.
type Part = (u32, Vec<Given>);

#[derive(Clone, Debug)]
enum Step {
    /// One group.
    Commit(Vec<Part>),
    /// A seal that is left under way.
    Seal,
    Settle,
    /// A tick that long after the start, in days, which merges what is due.
    Tick(i64),
    /// A process that ends without warning, and the next one.
    Reopen,
}

fn any_instant() -> impl Strategy<Value = i64> {
    // Few instants, so that many meet; on both sides of a midnight.
    prop_oneof![0i64..12, (DAY - 6)..(DAY + 6)]
}

fn any_step() -> impl Strategy<Value = Step> {
    let value = (0u16..3, any_instant(), -50i32..50);
    let part = (1u32..4, proptest::collection::vec(value, 0..6));
    prop_oneof![
        8 => proptest::collection::vec(part, 1..4).prop_map(Step::Commit),
        2 => Just(Step::Seal),
        1 => Just(Step::Settle),
        2 => (0i64..4).prop_map(Step::Tick),
        1 => Just(Step::Reopen),
    ]
}

fn reading(device: u32, (metric, instant, value): Given) -> Reading {
    let observed = START + instant;
    if metric == 2 {
        let locked = (value % 2 == 0).then_some(value > 0);
        place(device, observed, f64::from(value), locked)
    } else {
        number(device, metric, observed, f64::from(value) / 10.0)
    }
}

/// What must be stored: the first value of each series and instant, with its stamp.
type Model = BTreeMap<(u32, u16, i64), (Value, i64)>;

fn commit(
    rig: &mut Rig,
    model: &mut Model,
    stamp: i64,
    parts: &[Part],
) -> Result<(), TestCaseError> {
    let mut group = rig.begin(stamp);
    for (device, values) in parts {
        let readings: Vec<_> = values
            .iter()
            .map(|value| reading(*device, *value))
            .collect();
        let admissions = rig.part(&mut group, &readings);
        for (reading, admission) in readings.iter().zip(admissions) {
            let key = (
                *device,
                reading.series.metric.0,
                reading.observed_at.millis(),
            );
            let expected = match model.entry(key) {
                Entry::Occupied(_) => Admission::Duplicate,
                Entry::Vacant(entry) => {
                    entry.insert((reading.value, stamp));
                    Admission::New
                }
            };
            prop_assert_eq!(admission, expected, "{:?}", key);
        }
    }
    rig.journal.commit(group).unwrap();
    Ok(())
}

fn compare(rig: &Rig, model: &Model) -> Result<(), TestCaseError> {
    for device in 1..4 {
        for metric in 0..3 {
            let stored: Vec<_> = everything(&rig.reader, device, metric)
                .into_iter()
                .map(|point| (point.at.millis(), point.value))
                .collect();
            let expected: Vec<_> = model
                .range((device, metric, i64::MIN)..=(device, metric, i64::MAX))
                .map(|((_, _, instant), (value, _))| (*instant, *value))
                .collect();
            prop_assert_eq!(stored, expected);
        }
    }
    let mut expected: Vec<_> = model
        .iter()
        .map(|((device, metric, instant), (value, stamp))| {
            (*stamp, *device, *metric, *instant, *value)
        })
        .collect();
    expected
        .sort_by_key(|(stamp, device, metric, instant, _)| (*stamp, *device, *metric, *instant));
    let replayed: Vec<_> = rig
        .reader
        .replay(Timestamp::MIN, Timestamp::MAX)
        .unwrap()
        .flat_map(Result::unwrap)
        .map(|reading| {
            (
                reading.received_at.millis(),
                reading.series.device.0,
                reading.series.metric.0,
                reading.observed_at.millis(),
                reading.value,
            )
        })
        .collect();
    prop_assert_eq!(replayed, expected);
    let report = rig.reader.check().unwrap();
    prop_assert_eq!(report.problems, Vec::<String>::new());
    prop_assert_eq!(report.readings, model.len() as u64);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]
    #[test]
    fn what_is_stored_is_what_was_written_first(
        steps in proptest::collection::vec(any_step(), 1..30)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut rig = Rig::open(dir.path());
        let mut model = Model::new();
        let mut stamp = START + 2 * DAY;
        for step in steps {
            stamp += 7;
            match step {
                Step::Commit(parts) => commit(&mut rig, &mut model, stamp, &parts)?,
                Step::Seal => rig.journal.seal(Vec::new()).unwrap(),
                Step::Settle => rig.journal.settle().unwrap(),
                Step::Tick(days) => rig.journal.tick(Timestamp::from_millis(START + days * DAY)).unwrap(),
                Step::Reopen => {
                    drop(rig);
                    rig = Rig::open_with(dir.path(), Options::default());
                }
            }
        }
        compare(&rig, &model)?;
        drop(rig);
        compare(&Rig::open(dir.path()), &model)?;
    }
}

#[test]
fn a_day_that_is_sent_again_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    let day: Vec<_> = (0..1440)
        .map(|minute| number(1, 0, START + minute * 60_000, 300.0))
        .collect();
    let later = number(1, 0, START + DAY, 1.0);
    rig.put(START + DAY, &day);
    rig.put(START + DAY, &[later]);
    rig.seal();
    let again = rig.put(START + DAY + 1000, &day);
    assert!(
        again
            .iter()
            .all(|admission| *admission == Admission::Duplicate)
    );
    // From the newest to the oldest as well, after a restart.
    drop(rig);
    let mut rig = Rig::open(dir.path());
    let backwards: Vec<_> = day.iter().rev().copied().collect();
    let again = rig.put(START + DAY + 2000, &backwards);
    assert!(
        again
            .iter()
            .all(|admission| *admission == Admission::Duplicate)
    );
    assert_eq!(rig.all(1, 0).len(), 1441);
    rig.assert_sound();
}

#[test]
fn values_without_a_time_of_their_own_are_all_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    let now = Timestamp::from_millis(START);
    let mut group = rig.begin(START);
    for value in [1.0, 2.0, 3.0] {
        let series = crate::kit::series(1, 0);
        let free = rig.journal.free_instant(&group, series, now).unwrap();
        rig.part(&mut group, &[number(1, 0, free.millis(), value)]);
    }
    rig.journal.commit(group).unwrap();
    let instants: Vec<_> = rig
        .all(1, 0)
        .iter()
        .map(|point| point.at.millis())
        .collect();
    assert_eq!(instants, [START, START + 1, START + 2]);
}
