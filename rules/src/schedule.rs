//! When a rule counts: times of day, weekdays and dates, as a clock on the city's wall shows them.

mod parse;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};

const DAY_MS: i64 = 86_400_000;
/// How many days [`Schedule::next_edge_ms`] looks through at once.
const SPAN_DAYS: i64 = 8;
/// How far it looks: nine years, because the leap days of 2096 and 2104 are eight years apart.
const SIGHT_DAYS: i64 = 9 * 366;

/// The time zone of a city, by its IANA name, from the table that the program carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Finds a zone such as `Asia/Shanghai`.
    pub fn named(name: &str) -> Option<Self> {
        TimeZone::get(name).ok().map(Self)
    }

    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Gives the IANA name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Tells what a clock on the wall shows; instants beyond all calendars show the last one.
    fn wall(&self, at_ms: i64) -> DateTime {
        let beyond = if at_ms < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        let at = Timestamp::from_millisecond(at_ms).unwrap_or(beyond);
        self.0.to_datetime(at)
    }

    /// Adds every instant at which the wall shows `wall`: none in a gap, two in a fold.
    fn add_instants(&self, wall: DateTime, instants: &mut Vec<i64>) {
        let offsets = match self.0.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => [Some(offset), None],
            AmbiguousOffset::Gap { .. } => [None, None],
            AmbiguousOffset::Fold { before, after } => [Some(before), Some(after)],
        };
        for offset in offsets.into_iter().flatten() {
            if let Ok(at) = offset.to_timestamp(wall) {
                instants.push(at.as_millisecond());
            }
        }
    }

    /// Adds the instants in `(from_ms, to_ms]` at which clocks are changed.
    fn add_changes(&self, from_ms: i64, to_ms: i64, instants: &mut Vec<i64>) {
        let Ok(from) = Timestamp::from_millisecond(from_ms) else {
            return;
        };
        let changes = self
            .0
            .following(from)
            .map(|c| c.timestamp().as_millisecond());
        instants.extend(changes.take_while(|at_ms| *at_ms <= to_ms));
    }
}

/// A time window of a day, in minutes since its midnight.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    from_min: u16,
    /// Excluded; before `from_min` it is a time of the next day.
    to_min: u16,
}

impl Window {
    fn is_over_midnight(self) -> bool {
        self.to_min < self.from_min
    }

    /// Tells whether the minute lies in the part of the window that is on its own day.
    fn holds(self, minute: u16) -> bool {
        self.from_min <= minute && (minute < self.to_min || self.is_over_midnight())
    }

    /// Tells whether the minute lies in the part that is on the day after.
    fn spills_to(self, minute: u16) -> bool {
        self.is_over_midnight() && minute < self.to_min
    }
}

/// A range of dates, both ends included.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Dates {
    /// Month and day of every year; over the turn of the year where the end comes first.
    Yearly { from: (i8, i8), to: (i8, i8) },
    Once {
        from: (i16, i8, i8),
        to: (i16, i8, i8),
    },
}

impl Dates {
    fn include(self, date: Date) -> bool {
        match self {
            Self::Yearly { from, to } => {
                let day = (date.month(), date.day());
                if from <= to {
                    from <= day && day <= to
                } else {
                    from <= day || day <= to
                }
            }
            Self::Once { from, to } => {
                let day = (date.year(), date.month(), date.day());
                from <= day && day <= to
            }
        }
    }
}

/// When a rule counts. The default is always.
///
/// The wall clock decides: what it skips is not there, so that a window which begins in a skipped
/// hour opens as the clock jumps; what it repeats counts both times. A window over midnight belongs
/// to the day on which it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// None means the whole day.
    times: Vec<Window>,
    /// Bit 0 is Monday; none means every day.
    weekdays: u8,
    /// None means every date.
    dates: Vec<Dates>,
    except_dates: Vec<Dates>,
}

impl Schedule {
    /// Tells whether the schedule never closes.
    pub fn is_always(&self) -> bool {
        *self == Self::default()
    }

    /// Tells whether the rule counts at this instant.
    pub fn is_open(&self, zone: &Zone, at_ms: i64) -> bool {
        if self.is_always() {
            return true;
        }
        let wall = zone.wall(at_ms);
        let is_own_day = self.takes(wall.date());
        if self.times.is_empty() {
            return is_own_day;
        }
        let minute =
            u16::from(wall.hour().unsigned_abs()) * 60 + u16::from(wall.minute().unsigned_abs());
        (is_own_day && self.times.iter().any(|window| window.holds(minute)))
            || (self.times.iter().any(|window| window.spills_to(minute))
                && wall.date().yesterday().is_ok_and(|date| self.takes(date)))
    }

    /// Finds the first instant after `after_ms` at which [`Schedule::is_open`] changes; none if
    /// that is not within nine years.
    pub fn next_edge_ms(&self, zone: &Zone, after_ms: i64) -> Option<i64> {
        if self.is_always() {
            return None;
        }
        let is_open = self.is_open(zone, after_ms);
        let mut instants = Vec::new();
        for span in 0..SIGHT_DAYS / SPAN_DAYS {
            let from_ms = after_ms.checked_add(span * SPAN_DAYS * DAY_MS)?;
            let to_ms = from_ms.checked_add(SPAN_DAYS * DAY_MS)?;
            instants.clear();
            self.add_candidates(zone, from_ms, to_ms, &mut instants);
            instants.retain(|at_ms| from_ms < *at_ms && *at_ms <= to_ms);
            instants.sort_unstable();
            let edge = instants
                .iter()
                .find(|at_ms| self.is_open(zone, **at_ms) != is_open);
            if let Some(edge) = edge {
                return Some(*edge);
            }
        }
        None
    }

    /// Adds every instant of the span at which something may change.
    fn add_candidates(&self, zone: &Zone, from_ms: i64, to_ms: i64, instants: &mut Vec<i64>) {
        zone.add_changes(from_ms, to_ms, instants);
        let Ok(first) = zone.wall(from_ms).date().yesterday() else {
            return;
        };
        let last = zone.wall(to_ms).date().tomorrow().unwrap_or(Date::MAX);
        let mut was_taken = first.yesterday().is_ok_and(|date| self.takes(date));
        for date in first.series(jiff::Span::new().days(1)) {
            if date > last {
                break;
            }
            let is_taken = self.takes(date);
            if is_taken != was_taken {
                zone.add_instants(date.to_datetime(time(0, 0, 0, 0)), instants);
            }
            if is_taken || was_taken {
                for window in &self.times {
                    for minute in [window.from_min, window.to_min] {
                        zone.add_instants(at_minute(date, minute), instants);
                    }
                }
            }
            was_taken = is_taken;
        }
    }

    /// Tells how long the windows of one day are together.
    pub(crate) fn open_ms_per_day(&self) -> i64 {
        if self.times.is_empty() {
            return DAY_MS;
        }
        let minutes = |window: &Window| {
            let minutes = i64::from(window.to_min) - i64::from(window.from_min);
            if window.is_over_midnight() {
                minutes + DAY_MS / 60_000
            } else {
                minutes
            }
        };
        self.times.iter().map(minutes).sum::<i64>() * 60_000
    }

    /// Tells whether windows begin on this date.
    fn takes(&self, date: Date) -> bool {
        let weekday = 1 << date.weekday().to_monday_zero_offset();
        (self.weekdays == 0 || self.weekdays & weekday != 0)
            && (self.dates.is_empty() || self.dates.iter().any(|dates| dates.include(date)))
            && !self.except_dates.iter().any(|dates| dates.include(date))
    }
}

/// Gives a minute of a day; the 1440th is the next midnight.
fn at_minute(date: Date, minute: u16) -> DateTime {
    let midnight = date.to_datetime(time(0, 0, 0, 0));
    midnight.saturating_add(jiff::Span::new().minutes(i64::from(minute)))
}

#[cfg(test)]
mod tests;
