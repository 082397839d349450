//! What becomes of a case when the rule or the device of its alarm is changed or removed: no reading
//! said that the violation is over, so it is judged by the last one, or waits for the next.

use super::{Staged, Writer};
use model::{AlarmRow, CaseDoubt, DeviceId, MetricKey, Reading, Timestamp};
use rules::{AlarmEnd, ClearReason, Condition, Judgement, Rule};
use sdk::DeviceEntry;
use store::Group;

/// A new reading of a device that is in doubt.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) device: DeviceId,
    pub(super) metric: MetricKey,
    pub(super) value: Option<f64>,
    pub(super) at: Timestamp,
}

impl Writer {
    /// Says how an alarm ended that was ended from outside; none if it was by its own readings. A
    /// composite is decided anew at once by the alarms of its members.
    pub(super) fn doubt(
        &self,
        staged: &Staged,
        now: Timestamp,
        row: &AlarmRow,
    ) -> Option<AlarmEnd> {
        let reason = row.note.as_deref()?;
        if !ClearReason::is_from_outside(reason) || row.scope.is_some() {
            return None;
        }
        let entry = self.device_named(staged, &row.device);
        let rule = self.watching(&row.rule, entry.as_deref());
        let last = entry.as_ref().and_then(|entry| self.last_of(entry, row));
        let value = last.and_then(|last| last.value.as_number());
        let beyond = rule.zip(value).and_then(|(rule, value)| judge(rule, value));
        let unit = row.unit.as_deref().unwrap_or_default();
        let said = value.map(|value| format!("the last reading, {value} {unit},"));
        let said = said.unwrap_or_default();
        let because = match (rule, beyond) {
            (None, _) => self.why_unwatched(&row.rule, entry.as_deref()),
            (_, Some(true)) => format!("{said} is beyond the limits as they are now"),
            (_, Some(false)) => format!("{said} is within the limits as they are now"),
            (_, None) => "no reading has come since by which it could be judged".to_owned(),
        };
        let why = format!("alarm {} ended ({reason}): {because}", row.id);
        if beyond == Some(false) {
            return Some(AlarmEnd::Redrawn(why));
        }
        Some(AlarmEnd::Doubtful(CaseDoubt {
            alarm: row.id.clone(),
            rule: row.rule.clone(),
            device: row.device.to_string(),
            metric: row.metric.clone(),
            since: now,
            why,
            violation: beyond,
        }))
    }

    /// Gives the rule, if it watches the device so that its alarms count.
    fn watching(&self, rule: &str, entry: Option<&DeviceEntry>) -> Option<&Rule> {
        self.engine.look(rule, entry?.key)?;
        let rule = self.engine.rule(rule)?;
        (rule.spec.enabled && !rule.spec.shadow).then_some(rule)
    }

    fn why_unwatched(&self, rule: &str, entry: Option<&DeviceEntry>) -> String {
        let what = match (entry, self.engine.rule(rule)) {
            (None, _) => "the device was removed",
            (Some(entry), _) if !entry.device.enabled => "the device is out of use",
            (_, None) => "the rule was removed",
            (_, Some(rule)) if !rule.spec.enabled => "the rule is out of use",
            (_, Some(rule)) if rule.spec.shadow => "the rule is on trial",
            _ => "the rule is not for this device any more",
        };
        format!("{what}, so that nothing measures it")
    }

    fn last_of(&self, entry: &DeviceEntry, row: &AlarmRow) -> Option<Reading> {
        let key = self.catalogue.find(row.metric.as_deref()?)?;
        let mut latest = self.reader.latest(entry.key).into_iter();
        latest.find(|reading| reading.series.metric == key)
    }

    /// Lets new readings settle what is in doubt, after the alarms that they raised.
    pub(super) fn settle_doubts(&mut self, group: &mut Group, staged: &mut Staged) {
        for sample in std::mem::take(&mut staged.samples) {
            let mut book = std::mem::take(&mut self.cases.book);
            let told = book.settle(group.stamp(), sample.device.as_str(), |doubt| {
                self.settle(staged, doubt, &sample)
            });
            self.cases.book = book;
            for event in told {
                self.tell_case(group, staged, event);
            }
        }
    }

    fn settle(&self, staged: &Staged, doubt: &CaseDoubt, sample: &Sample) -> Judgement {
        let metric = doubt.metric.as_deref();
        if metric.is_some_and(|metric| self.catalogue.find(metric) != Some(sample.metric)) {
            return Judgement::Open;
        }
        let entry = self.device_named(staged, &sample.device);
        let Some(rule) = self.watching(&doubt.rule, entry.as_deref()) else {
            return Judgement::Open;
        };
        let look = entry.and_then(|entry| self.engine.look(&doubt.rule, entry.key));
        // It is on its way to an alarm, whatever it takes.
        if look.is_some_and(|look| look.since.is_some()) {
            return Judgement::Beyond;
        }
        match sample.value.and_then(|value| judge(rule, value)) {
            Some(true) => Judgement::Beyond,
            Some(false) => Judgement::Over,
            None if sample.at < doubt.since.plus_s(window_s(&rule.spec.condition)) => {
                Judgement::Open
            }
            None => Judgement::Over,
        }
    }
}

/// Judges one value by a rule; none where that takes more than one, or the time of day.
fn judge(rule: &Rule, value: f64) -> Option<bool> {
    let is_always = rule.spec.schedule.is_always();
    rule.spec.condition.is_beyond(value).filter(|_| is_always)
}

/// The time after a change before which a rule cannot say that all is well.
fn window_s(condition: &Condition) -> i64 {
    match condition {
        Condition::Window(spec) => i64::from(spec.window_s),
        Condition::Rate(spec) => i64::from(spec.window_s),
        _ => 0,
    }
}
