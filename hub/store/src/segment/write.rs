//! Writes a segment file: slices of rows sorted by (device, time), with a check sum over the whole.

use super::rows::{RowCell, RowKey, Rows};
use crate::cell::Column;
use crate::error::{Result, StoreError};
use parquet::basic::{Compression, Encoding, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::data_type::{DoubleType, Int32Type, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows a page: small enough that a day of one series costs few of them.
const PAGE_ROWS: usize = 4_000;
const BATCH_ROWS: usize = 1_000;
const BUFFER_BYTES: usize = 1 << 18;

/// Key of the footer entry with `t0,t1,r0,r1` of each slice.
pub(crate) const SLICES_KEY: &str = "cityhub.slices";

/// Columns before those of the metrics.
pub(crate) const FIXED: [&str; 5] = ["device", "ts", "received", "q", "driver"];

pub(crate) fn parquet_error(what: &str) -> impl Fn(parquet::errors::ParquetError) -> StoreError {
    let what = what.to_owned();
    move |error| match error {
        parquet::errors::ParquetError::External(source) => match source.downcast() {
            Ok(source) => StoreError::Io {
                what: what.clone(),
                source: *source,
            },
            Err(other) => StoreError::Damaged(format!("{what}: {other}")),
        },
        other => StoreError::Damaged(format!("{what}: {other}")),
    }
}

/// What came of writing a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) observed: (i64, i64),
    pub(crate) received: (i64, i64),
    pub(crate) rows: u64,
    pub(crate) readings: u64,
    pub(crate) bytes: u64,
    pub(crate) crc: u32,
}

/// Sums up what passes through.
#[derive(Debug)]
pub(crate) struct Summed<W> {
    to: W,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.crc.update(bytes.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// A Parquet file under its temporary name. It gets its own name when it is whole and on disk.
pub(crate) struct ParquetFile {
    writer: SerializedFileWriter<Summed<BufWriter<File>>>,
    temporary: PathBuf,
    path: PathBuf,
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

pub(crate) fn io_error(what: &'static str, path: &Path) -> impl Fn(std::io::Error) -> StoreError {
    let what = format!("{what} {}", path.display());
    move |source| StoreError::Io {
        what: what.clone(),
        source,
    }
}

impl ParquetFile {
    pub(crate) fn create(path: &Path, schema: Type, properties: WriterProperties) -> Result<Self> {
        let day = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(day).map_err(io_error("making folder", day))?;
        let temporary = path.with_extension("parquet.tmp");
        let file = File::create(&temporary).map_err(io_error("creating", &temporary))?;
        let sink = Summed {
            to: BufWriter::with_capacity(BUFFER_BYTES, file),
            crc: crc32fast::Hasher::new(),
            bytes: 0,
        };
        let writer = SerializedFileWriter::new(sink, Arc::new(schema), Arc::new(properties))
            .map_err(parquet_error("starting a segment"))?;
        Ok(Self {
            writer,
            temporary,
            path: path.to_owned(),
        })
    }

    pub(crate) fn row_group(
        &mut self,
    ) -> Result<SerializedRowGroupWriter<'_, Summed<BufWriter<File>>>> {
        self.writer
            .next_row_group()
            .map_err(parquet_error("starting a slice"))
    }

    /// Ends the file, forces it to disk and gives it its name. Returns its size and check sum.
    pub(crate) fn finish(mut self, metadata: Option<KeyValue>) -> Result<(u64, u32)> {
        if let Some(metadata) = metadata {
            self.writer.append_key_value_metadata(metadata);
        }
        let sink = self
            .writer
            .into_inner()
            .map_err(parquet_error("ending a segment"))?;
        let failed = io_error("writing", &self.temporary);
        let file = sink
            .to
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(&failed)?;
        std::fs::rename(&self.temporary, &self.path).map_err(&failed)?;
        let mut folder = self.path.parent();
        // The folder of the day and the one of all segments may be new, so that those above them
        // are forced to disk too.
        for _ in 0..3 {
            if let Some(path) = folder {
                sync_folder(path)?;
                folder = path.parent();
            }
        }
        Ok((sink.bytes, sink.crc.finalize()))
    }
}

pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error("forcing to disk", path))
}

pub(crate) fn base_properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(
            ZstdLevel::try_new(1).expect("1 is a level of zstd"),
        ))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(BATCH_ROWS)
        .set_max_row_group_row_count(None)
        .set_created_by("cityhub store 1".to_owned())
        .set_statistics_enabled(EnabledStatistics::Chunk)
}

pub(crate) fn delta(builder: WriterPropertiesBuilder, column: &str) -> WriterPropertiesBuilder {
    builder
        .set_column_dictionary_enabled(ColumnPath::from(column), false)
        .set_column_encoding(ColumnPath::from(column), Encoding::DELTA_BINARY_PACKED)
}

pub(crate) fn field(
    name: &str,
    physical: PhysicalType,
    repetition: Repetition,
) -> Result<Arc<Type>> {
    Type::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .build()
        .map(Arc::new)
        .map_err(parquet_error("describing a column"))
}

/// Writes a data segment slice by slice.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    file: ParquetFile,
    columns: Vec<Column>,
    written: Written,
    slices: Vec<String>,
}

impl SegmentWriter {
    /// Starts a file with these columns; `metrics` are the names by key.
    pub(crate) fn create(path: &Path, columns: Vec<Column>, metrics: &[String]) -> Result<Self> {
        let fixed = [
            PhysicalType::INT32,
            PhysicalType::INT64,
            PhysicalType::INT64,
            PhysicalType::INT32,
            PhysicalType::INT32,
        ];
        let mut fields = Vec::with_capacity(FIXED.len() + columns.len());
        for (name, physical) in FIXED.into_iter().zip(fixed) {
            fields.push(field(name, physical, Repetition::REQUIRED)?);
        }
        for column in &columns {
            let metric = metrics.get(usize::from(column.metric)).ok_or_else(|| {
                StoreError::Invalid(format!("metric {} has no name", column.metric))
            })?;
            let name = format!("{metric}{}", column.part.suffix());
            fields.push(field(&name, PhysicalType::DOUBLE, Repetition::OPTIONAL)?);
        }
        let schema = Type::group_type_builder("readings")
            .with_fields(fields)
            .build()
            .map_err(parquet_error("describing a segment"))?;
        let mut properties = base_properties()
            .set_column_statistics_enabled(ColumnPath::from("device"), EnabledStatistics::Page);
        for name in ["device", "ts"] {
            properties = delta(properties, name);
        }
        let file = ParquetFile::create(path, schema, properties.build())?;
        let written = Written {
            observed: (i64::MAX, i64::MIN),
            received: (i64::MAX, i64::MIN),
            ..Written::default()
        };
        Ok(Self {
            file,
            columns,
            written,
            slices: Vec::new(),
        })
    }

    /// Writes one slice of the rows that `wanted` picks; they are put in order here.
    pub(crate) fn slice(&mut self, rows: &Rows, wanted: impl Fn(&RowKey) -> bool) -> Result<()> {
        let order = rows.sorted(wanted);
        if order.is_empty() {
            return Ok(());
        }
        let keys: Vec<RowKey> = order
            .iter()
            .filter_map(|row| rows.keys.get(*row as usize).copied())
            .collect();
        let span = |field: fn(&RowKey) -> i64| {
            let values = keys.iter().map(field);
            (values.clone().min().unwrap_or(0), values.max().unwrap_or(0))
        };
        let observed = span(|key| key.observed);
        let received = span(|key| key.received);
        self.slices.push(format!(
            "{},{},{},{}",
            observed.0, observed.1, received.0, received.1
        ));
        let widen = |a: (i64, i64), b: (i64, i64)| (a.0.min(b.0), a.1.max(b.1));
        self.written.observed = widen(self.written.observed, observed);
        self.written.received = widen(self.written.received, received);
        self.written.rows += keys.len() as u64;
        self.written.readings += rows.readings(&order);

        let mut group = self.file.row_group()?;
        write_fixed(&mut group, &keys)?;
        for column in &self.columns {
            write_column(&mut group, rows, &order, *column)?;
        }
        group.close().map_err(parquet_error("ending a slice"))?;
        Ok(())
    }

    /// Ends the file and forces it to disk.
    pub(crate) fn finish(mut self) -> Result<Written> {
        let metadata = KeyValue::new(SLICES_KEY.to_owned(), self.slices.join(";"));
        let (bytes, crc) = self.file.finish(Some(metadata))?;
        self.written.bytes = bytes;
        self.written.crc = crc;
        Ok(self.written)
    }
}

type Group<'a> = SerializedRowGroupWriter<'a, Summed<BufWriter<File>>>;

fn write_fixed(group: &mut Group<'_>, keys: &[RowKey]) -> Result<()> {
    write_int32(group, keys, |key| key.device.cast_signed())?;
    write_int64(group, keys, |key| key.observed)?;
    // As a delta, which has few distinct values; the sum wraps back to the exact instant.
    write_int64(group, keys, |key| key.received.wrapping_sub(key.observed))?;
    write_int32(group, keys, |key| i32::from(key.quality))?;
    write_int32(group, keys, |key| i32::from(key.driver))
}

fn write_int32(group: &mut Group<'_>, keys: &[RowKey], of: fn(&RowKey) -> i32) -> Result<()> {
    let failed = parquet_error("writing a column");
    let missing = || StoreError::Damaged("the schema has too few columns".to_owned());
    let mut writer = group.next_column().map_err(&failed)?.ok_or_else(missing)?;
    let mut batch = Vec::with_capacity(BATCH_ROWS);
    for keys in keys.chunks(BATCH_ROWS) {
        batch.clear();
        batch.extend(keys.iter().map(of));
        writer
            .typed::<Int32Type>()
            .write_batch(&batch, None, None)
            .map_err(&failed)?;
    }
    writer.close().map_err(&failed)
}

fn write_int64(group: &mut Group<'_>, keys: &[RowKey], of: fn(&RowKey) -> i64) -> Result<()> {
    let failed = parquet_error("writing a column");
    let missing = || StoreError::Damaged("the schema has too few columns".to_owned());
    let mut writer = group.next_column().map_err(&failed)?.ok_or_else(missing)?;
    let mut batch = Vec::with_capacity(BATCH_ROWS);
    for keys in keys.chunks(BATCH_ROWS) {
        batch.clear();
        batch.extend(keys.iter().map(of));
        writer
            .typed::<Int64Type>()
            .write_batch(&batch, None, None)
            .map_err(&failed)?;
    }
    writer.close().map_err(&failed)
}

fn write_column(group: &mut Group<'_>, rows: &Rows, order: &[u32], column: Column) -> Result<()> {
    let failed = parquet_error("writing a column");
    let missing = || StoreError::Damaged("the schema has too few columns".to_owned());
    let mut writer = group.next_column().map_err(&failed)?.ok_or_else(missing)?;
    let mut levels = Vec::with_capacity(BATCH_ROWS);
    let mut values = Vec::with_capacity(BATCH_ROWS);
    for batch in order.chunks(BATCH_ROWS) {
        levels.clear();
        values.clear();
        for row in batch {
            let of = |cell: &&RowCell| cell.column == column;
            let found = rows.cells(*row as usize).iter().find(of);
            levels.push(i16::from(found.is_some()));
            values.extend(found.map(|cell| cell.value));
        }
        writer
            .typed::<DoubleType>()
            .write_batch(&values, Some(&levels), None)
            .map_err(&failed)?;
    }
    writer.close().map_err(&failed)
}
