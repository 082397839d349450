//! The values of one series over time, whole or by bucket, and the newest of all.

use crate::buckets::Buckets;
use crate::cell::{Cell, readings_of};
use crate::dedup::{DAY_MS, day_of};
use crate::error::Result;
use crate::reader::{Agg, Page, Point, Reader, SeriesQuery};
use crate::segment::Segment;
use model::{DeviceKey, MetricKey, Reading};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

fn point_of(reading: Reading) -> Point {
    Point {
        at: reading.observed_at,
        value: reading.value,
        quality: reading.quality,
    }
}

impl Reader {
    /// Gives the values of a series in the order of their own times.
    pub fn readings(&self, query: &SeriesQuery) -> Result<Page> {
        let mut page = Page::default();
        self.each_day(query, point_of, &mut |points| {
            let room = query.limit - page.points.len();
            if let Some(first_left) = points.get(room) {
                page.next = Some(first_left.at);
            }
            page.points.extend(points.iter().take(room));
            Ok(page.next.is_none())
        })?;
        Ok(page)
    }

    /// Gives the values of a series in the order of their own times, each with the time at which
    /// it was received; `limit` of them at most.
    pub fn arrivals(&self, query: &SeriesQuery) -> Result<Vec<Reading>> {
        let mut readings = Vec::new();
        self.each_day(
            query,
            std::convert::identity,
            &mut |of_day: &[Reading]| {
                let room = query.limit.saturating_sub(readings.len());
                readings.extend(of_day.iter().take(room));
                Ok(readings.len() < query.limit)
            },
        )?;
        Ok(readings)
    }

    /// Gives one value per bucket of `step_ms`, aligned to the epoch and named by its start. Bad
    /// values count only where a bucket has no others; a place is always the last one.
    pub fn buckets(&self, query: &SeriesQuery, step_ms: i64, agg: Agg) -> Result<Page> {
        let mut buckets = Buckets::new(step_ms, agg, query.limit)?;
        self.each_day(query, point_of, &mut |points| {
            Ok(points.iter().all(|point| buckets.take(point)))
        })?;
        Ok(buckets.finish())
    }

    /// Hands over what `make` makes of the readings of each day that has any, sorted, until `each`
    /// says stop (`false`).
    fn each_day<T>(
        &self,
        query: &SeriesQuery,
        make: impl Fn(Reading) -> T,
        each: &mut dyn FnMut(&[T]) -> Result<bool>,
    ) -> Result<()> {
        let span = query.from.millis()..query.to.millis();
        let metric = query.series.metric.0;
        let device = query.series.device.0;
        // Memory and segments as of one moment: a value is in exactly one of them.
        let (cells, segments) = {
            let view = self.shared.view();
            let wanted = |cell: &Cell| cell.metric == metric && span.contains(&cell.observed);
            (
                view.device_cells(device, wanted),
                Arc::clone(&view.segments),
            )
        };
        let mut in_memory = BTreeMap::<i64, Vec<Cell>>::new();
        for cell in cells {
            in_memory
                .entry(day_of(cell.observed))
                .or_default()
                .push(cell);
        }
        let overlaps = |segment: &&Arc<Segment>| {
            let (first, last) = segment.row.observed;
            first < span.end && last >= span.start
        };
        let sealed: Vec<_> = segments.data.iter().filter(overlaps).collect();
        let mut days: BTreeSet<i64> = in_memory.keys().copied().collect();
        days.extend(sealed.iter().map(|segment| segment.row.day));
        let metrics = self.shared.metric_names();
        for day in days {
            let mut cells = in_memory.remove(&day).unwrap_or_default();
            let of_day = within_day(day, &span);
            for segment in sealed.iter().filter(|segment| segment.row.day == day) {
                let reader = self.shared.metas.open(segment, &metrics)?;
                reader.device_cells(device, of_day.clone(), Some(metric), &mut cells)?;
            }
            cells.sort_unstable_by_key(|cell| (cell.observed, cell.part));
            let points: Vec<T> = readings_of(device, &cells).map(&make).collect();
            if !points.is_empty() && !each(&points)? {
                break;
            }
        }
        Ok(())
    }

    /// Gives the newest reading of each series of a device.
    pub fn latest(&self, device: DeviceKey) -> Vec<Reading> {
        let view = self.shared.view();
        let known = view.devices.get(&device.0);
        known.map_or_else(Vec::new, |known| {
            readings_of(device.0, &known.latest).collect()
        })
    }

    /// Gives the metrics that some device has reported.
    pub fn measured(&self) -> BTreeSet<MetricKey> {
        let view = self.shared.view();
        let cells = view.devices.values().flat_map(|known| &known.latest);
        cells.map(|cell| MetricKey(cell.metric)).collect()
    }

    /// Gives the newest reading of each series of the devices that `keep` wants.
    pub fn latest_all(&self, mut keep: impl FnMut(DeviceKey) -> bool) -> Vec<Reading> {
        let view = self.shared.view();
        let mut all = Vec::new();
        for (device, known) in &view.devices {
            if keep(DeviceKey(*device)) {
                all.extend(readings_of(*device, &known.latest));
            }
        }
        drop(view);
        all.sort_unstable_by_key(|reading| reading.series);
        all
    }
}

fn within_day(day: i64, span: &Range<i64>) -> Range<i64> {
    let start = day.saturating_mul(DAY_MS);
    let end = day.saturating_add(1).saturating_mul(DAY_MS);
    start.max(span.start)..end.min(span.end)
}
