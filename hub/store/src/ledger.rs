//! The count of everything that came in, by minute, driver and device.

use crate::cell::Cell;
use crate::error::Result;
use crate::reader::{Ledger, Reader};
use crate::segment::read_ledger;
use model::{Counts, DeviceKey, Reason, Timestamp};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(crate) const MINUTE_MS: i64 = 60_000;

/// Stands for "no device" where messages were turned away before they had one.
pub(crate) const NO_DEVICE: u32 = u32::MAX;

/// What a count is for.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Minute {
    pub(crate) driver: u16,
    pub(crate) device: u32,
    /// Minutes since the epoch of the received time.
    pub(crate) minute: i64,
}

/// Counts as the store keeps them.
///
/// `received` is what drivers said, never the sum of the others: that the two agree is a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) received: i64,
    pub(crate) stored: u64,
    pub(crate) duplicate: u64,
    pub(crate) late: u64,
    pub(crate) rejected: Vec<(Reason, u64)>,
}

impl Tally {
    pub(crate) fn reject(&mut self, reason: &Reason, count: u64) {
        match self.rejected.iter_mut().find(|(known, _)| known == reason) {
            Some((_, total)) => *total += count,
            None => self.rejected.push((reason.clone(), count)),
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.stored += other.stored;
        self.duplicate += other.duplicate;
        self.late += other.late;
        for (reason, count) in &other.rejected {
            self.reject(reason, *count);
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            received: u64::try_from(self.received).unwrap_or(0),
            stored: self.stored,
            duplicate: self.duplicate,
            late: self.late,
            rejected: self.rejected.iter().cloned().collect(),
        }
    }

    /// What the cells in memory do not tell: everything but one received for each one stored.
    pub(crate) fn beside_cells(&self) -> Option<Self> {
        let beside = Self {
            received: self.received - i64::try_from(self.stored).unwrap_or(i64::MAX),
            stored: 0,
            duplicate: self.duplicate,
            late: 0,
            rejected: self.rejected.clone(),
        };
        (beside != Self::default()).then_some(beside)
    }
}

/// Counts by minute what is in memory: the cells themselves, and what they do not tell.
pub(crate) fn minutes_of(
    cells: &FxHashMap<u32, Vec<Cell>>,
    beside: &FxHashMap<Minute, Tally>,
) -> Vec<(Minute, Tally)> {
    let mut counts: Vec<(Minute, Tally)> = beside
        .iter()
        .map(|(minute, tally)| (*minute, tally.clone()))
        .collect();
    for (&device, cells) in cells {
        let minute_of = |cell: &Cell| Minute {
            driver: cell.driver,
            device,
            minute: cell.received.div_euclid(MINUTE_MS),
        };
        for run in cells.chunk_by(|a, b| minute_of(a) == minute_of(b)) {
            let Some(first) = run.first() else { continue };
            let leading = || run.iter().filter(|cell| cell.part.leads());
            let stored = leading().count() as u64;
            let tally = Tally {
                received: i64::try_from(stored).unwrap_or(i64::MAX),
                stored,
                late: leading().filter(|cell| cell.late).count() as u64,
                ..Tally::default()
            };
            counts.push((minute_of(first), tally));
        }
    }
    together(counts)
}

/// Sorts counts and adds up those for the same thing.
pub(crate) fn together(mut counts: Vec<(Minute, Tally)>) -> Vec<(Minute, Tally)> {
    counts.sort_by_key(|(minute, _)| *minute);
    counts.dedup_by(|(minute, tally), (kept, sum)| {
        let same = minute == kept;
        if same {
            sum.add(tally);
        }
        same
    });
    counts
}

impl Reader {
    /// Sums the ledger by whole minutes of received time, those of `from` and of the last instant
    /// before `to` included; without bounds since the beginning, exactly.
    pub fn ledger(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Ledger> {
        let mut sums = FxHashMap::<(u16, u32), Tally>::default();
        if from.is_none() && to.is_none() {
            sums.clone_from(&self.shared.view().totals);
        } else {
            self.sum_minutes(from, to, &mut sums)?;
        }
        let names = self.shared.driver_names();
        let apart = self.shared.apart.load(Ordering::Relaxed);
        let mut ledger = Ledger::default();
        for ((driver, device), tally) in sums {
            let counts = tally.counts();
            if device == apart && device != NO_DEVICE {
                let of = ledger.devices.entry(DeviceKey(device)).or_default();
                of.add(&counts);
                continue;
            }
            ledger.total.add(&counts);
            let name = names.get(usize::from(driver)).cloned();
            let name = name.unwrap_or_else(|| driver.to_string());
            ledger.drivers.entry(name).or_default().add(&counts);
            if device != NO_DEVICE {
                let of = ledger.devices.entry(DeviceKey(device)).or_default();
                of.add(&counts);
            }
        }
        Ok(ledger)
    }

    /// Keeps what a device sends out of every sum but its own: the hub's own test sensor is not
    /// what the field sent.
    pub fn set_apart(&self, device: DeviceKey) {
        self.shared.apart.store(device.0, Ordering::Relaxed);
    }

    /// Sums the ledger by driver since the beginning, without looking at devices: cheap enough to
    /// be asked every second.
    pub fn driver_totals(&self) -> BTreeMap<String, Counts> {
        let names = self.shared.driver_names();
        let view = self.shared.view();
        let named = view.drivers.iter().map(|(driver, tally)| {
            let name = names.get(usize::from(*driver)).cloned();
            (name.unwrap_or_else(|| driver.to_string()), tally.counts())
        });
        named.collect()
    }

    /// Sums what came in of one device since the beginning, over all drivers.
    pub fn device_totals(&self, device: DeviceKey) -> Counts {
        let view = self.shared.view();
        let mut counts = Counts::default();
        for driver in view.drivers.keys() {
            if let Some(tally) = view.totals.get(&(*driver, device.0)) {
                counts.add(&tally.counts());
            }
        }
        counts
    }

    fn sum_minutes(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        sums: &mut FxHashMap<(u16, u32), Tally>,
    ) -> Result<()> {
        let first = from.map_or(i64::MIN, |from| from.millis().div_euclid(MINUTE_MS));
        let last = to.map_or(i64::MAX, |to| {
            to.millis().saturating_sub(1).div_euclid(MINUTE_MS)
        });
        let mut add = |minute: Minute, tally: &Tally| {
            if (first..=last).contains(&minute.minute) {
                let sum = sums.entry((minute.driver, minute.device)).or_default();
                sum.add(tally);
            }
        };
        let (segments, frozen) = {
            let view = self.shared.view();
            for (minute, tally) in minutes_of(&view.cells, &view.beside) {
                add(minute, &tally);
            }
            (Arc::clone(&view.segments), view.frozen.clone())
        };
        if let Some(frozen) = frozen {
            for (minute, tally) in minutes_of(&frozen.cells, &frozen.beside) {
                add(minute, &tally);
            }
        }
        for segment in &segments.ledgers {
            let (start, end) = segment.row.received;
            let starts_after = start.div_euclid(MINUTE_MS) > last;
            if starts_after || end.div_euclid(MINUTE_MS) < first {
                continue;
            }
            read_ledger(segment, &mut |minute, tally| add(minute, &tally))?;
        }
        Ok(())
    }
}
