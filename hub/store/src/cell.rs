//! One stored number, as memory and segments hold it; a place is up to four of them.

use model::{DeviceKey, MetricKey, Position, Quality, Reading, Series, Timestamp, Value};

/// Which number of a metric's value this is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    Number,
    Lon,
    Lat,
    Accuracy,
    Locked,
}

impl Part {
    pub(crate) const ALL: [Self; 5] = [
        Self::Number,
        Self::Lon,
        Self::Lat,
        Self::Accuracy,
        Self::Locked,
    ];

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Number => 0,
            Self::Lon => 1,
            Self::Lat => 2,
            Self::Accuracy => 3,
            Self::Locked => 4,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.code() == code)
    }

    /// The ending of the column's name in a segment.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Number => "",
            Self::Lon => ".lon",
            Self::Lat => ".lat",
            Self::Accuracy => ".accuracy_m",
            Self::Locked => ".locked",
        }
    }

    /// Tells whether a value begins here: every value has exactly one such number.
    pub(crate) const fn leads(self) -> bool {
        matches!(self, Self::Number | Self::Lon)
    }
}

/// A column of a segment: one number of one metric.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Column {
    pub(crate) metric: u16,
    pub(crate) part: Part,
}

/// One number in memory; 32 bytes.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) observed: i64,
    pub(crate) received: i64,
    pub(crate) value: f64,
    pub(crate) metric: u16,
    pub(crate) driver: u16,
    pub(crate) quality: u8,
    pub(crate) part: Part,
    pub(crate) late: bool,
}

impl Cell {
    pub(crate) fn column(&self) -> Column {
        Column {
            metric: self.metric,
            part: self.part,
        }
    }

    /// The instant by which the newest value is chosen: a clock that runs ahead does not win.
    pub(crate) fn effective(&self) -> (i64, i64) {
        (self.observed.min(self.received), self.received)
    }
}

/// Takes a reading apart.
pub(crate) fn push_cells(reading: &Reading, driver: u16, late: bool, out: &mut Vec<Cell>) {
    let cell = |part, value| Cell {
        observed: reading.observed_at.millis(),
        received: reading.received_at.millis(),
        value,
        metric: reading.series.metric.0,
        driver,
        quality: reading.quality.code(),
        part,
        late,
    };
    match reading.value {
        Value::Number(number) => out.push(cell(Part::Number, number)),
        Value::Position(position) => {
            out.push(cell(Part::Lon, position.lon));
            out.push(cell(Part::Lat, position.lat));
            if let Some(accuracy_m) = position.accuracy_m {
                out.push(cell(Part::Accuracy, accuracy_m));
            }
            if let Some(locked) = position.locked {
                out.push(cell(Part::Locked, if locked { 1.0 } else { 0.0 }));
            }
        }
    }
}

/// Puts readings together again. The cells of a place follow one another.
pub(crate) fn readings_of(device: u32, cells: &[Cell]) -> impl Iterator<Item = Reading> + '_ {
    let mut rest = cells;
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        let followers = after.iter().take_while(|cell| !cell.part.leads()).count();
        let (own, next) = after.split_at_checked(followers)?;
        rest = next;
        let value = value_of(
            first.part,
            first.value,
            own.iter().map(|cell| (cell.part, cell.value)),
        );
        Some(Reading {
            series: Series {
                device: DeviceKey(device),
                metric: MetricKey(first.metric),
            },
            value,
            quality: Quality::from_code(first.quality),
            observed_at: Timestamp::from_millis(first.observed),
            received_at: Timestamp::from_millis(first.received),
        })
    })
}

/// Makes a value of its leading number and the others.
pub(crate) fn value_of(
    part: Part,
    leading: f64,
    others: impl Iterator<Item = (Part, f64)>,
) -> Value {
    if part == Part::Number {
        return Value::Number(leading);
    }
    let mut position = Position {
        lon: leading,
        lat: 0.0,
        accuracy_m: None,
        locked: None,
    };
    for (part, value) in others {
        match part {
            Part::Lat => position.lat = value,
            Part::Accuracy => position.accuracy_m = Some(value),
            Part::Locked => position.locked = Some(value > 0.5),
            Part::Number | Part::Lon => {}
        }
    }
    Value::Position(position)
}

#[cfg(test)]
mod tests {
    use super::{Cell, push_cells, readings_of};
    use model::{DeviceKey, MetricKey, Position, Quality, Reading, Series, Timestamp, Value};

    #[test]
    fn readings_come_back_as_they_were_taken_apart() {
        let reading = |metric, value| Reading {
            series: Series {
                device: DeviceKey(9),
                metric: MetricKey(metric),
            },
            value,
            quality: Quality::from_code(0x41),
            observed_at: Timestamp::from_millis(10),
            received_at: Timestamp::from_millis(12),
        };
        let place = |accuracy_m, locked| {
            Value::Position(Position {
                lon: 118.1,
                lat: 24.5,
                accuracy_m,
                locked,
            })
        };
        let readings = [
            reading(1, Value::Number(1.5)),
            reading(2, place(None, None)),
            reading(3, place(Some(3.0), Some(false))),
            reading(4, place(None, Some(true))),
            reading(5, Value::Number(-0.0)),
        ];
        let mut cells = Vec::new();
        for reading in &readings {
            push_cells(reading, 7, true, &mut cells);
        }
        assert_eq!(readings_of(9, &cells).collect::<Vec<_>>(), readings);
        assert_eq!(size_of::<Cell>(), 32);
    }
}
