//! OneNET of China Mobile: the older platform and Studio, signed, enciphered where that was chosen.

use crate::{AesKey, Content, Moment, Origin, Refused, Report, Token, field, undecodable};
use codecs::{Undecodable, parse_json};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// Minutes ahead of UTC of times without a zone.
const UTC_OFFSET_MIN: i64 = 480;

/// What a push consists of. The signature is that of the very bytes of `msg`.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    msg: Option<&'a RawValue>,
    enc_msg: Option<String>,
    msg_signature: Option<String>,
    signature: Option<String>,
    #[serde(default)]
    nonce: Json,
}

pub(crate) fn read(
    token: &Token,
    key: Option<&AesKey>,
    body: &[u8],
) -> Result<Vec<Report>, Refused> {
    let envelope: Envelope<'_> = match serde_json::from_slice(body) {
        Ok(envelope) => envelope,
        Err(error) => return Err(Refused::Unreadable(no_envelope(body, &error))),
    };
    let nonce = match envelope.nonce {
        Json::String(nonce) => nonce,
        Json::Number(nonce) => nonce.to_string(),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => String::new(),
    };
    let signature = envelope.msg_signature.or(envelope.signature);
    let signature = signature.ok_or(Refused::Forged)?;
    let is_signed = |signed: &str| token.signed(&nonce, signed, &signature);
    let msg = match (envelope.msg, envelope.enc_msg) {
        (Some(msg), _) => {
            // A message that is a JSON text is signed as what it says.
            let msg = serde_json::from_str(msg.get()).unwrap_or_else(|_| msg.get().to_owned());
            is_signed(&msg).then_some(msg)
        }
        (None, Some(sealed)) => {
            let opened = match key {
                Some(key) => key.open(&sealed),
                None => Err(undecodable("no_key", "enciphered, and there is no aes_key")),
            };
            // The SDK signs what is sent; who signs what is meant knows the token as well.
            match opened {
                Ok(msg) => (is_signed(&sealed) || is_signed(&msg)).then_some(msg),
                Err(why) if is_signed(&sealed) => return Ok(vec![unread(why)]),
                Err(_) => None,
            }
        }
        (None, None) => {
            let why = undecodable("wrong_shape", "neither `msg` nor `enc_msg`");
            return Err(Refused::Unreadable(why));
        }
    };
    let msg = msg.ok_or(Refused::Forged)?;
    match parse_json(msg.as_bytes()).and_then(field::messages) {
        Ok(messages) => Ok(messages.iter().flat_map(reports).collect()),
        Err(why) => Ok(vec![unread(why)]),
    }
}

/// Answers `GET …?msg=&nonce=&signature=`.
pub(crate) fn validate(token: &Token, query: &str) -> Option<String> {
    let named = |wanted: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(name, value)| (name == wanted).then(|| percent_decoded(value)))?
    };
    let (msg, nonce, signature) = (named("msg")?, named("nonce")?, named("signature")?);
    token.signed(&nonce, &msg, &signature).then_some(msg)
}

/// Decodes `%XX`. A `+` stays what it is: the platform does not escape that of a signature.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        if byte == b'%'
            && let [high, low, tail @ ..] = tail
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            bytes.push(high << 4 | low);
            rest = tail;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn no_envelope(body: &[u8], error: &serde_json::Error) -> Undecodable {
    match parse_json(body) {
        Err(why) => why,
        Ok(_) => undecodable("wrong_shape", error.to_string()),
    }
}

/// A signed message that cannot be read.
fn unread(why: Undecodable) -> Report {
    Report {
        names: Vec::new(),
        at: Moment::Unsaid,
        content: Err(why),
        origin: Origin::default(),
    }
}

fn reports(message: &Json) -> Vec<Report> {
    if message.get("notifyType").is_some() {
        return studio(message);
    }
    let imei = field::text(message.get("imei"));
    let device = field::text(message.get("dev_id"));
    let mut names = Vec::new();
    names.extend(device.map(|id| ("onenet", id)));
    names.extend(imei.clone().map(|imei| ("imei", imei)));
    let kind = field::whole(message.get("type"));
    let content = match kind {
        Some(1) => point(message),
        Some(2) => match field::whole(message.get("status")) {
            Some(1) => Ok(Content::Online(true)),
            Some(0) => Ok(Content::Online(false)),
            _ => Err(undecodable("wrong_shape", "neither online nor offline")),
        },
        Some(7) => Ok(Content::Nothing),
        _ => Err(undecodable("unknown_message_type", format!("{kind:?}"))),
    };
    vec![Report {
        names,
        at: field::moment(message.get("at"), UTC_OFFSET_MIN),
        content,
        origin: Origin {
            message_type: kind.map(|kind| kind.to_string()).unwrap_or_default(),
            imei,
            service: message.get("ds_id").cloned().unwrap_or(Json::Null),
            ..Origin::default()
        },
    }]
}

/// One data point: a value of a stream, whose name is that of the value.
fn point(message: &Json) -> Result<Content, Undecodable> {
    let stream = field::text(message.get("ds_id"));
    match (stream, message.get("value")) {
        (Some(stream), Some(value)) => Ok(Content::Values(json!({ stream: value }))),
        _ => Err(undecodable("wrong_shape", "no `ds_id` or no `value`")),
    }
}

/// A notification of Studio: several values, each with a time of its own.
fn studio(message: &Json) -> Vec<Report> {
    let text = |name: &str| field::text(message.get(name));
    let (product, name) = (text("productId"), text("deviceName"));
    let imei = text("imei");
    let mut names: Vec<(&'static str, String)> = Vec::new();
    // Studio tells devices apart by product and name; its number for them is shown beside.
    if let (Some(product), Some(name)) = (&product, &name) {
        names.push(("onenet", format!("{product}/{name}")));
    }
    names.extend(name.map(|name| ("onenet", name)));
    names.extend(text("deviceId").map(|id| ("onenet", id)));
    names.extend(imei.clone().map(|imei| ("imei", imei)));
    let kind = text("notifyType").unwrap_or_default();
    let report = |at, content| Report {
        names: names.clone(),
        at,
        content,
        origin: Origin {
            message_type: kind.clone(),
            product: product.clone(),
            imei: imei.clone(),
            ..Origin::default()
        },
    };
    let lower = kind.to_ascii_lowercase();
    if lower.ends_with("online") || lower.ends_with("offline") {
        let at = field::moment(message.pointer("/data/time"), UTC_OFFSET_MIN);
        return vec![report(at, Ok(Content::Online(lower.ends_with("online"))))];
    }
    let Some(params) = message.pointer("/data/params").and_then(Json::as_object) else {
        let detail = format!("`{kind}` without `data.params`");
        return vec![report(
            Moment::Unsaid,
            Err(undecodable("unknown_message_type", detail)),
        )];
    };
    let mut by_time: BTreeMap<Moment, Map<String, Json>> = BTreeMap::new();
    for (name, param) in params {
        let at = field::moment(param.get("time"), UTC_OFFSET_MIN);
        let value = param.get("value").unwrap_or(param).clone();
        by_time.entry(at).or_default().insert(name.clone(), value);
    }
    let values = by_time.into_iter();
    values
        .map(|(at, values)| report(at, Ok(Content::Values(Json::Object(values)))))
        .collect()
}
