//! What an alarm was decided on, decided again: the same readings through the same engine.

mod account;
mod members;
mod timeline;

use self::account::Account;
use self::timeline::Timeline;
pub(crate) use self::timeline::{measured, quality_bars};

use crate::alarms::no_alarm;
use crate::past::{Past, PutDevice, PutRule};
use crate::problem::Problem;
use crate::query::RawParams;
use crate::rerun::{Scene, reach_s};
use crate::state::{Inner, Shared, store_problem, work};
use crate::written::Written;
use axum::extract::{Path, State};
use model::{AlarmRow, DeviceId, DeviceKey, Reading, Timestamp};
use rules::{Engine, Rule};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How long after its beginning an alarm is followed.
const FOLLOWED_MAX_S: i64 = 31 * 86_400;

/// Why an alarm is not decided again, when nothing else is known to be the cause.
const NOT_AGAIN: &str = "the engine does not raise this alarm again from what is kept";

/// What an alarm rests on.
struct Case {
    row: AlarmRow,
    past: Past,
    put: Option<PutRule>,
    rule: Option<Rule>,
    device: Option<PutDevice>,
    span: (Timestamp, Timestamp),
    notes: Vec<String>,
    complete: bool,
}

/// The answer; the alarm comes first.
#[derive(Serialize)]
struct Evidence {
    alarm: Value,
    rule: Value,
    device: Value,
    reproduced: bool,
    differences: Vec<Value>,
    decision: Value,
    schedule: Value,
    silence: Value,
    members: Vec<Value>,
    complete: bool,
    notes: Vec<String>,
    period: Value,
    timeline: Vec<Value>,
    /// Moments that are left out of the timeline, of a long alarm.
    truncated: u64,
}

/// `GET /api/v1/alarms/{id}/evidence`
pub(crate) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    raw: RawParams,
) -> Result<Written, Problem> {
    raw.only(&[])?;
    work(&shared, "gather the evidence", move |hub| {
        let row = hub.alarms().get(&id).cloned();
        let row = match row {
            Some(row) => row,
            None => hub
                .reader
                .alarm(&id)
                .map_err(|error| store_problem("look an alarm up", &error))?
                .ok_or_else(|| no_alarm(&id))?,
        };
        Written::json(&gather(hub, row)?)
    })
    .await
}

fn gather(hub: &Inner, row: AlarmRow) -> Result<Evidence, Problem> {
    let mut case = Case::open(hub, row)?;
    let members = members::of(hub, &mut case)?;
    let Some(device) = case.device.clone() else {
        return Ok(case.close(hub, &Timeline::default(), None, members));
    };
    let devices = case.past.devices_at(case.row.raised_at, &hub.devices.all());
    let mut rules = case.past.rules_at(case.span.1);
    if let Some(put) = &case.put {
        rules.insert(&put.id, (case.row.raised_at, put));
    }
    let mut scene = Scene::of(hub, &case.row.rule, &rules, &device, &devices);
    scene.devices.insert(device.key);
    let readings = scene.readings(hub, case.span)?;
    let names: BTreeMap<DeviceKey, DeviceId> = devices
        .values()
        .chain([&device])
        .filter(|put| scene.devices.contains(&put.key))
        .map(|put| (put.key, put.device.id.clone()))
        .collect();
    let mut timeline = Timeline::of(hub, &case.row, device.key, names, case.rule.as_ref());
    let mut account = Account::of(&case.row, device.key);
    let until = end_of_run(hub, case.span.1, &readings);
    let engine = scene.run(
        (hub, &case.past),
        (case.span.0, until),
        &readings,
        &mut |engine, moment, changes| {
            account.take(changes);
            timeline.take(engine, moment, changes);
        },
    );
    if scene.is_cut {
        case.complete = false;
        case.notes
            .push("more readings or devices are involved than are looked at".to_owned());
    }
    case.check_history(hub, device.key, &readings);
    let engine: Option<&Engine> = Some(&engine);
    timeline.silence = silence(&case, engine, &timeline);
    Ok(case.close(hub, &timeline, Some(&account), members))
}

/// What came late is settled a while after it came.
fn end_of_run(hub: &Inner, until: Timestamp, readings: &[Reading]) -> Timestamp {
    let settled_s = 2 * i64::from(hub.rule_settings.lateness_s) + 1;
    let last = readings.last().map_or(until, |r| r.received_at.max(until));
    last.plus_s(settled_s).min(hub.clock.now())
}

impl Case {
    fn open(hub: &Inner, row: AlarmRow) -> Result<Self, Problem> {
        let past = Past::of(hub, "read how the rule was")?;
        let mut notes = Vec::new();
        let now = hub.clock.now();
        let put = edit_of(&past, &row).cloned();
        let rule = match put.as_ref().map(PutRule::rule) {
            None => {
                notes.push(format!(
                    "revision {} of rule `{}` is not recorded, so that nothing can be decided again",
                    row.rule_revision, row.rule
                ));
                None
            }
            Some(Err(error)) => {
                notes.push(format!(
                    "this version cannot read the rule any more: {error}"
                ));
                None
            }
            Some(Ok(rule)) => Some(rule),
        };
        let device = device_of(hub, &past, &row);
        if device.is_none() {
            notes.push(format!("device `{}` is not recorded", row.device));
        }
        let cadence_s = device.as_ref().and_then(|put| put.device.cadence_s);
        let lateness_s = hub.rule_settings.lateness_s;
        let mut before_s = rule
            .as_ref()
            .map_or(600, |rule| reach_s(&rule.spec, cadence_s, lateness_s));
        for member in rule.iter().flat_map(members::rules_of) {
            let found = past.rules_at(row.raised_at);
            if let Some(Ok(member)) = found.get(member.as_str()).map(|(_, put)| put.rule()) {
                before_s = before_s.max(reach_s(&member.spec, cadence_s, lateness_s));
            }
        }
        let until = row.cleared_at.unwrap_or(now).max(row.raised_at);
        let followed = row.raised_at.plus_s(FOLLOWED_MAX_S);
        if until > followed {
            notes.push(format!(
                "followed for {} days only",
                FOLLOWED_MAX_S / 86_400
            ));
        }
        let until = until.min(followed).plus_s(i64::from(lateness_s) + 1);
        let span = (row.raised_at.plus_s(-before_s), until.min(now));
        Ok(Self {
            complete: rule.is_some() && device.is_some(),
            row,
            past,
            put,
            rule,
            device,
            span,
            notes,
        })
    }

    /// Says when the readings that decided are not kept any more.
    fn check_history(&mut self, hub: &Inner, device: DeviceKey, readings: &[Reading]) {
        let Some(metric) = &self.row.metric else {
            return;
        };
        let key = hub.catalogue.find(metric);
        let decided = readings.iter().any(|reading| {
            reading.series.device == device
                && Some(reading.series.metric) == key
                && (reading.observed_at <= self.row.raised_at
                    || reading.received_at <= self.row.raised_at)
        });
        if !decided {
            self.complete = false;
            self.notes.push(format!(
                "history holds no reading of `{metric}` from {} to {}: it is past retention",
                self.span.0, self.row.raised_at
            ));
        }
    }

    fn close(
        mut self,
        hub: &Inner,
        timeline: &Timeline<'_>,
        account: Option<&Account>,
        members: Vec<Value>,
    ) -> Evidence {
        let found = account.filter(|account| account.found().is_some());
        let differences = match found {
            Some(account) => account.differences(&self.row),
            None => {
                let because = self.notes.first().map_or(NOT_AGAIN, String::as_str);
                vec![
                    json!({"what": "raised_at", "recorded": self.row.raised_at, "again": null,
                    "because": because}),
                ]
            }
        };
        let reproduced = differences.is_empty();
        self.notes.extend(account::words(&self.row));
        if self.complete && found.is_none() {
            self.notes.push(NOT_AGAIN.to_owned());
        }
        if let Some(rule) = &self.rule
            && rule.spec.shadow
        {
            self.notes
                .push("the rule was on trial: the alarm was shown, not announced".to_owned());
        }
        let spec = self.put.as_ref().map(|put| &put.spec);
        let of_rule = |key: &str| {
            spec.and_then(|spec| spec.get(key))
                .cloned()
                .unwrap_or_default()
        };
        let schedule = self.rule.as_ref().map_or(Value::Null, |rule| {
            crate::explain::schedule(hub, rule, self.row.raised_at)
        });
        Evidence {
            rule: json!({
                "id": self.row.rule,
                "revision": self.row.rule_revision,
                "spec": spec,
                "source": of_rule("source"),
                "certainty": of_rule("certainty"),
            }),
            device: self
                .device
                .as_ref()
                .map_or(Value::Null, |put| json!(put.device)),
            reproduced,
            differences,
            decision: account.map_or(Value::Null, Account::decision),
            schedule,
            silence: timeline.silence.clone(),
            members,
            complete: self.complete,
            notes: self.notes,
            period: json!({"from": self.span.0, "to": self.span.1}),
            timeline: timeline.shown(),
            truncated: timeline.left_out(),
            alarm: json!(self.row),
        }
    }
}

/// Finds the edit that made the revision; the last one before the alarm, if a rule was removed and
/// put again.
fn edit_of<'a>(past: &'a Past, row: &'a AlarmRow) -> Option<&'a PutRule> {
    let mut found = None;
    for (stamp, put) in past.edits(&row.rule) {
        if put.revision == row.rule_revision && (found.is_none() || stamp <= row.raised_at) {
            found = Some(put);
        }
    }
    found
}

/// Finds the device as it was when the alarm began, or as it was first after that: a reading may
/// be older than its device's registration.
fn device_of(hub: &Inner, past: &Past, row: &AlarmRow) -> Option<PutDevice> {
    let present = hub.devices.all();
    let of_then = past.devices_at(row.raised_at, &present);
    if let Some(put) = of_then
        .into_values()
        .find(|put| put.device.id == row.device)
    {
        return Some(put);
    }
    past.last_known()
        .into_values()
        .rfind(|put| put.device.id == row.device)
}

/// Says what was not received.
fn silence(case: &Case, engine: Option<&Engine>, timeline: &Timeline<'_>) -> Value {
    let (Some(rule), Some(_)) = (&case.rule, engine) else {
        return Value::Null;
    };
    if rule.spec.condition.kind() != "silence" {
        return Value::Null;
    }
    let patience_s = case.row.limit.unwrap_or_default();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a patience is a thousand cadences of a u32 at most"
    )]
    let since = case
        .row
        .raised_at
        .plus_ms(-((patience_s * 1000.0).round() as i64));
    let cadence_s = case.device.as_ref().and_then(|put| put.device.cadence_s);
    let missed = cadence_s
        .filter(|s| *s > 0)
        .map(|cadence_s| case.row.raised_at.since_ms(since) / (i64::from(cadence_s) * 1000));
    json!({
        "last_sign_of_life": timeline.last_life(case.row.raised_at),
        "counted_from": since,
        "patience_s": patience_s,
        "cadence_s": cadence_s,
        "messages_missed": missed,
        "received_between": timeline.received_between(since, case.row.raised_at),
    })
}
