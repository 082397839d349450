//! CBOR (RFC 8949) of telemetry, turned into the JSON that says the same.

use crate::{Undecodable, json};
use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value as Json};

/// Telemetry is an array of objects of objects.
const DEPTH_MAX: usize = 16;

/// A number since the epoch, in seconds (RFC 8949 3.4.2).
const EPOCH_TAG: u64 = 1;

/// Beyond these no instant has milliseconds that a number can hold.
const SECONDS_MAX: f64 = 9e12;

pub(crate) fn to_json(payload: &[u8]) -> Result<Vec<u8>, Undecodable> {
    if payload.is_empty() {
        return Err(json::undecodable(
            "empty_payload",
            "the payload is empty".to_owned(),
        ));
    }
    let mut rest = payload;
    let read = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEPTH_MAX);
    let read: Cbor = read.map_err(|error| json::undecodable("invalid_cbor", error.to_string()))?;
    if !rest.is_empty() {
        let detail = format!("{} bytes follow the value", rest.len());
        return Err(json::undecodable("invalid_cbor", detail));
    }
    Ok(value(read).to_string().into_bytes())
}

fn value(cbor: Cbor) -> Json {
    match cbor {
        Cbor::Integer(number) => integer(i128::from(number)),
        Cbor::Float(number) => float(number),
        Cbor::Text(text) => Json::String(text),
        Cbor::Bool(flag) => Json::Bool(flag),
        Cbor::Array(values) => values.into_iter().map(value).collect(),
        Cbor::Map(fields) => {
            let named = |(name, held)| Some((key(name)?, value(held)));
            Json::Object(fields.into_iter().filter_map(named).collect::<Map<_, _>>())
        }
        Cbor::Tag(EPOCH_TAG, seconds) => epoch(*seconds),
        Cbor::Tag(_, tagged) => value(*tagged),
        // No value of a metric is a string of bytes; it is counted as one that is missing.
        _ => Json::Null,
    }
}

fn key(name: Cbor) -> Option<String> {
    match name {
        Cbor::Text(name) => Some(name),
        Cbor::Integer(number) => Some(i128::from(number).to_string()),
        _ => None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "beyond 2^64 no sensor counts by ones"
)]
fn integer(number: i128) -> Json {
    Number::from_i128(number).map_or_else(|| float(number as f64), Json::Number)
}

/// What is not finite has the names that Python's encoder of JSON gives it, which are counted as such.
fn float(number: f64) -> Json {
    let name = if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    Number::from_f64(number).map_or_else(|| Json::from(name), Json::Number)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range was looked at before"
)]
fn epoch(seconds: Cbor) -> Json {
    match value(seconds) {
        Json::Number(seconds) => match seconds.as_f64() {
            Some(seconds) if seconds.abs() <= SECONDS_MAX => {
                Json::from((seconds * 1000.0).round() as i64)
            }
            _ => Json::Null,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::to_json;

    fn json(hex: &str) -> String {
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let bytes: Vec<u8> = hex.as_bytes().chunks_exact(2).map(byte).collect();
        String::from_utf8(to_json(&bytes).unwrap()).unwrap()
    }

    #[test]
    fn telemetry_says_the_same_in_json() {
        // {"ts": 1763700000000, "values": {"pressure_kpa": 312.5 (half float), "fault": false}}
        let bytes = "a26274731b0000019aa4b64500\
                     6676616c756573a26c70726573737572655f6b7061f95ce2656661756c74f4";
        let expected = r#"{"ts":1763700000000,"values":{"fault":false,"pressure_kpa":312.5}}"#;
        assert_eq!(json(bytes), expected);
    }

    #[test]
    fn a_tagged_epoch_counts_in_milliseconds_and_nothing_is_lost_silently() {
        // {"ts": 1(1363896240.5), "a": NaN, "b": h'00', 1: "x"}, the time of RFC 8949 appendix A.
        let bytes = "a4627473c1fb41d452d9ec2000006161f97e0061624100016178";
        let expected = r#"{"1":"x","a":"NaN","b":null,"ts":1363896240500}"#;
        assert_eq!(json(bytes), expected);
    }

    #[test]
    fn what_is_cut_off_or_too_deep_is_no_cbor() {
        for bytes in [&b""[..], b"\xa1", b"\x80\x80", &[0x81; 40], b"\xff"] {
            assert!(to_json(bytes).is_err(), "{bytes:?}");
        }
    }
}
