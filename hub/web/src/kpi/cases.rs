//! The counts of evaluation over cases and alarms of a period: pure, and the same for every group.

use model::{AlarmRow, CaseRow, CaseState, CaseStep, CaseStepRow, Timestamp};
use serde_json::{Map, Value, json};

/// The first instant is part of it, the last is not.
pub(super) type Period = (Timestamp, Timestamp);

/// What was counted in one group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) reported: u64,
    pub(super) registered: u64,
    pub(super) should_close: u64,
    pub(super) closed: u64,
    pub(super) closed_on_time: u64,
    pub(super) repeated: u64,
    pub(super) reworked: u64,
    pub(super) should_dispose: u64,
    pub(super) extended: u64,
    pub(super) voided: u64,
    pub(super) alarms: u64,
    pub(super) valid_alarms: u64,
    pub(super) false_alarms: u64,
    pub(super) detect_to_open_ms: Vec<i64>,
    pub(super) open_to_accept_ms: Vec<i64>,
}

fn is_in(at: Timestamp, (from, to): Period) -> bool {
    from <= at && at < to
}

fn first(case: &CaseRow, step: CaseStep) -> Option<&CaseStepRow> {
    case.steps.iter().find(|row| row.step == step)
}

fn last(case: &CaseRow, step: CaseStep) -> Option<&CaseStepRow> {
    case.steps.iter().rev().find(|row| row.step == step)
}

/// Tells whether a period leaves a case voided, or put off beyond its end.
fn is_aside(case: &CaseRow, end: Timestamp) -> bool {
    let moved = |row: &&CaseStepRow| row.at < end && row.from != row.to;
    let last = case.steps.iter().rev().find(moved);
    last.is_some_and(|row| match row.to {
        CaseState::Voided => true,
        // A deferment ends by itself, without a step.
        CaseState::Deferred => row.until.is_none_or(|until| until >= end),
        _ => false,
    })
}

/// What had to be done in the period: it was, or it was due before its end and was not by then.
fn was_due(case: &CaseRow, done_at: Option<Timestamp>, period: Period) -> bool {
    if let Some(done_at) = done_at.filter(|at| *at < period.1) {
        return is_in(done_at, period);
    }
    !is_aside(case, period.1) && case.due_at.is_some_and(|due| due < period.1)
}

/// Tells whether a case was taken up (立案).
pub(super) fn is_registered(case: &CaseRow) -> bool {
    first(case, CaseStep::Accept).is_some()
}

impl Sums {
    /// Counts a case that was opened before the period's end.
    pub(super) fn add_case(
        &mut self,
        case: &CaseRow,
        raised_at: Option<Timestamp>,
        period: Period,
    ) {
        let counted = |is_so: bool| u64::from(is_so);
        if is_in(case.opened_at, period) {
            self.reported += 1;
            self.repeated += counted(case.reopens.is_some());
            if let Some(raised_at) = raised_at {
                self.detect_to_open_ms
                    .push(case.opened_at.since_ms(raised_at));
            }
        }
        if let Some(accept) = first(case, CaseStep::Accept).filter(|row| is_in(row.at, period)) {
            self.registered += 1;
            self.open_to_accept_ms
                .push(accept.at.since_ms(case.opened_at));
        }
        let closed_at = last(case, CaseStep::Close).map(|row| row.at);
        if was_due(case, closed_at, period) {
            self.should_close += 1;
            let is_closed = closed_at.is_some_and(|at| is_in(at, period));
            self.closed += counted(is_closed);
            let on_time = case.due_at.is_none_or(|due| closed_at <= Some(due));
            self.closed_on_time += counted(is_closed && on_time);
            let is_rework = |row: &CaseStepRow| {
                row.step == CaseStep::Return
                    && row.at < period.1
                    && matches!(row.from, CaseState::FedBack | CaseState::Verified)
            };
            self.reworked += counted(case.steps.iter().any(is_rework));
        }
        let fed_back_at = last(case, CaseStep::Feedback).map(|row| row.at);
        if was_due(case, fed_back_at, period) {
            self.should_dispose += 1;
            let is_extension =
                |row: &CaseStepRow| row.step == CaseStep::Extend && row.at < period.1;
            self.extended += counted(case.steps.iter().any(is_extension));
        }
        let voided_at = last(case, CaseStep::Void).map(|row| row.at);
        self.voided += counted(voided_at.is_some_and(|at| is_in(at, period)));
    }

    /// Counts an alarm that was announced in the period; `is_registered` says that its case was
    /// taken up.
    pub(super) fn add_alarm(&mut self, alarm: &AlarmRow, is_registered: bool) {
        self.alarms += 1;
        self.valid_alarms += u64::from(is_registered);
        let is_false = alarm.verdict.as_deref() == Some("false_alarm");
        self.false_alarms += u64::from(is_false);
    }

    /// Gives every indicator by its name; a rate over nothing is null.
    pub(super) fn indicators(&self) -> Map<String, Value> {
        let late = self.closed - self.closed_on_time;
        let indicators = [
            ("reported", json!(self.reported)),
            ("registered", json!(self.registered)),
            ("should_close", json!(self.should_close)),
            ("closed", json!(self.closed)),
            ("close_rate", rate(self.closed, self.should_close)),
            (
                "on_time_close_rate",
                rate(self.closed_on_time, self.should_close),
            ),
            ("late_close_rate", rate(late, self.should_close)),
            ("repeat_rate", rate(self.repeated, self.reported)),
            ("rework_rate", rate(self.reworked, self.should_close)),
            ("should_dispose", json!(self.should_dispose)),
            ("extension_rate", rate(self.extended, self.should_dispose)),
            ("voided", json!(self.voided)),
            ("alarms", json!(self.alarms)),
            ("valid_alarm_rate", rate(self.valid_alarms, self.alarms)),
            ("false_alarm_rate", rate(self.false_alarms, self.alarms)),
            ("detect_to_open_s", median_s(&self.detect_to_open_ms)),
            ("open_to_accept_s", median_s(&self.open_to_accept_ms)),
        ];
        let named = indicators.into_iter();
        named
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// A share to four digits.
pub(super) fn rate(part: u64, whole: u64) -> Value {
    if whole == 0 {
        return Value::Null;
    }
    json!((part as f64 / whole as f64 * 10_000.0).round() / 10_000.0)
}

/// The median, in seconds; of an even number the mean of the two in the middle.
fn median_s(values_ms: &[i64]) -> Value {
    let mut sorted = values_ms.to_vec();
    sorted.sort_unstable();
    let (upper, lower) = (sorted.len() / 2, sorted.len().saturating_sub(1) / 2);
    match (sorted.get(lower), sorted.get(upper)) {
        (Some(low), Some(high)) => json!((low + high) as f64 / 2_000.0),
        _ => Value::Null,
    }
}
