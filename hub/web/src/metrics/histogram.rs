//! Counts durations in classes, from any thread and without a lock.

use super::page::Counted;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Durations by class.
#[derive(Debug)]
pub struct Histogram {
    /// Upper ends of the classes, in seconds, rising.
    bounds: &'static [f64],
    /// One a class, and one more for what is beyond the last.
    counts: Box<[AtomicU64]>,
    sum_us: AtomicU64,
}

impl Histogram {
    /// `bounds_s` rises.
    pub fn new(bounds_s: &'static [f64]) -> Self {
        let counts = std::iter::repeat_with(AtomicU64::default).take(bounds_s.len() + 1);
        Self {
            bounds: bounds_s,
            counts: counts.collect(),
            sum_us: AtomicU64::default(),
        }
    }

    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let class = self.bounds.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get(class) {
            count.fetch_add(1, Relaxed);
        }
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.sum_us.fetch_add(us, Relaxed);
    }

    pub(crate) fn counted(&self) -> Counted {
        Counted {
            bounds: self.bounds,
            counts: self
                .counts
                .iter()
                .map(|count| count.load(Relaxed))
                .collect(),
            sum: self.sum_us.load(Relaxed) as f64 / 1e6,
        }
    }
}
