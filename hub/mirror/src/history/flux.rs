//! Asks `InfluxDB` 2 in Flux.
//!
//! A question brings so many rows of each field at most, because the client holds an answer in memory as a whole.
//! A point that was sent twice is one there, so that even a mean is the server's to make.

use super::parts::{Sample, parts, points_of};
use super::server::{Made, Raw, Wanted};
use crate::influx::{Row, Server};
use crate::settings::MirrorConfig;
use crate::shape::{DEVICE_TAG, MEASUREMENT, Part};
use model::{Quality, Timestamp, Value};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use store::{Agg, Point};

/// Rows of each field in one answer: some 10 MiB as the client holds them.
const ROWS_MAX: usize = 20_000;

/// Where `InfluxDB` is.
#[derive(Clone, Debug)]
pub struct Setup {
    name: String,
    server: Server,
}

#[derive(Debug)]
pub(super) struct Flux {
    setup: Setup,
}

pub(super) struct Link<'a> {
    server: &'a Server,
}

impl Setup {
    pub(super) fn new(name: &str, config: &MirrorConfig) -> Result<Self, String> {
        config.check().map_err(|(_, reason)| reason)?;
        Ok(Self {
            name: name.to_owned(),
            server: Server::open(config)?,
        })
    }
}

impl Flux {
    pub(super) fn new(setup: Setup) -> Self {
        Self { setup }
    }

    pub(super) fn name(&self) -> &str {
        &self.setup.name
    }

    pub(super) fn link(&self) -> Link<'_> {
        Link {
            server: &self.setup.server,
        }
    }
}

/// Names what makes a bucket as ours are. The least and the greatest at their own times are read here.
fn function(agg: Agg) -> Option<&'static str> {
    match agg {
        Agg::Mean => Some("mean"),
        Agg::Min => Some("min"),
        Agg::Max => Some("max"),
        Agg::Last => Some("last"),
        Agg::MinMax => None,
    }
}

pub(super) fn makes(agg: Agg) -> bool {
    function(agg).is_some()
}

impl Link<'_> {
    pub(super) async fn raw(
        &self,
        series: Wanted<'_>,
        span: Range<i64>,
        wanted: usize,
    ) -> Result<Raw, String> {
        let limit = wanted.clamp(1, ROWS_MAX);
        let parts = parts(series.shape);
        let flux = values(self.server.bucket(), series, parts, (&span, limit));
        let rows = self.server.query(flux).await?;
        let until_ms = complete_until(&rows, limit).map_or(span.end, |end| end.min(span.end));
        let samples = samples(rows, series, &(span.start..until_ms))?;
        Ok(Raw {
            points: points_of(samples),
            until_ms,
        })
    }

    pub(super) async fn marked(
        &self,
        series: Wanted<'_>,
        span: Range<i64>,
    ) -> Result<Option<Vec<i64>>, String> {
        let parts = [Part::Quality];
        let flux = values(self.server.bucket(), series, &parts, (&span, ROWS_MAX));
        let rows = self.server.query(flux).await?;
        let are_all = complete_until(&rows, ROWS_MAX).is_none();
        let samples = samples(rows, series, &span)?;
        Ok(are_all.then(|| samples.iter().map(|sample| sample.at_ms).collect()))
    }

    pub(super) async fn made(
        &self,
        series: Wanted<'_>,
        span: Range<i64>,
        agg: Agg,
        step_ms: i64,
    ) -> Result<Made, String> {
        let function = function(agg).ok_or("buckets of this kind are made here")?;
        let flux = buckets(self.server.bucket(), series, &span, (function, step_ms));
        let rows = self.server.query(flux).await?;
        let mut made = BTreeMap::new();
        for row in rows {
            let at = Timestamp::from_millis(row.at_ms);
            if row.at_ms.rem_euclid(step_ms) != 0 || !span.contains(&row.at_ms) {
                return Err(format!("a bucket at {at}, where none begins"));
            }
            let point = Point {
                at,
                value: Value::number(row.number).ok_or("a number that is none")?,
                quality: Quality::GOOD,
            };
            if made.insert(at, vec![point]).is_some() {
                // Another tag was put there by hand; which of the two is last or least is not for us to say.
                return Err("two series of one device and metric".to_owned());
            }
        }
        Ok(made.into_iter().collect())
    }
}

/// Tells up to when every table is whole, where one has as many rows as were asked for.
fn complete_until(rows: &[Row], limit: usize) -> Option<i64> {
    let mut tables = HashMap::<i64, (usize, i64)>::new();
    for row in rows {
        let (count, last_ms) = tables.entry(row.table).or_insert((0, i64::MIN));
        *count += 1;
        *last_ms = row.at_ms.max(*last_ms);
    }
    let cut_off = tables.values().filter(|(count, _)| *count >= limit);
    cut_off.map(|(_, last_ms)| last_ms.saturating_add(1)).min()
}

fn samples(rows: Vec<Row>, series: Wanted<'_>, span: &Range<i64>) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::with_capacity(rows.len());
    for row in rows {
        let field = row.field.ok_or("a row without a field")?;
        let suffix = field.strip_prefix(series.metric);
        let mut parts = Part::ALL.into_iter();
        let part = parts.find(|part| suffix == Some(part.suffix()));
        let part = part.ok_or("a row of something else")?;
        if span.contains(&row.at_ms) {
            samples.push(Sample {
                at_ms: row.at_ms,
                part,
                number: row.number,
            });
        }
    }
    Ok(samples)
}

/// Asks for the first values of these fields in a span.
fn values(
    bucket: &str,
    series: Wanted<'_>,
    parts: &[Part],
    (span, limit): (&Range<i64>, usize),
) -> String {
    let source = source(bucket, series, parts, span);
    format!(
        "{source}\n  |> drop(columns: [\"_start\", \"_stop\", \"_measurement\"])\n  |> limit(n: {limit})"
    )
}

/// Asks for one number for each bucket that has any, named by its start.
fn buckets(
    bucket: &str,
    series: Wanted<'_>,
    span: &Range<i64>,
    (function, step_ms): (&str, i64),
) -> String {
    let source = source(bucket, series, &[Part::Number], span);
    format!(
        "{source}\n  |> aggregateWindow(every: {step_ms}ms, fn: {function}, createEmpty: false, timeSrc: \"_start\")\n  \
         |> drop(columns: [\"_start\", \"_stop\", \"_measurement\"])"
    )
}

fn source(bucket: &str, series: Wanted<'_>, parts: &[Part], span: &Range<i64>) -> String {
    let fields: Vec<String> = parts
        .iter()
        .map(|part| format!("r[\"_field\"] == {}", quoted(&part.field(series.metric))))
        .collect();
    let (start, stop) = (
        Timestamp::from_millis(span.start),
        Timestamp::from_millis(span.end),
    );
    format!(
        "from(bucket: {})\n  |> range(start: {start}, stop: {stop})\n  \
         |> filter(fn: (r) => r[\"_measurement\"] == {} and r[{}] == {})\n  |> filter(fn: (r) => {})",
        quoted(bucket),
        quoted(MEASUREMENT),
        quoted(DEVICE_TAG),
        quoted(series.device.as_str()),
        fields.join(" or ")
    )
}

/// Writes a text as a string of Flux, in which nothing of it can be taken for anything else; `${` would begin an
/// expression.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '$' => quoted.push_str("\\x24"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
