//! What is past its age on a day: of metrics with an age of their own, of kinds of devices, of the rest.

use crate::Options;
use crate::dedup::{DAY_MS, day_of};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The first days that are kept.
#[derive(Debug)]
pub(super) struct Ages {
    metrics: BTreeMap<u16, i64>,
    kinds: BTreeMap<String, i64>,
    rest: i64,
}

/// What is past on a day. A segment that was looked at with this need not be until it is another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Past {
    metrics: BTreeSet<u16>,
    kinds: BTreeSet<String>,
    rest: bool,
}

/// What of a segment is past.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// Metrics of which nothing stays.
    pub(super) whole: BTreeSet<u16>,
    /// Metrics of which only some devices' readings stay.
    pub(super) part: BTreeSet<u16>,
}

impl Ages {
    pub(super) fn of(options: &Options, metric_names: &[String], now: Timestamp) -> Self {
        let first = |days: u32| day_of(now.millis().saturating_sub(i64::from(days) * DAY_MS));
        // 0 keeps it for ever.
        let own = |days: u32| if days == 0 { i64::MIN } else { first(days) };
        let names = metric_names.iter().zip(0u16..);
        let metrics = names.filter_map(|(name, key)| {
            let days = options.metric_retention_days.get(name)?;
            Some((key, own(*days)))
        });
        let kinds = options.kind_retention_days.iter();
        Self {
            metrics: metrics.collect(),
            kinds: kinds
                .map(|(kind, days)| (kind.clone(), own(*days)))
                .collect(),
            rest: options.retention_days.map_or(i64::MIN, first),
        }
    }

    /// The first day of those of which everything is kept that has no age of its own.
    pub(super) fn rest(&self) -> i64 {
        self.rest
    }

    /// Whether all readings of a day are kept for the same time.
    pub(super) fn are_alike(&self) -> bool {
        self.metrics.is_empty() && self.kinds.is_empty()
    }

    pub(super) fn past(&self, day: i64) -> Past {
        let metrics = self.metrics.iter().filter(|(_, first)| day < **first);
        let kinds = self.kinds.iter().filter(|(_, first)| day < **first);
        Past {
            metrics: metrics.map(|(metric, _)| *metric).collect(),
            kinds: kinds.map(|(kind, _)| kind.clone()).collect(),
            rest: day < self.rest,
        }
    }

    /// The metrics with an age of their own, whichever device they are of.
    pub(super) fn own_metrics(&self) -> BTreeSet<u16> {
        self.metrics.keys().copied().collect()
    }

    /// Tells what of these metrics goes.
    pub(super) fn share(&self, past: &Past, metrics: &BTreeSet<u16>) -> Share {
        let of_all_kinds = past.rest && past.kinds.len() == self.kinds.len();
        let of_some_kind = past.rest || !past.kinds.is_empty();
        let mut share = Share::default();
        for metric in metrics {
            let (whole, part) = match self.metrics.contains_key(metric) {
                true => (past.metrics.contains(metric), false),
                false => (of_all_kinds, of_some_kind),
            };
            if whole {
                share.whole.insert(*metric);
            } else if part {
                share.part.insert(*metric);
            }
        }
        share
    }

    /// Tells whether what devices of this kind said goes, but for metrics with an age of their own.
    pub(super) fn is_past(&self, past: &Past, kind: &str) -> bool {
        match self.kinds.contains_key(kind) {
            true => past.kinds.contains(kind),
            false => past.rest,
        }
    }
}

impl Past {
    /// Its name in `meta`, of all segments that were looked at.
    pub(crate) const KEY: &str = "looked_at";

    pub(super) fn is_nothing(&self) -> bool {
        !self.rest && self.metrics.is_empty() && self.kinds.is_empty()
    }
}
