//! Journals, a series with everything in it, and lines as a mirror writes them.

use mirror::history::{Ask, Found, History};
use mirror::shape::{DEVICE_TAG, MEASUREMENT, parts_of};
use model::{
    Cause, DeviceId, DeviceKey, MetricKey, MetricShape, Position, Quality, Reading, Series,
    Timestamp, Value,
};
use std::fmt::Write as _;
use store::{Agg, Journal, Options, Page, Reader, SeriesQuery};
use tempfile::TempDir;

/// 2026-03-01T00:00:00Z.
pub(crate) const START: i64 = 1_772_323_200_000;
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
/// When everything is asked.
pub(crate) const NOW: i64 = START + 60 * DAY;

pub(crate) const METRICS: [(&str, MetricShape); 2] = [
    ("pressure_kpa", MetricShape::Number),
    ("position", MetricShape::Position),
];

pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// A small generator of numbers, the same in every run (Marsaglia's xorshift64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }

    fn quality(&mut self, of_100: i64) -> Quality {
        let quality = match self.below(2) {
            0 => Quality::bad(Cause::Range),
            _ => Quality::uncertain(Cause::Stuck),
        };
        match self.below(100) {
            die if die < of_100 => quality,
            _ => Quality::GOOD,
        }
    }

    /// `count` values of a device, `gap_ms` apart on average, of which some are not good.
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    pub(crate) fn numbers(&mut self, device: u32, count: usize, gap_ms: i64) -> Vec<Reading> {
        let mut observed = START;
        let marked = if device == 1 { 3 } else { 0 };
        let reading = |_| {
            observed += 1 + self.below(2 * gap_ms);
            reading(
                (device, 0),
                observed,
                Value::Number(self.below(4_000) as f64 / 10.0),
                self.quality(marked),
            )
        };
        (0..count).map(reading).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    pub(crate) fn places(&mut self, device: u32, count: usize, gap_ms: i64) -> Vec<Reading> {
        let mut observed = START;
        let reading = |_| {
            observed += 1 + self.below(2 * gap_ms);
            let place = Position {
                // As receivers write it: six digits behind the point.
                lon: (118_000_000 + self.below(1_000_000)) as f64 / 1e6,
                lat: (24_000_000 + self.below(1_000_000)) as f64 / 1e6,
                accuracy_m: (self.below(2) == 0).then(|| self.below(50) as f64),
                locked: (self.below(2) == 0).then(|| self.below(2) == 0),
            };
            let quality = self.quality(5);
            reading((device, 1), observed, Value::Position(place), quality)
        };
        (0..count).map(reading).collect()
    }
}

fn reading((device, metric): (u32, u16), observed: i64, value: Value, quality: Quality) -> Reading {
    Reading {
        series: Series {
            device: DeviceKey(device),
            metric: MetricKey(metric),
        },
        value,
        quality,
        observed_at: at(observed),
        received_at: at(observed),
    }
}

pub(crate) fn device_id(device: u32) -> DeviceId {
    // Quotes and backslashes are allowed in a name; a mirror refuses only the latter.
    DeviceId::new(&format!("gas,=\"{device}\"}}'湖")).unwrap()
}

/// A store in a folder of its own.
pub(crate) struct Rig {
    pub(crate) reader: Reader,
    journal: Journal,
    driver: u16,
    _dir: TempDir,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, reader, _) = store::open(dir.path(), Options::default()).unwrap();
        journal
            .number_metrics(&METRICS.map(|(name, _)| name))
            .unwrap();
        let driver = journal.number_driver("mqtt").unwrap();
        Self {
            reader,
            journal,
            driver,
            _dir: dir,
        }
    }

    pub(crate) fn put(&mut self, stamp: i64, readings: &[Reading]) {
        let mut group = self.journal.begin(at(stamp));
        for part in readings.chunk_by(|one, next| one.series.device == next.series.device) {
            let count = u32::try_from(part.len()).unwrap();
            group.part(self.driver, part[0].series.device, count);
            for reading in part {
                group.observe(&mut self.journal, reading, true).unwrap();
            }
        }
        self.journal.commit(group).unwrap();
    }

    /// Answers as the embedded store alone would.
    pub(crate) fn answer(&self, ask: &Ask) -> Page {
        match ask.agg {
            None => self.reader.readings(&ask.query).unwrap(),
            Some((agg, step_ms)) => self.reader.buckets(&ask.query, step_ms, agg).unwrap(),
        }
    }
}

/// Writes readings as lines.
pub(crate) fn lines(readings: &[Reading]) -> String {
    let mut lines = String::new();
    for reading in readings {
        let device = device_id(reading.series.device.0);
        let device = device.as_str().replace(',', "\\,").replace('=', "\\=");
        write!(lines, "{MEASUREMENT},{DEVICE_TAG}={device} ").unwrap();
        let (metric, _) = METRICS[usize::from(reading.series.metric.0)];
        let fields: Vec<String> = parts_of(reading)
            .map(|(part, number)| format!("{}={number}", part.field(metric)))
            .collect();
        let at_ms = reading.observed_at.millis();
        writeln!(lines, "{} {at_ms}", fields.join(",")).unwrap();
    }
    lines
}

pub(crate) fn ask(
    (device, metric): (u32, u16),
    (from, to): (i64, i64),
    agg: Option<(Agg, i64)>,
    limit: usize,
) -> Ask {
    let (name, shape) = METRICS[usize::from(metric)];
    Ask {
        device: device_id(device),
        metric: name.to_owned(),
        shape,
        query: SeriesQuery {
            series: Series {
                device: DeviceKey(device),
                metric: MetricKey(metric),
            },
            from: at(from),
            to: at(to),
            limit,
        },
        agg,
        now: at(NOW),
    }
}

/// Asks page after page, and holds each against what the embedded store says.
pub(crate) async fn assert_same(history: &History, truth: &Rig, mut ask: Ask) {
    loop {
        let expected = Found {
            page: truth.answer(&ask),
            missing: None,
        };
        let found = history.page(ask.clone()).await.unwrap();
        let mut pairs = expected.page.points.iter().zip(&found.page.points);
        assert!(
            found == expected,
            "{ask:?}\nthe embedded store: {}\nthe server:         {}\nthe first that differ: {:?}",
            shown(&expected),
            shown(&found),
            pairs.find(|(one, other)| one != other),
        );
        match found.page.next {
            Some(next) => ask.query.from = next,
            None => return,
        }
    }
}

fn shown(found: &Found) -> String {
    let points = &found.page.points;
    format!(
        "{} points {:?} … {:?}, next {:?}, missing {:?}",
        points.len(),
        points.iter().take(3).collect::<Vec<_>>(),
        points.last(),
        found.page.next,
        found.missing,
    )
}
