//! The way of a push for fuzzers and benches, which have no secret: what they send is signed here.

use crate::{AesKey, Platform, Report, Token};

/// The token that benches and fuzzers sign with.
const TOKEN: &str = "city-hub-token";

/// Gives OneNET as fuzzers know it.
pub fn signed() -> Option<Platform> {
    Some(Platform::Onenet {
        token: Token::try_from(TOKEN.to_owned()).ok()?,
        key: AesKey::from_base64(&"A".repeat(43)),
    })
}

/// Wraps a message as OneNET does, with the right signature.
pub fn push_of(msg: &str) -> Option<String> {
    let signature = Token::try_from(TOKEN.to_owned()).ok()?.signature("n", msg);
    Some(format!(
        r#"{{"msg":{msg},"nonce":"n","msg_signature":"{signature}"}}"#
    ))
}

/// Reads bytes as the platform that a number chooses: 0 CTWing, 1 OceanConnect, 2 OneNET around a
/// message, 3 OneNET as it is, its question too.
pub fn read(choice: u8, body: &[u8]) -> Option<Vec<Report>> {
    let text = || std::str::from_utf8(body).ok();
    let onenet = signed()?;
    let read = match choice % 4 {
        0 => Platform::Ctwing.read(body),
        1 => Platform::Oceanconnect.read(body),
        2 => onenet.read(push_of(text()?)?.as_bytes()),
        _ => {
            onenet.validate(text()?);
            if let Platform::Onenet { key: Some(key), .. } = &onenet {
                // Whatever opens is only bytes that somebody enciphered.
                drop(key.open(text()?));
            }
            onenet.read(body)
        }
    };
    read.ok()
}
