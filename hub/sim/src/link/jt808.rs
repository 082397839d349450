//! JT/T 808-2013 and -2019 as a muck truck's terminal speaks it: registration, then locations.

use super::frame::{Answer, Parcel, Wire, identity};
use crate::calendar::{Clock, whole_second};
use crate::fleet::Device;
use crate::observation::{Measure, Observation};
use crate::random::whole;
use crate::way::{Way, number};

const FLAG: u8 = 0x7e;
const REGISTER: u16 = 0x0100;
const AUTHENTICATE: u16 = 0x0102;
const HEARTBEAT: u16 = 0x0002;
const LOCATION: u16 = 0x0200;
const GENERAL_ANSWER: u16 = 0x8001;
const REGISTER_ANSWER: u16 = 0x8100;
const TERMINAL_ANSWER: u16 = 0x0001;
/// Attribute bit 14: the edition of 2019.
const EDITION_2019: u16 = 1 << 14;
/// Status: ignition on, position fixed.
const STATUS: u32 = 0b11;
/// Status bits of the southern and the western half of the globe.
const SOUTH: u32 = 1 << 2;
const WEST: u32 = 1 << 3;
const ALTITUDE_M: u16 = 12;

/// One terminal.
#[derive(Debug)]
pub(super) struct Jt808 {
    phone: Vec<u8>,
    newer: bool,
    plate: Vec<u8>,
    serial: u16,
    /// What the registration gave; it holds over connections.
    code: Option<Vec<u8>>,
    /// The serial of the authentication that waits for its answer.
    authenticating: Option<u16>,
    ready: bool,
}

impl Jt808 {
    pub(super) fn new(device: &Device) -> Self {
        let digits = identity(device, "jt808");
        // Twenty digits are a number of the edition of 2019, twelve of 2013.
        let newer = digits.len() > 12;
        let width = if newer { 20 } else { 12 };
        Self {
            phone: bcd(&format!("{digits:0>width$}")),
            newer,
            plate: device.id.clone().into_bytes(),
            serial: 0,
            code: None,
            authenticating: None,
            ready: false,
        }
    }

    fn frame(&mut self, message: u16, body: &[u8]) -> (u16, Vec<u8>) {
        let serial = self.serial;
        self.serial = serial.wrapping_add(1);
        let edition = if self.newer { EDITION_2019 } else { 0 };
        let attributes = u16::try_from(body.len()).unwrap_or(0) & 0x3ff | edition;
        let mut bytes = Vec::with_capacity(body.len() + 24);
        bytes.extend(message.to_be_bytes());
        bytes.extend(attributes.to_be_bytes());
        if self.newer {
            bytes.push(1);
        }
        bytes.extend(&self.phone);
        bytes.extend(serial.to_be_bytes());
        bytes.extend(body);
        bytes.push(bytes.iter().fold(0, |bcc, byte| bcc ^ byte));
        (serial, escaped(&bytes))
    }

    /// Province, city, maker, model, terminal, colour of the plate, plate: 8.5, table 7.
    fn registration(&self) -> Vec<u8> {
        let (maker, model, terminal) = if self.newer { (11, 30, 30) } else { (5, 20, 7) };
        let mut body = vec![0, 35, 2, 1];
        for (text, width) in [("CHSIM", maker), ("SIM-1", model), ("SIM0001", terminal)] {
            let mut field = text.as_bytes().to_vec();
            field.resize(width, 0);
            body.extend(field);
        }
        body.push(2);
        body.extend(&self.plate);
        body
    }

    fn authentication(&self, code: &[u8]) -> Vec<u8> {
        if !self.newer {
            return code.to_vec();
        }
        // 2019: the code with its length, IMEI and version of the software.
        let mut body = vec![u8::try_from(code.len()).unwrap_or(0)];
        body.extend(code);
        body.extend([b'0'; 15]);
        let mut version = b"SIM-1".to_vec();
        version.resize(20, 0);
        body.extend(version);
        body
    }

    fn authenticate(&mut self, code: Vec<u8>) -> Vec<u8> {
        let body = self.authentication(&code);
        self.code = Some(code);
        let (serial, bytes) = self.frame(AUTHENTICATE, &body);
        self.authenticating = Some(serial);
        bytes
    }

    fn answer(&mut self, message: u16, serial: u16, body: &[u8]) -> Answer {
        match (message, body) {
            (REGISTER_ANSWER, [_, _, 0, code @ ..]) => {
                let code = code.to_vec();
                Answer::Say(self.authenticate(code))
            }
            // A terminal that cannot register stays outside.
            (REGISTER_ANSWER, _) => Answer::Nothing,
            (GENERAL_ANSWER, [high, low, _, _, result]) => {
                let named = u16::from_be_bytes([*high, *low]);
                if self.authenticating == Some(named) {
                    self.authenticating = None;
                    self.ready = *result == 0;
                    if !self.ready {
                        self.code = None;
                    }
                    return Answer::Nothing;
                }
                match result {
                    0 | 4 => Answer::Acked(Some(u64::from(named))),
                    _ => Answer::Refused(u64::from(named)),
                }
            }
            // Whatever else is asked is answered as done: 0001, table 4.
            (order, _) => {
                let mut body = serial.to_be_bytes().to_vec();
                body.extend(order.to_be_bytes());
                body.push(0);
                Answer::Say(self.frame(TERMINAL_ANSWER, &body).1)
            }
        }
    }
}

impl Wire for Jt808 {
    fn greet(&mut self, _: i64) -> Vec<u8> {
        self.ready = false;
        match self.code.take() {
            Some(code) => self.authenticate(code),
            None => {
                let body = self.registration();
                self.frame(REGISTER, &body).1
            }
        }
    }

    fn ready(&self) -> bool {
        self.ready
    }

    fn encode(&mut self, device: &Device, ts_ms: i64, observations: &[Observation]) -> Parcel {
        let said = Way::Jt808.says(device, observations).into_owned();
        let ts_ms = whole_second(ts_ms);
        let body = location(ts_ms, &said);
        let (serial, bytes) = self.frame(LOCATION, &body);
        Parcel {
            bytes,
            expects: Some(u64::from(serial)),
            ts_ms,
            said,
        }
    }

    fn heartbeat(&mut self, _: i64) -> Vec<u8> {
        self.frame(HEARTBEAT, &[]).1
    }

    fn take(&mut self, received: &mut Vec<u8>, _: i64) -> Option<Answer> {
        loop {
            let start = received.iter().position(|byte| *byte == FLAG)?;
            received.drain(..start);
            let end = received.iter().skip(1).position(|byte| *byte == FLAG)? + 1;
            let inside = unescaped(received.get(1..end).unwrap_or_default());
            // The second flag may begin the next frame.
            received.drain(..end);
            let Some((_, bytes)) = inside.split_last() else {
                continue;
            };
            if inside.iter().fold(0, |bcc, byte| bcc ^ byte) != 0 {
                continue;
            }
            let head = 6 + self.phone.len() + usize::from(self.newer);
            let word = |at: usize| {
                let word = bytes.get(at..at + 2).and_then(|two| two.try_into().ok());
                word.map(u16::from_be_bytes)
            };
            let (Some(message), Some(serial)) = (word(0), word(head - 2)) else {
                continue;
            };
            received.drain(..1);
            let body = bytes.get(head..).unwrap_or_default().to_vec();
            return Some(self.answer(message, serial, &body));
        }
    }
}

/// A location: alarms, status, place, altitude, speed, direction, time, mileage (8.18).
fn location(ts_ms: i64, said: &[Observation]) -> Vec<u8> {
    let place = said.iter().find_map(|o| match o.measure {
        Measure::Position { lon, lat, .. } => Some((lon, lat)),
        Measure::Number { .. } => None,
    });
    let (lon, lat) = place.unwrap_or_default();
    let mut status = if place.is_some() { STATUS } else { 0 };
    status |= if lat < 0.0 { SOUTH } else { 0 };
    status |= if lon < 0.0 { WEST } else { 0 };
    let micro = |degrees: f64| u32::try_from(whole(degrees.abs() * 1e6)).unwrap_or(0);
    let tenth = |metric| whole(number(said, metric).unwrap_or(0.0) * 10.0);
    let mut body = vec![0; 4];
    body.extend(status.to_be_bytes());
    body.extend(micro(lat).to_be_bytes());
    body.extend(micro(lon).to_be_bytes());
    body.extend(ALTITUDE_M.to_be_bytes());
    body.extend(u16::try_from(tenth("speed_kmh")).unwrap_or(0).to_be_bytes());
    let direction = tenth("direction_deg") / 10;
    body.extend(u16::try_from(direction).unwrap_or(0).to_be_bytes());
    body.extend(bcd(&Clock::beijing(ts_ms).short_digits()));
    if let Some(km) = number(said, "mileage_km") {
        body.extend([1, 4]);
        body.extend(u32::try_from(whole(km * 10.0)).unwrap_or(0).to_be_bytes());
    }
    body
}

/// Packs digits, two a byte; what is no digit is zero.
fn bcd(digits: &str) -> Vec<u8> {
    let value = |byte: &u8| {
        if byte.is_ascii_digit() {
            byte - b'0'
        } else {
            0
        }
    };
    let pair = |two: &[u8]| two.iter().fold(0, |packed, byte| packed << 4 | value(byte));
    digits.as_bytes().chunks(2).map(pair).collect()
}

fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![FLAG];
    for byte in bytes {
        match *byte {
            FLAG => out.extend([0x7d, 0x02]),
            0x7d => out.extend([0x7d, 0x01]),
            byte => out.push(byte),
        }
    }
    out.push(FLAG);
    out
}

fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        match (byte, byte == &0x7d) {
            (_, true) => match bytes.next() {
                Some(2) => out.push(FLAG),
                _ => out.push(0x7d),
            },
            (byte, false) => out.push(*byte),
        }
    }
    out
}

#[cfg(test)]
mod tests;
