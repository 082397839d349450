//! What is committed, as readers see it: values in memory, the newest of each series, segments.

use crate::cell::Cell;
use crate::db::Pool;
use crate::ledger::{MINUTE_MS, Minute, NO_DEVICE, Tally};
use crate::retention::Past;
use crate::segment::{Kind, MetaCache, Segment};
use model::{Reason, Timestamp};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What is known of a device that ever sent something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) first_received: i64,
    pub(crate) last_received: i64,
    /// The newest value of each series.
    pub(crate) latest: Vec<Cell>,
}

/// Values that are being written to segments.
#[derive(Debug, Default)]
pub(crate) struct Frozen {
    pub(crate) cells: FxHashMap<u32, Vec<Cell>>,
    pub(crate) beside: FxHashMap<Minute, Tally>,
    pub(crate) count: usize,
}

/// From which day on readings are kept: of all metrics, and of those that are kept for less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Horizon {
    pub(crate) all: Option<i64>,
    pub(crate) metrics: BTreeMap<u16, i64>,
}

impl Horizon {
    /// Its name in `meta`.
    pub(crate) const KEY: &str = "horizon";

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers are JSON")
    }

    pub(crate) fn forget_day(&mut self, day: i64) {
        self.all = self.all.max(Some(day + 1));
    }

    pub(crate) fn forget_metrics(&mut self, day: i64, metrics: &BTreeSet<u16>) {
        for metric in metrics {
            let first = self.metrics.entry(*metric).or_insert(day + 1);
            *first = (*first).max(day + 1);
        }
    }

    /// Takes the later of both; tells whether that changed anything.
    pub(crate) fn join(&mut self, other: &Self) -> bool {
        let before = self.clone();
        self.all = self.all.max(other.all);
        for (metric, first) in &other.metrics {
            let own = self.metrics.entry(*metric).or_insert(*first);
            *own = (*own).max(*first);
        }
        *self != before
    }
}

/// The segments of the catalogue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segments {
    /// In the order of (day, first device time).
    pub(crate) data: Vec<Arc<Segment>>,
    pub(crate) ledgers: Vec<Arc<Segment>>,
}

impl Segments {
    pub(crate) fn of(mut all: Vec<Arc<Segment>>) -> Self {
        all.sort_by_key(|segment| (segment.row.day, segment.row.observed.0, segment.row.id));
        let (data, ledgers) = all
            .into_iter()
            .partition(|segment| segment.row.kind == Kind::Data);
        Self { data, ledgers }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Segment>> + Clone {
        self.data.iter().chain(&self.ledgers)
    }
}

/// Everything in memory that readers see. Only the journal changes it, after its commit.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) cells: FxHashMap<u32, Vec<Cell>>,
    pub(crate) cell_count: usize,
    /// Counts that the cells do not tell.
    pub(crate) beside: FxHashMap<Minute, Tally>,
    pub(crate) frozen: Option<Arc<Frozen>>,
    pub(crate) devices: FxHashMap<u32, Known>,
    pub(crate) totals: FxHashMap<(u16, u32), Tally>,
    /// The same by driver alone, as it is asked for often.
    pub(crate) drivers: FxHashMap<u16, Tally>,
    pub(crate) segments: Arc<Segments>,
    /// Readings that were stored and are past retention.
    pub(crate) expired_readings: u64,
    /// From when on readings are kept.
    pub(crate) horizon: Horizon,
    /// What was past its age when a segment was looked at last, by its id.
    pub(crate) looked_at: BTreeMap<u64, Past>,
    /// Whether sealed counts are past retention too.
    pub(crate) ledger_expired: bool,
    pub(crate) last_commit: u64,
    pub(crate) last_event: u64,
}

/// What came in for one device with one commit.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartCount {
    pub(crate) driver: u16,
    pub(crate) device: u32,
    pub(crate) tally: Tally,
    /// How many of the group's cells are this part's; they follow one another.
    pub(crate) cells: usize,
}

impl PartCount {
    /// Counts messages that were turned away before they had a device.
    pub(crate) fn refused(driver: u16, reason: &Reason, count: u64) -> Self {
        Self {
            driver,
            device: NO_DEVICE,
            tally: Tally {
                received: i64::try_from(count).unwrap_or(i64::MAX),
                rejected: vec![(reason.clone(), count)],
                ..Tally::default()
            },
            cells: 0,
        }
    }
}

impl View {
    /// Shows one commit.
    pub(crate) fn apply(&mut self, stamp: Timestamp, parts: &[PartCount], cells: &[Cell]) {
        let mut rest = cells;
        let minute = stamp.millis().div_euclid(MINUTE_MS);
        for part in parts {
            let (own, next) = rest.split_at_checked(part.cells).unwrap_or((rest, &[]));
            rest = next;
            self.count(minute, part);
            if part.device == NO_DEVICE {
                continue;
            }
            if !own.is_empty() {
                let held = self.cells.entry(part.device).or_default();
                held.extend_from_slice(own);
                self.cell_count += own.len();
            }
            // A device that only repeats itself is there all the same.
            let known = self.devices.entry(part.device).or_insert_with(|| Known {
                first_received: stamp.millis(),
                ..Known::default()
            });
            known.last_received = known.last_received.max(stamp.millis());
            known.see(own);
        }
    }

    fn count(&mut self, minute: i64, part: &PartCount) {
        let key = (part.driver, part.device);
        self.totals.entry(key).or_default().add(&part.tally);
        self.drivers
            .entry(part.driver)
            .or_default()
            .add(&part.tally);
        if let Some(beside) = part.tally.beside_cells() {
            let minute = Minute {
                driver: part.driver,
                device: part.device,
                minute,
            };
            self.beside.entry(minute).or_default().add(&beside);
        }
    }

    /// Sums the totals up by driver.
    pub(crate) fn sum_drivers(&mut self) {
        for ((driver, _), tally) in &self.totals {
            self.drivers.entry(*driver).or_default().add(tally);
        }
    }

    /// Copies the cells of a device that are in memory.
    pub(crate) fn device_cells(&self, device: u32, keep: impl Fn(&Cell) -> bool) -> Vec<Cell> {
        let frozen = self.frozen.as_ref().and_then(|f| f.cells.get(&device));
        let active = self.cells.get(&device);
        frozen
            .into_iter()
            .chain(active)
            .flatten()
            .filter(|cell| keep(cell))
            .copied()
            .collect()
    }
}

impl Known {
    /// Keeps the newest value of each series.
    pub(crate) fn see(&mut self, cells: &[Cell]) {
        let mut rest = cells;
        while let Some((first, after)) = rest.split_first() {
            let followers = after.iter().take_while(|cell| !cell.part.leads()).count();
            let (value, next) = rest.split_at_checked(followers + 1).unwrap_or((rest, &[]));
            rest = next;
            let held = self
                .latest
                .iter_mut()
                .find(|cell| cell.metric == first.metric);
            match held {
                Some(held) if held.effective() > first.effective() => {}
                // The common case: a number takes the place of a number.
                Some(held) if followers == 0 && held.column() == first.column() => *held = *first,
                Some(_) => {
                    self.latest.retain(|cell| cell.metric != first.metric);
                    self.latest.extend_from_slice(value);
                }
                None => self.latest.extend_from_slice(value),
            }
        }
    }
}

/// What the journal, its maintenance thread and all readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) pool: Pool,
    pub(crate) metas: MetaCache,
    view: RwLock<View>,
    names: RwLock<Names>,
    next_id: AtomicU64,
    /// The device whose counts are in no sum but its own.
    pub(crate) apart: AtomicU32,
}

#[derive(Debug, Default)]
struct Names {
    metrics: Arc<Vec<String>>,
    drivers: Arc<Vec<String>>,
}

impl Shared {
    pub(crate) fn new(dir: PathBuf, pool: Pool, view: View, next_id: u64) -> Self {
        Self {
            dir,
            pool,
            metas: MetaCache::default(),
            view: RwLock::new(view),
            names: RwLock::default(),
            next_id: AtomicU64::new(next_id),
            apart: AtomicU32::new(NO_DEVICE),
        }
    }

    pub(crate) fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn metric_names(&self) -> Arc<Vec<String>> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&names.metrics)
    }

    pub(crate) fn driver_names(&self) -> Arc<Vec<String>> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&names.drivers)
    }

    pub(crate) fn put_names(&self, metrics: Vec<String>, drivers: Vec<String>) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        names.metrics = Arc::new(metrics);
        names.drivers = Arc::new(drivers);
    }

    /// Gives a number that no file ever had.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }
}
