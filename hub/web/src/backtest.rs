//! What rules would have done over recorded history, and how that differs from what was recorded.

mod replay;

use self::replay::Replay;
use crate::guard::BACKTEST_DEADLINE;
use crate::past::{Past, PutDevice};
use crate::problem::Problem;
use crate::query::{RawParams, json_body};
use crate::rulebook::{check_id, rule_problem};
use crate::state::{Inner, Shared, store_problem, work};
use crate::written::Written;
use axum::body::Bytes;
use axum::extract::State;
use model::{AlarmRow, AlarmState, Device, DeviceKey, Reading, Timestamp};
use rules::{AlarmSpan, Rule};
use sdk::DeviceEntry;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use store::StoreError;
use tokio_util::sync::CancellationToken;

/// Rules of one backtest.
const RULES_MAX: usize = 1_000;

/// Alarm rows of one answer; all of them are counted.
const ALARMS_SHOWN_MAX: usize = 10_000;

/// A request whose rules could not all be read has nobody to answer to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    rules: Vec<Map<String, Value>>,
    from: Timestamp,
    to: Timestamp,
}

/// What was looked at.
#[derive(Debug, Default)]
struct Coverage {
    readings: u64,
    devices: HashSet<DeviceKey>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// `POST /api/v1/rules/backtest`
pub(crate) async fn run(
    State(shared): State<Shared>,
    raw: RawParams,
    body: Bytes,
) -> Result<Written, Problem> {
    raw.only(&[])?;
    let request: Request = json_body(&body)?;
    if request.from >= request.to {
        return Err(Problem::invalid(format!(
            "`from` ({}) is not before `to` ({})",
            request.from, request.to
        )));
    }
    let rules = read_rules(&shared, request.rules)?;
    // One at a time: a backtest takes a whole core.
    let Ok(_turn) = shared.backtests.try_acquire() else {
        return Err(Problem::busy("another backtest is under way"));
    };
    let cancel = CancellationToken::new();
    let _cancelled_with_the_request = cancel.clone().drop_guard();
    let span = (request.from, request.to);
    work(&shared, "run the backtest", move |hub| {
        Written::json(&backtest(hub, rules, span, &cancel)?)
    })
    .await
}

fn read_rules(shared: &Shared, specs: Vec<Map<String, Value>>) -> Result<Vec<Rule>, Problem> {
    if specs.is_empty() || specs.len() > RULES_MAX {
        let detail = format!("`rules` must hold 1 to {RULES_MAX} rules");
        return Err(Problem::invalid(detail));
    }
    let mut ids = HashSet::new();
    let mut rules = Vec::with_capacity(specs.len());
    for (index, mut spec) in specs.into_iter().enumerate() {
        let Some(Value::String(id)) = spec.remove("id") else {
            return Err(Problem::invalid(format!(
                "rule {}: `id` is missing",
                index + 1
            )));
        };
        check_id(&id)?;
        spec.remove("revision");
        let parsed =
            rules::parse_json(&id, &Value::Object(spec)).map_err(|error| rule_problem(&error))?;
        parsed
            .validate(&shared.catalogue)
            .map_err(|error| rule_problem(&error))?;
        if !ids.insert(id.clone()) {
            return Err(Problem::invalid(format!("rule `{id}` is given twice")));
        }
        rules.push(Rule {
            id,
            revision: 0,
            spec: parsed,
        });
    }
    Ok(rules)
}

fn backtest(
    hub: &Inner,
    rules: Vec<Rule>,
    (from, to): (Timestamp, Timestamp),
    cancel: &CancellationToken,
) -> Result<Value, Problem> {
    const WHAT: &str = "run the backtest";
    let wrong = |error: StoreError| store_problem(WHAT, &error);
    let entries = hub.devices.all();
    let mut coverage = Coverage::default();
    let chunks = hub.reader.replay(from, to).map_err(wrong)?;
    // Read after the readings were taken hold of: each of them finds its device.
    let past = Past::of(hub, WHAT)?;
    let gone = past.last_known();
    let engine = (hub.rule_settings.clone(), Arc::clone(&hub.catalogue));
    let mut replay = Replay::start(engine, from, &past, &entries, rules.clone());
    for chunk in chunks {
        // Whoever asked has gone, or the deadline has passed.
        if cancel.is_cancelled() {
            return Err(Problem::busy(format!(
                "the backtest was given up after {} s",
                BACKTEST_DEADLINE.as_secs()
            )));
        }
        let chunk = chunk.map_err(wrong)?;
        coverage.add(&chunk);
        for reading in &chunk {
            replay.take(reading);
        }
    }
    // What has not been yet cannot be silent.
    let spans = replay.finish(to.min(hub.clock.now()));
    let by_key = known_devices(&gone, &entries);
    let by_rule: BTreeMap<&str, &Rule> =
        rules.iter().map(|rule| (rule.id.as_str(), rule)).collect();
    let rows: Vec<AlarmRow> = spans
        .iter()
        .zip(1u64..)
        .filter_map(|(span, number)| row(hub, span, number, &by_key, &by_rule))
        .collect();
    let recorded: Vec<AlarmRow> = hub
        .reader
        .alarms_between(from, to)
        .map_err(wrong)?
        .into_iter()
        .filter(|row| by_rule.contains_key(row.rule.as_str()) && !is_withdrawn(row))
        .collect();
    Ok(json!({
        "alarms": rows.iter().take(ALARMS_SHOWN_MAX).collect::<Vec<_>>(),
        "alarms_total": rows.len(),
        "coverage": {
            "from": from,
            "to": to,
            "readings": coverage.readings,
            "devices": coverage.devices.len(),
            "first_received": coverage.first,
            "last_received": coverage.last,
        },
        "diff": diff(&recorded, &rows),
    }))
}

/// Gives each device as it is now, or as it was last if it is gone, with its grid if it has one.
fn known_devices<'a>(
    recorded: &'a BTreeMap<DeviceKey, PutDevice>,
    entries: &'a [Arc<DeviceEntry>],
) -> HashMap<DeviceKey, (&'a Device, Option<&'a str>)> {
    let gone = recorded
        .iter()
        .map(|(key, put)| (*key, (&put.device, None)));
    let present = entries
        .iter()
        .map(|entry| (entry.key, (&entry.device, entry.grid.as_deref())));
    gone.chain(present).collect()
}

impl Coverage {
    fn add(&mut self, chunk: &[Reading]) {
        self.readings += chunk.len() as u64;
        let mut before = None;
        for reading in chunk {
            // Readings of one message stand together: most need no look-up.
            if before != Some(reading.series.device) {
                self.devices.insert(reading.series.device);
                before = Some(reading.series.device);
            }
        }
        self.first = self.first.or(chunk.first().map(|r| r.received_at));
        self.last = chunk.last().map(|r| r.received_at).or(self.last);
    }
}

fn row(
    hub: &Inner,
    span: &AlarmSpan,
    number: u64,
    devices: &HashMap<DeviceKey, (&Device, Option<&str>)>,
    rules: &BTreeMap<&str, &Rule>,
) -> Option<AlarmRow> {
    let (device, grid) = *devices.get(&span.device)?;
    let rule = rules.get(&*span.rule)?;
    let metric = span.metric.and_then(|key| hub.catalogue.def(key));
    let active = span.cleared_at.is_none();
    Some(AlarmRow {
        id: format!("b{number}"),
        rule: rule.id.clone(),
        rule_revision: span.rule_revision,
        title: rule.spec.title.clone(),
        device: device.id.clone(),
        kind: device.kind.clone(),
        site: device.site.clone(),
        grid: grid.map(str::to_owned),
        severity: span.severity,
        state: if active {
            AlarmState::ActiveUnacked
        } else {
            AlarmState::Normal
        },
        active,
        acked: false,
        raised_at: span.raised_at,
        cleared_at: span.cleared_at,
        metric: metric.map(|def| def.name.clone()),
        value: span.value,
        limit: span.limit,
        unit: rule.spec.unit(&hub.catalogue).map(str::to_owned),
        peak: span.peak,
        count: span.count,
        owner: None,
        shelved_until: None,
        suppressed_by: None,
        case: None,
        note: span.late.then(|| "from late data".to_owned()),
        category: rule.spec.category.clone(),
        version: 1,
    })
}

/// Tells whether live took the alarm back: it was raised on incomplete data, which a backtest,
/// seeing the same readings in the same order, takes back, too.
fn is_withdrawn(row: &AlarmRow) -> bool {
    row.note.as_deref() == Some("withdrawn")
}

/// What makes two alarms the same one.
type Identity<'a> = (&'a str, &'a str, Option<&'a str>, Timestamp);

fn identity(row: &AlarmRow) -> Identity<'_> {
    (
        &row.rule,
        row.device.as_str(),
        row.metric.as_deref(),
        row.raised_at,
    )
}

/// Compares what was recorded with what the backtest gave.
fn diff(recorded: &[AlarmRow], tested: &[AlarmRow]) -> Value {
    let before: HashMap<Identity<'_>, &AlarmRow> =
        recorded.iter().map(|row| (identity(row), row)).collect();
    let after: HashSet<Identity<'_>> = tested.iter().map(identity).collect();
    let mut same = 0u64;
    let mut changed = Vec::new();
    let mut gained = Vec::new();
    for row in tested {
        match before.get(&identity(row)) {
            None => gained.push(json!(row)),
            Some(old) if old.cleared_at == row.cleared_at && old.severity == row.severity => {
                same += 1;
            }
            Some(old) => changed.push(json!({"recorded": old, "tested": row})),
        }
    }
    let lost: Vec<Value> = recorded
        .iter()
        .filter(|row| !after.contains(&identity(row)))
        .map(|row| json!(row))
        .collect();
    let cut = |mut rows: Vec<Value>| {
        rows.truncate(ALARMS_SHOWN_MAX);
        rows
    };
    json!({
        "same": same,
        "gained_total": gained.len(),
        "lost_total": lost.len(),
        "changed_total": changed.len(),
        "gained": cut(gained),
        "lost": cut(lost),
        "changed": cut(changed),
    })
}
