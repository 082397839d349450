//! How the devices of one model write: `[profiles.NAME]` with `codec = "hj212"`.

use crate::crc::Checksum;
use crate::seal::Key;
use crate::segment::Edition;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The value of `codec` of these profiles.
pub const CODEC: &str = "hj212";

/// Minutes of the standard's default for minute data (HJ 212-2017, 1064).
const MINUTE_INTERVAL_MIN: u16 = 10;

/// A profile of HJ 212 devices.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Always `hj212`.
    pub codec: String,
    /// Edition of the standard: `auto` believes each frame's Flag; `2005` also puts QN into the data
    /// area of answers, as that edition does.
    #[serde(default)]
    pub edition: EditionChoice,
    /// Checksums that are taken: `hj212`, `modbus`, `modbus_swapped`.
    #[serde(default = "every_checksum")]
    pub checksums: Vec<Checksum>,
    /// Checksum of what the hub sends.
    #[serde(default = "own_checksum")]
    pub answer_checksum: Checksum,
    /// Unit of a code's values where it is not the standard's, such as `a34001 = "mg/m3"`.
    #[serde(default)]
    pub units: BTreeMap<String, String>,
    /// Metric of a code that the standard does not have, or that means something else here.
    #[serde(default)]
    pub codes: BTreeMap<String, String>,
    /// Values that mean that there is none, such as `-9999`.
    #[serde(default)]
    pub sentinels: Vec<f64>,
    /// What a value over the instrument's range (flag T) is worth.
    #[serde(default)]
    pub over_range: OverRange,
    /// What DataTime of minute, hour and day data is: the start of the period, as the standard
    /// says, or its end.
    #[serde(default)]
    pub period_label: PeriodLabel,
    /// Minutes between minute data.
    #[serde(default = "minute_interval_min")]
    pub minute_interval_min: u16,
    /// The device sends no real-time data: the averages of its minute data are its readings, at the
    /// end of their period.
    #[serde(default)]
    pub averages_as_readings: bool,
    /// A device that asks for it (1013) is sent the time (1012).
    #[serde(default)]
    pub calibrate: bool,
    /// Commands of this vendor that are answered 9014 although the table says otherwise.
    #[serde(default)]
    pub acknowledge: Vec<String>,
    /// SM4 key of HJ 212-2025 as 32 hexadecimal digits; without one enciphered data is refused.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub sm4_key: Option<Key>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            codec: CODEC.to_owned(),
            edition: EditionChoice::default(),
            checksums: every_checksum(),
            answer_checksum: own_checksum(),
            units: BTreeMap::new(),
            codes: BTreeMap::new(),
            sentinels: Vec::new(),
            over_range: OverRange::default(),
            period_label: PeriodLabel::default(),
            minute_interval_min: minute_interval_min(),
            averages_as_readings: false,
            calibrate: false,
            acknowledge: Vec::new(),
            sm4_key: None,
        }
    }
}

fn every_checksum() -> Vec<Checksum> {
    Checksum::ALL.to_vec()
}

fn own_checksum() -> Checksum {
    Checksum::Hj212
}

fn minute_interval_min() -> u16 {
    MINUTE_INTERVAL_MIN
}

/// Which edition a device speaks.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum EditionChoice {
    /// What each frame's Flag says.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "2005")]
    E2005,
    #[serde(rename = "2017")]
    E2017,
    #[serde(rename = "2025")]
    E2025,
}

impl EditionChoice {
    pub fn edition(self) -> Option<Edition> {
        match self {
            Self::Auto => None,
            Self::E2005 => Some(Edition::E2005),
            Self::E2017 => Some(Edition::E2017),
            Self::E2025 => Some(Edition::E2025),
        }
    }
}

/// What a value over the instrument's range is worth.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverRange {
    /// Rules may use it: the true value is higher still.
    #[default]
    Uncertain,
    /// No rule sees it.
    Bad,
}

/// Which end of its period a statistic is labelled with.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeriodLabel {
    #[default]
    Start,
    End,
}
