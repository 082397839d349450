//! What the tests share: a journal in a folder of its own, and readings in one line.

use model::{DeviceKey, MetricKey, Position, Quality, Reading, Series, Timestamp, Value};
use std::path::Path;
use store::{Admission, Group, Journal, Options, Point, Reader, Recovered, SeriesQuery};

/// 2026-03-01T00:00:00Z.
pub(crate) const START: i64 = 1_772_323_200_000;
pub(crate) const DAY: i64 = 86_400_000;
pub(crate) const METRICS: [&str; 3] = ["pressure_kpa", "battery_pct", "position"];

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn series(device: u32, metric: u16) -> Series {
    Series {
        device: DeviceKey(device),
        metric: MetricKey(metric),
    }
}

pub(crate) fn number(device: u32, metric: u16, observed: i64, value: f64) -> Reading {
    Reading {
        series: series(device, metric),
        value: Value::Number(value),
        quality: Quality::GOOD,
        observed_at: at(observed),
        received_at: at(0),
    }
}

pub(crate) fn place(device: u32, observed: i64, lon: f64, locked: Option<bool>) -> Reading {
    Reading {
        value: Value::Position(Position {
            lon,
            lat: 24.5,
            accuracy_m: locked.map(|_| 5.0),
            locked,
        }),
        ..number(device, 2, observed, 0.0)
    }
}

/// A store in a folder.
pub(crate) struct Rig {
    pub(crate) journal: Journal,
    pub(crate) reader: Reader,
    pub(crate) recovered: Recovered,
    pub(crate) driver: u16,
}

impl Rig {
    pub(crate) fn open(dir: &Path) -> Self {
        Self::open_with(dir, Options::default())
    }

    pub(crate) fn open_with(dir: &Path, options: Options) -> Self {
        let (mut journal, reader, recovered) = store::open(dir, options).unwrap();
        journal.number_metrics(&METRICS).unwrap();
        let driver = journal.number_driver("mqtt").unwrap();
        Self {
            journal,
            reader,
            recovered,
            driver,
        }
    }

    pub(crate) fn begin(&mut self, stamp: i64) -> Group {
        self.journal.begin(at(stamp))
    }

    /// Takes readings of one device as one part; tells which were new.
    pub(crate) fn part(&mut self, group: &mut Group, readings: &[Reading]) -> Vec<Admission> {
        let Some(first) = readings.first() else {
            return Vec::new();
        };
        let received = u32::try_from(readings.len()).unwrap();
        group.part(self.driver, first.series.device, received);
        readings
            .iter()
            .map(|reading| {
                let late = group.stamp().since_ms(reading.observed_at) > 120_000;
                group.observe(&mut self.journal, reading, late).unwrap()
            })
            .collect()
    }

    /// Commits readings of one device as one group.
    pub(crate) fn put(&mut self, stamp: i64, readings: &[Reading]) -> Vec<Admission> {
        let mut group = self.begin(stamp);
        let admissions = self.part(&mut group, readings);
        self.journal.commit(group).unwrap();
        admissions
    }

    pub(crate) fn seal(&mut self) {
        self.journal.seal(b"checkpoint".to_vec()).unwrap();
        self.journal.settle().unwrap();
    }

    pub(crate) fn tick(&mut self, now: i64) {
        self.journal.tick(at(now)).unwrap();
        self.journal.settle().unwrap();
    }

    pub(crate) fn all(&self, device: u32, metric: u16) -> Vec<Point> {
        everything(&self.reader, device, metric)
    }

    pub(crate) fn assert_sound(&self) {
        let report = self.reader.check().unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    }
}

pub(crate) fn query(device: u32, metric: u16) -> SeriesQuery {
    SeriesQuery {
        series: series(device, metric),
        from: Timestamp::MIN,
        to: Timestamp::MAX,
        limit: usize::MAX,
    }
}

pub(crate) fn everything(reader: &Reader, device: u32, metric: u16) -> Vec<Point> {
    reader.readings(&query(device, metric)).unwrap().points
}

/// Copies a data folder as it is at this moment, as a crash would leave it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Lists the files under a folder, relative to it, without those of SQLite and the lock.
pub(crate) fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                if !name.starts_with("main.db") && name != "lock" {
                    found.push(name);
                }
            }
        }
    }
    found.sort();
    found
}
