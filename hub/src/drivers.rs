//! Every driver that this hub was built with, one line each.

use config::Value;
use sdk::{ProfileKind, Registration};

/// The drivers, by the `kind` of their configuration.
pub const ALL: &[Registration] = &[
    Registration::of::<driver_bikelock::BikeLock>(),
    Registration::of::<driver_camera::CameraProbe>(),
    Registration::of::<driver_coap::Coap>(),
    Registration::of::<driver_gb26875::Gb26875>(),
    Registration::of::<driver_gb28181::Gb28181>(),
    Registration::of::<driver_gbfs::Gbfs>(),
    Registration::of::<driver_hj212::Hj212>(),
    Registration::of::<driver_http::Http>(),
    Registration::of::<driver_jt808::Jt808>(),
    Registration::of::<driver_modbus::Modbus>(),
    Registration::of::<driver_mqtt::Mqtt>(),
    Registration::of::<driver_pressure::Pressure>(),
];

/// What reads profiles, by the `codec` of their configuration.
pub const PROFILES: &[ProfileKind] = &[
    ProfileKind::of::<driver_gb26875::Prepared>(driver_gb26875::NAME),
    ProfileKind::of::<driver_gb28181::Profile>(driver_gb28181::NAME),
    ProfileKind::of::<driver_hj212::Profile>(driver_hj212::CODEC),
    ProfileKind::of::<codecs::Profile>(codecs::Codec::Json.name()),
    ProfileKind::of::<codecs::Profile>(codecs::Codec::Senml.name()),
    ProfileKind::of::<codecs::Profile>(codecs::Codec::ChirpstackV4.name()),
    ProfileKind::of::<codecs::Profile>(codecs::Codec::TtsV3.name()),
    ProfileKind::of::<codecs::Profile>(codecs::Codec::SparkplugB.name()),
    ProfileKind::of::<codecs::Profile>(codecs::Codec::PressureFrame.name()),
    ProfileKind::of::<driver_modbus::map::Profile>(driver_modbus::CODEC),
];

/// Checks one `[profiles.NAME]` table by what reads it.
pub fn check_profile(table: &Value) -> Result<(), String> {
    let codec = sdk::codec_of(table)?;
    let known = PROFILES.iter().find(|known| known.codec == codec);
    let Some(known) = known else {
        let known: Vec<&str> = PROFILES.iter().map(|known| known.codec).collect();
        return Err(format!(
            "no codec `{codec}` has profiles in this hub; known: {}",
            known.join(", ")
        ));
    };
    (known.check)(table.clone())
}

/// Finds the driver of a `[drivers.NAME]` table by its `kind`.
pub fn find(value: &Value) -> Result<&'static Registration, String> {
    let kind = value
        .clone()
        .into_table()
        .map_err(|error| error.to_string())?
        .remove("kind")
        .ok_or_else(|| "missing `kind`, which says which driver this is".to_owned())?
        .into_string()
        .map_err(|error| error.to_string())?;
    let known = || {
        ALL.iter()
            .map(|known| known.kind)
            .collect::<Vec<_>>()
            .join(", ")
    };
    ALL.iter()
        .find(|known| known.kind == kind)
        .ok_or_else(|| format!("no driver of kind `{kind}` in this hub; known: {}", known()))
}
