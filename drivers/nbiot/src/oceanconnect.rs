//! OceanConnect of Huawei, and older platforms that are made of it: one JSON object a push, never signed.

use crate::{Content, Moment, Origin, Report, field, undecodable};
use codecs::{Undecodable, parse_json};
use serde_json::{Value as Json, json};

/// Times without a zone are UTC here.
const UTC_OFFSET_MIN: i64 = 0;

/// Notifications that hold no reading.
const WITHOUT_READINGS: [&str; 10] = [
    "deviceAdded",
    "bindDevice",
    "deviceDeleted",
    "deviceDesiredPropertiesModifyStatusChanged",
    "messageConfirm",
    "commandRsp",
    "deviceModelAdded",
    "deviceModelDeleted",
    "ruleEvent",
    "serviceInfoChanged",
];

pub(crate) fn read(body: &[u8]) -> Result<Vec<Report>, Undecodable> {
    let messages = field::messages(parse_json(body)?)?;
    Ok(messages.iter().flat_map(reports).collect())
}

fn reports(message: &Json) -> Vec<Report> {
    let kind = field::text(message.get("notifyType")).unwrap_or_default();
    let report = |service: Option<&Json>, content| {
        let said = |name: &str| service.and_then(|service| service.get(name));
        Report {
            names: field::text(message.get("deviceId"))
                .map(|id| ("oceanconnect", id))
                .into_iter()
                .collect(),
            at: said("eventTime")
                .map_or(Moment::Unsaid, |at| field::moment(Some(at), UTC_OFFSET_MIN)),
            content,
            origin: Origin {
                message_type: kind.clone(),
                product: field::text(message.get("productId")),
                service: said("serviceId").cloned().unwrap_or(Json::Null),
                ..Origin::default()
            },
        }
    };
    let one = message.get("service").into_iter();
    let many = message.get("services").and_then(Json::as_array);
    let services: Vec<&Json> = one.chain(many.into_iter().flatten()).collect();
    if !services.is_empty() {
        let of_service = |service: &&Json| report(Some(service), data(service));
        return services.iter().map(of_service).collect();
    }
    let content = match kind.as_str() {
        "deviceInfoChanged" => Ok(status(message)),
        known if WITHOUT_READINGS.contains(&known) => Ok(Content::Nothing),
        other => {
            let detail = format!("`{other}` without a service");
            Err(undecodable("unknown_message_type", detail))
        }
    };
    vec![report(None, content)]
}

fn data(service: &Json) -> Result<Content, Undecodable> {
    match service.get("data") {
        Some(data @ Json::Object(_)) => Ok(Content::Values(data.clone())),
        Some(data @ Json::String(_)) => {
            let written = field::object(data).map(Json::Object);
            Ok(Content::Values(
                written.unwrap_or_else(|| json!({ "data": data })),
            ))
        }
        _ => Err(undecodable("wrong_shape", "a service without `data`")),
    }
}

fn status(message: &Json) -> Content {
    let status = field::text(message.pointer("/deviceInfo/status")).unwrap_or_default();
    match status.to_ascii_uppercase().as_str() {
        "ONLINE" => Content::Online(true),
        "OFFLINE" => Content::Online(false),
        _ => Content::Nothing,
    }
}
