//! Members of a platform's JSON, whatever type they have this time.

use crate::{Content, Moment, undecodable};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use codecs::{TimeFormat, Undecodable, read_time};
use serde_json::{Map, Number, Value as Json};

/// Texts that stand for "nothing".
const NOTHING: [&str; 5] = ["", "-1", "undefined", "null", "none"];

/// Base64 as devices and SDKs write it: some leave the padding out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Gives a name or number as text; none for what stands for nothing.
pub(crate) fn text(found: Option<&Json>) -> Option<String> {
    let text = match found? {
        Json::String(text) => text.trim().to_owned(),
        Json::Number(number) => digits(number),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => return None,
    };
    let is_nothing = NOTHING.iter().any(|no| text.eq_ignore_ascii_case(no));
    (!is_nothing).then_some(text)
}

/// Writes a number as its counterpart wrote it, but for the fraction of a whole one.
fn digits(number: &Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// Gives a whole number, also one that is written as text.
pub(crate) fn whole(found: Option<&Json>) -> Option<i64> {
    match found? {
        Json::Number(number) => digits(number).parse().ok(),
        Json::String(text) => text.trim().parse().ok(),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

/// Reads a time; one without a zone is of `utc_offset_min`.
pub(crate) fn moment(found: Option<&Json>, utc_offset_min: i64) -> Moment {
    let Some(found) = found else {
        return Moment::Unsaid;
    };
    match read_time(found, TimeFormat::Auto, utc_offset_min) {
        Ok(None) => Moment::Unsaid,
        Ok(Some(at)) => Moment::At(at),
        Err(wrong) => Moment::Wrong(wrong),
    }
}

/// Gives an object, also one that is written as text.
pub(crate) fn object(found: &Json) -> Option<Map<String, Json>> {
    match found {
        Json::Object(fields) => Some(fields.clone()),
        Json::String(text) => serde_json::from_str(text).ok(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => None,
    }
}

/// Reads what a device sent through a transparent product.
pub(crate) fn transparent(found: &Json) -> Result<Content, Undecodable> {
    let wrong = |why: String| undecodable("payload_base64", why);
    let Json::String(text) = found else {
        return Err(wrong("the device's bytes are no text".to_owned()));
    };
    let dense: String = text.split_ascii_whitespace().collect();
    let bytes = LENIENT.decode(dense);
    bytes
        .map(Content::Bytes)
        .map_err(|error| wrong(error.to_string()))
}

/// Reads the messages of a push: one, or an array of them.
pub(crate) fn messages(tree: Json) -> Result<Vec<Json>, Undecodable> {
    match tree {
        Json::Array(messages) => Ok(messages),
        one @ Json::Object(_) => Ok(vec![one]),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Err(undecodable(
            "wrong_shape",
            "a push is an object, or an array of them",
        )),
    }
}
