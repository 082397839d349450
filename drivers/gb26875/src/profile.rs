//! How devices of one model write: `[profiles.NAME]` with `codec = "gb26875"`.

use crate::table::Scale;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// `[profiles.NAME]` with `codec = "gb26875"`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Always `gb26875`.
    pub codec: String,
    /// Devices of this model send a fire with bit 0 = 0 in tests only: it is stored as `bad:flag`, which
    /// no rule judges. Unless set, such a fire rings, marked `uncertain:flag`.
    #[serde(default)]
    pub test_state_suppresses_fire: bool,
    /// What the analog kinds of this model are, by their number (128 to 255 are the makers' own).
    #[serde(default)]
    pub analog: BTreeMap<String, AnalogKind>,
    #[serde(skip)]
    scales: Vec<(u8, Scale)>,
}

/// How one analog kind is sent: raw × times ÷ over.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnalogKind {
    /// A metric of the catalogue.
    pub metric: String,
    /// Factor from steps to the unit of the metric.
    #[serde(default = "one")]
    pub times: f64,
    /// Divisor from steps to the unit of the metric.
    #[serde(default = "one")]
    pub over: f64,
}

fn one() -> f64 {
    1.0
}

impl Profile {
    /// Reads the numbers of the kinds, once.
    pub(crate) fn prepared(mut self) -> Result<Self, String> {
        for (kind, analog) in &self.analog {
            let number = kind.parse::<u8>();
            let number = number.map_err(|_| format!("analog `{kind}` is no number up to 255"))?;
            if !analog.times.is_finite() || !analog.over.is_normal() {
                return Err(format!(
                    "analog `{kind}`: `times` and `over` must be plain numbers"
                ));
            }
            let scale = Scale {
                metric: analog.metric.clone(),
                times: analog.times,
                over: analog.over,
            };
            self.scales.push((number, scale));
        }
        Ok(self)
    }

    pub(crate) fn scale(&self, kind: u8) -> Option<&Scale> {
        let known = self.scales.iter().find(|(known, _)| *known == kind);
        known.map(|(_, scale)| scale)
    }
}

/// A profile that was prepared while it was read, so that `check` finds what is wrong with it.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(with = "Profile")]
pub struct Prepared(pub(crate) Profile);

impl<'de> Deserialize<'de> for Prepared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let profile = Profile::deserialize(deserializer)?;
        profile
            .prepared()
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}
