//! The texts of a schedule: `22:00-06:00`, `mon-fri`, `11-15/03-15`.

use super::{Dates, Schedule, Window};
use jiff::civil::Date;
use serde_json::{Map, Value, json};

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const WEEKDAYS_IN_FULL: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
const MINUTES_OF_DAY: u16 = 24 * 60;
/// A year that has every month and day.
const LEAP_YEAR: i16 = 2000;

impl Schedule {
    /// Adds a time window such as `22:00-06:00`.
    pub(crate) fn add_times(&mut self, text: &str) -> Result<(), String> {
        let (from, to) = text
            .split_once('-')
            .ok_or_else(|| format!("`{text}` is no time window such as \"22:00-06:00\""))?;
        self.add_window(from, to)
    }

    /// Adds the time window between two times such as `22:00` and `06:00`.
    pub(crate) fn add_window(&mut self, from: &str, to: &str) -> Result<(), String> {
        let (from_min, to_min) = (minute(from)?, minute(to)?);
        if from_min == MINUTES_OF_DAY {
            return Err("24:00 is the end of a day; a window begins at 00:00".to_owned());
        }
        if from_min == to_min {
            return Err(format!(
                "{} to {} is nothing; a whole day is 00:00-24:00",
                from.trim(),
                to.trim()
            ));
        }
        self.times.push(Window { from_min, to_min });
        Ok(())
    }

    /// Adds a weekday or a range of them: `mon`, `mon-fri`, `6-7`.
    pub(crate) fn add_weekdays(&mut self, text: &str) -> Result<(), String> {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let (mut day, last) = (weekday(from)?, weekday(to)?);
        loop {
            self.weekdays |= 1 << day;
            if day == last {
                return Ok(());
            }
            day = (day + 1) % 7;
        }
    }

    /// Adds a date or a range of dates on which windows begin.
    pub(crate) fn add_dates(&mut self, text: &str) -> Result<(), String> {
        self.dates.push(dates(text)?);
        Ok(())
    }

    /// Adds a date or a range of dates on which none begins.
    pub(crate) fn add_except_dates(&mut self, text: &str) -> Result<(), String> {
        self.except_dates.push(dates(text)?);
        Ok(())
    }

    /// Writes the schedule as a rule has it.
    pub(crate) fn to_json(&self) -> Value {
        let mut fields = Map::new();
        let mut put = |key: &str, texts: Vec<String>| {
            if !texts.is_empty() {
                fields.insert(key.to_owned(), json!(texts));
            }
        };
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let window = |w: &Window| format!("{}-{}", clock(w.from_min), clock(w.to_min));
        put("times", self.times.iter().map(window).collect());
        let days = WEEKDAYS.iter().enumerate();
        let days = days.filter(|(day, _)| self.weekdays & (1 << day) != 0);
        put(
            "weekdays",
            days.map(|(_, name)| (*name).to_owned()).collect(),
        );
        put("dates", self.dates.iter().map(dates_text).collect());
        let except_dates = self.except_dates.iter().map(dates_text);
        put("except_dates", except_dates.collect());
        Value::Object(fields)
    }
}

/// Reads `HH:MM` up to `24:00`.
fn minute(text: &str) -> Result<u16, String> {
    let read = || {
        let (hour, minute) = text.trim().split_once(':')?;
        let hour = number(hour, 2)?;
        let minute = number(minute, 2).filter(|minute| *minute < 60)?;
        Some(hour * 60 + minute).filter(|minute| *minute <= MINUTES_OF_DAY)
    };
    read().ok_or_else(|| {
        let text = text.trim();
        format!("`{text}` is no time of day between 00:00 and 24:00")
    })
}

/// Reads a plain number of at most so many digits.
fn number(text: &str, digits_max: usize) -> Option<u16> {
    let is_plain = !text.is_empty()
        && text.len() <= digits_max
        && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// Reads a weekday by name or by its number of ISO 8601, where 1 is Monday.
fn weekday(text: &str) -> Result<usize, String> {
    let name = text.trim().to_ascii_lowercase();
    let by_name = |names: &[&str; 7]| names.iter().position(|known| *known == name);
    let by_number = || {
        let number = number(&name, 1)?;
        usize::from(number).checked_sub(1).filter(|day| *day < 7)
    };
    by_name(&WEEKDAYS)
        .or_else(|| by_name(&WEEKDAYS_IN_FULL))
        .or_else(by_number)
        .ok_or_else(|| {
            let text = text.trim();
            format!("`{text}` is no weekday; there are mon to sun, or 1 (Monday) to 7")
        })
}

fn dates(text: &str) -> Result<Dates, String> {
    let (from, to) = text.split_once('/').unwrap_or((text, text));
    match (day(from)?, day(to)?) {
        (Day::Yearly(from), Day::Yearly(to)) => Ok(Dates::Yearly { from, to }),
        (Day::Once(from), Day::Once(to)) if from <= to => Ok(Dates::Once { from, to }),
        (Day::Once(_), Day::Once(_)) => Err(format!("`{text}` ends before it begins")),
        (Day::Yearly(_), Day::Once(_)) | (Day::Once(_), Day::Yearly(_)) => {
            Err(format!("`{text}` has a year at one end only"))
        }
    }
}

enum Day {
    Yearly((i8, i8)),
    Once((i16, i8, i8)),
}

/// Reads `MM-DD` or `YYYY-MM-DD`, if there is such a day.
fn day(text: &str) -> Result<Day, String> {
    let text = text.trim();
    let small = |part: &str| i8::try_from(number(part, 2)?).ok();
    let read = || {
        let parts: Vec<&str> = text.split('-').collect();
        match parts.as_slice() {
            [month, day] => {
                let date = Date::new(LEAP_YEAR, small(month)?, small(day)?).ok()?;
                Some(Day::Yearly((date.month(), date.day())))
            }
            [year, month, day] if year.len() == 4 => {
                let year = i16::try_from(number(year, 4)?).ok()?;
                let date = Date::new(year, small(month)?, small(day)?).ok()?;
                Some(Day::Once((date.year(), date.month(), date.day())))
            }
            _ => None,
        }
    };
    read().ok_or_else(|| {
        format!("`{text}` is no date such as \"2026-11-15\", or \"11-15\" for every year")
    })
}

fn dates_text(dates: &Dates) -> String {
    let yearly = |(month, day): (i8, i8)| format!("{month:02}-{day:02}");
    let once = |(year, month, day): (i16, i8, i8)| format!("{year:04}-{month:02}-{day:02}");
    let (from, to) = match dates {
        Dates::Yearly { from, to } => (yearly(*from), yearly(*to)),
        Dates::Once { from, to } => (once(*from), once(*to)),
    };
    if from == to {
        from
    } else {
        format!("{from}/{to}")
    }
}
