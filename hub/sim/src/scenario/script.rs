//! The words of a `scenario.toml`, as a city engineer writes them.

use super::span::{Span, Start};
use crate::kind::Kind;
use serde::{Deserialize, Deserializer, de::Error};
use std::collections::BTreeMap;

/// Devices of one group; a script is played by one machine.
const GROUP_DEVICES_MAX: usize = 100_000;

/// One whole script.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    /// One sentence that says what happens.
    pub(crate) title: String,
    pub(crate) start: Start,
    pub(crate) duration: Span,
    #[serde(default = "one")]
    pub(crate) seed: u64,
    /// Rule packs of the hub that judge it, beside the rules of its own file.
    #[serde(default)]
    pub(crate) packs: Vec<String>,
    /// Groups of devices; their names are for the reader.
    pub(crate) devices: BTreeMap<String, Group>,
}

/// Devices that behave alike, but for what `only` singles out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    #[serde(deserialize_with = "kind")]
    pub(crate) kind: Kind,
    #[serde(default = "one_device")]
    pub(crate) count: usize,
    /// `{n}` is the number in the group from 1 on, `{s}` that of its site.
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) site: Option<String>,
    #[serde(default = "one_device")]
    pub(crate) devices_per_site: usize,
    #[serde(default)]
    pub(crate) parent: Option<String>,
    pub(crate) cadence_s: u32,
    /// A report comes up to so much later than its turn.
    #[serde(default)]
    pub(crate) jitter_s: f64,
    /// The first report; without it the devices are spread over their cadence.
    #[serde(default)]
    pub(crate) first: Option<Span>,
    /// Longitude and latitude of the first device in WGS84.
    #[serde(default = "centre")]
    pub(crate) location: [f64; 2],
    /// Each device stands so far east of the one before.
    #[serde(default)]
    pub(crate) spacing_m: f64,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) values: BTreeMap<String, Curve>,
    #[serde(default)]
    pub(crate) position: Option<Track>,
    #[serde(default)]
    pub(crate) link: Link,
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
}

/// How one metric goes: a base with noise, and what changes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Curve {
    pub(crate) base: f64,
    /// Each device has a base of its own, up to so far from `base`.
    #[serde(default)]
    pub(crate) spread: f64,
    /// Standard deviation of what no two readings share.
    #[serde(default)]
    pub(crate) noise: f64,
    #[serde(default)]
    pub(crate) drift_per_h: f64,
    #[serde(default)]
    pub(crate) daily: Option<Daily>,
    #[serde(default)]
    pub(crate) min: Option<f64>,
    #[serde(default)]
    pub(crate) max: Option<f64>,
    #[serde(default = "one_decimal")]
    pub(crate) decimals: usize,
    #[serde(default)]
    pub(crate) changes: Vec<Change>,
}

/// A wave that has its crest at the same local hour of every day.
#[derive(Copy, Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Daily {
    pub(crate) amplitude: f64,
    pub(crate) peak_h: f64,
}

/// Something that happens to a value: exactly one of the last six keys says what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    pub(crate) from: Span,
    /// Without it the change lasts to the end.
    #[serde(default)]
    pub(crate) to: Option<Span>,
    #[serde(default)]
    pub(crate) only: Option<Only>,
    /// Each device has it so much later than the one before.
    #[serde(default)]
    pub(crate) stagger: Span,
    /// Adds this from `from` on.
    #[serde(default)]
    pub(crate) step: Option<f64>,
    /// Grows evenly to this between `from` and `to`, and stays.
    #[serde(default)]
    pub(crate) ramp: Option<f64>,
    /// Adds this between `from` and `to`.
    #[serde(default)]
    pub(crate) burst: Option<f64>,
    /// The value is this between `from` and `to`, without noise.
    #[serde(default)]
    pub(crate) set: Option<f64>,
    /// The value stays as it was last reported.
    #[serde(default)]
    pub(crate) frozen: Option<bool>,
    /// Adds this in every second half of `period`.
    #[serde(default)]
    pub(crate) swing: Option<f64>,
    #[serde(default)]
    pub(crate) period: Option<Span>,
}

/// Where a device that moves is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Track {
    /// How far it stands from the place in the register.
    #[serde(default)]
    pub(crate) north_m: f64,
    #[serde(default)]
    pub(crate) east_m: f64,
    /// The error that the receiver reports.
    pub(crate) accuracy_m: f64,
    /// Standard deviation of each fix in either direction.
    #[serde(default)]
    pub(crate) scatter_m: f64,
    #[serde(default = "yes")]
    pub(crate) locked: bool,
    #[serde(default)]
    pub(crate) moves: Vec<Move>,
}

/// One move of a device: a ride, or fixes that wander while it stands.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Move {
    pub(crate) from: Span,
    pub(crate) to: Span,
    #[serde(default)]
    pub(crate) only: Option<Only>,
    #[serde(default)]
    pub(crate) stagger: Span,
    #[serde(default)]
    pub(crate) north_m: f64,
    #[serde(default)]
    pub(crate) east_m: f64,
    /// `ride` goes there evenly, unlocked, and stays; `drift` wanders there and back, locked.
    #[serde(rename = "as")]
    pub(crate) manner: Manner,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Manner {
    Ride,
    Drift,
}

/// What the way to the hub does to messages.
#[derive(Copy, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Link {
    /// Every message takes so long.
    pub(crate) delay_s: f64,
    /// And up to so much longer.
    pub(crate) delay_spread_s: f64,
    pub(crate) loss_pct: f64,
    pub(crate) duplicate_pct: f64,
    /// So many messages take `reorder_s` longer, so that later ones overtake them.
    pub(crate) reorder_pct: f64,
    pub(crate) reorder_s: f64,
}

/// Something that is wrong with the device itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) what: Wrong,
    pub(crate) from: Span,
    #[serde(default)]
    pub(crate) to: Option<Span>,
    #[serde(default)]
    pub(crate) only: Option<Only>,
    #[serde(default)]
    pub(crate) stagger: Span,
    /// For `clock`: what its clock is ahead.
    #[serde(default)]
    pub(crate) offset_s: f64,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wrong {
    /// It reports nothing.
    Silent,
    /// It keeps its reports and sends them all at the end.
    Backlog,
    /// Its clock is wrong.
    Clock,
}

/// Numbers of devices in a group, written as `1-3,7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Only(Vec<(usize, usize)>);

impl Only {
    pub(crate) fn has(&self, number: usize) -> bool {
        self.0
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&number))
    }
}

impl<'de> Deserialize<'de> for Only {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let part = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
        };
        text.split(',')
            .map(part)
            .collect::<Option<Vec<_>>>()
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is no list such as `1-3,7`")))
    }
}

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    let name = String::deserialize(deserializer)?;
    Kind::named(&name).ok_or_else(|| D::Error::custom(format!("there is no device kind `{name}`")))
}

fn one() -> u64 {
    1
}

fn one_device() -> usize {
    1
}

fn one_decimal() -> usize {
    1
}

fn yes() -> bool {
    true
}

/// The centre of the invented city.
fn centre() -> [f64; 2] {
    [118.0894, 24.4798]
}

impl Script {
    /// Reads a script; the error says where it is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let script: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for (name, group) in &script.devices {
            group
                .check()
                .map_err(|reason| format!("devices.{name}: {reason}"))?;
        }
        Ok(script)
    }
}

impl Group {
    fn check(&self) -> Result<(), String> {
        if self.cadence_s == 0 || self.devices_per_site == 0 {
            return Err("`cadence_s` and `devices_per_site` must be at least 1".to_owned());
        }
        if !(1..=GROUP_DEVICES_MAX).contains(&self.count) {
            return Err(format!("`count` must be 1 to {GROUP_DEVICES_MAX}"));
        }
        if self.count > 1 && !self.id.contains("{n}") {
            return Err("`id` needs `{n}` for more than one device".to_owned());
        }
        if self.values.is_empty() && self.position.is_none() {
            return Err("it reports nothing: give `values` or `position`".to_owned());
        }
        for (metric, curve) in &self.values {
            for change in &curve.changes {
                change
                    .check()
                    .map_err(|reason| format!("values.{metric}: {reason}"))?;
            }
        }
        for fault in &self.faults {
            if fault.what == Wrong::Backlog && fault.to.is_none() {
                return Err("a `backlog` needs `to`, when it is sent".to_owned());
            }
        }
        Ok(())
    }
}

impl Change {
    fn check(&self) -> Result<(), String> {
        let said = [
            self.step.is_some(),
            self.ramp.is_some(),
            self.burst.is_some(),
            self.set.is_some(),
            self.frozen.is_some(),
            self.swing.is_some(),
        ];
        if said.iter().filter(|said| **said).count() != 1 {
            let keys = "`step`, `ramp`, `burst`, `set`, `frozen` and `swing`";
            return Err(format!("a change has exactly one of {keys}"));
        }
        if self.ramp.is_some() && self.to.is_none() {
            return Err("a `ramp` needs `to`".to_owned());
        }
        if self.swing.is_some() != self.period.is_some_and(|period| period > Span(0)) {
            return Err("a `swing` needs a `period`, and nothing else has one".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Only, Script};

    const PLAIN: &str = "title = 'x'\nstart = 2026-06-15T08:00:00+08:00\nduration = '1h'\n\
                         [devices.gas]\nkind = 'gas_pressure'\nid = 'gas-1'\ncadence_s = 60\n\
                         values.pressure_kpa = { base = 200.0, changes = [CHANGE] }\n";

    fn change(text: &str) -> Result<Script, String> {
        Script::parse(&PLAIN.replace("CHANGE", text))
    }

    #[test]
    fn a_change_says_one_thing_and_all_that_it_needs() {
        for good in [
            "",
            "{ from = '1m', step = 1.0 }",
            "{ from = '1m', to = '2m', ramp = 1.0 }",
            "{ from = '1m', swing = 1.0, period = '10s', only = '1' }",
        ] {
            change(good).unwrap();
        }
        for bad in [
            "{ from = '1m' }",
            "{ from = '1m', step = 1.0, set = 2.0 }",
            "{ from = '1m', ramp = 1.0 }",
            "{ from = '1m', swing = 1.0 }",
            "{ from = '1m', step = 1.0, period = '1s' }",
            "{ from = 'soon', step = 1.0 }",
            "{ from = '1m', leap = 1.0 }",
        ] {
            assert!(change(bad).is_err(), "{bad}");
        }
        let error = Script::parse(
            &PLAIN
                .replace("CHANGE", "")
                .replace("gas_pressure", "toaster"),
        )
        .unwrap_err();
        assert!(error.contains("toaster"), "{error}");
    }

    #[test]
    fn a_list_of_numbers_has_ends_that_belong_to_it() {
        let only = Only(vec![(1, 3), (7, 7)]);
        let has: Vec<usize> = (0..9).filter(|number| only.has(*number)).collect();
        assert_eq!(has, [1, 2, 3, 7]);
    }
}
