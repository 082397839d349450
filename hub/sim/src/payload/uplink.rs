//! Uplinks as LoRaWAN network servers publish them, and what a ThingsBoard gateway says of its children.

use super::shown;
use crate::calendar::Clock;
use crate::observation::{Measure, Observation, payload};
use crate::random::Random;
use serde_json::{Map, Value, json};

/// The application that every invented sensor belongs to.
const APPLICATION: &str = "52f14cd4-0000-4000-8000-00000000d390";
const TTS_TENANT: &str = "city";
const GATEWAY: &str = "f0f0000000000001";
const PORT: u8 = 2;
const RSSI_DBM: i64 = -97;

/// A message for the hub's broker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Published {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
}

/// RFC 3339 with milliseconds.
pub(crate) fn instant(ts_ms: i64, zone: &str) -> String {
    let c = Clock::utc(ts_ms);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{zone}",
        c.year, c.month, c.day, c.hour, c.minute, c.second, c.ms
    )
}

/// The decoded values of an uplink, under the hub's names.
fn decoded(observations: &[Observation]) -> Map<String, Value> {
    let mut object = Map::new();
    for observation in observations {
        if let Measure::Number { .. } = observation.measure {
            object.insert(observation.metric.to_string(), json!(shown(observation)));
        }
    }
    object
}

/// ChirpStack v4 (api/proto/integration): zero values are left out, as protobuf's JSON does.
pub(crate) fn chirpstack(dev_eui: &str, ts_ms: i64, observations: &[Observation]) -> Published {
    let mut random = Random::from_text(&format!("{dev_eui}/{ts_ms}"));
    let (high, low) = (random.bits(), random.bits());
    let id = format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    );
    let body = json!({
        "deduplicationId": id,
        "time": instant(ts_ms, "+00:00"),
        "deviceInfo": {
            "tenantName": "ChirpStack",
            "applicationId": APPLICATION,
            "applicationName": "city",
            "deviceProfileName": "sensor",
            "deviceName": dev_eui,
            "devEui": dev_eui,
            "deviceClassEnabled": "CLASS_A",
            "tags": {},
        },
        "devAddr": "01000001",
        "adr": true,
        "dr": 5,
        "fCnt": 1,
        "fPort": PORT,
        "data": "AQ==",
        "object": decoded(observations),
        "rxInfo": [{"gatewayId": GATEWAY, "rssi": RSSI_DBM, "snr": 7.5}],
    });
    Published {
        topic: format!("application/{APPLICATION}/device/{dev_eui}/event/up"),
        payload: body.to_string().into_bytes(),
    }
}

/// The Things Stack v3: the device is `application/device`.
pub(crate) fn tts(name: &str, ts_ms: i64, observations: &[Observation]) -> Published {
    let (application, device) = name.split_once('/').unwrap_or(("city", name));
    let received_at = instant(ts_ms, "Z");
    let body = json!({
        "end_device_ids": {
            "device_id": device,
            "application_ids": {"application_id": application},
        },
        "received_at": received_at,
        "uplink_message": {
            "f_cnt": 1,
            "f_port": PORT,
            "frm_payload": "AQ==",
            "decoded_payload": decoded(observations),
            "rx_metadata": [{"gateway_ids": {"gateway_id": "gw-1"}, "rssi": RSSI_DBM}],
            "received_at": received_at,
        },
    });
    Published {
        topic: format!("v3/{application}@{TTS_TENANT}/devices/{device}/up"),
        payload: body.to_string().into_bytes(),
    }
}

/// A ThingsBoard gateway: its children by name, each with what it measured.
pub(crate) fn thingsboard(child: &str, ts_ms: i64, observations: &[Observation]) -> Published {
    let one = payload(ts_ms, observations);
    Published {
        topic: "v1/gateway/telemetry".to_owned(),
        payload: format!("{{\"{child}\":[{one}]}}").into_bytes(),
    }
}

#[cfg(test)]
mod tests;
