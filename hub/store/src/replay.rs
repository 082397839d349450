//! Everything that was received, in the order in which it was, as a stream.

use crate::cell::{Part, value_of};
use crate::error::Result;
use crate::reader::Reader;
use crate::segment::{RowKey, Rows, Segment};
use crate::view::Shared;
use model::{DeviceKey, MetricKey, Quality, Reading, Series, Timestamp};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

/// Readings handed over at once, about.
const CHUNK_READINGS: usize = 8_192;

/// A slice that is not in memory yet.
#[derive(Debug)]
struct Waiting {
    segment: Arc<Segment>,
    group: usize,
    first_received: i64,
}

/// Rows in memory, in the order of their received times.
#[derive(Debug)]
struct Loaded {
    rows: Rows,
    order: Vec<u32>,
    next: usize,
}

impl Loaded {
    fn of(rows: Rows, received: &Range<i64>) -> Self {
        let is_wanted = |key: &RowKey| received.contains(&key.received);
        let mut order: Vec<(i64, u32)> = rows
            .keys
            .iter()
            .zip(0u32..)
            .filter(|(key, _)| is_wanted(key))
            .map(|(key, row)| (key.received, row))
            .collect();
        order.sort_unstable();
        Self {
            order: order.into_iter().map(|(_, row)| row).collect(),
            rows,
            next: 0,
        }
    }

    /// The received time of the next row.
    fn received(&self) -> Option<i64> {
        let row = *self.order.get(self.next)?;
        self.rows.keys.get(row as usize).map(|key| key.received)
    }

    /// Adds the readings of all rows received at `stamp`, which are the next ones.
    fn take(&mut self, stamp: i64, out: &mut Vec<Reading>) {
        while let Some(row) = self.order.get(self.next) {
            let row = *row as usize;
            let Some(key) = self.rows.keys.get(row).filter(|key| key.received == stamp) else {
                break;
            };
            push_readings(key, &self.rows, row, out);
            self.next += 1;
        }
    }
}

pub(crate) fn push_readings(key: &RowKey, rows: &Rows, row: usize, out: &mut Vec<Reading>) {
    let mut rest = rows.cells(row);
    while let Some((first, after)) = rest.split_first() {
        let metric = first.column.metric;
        let is_own = |cell: &crate::segment::RowCell| {
            cell.column.metric == metric && !cell.column.part.leads()
        };
        let own = match first.column.part {
            Part::Number => 0,
            _ => after.iter().take_while(|cell| is_own(cell)).count(),
        };
        let (own, next) = after.split_at_checked(own).unwrap_or((after, &[]));
        rest = next;
        out.push(Reading {
            series: Series {
                device: DeviceKey(key.device),
                metric: MetricKey(metric),
            },
            value: value_of(
                first.column.part,
                first.value,
                own.iter().map(|cell| (cell.column.part, cell.value)),
            ),
            quality: Quality::from_code(key.quality),
            observed_at: Timestamp::from_millis(key.observed),
            received_at: Timestamp::from_millis(key.received),
        });
    }
}

/// Every stored reading of a range, chunk by chunk, in the order of
/// (received_at, device, metric, observed_at). A commit's readings are never in two chunks.
#[derive(Debug)]
pub struct Replay {
    shared: Arc<Shared>,
    metrics: Arc<Vec<String>>,
    received: Range<i64>,
    /// The earliest is last.
    waiting: Vec<Waiting>,
    /// Loaded slices by the received time of their next row.
    loaded: BinaryHeap<Reverse<(i64, usize)>>,
    slices: Vec<Option<Loaded>>,
    failed: bool,
}

impl Reader {
    /// Gives every reading received in the range (`from` included, `to` not).
    pub fn replay(&self, from: Timestamp, to: Timestamp) -> Result<Replay> {
        let received = from.millis()..to.millis();
        // Only copied while the writer waits; put in order after that.
        let (active, frozen, segments) = {
            let view = self.shared.view();
            (
                view.cells.clone(),
                view.frozen.clone(),
                Arc::clone(&view.segments),
            )
        };
        let mut head = Rows::default();
        let frozen = frozen.as_ref().map(|frozen| &frozen.cells);
        for (device, cells) in frozen.into_iter().chain([&active]).flatten() {
            let of_range = cells
                .iter()
                .filter(|cell| received.contains(&cell.received));
            head.push_device(*device, &mut of_range.copied().collect::<Vec<_>>());
        }
        drop(active);
        let metrics = self.shared.metric_names();
        let mut waiting = Vec::new();
        for segment in &segments.data {
            let (first, last) = segment.row.received;
            if first >= received.end || last < received.start {
                continue;
            }
            let reader = self.shared.metas.open(segment, &metrics)?;
            for (group, slice) in reader.meta.slices.iter().enumerate() {
                let (first, last) = slice.received;
                if first < received.end && last >= received.start {
                    waiting.push(Waiting {
                        segment: Arc::clone(segment),
                        group,
                        first_received: first,
                    });
                }
            }
        }
        waiting.sort_by_key(|slice| Reverse(slice.first_received));
        let mut replay = Replay {
            shared: Arc::clone(&self.shared),
            metrics,
            received,
            waiting,
            loaded: BinaryHeap::new(),
            slices: Vec::new(),
            failed: false,
        };
        replay.hold(head);
        Ok(replay)
    }
}

impl Replay {
    fn hold(&mut self, rows: Rows) {
        let loaded = Loaded::of(rows, &self.received);
        if let Some(received) = loaded.received() {
            self.loaded.push(Reverse((received, self.slices.len())));
            self.slices.push(Some(loaded));
        }
    }

    /// Loads every slice that may have something received as early as the next row in memory.
    fn load(&mut self) -> Result<()> {
        loop {
            let next = self.loaded.peek().map(|Reverse((received, _))| *received);
            let is_due = |slice: &mut Waiting| next.is_none_or(|at| slice.first_received <= at);
            let Some(slice) = self.waiting.pop_if(is_due) else {
                return Ok(());
            };
            let mut rows = Rows::default();
            // One file is open at a time, however many the history has.
            let reader = self.shared.metas.open(&slice.segment, &self.metrics)?;
            reader.read_slice(slice.group, &mut rows)?;
            self.hold(rows);
        }
    }

    /// Adds everything of the next received time.
    fn stamp(&mut self, out: &mut Vec<Reading>) -> Result<bool> {
        self.load()?;
        let Some(&Reverse((stamp, _))) = self.loaded.peek() else {
            return Ok(false);
        };
        let before = out.len();
        while let Some(&Reverse((received, place))) = self.loaded.peek() {
            if received != stamp {
                break;
            }
            self.loaded.pop();
            let Some(slot) = self.slices.get_mut(place) else {
                continue;
            };
            if let Some(loaded) = slot {
                loaded.take(stamp, out);
                match loaded.received() {
                    Some(next) => self.loaded.push(Reverse((next, place))),
                    // Its memory is free for the next slice.
                    None => *slot = None,
                }
            }
        }
        let of_stamp = out.get_mut(before..).unwrap_or_default();
        let key = |reading: &Reading| {
            let Series { device, metric } = reading.series;
            (device, metric, reading.observed_at)
        };
        // Mostly in order already, which costs one look at each.
        if !of_stamp.is_sorted_by_key(key) {
            of_stamp.sort_unstable_by_key(key);
        }
        Ok(true)
    }
}

impl Iterator for Replay {
    type Item = Result<Vec<Reading>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let mut chunk = Vec::with_capacity(CHUNK_READINGS + CHUNK_READINGS / 4);
        while chunk.len() < CHUNK_READINGS {
            match self.stamp(&mut chunk) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        (!chunk.is_empty()).then_some(Ok(chunk))
    }
}
