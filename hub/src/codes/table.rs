//! Reads a code table: CSV with a header, `#` comments and quoted cells; a mistake is named with its
//! file, line and column.

use std::fmt;

/// What is wrong with a table, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableError {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) column: Option<String>,
    pub(super) reason: String,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if let Some(column) = &self.column {
            write!(f, "column `{column}`: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for TableError {}

/// A table whose columns are known.
#[derive(Debug)]
pub(super) struct Table {
    file: String,
    columns: Vec<String>,
    rows: Vec<(usize, Vec<String>)>,
}

/// One row of a table.
#[derive(Copy, Clone, Debug)]
pub(super) struct Row<'a> {
    table: &'a Table,
    line: usize,
    cells: &'a [String],
}

impl Table {
    /// Reads a table of these columns, of which the first `needed` must be there.
    pub(super) fn read(
        file: &str,
        text: &str,
        known: &[&str],
        needed: usize,
    ) -> Result<Self, TableError> {
        let failed = |line: usize, column: Option<&str>, reason: String| TableError {
            file: file.to_owned(),
            line,
            column: column.map(str::to_owned),
            reason,
        };
        // Spreadsheets like to begin with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text
            .lines()
            .zip(1..)
            .map(|(line, number)| (number, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let Some((header_line, header)) = lines.next() else {
            return Err(failed(1, None, "the table is empty".to_owned()));
        };
        let columns = split(header).map_err(|reason| failed(header_line, None, reason))?;
        for (index, column) in columns.iter().enumerate() {
            let reason = if !known.contains(&column.as_str()) {
                format!("is not known here; known: {}", known.join(", "))
            } else if columns.iter().take(index).any(|before| before == column) {
                "is there twice".to_owned()
            } else {
                continue;
            };
            return Err(failed(header_line, Some(column), reason));
        }
        let lacking = known
            .iter()
            .take(needed)
            .find(|name| !columns.iter().any(|column| column == *name));
        if let Some(name) = lacking {
            return Err(failed(header_line, Some(name), "is missing".to_owned()));
        }
        let mut rows = Vec::new();
        for (number, line) in lines {
            let cells = split(line).map_err(|reason| failed(number, None, reason))?;
            if cells.len() != columns.len() {
                let reason = format!(
                    "{} cells, but the header has {} columns",
                    cells.len(),
                    columns.len()
                );
                return Err(failed(number, None, reason));
            }
            rows.push((number, cells));
        }
        Ok(Self {
            file: file.to_owned(),
            columns,
            rows,
        })
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, cells)| Row {
            table: self,
            line: *line,
            cells,
        })
    }
}

impl<'a> Row<'a> {
    /// Gives a cell, if it is there and not empty.
    pub(super) fn text(&self, column: &str) -> Option<&'a str> {
        let columns = &self.table.columns;
        let index = columns.iter().position(|known| known == column)?;
        let cell = self.cells.get(index)?.as_str();
        (!cell.is_empty()).then_some(cell)
    }

    pub(super) fn required(&self, column: &str) -> Result<&'a str, TableError> {
        self.text(column)
            .ok_or_else(|| self.wrong(column, "is empty".to_owned()))
    }

    /// Reads a cell, if there is one.
    pub(super) fn parse<T>(
        &self,
        column: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, TableError> {
        self.text(column)
            .map(|text| read(text).map_err(|reason| self.wrong(column, reason)))
            .transpose()
    }

    pub(super) fn wrong(&self, column: &str, reason: String) -> TableError {
        TableError {
            file: self.table.file.clone(),
            line: self.line,
            column: Some(column.to_owned()),
            reason,
        }
    }
}

/// Splits a line into cells; a cell in quotes may have commas, and quotes written twice.
fn split(line: &str) -> Result<Vec<String>, String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let Some(cell) = cells.last_mut() else { break };
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.trim().is_empty() => {
                cell.clear();
                quoted = true;
            }
            ',' if !quoted => {
                trim(cell);
                cells.push(String::new());
            }
            other => cell.push(other),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    if let Some(cell) = cells.last_mut() {
        trim(cell);
    }
    Ok(cells)
}

fn trim(cell: &mut String) {
    let trimmed = cell.trim();
    if trimmed.len() != cell.len() {
        *cell = trimmed.to_owned();
    }
}
