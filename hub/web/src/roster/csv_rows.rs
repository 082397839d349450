//! The rows of a CSV file, in the shape of JSON rows.

use super::draft::{Draft, FIELDS};
use serde_json::{Map, Value};
use std::str::FromStr;

/// Finds the lines at which records begin. The parser's own count is one behind after `\r\n`, and
/// takes a comment above a record for its beginning.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    at_byte: u64,
    line: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text.as_bytes(),
            at_byte: 0,
            line: 1,
        }
    }

    /// Gives the line of the record that begins at or after this byte; bytes must not go back.
    pub(super) fn of(&mut self, byte: u64) -> u64 {
        while self.at_byte < byte && self.step() {}
        loop {
            match self.rest.first() {
                Some(b'\r' | b'\n') => {
                    self.step();
                }
                Some(b'#') => {
                    while self.rest.first().is_some_and(|b| *b != b'\n') && self.step() {}
                }
                _ => return self.line,
            }
        }
    }

    fn step(&mut self) -> bool {
        let Some((first, rest)) = self.rest.split_first() else {
            return false;
        };
        self.rest = rest;
        self.at_byte += 1;
        self.line += u64::from(*first == b'\n');
        true
    }
}

/// Where a column's value goes: a field, or one entry of a table.
pub(super) struct Column {
    field: String,
    entry: Option<String>,
}

pub(super) fn columns(header: &csv::StringRecord) -> Result<Vec<Column>, String> {
    let mut columns: Vec<Column> = Vec::new();
    for name in header {
        let (field, entry) = match name.split_once('.') {
            Some((table @ ("tags" | "identities"), entry)) if !entry.is_empty() => {
                (table, Some(entry.to_owned()))
            }
            Some(("location", part)) => (part, None),
            _ => (name, None),
        };
        let known = entry.is_some()
            || matches!(
                field,
                "id" | "kind"
                    | "name"
                    | "site"
                    | "lon"
                    | "lat"
                    | "datum"
                    | "parent"
                    | "cadence_s"
                    | "secret"
                    | "component_code"
                    | "profile"
                    | "enabled"
            );
        if !known {
            return Err(format!("line 1: unknown column `{name}`; known: {FIELDS}"));
        }
        let same = |column: &Column| column.field == field && column.entry == entry;
        if columns.iter().any(same) {
            return Err(format!("line 1: column `{name}` is given twice"));
        }
        columns.push(Column {
            field: field.to_owned(),
            entry,
        });
    }
    for needed in ["id", "kind"] {
        if !columns.iter().any(|column| column.field == needed) {
            return Err(format!("line 1: column `{needed}` is missing"));
        }
    }
    Ok(columns)
}

/// Brings a CSV row into the shape of a JSON row; an empty cell says nothing.
pub(super) fn draft(
    columns: &[Column],
    record: &csv::StringRecord,
    line: Option<u64>,
    row: usize,
) -> Draft {
    let mut draft = Draft::new(line, row, Map::new());
    let mut location = Map::new();
    for (column, text) in columns.iter().zip(record) {
        if text.is_empty() {
            continue;
        }
        let field = column.field.as_str();
        if let Some(entry) = &column.entry {
            let table = draft
                .fields
                .entry(field)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(table) = table {
                table.insert(entry.clone(), text.into());
            }
            continue;
        }
        let parsed = match field {
            "lon" | "lat" => parse::<f64>(text, "a number"),
            "cadence_s" => parse::<u32>(text, "a whole number of seconds"),
            "enabled" => match text {
                "true" | "1" => Ok(Value::Bool(true)),
                "false" | "0" => Ok(Value::Bool(false)),
                _ => Err(format!("`{text}` is neither `true` nor `false`")),
            },
            _ => Ok(Value::from(text)),
        };
        match parsed {
            Ok(value) if matches!(field, "lon" | "lat" | "datum") => {
                location.insert(field.to_owned(), value);
            }
            Ok(value) => {
                draft.fields.insert(field.to_owned(), value);
            }
            Err(reason) => draft.errors.push((Some(field.to_owned()), reason)),
        }
    }
    let placed = location.contains_key("lon") || location.contains_key("lat");
    if placed && draft.errors.is_empty() {
        draft.fields.insert("location".to_owned(), location.into());
    }
    draft
}

fn parse<T: FromStr + Into<Value>>(text: &str, what: &str) -> Result<Value, String> {
    text.parse::<T>()
        .map(Into::into)
        .map_err(|_| format!("`{text}` is not {what}"))
}
