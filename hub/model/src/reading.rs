//! One observed value of one series.

use crate::{DeviceKey, MetricKey, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One metric of one device: the key of everything.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Series {
    pub device: DeviceKey,
    pub metric: MetricKey,
}

/// What was observed.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Value {
    /// Finite; [`Value::number`] sees to that.
    Number(f64),
    Position(Position),
}

impl Value {
    /// Takes a finite number; NaN and infinities are refused at the edge.
    pub fn number(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self::Number(number))
    }

    /// Gives the number, if this is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Position(_) => None,
        }
    }
}

/// A reported place (WGS84 degrees) with the receiver's own estimate of its error.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    pub lon: f64,
    pub lat: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_m: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
}

impl Position {
    /// Tells whether the coordinates lie on the globe and the accuracy is no nonsense.
    pub fn is_plausible(&self) -> bool {
        (-180.0..=180.0).contains(&self.lon)
            && (-90.0..=90.0).contains(&self.lat)
            && self.accuracy_m.is_none_or(|m| m.is_finite() && m >= 0.0)
    }
}

/// Why a value is not plainly good.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// Outside the metric's plausible range, such as Pa sent as kPa.
    Range = 1,
    /// The device's clock cannot be right.
    Clock = 2,
    /// It moved faster than the measured thing can.
    Rate = 3,
    /// It has not moved for too long.
    Stuck = 4,
    /// The device itself said so (a data flag).
    Flag = 5,
}

impl Cause {
    const ALL: [Self; 5] = [
        Self::Range,
        Self::Clock,
        Self::Rate,
        Self::Stuck,
        Self::Flag,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::Clock => "clock",
            Self::Rate => "rate",
            Self::Stuck => "stuck",
            Self::Flag => "flag",
        }
    }
}

/// How far a value can be trusted: one byte, as it is stored.
///
/// The text form is `good`, `uncertain:<cause>` or `bad:<cause>`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quality(u8);

const UNCERTAIN: u8 = 0x40;
const BAD: u8 = 0x80;

impl Quality {
    pub const GOOD: Self = Self(0);

    pub const fn uncertain(cause: Cause) -> Self {
        Self(UNCERTAIN | cause as u8)
    }

    pub const fn bad(cause: Cause) -> Self {
        Self(BAD | cause as u8)
    }

    pub const fn code(self) -> u8 {
        self.0
    }

    pub const fn from_code(code: u8) -> Self {
        Self(code)
    }

    pub const fn is_good(self) -> bool {
        self.0 == 0
    }

    pub const fn is_bad(self) -> bool {
        self.0 & BAD != 0
    }

    /// Keeps the worse of two judgements.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        self.max(other)
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_good() {
            return f.write_str("good");
        }
        let cause = self.0 & 0x3f;
        let name = Cause::ALL
            .iter()
            .find(|c| **c as u8 == cause)
            .map_or("other", |c| c.name());
        write!(
            f,
            "{}:{name}",
            if self.is_bad() { "bad" } else { "uncertain" }
        )
    }
}

/// What a driver decoded: a value that has no received time yet.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Observation {
    pub metric: MetricKey,
    pub value: Value,
    pub quality: Quality,
    /// The device's own time; without one the hub's arrival time is taken.
    pub observed_at: Option<Timestamp>,
}

/// An observed value as the journal keeps it.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Reading {
    pub series: Series,
    pub value: Value,
    pub quality: Quality,
    pub observed_at: Timestamp,
    /// The stamp of the commit that took it in.
    pub received_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::{Cause, Quality, Value};

    #[test]
    fn a_number_is_finite_by_construction() {
        assert_eq!(Value::number(f64::NAN), None);
        assert_eq!(Value::number(f64::INFINITY), None);
        assert_eq!(Value::number(-1.5), Some(Value::Number(-1.5)));
    }

    #[test]
    fn quality_has_a_readable_form_and_bad_is_worst() {
        assert_eq!(Quality::GOOD.to_string(), "good");
        assert_eq!(
            Quality::uncertain(Cause::Clock).to_string(),
            "uncertain:clock"
        );
        assert_eq!(Quality::bad(Cause::Range).to_string(), "bad:range");
        let worst = Quality::uncertain(Cause::Clock).worst(Quality::bad(Cause::Range));
        assert_eq!(worst, Quality::bad(Cause::Range));
    }
}
