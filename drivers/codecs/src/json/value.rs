//! One field of a telemetry object: its time, or one metric's value.

use model::{MetricDef, MetricShape, Position, Timestamp, Value};
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

/// One metric's value, judged by what the catalogue says of it.
pub(super) struct ValueSeed {
    shape: MetricShape,
    /// A metric that is 0 or 1, which devices also write as `false` or `true`.
    is_flag: bool,
}

impl ValueSeed {
    pub(super) fn of(def: &MetricDef) -> Self {
        let is_flag = def.min == Some(0.0) && def.max == Some(1.0);
        Self {
            shape: def.shape,
            is_flag,
        }
    }

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
        if !self.is_flag {
            return Ok(wrong_type("a boolean", self.shape));
        }
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
    let mut fields = serde_json::Map::new();
    let mut problem = None;
    while let Some(name) = map.next_key::<String>()? {
        let value = map.next_value::<serde_json::Value>()?;
        if !matches!(name.as_str(), "lon" | "lat" | "accuracy_m" | "locked") {
            problem.get_or_insert(("wrong_type", format!("`{name}` is no field of a position")));
        } else if fields.contains_key(&name) {
            problem.get_or_insert(("duplicate_key", format!("`{name}` stands twice")));
        } else if !value.is_null() {
            fields.insert(name, value);
        }
    }
    let position = match problem {
        Some(problem) => Err(problem),
        None => position_of(&fields),
    };
    Ok(position
        .map(Value::Position)
        .map_err(|(reason, detail)| Wrong { reason, detail }))
}

type Problem = (&'static str, String);

fn position_of(fields: &serde_json::Map<String, serde_json::Value>) -> Result<Position, Problem> {
    let number = |name: &str| match fields.get(name) {
        None => Ok(None),
        Some(serde_json::Value::String(text))
            if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") =>
        {
            Err(("not_finite", format!("`{name}` is {text}")))
        }
        Some(value) => {
            let wrong = || ("wrong_type", format!("`{name}` is no number"));
            value.as_f64().map(Some).ok_or_else(wrong)
        }
    };
    let locked = match fields.get("locked") {
        None => None,
        Some(serde_json::Value::Bool(locked)) => Some(*locked),
        Some(_) => {
            return Err((
                "wrong_type",
                "`locked` is neither true nor false".to_owned(),
            ));
        }
    };
    let (lon, lat, accuracy_m) = (number("lon")?, number("lat")?, number("accuracy_m")?);
    let (Some(lon), Some(lat)) = (lon, lat) else {
        let detail = "a position needs the numbers `lon` and `lat`".to_owned();
        return Err(("wrong_type", detail));
    };
    Ok(Position {
        lon,
        lat,
        accuracy_m,
        locked,
    })
}
