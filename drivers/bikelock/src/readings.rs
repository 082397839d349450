//! What lines say, as observations of a bike.

use crate::frame::{Family, Line};
use model::{Catalogue, Cause, Observation, Position, Quality, Rejected, Timestamp, Value};
use sdk::Part;

/// Which times of locks are believed, in seconds.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Window {
    pub(crate) past_max_s: i64,
    pub(crate) ahead_max_s: i64,
}

/// 定位, NMEA in fields: `D0,tracking,hhmmss.ss,A,ddmm.mmmm,N,dddmm.mmmm,E,satellites,HDOP,ddmmyy,altitude,M,mode`.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) struct Fix {
    pub(crate) tracking: bool,
    pub(crate) at: Option<Timestamp>,
    pub(crate) place: Place,
    pub(crate) satellites: Option<f64>,
    pub(crate) hdop: Option<f64>,
    pub(crate) altitude_m: Option<f64>,
}

#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) enum Place {
    /// V: the receiver does not know.
    Unknown,
    At {
        lon: f64,
        lat: f64,
    },
    /// A, and yet nowhere on the globe.
    Wrong,
}

impl Fix {
    pub(crate) fn read(fields: &[&str]) -> Option<Self> {
        let field = |index: usize| fields.get(index).copied().unwrap_or_default();
        let place = match field(2) {
            "A" => {
                let lat = degrees(field(3), field(4), ("N", "S"), 90.0);
                let lon = degrees(field(5), field(6), ("E", "W"), 180.0);
                match (lon, lat) {
                    (Some(lon), Some(lat)) => Place::At { lon, lat },
                    _ => Place::Wrong,
                }
            }
            "V" => Place::Unknown,
            _ => return None,
        };
        Some(Self {
            tracking: field(0) == "1",
            at: instant(field(9), field(1)),
            place,
            satellites: number(field(7)),
            hdop: number(field(8)),
            altitude_m: number(field(10)),
        })
    }
}

/// Reads ddmm.mmmm with its hemisphere.
fn degrees(text: &str, side: &str, (plus, minus): (&str, &str), max: f64) -> Option<f64> {
    let value = number(text)?;
    let whole = (value / 100.0).trunc();
    let minutes = value - whole * 100.0;
    let degrees = whole + minutes / 60.0;
    let signed = if side == plus { degrees } else { -degrees };
    let plausible = value >= 0.0 && minutes < 60.0 && degrees <= max;
    (plausible && (side == plus || side == minus)).then_some(signed)
}

fn number(text: &str) -> Option<f64> {
    let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    let number = text
        .bytes()
        .all(plain)
        .then(|| text.parse::<f64>().ok())??;
    number.is_finite().then_some(number)
}

/// Reads ddmmyy and hhmmss.ss, UTC.
fn instant(date: &str, time: &str) -> Option<Timestamp> {
    let two = |text: &str, at: usize| text.get(at..at + 2).map(str::to_owned);
    let (day, month, year) = (two(date, 0)?, two(date, 2)?, two(date, 4)?);
    let (hour, minute, second) = (two(time, 0)?, two(time, 2)?, two(time, 4)?);
    Timestamp::parse(&format!("20{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}

/// Reads yymmddHHMMSS; twelve zeros are no time.
pub(crate) fn line_time(text: &str) -> Option<Timestamp> {
    let two = |at: usize| text.get(at..at + 2);
    let (year, month, day) = (two(0)?, two(2)?, two(4)?);
    let (hour, minute, second) = (two(6)?, two(8)?, two(10)?);
    Timestamp::parse(&format!("20{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}

/// Collects what one line says of one bike.
pub(crate) struct Reading<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) window: Window,
    pub(crate) now: Timestamp,
    pub(crate) first_seen: Timestamp,
    /// Whether the bike is known to be locked.
    pub(crate) locked: Option<bool>,
    pub(crate) part: Part,
}

impl Reading<'_> {
    pub(crate) fn take(&mut self, line: &Line<'_>) {
        let field = |index: usize| line.fields.get(index).copied().unwrap_or_default();
        let when = self.when(line.time.map(line_time));
        match line.command {
            "Q0" => {
                self.voltage(field(0), when);
                self.percent(field(1), when);
                self.signal(field(2), when);
            }
            "H0" => {
                if line.family != Family::Scooter {
                    self.lock(field(0), when);
                }
                self.voltage(field(1), when);
                self.signal(field(2), when);
                self.percent(field(3), when);
            }
            "S5" => {
                self.voltage(field(0), when);
                self.signal(field(1), when);
            }
            "D0" => self.position(line),
            // 0 is done, 1 is not, 2 is a wrong key.
            "L0" if field(0) == "0" => self.set_lock(false, when),
            "L0" => {}
            "L1" => {
                let at = number(field(1)).filter(|seconds| *seconds > 0.0);
                let minutes = number(field(2));
                self.set_lock(true, when);
                if let Some(minutes) = minutes.filter(|_| at.is_some()) {
                    self.put("ride_min", minutes, when);
                }
            }
            "W0" => {
                for (code, metric) in [
                    ("1", "movement_alarm"),
                    ("2", "fall_alarm"),
                    ("3", "battery_low"),
                ] {
                    self.put(metric, f64::from(u8::from(field(0) == code)), when);
                }
            }
            "E0" => self.put("fault", 1.0, when),
            _ => {}
        }
        if self.part.received == 0 {
            self.put("heartbeat", 1.0, when);
        }
    }

    /// Chooses the time of a line: `None` for a family that writes none, `Some(None)` for one that does
    /// not know it.
    fn when(&self, said: Option<Option<Timestamp>>) -> (Timestamp, Quality) {
        let believed = said.flatten().filter(|at| self.believes(*at));
        match (said, believed) {
            (_, Some(at)) => (at, Quality::GOOD),
            // What was never said cannot be wrong.
            (None | Some(None), None) => (self.first_seen, Quality::GOOD),
            (Some(Some(_)), None) => (self.first_seen, Quality::uncertain(Cause::Clock)),
        }
    }

    fn believes(&self, at: Timestamp) -> bool {
        let age_ms = self.now.since_ms(at);
        age_ms <= self.window.past_max_s * 1000 && age_ms >= -self.window.ahead_max_s * 1000
    }

    fn position(&mut self, line: &Line<'_>) {
        let Some(fix) = Fix::read(&line.fields) else {
            return self.reject(Some("position"), "position_shape", line.fields.join(","));
        };
        let when = self.when(Some(fix.at));
        match fix.place {
            Place::Unknown => {}
            Place::Wrong => {
                self.reject(Some("position"), "position_range", line.fields.join(","));
            }
            Place::At { lon, lat } => {
                let position = Position {
                    lon,
                    lat,
                    accuracy_m: None,
                    locked: self.locked,
                };
                self.push("position", Value::Position(position), when);
            }
        }
        if let Some(satellites) = fix.satellites {
            self.put("satellites", satellites, when);
        }
    }

    fn lock(&mut self, flag: &str, when: (Timestamp, Quality)) {
        match flag {
            "1" => self.set_lock(true, when),
            "0" => self.set_lock(false, when),
            other => self.reject(Some("locked"), "wrong_type", other.to_owned()),
        }
    }

    fn set_lock(&mut self, locked: bool, when: (Timestamp, Quality)) {
        self.locked = Some(locked);
        self.put("locked", f64::from(u8::from(locked)), when);
    }

    /// Hundredths of a volt.
    fn voltage(&mut self, text: &str, when: (Timestamp, Quality)) {
        match number(text) {
            Some(hundredths) => self.put("voltage_v", hundredths / 100.0, when),
            None => self.reject(Some("voltage_v"), "wrong_type", text.to_owned()),
        }
    }

    fn percent(&mut self, text: &str, when: (Timestamp, Quality)) {
        if let Some(percent) = number(text) {
            self.put("battery_pct", percent, when);
        }
    }

    /// 2 to 32, by the modem's AT+CSQ: −113 dBm and 2 dBm a step.
    fn signal(&mut self, text: &str, when: (Timestamp, Quality)) {
        if let Some(steps) = number(text).filter(|steps| (0.0..=32.0).contains(steps)) {
            self.put("signal_dbm", steps * 2.0 - 113.0, when);
        }
    }

    fn put(&mut self, metric: &'static str, number: f64, when: (Timestamp, Quality)) {
        match Value::number(number) {
            Some(value) => self.push(metric, value, when),
            None => self.reject(Some(metric), "not_a_number", number.to_string()),
        }
    }

    fn push(&mut self, metric: &'static str, value: Value, (at, quality): (Timestamp, Quality)) {
        let Some(key) = self.catalogue.find(metric) else {
            return self.reject(Some(metric), "unknown_metric", String::new());
        };
        self.part.received = self.part.received.saturating_add(1);
        self.part.observations.push(Observation {
            metric: key,
            value,
            quality: self.catalogue.judge(key, &value).worst(quality),
            observed_at: Some(at),
        });
    }

    fn reject(&mut self, metric: Option<&str>, reason: &'static str, detail: String) {
        self.part.received = self.part.received.saturating_add(1);
        self.part.rejected.push(Rejected {
            metric: metric.map(str::to_owned),
            reason: reason.into(),
            detail: Some(detail),
        });
    }
}
