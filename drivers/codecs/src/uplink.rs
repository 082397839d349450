//! Uplinks of LoRaWAN network servers: ChirpStack v4 and The Things Stack v3, with what their own
//! decoders made of the frame.

use crate::profile::{Plan, Uplinks};
use crate::{Decoded, Undecodable, json, mapped, plain};
use model::{Catalogue, Observation, Timestamp, Value};
use serde::Deserialize;
use serde_json::Value as Json;

/// What a network server says of one frame of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Uplink {
    /// EUI-64 of the device in lower-case hex; may be empty from The Things Stack.
    pub dev_eui: String,
    /// Application and device id of The Things Stack.
    pub tts: Option<(String, String)>,
    /// When the network server had it.
    pub at: Option<Timestamp>,
    /// What the server's decoder made of the frame; null without one.
    pub object: Json,
    /// Signal strength at the gateway that heard it best.
    pub best_rssi_dbm: Option<f64>,
    pub frame: Frame,
}

/// What identifies the frame; nothing is decided by it, for the hub knows repetitions by time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    pub dedup_id: String,
    pub f_cnt: u32,
    pub f_port: u8,
    pub confirmed: bool,
    /// The frame itself, in base64.
    pub data: String,
    /// When it was received, as the network server wrote it.
    pub received_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChirpStack {
    #[serde(default)]
    deduplication_id: String,
    time: Option<String>,
    device_info: Option<DeviceInfo>,
    // Zeros are left out.
    #[serde(default)]
    f_cnt: u32,
    #[serde(default)]
    f_port: u8,
    #[serde(default)]
    confirmed: bool,
    #[serde(default)]
    data: String,
    #[serde(default)]
    object: Json,
    #[serde(default)]
    rx_info: Vec<Heard>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeviceInfo {
    dev_eui: String,
}

#[derive(Deserialize)]
struct Heard {
    rssi: Option<f64>,
}

#[derive(Deserialize)]
struct Tts {
    end_device_ids: Option<EndDevice>,
    received_at: Option<String>,
    uplink_message: Option<UplinkMessage>,
    #[serde(default)]
    simulated: bool,
}

#[derive(Deserialize)]
struct EndDevice {
    device_id: String,
    application_ids: Application,
    #[serde(default)]
    dev_eui: String,
}

#[derive(Deserialize)]
struct Application {
    application_id: String,
}

#[derive(Deserialize)]
struct UplinkMessage {
    #[serde(default)]
    f_cnt: u32,
    #[serde(default)]
    f_port: u8,
    #[serde(default)]
    confirmed: bool,
    #[serde(default)]
    frm_payload: String,
    #[serde(default)]
    decoded_payload: Json,
    #[serde(default)]
    rx_metadata: Vec<Heard>,
    received_at: Option<String>,
}

impl Uplink {
    /// What the device may be registered as, the surest first: (protocol, name).
    pub fn identities(&self) -> Vec<(&'static str, String)> {
        let mut names = Vec::new();
        if let Some((application, device)) = &self.tts {
            names.push(("tts_device", format!("{application}/{device}")));
        }
        if !self.dev_eui.is_empty() {
            names.push(("dev_eui", self.dev_eui.clone()));
            names.push(("dev_eui", self.dev_eui.to_ascii_uppercase()));
        }
        names
    }

    pub fn read(server: Uplinks, payload: &[u8]) -> Result<Self, Undecodable> {
        match server {
            Uplinks::ChirpstackV4 => {
                of_chirpstack(json::parse(payload, |bytes| serde_json::from_slice(bytes))?)
            }
            Uplinks::TtsV3 => of_tts(json::parse(payload, |bytes| serde_json::from_slice(bytes))?),
        }
    }
}

fn of_chirpstack(up: ChirpStack) -> Result<Uplink, Undecodable> {
    let Some(device) = up.device_info else {
        let detail = "there is no `deviceInfo`: this is no event of ChirpStack v4".to_owned();
        return Err(json::undecodable("not_v4", detail));
    };
    Ok(Uplink {
        dev_eui: device.dev_eui.to_ascii_lowercase(),
        tts: None,
        at: up.time.as_deref().and_then(read_time),
        object: up.object,
        best_rssi_dbm: best(&up.rx_info),
        frame: Frame {
            dedup_id: up.deduplication_id,
            f_cnt: up.f_cnt,
            f_port: up.f_port,
            confirmed: up.confirmed,
            data: up.data,
            received_at: up.time,
        },
    })
}

fn of_tts(up: Tts) -> Result<Uplink, Undecodable> {
    let (Some(device), Some(message)) = (up.end_device_ids, up.uplink_message) else {
        let detail = "there is no `uplink_message` of an end device".to_owned();
        return Err(json::undecodable("not_an_uplink_ignored", detail));
    };
    if up.simulated {
        let detail = "the uplink was made by hand in the network server".to_owned();
        return Err(json::undecodable("simulated", detail));
    }
    // The network server's own stamp is nearer to the frame than the application server's.
    let read = |text: &Option<String>| text.as_deref().and_then(read_time);
    let at = read(&message.received_at).or_else(|| read(&up.received_at));
    Ok(Uplink {
        dev_eui: device.dev_eui.to_ascii_lowercase(),
        tts: Some((device.application_ids.application_id, device.device_id)),
        at,
        object: message.decoded_payload,
        best_rssi_dbm: best(&message.rx_metadata),
        frame: Frame {
            dedup_id: String::new(),
            f_cnt: message.f_cnt,
            f_port: message.f_port,
            confirmed: message.confirmed,
            data: message.frm_payload,
            received_at: up.received_at,
        },
    })
}

fn read_time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).ok()
}

fn best(heard: &[Heard]) -> Option<f64> {
    heard.iter().filter_map(|one| one.rssi).reduce(f64::max)
}

/// Takes what the network server decoded, by the profile of the device.
pub(crate) fn take(catalogue: &Catalogue, plan: &Plan, uplink: &Uplink, out: &mut Decoded) {
    if uplink.object.is_null() {
        let detail = || "the network server has no decoder for this device".to_owned();
        return out.reject(None, "no_decoded_object", detail);
    }
    let before = out.observations.len();
    if plan.rules.is_empty() {
        let record = plain::read(catalogue, plan, &uplink.object);
        plain::take(catalogue, &record, uplink.at, out);
    } else {
        mapped::take(catalogue, plan, &uplink.object, uplink.at, out);
    }
    let has_values = out.observations.len() > before;
    let signal = uplink.best_rssi_dbm.filter(|_| has_values);
    let metric = catalogue.find("signal_dbm");
    if let (Some(metric), Some(value)) = (metric, signal.and_then(Value::number)) {
        let is_there = out
            .observations
            .iter()
            .skip(before)
            .any(|of| of.metric == metric);
        if !is_there {
            out.received = out.received.saturating_add(1);
            out.observations.push(Observation {
                metric,
                value,
                quality: catalogue.judge(metric, &value),
                observed_at: uplink.at,
            });
        }
    }
}
