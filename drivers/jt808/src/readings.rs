//! Locations as observations of a truck.

use crate::body::{Location, status};
use model::{
    Catalogue, Cause, DeviceKey, MetricKey, Observation, Position, Quality, Rejected, Timestamp,
    Value,
};
use sdk::Part;
use std::sync::Arc;

const ALARM_BITS: &str = include_str!("../data/alarm_bits.csv");

/// Times of terminals are those of Beijing (table 23: GMT+8).
const UTC_OFFSET_S: i64 = 8 * 3600;

/// 位置附加信息 that become readings, table 27.
mod extra {
    pub(super) const MILEAGE: u8 = 0x01;
    pub(super) const FUEL: u8 = 0x02;
    pub(super) const SATELLITES: u8 = 0x31;
}

/// Which times of terminals are believed.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Window {
    pub(crate) past_max_s: i64,
    pub(crate) ahead_max_s: i64,
}

#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) window: Window,
    /// A flag and the bits that set it.
    alarms: Vec<(MetricKey, u32)>,
}

impl Rules {
    /// Reads the table; a metric that the catalogue lacks is an error of this program.
    pub(crate) fn read(catalogue: Arc<Catalogue>, window: Window) -> Result<Self, String> {
        let mut alarms: Vec<(MetricKey, u32)> = Vec::new();
        let lines = ALARM_BITS.lines().skip(1);
        for line in lines.filter(|line| !line.starts_with('#')) {
            let (bit, name) = alarm(line).ok_or_else(|| format!("alarm_bits.csv: `{line}`"))?;
            let metric = catalogue.find(name);
            let metric = metric.ok_or_else(|| format!("alarm_bits.csv: no metric `{name}`"))?;
            match alarms.iter_mut().find(|(known, _)| *known == metric) {
                Some((_, bits)) => *bits |= bit,
                None => alarms.push((metric, bit)),
            }
        }
        Ok(Self {
            catalogue,
            window,
            alarms,
        })
    }
}

fn alarm(line: &'static str) -> Option<(u32, &'static str)> {
    let mut cells = line.split(',');
    let bit = 1u32.checked_shl(cells.next()?.parse().ok()?)?;
    Some((bit, cells.next()?))
}

/// Collects what one message says of one truck.
pub(crate) struct Reading<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) now: Timestamp,
    /// When this very message came first; it is the time of what has no time.
    pub(crate) first_seen: Timestamp,
    pub(crate) part: Part,
}

impl Reading<'_> {
    pub(crate) fn new(rules: &Rules, device: DeviceKey, now: Timestamp) -> Reading<'_> {
        Reading {
            rules,
            now,
            first_seen: now,
            part: Part {
                device,
                received: 0,
                observations: Vec::new(),
                rejected: Vec::new(),
            },
        }
    }

    pub(crate) fn heartbeat(&mut self) {
        self.put("heartbeat", 1.0, (self.first_seen, Quality::GOOD));
    }

    /// Takes one location. What makes up for a time out of reach (`backfill`) has its own time or none.
    pub(crate) fn location(&mut self, body: &[u8], backfill: bool) {
        let Some(location) = Location::read(body) else {
            return self.reject(None, "location_short", format!("{} bytes", body.len()));
        };
        let sent = instant(location.time);
        let age_ms = |at: Timestamp| self.now.since_ms(at);
        let believed = sent.filter(|at| {
            let window = self.rules.window;
            let recent = backfill || age_ms(*at) <= window.past_max_s * 1000;
            recent && age_ms(*at) >= -window.ahead_max_s * 1000
        });
        let when = match believed {
            Some(at) => (at, Quality::GOOD),
            None if backfill => {
                let detail = format!("time {:02x?} of a backfill", location.time);
                return self.reject(None, "bad_time", detail);
            }
            None => (self.first_seen, Quality::uncertain(Cause::Clock)),
        };
        self.place(&location, when);
        self.state(&location, when);
    }

    fn place(&mut self, location: &Location<'_>, when: (Timestamp, Quality)) {
        if !location.has_place() {
            // Without a fix there is none; a place that cannot be is counted.
            let claimed = location.status & (status::FIX | status::ENCRYPTED) == status::FIX;
            if claimed {
                let detail = format!("lon {} lat {}", location.lon, location.lat);
                self.reject(Some("position"), "position_range", detail);
            }
            return;
        }
        let position = Position {
            lon: location.lon,
            lat: location.lat,
            accuracy_m: None,
            locked: None,
        };
        self.push("position", Value::Position(position), when);
        self.put("speed_kmh", location.speed_kmh, when);
        self.put("direction_deg", f64::from(location.direction), when);
        self.put("altitude_m", f64::from(location.altitude_m), when);
    }

    fn state(&mut self, location: &Location<'_>, when: (Timestamp, Quality)) {
        let flag = |bit: u32| f64::from(u8::from(location.status & bit != 0));
        self.put("ignition", flag(status::IGNITION), when);
        self.put("door_locked", flag(status::DOOR_LOCKED), when);
        // 00 empty, 01 half, 11 full; 10 is reserved.
        let load = match location.status >> status::LOAD_AT & status::LOAD {
            0 => Some(0.0),
            1 => Some(50.0),
            3 => Some(100.0),
            _ => None,
        };
        if let Some(load) = load {
            self.put("load_pct", load, when);
        }
        for (id, value) in location.extras() {
            let number = value
                .iter()
                .take(4)
                .fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
            match (id, value.len()) {
                (extra::MILEAGE, 4) => self.put("mileage_km", f64::from(number) / 10.0, when),
                (extra::FUEL, 2) => self.put("fuel_l", f64::from(number) / 10.0, when),
                (extra::SATELLITES, 1) => self.put("satellites", f64::from(number), when),
                _ => {}
            }
        }
        let rules = self.rules;
        for (metric, bits) in &rules.alarms {
            let set = f64::from(u8::from(location.alarm & bits != 0));
            self.take(*metric, Value::Number(set), when);
        }
    }

    fn put(&mut self, metric: &'static str, number: f64, when: (Timestamp, Quality)) {
        match Value::number(number) {
            Some(value) => self.push(metric, value, when),
            None => self.reject(Some(metric), "not_a_number", number.to_string()),
        }
    }

    fn push(&mut self, metric: &'static str, value: Value, when: (Timestamp, Quality)) {
        match self.rules.catalogue.find(metric) {
            Some(key) => self.take(key, value, when),
            None => self.reject(Some(metric), "unknown_metric", String::new()),
        }
    }

    fn take(&mut self, metric: MetricKey, value: Value, (at, quality): (Timestamp, Quality)) {
        self.part.received = self.part.received.saturating_add(1);
        self.part.observations.push(Observation {
            metric,
            value,
            quality: self.rules.catalogue.judge(metric, &value).worst(quality),
            observed_at: Some(at),
        });
    }

    pub(crate) fn reject(&mut self, metric: Option<&str>, reason: &'static str, detail: String) {
        self.part.received = self.part.received.saturating_add(1);
        self.part.rejected.push(Rejected {
            metric: metric.map(str::to_owned),
            reason: reason.into(),
            detail: Some(detail),
        });
    }
}

/// Reads YYMMDDhhmmss; none for what is no time of the calendar.
pub(crate) fn instant(bcd: [u8; 6]) -> Option<Timestamp> {
    let mut parts = [0; 6];
    for (part, byte) in parts.iter_mut().zip(bcd) {
        let (tens, ones) = (byte >> 4, byte & 15);
        if tens > 9 || ones > 9 {
            return None;
        }
        *part = tens * 10 + ones;
    }
    let [year, month, day, hour, minute, second] = parts;
    let text = format!("20{year:02}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    Some(Timestamp::parse(&text).ok()?.plus_s(-UTC_OFFSET_S))
}
