//! The raw frame of battery-powered pressure terminals (gas, water; MEOKON V3.0): A5 5A … 55 AA, one
//! report with the current value and the records since the last one that was answered.
//!
//! TCP, UDP and CTWing carry the bytes, MQTT and OneNET the same bytes as hexadecimal text. Layout and
//! tables: the maker's "智能无线终端通讯协议 V3.0", section 2 (上行报文格式) and tables 1 to 3. Big endian.

use crate::profile::Pointer;
use crate::{Decoded, Undecodable, is_believable};
use model::{Catalogue, Cause, DeviceKey, Observation, Quality, Timestamp, Value};
use serde_json::{Map, Value as Json};
use std::borrow::Cow;

/// 帧起始标记 and 帧结尾标记.
const START: [u8; 2] = [0xa5, 0x5a];
const END: [u8; 2] = [0x55, 0xaa];

/// Bytes before the first record.
const HEAD_BYTES: usize = 35;

/// Checksum and end marker.
const TAIL_BYTES: usize = 4;

/// The maker's terminals keep 600 records at most, of eight bytes at most (two sensors, 32 bits).
pub const FRAME_BYTES_MAX: usize = HEAD_BYTES + 600 * 8 + 16 + TAIL_BYTES;

/// What a report is; other commands are answers to settings.
const REPORT: u8 = 0;

/// 表三, 设备报警状态.
const ALARM_LOW: u8 = 1;
const ALARM_HIGH: u8 = 1 << 1;
const ALARM_BATTERY: u8 = 1 << 2;
const SENSOR_FAULT: u8 = 1 << 3;
const HARDWARE_FAULT: u8 = 1 << 4;

/// One report.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PressureFrame<'a> {
    pub command: u8,
    /// 设备编号, the twelve characters on the terminal's label.
    pub device: &'a str,
    pub external_power: bool,
    pub battery_pct: u8,
    pub signal_dbm: i8,
    /// Between two records.
    pub interval_s: u16,
    /// 表二, which says unit and layout: 0 kPa, 1 MPa, 2 bar.
    pub kind: u8,
    /// 表三, bit by bit.
    pub alarms: u8,
    /// As they were sent; [`PressureFrame::kpa`] gives them their unit.
    pub low: i16,
    pub high: i16,
    pub current: i16,
    /// When the last record was taken.
    pub at: Timestamp,
    records: &'a [u8],
}

/// Tells how long the frame is that begins at the first byte; `None` until enough is there to tell.
///
/// An error says that no frame begins here, and why.
pub fn frame_len(received: &[u8]) -> Option<Result<usize, Undecodable>> {
    let started = START.iter().zip(received).all(|(mark, byte)| mark == byte);
    if !started {
        return Some(Err(bad(
            "start_marker",
            "the frame does not begin with a55a",
        )));
    }
    let len = usize::from(u16_at(received, 3)?);
    if !(HEAD_BYTES + TAIL_BYTES..=FRAME_BYTES_MAX).contains(&len) {
        return Some(Err(bad("length", &format!("a length of {len} bytes"))));
    }
    let (count, kind) = (u16_at(received, 21)?, *received.get(23)?);
    let needed = HEAD_BYTES + usize::from(count) * 2 + TAIL_BYTES;
    if to_kpa(kind, 0).is_some() && len != needed {
        let detail = format!("a length of {len} bytes, but {count} records need {needed}");
        return Some(Err(bad("length", &detail)));
    }
    Some(Ok(len))
}

/// Reads exactly one frame.
pub fn parse(bytes: &[u8]) -> Result<PressureFrame<'_>, Undecodable> {
    let cut = || {
        bad(
            "incomplete",
            &format!("{} bytes are no whole frame", bytes.len()),
        )
    };
    let len = frame_len(bytes).ok_or_else(cut)??;
    if bytes.len() != len {
        let detail = format!("a length of {len} bytes, but there are {}", bytes.len());
        let reason = if bytes.len() < len {
            "incomplete"
        } else {
            "length"
        };
        return Err(bad(reason, &detail));
    }
    let (body, tail) = bytes.split_at_checked(len - TAIL_BYTES).ok_or_else(cut)?;
    if !tail.ends_with(&END) {
        return Err(bad("end_marker", "the frame does not end with 55aa"));
    }
    // The maker says MODBUS, but the high byte comes first.
    let (sent, right) = (u16_at(tail, 0), crc(body));
    if sent != Some(right) {
        return Err(bad("crc", &format!("the checksum should be {right:04x}")));
    }
    read(body).ok_or_else(cut)
}

fn read(body: &[u8]) -> Option<PressureFrame<'_>> {
    let power = *body.get(17)?;
    let seconds = u32::from_be_bytes(body.get(31..HEAD_BYTES)?.try_into().ok()?);
    let device = std::str::from_utf8(body.get(5..17)?).unwrap_or_default();
    Some(PressureFrame {
        command: *body.get(2)?,
        device: device.trim_matches(['\0', ' ']),
        external_power: power & 0x80 != 0,
        battery_pct: (power & 0x1f).saturating_mul(5).min(100),
        signal_dbm: i8::from_be_bytes([*body.get(18)?]),
        interval_s: u16_at(body, 19)?,
        kind: *body.get(23)?,
        alarms: *body.get(24)?,
        low: i16_at(body, 25)?,
        high: i16_at(body, 27)?,
        current: i16_at(body, 29)?,
        at: Timestamp::from_millis(i64::from(seconds) * 1000),
        records: body.get(HEAD_BYTES..)?,
    })
}

impl PressureFrame<'_> {
    /// Gives a pressure its unit; none for a terminal that measures something else.
    pub fn kpa(&self, raw: i16) -> Option<f64> {
        to_kpa(self.kind, raw)
    }

    /// Gives the records with the times at which they were taken, oldest first. Without an interval
    /// only the last has a time.
    pub fn records(&self) -> impl Iterator<Item = (Option<Timestamp>, i16)> {
        let (last, interval_s) = (self.at, i64::from(self.interval_s));
        let records = self.records.chunks_exact(2);
        let count = i64::try_from(records.len()).unwrap_or(0);
        (1..=count).zip(records).map(move |(number, bytes)| {
            let back = count - number;
            let at = (back == 0 || interval_s > 0).then(|| last.plus_s(-interval_s * back));
            (at, i16_at(bytes, 0).unwrap_or_default())
        })
    }
}

/// Gives what one frame says of its device. `now` only tells whether the terminal's clock can be
/// right: if not, the current value counts as of its arrival, so that it is judged at once.
pub fn decode(
    catalogue: &Catalogue,
    device: DeviceKey,
    frame: &PressureFrame<'_>,
    now: Timestamp,
) -> Decoded {
    let mut out = Decoded::new(device);
    let plausible = is_believable(frame.at, now);
    let mut report = Report {
        catalogue,
        out: &mut out,
        at: plausible.then_some(frame.at),
        quality: if plausible {
            Quality::GOOD
        } else {
            Quality::uncertain(Cause::Clock)
        },
    };
    let Some(current) = frame.kpa(frame.current).filter(|_| frame.command == REPORT) else {
        let detail = format!("command {}, type {}", frame.command, frame.kind);
        report.out.reject(None, "unknown_type", || detail);
        return out;
    };
    let newest = report.history(frame);
    report.flags(frame);
    // It was measured after the last record, and an instant holds one value.
    if newest != Some(frame.current) {
        if newest.is_some() {
            report.at = report.at.map(|at| at.plus_s(1));
        }
        // A sensor that is broken is not believed, and yet what it says may ring.
        if frame.alarms & SENSOR_FAULT != 0 {
            report.quality = report.quality.worst(Quality::uncertain(Cause::Flag));
        }
        report.put("pressure_kpa", current);
    }
    out
}

/// Decodes one frame and appends what it holds; on an error `out` is as before.
pub fn decode_into(
    catalogue: &Catalogue,
    bytes: &[u8],
    now: Timestamp,
    out: &mut Decoded,
) -> Result<(), Undecodable> {
    let decoded = decode(catalogue, out.device, &parse(bytes)?, now);
    if let Some(whole) = decoded.rejected.iter().find(|bad| bad.metric.is_none()) {
        return Err(Undecodable {
            reason: whole.reason.clone(),
            detail: whole.detail.clone().unwrap_or_default(),
        });
    }
    out.received = out.received.saturating_add(decoded.received);
    out.observations.extend(decoded.observations);
    out.rejected.extend(decoded.rejected);
    Ok(())
}

/// Tells whether bytes begin as a frame does.
pub fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(&START)
}

/// Finds a frame in JSON: hexadecimal digits or an array of bytes, where the pointer says, or in
/// the first value that begins like one.
pub fn within(found: &Json, at: Option<&Pointer>) -> Option<Vec<u8>> {
    if let Some(at) = at {
        return digits_in(found.pointer(at.as_str())?);
    }
    let fields = found.as_object().into_iter().flat_map(Map::values);
    let mut found = fields.chain([found]).filter_map(digits_in);
    found.find(|bytes| begins(bytes))
}

fn digits_in(found: &Json) -> Option<Vec<u8>> {
    match found {
        Json::String(text) => Some(bytes_of(text.as_bytes()).into_owned()),
        Json::Array(bytes) => bytes.iter().map(byte_in).collect(),
        _ => None,
    }
}

fn byte_in(found: &Json) -> Option<u8> {
    u8::try_from(found.as_u64()?).ok()
}

struct Report<'a> {
    catalogue: &'a Catalogue,
    out: &'a mut Decoded,
    at: Option<Timestamp>,
    quality: Quality,
}

impl Report<'_> {
    /// Takes the records, and tells the last one.
    fn history(&mut self, frame: &PressureFrame<'_>) -> Option<i16> {
        let (arrival, mut newest) = (self.at, None);
        for (at, raw) in frame.records() {
            newest = Some(raw);
            let (Some(at), Some(kpa)) = (at, frame.kpa(raw)) else {
                let detail = || "several records, but no interval between them".to_owned();
                self.out
                    .reject(Some("pressure_kpa"), "no_record_time", detail);
                continue;
            };
            // The last record of a terminal whose clock is wrong may be the current value.
            let last = at == frame.at;
            self.at = if last { arrival } else { Some(at) };
            self.put("pressure_kpa", kpa);
        }
        self.at = arrival;
        newest
    }

    fn flags(&mut self, frame: &PressureFrame<'_>) {
        let flag = |bits: u8| f64::from(u8::from(frame.alarms & bits != 0));
        self.put("pressure_low_alarm", flag(ALARM_LOW));
        self.put("pressure_high_alarm", flag(ALARM_HIGH));
        self.put("battery_low", flag(ALARM_BATTERY));
        self.put("fault", flag(SENSOR_FAULT | HARDWARE_FAULT));
        self.put("battery_pct", f64::from(frame.battery_pct));
        self.put("signal_dbm", f64::from(frame.signal_dbm));
    }

    fn put(&mut self, metric: &'static str, number: f64) {
        let (Some(key), Some(value)) = (self.catalogue.find(metric), Value::number(number)) else {
            let detail = || "the metric catalogue has no such metric".to_owned();
            return self.out.reject(Some(metric), "unknown_metric", detail);
        };
        self.out.received = self.out.received.saturating_add(1);
        self.out.observations.push(Observation {
            metric: key,
            value,
            quality: self.catalogue.judge(key, &value).worst(self.quality),
            observed_at: self.at,
        });
    }
}

/// Gives the bytes of a payload that may be hexadecimal text, as MQTT and OneNET carry it.
pub fn bytes_of(payload: &[u8]) -> Cow<'_, [u8]> {
    if payload.starts_with(&START) {
        return Cow::Borrowed(payload);
    }
    let digits: Option<Vec<u8>> = payload
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| {
            char::from(*byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect();
    let pairs = digits.filter(|digits| digits.len() % 2 == 0 && !digits.is_empty());
    pairs.map_or(Cow::Borrowed(payload), |digits| {
        let byte = |pair: &[u8]| pair.iter().fold(0u8, |sum, digit| sum << 4 | digit);
        Cow::Owned(digits.chunks_exact(2).map(byte).collect())
    })
}

/// CRC-16/MODBUS: polynomial 8005, reflected, from FFFF.
pub fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            let shifted = crc >> 1;
            if crc & 1 == 1 {
                shifted ^ 0xa001
            } else {
                shifted
            }
        })
    })
}

/// 表二: 1 LSB is 0.1 kPa, 0.001 MPa or 0.01 bar.
fn to_kpa(kind: u8, raw: i16) -> Option<f64> {
    match kind {
        0 => Some(f64::from(raw) / 10.0),
        1 | 2 => Some(f64::from(raw)),
        _ => None,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(pair.try_into().ok()?))
}

fn i16_at(bytes: &[u8], at: usize) -> Option<i16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(i16::from_be_bytes(pair.try_into().ok()?))
}

fn bad(reason: &'static str, detail: &str) -> Undecodable {
    Undecodable {
        reason: reason.into(),
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests;
