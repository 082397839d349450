//! The body of one log row: a compact binary form with a version and a check sum.
//!
//! ```text
//! version 01 | stamp (zigzag) | items … | 00 | CRC-32 of all before it (little-endian)
//! ```
//! An item opens with its tag. A part opens with what came in for a device; the observations,
//! duplicates and rejections after it belong to it.

use crate::error::{Result, StoreError};
use crate::wire::{Wire, put_text, put_varint, put_zigzag};
use model::{MetricKey, Position, Quality, Timestamp, Value};

pub(crate) const VERSION: u8 = 1;

const END: u8 = 0x00;
const PART: u8 = 0x01;
const DUPLICATES: u8 = 0x02;
const REJECTED: u8 = 0x03;
const REFUSED: u8 = 0x04;
const COMMAND: u8 = 0x05;
const CHANGES_CRC: u8 = 0x06;

const OBSERVATION: u8 = 0x80;
const FORM: u8 = 0x03;
const FORM_RAW: u8 = 0;
const FORM_WHOLE: u8 = 1;
const FORM_MILLI: u8 = 2;
const FORM_POSITION: u8 = 3;
const WITH_QUALITY: u8 = 0x04;
const LATE: u8 = 0x08;
/// Observed at the same instant as the observation before it in the record.
const SAME_INSTANT: u8 = 0x10;

const WITH_ACCURACY: u8 = 0x01;
const WITH_LOCK: u8 = 0x02;
const LOCKED: u8 = 0x04;

/// One thing in a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item<'a> {
    Part {
        driver: u16,
        device: u32,
        received: u32,
    },
    Observation(Observed),
    /// How many observations of the part were stored before.
    Duplicates(u32),
    /// Values of the part that are not stored.
    Rejected {
        reason: &'a str,
        count: u32,
    },
    /// Messages that belong to no device.
    Refused {
        driver: u16,
        reason: &'a str,
        count: u64,
    },
    Command(&'a str),
    ChangesCrc(u32),
}

/// An observation of the part that it stands in.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) struct Observed {
    pub(crate) metric: MetricKey,
    pub(crate) value: Value,
    pub(crate) quality: Quality,
    pub(crate) observed_at: Timestamp,
    pub(crate) late: bool,
}

/// Writes a record item by item.
#[derive(Debug)]
pub(crate) struct Encoder {
    out: Vec<u8>,
    stamp: Timestamp,
    previous: Option<Timestamp>,
}

impl Encoder {
    pub(crate) fn new(stamp: Timestamp, capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        out.push(VERSION);
        put_zigzag(&mut out, stamp.millis());
        Self {
            out,
            stamp,
            previous: None,
        }
    }

    pub(crate) fn part(&mut self, driver: u16, device: u32, received: u32) {
        self.out.push(PART);
        put_varint(&mut self.out, driver.into());
        put_varint(&mut self.out, device.into());
        put_varint(&mut self.out, received.into());
    }

    pub(crate) fn observation(&mut self, observed: &Observed) {
        let (form, scaled) = form_of(&observed.value);
        let mut tag = OBSERVATION | form;
        if !observed.quality.is_good() {
            tag |= WITH_QUALITY;
        }
        if observed.late {
            tag |= LATE;
        }
        if self.previous == Some(observed.observed_at) {
            tag |= SAME_INSTANT;
        }
        self.out.push(tag);
        put_varint(&mut self.out, observed.metric.0.into());
        if tag & WITH_QUALITY != 0 {
            self.out.push(observed.quality.code());
        }
        if tag & SAME_INSTANT == 0 {
            // Wrapping, so that even absurd instants have a form that reads back.
            let age = self
                .stamp
                .millis()
                .wrapping_sub(observed.observed_at.millis());
            put_zigzag(&mut self.out, age);
            self.previous = Some(observed.observed_at);
        }
        match observed.value {
            Value::Number(_) if form != FORM_RAW => put_zigzag(&mut self.out, scaled),
            Value::Number(number) => self.out.extend_from_slice(&number.to_le_bytes()),
            Value::Position(position) => put_position(&mut self.out, &position),
        }
    }

    pub(crate) fn duplicates(&mut self, count: u32) {
        self.out.push(DUPLICATES);
        put_varint(&mut self.out, count.into());
    }

    pub(crate) fn rejected(&mut self, reason: &str, count: u32) {
        self.out.push(REJECTED);
        put_text(&mut self.out, reason);
        put_varint(&mut self.out, count.into());
    }

    pub(crate) fn refused(&mut self, driver: u16, reason: &str, count: u64) {
        self.out.push(REFUSED);
        put_varint(&mut self.out, driver.into());
        put_text(&mut self.out, reason);
        put_varint(&mut self.out, count);
    }

    pub(crate) fn command(&mut self, json: &str) {
        self.out.push(COMMAND);
        put_text(&mut self.out, json);
    }

    pub(crate) fn changes_crc(&mut self, crc: u32) {
        self.out.push(CHANGES_CRC);
        self.out.extend_from_slice(&crc.to_le_bytes());
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.out.push(END);
        let crc = crc32fast::hash(&self.out);
        self.out.extend_from_slice(&crc.to_le_bytes());
        self.out
    }
}

/// Finds the shortest exact form: sensor values are mostly short decimals.
fn form_of(value: &Value) -> (u8, i64) {
    let Value::Number(number) = value else {
        return (FORM_POSITION, 0);
    };
    // Beyond this a scaled value would be no shorter than its eight bytes.
    const SCALED_MAX: f64 = 1e12;
    if number.abs() > SCALED_MAX {
        return (FORM_RAW, 0);
    }
    let whole = truncated(*number);
    if same(whole_number(whole), *number) {
        return (FORM_WHOLE, whole);
    }
    let milli = truncated((number * 1000.0).round());
    if same(whole_number(milli) / 1000.0, *number) {
        return (FORM_MILLI, milli);
    }
    (FORM_RAW, 0)
}

/// Compares bit by bit, so that -0.0 keeps its sign.
fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the caller compares the way back"
)]
fn truncated(number: f64) -> i64 {
    number as i64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "values that were written are below 2^53; others are read back as nonsense, not refused"
)]
fn whole_number(scaled: i64) -> f64 {
    scaled as f64
}

fn put_position(out: &mut Vec<u8>, position: &Position) {
    let mut flags = 0;
    if position.accuracy_m.is_some() {
        flags |= WITH_ACCURACY;
    }
    match position.locked {
        Some(true) => flags |= WITH_LOCK | LOCKED,
        Some(false) => flags |= WITH_LOCK,
        None => {}
    }
    out.push(flags);
    out.extend_from_slice(&position.lon.to_le_bytes());
    out.extend_from_slice(&position.lat.to_le_bytes());
    if let Some(accuracy_m) = position.accuracy_m {
        out.extend_from_slice(&accuracy_m.to_le_bytes());
    }
}

/// A record whose version and check sum are right.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) stamp: Timestamp,
    items: Wire<'a>,
}

impl<'a> Record<'a> {
    /// Checks a body and opens it.
    pub(crate) fn open(body: &'a [u8]) -> Result<Self> {
        let damaged = |what: &str| StoreError::Damaged(format!("log row: {what}"));
        let (content, crc) = body
            .split_last_chunk::<4>()
            .ok_or_else(|| damaged("too short"))?;
        if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
            return Err(damaged("wrong check sum"));
        }
        let mut wire = Wire::new(content);
        match wire.byte() {
            Some(VERSION) => {}
            Some(found) => {
                return Err(StoreError::NewerFormat {
                    found: found.into(),
                    known: VERSION.into(),
                });
            }
            None => return Err(damaged("empty")),
        }
        let stamp = wire.zigzag().ok_or_else(|| damaged("no stamp"))?;
        Ok(Self {
            stamp: Timestamp::from_millis(stamp),
            items: wire,
        })
    }

    /// Gives the items in order; the last one is an error if the record does not end well.
    pub(crate) fn items(&self) -> Items<'a> {
        Items {
            wire: self.items,
            stamp: self.stamp,
            previous: self.stamp,
            done: false,
        }
    }
}

/// The items of a record.
#[derive(Debug)]
pub(crate) struct Items<'a> {
    wire: Wire<'a>,
    stamp: Timestamp,
    previous: Timestamp,
    done: bool,
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.read();
        self.done = !matches!(item, Some(Some(_)));
        match item {
            Some(item) => item.map(Ok),
            None => Some(Err(StoreError::Damaged(
                "log row: malformed item".to_owned(),
            ))),
        }
    }
}

impl<'a> Items<'a> {
    /// Reads an item; `Some(None)` is the end, `None` damage.
    fn read(&mut self) -> Option<Option<Item<'a>>> {
        let tag = self.wire.byte()?;
        if tag & OBSERVATION != 0 {
            return self.observation(tag).map(Item::Observation).map(Some);
        }
        let wire = &mut self.wire;
        let item = match tag {
            END => return wire.is_empty().then_some(None),
            PART => Item::Part {
                driver: wire.narrow()?,
                device: wire.narrow()?,
                received: wire.narrow()?,
            },
            DUPLICATES => Item::Duplicates(wire.narrow()?),
            REJECTED => Item::Rejected {
                reason: wire.text()?,
                count: wire.narrow()?,
            },
            REFUSED => Item::Refused {
                driver: wire.narrow()?,
                reason: wire.text()?,
                count: wire.varint()?,
            },
            COMMAND => Item::Command(wire.text()?),
            CHANGES_CRC => Item::ChangesCrc(u32::from_le_bytes(wire.array()?)),
            _ => return None,
        };
        Some(Some(item))
    }

    fn observation(&mut self, tag: u8) -> Option<Observed> {
        let wire = &mut self.wire;
        let metric = MetricKey(wire.narrow()?);
        let quality = if tag & WITH_QUALITY != 0 {
            Quality::from_code(wire.byte()?)
        } else {
            Quality::GOOD
        };
        if tag & SAME_INSTANT == 0 {
            let observed = self.stamp.millis().wrapping_sub(wire.zigzag()?);
            self.previous = Timestamp::from_millis(observed);
        }
        let value = match tag & FORM {
            FORM_WHOLE => Value::Number(whole_number(wire.zigzag()?)),
            FORM_MILLI => Value::Number(whole_number(wire.zigzag()?) / 1000.0),
            FORM_RAW => Value::number(wire.f64()?)?,
            _ => Value::Position(read_position(wire)?),
        };
        Some(Observed {
            metric,
            value,
            quality,
            observed_at: self.previous,
            late: tag & LATE != 0,
        })
    }
}

fn read_position(wire: &mut Wire<'_>) -> Option<Position> {
    let flags = wire.byte()?;
    Some(Position {
        lon: wire.f64()?,
        lat: wire.f64()?,
        accuracy_m: if flags & WITH_ACCURACY != 0 {
            Some(wire.f64()?)
        } else {
            None
        },
        locked: (flags & WITH_LOCK != 0).then_some(flags & LOCKED != 0),
    })
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
