//! Carries out the steps of cases that platforms report.

use super::act::repeated;
use super::carry_out::Answer;
use super::{Staged, Writer};
use model::{CaseRow, CaseStepRow, Timestamp};
use rules::{CaseEvent, Report, StepError, StepFacts};
use sdk::{Action, Actor, Command, CommandError, Done, StepReport, UNNAMED};
use serde_json::{Value, json};
use store::{Group, StoreError};

/// How long a report over MQTT that has neither an id nor a time is taken for the same when it comes
/// again: clients connect and send again within seconds, and people do not do the same twice so soon.
const SENT_AGAIN_MS: i64 = 60_000;

/// Refused steps that the audit trail lists in a minute: a platform that repeats itself must not
/// fill the disk.
const REFUSED_ROWS_PER_MINUTE: u32 = 60;

/// How many refused steps were listed in this minute, and how many were not since the last row.
#[derive(Debug, Default)]
pub(super) struct RefusedSteps {
    minute: i64,
    listed: u32,
    unlisted: u64,
}

impl RefusedSteps {
    /// Counts one, and tells whether it is listed, and then how many before it were not.
    fn count(&mut self, now: Timestamp) -> Option<u64> {
        let minute = now.millis().div_euclid(60_000);
        if minute != self.minute {
            (self.minute, self.listed) = (minute, 0);
        }
        if self.listed >= REFUSED_ROWS_PER_MINUTE {
            self.unlisted += 1;
            return None;
        }
        self.listed += 1;
        Some(std::mem::take(&mut self.unlisted))
    }
}

impl Writer {
    /// Says in the audit trail who was refused what: whoever tries to close what the sensor still
    /// measures is of interest, though the case did not change.
    fn audit_refused(
        &mut self,
        group: &mut Group,
        now: Timestamp,
        (actor, id): (&Actor, &str),
        (report, error): (&StepReport, &CommandError),
    ) {
        let Some(unlisted) = self.cases.refused_steps.count(now) else {
            return;
        };
        let reason = error.to_string();
        let mut detail = json!({ "step": report, "reason": reason });
        if let Some(detail) = detail.as_object_mut().filter(|_| unlisted > 0) {
            detail.insert("refused_before_not_listed".to_owned(), json!(unlisted));
        }
        let detail = detail.to_string();
        group.audit(
            &actor.name,
            actor.role.name(),
            "case_step_refused",
            id,
            &detail,
        );
    }

    pub(super) fn step_case(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        command: &Command,
    ) -> Result<Answer, StoreError> {
        let Action::CaseStep { id, report, key } = &command.action else {
            let reason = "this is no step of a case".to_owned();
            return Ok(Err(CommandError::Invalid(reason)));
        };
        let actor = &command.actor;
        // A key belongs to whoever used it and to the case it was used for.
        let given = key.as_ref().or(report.id.as_ref());
        let key = given.map(|key| format!("{}|{id}|case|{key}", actor.name));
        let request = json!(report);
        let known = self.answered(staged, key.as_deref())?;
        let is_unnamed = given.is_some_and(|key| key == UNNAMED);
        if let Some(kept) = known.as_ref().filter(|_| !is_unnamed) {
            let given = given.map_or("", String::as_str);
            return Ok(repeated(kept.clone(), &request, given));
        }
        let done_by = report.actor.as_deref().unwrap_or(&actor.name);
        let row = match self.cases.book.get(id) {
            Some(row) => Some(row.clone()),
            None => self.reader.case(id)?,
        };
        let Some(row) = row else {
            let reason = format!("there is no case `{id}`");
            return Ok(Err(CommandError::NotFound(reason)));
        };
        if known.is_some_and(|kept| is_sent_again(&kept, &request, (row.version, now))) {
            return Ok(Ok(Done {
                seq: 0,
                body: json!(row),
            }));
        }
        let last = row.steps.last();
        if last.is_some_and(|last| is_repeated(last, report, done_by)) {
            return Ok(Ok(Done {
                seq: 0,
                body: json!(row),
            }));
        }
        let measured = self.measured(&row);
        let reading = measured.as_ref().map(words);
        let facts = StepFacts {
            reading: reading.as_deref(),
            resumed: self.cases.resumed(&row, now),
            extended: self.cases.extended(&row, now),
        };
        let reported = reported(report, done_by, now);
        let event = match self.cases.book.step(now, id, &reported, facts) {
            Ok(event) => event,
            Err(error) => {
                let error = refusal(error, &row, report, measured);
                self.audit_refused(group, now, (actor, id), (report, &error));
                return Ok(Err(error));
            }
        };
        let detail = json!({ "step": report, "version": event.row.version });
        let detail = detail.to_string();
        group.audit(&actor.name, actor.role.name(), "case_step", id, &detail);
        let body = json!(event.row);
        if event.kind == "closed" {
            // Whoever follows the steps sees the last one, too.
            let step = CaseEvent {
                kind: "step",
                ..event.clone()
            };
            self.tell_case(group, staged, step);
        }
        self.tell_case(group, staged, event);
        if let Some(key) = key {
            let kept = json!({ "request": request, "answer": body, "at": now.millis() });
            group.idempotency(&key, &kept.to_string());
            staged.idempotent.insert(key, kept);
        }
        Ok(Ok(Done { seq: 0, body }))
    }

    /// Gives what the sensor measures that still violates: the latest reading of the alarm whose
    /// figures the case shows, or else of the latest that is active; where the alarm was ended from
    /// outside, the reading by which that is in doubt.
    fn measured(&self, row: &CaseRow) -> Option<Value> {
        let shown = row.evidence.alarm.iter();
        let shown = shown.filter(|alarm| row.active_alarms.contains(alarm));
        let alarms = shown.chain(row.active_alarms.iter().rev());
        let sources = alarms.filter_map(|alarm| self.source_of(self.book.get(alarm)?));
        if let Some(alarm) = sources.into_iter().next() {
            let said = self.latest_of(alarm.device.as_str(), alarm.metric.as_deref());
            return Some(json!({
                "alarm": alarm.id,
                "device": alarm.device,
                "metric": alarm.metric,
                "value": said.map_or(alarm.value, |(value, _)| value),
                "at": said.map(|(_, at)| at),
                "limit": alarm.limit,
                "unit": alarm.unit,
            }));
        }
        let mut doubts = row.doubts.iter();
        let doubt = doubts.find(|doubt| doubt.violation == Some(true))?;
        let said = self.latest_of(&doubt.device, doubt.metric.as_deref());
        let rule = self.engine.rule(&doubt.rule);
        Some(json!({
            "alarm": doubt.alarm,
            "device": doubt.device,
            "metric": doubt.metric,
            "value": said.and_then(|(value, _)| value),
            "at": said.map(|(_, at)| at),
            "limit": rule.and_then(|rule| rule.spec.condition.first_limit()),
            "unit": row.evidence.unit,
        }))
    }

    fn latest_of(&self, device: &str, metric: Option<&str>) -> Option<(Option<f64>, Timestamp)> {
        let key = self.catalogue.find(metric?)?;
        let device = self.published.devices.find(device)?;
        let mut latest = self.reader.latest(device.key).into_iter();
        let reading = latest.find(|reading| reading.series.metric == key)?;
        Some((reading.value.as_number(), reading.observed_at))
    }
}

fn words(measured: &Value) -> String {
    let text = |name: &str| match measured.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.as_f64().map(|n| n.to_string()).unwrap_or_default(),
        None => String::new(),
    };
    let (unit, limit) = (text("unit"), text("limit"));
    let mut words = format!("{} {} {unit}", text("metric"), text("value"));
    if !limit.is_empty() {
        words.push_str(&format!(", limit {limit} {unit}"));
    }
    format!("{words}, at {} by {}", text("at"), text("device"))
}

fn reported<'a>(report: &'a StepReport, actor: &'a str, now: Timestamp) -> Report<'a> {
    Report {
        step: report.step,
        actor,
        at: report.at.unwrap_or(now),
        note: report.note.as_deref(),
        overrides: report.overrides,
        to: report.to,
        until: report.until,
        version: report.version,
    }
}

/// Tells whether a report without a name or time is the one of just before, sent again: nothing
/// happened to the case since.
fn is_sent_again(kept: &Value, request: &Value, (version, now): (u64, Timestamp)) -> bool {
    let number = |pointer| kept.pointer(pointer).and_then(Value::as_i64);
    let taken_at = number("/at").map(Timestamp::from_millis);
    let is_recent = taken_at.is_some_and(|at| now.since_ms(at) < SENT_AGAIN_MS);
    let is_last = kept.pointer("/answer/version").and_then(Value::as_u64) == Some(version);
    is_recent && is_last && kept.get("request") == Some(request)
}

/// Tells whether a report is the last step once more: one that gives its own time, and the same.
fn is_repeated(last: &CaseStepRow, report: &StepReport, actor: &str) -> bool {
    report.at == Some(last.reported_at.unwrap_or(last.at))
        && report.step == last.step
        && actor == last.actor
        && report.note == last.note
        && report.until == last.until
        && report.to.is_none_or(|to| to == last.to)
}

/// Says why a step is refused, with what the platform needs to go on.
fn refusal(
    error: StepError,
    row: &CaseRow,
    report: &StepReport,
    measured: Option<Value>,
) -> CommandError {
    let mut reason = error.to_string();
    let possible = rules::possible(row.state);
    let mut facts = json!({
        "case": row.id,
        "state": row.state,
        "version": row.version,
        "step": report.step,
        "possible": possible,
    });
    let mut put = |name: &str, value: Value| {
        if let Some(facts) = facts.as_object_mut() {
            facts.insert(name.to_owned(), value);
        }
    };
    match error {
        // The case has left the book, so it is closed for long.
        StepError::NotFound => {
            let error = StepError::Impossible {
                state: row.state,
                step: report.step,
            };
            reason = error.to_string();
        }
        StepError::Missing { .. } | StepError::Wrong { .. } => {
            return CommandError::Invalid(reason);
        }
        StepError::StillViolated { .. } => put("reading", measured.unwrap_or_default()),
        StepError::Unmeasured { why } => {
            put("reading", Value::Null);
            put("why", json!(why));
        }
        StepError::Stale { .. } | StepError::Impossible { .. } => {}
    }
    CommandError::Refused { reason, facts }
}
