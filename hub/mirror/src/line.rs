//! Writes the line protocol of `InfluxDB`: `measurement,tag=value field=1.5,field=2 time`.
//!
//! What the protocol cannot say without doubt is refused rather than bent: a line break would begin another line,
//! servers do not agree on backslashes in tags, and no float is NaN or infinite.

use crate::shape::{DEVICE_TAG, MEASUREMENT};
use model::Timestamp;
use std::fmt::Write as _;
use std::ops::Range;

/// Numbers from here on have an exponent, so that none is hundreds of digits long.
const LONG_FROM: f64 = 1e16;
/// As do those that are smaller than this.
const SHORT_FROM: f64 = 1e-5;

/// Why a line cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("a name is empty")]
    Empty,
    #[error("{0:?} has a line break, another control character or a backslash in it")]
    Unsayable(String),
    #[error("the value of `{0}` is not finite")]
    NotFinite(String),
    #[error("there is no field")]
    NoField,
}

/// Lines that follow one another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    text: String,
    /// Where each line ends, its line break included.
    ends: Vec<usize>,
}

impl Lines {
    /// Adds what one device said of one instant; nothing is added if that fails.
    pub fn push<'a>(
        &mut self,
        device: &str,
        fields: impl IntoIterator<Item = (&'a str, f64)>,
        at: Timestamp,
    ) -> Result<(), LineError> {
        let before = self.text.len();
        let written = self.write(device, fields, at);
        match written {
            Ok(()) => self.ends.push(self.text.len()),
            Err(_) => self.text.truncate(before),
        }
        written
    }

    fn write<'a>(
        &mut self,
        device: &str,
        fields: impl IntoIterator<Item = (&'a str, f64)>,
        at: Timestamp,
    ) -> Result<(), LineError> {
        self.text.push_str(MEASUREMENT);
        self.text.push(',');
        self.text.push_str(DEVICE_TAG);
        self.text.push('=');
        self.name(device)?;
        let mut separator = ' ';
        for (field, number) in fields {
            if !number.is_finite() {
                return Err(LineError::NotFinite(field.to_owned()));
            }
            self.text.push(separator);
            self.name(field)?;
            self.text.push('=');
            self.number(number);
            separator = ',';
        }
        if separator == ' ' {
            return Err(LineError::NoField);
        }
        writeln!(self.text, " {}", at.millis()).expect("a string takes any text");
        Ok(())
    }

    /// Adds a tag's value or a field's name: commas, equals signs and spaces are escaped.
    fn name(&mut self, name: &str) -> Result<(), LineError> {
        if name.is_empty() {
            return Err(LineError::Empty);
        }
        for c in name.chars() {
            if c.is_control() || c == '\\' {
                return Err(LineError::Unsayable(name.to_owned()));
            }
            if matches!(c, ',' | '=' | ' ') {
                self.text.push('\\');
            }
            self.text.push(c);
        }
        Ok(())
    }

    /// Adds a number in the fewest digits that give the same float again.
    fn number(&mut self, number: f64) {
        let size = number.abs();
        let written = if size != 0.0 && !(SHORT_FROM..LONG_FROM).contains(&size) {
            write!(self.text, "{number:e}")
        } else {
            write!(self.text, "{number}")
        };
        written.expect("a string takes any text");
    }

    pub fn count(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Gives some of the lines as they are sent.
    pub fn part(&self, lines: Range<usize>) -> &str {
        let start = lines.start.checked_sub(1);
        let start = start.map_or(Some(0), |line| self.ends.get(line).copied());
        let end = lines.end.checked_sub(1);
        let end = end.map_or(Some(0), |line| self.ends.get(line).copied());
        let (Some(start), Some(end)) = (start, end) else {
            return "";
        };
        self.text.get(start..end).unwrap_or_default()
    }

    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }
}

#[cfg(test)]
mod tests;
