//! One field of a telemetry object: its time, or one metric's value.

use model::{MetricShape, Position, Timestamp, Value};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// `ts`: milliseconds since the epoch or RFC 3339; `null` means none.
pub(super) struct TimestampSeed;

impl<'de> DeserializeSeed<'de> for TimestampSeed {
    type Value = Result<Option<Timestamp>, String>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TimestampSeed {
    type Value = Result<Option<Timestamp>, String>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("milliseconds since the epoch or RFC 3339")
    }
    fn visit_i64<E: Error>(self, millis: i64) -> Result<Self::Value, E> {
        Ok(Ok(Some(Timestamp::from_millis(millis))))
    }
    fn visit_u64<E: Error>(self, millis: u64) -> Result<Self::Value, E> {
        let millis = i64::try_from(millis).map_err(|_| format!("`ts` {millis} is out of range"));
        Ok(millis.map(|millis| Some(Timestamp::from_millis(millis))))
    }
    fn visit_f64<E: Error>(self, millis: f64) -> Result<Self::Value, E> {
        // Some encoders write every number as a float; 2^53 ms is 285,000 years away.
        if millis.fract() == 0.0 && millis.abs() < 9_007_199_254_740_992.0 {
            #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
            return Ok(Ok(Some(Timestamp::from_millis(millis as i64))));
        }
        Ok(Err(format!(
            "`ts` {millis} is not a whole number of milliseconds"
        )))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Timestamp::parse(text)
            .map(Some)
            .map_err(|error| format!("`ts`: {error}")))
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Ok(None))
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Err("`ts` is a boolean".to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Err("`ts` is an array".to_owned()))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Err("`ts` is an object".to_owned()))
    }
}

/// A value that its metric cannot have.
pub(super) struct Wrong {
    pub(super) reason: &'static str,
    pub(super) detail: String,
}

fn wrong_type<T>(found: &str, shape: MetricShape) -> Result<T, Wrong> {
    let expected = match shape {
        MetricShape::Number => "a number",
        MetricShape::Position => "an object with lon and lat",
    };
    Err(Wrong {
        reason: "wrong_type",
        detail: format!("expected {expected}, found {found}"),
    })
}

/// One metric's value, judged by the shape that the catalogue gives it.
pub(super) struct ValueSeed {
    pub(super) shape: MetricShape,
}

impl ValueSeed {
    fn number(&self, number: f64, found: &str) -> Result<Value, Wrong> {
        match self.shape {
            MetricShape::Number => Value::number(number).ok_or_else(|| Wrong {
                reason: "not_finite",
                detail: format!("found {number}"),
            }),
            MetricShape::Position => wrong_type(found, self.shape),
        }
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Result<Value, Wrong>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = Result<Value, Wrong>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(self.number(number, "a number"))
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "beyond 2^53 no sensor counts by ones"
    )]
    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(self.number(number as f64, "a number"))
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "beyond 2^53 no sensor counts by ones"
    )]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(self.number(number as f64, "a number"))
    }
    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(self.number(f64::from(u8::from(flag)), "a boolean"))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if matches!(text, "NaN" | "Infinity" | "-Infinity") {
            return Ok(Err(Wrong {
                reason: "not_finite",
                detail: format!("found {text}"),
            }));
        }
        Ok(wrong_type("a text", self.shape))
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(wrong_type("null", self.shape))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(wrong_type("an array", self.shape))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        if self.shape == MetricShape::Number {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(wrong_type("an object", self.shape));
        }
        read_position(map)
    }
}

fn read_position<'de, A: MapAccess<'de>>(mut map: A) -> Result<Result<Value, Wrong>, A::Error> {
    let (mut lon, mut lat, mut accuracy_m, mut locked) = (None, None, None, None);
    let mut problem = None;
    while let Some(name) = map.next_key::<String>()? {
        let value = map.next_value::<serde_json::Value>()?;
        let number = value.as_f64();
        match name.as_str() {
            "lon" => lon = number,
            "lat" => lat = number,
            "accuracy_m" => accuracy_m = number,
            "locked" => locked = value.as_bool(),
            other => problem = Some(format!("`{other}` is no field of a position")),
        }
    }
    let wrong = |detail: String| {
        Ok(Err(Wrong {
            reason: "wrong_type",
            detail,
        }))
    };
    match (lon, lat, problem) {
        (_, _, Some(problem)) => wrong(problem),
        (Some(lon), Some(lat), None) => {
            let position = Position {
                lon,
                lat,
                accuracy_m,
                locked,
            };
            Ok(Ok(Value::Position(position)))
        }
        (_, _, None) => wrong("a position needs the numbers `lon` and `lat`".to_owned()),
    }
}
