//! The public vectors of the three platforms, and what the field does to them.

mod corpus;
mod signed;
mod taken;
mod vectors;

use crate::{AesKey, Platform, Report, Token};
use serde_json::Value;

/// The token of the vectors.
pub(super) fn token() -> Token {
    Token::try_from("city-hub-token".to_owned()).unwrap()
}

pub(super) fn onenet() -> Platform {
    let key = AesKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    assert!(key.is_some());
    Platform::Onenet {
        token: token(),
        key,
    }
}

/// The only report of a push.
pub(super) fn only(platform: &Platform, body: &Value) -> Report {
    let mut reports = platform.read(body.to_string().as_bytes()).unwrap();
    assert_eq!(reports.len(), 1);
    reports.remove(0)
}
