//! How the devices of one model write their payloads: a `[profiles.NAME]` table, and the plan it becomes.

use crate::instant::TimeFormat;
use crate::uplink::{self, Uplink};
use crate::words::Words;
use crate::{Decoded, Undecodable, canonical, mapped, plain, raw, senml, sparkplug};
use model::{Catalogue, MetricDef, MetricKey, MetricShape, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// Minutes that China's clocks are ahead of UTC: the zone of a time that names none.
const UTC_OFFSET_MIN: i64 = 480;

/// A payload format that has profiles.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// Any JSON.
    Json,
    /// SenML (RFC 8428) in JSON or CBOR.
    Senml,
    /// What ChirpStack v4 made of a LoRaWAN frame, as its `object`.
    ChirpstackV4,
    /// What The Things Stack v3 made of a LoRaWAN frame, as its `decoded_payload`.
    TtsV3,
    /// Sparkplug B, whose births name the metrics.
    SparkplugB,
    /// The raw frame of a pressure terminal, as it is or in hexadecimal digits.
    PressureFrame,
}

/// A LoRaWAN network server, by the envelope that it sends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Uplinks {
    ChirpstackV4,
    TtsV3,
}

impl Codec {
    pub const ALL: &[Self] = &[
        Self::Json,
        Self::Senml,
        Self::ChirpstackV4,
        Self::TtsV3,
        Self::SparkplugB,
        Self::PressureFrame,
    ];

    /// The value of `codec` in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Senml => "senml",
            Self::ChirpstackV4 => "chirpstack_v4",
            Self::TtsV3 => "tts_v3",
            Self::SparkplugB => "sparkplug_b",
            Self::PressureFrame => "pressure_frame",
        }
    }

    /// Tells whether values are found by name, and each has its own time.
    const fn names_records(self) -> bool {
        matches!(self, Self::Senml | Self::SparkplugB)
    }

    /// Tells whether values are found by pointers, in whatever JSON.
    pub(crate) const fn reads_json(self) -> bool {
        matches!(self, Self::Json | Self::ChirpstackV4 | Self::TtsV3)
    }
}

/// A JSON pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pointer(String);

impl Pointer {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Pointer {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text.starts_with('/') {
            return Ok(Self(text));
        }
        Err(format!(
            "`{text}` is no JSON pointer (RFC 6901): it starts with `/`"
        ))
    }
}

/// `[profiles.NAME]` of a payload format.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The payload format.
    pub codec: Codec,
    /// JSON pointer to a record, or to an array of them; by default the payload itself.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub records: Option<Pointer>,
    /// JSON pointer to the time within a record; without one it is the time of arrival.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub time: Option<Pointer>,
    /// Raw pressure frames: JSON pointer to the digits of the frame, where the payload is JSON.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub frame: Option<Pointer>,
    /// How the time is written.
    #[serde(default)]
    pub time_format: TimeFormat,
    /// Minutes ahead of UTC of times that name no zone; by default 480, China's.
    #[serde(default = "utc_offset_min")]
    pub utc_offset_min: i64,
    /// Where the values of each metric stand. Without this table the names in the payload are those
    /// of metrics, nested ones joined by dots.
    #[serde(default)]
    pub values: BTreeMap<String, ValueRule>,
}

fn utc_offset_min() -> i64 {
    UTC_OFFSET_MIN
}

/// `[profiles.NAME.values.METRIC]`: where one metric stands, and how it is counted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueRule {
    /// JSON pointer to the value within a record.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub at: Option<Pointer>,
    /// JSON pointer to the longitude (WGS84) of a position, instead of `at`; with SenML and
    /// Sparkplug B a name, as in `name`.
    #[serde(default)]
    pub lon: Option<String>,
    /// The same for the latitude.
    #[serde(default)]
    pub lat: Option<String>,
    /// SenML: the end of the record's resolved name, instead of `at`. Sparkplug B: the metric's name.
    #[serde(default)]
    pub name: Option<String>,
    /// SenML: the unit that the record must have. Sparkplug B: its property `engUnit`.
    #[serde(default)]
    pub unit: Option<String>,
    /// SenML: take the record's sum, not its value.
    #[serde(default)]
    pub sum: bool,
    /// Characters at which a text is cut into parts.
    #[serde(default)]
    pub split: Option<String>,
    /// Which of those parts is the value; the first is 0.
    #[serde(default)]
    pub part: usize,
    /// Texts, or numbers as they are written, and what each of them stands for.
    #[serde(default)]
    pub words: BTreeMap<String, f64>,
    /// What everything stands for that is not among the words.
    #[serde(default)]
    pub otherwise: Option<f64>,
    /// What the number is multiplied by.
    #[serde(default = "one")]
    pub scale: f64,
    /// What is added after that.
    #[serde(default)]
    pub offset: f64,
    /// Numbers, as the device writes them, that stand for "no value".
    #[serde(default)]
    pub sentinels: Vec<f64>,
}

fn one() -> f64 {
    1.0
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(crate) enum Take {
    At(Pointer),
    Position {
        lon: Pointer,
        lat: Pointer,
    },
    /// A record of SenML, or a metric of Sparkplug B.
    Named {
        name: String,
        unit: Option<String>,
        sum: bool,
    },
    /// Two of them.
    Halves {
        lon: String,
        lat: String,
    },
}

/// One metric of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) metric: MetricKey,
    pub(crate) name: String,
    /// A metric that is 0 or 1, which devices also write as `false` or `true`.
    pub(crate) is_flag: bool,
    pub(crate) take: Take,
    pub(crate) scale: f64,
    pub(crate) offset: f64,
    pub(crate) sentinels: Vec<f64>,
    pub(crate) words: Option<Words>,
}

impl Rule {
    /// A number that is taken as it is.
    pub(crate) fn plain(metric: MetricKey, def: &MetricDef) -> Self {
        Self {
            metric,
            name: def.name.clone(),
            is_flag: def.min == Some(0.0) && def.max == Some(1.0),
            take: Take::At(Pointer(String::new())),
            scale: 1.0,
            offset: 0.0,
            sentinels: Vec::new(),
            words: None,
        }
    }
}

/// A profile whose metrics were found in the catalogue.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) codec: Codec,
    pub(crate) records: Option<Pointer>,
    pub(crate) time: Option<Pointer>,
    pub(crate) frame: Option<Pointer>,
    pub(crate) time_format: TimeFormat,
    pub(crate) utc_offset_min: i64,
    pub(crate) rules: Vec<Rule>,
}

impl Plan {
    /// The plan of a device without a profile: plain JSON.
    pub(crate) fn bare() -> Self {
        Self {
            codec: Codec::Json,
            records: None,
            time: None,
            frame: None,
            time_format: TimeFormat::Auto,
            utc_offset_min: UTC_OFFSET_MIN,
            rules: Vec::new(),
        }
    }

    pub(crate) fn of(catalogue: &Catalogue, profile: &Profile) -> Result<Self, String> {
        let rules = profile.values.iter().map(|(name, rule)| {
            let rule = rule_of(catalogue, profile.codec, name, rule);
            rule.map_err(|wrong| format!("values.{name}: {wrong}"))
        });
        let stray = profile.time.is_some() || profile.records.is_some();
        if profile.codec.names_records() && stray {
            return Err("time and records are of JSON: here each value has its own time".into());
        }
        let is_raw = profile.codec == Codec::PressureFrame;
        if is_raw && (stray || !profile.values.is_empty()) {
            return Err("a raw frame has its own time and values: only `frame` fits".into());
        }
        if !is_raw && profile.frame.is_some() {
            return Err("frame: only raw frames have it".into());
        }
        if profile.utc_offset_min.abs() > 18 * 60 {
            return Err("utc_offset_min must be within 1080 either way".to_owned());
        }
        Ok(Self {
            codec: profile.codec,
            records: profile.records.clone(),
            time: profile.time.clone(),
            frame: profile.frame.clone(),
            time_format: profile.time_format,
            utc_offset_min: profile.utc_offset_min,
            rules: rules.collect::<Result<_, _>>()?,
        })
    }
}

fn rule_of(
    catalogue: &Catalogue,
    codec: Codec,
    name: &str,
    rule: &ValueRule,
) -> Result<Rule, String> {
    let found = catalogue.find(name);
    let (Some(metric), Some(def)) = (found, found.and_then(|key| catalogue.def(key))) else {
        return Err("the metric catalogue has no such metric".to_owned());
    };
    let take = if codec.names_records() {
        take_by_name(codec, def.shape, rule)?
    } else {
        take_by_pointer(def.shape, rule)?
    };
    if !rule.scale.is_finite() || rule.scale == 0.0 || !rule.offset.is_finite() {
        return Err("scale must be a number other than 0, and offset a number".to_owned());
    }
    let words = Words::of(rule)?;
    if words.is_some() && !matches!(take, Take::At(_)) {
        return Err("words, otherwise, split and part need `at`".to_owned());
    }
    Ok(Rule {
        metric,
        name: name.to_owned(),
        is_flag: def.min == Some(0.0) && def.max == Some(1.0),
        take,
        scale: rule.scale,
        offset: rule.offset,
        sentinels: rule.sentinels.clone(),
        words,
    })
}

fn take_by_name(codec: Codec, shape: MetricShape, rule: &ValueRule) -> Result<Take, String> {
    if rule.at.is_some() {
        return Err("at is of JSON: needs `name`".to_owned());
    }
    let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    if shape == MetricShape::Position {
        let (Some(lon), Some(lat), None) = (named(&rule.lon), named(&rule.lat), &rule.name) else {
            return Err("needs the names `lon` and `lat`, and no `name`".to_owned());
        };
        return Ok(Take::Halves { lon, lat });
    }
    let (Some(name), None, None) = (named(&rule.name), &rule.lon, &rule.lat) else {
        return Err("needs `name`, and neither lon nor lat".to_owned());
    };
    if rule.sum && codec != Codec::Senml {
        return Err("sum is SenML's".to_owned());
    }
    let (unit, sum) = (rule.unit.clone(), rule.sum);
    Ok(Take::Named { name, unit, sum })
}

fn take_by_pointer(shape: MetricShape, rule: &ValueRule) -> Result<Take, String> {
    if rule.name.is_some() || rule.unit.is_some() || rule.sum {
        return Err("name, unit and sum are of SenML and Sparkplug B".to_owned());
    }
    match (shape, &rule.at, &rule.lon, &rule.lat) {
        (MetricShape::Number, Some(at), None, None) => Ok(Take::At(at.clone())),
        (MetricShape::Position, None, Some(lon), Some(lat)) => Ok(Take::Position {
            lon: Pointer::try_from(lon.clone())?,
            lat: Pointer::try_from(lat.clone())?,
        }),
        (MetricShape::Number, ..) => Err("needs `at`, and neither lon nor lat".to_owned()),
        (MetricShape::Position, ..) => Err("needs `lon` and `lat`, and no `at`".to_owned()),
    }
}

/// Whose payload it is, and when it came.
#[derive(Copy, Clone, Debug)]
pub struct Sender<'a> {
    /// The profile that the device names.
    pub profile: Option<&'a str>,
    pub arrival: Timestamp,
}

/// The payload formats of a hub, by the name of the profile.
#[derive(Clone, Debug, Default)]
pub struct Book {
    plans: HashMap<String, Plan>,
}

impl Book {
    /// Looks the metrics up; what is wrong is told with the name of the profile.
    pub fn new<'a>(
        catalogue: &Catalogue,
        profiles: impl IntoIterator<Item = (&'a str, &'a Profile)>,
    ) -> Result<Self, String> {
        let plans = profiles.into_iter().map(|(name, profile)| {
            let plan = Plan::of(catalogue, profile);
            plan.map(|plan| (name.to_owned(), plan))
                .map_err(|wrong| format!("profiles.{name}.{wrong}"))
        });
        Ok(Self {
            plans: plans.collect::<Result<_, _>>()?,
        })
    }

    /// Decodes one payload of one device by its profile; a device without one, or with one of
    /// another protocol, writes the hub's own JSON.
    ///
    /// On an error `out` is as before, but for one rejected value that stands for the message.
    pub fn decode_into(
        &self,
        catalogue: &Catalogue,
        sender: Sender<'_>,
        payload: &[u8],
        out: &mut Decoded,
    ) -> Result<(), Undecodable> {
        let Some(plan) = self.plan(sender.profile) else {
            return canonical::decode_into(catalogue, payload, out);
        };
        let decoded = match plan.codec {
            Codec::Json if plan.rules.is_empty() => plain::decode(catalogue, plan, payload, out),
            Codec::Json => mapped::decode(catalogue, plan, payload, out),
            Codec::Senml => senml::decode(catalogue, plan, payload, sender.arrival, out),
            Codec::ChirpstackV4 => uplink_of(catalogue, plan, Uplinks::ChirpstackV4, payload, out),
            Codec::TtsV3 => uplink_of(catalogue, plan, Uplinks::TtsV3, payload, out),
            // Without a topic there is no birth, and only what has a name is known.
            Codec::SparkplugB => sparkplug::Payload::read(payload).map(|message| {
                sparkplug::take(catalogue, plan, &message, None, out);
            }),
            Codec::PressureFrame => raw::decode(catalogue, plan, sender.arrival, payload, out),
        };
        decoded.inspect_err(|why| out.reject_message(why))
    }

    /// Tells whether a gateway with this profile is a network server, whose payloads name one of
    /// its devices.
    pub fn server(&self, profile: Option<&str>) -> Option<Uplinks> {
        match self.plan(profile)?.codec {
            Codec::ChirpstackV4 => Some(Uplinks::ChirpstackV4),
            Codec::TtsV3 => Some(Uplinks::TtsV3),
            Codec::Json | Codec::Senml | Codec::SparkplugB | Codec::PressureFrame => None,
        }
    }

    /// Takes the metrics of a node or device of Sparkplug B by its profile; without one their names
    /// are those of ours.
    ///
    /// Tells whether every metric could be named: by itself, or by the birth.
    pub fn take_sparkplug(
        &self,
        catalogue: &Catalogue,
        profile: Option<&str>,
        (message, birth): (&sparkplug::Payload, Option<&sparkplug::Birth>),
        out: &mut Decoded,
    ) -> bool {
        match self.plan(profile) {
            Some(plan) if plan.codec == Codec::SparkplugB => {
                sparkplug::take(catalogue, plan, message, birth, out)
            }
            _ => sparkplug::take(catalogue, &Plan::bare(), message, birth, out),
        }
    }

    /// Takes an uplink of one device by that device's profile; without one the names that the
    /// network server gives are those of metrics.
    pub fn take_uplink(
        &self,
        catalogue: &Catalogue,
        profile: Option<&str>,
        uplink: &Uplink,
        out: &mut Decoded,
    ) {
        match self.plan(profile) {
            Some(plan) if plan.codec.reads_json() => {
                uplink::take(catalogue, plan, uplink, out);
            }
            _ => uplink::take(catalogue, &Plan::bare(), uplink, out),
        }
    }

    /// Tells whether this is a profile of a payload format.
    pub fn has(&self, profile: Option<&str>) -> bool {
        self.plan(profile).is_some()
    }

    pub(crate) fn plan(&self, profile: Option<&str>) -> Option<&Plan> {
        self.plans.get(profile?)
    }
}

/// Decodes the uplink of a device that is its own sender.
fn uplink_of(
    catalogue: &Catalogue,
    plan: &Plan,
    server: Uplinks,
    payload: &[u8],
    out: &mut Decoded,
) -> Result<(), Undecodable> {
    let uplink = Uplink::read(server, payload)?;
    uplink::take(catalogue, plan, &uplink, out);
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
