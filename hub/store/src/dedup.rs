//! Tells whether a reading was stored before: first write wins, for ever.
//!
//! Nearly every reading is newer than all of its series, which [`Track`] knows. For the others the
//! instants of the device's day are read once, from memory and segments, and remembered.

use crate::cell::Cell;
use crate::error::Result;
use crate::segment::Segment;
use crate::view::{PartCount, Shared};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Ordering;
use std::sync::Arc;

/// Instants that may be remembered together; at about 20 bytes each.
const KEYS_MAX: usize = 500_000;

/// How many times as many one day of one device may have.
const DAY_SHARE_MAX: usize = 4;

/// How far back a day is read for the first value of it that comes out of order.
const STRAGGLER_MS: i64 = 600_000;

pub(crate) const DAY_MS: i64 = 86_400_000;

/// The cells of the group that is being filled, which readers do not see yet.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Staged<'a> {
    pub(crate) parts: &'a [PartCount],
    pub(crate) cells: &'a [Cell],
}

impl<'a> Staged<'a> {
    fn of_device(self, device: u32) -> impl Iterator<Item = &'a Cell> {
        let mut rest = self.cells;
        self.parts.iter().flat_map(move |part| {
            let (own, next) = rest.split_at_checked(part.cells).unwrap_or((rest, &[]));
            rest = next;
            if part.device == device { own } else { &[] }
        })
    }
}

/// The newest instants of one device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    /// The greatest device time of each metric that was ever stored.
    series: Vec<(u16, i64)>,
    /// No segment has anything after this.
    sealed_until: Option<i64>,
    /// Whether [`Dedup`] remembers days of this device, which must then be kept up to date.
    remembered: bool,
}

pub(crate) type Tracks = FxHashMap<u32, Track>;

impl Track {
    pub(crate) fn series(&self) -> &[(u16, i64)] {
        &self.series
    }

    fn last(&self, metric: u16) -> Option<i64> {
        let own = self.series.iter().find(|(known, _)| *known == metric);
        own.map(|(_, last)| *last)
    }

    /// Notes an instant.
    pub(crate) fn put(&mut self, metric: u16, observed: i64) {
        match self.series.iter_mut().find(|(known, _)| *known == metric) {
            Some((_, last)) => *last = (*last).max(observed),
            None => self.series.push((metric, observed)),
        }
    }

    /// Notes that all of it is in segments, or about to be.
    pub(crate) fn seal(&mut self) {
        self.sealed_until = self.series.iter().map(|(_, last)| *last).max();
    }
}

/// The instants of a device's day, complete from `from` on.
#[derive(Debug)]
struct Day {
    from: i64,
    keys: FxHashSet<(u16, i64)>,
    used: u64,
}

/// All that is needed to tell new from known.
#[derive(Debug)]
pub(crate) struct Dedup {
    pub(crate) tracks: Tracks,
    days: FxHashMap<(u32, i64), Day>,
    keys: usize,
    keys_max: usize,
    uses: u64,
}

impl Dedup {
    pub(crate) fn with(tracks: Tracks) -> Self {
        Self {
            tracks,
            days: FxHashMap::default(),
            keys: 0,
            keys_max: KEYS_MAX,
            uses: 0,
        }
    }

    /// Tells whether a value is new, and if so notes it.
    pub(crate) fn admit(
        &mut self,
        shared: &Shared,
        (device, metric, observed): (u32, u16, i64),
        staged: Staged<'_>,
    ) -> Result<bool> {
        let track = self.tracks.entry(device).or_default();
        let age = track.last(metric).map(|last| observed.cmp(&last));
        let is_stored = match age {
            None | Some(Ordering::Greater) => false,
            Some(Ordering::Equal) => true,
            Some(Ordering::Less) => self.is_stored(shared, (device, metric, observed), staged)?,
        };
        if is_stored {
            return Ok(false);
        }
        let track = self.tracks.entry(device).or_default();
        track.put(metric, observed);
        if track.remembered
            && let Some(day) = self.days.get_mut(&(device, day_of(observed)))
            && day.keys.insert((metric, observed))
        {
            self.keys += 1;
            if self.keys > self.keys_max {
                self.forget_half();
            }
        }
        Ok(true)
    }

    /// Tells whether a value is stored or staged, without noting anything.
    pub(crate) fn is_known(
        &mut self,
        shared: &Shared,
        (device, metric, observed): (u32, u16, i64),
        staged: Staged<'_>,
    ) -> Result<bool> {
        let last = self
            .tracks
            .get(&device)
            .and_then(|track| track.last(metric));
        match last {
            None => Ok(false),
            Some(last) if observed >= last => Ok(observed == last),
            Some(_) => self.is_stored(shared, (device, metric, observed), staged),
        }
    }

    fn is_stored(
        &mut self,
        shared: &Shared,
        (device, metric, observed): (u32, u16, i64),
        staged: Staged<'_>,
    ) -> Result<bool> {
        let key = (device, day_of(observed));
        self.uses += 1;
        let held = self.days.get_mut(&key);
        let is_held = held.is_some();
        if let Some(day) = held
            && observed >= day.from
        {
            day.used = self.uses;
            return Ok(day.keys.contains(&(metric, observed)));
        }
        let sealed_until = self
            .tracks
            .get(&device)
            .and_then(|track| track.sealed_until);
        let scope = match sealed_until {
            // Memory alone tells about everything after what was sealed.
            Some(until) if observed > until => Scope::Memory(until.saturating_add(1)),
            None => Scope::Memory(i64::MIN),
            // Most stragglers are minutes old; who asks for more gets the whole day.
            Some(_) if !is_held => Scope::Segments(observed.saturating_sub(STRAGGLER_MS)),
            Some(_) => Scope::Segments(i64::MIN),
        };
        let mut day = load(shared, key, scope)?;
        for cell in staged.of_device(device) {
            if cell.part.leads() && day_of(cell.observed) == key.1 {
                day.keys.insert((cell.metric, cell.observed));
            }
        }
        day.used = self.uses;
        let stored = day.keys.contains(&(metric, observed));
        self.remember(key, day);
        Ok(stored)
    }

    fn remember(&mut self, key: (u32, i64), day: Day) {
        self.keys += day.keys.len();
        if let Some(replaced) = self.days.insert(key, day) {
            self.keys -= replaced.keys.len();
        }
        if let Some(track) = self.tracks.get_mut(&key.0) {
            track.remembered = true;
        }
        if self.keys > self.keys_max {
            self.forget_half();
        }
    }

    /// Forgets the days that were not asked for lately, half of them at once, so that finding them
    /// costs little for each.
    fn forget_half(&mut self) {
        let mut uses: Vec<u64> = self.days.values().map(|day| day.used).collect();
        let middle = uses.len() / 2;
        let (_, &mut median, _) = uses.select_nth_unstable(middle);
        self.days.retain(|_, day| day.used >= median);
        self.keys = self.days.values().map(|day| day.keys.len()).sum();
        // One day may be larger than all should be together, but not without limit.
        if self.keys > self.keys_max.saturating_mul(DAY_SHARE_MAX) {
            self.days.clear();
            self.keys = 0;
        }
    }

    /// Notes that everything committed so far is in segments, or about to be.
    pub(crate) fn seal(&mut self) {
        for track in self.tracks.values_mut() {
            track.seal();
        }
    }
}

pub(crate) fn day_of(observed: i64) -> i64 {
    observed.div_euclid(DAY_MS)
}

/// Where to look, and from which device time on what is found there is complete.
#[derive(Copy, Clone, Debug)]
enum Scope {
    Memory(i64),
    Segments(i64),
}

/// Collects the instants of a device's day from memory and, if need be, from segments.
fn load(shared: &Shared, (device, day): (u32, i64), scope: Scope) -> Result<Day> {
    let (Scope::Memory(from) | Scope::Segments(from)) = scope;
    let wanted = |cell: &Cell| day_of(cell.observed) == day && cell.observed >= from;
    let (mut cells, segments) = {
        let view = shared.view();
        (
            view.device_cells(device, wanted),
            Arc::clone(&view.segments),
        )
    };
    if matches!(scope, Scope::Segments(_)) {
        let metrics = shared.metric_names();
        let start = day.saturating_mul(DAY_MS).max(from);
        let end = day.saturating_add(1).saturating_mul(DAY_MS);
        let of_day = |segment: &&Arc<Segment>| segment.row.day == day;
        for segment in segments.data.iter().filter(of_day) {
            let reader = shared.metas.open(segment, &metrics)?;
            reader.device_cells(device, start..end, None, &mut cells)?;
        }
    }
    let leading = cells.iter().filter(|cell| cell.part.leads());
    Ok(Day {
        from,
        keys: leading.map(|cell| (cell.metric, cell.observed)).collect(),
        used: 0,
    })
}

#[cfg(test)]
#[path = "dedup_tests.rs"]
mod tests;
