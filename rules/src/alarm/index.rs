//! Where the open alarms of a device, a gateway or a cause are, and which of them wait for a time.

use super::row::{is_cause, is_on_trial, is_silence};
use model::{AlarmRow, AlarmState, DeviceId, Suppression, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// An alarm that is active for longer than this is stale (ISA-18.2: more than 24 hours).
const STALE_MS: i64 = 86_400_000;

/// What raises an alarm. A rule watches one thing of a device, so this names a series.
pub(super) type Source = (String, DeviceId);

pub(super) fn source(row: &AlarmRow) -> Source {
    (row.rule.clone(), row.device.clone())
}

/// Numbers of open alarms; all of it follows from the rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    by_source: BTreeMap<Source, BTreeSet<u64>>,
    /// Active `silence` alarms, by device and by the gateway of the device.
    silent: BTreeMap<DeviceId, BTreeSet<u64>>,
    silent_behind: BTreeMap<DeviceId, BTreeSet<u64>>,
    by_cause: BTreeMap<String, BTreeSet<u64>>,
    /// Active alarms of composites.
    composites: BTreeSet<u64>,
    /// Silent devices of which it is not known yet whether their gateway is.
    held: BTreeSet<u64>,
    timers: BTreeSet<(Timestamp, u64)>,
    stale: usize,
}

impl Index {
    pub(super) fn add(&mut self, number: u64, row: &AlarmRow) {
        put(&mut self.by_source, source(row), number);
        if is_cause(row) && row.scope.is_some() {
            self.composites.insert(number);
        }
        if is_silence(row) {
            put(&mut self.silent, row.device.clone(), number);
            if let Some(gateway) = &row.parent {
                put(&mut self.silent_behind, gateway.clone(), number);
            }
        }
        if let Some(cause) = cause(row) {
            put(&mut self.by_cause, cause.to_owned(), number);
        }
        if is_held(row) {
            self.held.insert(number);
        }
        if let Some(at) = due_at(row) {
            self.timers.insert((at, number));
        }
        self.stale += usize::from(row.stale);
    }

    pub(super) fn remove(&mut self, number: u64, row: &AlarmRow) {
        cut(&mut self.by_source, &source(row), number);
        self.composites.remove(&number);
        if is_silence(row) {
            cut(&mut self.silent, &row.device, number);
            if let Some(gateway) = &row.parent {
                cut(&mut self.silent_behind, gateway, number);
            }
        }
        if let Some(cause) = cause(row) {
            cut(&mut self.by_cause, &cause.to_owned(), number);
        }
        self.held.remove(&number);
        if let Some(at) = due_at(row) {
            self.timers.remove(&(at, number));
        }
        self.stale = self.stale.saturating_sub(usize::from(row.stale));
    }

    pub(super) fn of_source(&self, source: &Source) -> Vec<u64> {
        list(self.by_source.get(source))
    }

    /// Gives all of one rule.
    pub(super) fn of_rule(&self, rule: &str) -> Vec<u64> {
        // No id of a device comes before this one.
        let first = DeviceId::new("!").expect("it is an id");
        let from = self.by_source.range((rule.to_owned(), first)..);
        from.take_while(|(source, _)| source.0 == rule)
            .flat_map(|(_, numbers)| numbers.iter().copied())
            .collect()
    }

    pub(super) fn silent(&self, device: &DeviceId) -> Vec<u64> {
        list(self.silent.get(device))
    }

    pub(super) fn silent_behind(&self, gateway: &DeviceId) -> Vec<u64> {
        list(self.silent_behind.get(gateway))
    }

    pub(super) fn of_cause(&self, cause: &str) -> Vec<u64> {
        list(self.by_cause.get(cause))
    }

    pub(super) fn composites(&self) -> impl Iterator<Item = u64> + '_ {
        self.composites.iter().copied()
    }

    pub(super) fn held(&self) -> impl Iterator<Item = u64> + '_ {
        self.held.iter().copied()
    }

    /// Counts the stale ones.
    pub(super) fn stale(&self) -> usize {
        self.stale
    }

    pub(super) fn next(&self) -> Option<(Timestamp, u64)> {
        self.timers.first().copied()
    }
}

fn put<K: Ord>(map: &mut BTreeMap<K, BTreeSet<u64>>, key: K, number: u64) {
    map.entry(key).or_default().insert(number);
}

fn cut<K: Ord>(map: &mut BTreeMap<K, BTreeSet<u64>>, key: &K, number: u64) {
    if let Some(numbers) = map.get_mut(key) {
        numbers.remove(&number);
        if numbers.is_empty() {
            map.remove(key);
        }
    }
}

fn list(numbers: Option<&BTreeSet<u64>>) -> Vec<u64> {
    numbers.into_iter().flatten().copied().collect()
}

fn cause(row: &AlarmRow) -> Option<&str> {
    let is_suppressed = row.state == AlarmState::Suppressed;
    row.suppressed_by.as_deref().filter(|_| is_suppressed)
}

/// Tells whether a silent device waits for its gateway to speak or be found silent, too.
fn is_held(row: &AlarmRow) -> bool {
    row.suppression == Some(Suppression::Gateway)
        && cause(row).is_some_and(|cause| row.parent.as_ref().is_some_and(|p| p.as_str() == cause))
}

/// Tells when something happens to the row by itself.
pub(super) fn due_at(row: &AlarmRow) -> Option<Timestamp> {
    match row.state {
        AlarmState::Shelved => row.shelved_until,
        AlarmState::Suppressed => row.returns_at,
        AlarmState::ActiveUnacked | AlarmState::ActiveAcked => {
            let stale_at = row.raised_at.plus_ms(STALE_MS);
            (row.active && !row.stale && !is_on_trial(row)).then_some(stale_at)
        }
        AlarmState::ClearedUnacked
        | AlarmState::LatchedUnacked
        | AlarmState::LatchedAcked
        | AlarmState::Normal
        | AlarmState::OutOfService => None,
    }
}
