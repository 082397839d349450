//! Stretches of time as people write them in a script, such as `1h30m`, and the instant it begins.

use serde::{Deserialize, Deserializer, de::Error};
use toml::value::{Datetime, Offset};

/// Milliseconds after the start, or between two moments.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) i64);

impl Span {
    pub(crate) fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

/// Reads numbers with `h`, `m` and `s` behind them, in this order; seconds may have decimals.
fn parse(text: &str) -> Option<Span> {
    let mut total_ms = 0.0;
    let mut rest = text.trim();
    let mut above_ms = f64::INFINITY;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(end)?;
        let (unit, tail) = tail.split_at_checked(1)?;
        let unit_ms = match unit {
            "h" => 3_600_000.0,
            "m" => 60_000.0,
            "s" => 1000.0,
            _ => return None,
        };
        if unit_ms >= above_ms {
            return None;
        }
        above_ms = unit_ms;
        total_ms += number.parse::<f64>().ok()? * unit_ms;
        rest = tail;
    }
    above_ms
        .is_finite()
        .then(|| Span(crate::random::whole(total_ms)))
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no time such as `90s`, `5m` or `1h30m`"
            ))
        })
    }
}

/// When the script begins: milliseconds since the epoch, and what local clocks are ahead of UTC.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) ms: i64,
    pub(crate) zone_ms: i64,
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let at = Datetime::deserialize(deserializer)?;
        start(&at).ok_or_else(|| {
            D::Error::custom(format!(
                "`{at}` needs a date, a time and an offset from UTC"
            ))
        })
    }
}

fn start(at: &Datetime) -> Option<Start> {
    let (date, time, offset) = (at.date?, at.time?, at.offset?);
    let zone_ms = match offset {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes) * 60_000,
    };
    let days = days(
        i64::from(date.year),
        i64::from(date.month),
        i64::from(date.day),
    );
    let second = i64::from(time.second.unwrap_or(0));
    let local = ((days * 24 + i64::from(time.hour)) * 60 + i64::from(time.minute)) * 60 + second;
    Some(Start {
        ms: local * 1000 - zone_ms,
        zone_ms,
    })
}

/// Counts the days from 1970-01-01 in the Gregorian calendar, with years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::{Span, Start, parse, start};

    #[test]
    fn a_stretch_is_hours_minutes_and_seconds() {
        assert_eq!(parse("90s"), Some(Span(90_000)));
        assert_eq!(parse("1h30m"), Some(Span(5_400_000)));
        assert_eq!(parse("0.5s"), Some(Span(500)));
        assert_eq!(parse("0s"), Some(Span(0)));
        for text in ["", "5", "m5", "5m1h", "1d", "-5s", "5s5s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_start_is_an_instant_with_its_zone() {
        let at = |text: &str| start(&text.parse().unwrap());
        // 1,763,700,000 s is 2025-11-21T04:40:00Z.
        assert_eq!(
            at("2025-11-21T12:40:00+08:00"),
            Some(Start {
                ms: 1_763_700_000_000,
                zone_ms: 28_800_000,
            })
        );
        // 2000-02-29 is day 11,016.
        assert_eq!(at("2000-02-29T00:00:00Z").unwrap().ms, 11_016 * 86_400_000);
        assert_eq!(at("2025-11-21T12:40:00"), None);
    }
}
