//! PUBLISH frames from templates: only packet id, time and values change from one to the next.

use super::{LoadArgs, LoadError, LoadMetric};
use crate::mqtt::{Publish, Version, put_publish};
use crate::random::Random;
use std::sync::Arc;

/// Values of a metric repeat after so many messages; a power of two.
const TABLE_LENGTH: usize = 1024;
/// Milliseconds since the epoch have 13 digits from 2001 to 2286.
const TS_DIGITS: usize = 13;
const TS_BLANK: &str = "0000000000000";

/// The texts of one metric's values, all of the same width, as a slow walk between its bounds.
#[derive(Debug)]
pub(crate) struct ValueTable {
    width: usize,
    text: Vec<u8>,
}

/// Writes the values of every metric once; all connections share them.
pub(crate) fn value_tables(metrics: &[LoadMetric]) -> Result<Vec<ValueTable>, LoadError> {
    metrics.iter().map(value_table).collect()
}

fn value_table(metric: &LoadMetric) -> Result<ValueTable, LoadError> {
    let (low, high, decimals) = (metric.low, metric.high, metric.decimals);
    let width = format!("{low:.decimals$}").len();
    if low > high || low < 0.0 || format!("{high:.decimals$}").len() != width {
        return Err(LoadError::Usage(format!(
            "metric `{}`: `low` and `high` must be in order, not negative and of equal width",
            metric.name
        )));
    }
    let mut random = Random::new(0x10ad, 0);
    let mut value = f64::midpoint(low, high);
    let mut text = Vec::with_capacity(TABLE_LENGTH * width);
    for _ in 0..TABLE_LENGTH {
        value = (value + random.normal() * (high - low) * 0.02).clamp(low, high);
        text.extend_from_slice(format!("{value:.decimals$}").as_bytes());
    }
    Ok(ValueTable { width, text })
}

impl ValueTable {
    fn get(&self, index: usize) -> &[u8] {
        let at = (index % TABLE_LENGTH) * self.width;
        self.text.get(at..at + self.width).unwrap_or_default()
    }
}

/// The frame of one device with the places that change.
#[derive(Debug)]
struct Template {
    bytes: Vec<u8>,
    packet_id_at: usize,
    ts_at: usize,
    values_at: Vec<usize>,
    ts: [u8; TS_DIGITS],
    ts_ms: i64,
    turn: usize,
}

/// The frames of one connection, device after device in turn.
#[derive(Debug)]
pub(crate) struct Frames {
    templates: Vec<Template>,
    tables: Arc<Vec<ValueTable>>,
    next: usize,
    start_ms: i64,
}

impl Frames {
    pub(crate) fn new(
        args: &LoadArgs,
        connection: usize,
        tables: Arc<Vec<ValueTable>>,
        start_ms: i64,
    ) -> Self {
        let templates = args
            .publishing_ids(connection)
            .iter()
            .enumerate()
            .map(|(child, device)| template(args, &tables, device, connection * 31 + child * 7))
            .collect();
        Self {
            templates,
            tables,
            next: 0,
            start_ms,
        }
    }

    /// Appends the next message; its device time is `elapsed_ms` after the start, or 1 ms after
    /// the device's last one, whichever is later.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, packet_id: u16, elapsed_ms: i64) {
        let count = self.templates.len();
        let Some(template) = self.templates.get_mut(self.next) else {
            return;
        };
        self.next += 1;
        if self.next == count {
            self.next = 0;
        }
        let wanted_ms = self.start_ms + elapsed_ms;
        if wanted_ms > template.ts_ms + 1 {
            template.ts_ms = wanted_ms;
            write_digits(&mut template.ts, wanted_ms);
        } else {
            template.ts_ms += 1;
            add_one(&mut template.ts);
        }
        template.turn += 1;
        let start = out.len();
        out.extend_from_slice(&template.bytes);
        overwrite(out, start + template.packet_id_at, &packet_id.to_be_bytes());
        overwrite(out, start + template.ts_at, &template.ts);
        for (table, at) in self.tables.iter().zip(&template.values_at) {
            overwrite(out, start + at, table.get(template.turn));
        }
    }
}

fn template(args: &LoadArgs, tables: &[ValueTable], device: &str, turn: usize) -> Template {
    let mut payload = format!("{{\"ts\":{TS_BLANK},\"values\":{{");
    let mut values_at = Vec::with_capacity(tables.len());
    for (index, (metric, table)) in args.metrics.iter().zip(tables).enumerate() {
        if index > 0 {
            payload.push(',');
        }
        payload.push_str(&format!("\"{}\":", metric.name));
        values_at.push(payload.len());
        payload.push_str(&"0".repeat(table.width));
    }
    payload.push_str("}}");
    let topic = args.topic.replace("{device}", device);
    let mut bytes = Vec::with_capacity(payload.len() + topic.len() + 16);
    put_publish(
        &mut bytes,
        &Publish {
            version: args.version,
            topic: &topic,
            packet_id: 0,
            again: false,
            payload: payload.as_bytes(),
        },
    );
    let payload_at = bytes.len() - payload.len();
    let properties = usize::from(args.version == Version::V5);
    Template {
        packet_id_at: payload_at - properties - 2,
        ts_at: payload_at + "{\"ts\":".len(),
        values_at: values_at.iter().map(|at| payload_at + at).collect(),
        bytes,
        ts: [b'0'; TS_DIGITS],
        ts_ms: 0,
        turn,
    }
}

fn overwrite(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn write_digits(digits: &mut [u8; TS_DIGITS], value: i64) {
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest.rem_euclid(10)).unwrap_or(0);
        rest /= 10;
    }
}

fn add_one(digits: &mut [u8; TS_DIGITS]) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
}
