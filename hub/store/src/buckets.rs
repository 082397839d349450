//! Many values become one per bucket of time.

use crate::error::{Result, StoreError};
use crate::reader::{Agg, Page, Point};
use model::{Quality, Timestamp, Value};

/// Takes the values of one series in the order of their times and makes one (or, by `MinMax`, two)
/// of those of each bucket. Buckets are aligned to the epoch and named by their start. Bad values
/// count only where a bucket has no others; a place is always the last one.
#[derive(Debug)]
pub struct Buckets {
    step_ms: i64,
    agg: Agg,
    limit: usize,
    /// Buckets that were begun.
    filled: usize,
    open: Option<Bucket>,
    page: Page,
}

impl Buckets {
    /// Makes `limit` buckets at most.
    pub fn new(step_ms: i64, agg: Agg, limit: usize) -> Result<Self> {
        if step_ms < 1 {
            return Err(StoreError::Invalid(format!(
                "a step of {step_ms} ms is no step"
            )));
        }
        Ok(Self {
            step_ms,
            agg,
            limit,
            filled: 0,
            open: None,
            page: Page::default(),
        })
    }

    /// Takes the next value. `false` if it begins a bucket for which there is no room: the page is
    /// complete, and says where the next one begins.
    pub fn take(&mut self, point: &Point) -> bool {
        let start = self.start_of(point.at);
        match &mut self.open {
            Some(bucket) if bucket.start == start => bucket.add(point),
            _ => {
                if !self.begin(start) {
                    return false;
                }
                self.open = Some(Bucket::of(start, point));
            }
        }
        true
    }

    /// Takes what somebody else made of a whole bucket by the same rules.
    pub fn take_made(&mut self, start: Timestamp, points: &[Point]) -> bool {
        if !self.begin(start.millis()) {
            return false;
        }
        self.page.points.extend(points);
        true
    }

    /// Gives what the buckets became.
    pub fn finish(mut self) -> Page {
        self.close();
        self.page
    }

    fn start_of(&self, at: Timestamp) -> i64 {
        let bucket = at.millis().div_euclid(self.step_ms);
        bucket.saturating_mul(self.step_ms)
    }

    fn begin(&mut self, start: i64) -> bool {
        if self.filled == self.limit {
            self.page.next = Some(Timestamp::from_millis(start));
            return false;
        }
        self.filled += 1;
        self.close();
        true
    }

    fn close(&mut self) {
        if let Some(complete) = self.open.take() {
            complete.finish(self.agg, &mut self.page.points);
        }
    }
}

/// What a bucket has seen.
#[derive(Debug)]
struct Bucket {
    start: i64,
    count: u64,
    sum: f64,
    least: Point,
    greatest: Point,
    last: Point,
    worst: Quality,
}

impl Bucket {
    fn of(start: i64, point: &Point) -> Self {
        let mut bucket = Self {
            start,
            count: 0,
            sum: 0.0,
            least: *point,
            greatest: *point,
            last: *point,
            worst: point.quality,
        };
        bucket.take(point);
        bucket
    }

    fn add(&mut self, point: &Point) {
        let holds_bad = self.worst.is_bad();
        if point.quality.is_bad() && !holds_bad {
            return;
        }
        if !point.quality.is_bad() && holds_bad {
            // The first value that is worth something replaces those that are not.
            *self = Self::of(self.start, point);
            return;
        }
        self.take(point);
    }

    fn take(&mut self, point: &Point) {
        self.count += 1;
        self.last = *point;
        self.worst = self.worst.worst(point.quality);
        if let Value::Number(number) = point.value {
            self.sum += number;
            if self
                .least
                .value
                .as_number()
                .is_none_or(|least| number < least)
            {
                self.least = *point;
            }
            if self
                .greatest
                .value
                .as_number()
                .is_none_or(|greatest| number > greatest)
            {
                self.greatest = *point;
            }
        }
    }

    fn finish(&self, agg: Agg, out: &mut Vec<Point>) {
        let named = |value| Point {
            at: Timestamp::from_millis(self.start),
            value,
            quality: self.worst,
        };
        if matches!(self.last.value, Value::Position(_)) {
            out.push(named(self.last.value));
            return;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a bucket has far fewer than 2^53 values"
        )]
        let mean = self.sum / self.count as f64;
        match agg {
            Agg::Mean => out.push(named(Value::Number(mean))),
            Agg::Min => out.push(named(self.least.value)),
            Agg::Max => out.push(named(self.greatest.value)),
            Agg::Last => out.push(named(self.last.value)),
            Agg::MinMax => {
                let (first, second) = if self.least.at <= self.greatest.at {
                    (self.least, self.greatest)
                } else {
                    (self.greatest, self.least)
                };
                out.push(first);
                if second.at != first.at {
                    out.push(second);
                }
            }
        }
    }
}
