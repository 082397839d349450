//! A mirror reads everything on, from wherever it goes back to, through restarts in the middle of a pass.

use super::{Batch, Source};
use crate::position::Position;
use model::{DeviceKey, MetricKey, Quality, Reading, Series, Timestamp, Value};
use proptest::prelude::*;
use std::collections::BTreeSet;
use store::{Journal, Options, Reader};

/// 2026-03-01T00:00:00Z.
const START: i64 = 1_772_323_200_000;
const DAY: i64 = 86_400_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A journal with some devices.
struct Rig {
    journal: Journal,
    reader: Reader,
    driver: u16,
    now: i64,
    value: i32,
}

impl Rig {
    fn open(dir: &std::path::Path) -> Self {
        let (mut journal, reader, _) = store::open(dir, Options::default()).expect("it opens");
        journal.number_metrics(&["pressure_kpa"]).expect("a name");
        let driver = journal.number_driver("mqtt").expect("a name");
        let mut group = journal.begin(at(START));
        for key in 1..=4 {
            let id = if key == 4 {
                "~canary".to_owned()
            } else {
                format!("gas-{key}")
            };
            let json = serde_json::json!({"id": id, "kind": "gas_pressure"});
            group.put_device(&store::StoredDevice {
                key: DeviceKey(key),
                device: serde_json::from_value(json).expect("a device"),
                secret_hash: None,
                grid: None,
            });
        }
        journal.commit(group).expect("a commit");
        Self {
            journal,
            reader,
            driver,
            now: START,
            value: 0,
        }
    }

    /// One reading of each of some devices, `back` before it is received.
    fn put(&mut self, devices: u32, back: i64) {
        self.now += 700;
        let mut group = self.journal.begin(at(self.now));
        for device in (1..=devices).chain([4]) {
            self.value += 1;
            group.part(self.driver, DeviceKey(device), 1);
            let reading = Reading {
                series: Series {
                    device: DeviceKey(device),
                    metric: MetricKey(0),
                },
                value: Value::Number(f64::from(self.value)),
                quality: Quality::GOOD,
                observed_at: at(self.now - back),
                received_at: at(self.now),
            };
            group
                .observe(&mut self.journal, &reading, false)
                .expect("it is taken");
        }
        self.journal.commit(group).expect("a commit");
    }

    fn seal(&mut self) {
        self.journal.seal(Vec::new()).expect("it seals");
        self.journal.settle().expect("it settles");
        self.now += 2_000;
        self.journal.tick(at(self.now)).expect("a tick");
        self.journal.settle().expect("it settles");
    }

    /// Every line that a server must have in the end.
    fn lines(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        let ever = (Timestamp::MIN, Timestamp::MAX);
        let read = self.reader.scan(ever, &mut |readings| {
            for reading in readings.iter().filter(|r| r.series.device.0 < 4) {
                let (device, at) = (reading.series.device.0, reading.observed_at.millis());
                let value = reading.value.as_number().unwrap_or(f64::NAN);
                lines.insert(format!(
                    "cityhub,device=gas-{device} pressure_kpa={value} {at}"
                ));
            }
            Ok(true)
        });
        read.expect("it reads");
        lines
    }
}

fn take(batch: &Batch, got: &mut BTreeSet<String>) {
    let text = batch.lines.part(0..batch.lines.count());
    got.extend(text.lines().map(str::to_owned));
    assert_eq!(batch.unsayable, Vec::<String>::new());
}

#[derive(Clone, Debug)]
enum Step {
    Put(u32, i64),
    Seal,
    /// So many batches are taken; the last of them or the one before is confirmed.
    Read(usize, bool),
    /// The server forgot what was not confirmed.
    GoBack,
    /// The hub starts anew, and knows what the journal kept.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1..4u32, prop_oneof![Just(0), 0..3 * DAY]).prop_map(|(n, back)| Step::Put(n, back)),
        2 => Just(Step::Seal),
        3 => (1..5usize, any::<bool>()).prop_map(|(n, last)| Step::Read(n, last)),
        1 => Just(Step::GoBack),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn the_server_has_everything_that_was_confirmed_and_in_the_end_all(steps in prop::collection::vec(step(), 1..50)) {
        let dir = tempfile::tempdir().expect("a folder");
        let mut rig = Rig::open(dir.path());
        let mut confirmed = Position::at(at(0));
        let mut source = Source::new(rig.reader.clone(), confirmed, 3);
        // What the server has forced to its disk, and what it may forget.
        let (mut kept, mut young) = (BTreeSet::new(), BTreeSet::new());
        for step in steps {
            match step {
                Step::Put(devices, back) => rig.put(devices, back),
                Step::Seal => rig.seal(),
                Step::Read(batches, confirms_last) => {
                    let mut before = None;
                    for _ in 0..batches {
                        let batch = source.read().expect("it reads");
                        if let Some(position) = before {
                            confirmed = position;
                            kept.append(&mut young);
                        }
                        take(&batch, &mut young);
                        before = Some(batch.position);
                    }
                    if confirms_last && let Some(position) = before {
                        confirmed = position;
                        kept.append(&mut young);
                    }
                }
                Step::GoBack => {
                    young.clear();
                    source.go_back(confirmed);
                }
                Step::Restart => {
                    young.clear();
                    let cursors = confirmed.cursors().map(Some);
                    confirmed = Position::of_cursors(cursors).expect("all are there");
                    source = Source::new(rig.reader.clone(), confirmed, 3);
                }
            }
        }
        loop {
            let batch = source.read().expect("it reads");
            take(&batch, &mut kept);
            if batch.is_level {
                source.note_level();
                break;
            }
        }
        kept.append(&mut young);
        prop_assert_eq!(kept, rig.lines());
        prop_assert_eq!(source.owed(), 0);
    }
}

#[test]
fn what_a_server_lacks_is_told_before_it_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut rig = Rig::open(dir.path());
    for _ in 0..10 {
        rig.put(3, DAY);
    }
    rig.seal();
    rig.put(2, 0);
    let source = Source::new(rig.reader.clone(), Position::at(at(0)), 100);
    // Ten times three and once two, and the test sensor each time.
    assert_eq!(source.owed(), 43);
}
