//! Rules over recorded history, beside the rules in force: the same readings through the live
//! engine twice, in one pass over the store. Nothing is stored or sent.

use super::compare::{Diff, compare};
use super::coverage::{Coverage, Survey};
use super::rate::{Rate, reference};
use super::replay::Replay;
use crate::past::{Past, PutDevice};
use crate::rerun::texts;
use model::{AlarmRow, AlarmState, Catalogue, Device, DeviceKey, Timestamp};
use rules::{AlarmSpan, Rule, Settings};
use sdk::DeviceEntry;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use store::{Reader, StoreError};

/// What a backtest is made of.
#[derive(Debug)]
pub struct Review<'a> {
    pub reader: &'a Reader,
    pub catalogue: &'a Arc<Catalogue>,
    pub settings: &'a Settings,
    /// As they are registered now, for those of which no change is recorded.
    pub devices: Vec<Arc<DeviceEntry>>,
    pub rules: Vec<Rule>,
    /// To be compared with; without them there is no comparison.
    pub in_force: Option<Vec<Rule>>,
    /// `rules` would be all there are: what others in force raise is lost.
    pub whole: bool,
    /// Of received time: the first is included, the second is not.
    pub span: (Timestamp, Timestamp),
    pub now: Timestamp,
}

/// How far a backtest has come, in milliseconds of the period.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    pub done: i64,
    pub total: i64,
    pub at: Timestamp,
    pub readings: u64,
}

/// Why a backtest has no result.
#[derive(Debug)]
pub enum ReviewError {
    Cancelled,
    Store(StoreError),
}

impl From<StoreError> for ReviewError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl std::fmt::Display for ReviewError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the backtest was given up"),
            Self::Store(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for ReviewError {}

/// An alarm as the rules would have raised it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestedAlarm {
    #[serde(flatten)]
    pub row: AlarmRow,
    /// Neither on trial nor known from late data only.
    pub announced: bool,
    pub late: bool,
    pub shadow: bool,
}

/// What a backtest found.
#[derive(Debug)]
pub struct Reviewed {
    pub coverage: Coverage,
    /// In the order in which they began.
    pub alarms: Vec<TestedAlarm>,
    pub diff: Option<Diff>,
    tested: Rate,
    in_force: Option<Rate>,
}

/// The rules of both sides.
struct Sides {
    tested: Vec<Rule>,
    in_force: Vec<Rule>,
    /// What the tested side raises for these is what the rules in force would.
    unchanged: BTreeSet<String>,
    /// Whose alarms are shown; the others are only members of theirs.
    shown: BTreeSet<String>,
}

impl Review<'_> {
    /// Runs the backtest; `tell` answers false to give it up.
    pub fn run(&self, tell: &mut dyn FnMut(Progress) -> bool) -> Result<Reviewed, ReviewError> {
        let (from, to) = self.span;
        let chunks = self.reader.replay(from, to)?;
        // Read after the readings were taken hold of: each of them finds its device.
        let past = Past::of_store(self.reader)?;
        let sides = self.sides();
        // What has not been yet cannot be silent.
        let until = to.min(self.now);
        let mut survey = Survey::of(&past, &self.devices, (from, until.max(from)));
        let start = |rules: &[Rule]| {
            let engine = (self.settings.clone(), Arc::clone(self.catalogue));
            Replay::start(engine, from, &past, &self.devices, rules.to_vec())
        };
        let mut tested = start(&sides.tested);
        let mut in_force = (!sides.in_force.is_empty()).then(|| start(&sides.in_force));
        for chunk in chunks {
            let chunk = chunk?;
            survey.take(&chunk);
            for reading in &chunk {
                tested.take(reading);
            }
            if let Some(in_force) = &mut in_force {
                for reading in &chunk {
                    in_force.take(reading);
                }
            }
            let at = chunk.last().map_or(from, |reading| reading.received_at);
            let progress = Progress {
                done: at.since_ms(from),
                total: until.since_ms(from).max(0),
                at,
                readings: survey.readings(),
            };
            if !tell(progress) {
                return Err(ReviewError::Cancelled);
            }
        }
        let of_tested = tested.finish(until);
        let of_force = in_force.map_or_else(Vec::new, |replay| replay.finish(until));
        Ok(self.conclude(&past, &sides, survey.finish(), (of_tested, of_force)))
    }

    fn conclude(
        &self,
        past: &Past,
        sides: &Sides,
        coverage: Coverage,
        (tested, in_force): (Vec<AlarmSpan>, Vec<AlarmSpan>),
    ) -> Reviewed {
        let gone = past.last_known();
        let devices = known_devices(&gone, &self.devices);
        let rows = |spans: &[AlarmSpan], rules: &[Rule]| -> Vec<TestedAlarm> {
            let rules: BTreeMap<&str, &Rule> =
                rules.iter().map(|rule| (rule.id.as_str(), rule)).collect();
            let shown = spans
                .iter()
                .filter(|span| sides.shown.contains(&*span.rule));
            shown
                .zip(1u64..)
                .filter_map(|(span, number)| self.row(span, number, &devices, &rules))
                .collect()
        };
        let alarms = rows(&tested, &sides.tested);
        let until = self.span.1.min(self.now);
        let rate = |alarms: &[&TestedAlarm]| Rate::of(alarms, (self.span.0, until));
        let other = self.in_force.is_some().then(|| {
            let mut before = rows(&in_force, &sides.in_force);
            before.retain(|alarm| !sides.unchanged.contains(&alarm.row.rule));
            let same = alarms.iter();
            before.extend(
                same.filter(|alarm| sides.unchanged.contains(&alarm.row.rule))
                    .cloned(),
            );
            before
        });
        Reviewed {
            tested: rate(&alarms.iter().collect::<Vec<_>>()),
            in_force: other
                .as_ref()
                .map(|before| rate(&before.iter().collect::<Vec<_>>())),
            diff: other.map(|before| compare(&before, &alarms)),
            coverage,
            alarms,
        }
    }

    /// Sorts out which rules run on which side. A rule that is the same on both runs once.
    fn sides(&self) -> Sides {
        let given: BTreeMap<&str, &Rule> = self
            .rules
            .iter()
            .map(|rule| (rule.id.as_str(), rule))
            .collect();
        let empty = Vec::new();
        let in_force = self.in_force.as_ref().unwrap_or(&empty);
        let standing: BTreeMap<&str, &Rule> = in_force
            .iter()
            .map(|rule| (rule.id.as_str(), rule))
            .collect();
        let mut shown: BTreeSet<String> = given.keys().map(|id| (*id).to_owned()).collect();
        if self.whole {
            shown.extend(standing.keys().map(|id| (*id).to_owned()));
        }
        let mut tested = self.rules.clone();
        if !self.whole {
            // A composite's members that are not given are those in force.
            let of_given = self.rules.iter().flat_map(members);
            let missing: BTreeSet<String> = of_given
                .filter(|id| !given.contains_key(id.as_str()))
                .collect();
            let found = missing.iter().filter_map(|id| standing.get(id.as_str()));
            tested.extend(found.map(|rule| Rule::clone(rule)));
        }
        let is_same = |id: &str| match (given.get(id), standing.get(id)) {
            (Some(a), Some(b)) => a.spec == b.spec,
            (None, Some(_)) => !self.whole,
            _ => false,
        };
        let unchanged: BTreeSet<String> = given
            .values()
            .filter(|rule| is_same(&rule.id) && members(rule).iter().all(|id| is_same(id)))
            .map(|rule| rule.id.clone())
            .collect();
        let differing: Vec<&Rule> = shown
            .iter()
            .filter(|id| !unchanged.contains(*id))
            .filter_map(|id| standing.get(id.as_str()).copied())
            .collect();
        let of_differing = differing.iter().flat_map(|rule| members(rule));
        let mut ids: BTreeSet<String> = of_differing.collect();
        ids.extend(differing.iter().map(|rule| rule.id.clone()));
        let run = ids.iter().filter_map(|id| standing.get(id.as_str()));
        Sides {
            in_force: run.map(|rule| Rule::clone(rule)).collect(),
            tested,
            unchanged,
            shown,
        }
    }

    fn row(
        &self,
        span: &AlarmSpan,
        number: u64,
        devices: &HashMap<DeviceKey, (&Device, Option<&str>)>,
        rules: &BTreeMap<&str, &Rule>,
    ) -> Option<TestedAlarm> {
        let (device, grid) = *devices.get(&span.device)?;
        let rule = rules.get(&*span.rule)?;
        let metric = span.metric.and_then(|key| self.catalogue.def(key));
        Some(TestedAlarm {
            row: AlarmRow {
                id: format!("b{number}"),
                rule: rule.id.clone(),
                rule_revision: span.rule_revision,
                title: rule.spec.title.clone(),
                device: device.id.clone(),
                kind: device.kind.clone(),
                site: device.site.clone(),
                grid: grid.map(str::to_owned),
                severity: span.severity,
                state: if span.cleared_at.is_none() {
                    AlarmState::ActiveUnacked
                } else {
                    AlarmState::Normal
                },
                active: span.cleared_at.is_none(),
                acked: false,
                raised_at: span.raised_at,
                cleared_at: span.cleared_at,
                metric: metric.map(|def| def.name.clone()),
                value: span.value,
                limit: span.limit,
                unit: rule.spec.unit(self.catalogue).map(str::to_owned),
                peak: span.peak,
                count: span.count,
                owner: None,
                shelved_until: None,
                suppressed_by: None,
                case: None,
                note: span.late.then(|| "from late data".to_owned()),
                category: rule.spec.category.clone(),
                shadow: span.shadow,
                rule_kind: Some(rule.spec.condition.kind().to_owned()),
                latching: rule.spec.latch,
                parent: None,
                scope: None,
                announced_at: None,
                suppression: None,
                returns_at: None,
                shelved_by: None,
                shelve_reason: None,
                shelved_severity: None,
                verdict: None,
                chattering: false,
                stale: false,
                version: 1,
            },
            announced: !span.late && !span.shadow,
            late: span.late,
            shadow: span.shadow,
        })
    }
}

fn members(rule: &Rule) -> Vec<String> {
    texts(&rule.spec.to_json(), "of")
        .map(str::to_owned)
        .collect()
}

/// Gives each device as it is now, or as it was last if it is gone, with its grid if it has one.
fn known_devices<'a>(
    recorded: &'a BTreeMap<DeviceKey, PutDevice>,
    entries: &'a [Arc<DeviceEntry>],
) -> HashMap<DeviceKey, (&'a Device, Option<&'a str>)> {
    let gone = recorded
        .iter()
        .map(|(key, put)| (*key, (&put.device, put.grid.as_deref())));
    let present = entries
        .iter()
        .map(|entry| (entry.key, (&entry.device, entry.grid.as_deref())));
    gone.chain(present).collect()
}

impl Reviewed {
    pub fn shown(&self, limit: usize) -> &[TestedAlarm] {
        self.alarms.get(..limit).unwrap_or(&self.alarms)
    }

    /// Gives the alarm rates of both sides, with the figures that they are measured by.
    pub fn rates(&self) -> Value {
        json!({"tested": self.tested, "in_force": self.in_force, "reference": reference()})
    }
}
