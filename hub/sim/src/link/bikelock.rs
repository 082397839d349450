//! The line protocol of Omni's bike locks: heartbeats and positions, which nothing answers, and locking,
//! which is repeated until it is.

use super::frame::{Answer, Parcel, Wire, identity};
use crate::calendar::{Clock, whole_second};
use crate::fleet::Device;
use crate::observation::{Measure, Observation};
use crate::random::whole;
use crate::way::{Way, number};

const FAMILY: &str = "*CMDR,OM";
/// What answers name: a lock that was opened, and one that was closed.
const OPENED: u64 = 0;
const CLOSED: u64 = 1;
/// Steps of the modem's signal (AT+CSQ).
const SIGNAL: u8 = 24;
/// A cell gives so many hundredths of a volt when it is empty, and so many more when it is full.
const VOLTAGE: (f64, f64) = (350.0, 70.0);
/// A line of a hub is never longer.
const LINE_BYTES_MAX: usize = 512;

/// One lock.
#[derive(Debug)]
pub(super) struct BikeLock {
    imei: String,
    locked: Option<bool>,
    /// When it was opened.
    opened_ms: i64,
    battery_pct: f64,
}

impl BikeLock {
    pub(super) fn new(device: &Device) -> Self {
        Self {
            imei: identity(device, "bikelock").to_owned(),
            locked: None,
            opened_ms: 0,
            battery_pct: 100.0,
        }
    }

    fn line(&self, at_ms: i64, text: &str) -> String {
        let time = Clock::utc(at_ms).short_digits();
        format!("{FAMILY},{},{time},{text}#\n", self.imei)
    }

    fn voltage(&self) -> i64 {
        whole(VOLTAGE.0 + VOLTAGE.1 * self.battery_pct / 100.0)
    }

    /// H0: lock, voltage, signal, battery.
    fn state(&self, at_ms: i64) -> String {
        let (locked, volts) = (u8::from(self.locked != Some(false)), self.voltage());
        let pct = self.battery_pct;
        self.line(at_ms, &format!("H0,{locked},{volts},{SIGNAL},{pct:.0}"))
    }

    /// D0: a position as NMEA 0183 writes one.
    fn position(&self, at_ms: i64, (lon, lat): (f64, f64)) -> String {
        let clock = Clock::utc(at_ms);
        let (north, east) = (minutes(lat, 2), minutes(lon, 3));
        let (ns, ew) = (
            if lat < 0.0 { 'S' } else { 'N' },
            if lon < 0.0 { 'W' } else { 'E' },
        );
        let time = format!("{:02}{:02}{:02}", clock.hour, clock.minute, clock.second);
        let date = format!("{:02}{:02}{:02}", clock.day, clock.month, clock.year % 100);
        self.line(
            at_ms,
            &format!("D0,0,{time}.00,A,{north},{ns},{east},{ew},8,0.90,{date},12,M,A"),
        )
    }
}

impl Wire for BikeLock {
    /// Q0: the sign-in.
    fn greet(&mut self, now_ms: i64) -> Vec<u8> {
        let text = format!("Q0,{}", self.voltage());
        self.line(now_ms, &text).into_bytes()
    }

    fn encode(&mut self, device: &Device, ts_ms: i64, observations: &[Observation]) -> Parcel {
        let mut said = Way::BikeLock.says(device, observations).into_owned();
        let ts_ms = whole_second(ts_ms);
        let before = self.locked;
        let mut place = None;
        for observation in &said {
            if let Measure::Position {
                lon, lat, locked, ..
            } = observation.measure
            {
                place = Some((lon, lat));
                self.locked = Some(locked);
            }
        }
        self.battery_pct = number(&said, "battery_pct").unwrap_or(self.battery_pct);
        let seconds = ts_ms / 1000;
        let (mut text, expects) = match (before, self.locked) {
            (Some(false), Some(true)) => {
                let ridden_min = (ts_ms - self.opened_ms) / 60_000;
                let event = format!("L1,1,{},{ridden_min}", self.opened_ms / 1000);
                (self.line(ts_ms, &event), Some(CLOSED))
            }
            (Some(true), Some(false)) => {
                self.opened_ms = ts_ms;
                let event = format!("L0,0,1,{seconds}");
                (self.line(ts_ms, &event), Some(OPENED))
            }
            _ => (String::new(), None),
        };
        if expects.is_some() {
            // The answer is to this line alone.
            let locked = f64::from(u8::from(self.locked == Some(true)));
            said = vec![Observation::number("locked", locked, 0)];
        }
        text.push_str(&self.state(ts_ms));
        if let Some(place) = place {
            text.push_str(&self.position(ts_ms, place));
        }
        Parcel {
            bytes: text.into_bytes(),
            expects,
            ts_ms,
            said,
        }
    }

    fn heartbeat(&mut self, now_ms: i64) -> Vec<u8> {
        self.state(now_ms).into_bytes()
    }

    fn take(&mut self, received: &mut Vec<u8>, _: i64) -> Option<Answer> {
        let Some(end) = received.iter().position(|byte| *byte == b'#') else {
            if received.len() > LINE_BYTES_MAX {
                received.clear();
            }
            return None;
        };
        let line = String::from_utf8_lossy(received.get(..end)?).into_owned();
        received.drain(..=end);
        // Whatever the command's place: `…,L1` or `…,Re,L1`.
        Some(match line.rsplit(',').next() {
            Some("L0") => Answer::Acked(Some(OPENED)),
            Some("L1") => Answer::Acked(Some(CLOSED)),
            _ => Answer::Nothing,
        })
    }
}

/// Degrees and minutes: `ddmm.mmmm`, with so many digits of degrees.
fn minutes(degrees: f64, digits: usize) -> String {
    let ten_thousandths = whole(degrees.abs() * 600_000.0);
    let (whole_degrees, rest) = (ten_thousandths / 600_000, ten_thousandths % 600_000);
    format!(
        "{whole_degrees:0digits$}{:02}.{:04}",
        rest / 10_000,
        rest % 10_000
    )
}

#[cfg(test)]
mod tests;
