//! Chatter: one alarm that comes and goes again and again.

use super::index::Source;
use model::Timestamp;
use std::collections::BTreeMap;

/// Raises of one rule and device within [`WINDOW_MS`] that make a chatter (ISA-18.2: occurs and
/// clears three times a minute or more).
const RAISES: usize = 3;

/// The period of chatter, and the longest that it can hide an active alarm.
pub(super) const WINDOW_MS: i64 = 60_000;

/// How long raises are remembered; more than readings within the lateness can be apart.
pub(super) const KEPT_MS: i64 = 600_000;

/// The last raises, by what raised them.
#[derive(Clone, Debug, Default)]
pub(super) struct Chatter {
    /// The alarm of each raise, and the first alarm of the run that it was part of.
    raises: BTreeMap<Source, BTreeMap<(Timestamp, u64), Option<u64>>>,
    /// Raises older than this have been forgotten.
    forgotten_until: Option<Timestamp>,
}

impl Chatter {
    /// Counts a raise; gives the first alarm of the run, if this is one too many.
    pub(super) fn count(&mut self, source: Source, at: Timestamp, number: u64) -> Option<u64> {
        let raises = self.raises.entry(source).or_default();
        let from = (at.plus_ms(1 - WINDOW_MS), 0);
        let mut first = None;
        let mut earlier = 0;
        for ((_, alarm), run) in raises.range(from..(at, number)) {
            earlier += 1;
            first = run.or(first).or(Some(*alarm));
        }
        let first = first.filter(|_| earlier + 1 >= RAISES);
        raises.insert((at, number), first);
        first
    }

    /// Takes a raise up again after a restart, or shows one to a copy.
    pub(super) fn note(&mut self, source: Source, at: Timestamp, number: u64, first: Option<u64>) {
        self.raises
            .entry(source)
            .or_default()
            .insert((at, number), first);
    }

    /// Notes of a raise that is remembered whether it is (still) part of a run.
    pub(super) fn renew(&mut self, of: &Source, at: Timestamp, number: u64, first: Option<u64>) {
        let raises = self.raises.get_mut(of);
        if let Some(run) = raises.and_then(|raises| raises.get_mut(&(at, number))) {
            *run = first;
        }
    }

    /// Forgets a raise, because it never was or was at another time.
    pub(super) fn forget(&mut self, source: &Source, at: Timestamp, number: u64) {
        if let Some(raises) = self.raises.get_mut(source) {
            raises.remove(&(at, number));
        }
    }

    /// Forgets what is too old to be part of anything.
    pub(super) fn advance(&mut self, to: Timestamp) {
        let until = to.plus_ms(-KEPT_MS);
        // Once in a while is enough.
        let is_due = |last: Timestamp| until.since_ms(last) >= WINDOW_MS;
        if !self.forgotten_until.is_none_or(is_due) {
            return;
        }
        self.forgotten_until = Some(until);
        for raises in self.raises.values_mut() {
            *raises = raises.split_off(&(until, 0));
        }
        self.raises.retain(|_, raises| !raises.is_empty());
    }

    /// Counts what chatters at this moment.
    pub(super) fn len_at(&self, now: Timestamp) -> usize {
        let from = (now.plus_ms(1 - WINDOW_MS), 0);
        let chatters = |raises: &&BTreeMap<_, _>| raises.range(from..).nth(RAISES - 1).is_some();
        self.raises.values().filter(chatters).count()
    }
}
