//! How readings look on the server: measurement, tag, fields and values, in both directions.
//!
//! One line is what one device said of one instant:
//!
//! ```text
//! cityhub,device=gas-0001 pressure_kpa=312.4,battery_pct=91 1763700000000
//! cityhub,device=bike-7 position_lon=118.0894,position_lat=24.4798,position_locked=1 1763700000000
//! ```
//!
//! - The measurement is `cityhub`; the one tag is `device`, the device's id: a device that is renamed or moved
//!   keeps its series. What else is known of a device is asked of the hub.
//! - Every field is a float, so that a field's type never conflicts. A number is the field `<metric>`; what
//!   is true or false is 0 or 1, and codes are numbers, as the hub itself stores them. A place is
//!   `<metric>_lon` and `<metric>_lat`, with `<metric>_accuracy_m` and `<metric>_locked` (0 or 1) where reported.
//! - A reading that is not plainly good has the field `<metric>_quality` beside it, the code of
//!   [`Quality`]: 64 + cause is uncertain, 128 + cause is bad; 1 range, 2 clock, 3 rate, 4 stuck, 5 flag. No
//!   such field means good.
//! - The time is the device's own, in milliseconds. A reading is stored once for each device, metric and
//!   time, so that the same line sent twice is the same point.
//!
//! The hub stores no texts, so that there are no string fields. In `VictoriaMetrics` a field is the series
//! `cityhub_<field>{device="…"}`.

use model::{Position, Quality, Reading, Value};
use std::collections::HashMap;

/// The measurement of every line.
pub const MEASUREMENT: &str = "cityhub";

/// The tag that names the device.
pub const DEVICE_TAG: &str = "device";

/// Which number of a metric's reading a field has.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The number itself.
    Number,
    Lon,
    Lat,
    Accuracy,
    /// 0 or 1.
    Locked,
    /// The code of a quality that is not good.
    Quality,
}

impl Part {
    pub const ALL: [Self; 6] = [
        Self::Number,
        Self::Lon,
        Self::Lat,
        Self::Accuracy,
        Self::Locked,
        Self::Quality,
    ];

    /// What is put after the metric's name.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Number => "",
            Self::Lon => "_lon",
            Self::Lat => "_lat",
            Self::Accuracy => "_accuracy_m",
            Self::Locked => "_locked",
            Self::Quality => "_quality",
        }
    }

    /// Gives the name of the field, such as `position_lon`.
    pub fn field(self, metric: &str) -> String {
        format!("{metric}{}", self.suffix())
    }
}

/// Takes a reading apart into the numbers that its fields have.
pub fn parts_of(reading: &Reading) -> impl Iterator<Item = (Part, f64)> {
    let mut parts = [None; 5];
    match reading.value {
        Value::Number(number) => parts[0] = Some((Part::Number, number)),
        Value::Position(place) => {
            parts[0] = Some((Part::Lon, place.lon));
            parts[1] = Some((Part::Lat, place.lat));
            parts[2] = place.accuracy_m.map(|accuracy| (Part::Accuracy, accuracy));
            let locked = |locked| (Part::Locked, if locked { 1.0 } else { 0.0 });
            parts[3] = place.locked.map(locked);
        }
    }
    let quality = reading.quality;
    parts[4] = (!quality.is_good()).then(|| (Part::Quality, f64::from(quality.code())));
    parts.into_iter().flatten()
}

/// Puts a reading together again from the fields of one instant. `None` if the value itself is missing, or is no
/// number that the hub would have sent.
pub fn value_of(parts: impl IntoIterator<Item = (Part, f64)>) -> Option<(Value, Quality)> {
    let mut numbers = [None; Part::ALL.len()];
    for (part, number) in parts {
        let place = Part::ALL.iter().position(|known| *known == part)?;
        *numbers.get_mut(place)? = Some(number).filter(|number| number.is_finite());
    }
    let [number, lon, lat, accuracy_m, locked, quality] = numbers;
    let value = match (number, lon, lat) {
        (Some(number), _, _) => Value::number(number)?,
        (None, Some(lon), Some(lat)) => Value::Position(Position {
            lon,
            lat,
            accuracy_m,
            locked: locked.map(|locked| locked > 0.5),
        }),
        _ => return None,
    };
    Some((value, quality.map_or(Quality::GOOD, quality_of)))
}

/// Reads the number of a `_quality` field; what is no code counts as good.
fn quality_of(number: f64) -> Quality {
    let code = (0..=u8::MAX).find(|code| (f64::from(*code) - number).abs() < 0.5);
    Quality::from_code(code.unwrap_or(0))
}

/// Finds metric and part of a field.
#[derive(Clone, Debug, Default)]
pub struct Fields(HashMap<String, (usize, Part)>);

impl Fields {
    /// Takes metric names in the order of their keys. Two metrics whose fields have the same name cannot both
    /// be sent: the error says which.
    pub fn of<'a>(metrics: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut fields = HashMap::new();
        for (key, metric) in metrics.into_iter().enumerate() {
            for part in Part::ALL {
                let field = part.field(metric);
                if fields.insert(field.clone(), (key, part)).is_some() {
                    return Err(format!(
                        "the fields of metric `{metric}` and of another are both called `{field}`"
                    ));
                }
            }
        }
        Ok(Self(fields))
    }

    /// Tells the metric (its place in the list of names) and the part.
    pub fn find(&self, field: &str) -> Option<(usize, Part)> {
        self.0.get(field).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, Part, parts_of, value_of};
    use model::{
        Catalogue, Cause, DeviceKey, MetricKey, Position, Quality, Reading, Series, Timestamp,
        Value,
    };

    fn reading(value: Value, quality: Quality) -> Reading {
        Reading {
            series: Series {
                device: DeviceKey(1),
                metric: MetricKey(2),
            },
            value,
            quality,
            observed_at: Timestamp::from_millis(10),
            received_at: Timestamp::from_millis(12),
        }
    }

    #[test]
    fn a_place_of_doubtful_quality_has_five_fields() {
        let place = Value::Position(Position {
            lon: 118.0894,
            lat: 24.4798,
            accuracy_m: Some(3.5),
            locked: Some(true),
        });
        let reading = reading(place, Quality::bad(Cause::Range));
        let named: Vec<(String, f64)> = parts_of(&reading)
            .map(|(part, number)| (part.field("position"), number))
            .collect();
        let expected = [
            ("position_lon", 118.0894),
            ("position_lat", 24.4798),
            ("position_accuracy_m", 3.5),
            ("position_locked", 1.0),
            ("position_quality", 129.0),
        ];
        let expected: Vec<(String, f64)> = expected.map(|(n, v)| (n.to_owned(), v)).into();
        assert_eq!(named, expected);
    }

    #[test]
    fn what_is_taken_apart_comes_back() {
        let place = |accuracy_m, locked| {
            Value::Position(Position {
                lon: -0.5,
                lat: 89.0,
                accuracy_m,
                locked,
            })
        };
        for value in [
            Value::Number(-1.25),
            Value::Number(0.0),
            place(None, None),
            place(Some(2.0), Some(false)),
        ] {
            for quality in [Quality::GOOD, Quality::uncertain(Cause::Stuck)] {
                let reading = reading(value, quality);
                assert_eq!(value_of(parts_of(&reading)), Some((value, quality)));
            }
        }
    }

    #[test]
    fn half_a_place_and_a_number_that_is_none_are_nothing() {
        assert_eq!(value_of([(Part::Lon, 1.0)]), None);
        assert_eq!(value_of([(Part::Quality, 65.0)]), None);
        assert_eq!(value_of([(Part::Number, f64::NAN)]), None);
    }

    #[test]
    fn every_field_of_the_built_in_metrics_has_one_meaning() {
        let catalogue = Catalogue::built_in();
        let names: Vec<&str> = catalogue
            .defs()
            .iter()
            .map(|def| def.name.as_str())
            .collect();
        let fields = Fields::of(names.iter().copied()).expect("no two fields are called the same");
        let position = names.iter().position(|name| *name == "position");
        assert_eq!(
            fields.find("position_lat"),
            position.map(|key| (key, Part::Lat))
        );
        assert_eq!(fields.find("no_such_thing"), None);
    }

    #[test]
    fn metrics_whose_fields_would_be_mixed_up_are_refused() {
        let error = Fields::of(["ph", "ph_quality"]).expect_err("two fields of one name");
        assert!(error.contains("`ph_quality`"), "{error}");
    }
}
