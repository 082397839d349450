//! What the platforms of NB-IoT carriers post: CTWing, OneNET Studio, OceanConnect.

use super::shown;
use crate::calendar::{Clock, whole_second};
use crate::fleet::Device;
use crate::observation::{Measure, Observation};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};

/// A platform that pushes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Platform {
    Ctwing,
    OneNet,
    OceanConnect,
}

/// What one push says: its body, and the time by which the hub will know it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Push {
    pub(crate) body: Vec<u8>,
    pub(crate) ts_ms: i64,
}

fn values(observations: &[Observation]) -> Map<String, Value> {
    let numbers = observations
        .iter()
        .filter(|o| matches!(o.measure, Measure::Number { .. }));
    numbers
        .map(|o| (o.metric.to_string(), json!(shown(o))))
        .collect()
}

fn called<'a>(device: &'a Device, identity: &str) -> &'a str {
    let own = device.identities.get(identity);
    own.map_or(device.id.as_str(), String::as_str)
}

impl Platform {
    /// Writes a push; `token` is that by which OneNET signs, `nonce` what it signs with.
    pub(crate) fn write(
        self,
        device: &Device,
        (ts_ms, observations): (i64, &[Observation]),
        token: &str,
    ) -> Push {
        match self {
            Self::Ctwing => ctwing(device, ts_ms, observations),
            Self::OneNet => onenet(device, ts_ms, observations, token),
            Self::OceanConnect => ocean_connect(device, ts_ms, observations),
        }
    }
}

/// A profile product's `dataReport`; the members that devices leave empty are empty.
fn ctwing(device: &Device, ts_ms: i64, observations: &[Observation]) -> Push {
    let body = json!({
        "upPacketSN": -1,
        "upDataSN": -1,
        "topic": "v1/up/ad19prof",
        "timestamp": ts_ms,
        "tenantId": "10000000",
        "serviceId": "",
        "protocol": "lwm2m",
        "productId": "15000000",
        "payload": {"serviceId": "report", "serviceData": values(observations)},
        "messageType": "dataReport",
        "deviceType": "",
        "deviceId": called(device, "ctwing"),
        "assocAssetId": "",
        "IMSI": "undefined",
        "IMEI": "",
    });
    Push {
        body: body.to_string().into_bytes(),
        ts_ms,
    }
}

/// Studio: the message is a text within the text, and the signature is over that text.
fn onenet(device: &Device, ts_ms: i64, observations: &[Observation], token: &str) -> Push {
    let (product, name) = called(device, "onenet")
        .split_once('/')
        .unwrap_or(("city", &device.id));
    let params: Map<String, Value> = values(observations)
        .into_iter()
        .map(|(metric, value)| (metric, json!({"time": ts_ms, "value": value})))
        .collect();
    let message = json!({
        "notifyType": "property",
        "messageType": "notify",
        "productId": product,
        "deviceName": name,
        "data": {"id": ts_ms.to_string(), "params": params},
    })
    .to_string();
    let nonce = format!("{:08x}", ts_ms.unsigned_abs() & 0xffff_ffff);
    let signature = signature(token, &nonce, &message);
    let body = json!({
        "msg": message,
        "signature": signature,
        "time": ts_ms,
        "id": nonce,
        "nonce": nonce,
    });
    Push {
        body: body.to_string().into_bytes(),
        ts_ms,
    }
}

/// base64(md5(token + nonce + msg)).
fn signature(token: &str, nonce: &str, message: &str) -> String {
    let mut hash = Md5::new();
    for part in [token, nonce, message] {
        hash.update(part.as_bytes());
    }
    STANDARD.encode(hash.finalize())
}

/// `deviceDataChanged`, whose time has whole seconds of UTC.
fn ocean_connect(device: &Device, ts_ms: i64, observations: &[Observation]) -> Push {
    let ts_ms = whole_second(ts_ms);
    let digits = Clock::utc(ts_ms).digits();
    let (day, time) = digits.split_at_checked(8).unwrap_or_default();
    let id = called(device, "oceanconnect");
    let body = json!({
        "notifyType": "deviceDataChanged",
        "deviceId": id,
        "gatewayId": id,
        "requestId": null,
        "service": {
            "serviceId": "Report",
            "serviceType": "Report",
            "eventTime": format!("{day}T{time}Z"),
            "data": values(observations),
        },
    });
    Push {
        body: body.to_string().into_bytes(),
        ts_ms,
    }
}

#[cfg(test)]
mod tests;
