//! GB/T 26875.3-2011 as a user transmission device speaks it: states of components, each confirmed.

use super::frame::{Answer, Parcel, Wire, identity};
use crate::calendar::{Clock, whole_second};
use crate::fleet::Device;
use crate::kind::Kind;
use crate::observation::Observation;
use crate::way::{Way, number};

/// Version of the protocol: main 1, and the user's own (6.2.1).
const VERSION: [u8; 2] = [1, 1];
const SEND: u8 = 2;
const CONFIRM: u8 = 3;
const CONTROL: u8 = 1;
const DENY: u8 = 6;
/// Bytes of a frame without its unit, up to it, and behind the command.
const AROUND: usize = 30;
const HEAD: usize = 27;
const UNIT_BYTES_MAX: usize = 1024;
/// Type 2 (部件运行状态), type 21 (the transmission device itself), type 24 (its operation).
const COMPONENT_STATE: u8 = 2;
const DEVICE_STATE: u8 = 21;
const DEVICE_OPERATION: u8 = 24;
/// Orders: clock (90) and guard call (91).
const GUARD_CALL: u8 = 91;
const NORMAL: u16 = 1;
const FIRE: u16 = 1 << 1;
const FAULT: u16 = 1 << 2;
/// Bit of an operation: the guard has answered (8.2.1.4).
const GUARD_REPLY: u8 = 1 << 5;
/// Bytes of the text that describes a component.
const TEXT_BYTES: usize = 31;

/// A component's place: system type and address, component type and address.
type Place = (u8, u8, u8, [u8; 4]);
/// A detector that is its own transmission device: fire alarm system, smoke detector.
const ALONE: Place = (1, 1, 40, [1, 0, 0, 0]);

/// One transmission device.
#[derive(Debug)]
pub(super) struct Gb26875 {
    source: [u8; 6],
    serial: u16,
}

impl Gb26875 {
    pub(super) fn new(device: &Device) -> Self {
        let name = identity(device, "gb26875");
        let address = name.split_once('/').map_or(name, |(address, _)| address);
        Self {
            source: address_bytes(address),
            serial: 0,
        }
    }

    fn frame(&self, serial: u16, at_ms: i64, command: u8, unit: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x40, 0x40];
        bytes.extend(serial.to_le_bytes());
        bytes.extend(VERSION);
        bytes.extend(time(at_ms));
        bytes.extend(self.source);
        bytes.extend([0; 6]);
        bytes.extend(u16::try_from(unit.len()).unwrap_or(0).to_le_bytes());
        bytes.push(command);
        bytes.extend(unit);
        bytes.push(sum(bytes.get(2..).unwrap_or_default()));
        bytes.extend([0x23, 0x23]);
        bytes
    }

    fn next_serial(&mut self) -> u16 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    /// Confirms an order; a guard that is called answers, too.
    fn obey(&mut self, serial: u16, unit: &[u8], now_ms: i64) -> Vec<u8> {
        let mut bytes = self.frame(serial, now_ms, CONFIRM, &[]);
        if unit.first() == Some(&GUARD_CALL) {
            let mut reply = vec![DEVICE_OPERATION, 1, GUARD_REPLY, 1];
            reply.extend(time(now_ms));
            let serial = self.next_serial();
            bytes.extend(self.frame(serial, now_ms, SEND, &reply));
        }
        bytes
    }
}

impl Wire for Gb26875 {
    fn greet(&mut self, _: i64) -> Vec<u8> {
        Vec::new()
    }

    fn encode(&mut self, device: &Device, ts_ms: i64, observations: &[Observation]) -> Parcel {
        let said = Way::Gb26875.says(device, observations).into_owned();
        let at_ms = whole_second(ts_ms);
        let serial = self.next_serial();
        let unit = match device.kind {
            Kind::Gateway => device_state(at_ms),
            _ => {
                let set = |metric, bit| match number(&said, metric) {
                    Some(1.0) => bit,
                    _ => 0,
                };
                let state = NORMAL | set("smoke_alarm", FIRE) | set("fault", FAULT);
                component_state(place(identity(device, "gb26875")), state, at_ms)
            }
        };
        Parcel {
            bytes: self.frame(serial, at_ms, SEND, &unit),
            expects: Some(u64::from(serial)),
            ts_ms: at_ms,
            said,
        }
    }

    /// Devices of the field repeat their own state.
    fn heartbeat(&mut self, now_ms: i64) -> Vec<u8> {
        let serial = self.next_serial();
        self.frame(serial, now_ms, SEND, &device_state(now_ms))
    }

    fn take(&mut self, received: &mut Vec<u8>, now_ms: i64) -> Option<Answer> {
        loop {
            let start = received.windows(2).position(|two| two == [0x40, 0x40])?;
            received.drain(..start);
            let length = le(received.get(24..26)?);
            if usize::from(length) > UNIT_BYTES_MAX {
                received.drain(..1);
                continue;
            }
            let length = usize::from(length);
            let whole = received.get(..length + AROUND)?.to_vec();
            let body = whole.get(2..HEAD + length).unwrap_or_default();
            if whole.get(HEAD + length) != Some(&sum(body)) || !whole.ends_with(&[0x23, 0x23]) {
                received.drain(..1);
                continue;
            }
            received.drain(..whole.len());
            let serial = le(whole.get(2..4).unwrap_or_default());
            let unit = whole.get(HEAD..HEAD + length).unwrap_or_default();
            return Some(match whole.get(HEAD - 1) {
                Some(&CONFIRM) => Answer::Acked(Some(u64::from(serial))),
                Some(&DENY) => Answer::Refused(u64::from(serial)),
                Some(&CONTROL) => Answer::Say(self.obey(serial, unit, now_ms)),
                _ => Answer::Nothing,
            });
        }
    }
}

/// A time: second, minute, hour, day, month, year of the century, each a plain byte (6.2.2).
fn time(at_ms: i64) -> [u8; 6] {
    let clock = Clock::beijing(at_ms);
    let year = clock.year - 2000;
    [
        clock.second,
        clock.minute,
        clock.hour,
        clock.day,
        clock.month,
        year,
    ]
    .map(|part| u8::try_from(part).unwrap_or(0))
}

fn component_state(place: Place, state: u16, at_ms: i64) -> Vec<u8> {
    let (system, system_address, component, address) = place;
    let mut unit = vec![COMPONENT_STATE, 1, system, system_address, component];
    unit.extend(address);
    unit.extend(state.to_le_bytes());
    unit.extend([0; TEXT_BYTES]);
    unit.extend(time(at_ms));
    unit
}

fn device_state(at_ms: i64) -> Vec<u8> {
    let mut unit = vec![DEVICE_STATE, 1, 1];
    unit.extend(time(at_ms));
    unit
}

/// Reads an address of twelve hexadecimal digits, whose last byte is sent first.
fn address_bytes(text: &str) -> [u8; 6] {
    u64::from_str_radix(text, 16)
        .map(u64::to_le_bytes)
        .ok()
        .and_then(|bytes| bytes.get(..6)?.try_into().ok())
        .unwrap_or_default()
}

/// Reads `address/system.address.component.address`.
fn place(identity: &str) -> Place {
    let read = || {
        let (_, place) = identity.split_once('/')?;
        let mut parts = place.split('.');
        let mut byte = || parts.next()?.parse::<u8>().ok();
        let (system, system_address, component) = (byte()?, byte()?, byte()?);
        let address = u32::from_str_radix(parts.next()?, 16).ok()?.to_be_bytes();
        Some((system, system_address, component, address))
    };
    read().unwrap_or(ALONE)
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn le(bytes: &[u8]) -> u16 {
    bytes.try_into().map(u16::from_le_bytes).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
