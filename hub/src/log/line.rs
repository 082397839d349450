//! The text of one event. What comes from the field cannot end the line or hide in it.

use model::Timestamp;
use serde_json::Value;
use std::fmt::{self, Write as _};
use tracing::Event;
use tracing::field::{Field, Visit};

/// Longest value of a field, in bytes; the rest is cut off.
const VALUE_BYTES_MAX: usize = 4_096;

/// Names that every line has; a field of such a name gets a `_` behind it.
const RESERVED: [&str; 5] = ["time", "level", "target", "message", "withheld"];

/// How lines look.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
}

/// The fields of an event, in their order.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        // What the crate `log` adds is said by the event already.
        if !field.name().starts_with("log.") {
            self.others.push((field.name(), value));
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = cut(format!("{value:?}"));
        match field.name() {
            "message" => self.message = text,
            _ => self.put(field, Value::String(text)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = cut(value.to_owned()),
            _ => self.put(field, Value::String(cut(value.to_owned()))),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // What JSON has no number for is written as a word.
        let number = serde_json::Number::from_f64(value);
        let value = number.map_or_else(|| Value::String(value.to_string()), Value::Number);
        self.put(field, value);
    }
}

fn cut(mut text: String) -> String {
    if text.len() > VALUE_BYTES_MAX {
        let mut end = VALUE_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Writes an event as one line; `withheld` lines of the same place were not written before it.
pub(super) fn write_line(
    out: &mut impl fmt::Write,
    format: Format,
    (now, level, withheld): (Timestamp, &str, u64),
    event: &Event<'_>,
) -> fmt::Result {
    let mut fields = Fields::default();
    event.record(&mut fields);
    if withheld > 0 {
        fields.others.push(("withheld", withheld.into()));
    }
    let target = event.metadata().target();
    match format {
        Format::Text => write_text(out, (now, level, target), &fields),
        Format::Json => write_json(out, (now, level, target), &fields),
    }
}

fn write_text(
    out: &mut impl fmt::Write,
    (now, level, target): (Timestamp, &str, &str),
    fields: &Fields,
) -> fmt::Result {
    let level = level.to_ascii_uppercase();
    write!(out, "{now} {level:>5} {target}: ")?;
    write_plain(out, &fields.message)?;
    for (name, value) in &fields.others {
        write!(out, " {name}=")?;
        match value {
            Value::String(text) if is_word(text) => out.write_str(text)?,
            Value::String(text) => {
                out.write_char('"')?;
                let inner = text.replace('\\', "\\\\").replace('"', "\\\"");
                write_plain(out, &inner)?;
                out.write_char('"')?;
            }
            other => write!(out, "{other}")?,
        }
    }
    out.write_char('\n')
}

fn is_word(text: &str) -> bool {
    let is_plain = |sign: char| !sign.is_whitespace() && !is_unsafe(sign) && sign != '"';
    !text.is_empty() && text.chars().all(|sign| is_plain(sign) && sign != '=')
}

/// Control characters, and those that turn the direction of a line or break it (U+2028, U+202E, …).
fn is_unsafe(sign: char) -> bool {
    sign.is_control()
        || matches!(sign, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn write_plain(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    for sign in text.chars() {
        match sign {
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            sign if is_unsafe(sign) => write!(out, "\\u{{{:x}}}", u32::from(sign))?,
            sign => out.write_char(sign)?,
        }
    }
    Ok(())
}

fn write_json(
    out: &mut impl fmt::Write,
    (now, level, target): (Timestamp, &str, &str),
    fields: &Fields,
) -> fmt::Result {
    let quoted = |text: &str| Value::String(text.to_owned());
    write!(
        out,
        "{{\"time\":\"{now}\",\"level\":\"{level}\",\"target\":{},\"message\":{}",
        quoted(target),
        JsonText(&fields.message)
    )?;
    for (name, value) in &fields.others {
        let is_ours = *name == "withheld" && value.is_u64();
        let mark = if RESERVED.contains(name) && !is_ours {
            "_"
        } else {
            ""
        };
        write!(out, ",\"{name}{mark}\":")?;
        match value {
            Value::String(text) => write!(out, "{}", JsonText(text))?,
            other => write!(out, "{other}")?,
        }
    }
    out.write_str("}\n")
}

/// A text as JSON, with what is not safe on a terminal escaped too.
struct JsonText<'a>(&'a str);

impl fmt::Display for JsonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = Value::String(self.0.to_owned()).to_string();
        for sign in quoted.chars() {
            if is_unsafe(sign) {
                write!(f, "\\u{:04x}", u32::from(sign))?;
            } else {
                f.write_char(sign)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
