//! What happened around an alarm, moment by moment, with what the engine made of each.

use super::account::place_of;
use crate::past::Step;
use crate::rerun::Moment;
use crate::state::Inner;
use model::{AlarmRow, DeviceId, DeviceKey, Quality, Reading, Timestamp, Value as Measured};
use rules::{Change, Engine, Figures, Rule, What};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// Moments that are shown from the beginning, and as many again from the end.
const SHOWN_MAX: usize = 500;

/// The moments of one alarm.
#[derive(Default)]
pub(super) struct Timeline<'a> {
    scope: Option<Scope<'a>>,
    first: Vec<Value>,
    last: VecDeque<Value>,
    dropped: u64,
    /// When something was received from the device, and the time at which it counts.
    lives: Vec<(Timestamp, Timestamp)>,
    /// What was not received, for a rule on silence.
    pub(super) silence: Value,
}

struct Scope<'a> {
    hub: &'a Inner,
    rule: String,
    device: DeviceKey,
    place: Option<String>,
    names: BTreeMap<DeviceKey, DeviceId>,
    is_of_life: bool,
    ignores_uncertain: bool,
    /// The alarm became known from late readings, which are those that decided.
    is_late: bool,
}

impl<'a> Timeline<'a> {
    pub(super) fn of(
        hub: &'a Inner,
        row: &AlarmRow,
        device: DeviceKey,
        names: BTreeMap<DeviceKey, DeviceId>,
        rule: Option<&Rule>,
    ) -> Self {
        let spec = rule.map(|rule| rule.spec.to_json());
        let text = |key: &str| spec.as_ref()?.get(key)?.as_str().map(str::to_owned);
        Self {
            scope: Some(Scope {
                hub,
                rule: row.rule.clone(),
                device,
                place: place_of(row),
                names,
                is_of_life: text("kind").as_deref() == Some("silence"),
                ignores_uncertain: text("uncertain").as_deref() == Some("ignore"),
                is_late: row.note.as_deref() == Some("recorded from late data"),
            }),
            ..Self::default()
        }
    }

    pub(super) fn take(&mut self, engine: &Engine, moment: &Moment<'_>, changes: &[Change]) {
        let Some(scope) = &self.scope else {
            return;
        };
        let mut rows = Vec::new();
        match moment {
            Moment::Begun(at) => {
                rows.push(json!({"at": at, "kind": "begin", "look": scope.look(engine)}));
            }
            Moment::Read(reading) => {
                if reading.series.device == scope.device {
                    self.lives
                        .push((scope.counts_at(reading), reading.received_at));
                }
                rows.push(scope.reading(engine, reading));
            }
            Moment::Changed(at, step) => rows.push(scope.edit(*at, step)),
            Moment::Due => {}
        }
        let is_due = matches!(moment, Moment::Due);
        rows.extend(changes.iter().filter_map(|c| scope.step(engine, c, is_due)));
        for row in rows {
            self.push(row);
        }
    }

    fn push(&mut self, row: Value) {
        if self.first.len() < SHOWN_MAX {
            self.first.push(row);
            return;
        }
        self.last.push_back(row);
        if self.last.len() > SHOWN_MAX {
            self.last.pop_front();
            self.dropped += 1;
        }
    }

    pub(super) fn shown(&self) -> Vec<Value> {
        self.first.iter().chain(&self.last).cloned().collect()
    }

    pub(super) fn left_out(&self) -> u64 {
        self.dropped
    }

    /// Gives the last sign of life before an instant.
    pub(super) fn last_life(&self, before: Timestamp) -> Option<Timestamp> {
        let lives = self.lives.iter().map(|(at, _)| *at);
        lives.filter(|at| *at < before).max()
    }

    /// Counts what was received between two instants.
    pub(super) fn received_between(&self, after: Timestamp, before: Timestamp) -> usize {
        let lives = self.lives.iter();
        lives.filter(|(at, _)| *at > after && *at < before).count()
    }
}

impl Scope<'_> {
    fn lateness_ms(&self) -> i64 {
        i64::from(self.hub.rule_settings.lateness_s) * 1000
    }

    /// Gives the instant at which a reading counts as a sign of life.
    fn counts_at(&self, reading: &Reading) -> Timestamp {
        let delay_ms = reading.received_at.since_ms(reading.observed_at);
        if delay_ms.abs() > self.lateness_ms() {
            reading.received_at
        } else {
            reading.observed_at
        }
    }

    fn look(&self, engine: &Engine) -> Value {
        crate::explain::look(engine, &self.rule, self.device)
    }

    fn name(&self, device: DeviceKey) -> &str {
        self.names.get(&device).map_or("", DeviceId::as_str)
    }

    fn reading(&self, engine: &Engine, reading: &Reading) -> Value {
        let def = self.hub.catalogue.def(reading.series.metric);
        let delay_ms = reading.received_at.since_ms(reading.observed_at);
        let is_late = delay_ms > self.lateness_ms();
        let left_out = self.left_out(reading, is_late);
        let is_used = left_out.is_none() && (!is_late || self.is_of_life || self.is_late);
        let because = left_out.or_else(|| self.late_words(is_late, delay_ms));
        json!({
            "at": reading.observed_at,
            "kind": "reading",
            "device": self.name(reading.series.device),
            "metric": def.map(|def| def.name.as_str()),
            "value": measured(&reading.value),
            "unit": def.map(|def| def.unit.as_str()),
            "quality": reading.quality.to_string(),
            "received_at": reading.received_at,
            "late": is_late,
            "used": is_used,
            "because": because,
            "look": self.look(engine),
        })
    }

    /// Says why a reading did not count at all.
    fn left_out(&self, reading: &Reading, is_late: bool) -> Option<String> {
        if self.is_of_life {
            return None;
        }
        let barred = quality_bars(reading.quality, self.ignores_uncertain);
        barred.or_else(|| {
            (self.is_late && !is_late).then(|| {
                "it came in time: late readings are evaluated apart from those in time".to_owned()
            })
        })
    }

    /// Says what became of a late reading.
    fn late_words(&self, is_late: bool, delay_ms: i64) -> Option<String> {
        if !is_late || self.is_of_life {
            return None;
        }
        let (delay_s, lateness_s) = (delay_ms / 1000, self.lateness_ms() / 1000);
        let what = if self.is_late {
            "it was evaluated with the other late ones when no more came, in the order of their \
             own times, and that was recorded without sounding"
        } else {
            "it amends history and never sounds"
        };
        Some(format!(
            "it came {delay_s} s after its own time, more than the {lateness_s} s allowed: {what}"
        ))
    }

    fn edit(&self, at: Timestamp, step: &Step) -> Value {
        let (what, id, revision) = match step {
            Step::Resumed(since) => {
                let note = format!(
                    "the hub did not run from {since} to {at}: nothing could be heard, and the \
                     time does not count as silence"
                );
                return json!({"at": at, "kind": "resume", "since": since, "because": note});
            }
            Step::PutDevice(put) => ("device put", put.device.id.as_str(), None),
            Step::DeleteDevice(key) => ("device removed", self.name(*key), None),
            Step::PutRule(put) => ("rule put", put.id.as_str(), Some(put.revision)),
            Step::DeleteRule(id) => ("rule removed", id.as_str(), None),
        };
        json!({"at": at, "kind": "edit", "what": what, "id": id, "revision": revision})
    }

    /// Shows a change of this alarm or of a composite's member.
    fn step(&self, engine: &Engine, change: &Change, is_due: bool) -> Option<Value> {
        let (what, figures) = match &change.what {
            What::Updated(_) => return None,
            What::Raised(figures) => ("raised", Some(*figures)),
            What::Escalated(figures) => ("escalated", Some(*figures)),
            What::Deescalated(figures) => ("deescalated", Some(*figures)),
            What::Cleared { figures, .. } => ("cleared", Some(*figures)),
            What::Amended(outcome) => ("amended", Some(outcome.figures)),
            What::Withdrawn => ("withdrawn", None),
            What::Recorded(outcome) => ("recorded", Some(outcome.figures)),
        };
        let is_here = change.device == self.device
            || (self.place.is_some() && change.scope.as_deref() == self.place.as_deref());
        let is_own = *change.rule == *self.rule && is_here;
        let figures = figures.map(|figures: Figures| json!(figures));
        Some(json!({
            "at": change.at,
            "kind": if is_due { "deadline" } else { "step" },
            "what": what,
            "rule": &*change.rule,
            "device": self.name(change.device),
            "figures": figures,
            "look": if is_own { self.look(engine) } else { Value::Null },
        }))
    }
}

/// Says why a reading of this quality is not used, if it is not.
pub(crate) fn quality_bars(quality: Quality, ignores_uncertain: bool) -> Option<String> {
    if quality.is_bad() {
        return Some(format!(
            "its quality is {quality}: a bad value is never used"
        ));
    }
    (ignores_uncertain && !quality.is_good())
        .then(|| format!("its quality is {quality}, and the rule ignores uncertain values"))
}

pub(crate) fn measured(value: &Measured) -> Value {
    match value {
        Measured::Number(number) => json!(number),
        Measured::Position(position) => json!(position),
    }
}
