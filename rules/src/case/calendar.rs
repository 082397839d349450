//! The clock of a case (处置时限): hours of the wall, hours of work, days of work.

use crate::{Schedule, Zone};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A calendar that never opens within this time has an error; nobody waits longer for a case.
const SIGHT_DAYS: i64 = 400;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

/// How a time limit is counted, as a running city platform does it (reference: 立结案标准).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// 紧急工作时: natural hours, by night and on holidays, too.
    UrgentHour,
    /// 工作时: hours within the working hours.
    WorkHour,
    /// 工作日: days of work, each as long as the working hours of a day.
    WorkDay,
    /// 自然日.
    NaturalDay,
}

impl TimeUnit {
    pub const ALL: [Self; 4] = [
        Self::UrgentHour,
        Self::WorkHour,
        Self::WorkDay,
        Self::NaturalDay,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::UrgentHour => "urgent_hour",
            Self::WorkHour => "work_hour",
            Self::WorkDay => "work_day",
            Self::NaturalDay => "natural_day",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name() == name)
    }

    fn is_of_work(self) -> bool {
        matches!(self, Self::WorkHour | Self::WorkDay)
    }
}

impl fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How long a case may take.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeLimit {
    pub amount: u32,
    pub unit: TimeUnit,
}

/// The texts of a calendar, as the city writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingTimes {
    /// Such as `08:00-12:00`, `14:00-18:00`.
    pub hours: Vec<String>,
    /// Such as `mon-fri`.
    pub weekdays: Vec<String>,
    /// Days off: `2026-10-01/2026-10-07`.
    pub holidays: Vec<String>,
    /// Days of work that the weekdays do not have (调休上班): `2026-10-10`.
    pub working_dates: Vec<String>,
}

/// When the city works.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: Zone,
    usual: Schedule,
    made_up: Option<Schedule>,
    day_ms: i64,
}

impl Calendar {
    /// Reads a calendar; the error names the text and why it is none.
    pub fn new(zone: Zone, times: &WorkingTimes) -> Result<Self, String> {
        let mut hours = Schedule::default();
        for text in &times.hours {
            hours.add_times(text)?;
        }
        let mut usual = hours.clone();
        for text in &times.weekdays {
            usual.add_weekdays(text)?;
        }
        for text in times.holidays.iter().chain(&times.working_dates) {
            usual.add_except_dates(text)?;
        }
        let mut made_up = hours;
        for text in &times.working_dates {
            made_up.add_dates(text)?;
        }
        let mut calendar = Self {
            zone,
            usual,
            made_up: (!times.working_dates.is_empty()).then_some(made_up),
            day_ms: 0,
        };
        calendar.day_ms = calendar.usual.open_ms_per_day();
        Ok(calendar)
    }

    /// Tells when a limit that begins at `from` is over.
    pub fn due(&self, from: Timestamp, limit: TimeLimit) -> Timestamp {
        let span_ms = self.span_ms(limit);
        self.after(from, span_ms, limit.unit)
    }

    /// Tells when so much time of a kind has passed since `from`.
    pub fn after(&self, from: Timestamp, span_ms: i64, unit: TimeUnit) -> Timestamp {
        if !unit.is_of_work() {
            return from.plus_ms(span_ms);
        }
        let mut left_ms = span_ms;
        let mut at_ms = from.millis();
        let last_ms = at_ms.saturating_add(SIGHT_DAYS * DAY_MS);
        while at_ms < last_ms {
            let edge_ms = self.next_edge_ms(at_ms).unwrap_or(last_ms);
            if self.is_open(at_ms) {
                if left_ms <= edge_ms - at_ms {
                    return Timestamp::from_millis(at_ms + left_ms);
                }
                left_ms -= edge_ms - at_ms;
            }
            at_ms = edge_ms;
        }
        // A calendar without work cannot hold a case for ever: then the wall clock counts.
        from.plus_ms(span_ms)
    }

    /// Measures how much time of a kind lies between two instants, in milliseconds.
    pub fn spent_ms(&self, from: Timestamp, to: Timestamp, unit: TimeUnit) -> i64 {
        if !unit.is_of_work() {
            return to.since_ms(from).max(0);
        }
        let (mut at_ms, to_ms) = (from.millis(), to.millis());
        let mut spent_ms = 0;
        while at_ms < to_ms {
            let edge_ms = self.next_edge_ms(at_ms).unwrap_or(to_ms).min(to_ms);
            if self.is_open(at_ms) {
                spent_ms += edge_ms - at_ms;
            }
            at_ms = edge_ms;
        }
        spent_ms
    }

    fn span_ms(&self, limit: TimeLimit) -> i64 {
        let unit_ms = match limit.unit {
            TimeUnit::UrgentHour | TimeUnit::WorkHour => HOUR_MS,
            TimeUnit::WorkDay => self.day_ms,
            TimeUnit::NaturalDay => DAY_MS,
        };
        unit_ms.saturating_mul(i64::from(limit.amount))
    }

    fn is_open(&self, at_ms: i64) -> bool {
        let made_up = self.made_up.as_ref();
        self.usual.is_open(&self.zone, at_ms)
            || made_up.is_some_and(|days| days.is_open(&self.zone, at_ms))
    }

    /// Finds the next instant at which work may begin or end.
    fn next_edge_ms(&self, after_ms: i64) -> Option<i64> {
        let made_up = self.made_up.as_ref();
        let made_up = made_up.and_then(|days| days.next_edge_ms(&self.zone, after_ms));
        let usual = self.usual.next_edge_ms(&self.zone, after_ms);
        match (usual, made_up) {
            (Some(usual), Some(made_up)) => Some(usual.min(made_up)),
            (edge, None) | (None, edge) => edge,
        }
    }
}

#[cfg(test)]
mod tests;
