//! A table for other programs: Parquet with typed columns, written row group by row group.

use crate::error::Result;
use crate::segment::parquet_error;
use model::Timestamp;
use parquet::basic::{
    Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel,
};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use std::io::Write;
use std::sync::Arc;

/// Rows of a row group: what is in memory at once.
const GROUP_ROWS: usize = 65_536;

/// What a column holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// UTC, in milliseconds.
    Time,
    Whole,
    Number,
    Flag,
    Text,
}

/// One value of a row.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Field<'a> {
    Time(Timestamp),
    Whole(i64),
    Number(f64),
    Flag(bool),
    Text(&'a str),
    Nothing,
}

/// The values of one column that wait to be written, and for each row whether it has one.
#[derive(Debug, Default)]
struct Waiting {
    levels: Vec<i16>,
    wholes: Vec<i64>,
    numbers: Vec<f64>,
    flags: Vec<bool>,
    texts: Vec<ByteArray>,
}

/// A Parquet file that grows.
pub struct Sheet<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<(ColumnKind, Waiting)>,
    rows: usize,
}

impl<W: Write + Send> std::fmt::Debug for Sheet<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sheet").finish_non_exhaustive()
    }
}

impl<W: Write + Send> Sheet<W> {
    pub fn create(to: W, columns: &[(&str, ColumnKind)]) -> Result<Self> {
        let failed = parquet_error("describing a table");
        let mut fields = Vec::new();
        for (name, kind) in columns {
            let described = described(name, *kind);
            fields.push(Arc::new(described.map_err(&failed)?));
        }
        let schema = Type::group_type_builder("cityhub").with_fields(fields);
        let schema = schema.build().map_err(&failed)?;
        let level = ZstdLevel::try_new(3).expect("3 is a level of zstd");
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level));
        let properties = Arc::new(properties.build());
        let writer = SerializedFileWriter::new(to, Arc::new(schema), properties);
        let waiting = columns.iter().map(|(_, kind)| (*kind, Waiting::default()));
        Ok(Self {
            writer: writer.map_err(failed)?,
            columns: waiting.collect(),
            rows: 0,
        })
    }

    /// Adds a row: a field for each column; one of another kind than its column is nothing.
    pub fn push(&mut self, row: &[Field<'_>]) -> Result<()> {
        let fields = row.iter().copied().chain(std::iter::repeat(Field::Nothing));
        for ((kind, waiting), field) in self.columns.iter_mut().zip(fields) {
            waiting.push(*kind, field);
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS {
            self.write_group()?;
        }
        Ok(())
    }

    fn write_group(&mut self) -> Result<()> {
        let failed = parquet_error("writing a table");
        let mut group = self.writer.next_row_group().map_err(&failed)?;
        for (kind, waiting) in &mut self.columns {
            if let Some(mut column) = group.next_column().map_err(&failed)? {
                let written = std::mem::take(waiting).write(*kind, &mut column);
                written.and_then(|_| column.close()).map_err(&failed)?;
            }
        }
        group.close().map_err(failed)?;
        self.rows = 0;
        Ok(())
    }

    /// Ends the file and gives back where it was written.
    pub fn finish(mut self) -> Result<W> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer
            .into_inner()
            .map_err(parquet_error("ending a table"))
    }
}

fn described(name: &str, kind: ColumnKind) -> parquet::errors::Result<Type> {
    let physical = match kind {
        ColumnKind::Time | ColumnKind::Whole => PhysicalType::INT64,
        ColumnKind::Number => PhysicalType::DOUBLE,
        ColumnKind::Flag => PhysicalType::BOOLEAN,
        ColumnKind::Text => PhysicalType::BYTE_ARRAY,
    };
    let logical = match kind {
        ColumnKind::Time => Some(LogicalType::timestamp(true, TimeUnit::MILLIS)),
        ColumnKind::Text => Some(LogicalType::String),
        ColumnKind::Whole | ColumnKind::Number | ColumnKind::Flag => None,
    };
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .with_converted_type(ConvertedType::NONE)
        .build()
}

impl Waiting {
    fn push(&mut self, kind: ColumnKind, field: Field<'_>) {
        let is_there = match (kind, field) {
            (ColumnKind::Time, Field::Time(at)) => {
                self.wholes.push(at.millis());
                true
            }
            (ColumnKind::Whole, Field::Whole(whole)) => {
                self.wholes.push(whole);
                true
            }
            (ColumnKind::Number, Field::Number(number)) => {
                self.numbers.push(number);
                true
            }
            (ColumnKind::Flag, Field::Flag(flag)) => {
                self.flags.push(flag);
                true
            }
            (ColumnKind::Text, Field::Text(text)) => {
                self.texts.push(text.into());
                true
            }
            _ => false,
        };
        self.levels.push(i16::from(is_there));
    }

    fn write(
        self,
        kind: ColumnKind,
        column: &mut SerializedColumnWriter<'_>,
    ) -> parquet::errors::Result<usize> {
        let levels = Some(self.levels.as_slice());
        match kind {
            ColumnKind::Time | ColumnKind::Whole => {
                column
                    .typed::<Int64Type>()
                    .write_batch(&self.wholes, levels, None)
            }
            ColumnKind::Number => {
                column
                    .typed::<DoubleType>()
                    .write_batch(&self.numbers, levels, None)
            }
            ColumnKind::Flag => column
                .typed::<BoolType>()
                .write_batch(&self.flags, levels, None),
            ColumnKind::Text => {
                column
                    .typed::<ByteArrayType>()
                    .write_batch(&self.texts, levels, None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ColumnKind, Field, GROUP_ROWS, Sheet};
    use model::Timestamp;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    #[test]
    fn a_table_is_read_back_with_its_types_and_its_gaps_over_row_groups() {
        let columns = [
            ("time", ColumnKind::Time),
            ("count", ColumnKind::Whole),
            ("value", ColumnKind::Number),
            ("locked", ColumnKind::Flag),
            ("device", ColumnKind::Text),
        ];
        let mut sheet = Sheet::create(Vec::new(), &columns).unwrap();
        let at = Timestamp::from_millis(1_772_323_200_000);
        for _ in 0..GROUP_ROWS {
            sheet
                .push(&[
                    Field::Time(at),
                    Field::Whole(-7),
                    Field::Number(0.1),
                    Field::Flag(true),
                    Field::Text("燃气 \"1\""),
                ])
                .unwrap();
        }
        sheet
            .push(&[Field::Nothing, Field::Text("no number")])
            .unwrap();
        let bytes = bytes::Bytes::from(sheet.finish().unwrap());
        let reader = SerializedFileReader::new(bytes).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
        let rows: Vec<String> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().to_string())
            .collect();
        assert_eq!(rows.len(), GROUP_ROWS + 1);
        assert_eq!(
            rows[0],
            "{time: 2026-03-01 00:00:00.000 +00:00, count: -7, value: 0.1, locked: true, \
             device: \"燃气 \"1\"\"}"
        );
        assert_eq!(
            rows[GROUP_ROWS],
            "{time: null, count: null, value: null, locked: null, device: null}"
        );
    }
}
