//! Reads the columns of a Parquet file at positions, batch by batch or some rows alone.

use super::file::Segment;
use super::write::parquet_error;
use crate::error::{Result, StoreError};
use bytes::Bytes;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{DataType, DoubleType, Int32Type, Int64Type};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Reads at positions, so that concurrent readers of one file do not share an offset.
#[derive(Clone, Debug)]
pub(crate) struct Positioned {
    file: Arc<File>,
    len: u64,
}

#[derive(Debug)]
pub(crate) struct At {
    file: Arc<File>,
    at: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Length for Positioned {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Positioned {
    type T = BufReader<At>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(At {
            file: Arc::clone(&self.file),
            at: start,
        }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        // A damaged footer could ask for any length.
        if start.saturating_add(length as u64) > self.len {
            return Err(parquet::errors::ParquetError::EOF(format!(
                "{length} bytes at {start} of a file of {}",
                self.len
            )));
        }
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, start)?;
        Ok(buffer.into())
    }
}

impl Positioned {
    pub(crate) fn open(segment: &Segment) -> Result<Self> {
        Ok(Self {
            file: segment.file()?,
            len: segment.row.bytes,
        })
    }
}

fn open_column<T: DataType>(
    source: &Arc<Positioned>,
    parquet: &ParquetMetaData,
    (group, place): (usize, usize),
) -> Result<ColumnReaderImpl<T>> {
    let metadata = parquet.row_group(group);
    let total = usize::try_from(metadata.num_rows()).unwrap_or(0);
    let pages = parquet
        .page_index_for_row_group(group)
        .page_locations(place)
        .cloned();
    let pages = SerializedPageReader::new(Arc::clone(source), metadata.column(place), total, pages)
        .map_err(parquet_error("reading a segment"))?;
    let descr = metadata.schema_descr().column(place);
    Ok(ColumnReaderImpl::new(descr, Box::new(pages)))
}

fn fill<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    mut levels: Option<&mut Vec<i16>>,
    values: &mut Vec<T::T>,
) -> Result<()> {
    let mut read = 0;
    while read < rows {
        let (count, _, _) = reader
            .read_records(rows - read, levels.as_deref_mut(), None, values)
            .map_err(parquet_error("reading a segment"))?;
        if count == 0 {
            return Err(StoreError::Damaged(
                "a column ends before its slice".to_owned(),
            ));
        }
        read += count;
    }
    Ok(())
}

/// A column that every row has, read batch by batch.
pub(crate) struct Required<T: DataType> {
    reader: ColumnReaderImpl<T>,
    values: Vec<T::T>,
}

pub(crate) type Column32 = Required<Int32Type>;
pub(crate) type Column64 = Required<Int64Type>;

impl<T: DataType> Required<T> {
    pub(crate) fn open(
        source: &Arc<Positioned>,
        parquet: &ParquetMetaData,
        at: (usize, usize),
    ) -> Result<Self> {
        Ok(Self {
            reader: open_column(source, parquet, at)?,
            values: Vec::new(),
        })
    }

    pub(crate) fn next(&mut self, rows: usize) -> Result<&[T::T]> {
        self.values.clear();
        fill(&mut self.reader, rows, None, &mut self.values)?;
        Ok(&self.values)
    }
}

/// A metric's column, which some rows have, read batch by batch.
pub(crate) struct Values {
    reader: ColumnReaderImpl<DoubleType>,
    levels: Vec<i16>,
    values: Vec<f64>,
}

impl Values {
    pub(crate) fn open(
        source: &Arc<Positioned>,
        parquet: &ParquetMetaData,
        at: (usize, usize),
    ) -> Result<Self> {
        Ok(Self {
            reader: open_column(source, parquet, at)?,
            levels: Vec::new(),
            values: Vec::new(),
        })
    }

    pub(crate) fn next(&mut self, rows: usize) -> Result<(&[i16], &[f64])> {
        self.levels.clear();
        self.values.clear();
        fill(
            &mut self.reader,
            rows,
            Some(&mut self.levels),
            &mut self.values,
        )?;
        Ok((&self.levels, &self.values))
    }
}

/// Reads some rows of one column of one slice, skipping whole pages before them.
pub(crate) fn read_rows<T: DataType>(
    source: &Arc<Positioned>,
    parquet: &ParquetMetaData,
    at: (usize, usize),
    rows: Range<usize>,
    levels: Option<&mut Vec<i16>>,
) -> Result<Vec<T::T>> {
    let mut reader = open_column::<T>(source, parquet, at)?;
    let skipped = reader.skip_records(rows.start);
    if skipped.map_err(parquet_error("reading a segment"))? != rows.start {
        return Err(StoreError::Damaged(
            "a column ends before its slice".to_owned(),
        ));
    }
    let mut values = Vec::with_capacity(if levels.is_some() { 0 } else { rows.len() });
    fill(&mut reader, rows.len(), levels, &mut values)?;
    Ok(values)
}
