//! Times as devices write them: counts of seconds or milliseconds, and texts with or without a zone.

use model::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Counts below this are seconds: ten digits reach the year 5138, thirteen of milliseconds began in
/// 1973.
const SECONDS_MAX: f64 = 1e11;

/// 2^53: beyond it a float does not tell one millisecond from the next.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The hub takes no time before 2020 and none more than a day ahead (ADR 0007).
const BELIEVABLE_FROM_MS: i64 = 1_577_836_800_000;
const AHEAD_MAX_MS: i64 = 86_400_000;

/// Tells whether a clock that says so can be right.
pub fn is_believable(at: Timestamp, now: Timestamp) -> bool {
    at.millis() >= BELIEVABLE_FROM_MS && at.since_ms(now) <= AHEAD_MAX_MS
}

/// How a time is written.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// Whichever of the others it looks like.
    #[default]
    Auto,
    /// Seconds since the epoch, with or without a fraction.
    S,
    /// Milliseconds since the epoch.
    Ms,
    /// RFC 3339, or `YYYY-MM-DD hh:mm:ss`, or `YYYYMMDDhhmmss`, or `YYYYMMDDThhmmssZ`.
    Text,
}

/// Reads a time; `null` and the empty text are none.
pub fn read(
    value: &Value,
    format: TimeFormat,
    utc_offset_min: i64,
) -> Result<Option<Timestamp>, String> {
    let wrong = || format!("{value} is no time");
    match value {
        Value::Null => Ok(None),
        Value::Number(number) if format != TimeFormat::Text => number
            .as_f64()
            .and_then(|number| counted(number, format))
            .map(Some)
            .ok_or_else(wrong),
        Value::Number(number) => written(&number.to_string(), utc_offset_min)
            .map(Some)
            .ok_or_else(wrong),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => {
            let text = text.trim();
            let count = match format {
                TimeFormat::Text => None,
                TimeFormat::Auto if is_compact(text) => None,
                TimeFormat::Auto | TimeFormat::S | TimeFormat::Ms => text.parse::<f64>().ok(),
            };
            let at = match (count, format) {
                (Some(count), _) => counted(count, format),
                (None, TimeFormat::S | TimeFormat::Ms) => None,
                (None, TimeFormat::Auto | TimeFormat::Text) => written(text, utc_offset_min),
            };
            at.map(Some).ok_or_else(wrong)
        }
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(wrong()),
    }
}

/// Gives the instant of a count of seconds.
pub(crate) fn of_seconds(seconds: f64) -> Option<Timestamp> {
    of_millis((seconds * 1000.0).round())
}

fn of_millis(millis: f64) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    let whole = || Timestamp::from_millis(millis as i64);
    (millis.fract() == 0.0 && millis.abs() < WHOLE_MAX).then(whole)
}

fn counted(number: f64, format: TimeFormat) -> Option<Timestamp> {
    let is_seconds = match format {
        TimeFormat::S => true,
        TimeFormat::Auto => number.abs() < SECONDS_MAX,
        TimeFormat::Ms | TimeFormat::Text => false,
    };
    if is_seconds {
        of_seconds(number)
    } else {
        of_millis(number.trunc())
    }
}

fn is_compact(text: &str) -> bool {
    text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a text: one without a zone is of the profile's.
fn written(text: &str, utc_offset_min: i64) -> Option<Timestamp> {
    if is_compact(text) {
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let spread = format!(
            "{}-{}-{}T{}:{}:{}",
            part(0, 4),
            part(4, 6),
            part(6, 8),
            part(8, 10),
            part(10, 12),
            part(12, 14),
        );
        return local(&spread, utc_offset_min);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // The basic form of ISO 8601.
    if let Some((day, time)) = text.split_once('T')
        && let (time, is_utc) = time.strip_suffix('Z').map_or((time, false), |t| (t, true))
        && let compact = format!("{day}{time}")
        && is_compact(&compact)
    {
        return written(&compact, if is_utc { 0 } else { utc_offset_min });
    }
    Timestamp::parse(text)
        .ok()
        .or_else(|| local(text, utc_offset_min))
}

fn local(text: &str, utc_offset_min: i64) -> Option<Timestamp> {
    let as_utc = Timestamp::parse(&format!("{text}Z")).ok()?;
    Some(as_utc.plus_s(-utc_offset_min * 60))
}

#[cfg(test)]
mod tests {
    use super::{TimeFormat, read};
    use serde_json::{Value, json};

    fn millis(value: &Value, format: TimeFormat) -> Option<i64> {
        read(value, format, 480)
            .ok()
            .flatten()
            .map(|at| at.millis())
    }

    #[test]
    fn a_time_is_read_as_it_looks() {
        // 2026-03-01T00:00:00Z is 1772323200.
        let same = [
            json!(1_772_323_200),
            json!(1_772_323_200_000i64),
            json!("1772323200"),
            json!("1772323200000"),
            json!(1_772_323_200.0),
            json!("2026-03-01T00:00:00Z"),
            json!("2026-03-01T08:00:00+08:00"),
            json!("2026-03-01 08:00:00"),
            json!("2026-03-01T08:00:00"),
            json!("20260301080000"),
            json!("20260301T080000"),
            json!("20260301T000000Z"),
        ];
        for value in same {
            assert_eq!(
                millis(&value, TimeFormat::Auto),
                Some(1_772_323_200_000),
                "{value}"
            );
        }
        assert_eq!(
            millis(&json!(1_772_323_200.123), TimeFormat::Auto),
            Some(1_772_323_200_123)
        );
    }

    #[test]
    fn a_format_that_is_given_is_kept_to() {
        assert_eq!(millis(&json!(10_000), TimeFormat::Ms), Some(10_000));
        assert_eq!(millis(&json!(10_000), TimeFormat::S), Some(10_000_000));
        assert_eq!(millis(&json!("2026-03-01T00:00:00Z"), TimeFormat::S), None);
        assert_eq!(millis(&json!(1_772_323_200), TimeFormat::Text), None);
    }

    #[test]
    fn what_is_no_time_is_told_and_what_is_empty_is_none() {
        for value in [
            json!("noon"),
            json!(true),
            json!([1]),
            json!("2026-02-30 00:00:00"),
            json!(1e300),
            json!("NaN"),
        ] {
            assert!(read(&value, TimeFormat::Auto, 480).is_err(), "{value}");
        }
        for value in [json!(null), json!(" ")] {
            assert_eq!(read(&value, TimeFormat::Auto, 480), Ok(None));
        }
    }
}
