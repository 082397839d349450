//! Rules over recorded history, beside the rules in force: the same readings through the live
//! engine and the alarm book twice, in one pass over the store. Nothing is stored or sent.

use super::compare::{Diff, compare};
use super::coverage::{Coverage, Survey};
use super::rate::{Rate, reference};
use super::replay::Replay;
use super::sides::Sides;
use crate::past::Past;
use model::{AlarmRow, Catalogue, Timestamp};
use rules::{Played, Rule, Settings};
use sdk::DeviceEntry;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
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
    /// People would have been told of it: neither on trial, nor suppressed to its end, nor known
    /// from late data only.
    pub announced: bool,
    pub late: bool,
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

impl Review<'_> {
    /// Runs the backtest; `tell` answers false to give it up.
    pub fn run(&self, tell: &mut dyn FnMut(Progress) -> bool) -> Result<Reviewed, ReviewError> {
        let (from, to) = self.span;
        let chunks = self.reader.replay(from, to)?;
        // Read after the readings were taken hold of: each of them finds its device.
        let past = Past::of_store(self.reader)?;
        let standing = self.in_force.as_deref().unwrap_or_default();
        let sides = Sides::of(&self.rules, standing, self.whole);
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
        let mut coverage = survey.finish();
        let is_within = |kept: &Timestamp| *kept > self.span.0;
        coverage.kept_from = self.reader.kept_from(None).filter(is_within);
        Ok(self.conclude(&sides, coverage, (of_tested, of_force)))
    }

    fn conclude(
        &self,
        sides: &Sides,
        coverage: Coverage,
        (tested, in_force): (Vec<Played>, Vec<Played>),
    ) -> Reviewed {
        let alarms = rows(tested, &sides.shown, 'b');
        let until = self.span.1.min(self.now);
        let rate = |alarms: &[TestedAlarm]| Rate::of(alarms, (self.span.0, until));
        let other = self.in_force.is_some().then(|| {
            let mut before = rows(in_force, &sides.shown, 'f');
            before.retain(|alarm| !sides.unchanged.contains(&alarm.row.rule));
            let same = alarms.iter();
            before.extend(
                same.filter(|alarm| sides.unchanged.contains(&alarm.row.rule))
                    .cloned(),
            );
            before
        });
        Reviewed {
            tested: rate(&alarms),
            in_force: other.as_deref().map(rate),
            diff: other.map(|before| compare(&before, &alarms)),
            coverage,
            alarms,
        }
    }
}

/// Numbers the alarms of these rules anew. A row names its cause by the new id, or by the rule if
/// the alarms of that are not shown.
fn rows(played: Vec<Played>, shown: &BTreeSet<String>, letter: char) -> Vec<TestedAlarm> {
    let mut number = 0_u64;
    let names: HashMap<String, String> = played
        .iter()
        .map(|Played { row, .. }| {
            if !shown.contains(&row.rule) {
                return (row.id.clone(), row.rule.clone());
            }
            number += 1;
            (row.id.clone(), format!("{letter}{number}"))
        })
        .collect();
    let shown = played
        .into_iter()
        .filter(|alarm| shown.contains(&alarm.row.rule));
    shown
        .map(|Played { mut row, late, .. }| {
            for id in [&mut row.id].into_iter().chain(&mut row.suppressed_by) {
                if let Some(name) = names.get(id) {
                    id.clone_from(name);
                }
            }
            TestedAlarm {
                announced: row.announced_at.is_some(),
                late,
                row,
            }
        })
        .collect()
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
