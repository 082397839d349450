//! CTWing (AEP) of China Telecom: one JSON object a push, never signed.

use crate::{Content, Origin, Report, field, undecodable};
use codecs::{Undecodable, parse_json};
use serde_json::Value as Json;

/// Minutes ahead of UTC of times without a zone.
const UTC_OFFSET_MIN: i64 = 480;

pub(crate) fn read(body: &[u8]) -> Result<Vec<Report>, Undecodable> {
    let messages = field::messages(parse_json(body)?)?;
    Ok(messages.iter().map(report).collect())
}

fn report(message: &Json) -> Report {
    let text = |name: &str| field::text(message.get(name));
    let imei = text("IMEI");
    let mut names = Vec::new();
    names.extend(text("deviceId").map(|id| ("ctwing", id)));
    names.extend(imei.clone().map(|imei| ("imei", imei)));
    let origin = Origin {
        message_type: text("messageType").unwrap_or_default(),
        product: text("productId"),
        tenant: text("tenantId"),
        imei,
        service: service(message),
        event_type: field::whole(message.get("eventType")),
    };
    Report {
        names,
        at: field::moment(message.get("timestamp"), UTC_OFFSET_MIN),
        content: content(message, &origin),
        origin,
    }
}

/// Gives the service: the message's own, or that of its payload.
fn service(message: &Json) -> Json {
    let said = |found: &&Json| field::text(Some(found)).is_some();
    let own = message.get("serviceId").filter(said);
    let nested = message.pointer("/payload/serviceId").filter(said);
    own.or(nested).cloned().unwrap_or(Json::Null)
}

fn content(message: &Json, origin: &Origin) -> Result<Content, Undecodable> {
    match (origin.message_type.as_str(), message.get("payload")) {
        ("eventReport", _) => {
            let content = message.get("eventContent").and_then(field::object);
            let content = content.map(|fields| Content::Values(Json::Object(fields)));
            content.ok_or_else(|| undecodable("wrong_shape", "an event without `eventContent`"))
        }
        ("deviceOnlineOfflineReport", _) => match origin.event_type {
            Some(1) => Ok(Content::Online(true)),
            Some(0) => Ok(Content::Online(false)),
            _ => Err(undecodable("wrong_shape", "neither online nor offline")),
        },
        ("commandResponse", _) => Ok(Content::Nothing),
        (_, Some(payload)) => data(payload),
        (other, None) => {
            let detail = format!("`{other}` without a payload");
            Err(undecodable("unknown_message_type", detail))
        }
    }
}

fn data(payload: &Json) -> Result<Content, Undecodable> {
    let Some(fields) = field::object(payload) else {
        return field::transparent(payload);
    };
    let app_data = fields
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("APPdata"));
    if let Some((_, data)) = app_data {
        return field::transparent(data);
    }
    let service = fields.get("serviceData").and_then(field::object);
    Ok(Content::Values(Json::Object(service.unwrap_or(fields))))
}
