//! Questions to `VictoriaMetrics` as forms, and its answers as numbers.

use crate::history::parts::Sample;
use crate::history::server::Wanted;
use crate::shape::{DEVICE_TAG, MEASUREMENT, Part};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::ops::Range;

/// The body of a request, `application/x-www-form-urlencoded`.
#[derive(Debug, Default)]
pub(super) struct Form(String);

/// Whole buckets, from the start of one to the start of another.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) span: Range<i64>,
    pub(super) step_ms: i64,
}

/// One line of an export.
#[derive(Deserialize)]
struct Line {
    metric: HashMap<String, String>,
    /// No number is one that JSON cannot say.
    values: Vec<Option<f64>>,
    timestamps: Vec<i64>,
}

#[derive(Deserialize)]
struct RangeAnswer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<RangeData>,
}

#[derive(Deserialize)]
struct RangeData {
    result: Vec<RangeSeries>,
}

#[derive(Deserialize)]
struct RangeSeries {
    values: Vec<(f64, String)>,
}

impl Form {
    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn field(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.encode(name);
        self.0.push('=');
        self.encode(value);
    }

    fn encode(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                    self.0.push(char::from(byte));
                }
                _ => write!(self.0, "%{byte:02X}").expect("a String takes everything"),
            }
        }
    }
}

/// Asks for all values of these fields in a span.
pub(super) fn export(series: Wanted<'_>, parts: &[Part], span: &Range<i64>) -> Form {
    let mut form = Form::default();
    for part in parts {
        form.field("match[]", &selector(series, *part));
    }
    // Both ends are included there, and a fraction of a second may be cut: what is too much is left out here.
    form.field("start", &seconds(span.start.saturating_sub(1)));
    form.field("end", &seconds(span.end));
    form
}

/// Asks for `function` over each bucket. The window of a moment reaches back to and without the moment one step
/// before; ours begin at their start, so it is looked at from the last millisecond of each.
pub(super) fn rollup(series: Wanted<'_>, function: &str, window: &Window) -> Form {
    let step_ms = window.step_ms;
    let ahead_ms = step_ms - 1;
    let selector = selector(series, Part::Number);
    let mut form = Form::default();
    let query = format!("{function}({selector}[{step_ms}ms] offset -{ahead_ms}ms)");
    form.field("query", &query);
    form.field("start", &seconds(window.span.start));
    form.field("end", &seconds(window.span.end - step_ms));
    form.field("step", &format!("{step_ms}ms"));
    // The cache moves the ends of longer ranges.
    form.field("nocache", "1");
    form
}

/// Names one field of a device.
fn selector(series: Wanted<'_>, part: Part) -> String {
    let field = part.field(series.metric);
    let device = quoted(series.device.as_str());
    format!("{MEASUREMENT}_{field}{{{DEVICE_TAG}={device}}}")
}

/// Writes a text as a string of `MetricsQL`, in which nothing of it can be taken for anything else.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Writes milliseconds as seconds with a fraction.
fn seconds(ms: i64) -> String {
    let ms = ms.max(0);
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

/// Reads seconds with a fraction as milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float becomes the nearest integer that there is"
)]
pub(super) fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// Reads the lines of an export: those of the asked fields that lie in the span.
pub(super) fn samples(
    body: &[u8],
    series: Wanted<'_>,
    span: &Range<i64>,
) -> Result<Vec<Sample>, String> {
    let part_of = |line: &Line| {
        let field = line.metric.get("__name__")?.strip_prefix(MEASUREMENT)?;
        let suffix = field.strip_prefix('_')?.strip_prefix(series.metric)?;
        let mut parts = Part::ALL.into_iter();
        parts.find(|part| part.suffix() == suffix)
    };
    let mut samples = Vec::new();
    for text in body.split(|byte| *byte == b'\n') {
        if text.is_empty() {
            continue;
        }
        let line: Line = serde_json::from_slice(text)
            .map_err(|error| format!("an export that cannot be read: {error}"))?;
        let part = part_of(&line).ok_or("an export of something else")?;
        if line.values.len() != line.timestamps.len() {
            return Err("an export with values and times that do not match".to_owned());
        }
        let of_line = line.timestamps.iter().zip(&line.values);
        samples.extend(of_line.filter_map(|(at_ms, number)| {
            Some(Sample {
                at_ms: *at_ms,
                part,
                number: (*number).filter(|_| span.contains(at_ms))?,
            })
        }));
    }
    Ok(samples)
}

/// Reads the answer to a rollup, by the buckets' starts.
pub(super) fn buckets(body: &[u8], window: &Window) -> Result<BTreeMap<i64, f64>, String> {
    let answer: RangeAnswer = serde_json::from_slice(body)
        .map_err(|error| format!("an answer that cannot be read: {error}"))?;
    let data = answer.data.filter(|_| answer.status == "success");
    let Some(data) = data else {
        return Err(format!("status {}: {}", answer.status, answer.error));
    };
    let mut series = data.result.into_iter();
    let values = series.next().map(|series| series.values);
    if series.next().is_some() {
        // Another label was put there by hand; which of the two is last or least is not for us to say.
        return Err("two series of one device and metric".to_owned());
    }
    let mut buckets = BTreeMap::new();
    for (at_s, number) in values.unwrap_or_default() {
        let start = millis(at_s);
        if start.rem_euclid(window.step_ms) != 0 || !window.span.contains(&start) {
            return Err(format!("a bucket at {start}, where none begins"));
        }
        let number = number.parse();
        let number: f64 = number.map_err(|_| "a value that is no number")?;
        buckets.insert(start, number);
    }
    Ok(buckets)
}

#[cfg(test)]
mod tests;
