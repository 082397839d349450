//! Buckets that the server makes, where they are ours: those of good values that the journal knows nothing of.

use super::page::{Reading, Stop};
use model::{MetricShape, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use store::{Agg, Buckets};

/// Buckets that are asked for at once; `VictoriaMetrics` refuses more than 30,000.
const BUCKETS_MAX: i64 = 5_000;

/// Buckets of a span that are looked at value by value; where it is more of them, all are.
const TOUCHED_MAX: usize = 64;

/// A step below this is not worth a question of its own: there are hardly fewer buckets than values.
const STEP_MS_MIN: i64 = 300_000;

/// What became of a span.
pub(super) enum Span {
    /// Its buckets are made.
    Made,
    /// They are, as far as there was room.
    Full,
    /// Too much of it has to be looked at value by value.
    Touched,
}

impl Reading<'_> {
    /// Tells whether the server can make such buckets.
    pub(super) fn may_be_made(&self, (agg, step_ms): (Agg, i64)) -> bool {
        let is_number = self.ask.shape == MetricShape::Number;
        is_number && step_ms >= STEP_MS_MIN && self.link.makes(agg, step_ms)
    }

    /// Gives the whole buckets that begin where reading is, if it is at the start of one.
    pub(super) fn whole_buckets(&self, until_ms: i64, step_ms: i64) -> Option<Range<i64>> {
        let from_ms = self.at_ms;
        let is_start = from_ms >= 0 && from_ms.rem_euclid(step_ms) == 0;
        let count = until_ms.saturating_sub(from_ms).div_euclid(step_ms);
        let whole = count.min(BUCKETS_MAX).saturating_mul(step_ms);
        (is_start && count > 0).then(|| from_ms..from_ms.saturating_add(whole))
    }

    /// Lets the server make the buckets of a span. What has a value of doubtful quality in it, or one of the journal,
    /// is made here.
    pub(super) async fn made(
        &mut self,
        buckets: &mut Buckets,
        span: Range<i64>,
        agg: (Agg, i64),
    ) -> Result<Span, Stop> {
        let give_up_at = self.give_up_at;
        let (_, step_ms) = agg;
        let series = super::page::wanted(self.ask);
        let marked = self.link.marked(series, span.clone(), give_up_at).await;
        let Some(marked) = marked.map_err(Stop::Server)? else {
            return Ok(Span::Touched);
        };
        let local = self.local(span.clone()).await?;
        let of_journal = local.iter().map(|point| point.at.millis());
        let start_of = |at_ms: i64| at_ms.div_euclid(step_ms).saturating_mul(step_ms);
        let touched: BTreeSet<i64> = marked.into_iter().chain(of_journal).map(start_of).collect();
        if touched.len() > TOUCHED_MAX {
            return Ok(Span::Touched);
        }
        let made = self.link.made(series, span.clone(), agg, give_up_at).await;
        let made = made.map_err(Stop::Server)?;
        let mut made: BTreeMap<i64, _> = made
            .into_iter()
            .map(|(start, points)| (start.millis(), points))
            .collect();
        for start in touched {
            made.insert(start, Vec::new());
        }
        for (start, points) in made {
            self.at_ms = start;
            let end = start.saturating_add(step_ms);
            if points.is_empty() {
                while self.at_ms < end {
                    if !self.take_raw(buckets, end).await? {
                        return Ok(Span::Full);
                    }
                }
            } else if !buckets.take_made(Timestamp::from_millis(start), &points) {
                return Ok(Span::Full);
            }
        }
        self.at_ms = span.end;
        Ok(Span::Made)
    }
}
