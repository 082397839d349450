//! Lists of devices as people send them: JSON or CSV, read whole, with every mistake named.

use self::draft::Draft;
use model::{Catalogue, Device, DeviceId};
use sdk::Devices;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;

mod csv_rows;
mod draft;
#[cfg(test)]
mod tests;

/// Rows of one list; a command that holds them all must fit the journal's log row.
pub const ROSTER_ROWS_MAX: usize = 10_000;

/// A secret shorter than this can be guessed; it is taken, with a warning.
const SECRET_BYTES_SAFE: usize = 8;

/// Gateways behind gateways; a longer chain is a mistake.
const PARENTS_MAX: usize = 16;

/// One device of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct RosterRow {
    /// Line of the CSV file, counted from 1; none for JSON.
    pub line: Option<u64>,
    /// Place in the list, counted from 1.
    pub row: usize,
    pub device: Device,
    /// `None` keeps the secret that the device has.
    pub secret: Option<String>,
}

/// What is wrong, or doubtful, with one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowNote {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    pub row: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    pub reason: String,
}

/// A list that was read; it may be used only when `errors` is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roster {
    pub rows: Vec<RosterRow>,
    pub errors: Vec<RowNote>,
    pub warnings: Vec<RowNote>,
}

impl Roster {
    /// Reads a JSON array of devices. `Err` when it is no such thing at all.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let rows: Vec<Value> = serde_json::from_slice(bytes)
            .map_err(|error| format!("a JSON array of devices is expected: {error}"))?;
        limit(rows.len())?;
        let mut roster = Self::default();
        for (index, value) in rows.into_iter().enumerate() {
            match value {
                Value::Object(fields) => roster.take(Draft::new(None, index + 1, fields)),
                _ => roster.errors.push(RowNote {
                    line: None,
                    row: index + 1,
                    id: None,
                    field: None,
                    reason: "a row must be an object".to_owned(),
                }),
            }
        }
        Ok(roster)
    }

    /// Reads CSV with a header. `Err` when the file as a whole cannot be read.
    pub fn from_csv(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = bytes
                .iter()
                .take(error.valid_up_to())
                .filter(|byte| **byte == b'\n')
                .count();
            format!("line {}: the file is not UTF-8", line + 1)
        })?;
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .comment(Some(b'#'))
            .from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| error.to_string())?.clone();
        let columns = csv_rows::columns(&header)?;
        let mut lines = csv_rows::Lines::new(text);
        let mut roster = Self::default();
        for (index, record) in reader.records().enumerate() {
            limit(index + 1)?;
            let record = record.map_err(|error| error.to_string())?;
            let line = record.position().map(|position| lines.of(position.byte()));
            roster.take(csv_rows::draft(&columns, &record, line, index + 1));
        }
        Ok(roster)
    }

    /// Checks what one row alone cannot tell: the catalogue, the register, the other rows.
    pub fn check(&mut self, catalogue: &Catalogue, devices: &Devices) {
        let mut first: HashMap<&str, &RosterRow> = HashMap::new();
        let mut found = Vec::new();
        // A row that could not be read may be the parent that another row names.
        let whole = self.errors.is_empty();
        for row in &self.rows {
            if let Some(before) = first.insert(row.device.id.as_str(), row) {
                let reason = format!(
                    "`{}` is given twice: also {}",
                    row.device.id,
                    before.place()
                );
                found.push(row.note(Some("id"), reason));
            }
        }
        let mut identities: HashMap<(&str, &str), &RosterRow> = HashMap::new();
        for row in &self.rows {
            let device = &row.device;
            if !catalogue.has_kind(&device.kind) {
                let kinds: Vec<&str> = catalogue.kinds().collect();
                let reason = format!(
                    "unknown kind `{}`; known: {}",
                    device.kind,
                    kinds.join(", ")
                );
                found.push(row.note(Some("kind"), reason));
            }
            let profiles = devices.profiles();
            if let Some(profile) = &device.profile
                && !profiles.has(profile)
            {
                let known: Vec<&str> = profiles.names().collect();
                let reason = format!("unknown profile `{profile}`; known: {}", known.join(", "));
                found.push(row.note(Some("profile"), reason));
            }
            if whole && let Err(reason) = check_parent(device, &first, devices) {
                found.push(row.note(Some("parent"), reason));
            }
            for (protocol, name) in &device.identities {
                let field = format!("identities.{protocol}");
                let other = devices
                    .find_identity(protocol, name)
                    .filter(|entry| entry.device.id != device.id)
                    // A row of this list may be about to give the identity up.
                    .filter(|entry| !first.contains_key(entry.device.id.as_str()));
                if let Some(other) = other {
                    let reason = format!("`{name}` belongs to device `{}`", other.device.id);
                    found.push(row.note(Some(&field), reason));
                } else if let Some(before) = identities.insert((protocol, name), row) {
                    let reason = format!("`{name}` is given twice: also {}", before.place());
                    found.push(row.note(Some(&field), reason));
                }
            }
        }
        self.errors.extend(found);
        self.errors.sort_by_key(|note| note.row);
    }

    fn take(&mut self, mut draft: Draft) {
        let id = draft
            .fields
            .get("id")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let secret = draft.secret();
        let device = draft.device();
        let (line, row) = (draft.line, draft.row);
        let note = |field: Option<&str>, reason: String| RowNote {
            line,
            row,
            id: id.clone(),
            field: field.map(str::to_owned),
            reason,
        };
        let (Some(device), true) = (device, draft.errors.is_empty()) else {
            let errors = draft.errors.into_iter();
            self.errors
                .extend(errors.map(|(field, reason)| note(field.as_deref(), reason)));
            return;
        };
        if secret
            .as_ref()
            .is_some_and(|secret| secret.len() < SECRET_BYTES_SAFE)
        {
            let reason = format!("shorter than {SECRET_BYTES_SAFE} bytes; it can be guessed");
            self.warnings.push(note(Some("secret"), reason));
        }
        self.rows.push(RosterRow {
            line,
            row,
            device,
            secret,
        });
    }
}

impl RosterRow {
    fn place(&self) -> String {
        match self.line {
            Some(line) => format!("line {line}"),
            None => format!("row {}", self.row),
        }
    }

    fn note(&self, field: Option<&str>, reason: String) -> RowNote {
        RowNote {
            line: self.line,
            row: self.row,
            id: Some(self.device.id.to_string()),
            field: field.map(str::to_owned),
            reason,
        }
    }
}

impl std::fmt::Display for RowNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}")?,
            None => write!(f, "row {}", self.row)?,
        }
        if let Some(id) = &self.id {
            write!(f, ", device `{id}`")?;
        }
        if let Some(field) = &self.field {
            write!(f, ", `{field}`")?;
        }
        write!(f, ": {}", self.reason)
    }
}

fn limit(rows: usize) -> Result<(), String> {
    if rows > ROSTER_ROWS_MAX {
        return Err(format!(
            "a list may have {ROSTER_ROWS_MAX} rows; send it in parts"
        ));
    }
    Ok(())
}

/// Follows the parents, as they would be after the import, up to the one without.
fn check_parent(
    device: &Device,
    rows: &HashMap<&str, &RosterRow>,
    devices: &Devices,
) -> Result<(), String> {
    let parent_of = |id: &DeviceId| -> Option<Option<DeviceId>> {
        match rows.get(id.as_str()) {
            Some(row) => Some(row.device.parent.clone()),
            None => devices
                .find(id.as_str())
                .map(|entry| entry.device.parent.clone()),
        }
    };
    let mut above = device.parent.clone();
    for _ in 0..PARENTS_MAX {
        let Some(parent) = above else { return Ok(()) };
        if parent == device.id && device.parent.as_ref() == Some(&device.id) {
            return Err("a device cannot be its own parent".to_owned());
        }
        if parent == device.id {
            return Err(format!(
                "`{}` would be above itself: the parents form a circle",
                device.id
            ));
        }
        let Some(next) = parent_of(&parent) else {
            return Err(format!(
                "device `{parent}` is neither registered nor in this list"
            ));
        };
        above = next;
    }
    Err(format!("more than {PARENTS_MAX} parents above each other"))
}
