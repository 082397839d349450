//! Whoever takes everything over gets everything, wherever it has moved to in the meantime.

use crate::kit::{DAY, Rig, START, at, number};
use model::{Reading, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;
use store::{Onward, Reader};

type Key = (u32, u16, i64, u64);

fn key(reading: &Reading) -> Key {
    let value = reading.value.as_number().unwrap_or(f64::NAN);
    (
        reading.series.device.0,
        reading.series.metric.0,
        reading.observed_at.millis(),
        value.to_bits(),
    )
}

/// Somebody who takes everything over, as a mirror does.
struct Carrier {
    before: Timestamp,
    commit: Option<u64>,
    got: BTreeSet<Key>,
    /// Readings handed over, those that came twice too.
    handed: usize,
}

impl Carrier {
    fn new(before: i64) -> Self {
        Self {
            before: at(before),
            commit: None,
            got: BTreeSet::new(),
            handed: 0,
        }
    }

    fn take(&mut self, readings: &[Reading]) {
        self.handed += readings.len();
        self.got.extend(readings.iter().map(key));
    }

    /// Forgets what only a process remembers.
    fn restart(&mut self) {
        self.commit = None;
    }

    /// Goes on until there is no more; `limit` readings at a time.
    fn run(&mut self, reader: &Reader, limit: usize) {
        for _ in 0..10_000 {
            let Some(commit) = self.commit else {
                match reader.onward(self.before).unwrap() {
                    Onward::Log { after } => self.commit = Some(after),
                    Onward::Segments { until, after } => {
                        let mut sealed = reader.sealed(self.before..=until, i64::MIN);
                        while let Some(part) = sealed.part(limit).unwrap() {
                            assert!(
                                part.readings.iter().all(|r| {
                                    r.observed_at.millis().div_euclid(DAY) == part.day
                                })
                            );
                            self.take(&part.readings);
                        }
                        assert_eq!(sealed.left(), 0);
                        (self.before, self.commit) = (until, Some(after));
                    }
                }
                continue;
            };
            let Some(followed) = reader.follow(commit, limit).unwrap() else {
                self.commit = None;
                continue;
            };
            self.take(&followed.readings);
            let Some(stamp) = followed.stamp else { return };
            (self.before, self.commit) = (stamp, Some(followed.commit));
        }
        panic!("it never came to its end");
    }
}

fn everything(rig: &Rig) -> BTreeSet<Key> {
    let mut all = BTreeSet::new();
    for device in 1..=3 {
        for metric in 0..2 {
            let points = rig.all(device, metric);
            all.extend(points.iter().map(|point| {
                let value = point.value.as_number().unwrap();
                (device, metric, point.at.millis(), value.to_bits())
            }));
        }
    }
    all
}

#[test]
fn what_was_sealed_long_ago_comes_before_what_is_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    for day in 0..3 {
        let time = START + day * DAY;
        rig.put(time, &[number(1, 0, time, 1.0), number(1, 1, time, 2.0)]);
        rig.seal();
    }
    rig.tick(START + 3 * DAY);
    let time = START + 3 * DAY;
    rig.put(time, &[number(2, 0, time, 3.0)]);
    let mut carrier = Carrier::new(0);
    assert!(matches!(
        rig.reader.onward(at(0)).unwrap(),
        Onward::Segments { .. }
    ));
    carrier.run(&rig.reader, 1);
    assert_eq!(carrier.got, everything(&rig));
    assert_eq!(carrier.handed, 7, "nothing comes twice without a reason");
    carrier.run(&rig.reader, 1);
    assert_eq!(carrier.handed, 7, "nothing new, nothing handed over");
}

#[test]
fn a_day_that_is_done_is_left_out_when_it_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    for day in 0..3 {
        let time = START + day * DAY;
        rig.put(time, &[number(1, 0, time, 1.0)]);
    }
    rig.seal();
    let first_day = START.div_euclid(DAY);
    let mut sealed = rig
        .reader
        .sealed(Timestamp::MIN..=Timestamp::MAX, first_day + 2);
    let part = sealed.part(100).unwrap().unwrap();
    assert_eq!((part.day, part.readings.len()), (first_day + 2, 1));
    assert_eq!(sealed.part(100).unwrap(), None);
}

#[test]
fn whoever_begins_now_gets_what_comes_from_now_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    rig.put(START, &[number(1, 0, START, 1.0)]);
    let mut carrier = Carrier::new(START + 1);
    carrier.run(&rig.reader, 10);
    assert!(carrier.got.is_empty());
    let time = START + 1;
    rig.put(time, &[number(1, 0, time, 2.0)]);
    rig.seal();
    rig.tick(time + 10);
    carrier.run(&rig.reader, 10);
    assert_eq!(carrier.got.len(), 1);
}

/// What happens between two turns of the carrier.
#[derive(Clone, Debug)]
enum Step {
    /// A commit with so many readings, whose own times lie so far back, so long after the last.
    Put(u32, i64, i64),
    Seal,
    Tick,
    Carry(usize),
    RestartOfCarrier,
    RestartOfStore,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..4u32, prop_oneof![Just(0), 0..3 * DAY], prop_oneof![Just(0), 1..5_000i64])
            .prop_map(|(count, back, later)| Step::Put(count, back, later)),
        2 => Just(Step::Seal),
        2 => Just(Step::Tick),
        2 => (1..9usize).prop_map(Step::Carry),
        1 => Just(Step::RestartOfCarrier),
        1 => Just(Step::RestartOfStore),
    ]
}

fn live(dir: &Path, steps: &[Step]) {
    let mut rig = Rig::open(dir);
    let mut carrier = Carrier::new(0);
    let (mut now, mut value) = (START, 0.0);
    for step in steps {
        match *step {
            Step::Put(count, back, later) => {
                now += later;
                let mut group = rig.begin(now);
                for device in 1..=count {
                    value += 1.0;
                    let reading = number(device, 0, now - back + i64::from(device), value);
                    rig.part(&mut group, &[reading]);
                }
                rig.journal.commit(group).unwrap();
            }
            Step::Seal => rig.seal(),
            Step::Tick => {
                now += 2_000;
                rig.tick(now);
            }
            Step::Carry(limit) => {
                carrier.run(&rig.reader, limit);
                assert_eq!(carrier.got, everything(&rig));
            }
            Step::RestartOfCarrier => carrier.restart(),
            Step::RestartOfStore => {
                drop(rig);
                carrier.restart();
                rig = Rig::open(dir);
            }
        }
    }
    carrier.run(&rig.reader, 3);
    assert_eq!(carrier.got, everything(&rig));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_left_out_whatever_moves_meanwhile(steps in prop::collection::vec(step(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        live(dir.path(), &steps);
    }
}
