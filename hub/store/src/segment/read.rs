//! Reads a segment: a device's rows by the page index, or a whole slice.

use super::column::{Column32, Column64, Positioned, Values, read_rows};
use super::file::Segment;
use super::rows::{RowCell, RowKey, Rows};
use super::write::{FIXED, SLICES_KEY, parquet_error};
use crate::cell::{Cell, Column, Part};
use crate::error::{Result, StoreError};
use parquet::data_type::{DataType, DoubleType, Int32Type, Int64Type};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Memory that opened segments' indexes may take together.
const META_BYTES_MAX: usize = 24 << 20;

/// Rows of each column that are decoded at a time when a whole slice is read.
const BATCH_ROWS: usize = 1 << 14;

/// What the slices of a segment span.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) observed: (i64, i64),
    pub(crate) received: (i64, i64),
    pub(crate) rows: usize,
}

/// A footer, as far as reading needs it.
#[derive(Debug)]
pub(crate) struct Meta {
    parquet: ParquetMetaData,
    /// The columns of metrics with their place in the file.
    columns: Vec<(usize, Column)>,
    pub(crate) slices: Vec<Slice>,
}

/// Footers of segments that were read lately.
#[derive(Debug, Default)]
pub(crate) struct MetaCache {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    metas: HashMap<u64, (Arc<Meta>, usize, u64)>,
    bytes: usize,
    uses: u64,
}

impl MetaCache {
    fn get(&self, id: u64) -> Option<Arc<Meta>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.uses += 1;
        let uses = held.uses;
        let (meta, _, used) = held.metas.get_mut(&id)?;
        *used = uses;
        Some(Arc::clone(meta))
    }

    fn put(&self, id: u64, meta: &Arc<Meta>) {
        let bytes = meta.parquet.memory_size();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = &mut *held;
        while held.bytes + bytes > META_BYTES_MAX {
            let oldest = held.metas.iter().min_by_key(|(_, (_, _, used))| *used);
            let Some((&oldest, _)) = oldest else { break };
            if let Some((_, freed, _)) = held.metas.remove(&oldest) {
                held.bytes -= freed;
            }
        }
        if held
            .metas
            .insert(id, (Arc::clone(meta), bytes, held.uses))
            .is_none()
        {
            held.bytes += bytes;
        }
    }

    /// Opens a segment for reading; `metrics` are the names by key.
    pub(crate) fn open(&self, segment: &Segment, metrics: &[String]) -> Result<SegmentReader> {
        let source = Positioned::open(segment)?;
        let meta = match self.get(segment.row.id) {
            Some(meta) => meta,
            None => {
                let meta = Arc::new(read_meta(&source, metrics)?);
                self.put(segment.row.id, &meta);
                meta
            }
        };
        Ok(SegmentReader {
            source: Arc::new(source),
            meta,
        })
    }
}

pub(crate) fn read_parquet_meta(source: &Positioned) -> Result<ParquetMetaData> {
    ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .parse_and_finish(source)
        .map_err(parquet_error("reading a segment's footer"))
}

fn read_meta(source: &Positioned, metrics: &[String]) -> Result<Meta> {
    let parquet = read_parquet_meta(source)?;
    let keys: HashMap<&str, u16> = metrics.iter().map(String::as_str).zip(0u16..).collect();
    let mut columns = Vec::new();
    let schema = parquet.file_metadata().schema_descr();
    for (place, descr) in schema.columns().iter().enumerate().skip(FIXED.len()) {
        let name = descr.name();
        let (metric, part) = match name.split_once('.') {
            None => (name, Some(Part::Number)),
            Some((metric, suffix)) => {
                let of = |part: &Part| part.suffix().strip_prefix('.') == Some(suffix);
                (metric, Part::ALL.into_iter().find(of))
            }
        };
        let (Some(&metric), Some(part)) = (keys.get(metric), part) else {
            return Err(StoreError::Damaged(format!("unknown column `{name}`")));
        };
        columns.push((place, Column { metric, part }));
    }
    let slices = read_slices(&parquet)?;
    Ok(Meta {
        parquet,
        columns,
        slices,
    })
}

fn read_slices(parquet: &ParquetMetaData) -> Result<Vec<Slice>> {
    let damaged = || StoreError::Damaged("a segment's slices do not match its footer".to_owned());
    let text = parquet
        .file_metadata()
        .key_value_metadata()
        .and_then(|all| all.iter().find(|entry| entry.key == SLICES_KEY))
        .and_then(|entry| entry.value.as_deref())
        .ok_or_else(damaged)?;
    let mut slices = Vec::new();
    for (slice, group) in text.split(';').zip(parquet.row_groups()) {
        let bounds: Vec<i64> = slice.split(',').filter_map(|n| n.parse().ok()).collect();
        let &[t0, t1, r0, r1] = bounds.as_slice() else {
            return Err(damaged());
        };
        slices.push(Slice {
            observed: (t0, t1),
            received: (r0, r1),
            rows: usize::try_from(group.num_rows()).map_err(|_| damaged())?,
        });
    }
    if slices.len() != parquet.num_row_groups() {
        return Err(damaged());
    }
    Ok(slices)
}

/// A segment that is open for reading.
#[derive(Clone, Debug)]
pub(crate) struct SegmentReader {
    source: Arc<Positioned>,
    pub(crate) meta: Arc<Meta>,
}

impl SegmentReader {
    /// Gives the columns that the file has.
    pub(crate) fn columns(&self) -> impl Iterator<Item = Column> + '_ {
        self.meta.columns.iter().map(|(_, column)| *column)
    }

    /// Collects the cells of a device with device times in the range, of one metric or of all.
    /// Neither their received times nor their drivers are read.
    pub(crate) fn device_cells(
        &self,
        device: u32,
        observed: Range<i64>,
        metric: Option<u16>,
        out: &mut Vec<Cell>,
    ) -> Result<()> {
        for (group, slice) in self.meta.slices.iter().enumerate() {
            if slice.observed.1 < observed.start || slice.observed.0 >= observed.end {
                continue;
            }
            if let Some(pages) = self.pages_of(group, slice.rows, device) {
                self.page_cells(group, pages, (device, &observed, metric), out)?;
            }
        }
        Ok(())
    }

    /// Finds the rows of the pages in which a device can be; they are next to one another.
    fn pages_of(&self, group: usize, rows: usize, device: u32) -> Option<Range<usize>> {
        let device = device.cast_signed();
        let index = self.meta.parquet.page_index_for_row_group(group);
        let (Some(ColumnIndexMetaData::INT32(bounds)), Some(pages)) =
            (index.column_index(0), index.page_locations(0))
        else {
            return Some(0..rows);
        };
        let row_at = |page: Option<&parquet::file::page_index::offset_index::PageLocation>| {
            page.map_or(rows, |page| {
                usize::try_from(page.first_row_index).unwrap_or(rows)
            })
        };
        let maxima = bounds.max_values();
        let minima = bounds.min_values();
        let first = maxima.partition_point(|max| *max < device);
        let end = minima.partition_point(|min| *min <= device);
        (first < end).then(|| row_at(pages.get(first))..row_at(pages.get(end)))
    }

    fn page_cells(
        &self,
        group: usize,
        rows: Range<usize>,
        (device, observed, metric): (u32, &Range<i64>, Option<u16>),
        out: &mut Vec<Cell>,
    ) -> Result<()> {
        let devices = self.required::<Int32Type>(group, 0, rows.clone())?;
        let wanted = device.cast_signed();
        let before = devices.partition_point(|found| *found < wanted);
        let until = devices.partition_point(|found| *found <= wanted);
        let own = rows.start + before..rows.start + until;
        if own.is_empty() {
            return Ok(());
        }
        let times = self.required::<Int64Type>(group, 1, own.clone())?;
        let before = times.partition_point(|at| *at < observed.start);
        let until = times.partition_point(|at| *at < observed.end);
        let times = times.get(before..until).unwrap_or_default();
        let own = own.start + before..own.start + until;
        if own.is_empty() {
            return Ok(());
        }
        let qualities = self.required::<Int32Type>(group, 3, own.clone())?;
        for &(place, column) in &self.meta.columns {
            if metric.is_some_and(|metric| metric != column.metric) {
                continue;
            }
            let (levels, values) = self.optional(group, place, own.clone())?;
            let mut values = values.into_iter();
            let shared = times.iter().zip(&qualities);
            for (level, (at, quality)) in levels.iter().zip(shared) {
                if *level == 0 {
                    continue;
                }
                let Some(value) = values.next() else { break };
                out.push(Cell {
                    observed: *at,
                    received: *at,
                    value,
                    metric: column.metric,
                    driver: 0,
                    quality: narrow(*quality),
                    part: column.part,
                    late: false,
                });
            }
        }
        Ok(())
    }

    /// Adds all rows of a slice, a batch at a time, so that little more than the rows is in memory.
    pub(crate) fn read_slice(&self, group: usize, rows: &mut Rows) -> Result<()> {
        let damaged = || StoreError::Damaged("no such slice".to_owned());
        let count = self.meta.slices.get(group).ok_or_else(damaged)?.rows;
        let parquet = &self.meta.parquet;
        let mut devices = Column32::open(&self.source, parquet, (group, 0))?;
        let mut times = Column64::open(&self.source, parquet, (group, 1))?;
        let mut deltas = Column64::open(&self.source, parquet, (group, 2))?;
        let mut qualities = Column32::open(&self.source, parquet, (group, 3))?;
        let mut drivers = Column32::open(&self.source, parquet, (group, 4))?;
        let mut columns = Vec::with_capacity(self.meta.columns.len());
        for &(place, column) in &self.meta.columns {
            columns.push((column, Values::open(&self.source, parquet, (group, place))?));
        }
        let metadata = parquet.row_group(group);
        let present = |place: usize| metadata.column(place).statistics()?.null_count_opt();
        let nulls: u64 = self
            .meta
            .columns
            .iter()
            .filter_map(|(place, _)| present(*place))
            .sum();
        let cells = (count * columns.len()).saturating_sub(usize::try_from(nulls).unwrap_or(0));
        rows.reserve(count, cells);
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH_ROWS);
            left -= batch;
            let shared = (devices.next(batch)?.iter()).zip(times.next(batch)?);
            let shared = shared.zip(deltas.next(batch)?).zip(qualities.next(batch)?);
            let shared = shared.zip(drivers.next(batch)?);
            let mut filled = Vec::with_capacity(columns.len());
            for (column, values) in &mut columns {
                let (levels, values) = values.next(batch)?;
                // Most columns belong to one kind of device and are empty elsewhere.
                if !values.is_empty() {
                    filled.push((*column, levels.iter(), values.iter()));
                }
            }
            for ((((device, at), delta), quality), driver) in shared {
                let key = RowKey {
                    device: device.cast_unsigned(),
                    observed: *at,
                    received: at.wrapping_add(*delta),
                    driver: narrow(*driver),
                    quality: narrow(*quality),
                };
                let cells = filled.iter_mut().filter_map(|(column, levels, values)| {
                    let present = *levels.next()? != 0;
                    let value = if present {
                        *values.next()?
                    } else {
                        return None;
                    };
                    Some(RowCell {
                        column: *column,
                        value,
                    })
                });
                rows.push(key, cells);
            }
        }
        Ok(())
    }

    fn required<T: DataType>(
        &self,
        group: usize,
        place: usize,
        rows: Range<usize>,
    ) -> Result<Vec<T::T>> {
        read_rows::<T>(&self.source, &self.meta.parquet, (group, place), rows, None)
    }

    fn optional(
        &self,
        group: usize,
        place: usize,
        rows: Range<usize>,
    ) -> Result<(Vec<i16>, Vec<f64>)> {
        let mut levels = Vec::with_capacity(rows.len());
        let at = (group, place);
        let parquet = &self.meta.parquet;
        let values = read_rows::<DoubleType>(&self.source, parquet, at, rows, Some(&mut levels))?;
        Ok((levels, values))
    }
}

fn narrow<T: TryFrom<i32> + Default>(value: i32) -> T {
    T::try_from(value).unwrap_or_default()
}
