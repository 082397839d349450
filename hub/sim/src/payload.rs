//! Payloads as other makers and standards write them: CBOR, SenML (RFC 8428), uplinks of LoRaWAN network
//! servers.

mod cbor;
pub(crate) mod push;
pub(crate) mod sparkplug;
pub(crate) mod uplink;

use crate::observation::{Measure, Observation, json, payload};
use cbor::Cbor;

/// A form of telemetry.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    Json,
    Cbor,
    SenmlJson,
    SenmlCbor,
}

/// Labels of SenML in CBOR (RFC 8428, table 4).
const BASE_NAME: i64 = -2;
const BASE_TIME: i64 = -3;
const NAME: i64 = 0;
const VALUE: i64 = 2;

impl Format {
    /// The number of its media type (RFC 7252 12.3, RFC 8949 9.3, RFC 8428 12.3).
    pub(crate) fn content_format(self) -> u8 {
        match self {
            Self::Json => 50,
            Self::Cbor => 60,
            Self::SenmlJson => 110,
            Self::SenmlCbor => 112,
        }
    }

    /// Writes the observations of a device at one time.
    pub(crate) fn write(self, device: &str, ts_ms: i64, observations: &[Observation]) -> Vec<u8> {
        match self {
            Self::Json => payload(ts_ms, observations).into_bytes(),
            Self::Cbor => canonical_cbor(ts_ms, observations),
            Self::SenmlJson => senml_json(device, ts_ms, observations).into_bytes(),
            Self::SenmlCbor => senml_cbor(device, ts_ms, observations),
        }
    }
}

/// The hub's own object, in CBOR.
fn canonical_cbor(ts_ms: i64, observations: &[Observation]) -> Vec<u8> {
    let mut out = Cbor::default();
    out.map(2);
    out.text("ts");
    out.int(ts_ms);
    out.text("values");
    out.map(observations.len());
    for observation in observations {
        out.text(&observation.metric);
        match observation.measure {
            Measure::Number { .. } => out.float(shown(observation)),
            Measure::Position {
                lon,
                lat,
                accuracy_m,
                locked,
            } => {
                out.map(4);
                out.text("lon");
                out.float(lon);
                out.text("lat");
                out.float(lat);
                out.text("accuracy_m");
                out.float(accuracy_m);
                out.text("locked");
                out.bool(locked);
            }
        }
    }
    out.bytes
}

/// The number as logs and texts show it, with its decimals.
pub(crate) fn shown(observation: &Observation) -> f64 {
    json(&observation.measure).parse().unwrap_or(0.0)
}

/// Seconds since the epoch, with the milliseconds behind the point.
fn seconds(ts_ms: i64) -> String {
    format!("{}.{:03}", ts_ms.div_euclid(1000), ts_ms.rem_euclid(1000))
}

fn base_name(device: &str) -> String {
    format!("urn:dev:ops:{device}:")
}

fn senml_json(device: &str, ts_ms: i64, observations: &[Observation]) -> String {
    let mut base = format!(
        "\"bn\":\"{}\",\"bt\":{},",
        base_name(device),
        seconds(ts_ms)
    );
    let records: Vec<String> = observations
        .iter()
        .map(|o| {
            let base = std::mem::take(&mut base);
            format!(
                "{{{base}\"n\":\"{}\",\"v\":{}}}",
                o.metric,
                json(&o.measure)
            )
        })
        .collect();
    format!("[{}]", records.join(","))
}

fn senml_cbor(device: &str, ts_ms: i64, observations: &[Observation]) -> Vec<u8> {
    let mut out = Cbor::default();
    out.array(observations.len());
    for (index, observation) in observations.iter().enumerate() {
        if index == 0 {
            out.map(4);
            out.int(BASE_NAME);
            out.text(&base_name(device));
            out.int(BASE_TIME);
            out.float(seconds(ts_ms).parse().unwrap_or(0.0));
        } else {
            out.map(2);
        }
        out.int(NAME);
        out.text(&observation.metric);
        out.int(VALUE);
        out.float(shown(observation));
    }
    out.bytes
}

#[cfg(test)]
mod tests;
