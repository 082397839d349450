//! Factors that keep decimals exact, and the table of units.

use std::collections::HashMap;

const TABLE: &str = include_str!("../../data/units.csv");

/// How far the inverse of a factor may be from a whole number to be taken for it.
const NEARLY: f64 = 1e-9;

/// A factor as a fraction: 0.1 is a division by ten, so that 634 tenths are 63.4 and nothing near.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Scale {
    pub times: f64,
    pub over: f64,
}

impl Scale {
    pub const ONE: Self = Self {
        times: 1.0,
        over: 1.0,
    };

    pub fn new(factor: f64) -> Result<Self, String> {
        if !factor.is_finite() || factor.abs() < f64::MIN_POSITIVE {
            return Err(format!("{factor} cannot be a scale"));
        }
        let inverse = factor.recip().round();
        let is_fraction =
            factor.abs() < 1.0 && (factor * inverse - 1.0).abs() < NEARLY && inverse.is_finite();
        Ok(if is_fraction {
            Self {
                times: 1.0,
                over: inverse,
            }
        } else {
            Self {
                times: factor,
                over: 1.0,
            }
        })
    }

    /// A division by ten as often as that.
    pub fn decimals(digits: u16) -> Self {
        Self {
            times: 1.0,
            over: 10f64.powi(i32::from(digits)),
        }
    }

    /// One after the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            times: self.times * other.times,
            over: self.over * other.over,
        }
    }

    #[cfg(test)]
    fn of(self, raw: f64) -> f64 {
        raw * self.times / self.over
    }
}

/// The units that a map may write.
#[derive(Debug)]
pub(super) struct Units {
    factors: HashMap<(String, String), Scale>,
}

impl Units {
    pub(super) fn built_in() -> Self {
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .from_reader(TABLE.as_bytes());
        let row = |record: csv::StringRecord| -> Option<((String, String), Scale)> {
            let (unit, is) = (record.get(0)?.to_owned(), record.get(1)?.to_owned());
            let factor = record.get(2)?.parse().ok()?;
            Some(((unit, is), Scale::new(factor).ok()?))
        };
        let records = reader.records().filter_map(Result::ok);
        Self {
            factors: records.filter_map(row).collect(),
        }
    }

    /// Gives what turns a value in `from` into one in `to`.
    pub(super) fn between(&self, from: &str, to: &str) -> Result<Scale, String> {
        if from == to {
            return Ok(Scale::ONE);
        }
        if from.is_empty() {
            return Err(format!("missing `unit`; the metric is in `{to}`"));
        }
        let known = (from.to_owned(), to.to_owned());
        self.factors.get(&known).copied().ok_or_else(|| {
            let others = self.factors.keys().filter(|(_, is)| is == to);
            let mut others: Vec<&str> = others.map(|(unit, _)| unit.as_str()).collect();
            others.sort_unstable();
            let others = others.join(", ");
            format!("the metric is in `{to}`, and `{from}` cannot be turned into it; can: {others}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Scale, TABLE, Units};

    #[test]
    fn tenths_and_thousandths_are_exact() {
        assert_eq!(
            Scale::new(0.1).unwrap().of(634.0).to_bits(),
            63.4f64.to_bits()
        );
        assert_eq!(
            Scale::new(0.001).unwrap().of(-12.0).to_bits(),
            (-0.012f64).to_bits()
        );
        assert_eq!(
            Scale::new(0.0625).unwrap().of(3.0).to_bits(),
            0.1875f64.to_bits()
        );
        assert_eq!(Scale::new(2.5).unwrap().of(3.0).to_bits(), 7.5f64.to_bits());
        assert_eq!(
            Scale::new(-0.1).unwrap().of(5.0).to_bits(),
            (-0.5f64).to_bits()
        );
    }

    #[test]
    fn no_factor_that_makes_no_numbers_is_taken() {
        for factor in [0.0, f64::NAN, f64::INFINITY, 1e-320] {
            assert!(Scale::new(factor).is_err(), "{factor}");
        }
    }

    #[test]
    fn every_row_of_the_table_is_read() {
        let rows = TABLE.lines().filter(|line| !line.starts_with('#')).count() - 1;
        assert_eq!(Units::built_in().factors.len(), rows);
    }

    #[test]
    fn a_unit_is_turned_into_the_metrics_own_or_refused_with_those_that_can() {
        let units = Units::built_in();
        let bar = units.between("bar", "kPa").unwrap();
        assert_eq!(bar.of(2.5).to_bits(), 250f64.to_bits());
        assert_eq!(units.between("kPa", "kPa"), Ok(Scale::ONE));
        assert!(units.between("", "kPa").unwrap_err().contains("kPa"));
        assert!(units.between("Torr", "kPa").unwrap_err().contains("psi"));
    }
}
