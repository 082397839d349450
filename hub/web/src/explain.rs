//! Why nothing rang at a moment, or what did: every rule, as it was then, over what was measured.

mod because;
mod gate;

use crate::past::{Past, PutDevice, PutRule};
use crate::problem::Problem;
use crate::query::RawParams;
use crate::rerun::{Scene, reach_s};
use crate::state::{Inner, Shared, store_problem, work};
use crate::written::Written;
use axum::extract::State;
use because::Told;
use model::{AlarmRow, DeviceKey, Reading, Timestamp};
use rules::{Engine, Rule};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::{AlarmQuery, StateFilter};

/// Alarms of one rule and device that are looked through, newest first.
const ALARMS_MAX: usize = 20;

/// Readings of one rule that are shown.
const READINGS_SHOWN: usize = 10;

/// The question.
struct Question {
    device: String,
    at: Timestamp,
    rule: Option<String>,
}

/// One rule's answer; the sentence comes first.
#[derive(Serialize)]
pub(crate) struct Answer {
    rule: String,
    revision: Option<u64>,
    title: Option<String>,
    kind: Option<&'static str>,
    /// `rang`, `rang_unseen`, `did_not_ring` or `does_not_apply`.
    outcome: &'static str,
    because: String,
    selected: bool,
    enabled: Option<bool>,
    shadow: Option<bool>,
    schedule: Value,
    readings: Vec<Value>,
    look: Value,
    limit: Value,
    alarm: Value,
}

#[derive(Serialize)]
struct Explanation {
    device: Value,
    grid: Option<String>,
    at: Timestamp,
    because: String,
    rules: Vec<Answer>,
    notes: Vec<String>,
    complete: bool,
}

/// `GET /api/v1/explain`
pub(crate) async fn show(State(shared): State<Shared>, raw: RawParams) -> Result<Written, Problem> {
    let params = raw.only(&["device", "at", "rule"])?;
    let now = shared.clock.now();
    let at = params.time("at")?.unwrap_or(now);
    if at > now {
        let detail = format!("query parameter `at`: {at} is in the future; it is {now} now");
        return Err(Problem::bad_request(detail));
    }
    let question = Question {
        device: params.required("device")?.to_owned(),
        at,
        rule: params.text("rule").map(str::to_owned),
    };
    work(&shared, "explain a moment", move |hub| {
        Written::json(&explain(hub, &question)?)
    })
    .await
}

fn explain(hub: &Inner, question: &Question) -> Result<Explanation, Problem> {
    let past = Past::of(hub, "read how the rules were")?;
    let devices = past.devices_at(question.at, &hub.devices.all());
    let named = |put: &&PutDevice| put.device.id.as_str() == question.device;
    let Some(device) = devices.values().find(named) else {
        return Err(unknown(hub, &past, question));
    };
    let then = past.rules_at(question.at);
    let mut asked: Vec<&str> = then.keys().copied().collect();
    asked.extend(
        past.rules_ever()
            .into_iter()
            .filter(|id| !then.contains_key(id)),
    );
    match &question.rule {
        Some(rule) => asked.retain(|id| id == rule),
        // The hub's own rules tell the status of devices; they raise no alarms.
        None => asked.retain(|id| !id.starts_with('~')),
    }
    if let Some(rule) = &question.rule
        && asked.is_empty()
    {
        let detail = format!("there is no rule `{rule}`, and there never was");
        return Err(Problem::not_found(detail));
    }
    let mut answers = Vec::new();
    let mut applying = Vec::new();
    for id in asked {
        match gate::apply(&past, &then, id, device, question.at) {
            Ok(rule) => applying.push(rule),
            Err(answer) => answers.push(*answer),
        }
    }
    let seen = Seen::gather((hub, &past), (question.at, device), &applying, &devices)?;
    for rule in &applying {
        answers.push(seen.answer(hub, rule, device, question.at)?);
    }
    answers.sort_by(|a, b| (rank(a), &a.rule).cmp(&(rank(b), &b.rule)));
    Ok(Explanation {
        device: json!(device.device),
        grid: device.grid.clone(),
        at: question.at,
        because: summary(&answers),
        rules: answers,
        complete: !seen.is_cut,
        notes: seen.notes,
    })
}

fn unknown(hub: &Inner, past: &Past, question: &Question) -> Problem {
    let id = &question.device;
    let named = |put: &PutDevice| put.device.id.as_str() == id;
    let hint = if past.last_known().values().any(named) || hub.devices.find(id).is_some() {
        "it is or was registered, but not at that moment"
    } else if hub.knocks.list().iter().any(|knock| knock.id == *id) {
        "something knocks under that name: see /api/v1/devices/unclaimed"
    } else {
        "it never was registered; GET /api/v1/devices?q= finds names"
    };
    Problem::not_found(format!(
        "there was no device `{id}` at {}: {hint}",
        question.at
    ))
}

fn rank(answer: &Answer) -> u8 {
    match answer.outcome {
        "rang" => 0,
        "rang_unseen" => 1,
        "did_not_ring" => 2,
        _ => 3,
    }
}

fn summary(answers: &[Answer]) -> String {
    let count = |outcome: &str| answers.iter().filter(|a| a.outcome == outcome).count();
    let (rang, unseen) = (count("rang"), count("rang_unseen"));
    let (not, other) = (count("did_not_ring"), count("does_not_apply"));
    if answers.is_empty() {
        return "nothing rang: there was no rule at that moment".to_owned();
    }
    if rang + unseen + not == 0 {
        return format!("nothing rang: none of {other} rules applied to this device then");
    }
    let mut text = match (rang, unseen) {
        (0, 0) => "nothing rang".to_owned(),
        (0, _) => format!("{unseen} active, but people did not see it ring"),
        (_, 0) => format!("{rang} rang"),
        _ => format!("{rang} rang, and {unseen} active that people did not see ring"),
    };
    text.push_str(&format!(
        "; {not} watched and did not raise, {other} did not apply"
    ));
    match answers.first().filter(|_| rang + unseen + not == 1) {
        Some(only) => format!("{text}: {}", only.because),
        None => text,
    }
}

/// What the rules that apply saw.
struct Seen {
    engine: Option<Engine>,
    readings: Vec<Reading>,
    is_cut: bool,
    notes: Vec<String>,
}

impl Seen {
    /// Runs the rules up to the moment, each reading at its own time.
    fn gather(
        (hub, past): (&Inner, &Past),
        (at, device): (Timestamp, &PutDevice),
        rules: &[Rule],
        devices: &BTreeMap<DeviceKey, PutDevice>,
    ) -> Result<Self, Problem> {
        let then = past.rules_at(at);
        let mut scene = Scene::default();
        let mut before_s = 0;
        let lateness_s = hub.rule_settings.lateness_s;
        for rule in rules {
            scene.join(Scene::of(hub, &rule.id, &then, device, devices));
            before_s = before_s.max(reach_s(&rule.spec, device.device.cadence_s, lateness_s));
        }
        if rules.is_empty() {
            return Ok(Self {
                engine: None,
                readings: Vec::new(),
                is_cut: false,
                notes: Vec::new(),
            });
        }
        let mut notes = Vec::new();
        let span = (at.plus_s(-before_s), at);
        let all = scene.readings(hub, span)?;
        let came_later = all
            .iter()
            .filter(|r| r.observed_at <= at && r.received_at > at);
        let count = came_later.clone().count();
        if let Some(last) = came_later.map(|r| r.received_at).max() {
            notes.push(format!(
                "{count} readings of the time before were received only after this moment, the \
                 last at {last}"
            ));
        }
        let readings = in_their_own_time(all, at, lateness_s);
        if scene.is_cut {
            notes.push("more readings or devices are involved than are looked at".to_owned());
        }
        let engine = scene.run((hub, past), span, &readings, &mut |_, _, _| {});
        Ok(Self {
            engine: Some(engine),
            readings,
            is_cut: scene.is_cut,
            notes,
        })
    }

    fn answer(
        &self,
        hub: &Inner,
        rule: &Rule,
        device: &PutDevice,
        at: Timestamp,
    ) -> Result<Answer, Problem> {
        let alarm = alarm_then(hub, rule, device, at)?;
        let look = self
            .engine
            .as_ref()
            .map_or(Value::Null, |engine| look(engine, &rule.id, device.key));
        let schedule = schedule(hub, rule, at);
        let told = Told {
            hub,
            rule,
            spec: rule.spec.to_json(),
            device: &device.device,
            at,
            look: &look,
            schedule: &schedule,
            readings: self.of(hub, rule, device.key),
        };
        let (outcome, because) = told.because(alarm.as_ref());
        Ok(Answer {
            because,
            outcome,
            limit: told.limit(),
            readings: told.readings_shown(READINGS_SHOWN),
            selected: true,
            enabled: Some(true),
            shadow: Some(rule.spec.shadow),
            rule: rule.id.clone(),
            revision: Some(rule.revision),
            title: Some(rule.spec.title.clone()),
            kind: Some(rule.spec.condition.kind()),
            alarm: alarm.unwrap_or_default(),
            schedule,
            look,
        })
    }

    /// Gives the readings of the device that the rule takes, oldest first.
    fn of(&self, hub: &Inner, rule: &Rule, device: DeviceKey) -> Vec<&Reading> {
        let metric = rule.spec.metric().and_then(|name| hub.catalogue.find(name));
        let own = self.readings.iter().filter(|r| r.series.device == device);
        own.filter(|r| metric.is_none_or(|metric| r.series.metric == metric))
            .collect()
    }
}

/// Lets each reading come when it was observed, up to `at`: the order of arrival within the
/// lateness changes nothing, and so the engine stands as it must for that moment.
fn in_their_own_time(all: Vec<Reading>, at: Timestamp, lateness_s: u32) -> Vec<Reading> {
    let lateness_ms = i64::from(lateness_s) * 1000;
    let mut readings: Vec<Reading> = all
        .into_iter()
        .map(|mut reading| {
            let delay_ms = reading.received_at.since_ms(reading.observed_at);
            if delay_ms.abs() <= lateness_ms {
                reading.received_at = reading.observed_at;
            }
            reading
        })
        .filter(|reading| reading.received_at <= at)
        .collect();
    readings.sort_by_key(|r| {
        (
            r.received_at,
            r.series.device,
            r.series.metric,
            r.observed_at,
        )
    });
    readings
}

/// Finds the alarm that was active at the moment, as people saw it then.
fn alarm_then(
    hub: &Inner,
    rule: &Rule,
    device: &PutDevice,
    at: Timestamp,
) -> Result<Option<Value>, Problem> {
    let wrong = |error| store_problem("look for the alarm of that moment", &error);
    let query = AlarmQuery {
        states: StateFilter::All,
        device: Some(device.device.id.clone()),
        rule: Some(rule.id.clone()),
        limit: ALARMS_MAX,
        after: Some(format!("{}.a", at.millis().saturating_add(1))),
        ..AlarmQuery::default()
    };
    let rows = hub.reader.alarms(&query).map_err(wrong)?.rows;
    let active = |row: &AlarmRow| row.cleared_at.is_none_or(|cleared_at| cleared_at > at);
    let Some(row) = rows.into_iter().find(active) else {
        return Ok(None);
    };
    let event = hub.reader.last_event_about(&row.id, at).map_err(wrong)?;
    let event = event.and_then(|event| serde_json::from_str::<Value>(&event.json).ok());
    let seen = event.as_ref().and_then(|event| event.get("data")).cloned();
    let is_of_then = seen.is_some();
    let mut shown = seen.unwrap_or_else(|| json!(row));
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("as_of_then".to_owned(), json!(is_of_then));
        fields.insert(
            "evidence".to_owned(),
            json!(format!("/api/v1/alarms/{}/evidence", row.id)),
        );
    }
    Ok(Some(shown))
}

/// Gives what the engine remembers of one rule on one device.
pub(crate) fn look(engine: &Engine, rule: &str, device: DeviceKey) -> Value {
    json!(engine.look(rule, device))
}

/// Tells whether the rule's schedule was open, and when that changes next.
pub(crate) fn schedule(hub: &Inner, rule: &Rule, at: Timestamp) -> Value {
    let schedule = &rule.spec.schedule;
    let zone = &hub.rule_settings.zone;
    let next = schedule.next_edge_ms(zone, at.millis());
    json!({
        "always": schedule.is_always(),
        "open": schedule.is_open(zone, at.millis()),
        "next_edge": next.map(Timestamp::from_millis),
        "zone": zone.name(),
    })
}

/// The rule as it is recorded; for the gate.
fn recorded<'a>(then: &BTreeMap<&str, (Timestamp, &'a PutRule)>, id: &str) -> Option<&'a PutRule> {
    then.get(id).map(|(_, put)| *put)
}
