//! Everything that was measured in a range, slice by slice: one slice in memory, whatever the range.

use crate::cell::Cell;
use crate::db::sqlite_error;
use crate::error::{Result, StoreError};
use crate::reader::Reader;
use crate::replay::push_readings;
use crate::segment::Rows;
use model::{Device, DeviceKey, Reading, Timestamp};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Readings handed over at once, about.
const CHUNK_READINGS: usize = 8_192;

impl Reader {
    /// Hands over every reading whose device time is in the range (`from` included, `to` not), until
    /// `each` says stop (`false`). Days follow one another; within a day the readings come as they
    /// lie: slices in the order of their beginning, in each by device and time.
    pub fn scan(
        &self,
        (from, to): (Timestamp, Timestamp),
        each: &mut dyn FnMut(&[Reading]) -> Result<bool>,
    ) -> Result<()> {
        let observed = from.millis()..to.millis();
        let mut head = Rows::default();
        // Memory and segments as of one moment: a value is in exactly one of them.
        let segments = {
            let view = self.shared.view();
            let frozen = view.frozen.as_ref().map(|frozen| &frozen.cells);
            for (device, cells) in frozen.into_iter().chain([&view.cells]).flatten() {
                let is_wanted = |cell: &&Cell| observed.contains(&cell.observed);
                let mut wanted: Vec<Cell> = cells.iter().filter(is_wanted).copied().collect();
                head.push_device(*device, &mut wanted);
            }
            Arc::clone(&view.segments)
        };
        let metrics = self.shared.metric_names();
        for segment in &segments.data {
            let (first, last) = segment.row.observed;
            if first >= observed.end || last < observed.start {
                continue;
            }
            let reader = self.shared.metas.open(segment, &metrics)?;
            for (group, slice) in reader.meta.slices.iter().enumerate() {
                let (first, last) = slice.observed;
                if first >= observed.end || last < observed.start {
                    continue;
                }
                let mut rows = Rows::default();
                reader.read_slice(group, &mut rows)?;
                if !hand_over(&rows, &observed, each)? {
                    return Ok(());
                }
            }
        }
        hand_over(&head, &observed, each).map(drop)
    }

    /// Gives every device that ever was as it was last registered, removed ones too.
    pub fn every_device(&self) -> Result<BTreeMap<DeviceKey, Device>> {
        let failed = sqlite_error("reading devices");
        let conn = self.shared.pool.take()?;
        let mut query = conn
            .prepare("SELECT key, json FROM device")
            .map_err(failed)?;
        let mut rows = query.query([]).map_err(failed)?;
        let mut devices = BTreeMap::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let key: u32 = row.get(0).map_err(failed)?;
            let json: String = row.get(1).map_err(failed)?;
            let device = serde_json::from_str(&json)
                .map_err(|error| StoreError::Damaged(format!("device {key}: {error}")))?;
            devices.insert(DeviceKey(key), device);
        }
        Ok(devices)
    }
}

/// Tells whether more is wanted.
fn hand_over(
    rows: &Rows,
    observed: &Range<i64>,
    each: &mut dyn FnMut(&[Reading]) -> Result<bool>,
) -> Result<bool> {
    let mut chunk = Vec::with_capacity(CHUNK_READINGS);
    for row in rows.sorted(|key| observed.contains(&key.observed)) {
        let row = row as usize;
        if let Some(key) = rows.keys.get(row) {
            push_readings(key, rows, row, &mut chunk);
        }
        if chunk.len() >= CHUNK_READINGS {
            if !each(&chunk)? {
                return Ok(false);
            }
            chunk.clear();
        }
    }
    if chunk.is_empty() {
        return Ok(true);
    }
    each(&chunk)
}
