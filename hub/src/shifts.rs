//! Which shift it is: times of day in the city's zone.

use crate::config::Config;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant};
use model::Timestamp;

/// The shifts where the configuration names none.
const DEFAULT: [(&str, &str); 2] = [("day", "08:00"), ("night", "20:00")];

/// The shifts of a day.
#[derive(Clone, Debug)]
pub struct Shifts {
    /// By their beginnings.
    starts: Vec<(Time, String)>,
    zone: TimeZone,
    opens_before_ms: i64,
    overdue_after_ms: i64,
}

/// One shift, from its beginning to that of the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shift {
    pub(crate) name: String,
    pub(crate) began_at: Timestamp,
    pub(crate) ends_at: Timestamp,
}

impl Shifts {
    /// Reads the shifts of a configuration; an error names the key that is wrong.
    pub(crate) fn read(config: &Config) -> Result<Self, (String, String)> {
        let named = config.shifts.iter();
        let mut texts: Vec<(String, String)> = named
            .map(|(name, shift)| (name.clone(), shift.starts.clone()))
            .collect();
        if texts.is_empty() {
            texts = DEFAULT
                .map(|(name, starts)| (name.to_owned(), starts.to_owned()))
                .into();
        }
        let mut starts = Vec::new();
        for (name, text) in texts {
            let key = format!("shifts.{name}.starts");
            let Ok(time) = Time::strptime("%H:%M", &text) else {
                return Err((key, format!("`{text}` is no time of day such as 20:00")));
            };
            if starts.iter().any(|(other, _)| *other == time) {
                return Err((key, "two shifts start at this time".to_owned()));
            }
            starts.push((time, name));
        }
        starts.sort();
        let zone = TimeZone::get(&config.city.time_zone)
            .map_err(|error| ("city.time_zone".to_owned(), error.to_string()))?;
        let ms = |minutes: u32| i64::from(minutes) * 60_000;
        Ok(Self {
            starts,
            zone,
            opens_before_ms: ms(config.handover.opens_before_min),
            overdue_after_ms: ms(config.handover.overdue_after_min),
        })
    }

    /// Finds the shift at an instant.
    pub(crate) fn at(&self, now: Timestamp) -> Option<Shift> {
        let instant = Instant::from_millisecond(now.millis()).ok()?;
        let today = instant.to_zoned(self.zone.clone()).date();
        let mut current: Option<(Timestamp, &str)> = None;
        for days in -1..=2 {
            let date = today.checked_add(Span::new().days(days)).ok()?;
            for (time, name) in &self.starts {
                let start = date.to_datetime(*time).to_zoned(self.zone.clone()).ok()?;
                let start = Timestamp::from_millis(start.timestamp().as_millisecond());
                if start > now {
                    let (began_at, name) = current?;
                    return Some(Shift {
                        name: name.to_owned(),
                        began_at,
                        ends_at: start,
                    });
                }
                current = Some((start, name));
            }
        }
        None
    }

    /// Finds the shift that a handover at an instant begins: one that is signed a little early
    /// begins the next.
    pub(crate) fn begun_by(&self, at: Timestamp) -> Option<Shift> {
        self.at(at.plus_ms(self.opens_before_ms))
    }

    pub(crate) fn opens_at(&self, shift: &Shift) -> Timestamp {
        shift.ends_at.plus_ms(-self.opens_before_ms)
    }

    pub(crate) fn overdue_at(&self, shift: &Shift) -> Timestamp {
        shift.ends_at.plus_ms(self.overdue_after_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::Shifts;
    use crate::config::Config;
    use model::Timestamp;

    fn shift(at: &str) -> (String, String, String) {
        let shifts = Shifts::read(&Config::default()).unwrap();
        let shift = shifts.at(Timestamp::parse(at).unwrap()).unwrap();
        (
            shift.name,
            shift.began_at.to_string(),
            shift.ends_at.to_string(),
        )
    }

    fn of(name: &str, began_at: &str, ends_at: &str) -> (String, String, String) {
        (name.to_owned(), began_at.to_owned(), ends_at.to_owned())
    }

    #[test]
    fn the_night_shift_goes_over_midnight_of_the_city() {
        // 08:00 in Shanghai is midnight in UTC.
        let day = of(
            "day",
            "2026-03-01T00:00:00.000Z",
            "2026-03-01T12:00:00.000Z",
        );
        assert_eq!(shift("2026-03-01T00:00:00Z"), day);
        assert_eq!(shift("2026-03-01T11:59:59.999Z"), day);
        let night = of(
            "night",
            "2026-03-01T12:00:00.000Z",
            "2026-03-02T00:00:00.000Z",
        );
        assert_eq!(shift("2026-03-01T12:00:00Z"), night);
        assert_eq!(shift("2026-03-01T23:59:59Z"), night);
    }

    #[test]
    fn a_time_that_is_none_and_two_shifts_at_once_are_mistakes() {
        let config = |text: &str| toml::from_str::<Config>(text).unwrap();
        let error = |text: &str| Shifts::read(&config(text)).unwrap_err().0;
        assert_eq!(error("[shifts.a]\nstarts = \"25:00\""), "shifts.a.starts");
        let twice = "[shifts.a]\nstarts = \"08:00\"\n[shifts.b]\nstarts = \"08:00\"";
        assert_eq!(error(twice), "shifts.b.starts");
    }
}
