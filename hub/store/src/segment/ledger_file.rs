//! Sealed counts: one row for each minute, driver and device that had any.

use super::column::{Positioned, read_rows};
use super::file::Segment;
use super::read::read_parquet_meta;
use super::write::{ParquetFile, Written, base_properties, delta, field, parquet_error};
use crate::error::{Result, StoreError};
use crate::ledger::{MINUTE_MS, Minute, Tally};
use parquet::basic::{Repetition, Type as PhysicalType};
use parquet::data_type::Int64Type;
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::Type;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

const FIXED: [&str; 7] = [
    "driver",
    "device",
    "minute",
    "received",
    "stored",
    "duplicate",
    "late",
];
const REJECTED: &str = "rejected.";

/// Writes a ledger file group by group.
struct LedgerWriter {
    file: ParquetFile,
    names: Vec<String>,
    rows: u64,
    minutes: (i64, i64),
}

impl LedgerWriter {
    fn create(path: &Path, reasons: &BTreeSet<String>) -> Result<Self> {
        let rejected = reasons.iter().map(|reason| format!("{REJECTED}{reason}"));
        let fixed = FIXED.iter().map(|name| (*name).to_owned());
        let names: Vec<String> = fixed.chain(rejected).collect();
        let mut fields = Vec::with_capacity(names.len());
        let mut properties = base_properties();
        for name in &names {
            fields.push(field(name, PhysicalType::INT64, Repetition::REQUIRED)?);
        }
        for name in FIXED.iter().take(3) {
            properties = delta(properties, name);
        }
        let schema = Type::group_type_builder("ledger")
            .with_fields(fields)
            .build()
            .map_err(parquet_error("describing a ledger"))?;
        Ok(Self {
            file: ParquetFile::create(path, schema, properties.build())?,
            names,
            rows: 0,
            minutes: (i64::MAX, i64::MIN),
        })
    }

    fn group(&mut self, counts: &[(Minute, Tally)]) -> Result<()> {
        let failed = parquet_error("writing a ledger");
        let missing = || StoreError::Damaged("the ledger has too few columns".to_owned());
        let mut group = self.file.row_group()?;
        for name in &self.names {
            let values: Vec<i64> = counts
                .iter()
                .map(|(minute, tally)| column_value(name, minute, tally))
                .collect();
            let mut writer = group.next_column().map_err(&failed)?.ok_or_else(missing)?;
            writer
                .typed::<Int64Type>()
                .write_batch(&values, None, None)
                .map_err(&failed)?;
            writer.close().map_err(&failed)?;
        }
        group.close().map_err(&failed)?;
        self.rows += counts.len() as u64;
        for (minute, _) in counts {
            let (first, last) = self.minutes;
            self.minutes = (first.min(minute.minute), last.max(minute.minute));
        }
        Ok(())
    }

    fn finish(self) -> Result<Written> {
        let (bytes, crc) = self.file.finish(None)?;
        let (first, last) = self.minutes;
        let received = (
            first.saturating_mul(MINUTE_MS),
            last.saturating_mul(MINUTE_MS).saturating_add(MINUTE_MS - 1),
        );
        Ok(Written {
            observed: received,
            received,
            rows: self.rows,
            readings: 0,
            bytes,
            crc,
        })
    }
}

/// Writes counts that are sorted by (driver, device, minute).
pub(crate) fn write_ledger(path: &Path, counts: &[(Minute, Tally)]) -> Result<Written> {
    let reasons = counts
        .iter()
        .flat_map(|(_, tally)| tally.rejected.iter().map(|(reason, _)| reason.to_string()))
        .collect();
    let mut writer = LedgerWriter::create(path, &reasons)?;
    writer.group(counts)?;
    writer.finish()
}

/// Writes the counts of several files to one, group after group: they are added up when read.
pub(crate) fn merge_ledgers(inputs: &[Arc<Segment>], path: &Path) -> Result<Written> {
    let mut opened = Vec::with_capacity(inputs.len());
    for segment in inputs {
        opened.push(LedgerFile::open(segment)?);
    }
    let reasons = opened
        .iter()
        .flat_map(|file| &file.names)
        .filter_map(|name| name.strip_prefix(REJECTED).map(str::to_owned))
        .collect();
    let mut writer = LedgerWriter::create(path, &reasons)?;
    for file in opened {
        for group in 0..file.parquet.num_row_groups() {
            let mut counts = Vec::new();
            file.group(group, &mut |minute, tally| counts.push((minute, tally)))?;
            writer.group(&counts)?;
        }
    }
    writer.finish()
}

fn column_value(name: &str, minute: &Minute, tally: &Tally) -> i64 {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    match name {
        "driver" => minute.driver.into(),
        "device" => minute.device.into(),
        "minute" => minute.minute,
        "received" => tally.received,
        "stored" => count(tally.stored),
        "duplicate" => count(tally.duplicate),
        "late" => count(tally.late),
        _ => {
            let reason = name.strip_prefix(REJECTED).unwrap_or_default();
            let of = tally.rejected.iter().find(|(found, _)| found == reason);
            of.map_or(0, |(_, rejected)| count(*rejected))
        }
    }
}

/// A ledger file that is open for reading.
struct LedgerFile {
    source: Arc<Positioned>,
    parquet: ParquetMetaData,
    names: Vec<String>,
}

impl LedgerFile {
    fn open(segment: &Segment) -> Result<Self> {
        let source = Arc::new(Positioned::open(segment)?);
        let parquet = read_parquet_meta(&source)?;
        let columns = parquet.file_metadata().schema_descr().columns();
        let names = columns.iter().map(|column| column.name().to_owned());
        Ok(Self {
            names: names.collect(),
            source,
            parquet,
        })
    }

    fn group(&self, group: usize, each: &mut dyn FnMut(Minute, Tally)) -> Result<()> {
        let rows = usize::try_from(self.parquet.row_group(group).num_rows()).unwrap_or(0);
        let mut columns = Vec::with_capacity(self.names.len());
        for place in 0..self.names.len() {
            let at = (group, place);
            let values = read_rows::<Int64Type>(&self.source, &self.parquet, at, 0..rows, None)?;
            columns.push(values.into_iter());
        }
        for _ in 0..rows {
            let mut minute = Minute::default();
            let mut tally = Tally::default();
            for (name, values) in self.names.iter().zip(&mut columns) {
                let value = values.next().unwrap_or(0);
                put_value(name, value, &mut minute, &mut tally);
            }
            each(minute, tally);
        }
        Ok(())
    }
}

/// Reads sealed counts and hands each row over.
pub(crate) fn read_ledger(segment: &Segment, each: &mut dyn FnMut(Minute, Tally)) -> Result<()> {
    let file = LedgerFile::open(segment)?;
    for group in 0..file.parquet.num_row_groups() {
        file.group(group, each)?;
    }
    Ok(())
}

fn put_value(name: &str, value: i64, minute: &mut Minute, tally: &mut Tally) {
    let count = u64::try_from(value).unwrap_or(0);
    match name {
        "driver" => minute.driver = u16::try_from(value).unwrap_or(u16::MAX),
        "device" => minute.device = u32::try_from(value).unwrap_or(u32::MAX),
        "minute" => minute.minute = value,
        "received" => tally.received = value,
        "stored" => tally.stored = count,
        "duplicate" => tally.duplicate = count,
        "late" => tally.late = count,
        _ if count > 0 => {
            let reason = name.strip_prefix(REJECTED).unwrap_or_default();
            tally.reject(&reason.to_owned().into(), count);
        }
        _ => {}
    }
}
