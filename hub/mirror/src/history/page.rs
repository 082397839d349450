//! One answer: what the server holds of a range, and the journal over it.

use super::parts::laid_over;
use super::server::{Link, Wanted};
use super::{Ask, Found, History, HistoryError, Missing, blocking};
use model::Timestamp;
use std::ops::Range;
use store::{Agg, Buckets, Page, Point, Reader, SeriesQuery, StoreError};
use tokio::time::Instant;

/// Values that a question is to bring where buckets are made of them.
const CHUNK: usize = 50_000;

/// Buckets of so recent a time are made here: the server may still be taking values in.
const SETTLED_MS: i64 = 600_000;

/// Before this the server is not asked: no device was there in 1969.
const FIRST_MS: i64 = 0;

/// Why reading went no further.
pub(super) enum Stop {
    Server(String),
    Journal(HistoryError),
}

impl From<HistoryError> for Stop {
    fn from(error: HistoryError) -> Self {
        Self::Journal(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Journal(error.into())
    }
}

/// An answer that is being put together.
pub(super) struct Reading<'a> {
    pub(super) ask: &'a Ask,
    pub(super) link: Link<'a>,
    pub(super) give_up_at: Instant,
    reader: &'a Reader,
    /// How far it has come.
    pub(super) at_ms: i64,
    /// From here on the journal is whole.
    until_ms: i64,
}

impl History {
    /// Reads a range of which everything before `until` is asked of the server.
    pub(super) async fn long_page(
        &self,
        ask: &Ask,
        until: Timestamp,
        give_up_at: Instant,
    ) -> Result<Found, HistoryError> {
        let mut reading = Reading {
            ask,
            link: self.shared.server.link(),
            give_up_at,
            reader: &self.shared.reader,
            at_ms: ask.query.from.millis(),
            until_ms: until.millis(),
        };
        let turn = tokio::time::timeout_at(give_up_at, self.shared.turns.acquire()).await;
        let busy = match turn {
            Ok(Ok(_)) => None,
            _ => Some("too many long ranges are being read at once".to_owned()),
        };
        let (page, stopped) = match ask.agg {
            None => reading.values(busy).await?,
            Some(agg) => reading.buckets(agg, busy).await?,
        };
        let missing = stopped.map(|reason| Missing {
            from: Timestamp::from_millis(reading.at_ms),
            to: until,
            reason,
        });
        // A page that was full before needed nothing of it.
        let is_missed = |missing: &Missing| page.next.is_none_or(|next| next > missing.from);
        let missing = missing.filter(is_missed);
        Ok(Found { page, missing })
    }
}

impl Reading<'_> {
    /// Gives a page of values, and why the server gave no more of them. `stopped` says that it is not asked at all.
    async fn values(
        &mut self,
        mut stopped: Option<String>,
    ) -> Result<(Page, Option<String>), HistoryError> {
        // One more than is given tells where the next page begins.
        let limit = self.ask.query.limit;
        let wanted_count = limit.saturating_add(1);
        let mut remote = Vec::new();
        while stopped.is_none() && self.at_ms < self.until_ms && remote.len() < wanted_count {
            match self
                .next_raw(self.until_ms, wanted_count - remote.len())
                .await
            {
                Ok(points) => remote.extend(points),
                Err(reason) => stopped = Some(reason),
            }
        }
        let reader = self.reader.clone();
        let query = SeriesQuery {
            limit: wanted_count,
            ..self.ask.query
        };
        let local = blocking(move || reader.readings(&query)).await??;
        let mut points = laid_over(&remote, &local.points);
        let next = points.get(limit).map(|point| point.at);
        points.truncate(limit);
        Ok((Page { points, next }, stopped))
    }

    /// Reads on from the server.
    async fn next_raw(&mut self, until_ms: i64, count: usize) -> Result<Vec<Point>, String> {
        let from_ms = self.at_ms.max(FIRST_MS).min(until_ms);
        if from_ms == until_ms {
            self.at_ms = until_ms;
            return Ok(Vec::new());
        }
        let (series, give_up_at) = (wanted(self.ask), self.give_up_at);
        let asked = self.link.raw(series, from_ms..until_ms, count, give_up_at);
        let raw = asked.await?;
        self.at_ms = raw.until_ms;
        Ok(raw.points)
    }

    /// Gives a page of buckets, and why the server gave no more of what they are made of.
    async fn buckets(
        &mut self,
        agg: (Agg, i64),
        busy: Option<String>,
    ) -> Result<(Page, Option<String>), HistoryError> {
        let (kind, step_ms) = agg;
        let mut buckets = Buckets::new(step_ms, kind, self.ask.query.limit)?;
        let stopped = match busy {
            Some(reason) => Some(reason),
            None => match self.older(&mut buckets, agg).await {
                Ok(true) => None,
                Ok(false) => return Ok((buckets.finish(), None)),
                Err(Stop::Server(reason)) => Some(reason),
                Err(Stop::Journal(error)) => return Err(error),
            },
        };
        let reader = self.reader.clone();
        let rest = SeriesQuery {
            from: Timestamp::from_millis(self.at_ms),
            limit: CHUNK,
            ..self.ask.query
        };
        let page = blocking(move || feed(&reader, rest, buckets)).await??;
        Ok((page, stopped))
    }

    /// Makes the buckets of what is older than the journal. `false` if there is no room for more.
    async fn older(&mut self, buckets: &mut Buckets, agg: (Agg, i64)) -> Result<bool, Stop> {
        let settled_ms = self.ask.now.plus_ms(-SETTLED_MS).millis();
        let made_until_ms = self.until_ms.min(settled_ms);
        let may_be_made = self.may_be_made(agg);
        // Up to here values are read one by one.
        let mut raw_until_ms = self.at_ms;
        while self.at_ms < self.until_ms {
            if self.at_ms >= raw_until_ms {
                raw_until_ms = self.until_ms;
                let (_, step_ms) = agg;
                let whole = self.whole_buckets(made_until_ms, step_ms);
                if let Some(span) = whole.filter(|_| may_be_made) {
                    match self.made(buckets, span.clone(), agg).await? {
                        super::made::Span::Made => {
                            raw_until_ms = self.at_ms;
                            continue;
                        }
                        super::made::Span::Full => return Ok(false),
                        super::made::Span::Touched => raw_until_ms = span.end,
                    }
                } else if may_be_made {
                    let next_start = self.at_ms.div_euclid(step_ms).saturating_add(1);
                    let next_start = next_start.saturating_mul(step_ms).max(FIRST_MS);
                    if next_start < made_until_ms {
                        raw_until_ms = next_start;
                    }
                }
            }
            if !self.take_raw(buckets, raw_until_ms).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads values on, at most up to a moment, and puts them into their buckets. `false` if there is no room.
    pub(super) async fn take_raw(
        &mut self,
        buckets: &mut Buckets,
        until_ms: i64,
    ) -> Result<bool, Stop> {
        let from_ms = self.at_ms;
        let remote = self.next_raw(until_ms, CHUNK).await.map_err(Stop::Server)?;
        let local = self.local(from_ms..self.at_ms).await?;
        let points = laid_over(&remote, &local);
        Ok(points.iter().all(|point| buckets.take(point)))
    }

    /// Gives what the journal has of a span.
    pub(super) async fn local(&self, span: Range<i64>) -> Result<Vec<Point>, HistoryError> {
        let reader = self.reader.clone();
        let query = SeriesQuery {
            from: Timestamp::from_millis(span.start),
            to: Timestamp::from_millis(span.end),
            limit: usize::MAX,
            ..self.ask.query
        };
        let page = blocking(move || reader.readings(&query)).await??;
        Ok(page.points)
    }
}

pub(super) fn wanted(ask: &Ask) -> Wanted<'_> {
    Wanted {
        device: &ask.device,
        metric: &ask.metric,
        shape: ask.shape,
    }
}

/// Puts what the journal has into buckets, some at a time.
fn feed(reader: &Reader, mut query: SeriesQuery, mut buckets: Buckets) -> Result<Page, StoreError> {
    loop {
        let page = reader.readings(&query)?;
        let has_room = page.points.iter().all(|point| buckets.take(point));
        match page.next {
            Some(next) if has_room => query.from = next,
            _ => return Ok(buckets.finish()),
        }
    }
}
