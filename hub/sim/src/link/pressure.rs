//! The raw frame of battery-powered pressure terminals (A5 5A, MEOKON V3.0), over TCP and UDP.

use super::frame::{Answer, Parcel, Wire, identity};
use crate::calendar::whole_second;
use crate::fleet::Device;
use crate::observation::Observation;
use crate::random::whole;
use crate::way::{Way, number};

const START: [u8; 2] = [0xa5, 0x5a];
const END: [u8; 2] = [0x55, 0xaa];
const REPORT: u8 = 0;
/// Bytes of a frame beside its records.
const AROUND: u16 = 39;
/// Type 0 of table 2: steps of 0.1 kPa.
const TENTHS_OF_KPA: u8 = 0;
/// Seconds between two records, as the terminal is set.
const INTERVAL_S: u16 = 300;
const SIGNAL_DBM: i8 = -78;
/// Limits that the terminal itself knows, in steps: alarms are the hub's affair here.
const LIMITS: (i16, i16) = (0, i16::MAX);
const FRAME_BYTES_MAX: usize = 1024;

/// Terminals remember nothing between two reports.
#[derive(Debug)]
pub(super) struct Pressure;

impl Wire for Pressure {
    fn greet(&mut self, _: i64) -> Vec<u8> {
        Vec::new()
    }

    fn encode(&mut self, device: &Device, ts_ms: i64, observations: &[Observation]) -> Parcel {
        let heard = Way::Pressure.says(device, observations);
        let ts_ms = whole_second(ts_ms);
        let steps = whole(number(&heard, "pressure_kpa").unwrap_or(0.0) * 10.0);
        let steps = i16::try_from(steps).unwrap_or(i16::MAX);
        // Twentieths, in five bits.
        let twentieths = whole(number(&heard, "battery_pct").unwrap_or(100.0) / 5.0);
        let twentieths = u8::try_from(twentieths).unwrap_or(0) & 0x1f;
        Parcel {
            bytes: report(identity(device, "pressure_frame"), twentieths, ts_ms, steps),
            expects: Some(0),
            ts_ms,
            said: vec![
                Observation::number("pressure_kpa", f64::from(steps) / 10.0, 1),
                Observation::number("battery_pct", f64::from(twentieths) * 5.0, 0),
            ],
        }
    }

    /// A terminal sleeps between its reports.
    fn heartbeat(&mut self, _: i64) -> Vec<u8> {
        Vec::new()
    }

    /// Any whole frame from the platform means that the report has arrived (1.1).
    fn take(&mut self, received: &mut Vec<u8>, _: i64) -> Option<Answer> {
        loop {
            let start = received.windows(2).position(|two| two == START)?;
            received.drain(..start);
            let length = received.get(3..5)?.try_into().map(u16::from_be_bytes);
            let length = usize::from(length.unwrap_or(0));
            if length > FRAME_BYTES_MAX {
                received.drain(..1);
                continue;
            }
            let whole = received.get(..length)?;
            let inside = length.checked_sub(4).and_then(|end| whole.get(..end));
            let right = inside.is_some_and(|inside| {
                let written = whole.get(inside.len()..inside.len() + 2);
                written == Some(&crc(inside).to_be_bytes()) && whole.ends_with(&END)
            });
            if !right {
                received.drain(..1);
                continue;
            }
            received.drain(..length);
            return Some(Answer::Acked(None));
        }
    }
}

/// Writes a report with one record, which is the current value.
fn report(id: &str, battery: u8, at_ms: i64, steps: i16) -> Vec<u8> {
    let mut bytes = START.to_vec();
    bytes.push(REPORT);
    bytes.extend((AROUND + 2).to_be_bytes());
    let mut name = id.as_bytes().to_vec();
    name.resize(12, b' ');
    bytes.extend(name);
    bytes.push(battery);
    bytes.extend(SIGNAL_DBM.to_be_bytes());
    bytes.extend(INTERVAL_S.to_be_bytes());
    bytes.extend(1u16.to_be_bytes());
    bytes.extend([TENTHS_OF_KPA, 0]);
    for value in [LIMITS.0, LIMITS.1, steps] {
        bytes.extend(value.to_be_bytes());
    }
    let seconds = u32::try_from(at_ms / 1000).unwrap_or(0);
    bytes.extend(seconds.to_be_bytes());
    bytes.extend(steps.to_be_bytes());
    let crc = crc(&bytes);
    bytes.extend(crc.to_be_bytes());
    bytes.extend(END);
    bytes
}

/// CRC-16/MODBUS.
pub(super) fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| match crc & 1 {
            1 => (crc >> 1) ^ 0xa001,
            _ => crc >> 1,
        })
    })
}

#[cfg(test)]
mod tests;
