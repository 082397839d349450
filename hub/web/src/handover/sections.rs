//! What a handover is about: the nine sections, as the hub is now.

use super::HandoverDraft;
use crate::alarms::Shown;
use crate::problem::Problem;
use crate::records::detail;
use crate::report::Lag;
use crate::state::{Inner, store_problem};
use model::{AlarmRow, AlarmState, DeviceStatus, Severity, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use store::{CaseQuery, StoreError};

const WHAT: &str = "put a handover together";

/// Rows that one section lists; all are counted.
const ROWS_MAX: usize = 200;

/// Links of the audit trail that are read at once.
const AUDIT_ROWS: usize = 1_000;

/// What somebody did to many things within this time is one change.
const ONE_GO_MS: i64 = 1_000;

/// What changes how the hub judges.
const CHANGES: [&str; 11] = [
    "put_rule",
    "delete_rule",
    "rollback_rule",
    "propose_rule",
    "approve_rule",
    "reject_rule",
    "withdraw_rule",
    "put_device",
    "delete_device",
    "put_subscription",
    "delete_subscription",
];

fn wrong(error: StoreError) -> Problem {
    store_problem(WHAT, &error)
}

pub(super) fn all(hub: &Inner, draft: &HandoverDraft) -> Result<Map<String, Value>, Problem> {
    let mut sections = Map::new();
    let mut put = |name: &str, section: Value| sections.insert(name.to_owned(), section);
    put(
        "open_alarms",
        alarms(hub, |state| {
            state.asks() || state == AlarmState::ActiveAcked
        }),
    );
    put("set_aside", alarms(hub, is_set_aside));
    put("cases", cases(hub)?);
    put("devices", devices(hub));
    put("changes", changes(hub, draft.began_at)?);
    put("system", system(hub)?);
    put("figures", figures(hub, draft.began_at)?);
    put("log", log(hub, draft.began_at)?);
    put("checklist", checklist(hub, draft));
    Ok(sections)
}

fn is_set_aside(state: AlarmState) -> bool {
    matches!(
        state,
        AlarmState::Shelved | AlarmState::Suppressed | AlarmState::OutOfService
    )
}

/// The most urgent first.
fn alarms(hub: &Inner, is_meant: impl Fn(AlarmState) -> bool) -> Value {
    let book = hub.alarms();
    let mut rows: Vec<&AlarmRow> = book.rows().filter(|row| is_meant(row.state)).collect();
    rows.sort_unstable_by_key(|row| (row.state.group(), Reverse((row.severity, row.raised_at))));
    let count = rows.len();
    let rows: Vec<AlarmRow> = rows.into_iter().take(ROWS_MAX).cloned().collect();
    drop(book);
    let items: Vec<Shown> = rows.into_iter().map(|row| Shown::of(hub, row)).collect();
    json!({"count": count, "items": items})
}

fn cases(hub: &Inner) -> Result<Value, Problem> {
    let query = CaseQuery {
        limit: ROWS_MAX,
        ..CaseQuery::default()
    };
    let page = hub.reader.cases(&query).map_err(wrong)?;
    let items: Vec<Value> = page.rows.iter().map(|json| detail(json)).collect();
    Ok(json!({"count": items.len(), "more": page.next.is_some(), "items": items}))
}

fn devices(hub: &Inner) -> Value {
    let mut status: BTreeMap<&str, u64> = BTreeMap::new();
    let mut items = Vec::new();
    let mut count = 0u64;
    for entry in hub.devices.all() {
        let health = hub.statuses.of(entry.key);
        if !entry.device.enabled || health.status == DeviceStatus::Online {
            continue;
        }
        count += 1;
        *status.entry(health.status.name()).or_default() += 1;
        if items.len() < ROWS_MAX {
            let device = &entry.device;
            items.push(json!({
                "id": device.id, "name": device.name, "kind": device.kind, "site": device.site,
                "parent": device.parent, "status": health.status.name(), "since": health.since,
            }));
        }
    }
    json!({"count": count, "status": status, "items": items})
}

/// What one person did to many things in one go.
#[derive(Serialize)]
struct Change {
    at: Timestamp,
    actor: String,
    action: String,
    /// The first of them.
    subject: String,
    times: u64,
    #[serde(skip)]
    last: Timestamp,
}

/// The newest first; all since the shift began are counted.
fn changes(hub: &Inner, from: Timestamp) -> Result<Value, Problem> {
    let mut changes: Vec<Change> = Vec::new();
    let mut after = hub.reader.audit_before(from).map_err(wrong)?;
    loop {
        let page = hub.reader.audit(after, AUDIT_ROWS).map_err(wrong)?;
        let is_last = page.len() < AUDIT_ROWS;
        after = page.last().map_or(after, |row| row.seq);
        for row in page {
            if !CHANGES.contains(&row.action.as_str()) {
                continue;
            }
            match changes.last_mut() {
                Some(change)
                    if (&change.actor, &change.action) == (&row.actor, &row.action)
                        && row.at.since_ms(change.last) < ONE_GO_MS =>
                {
                    change.times += 1;
                    change.last = row.at;
                }
                _ => changes.push(Change {
                    at: row.at,
                    actor: row.actor,
                    action: row.action,
                    subject: row.subject,
                    times: 1,
                    last: row.at,
                }),
            }
        }
        if is_last {
            break;
        }
    }
    let newest: Vec<&Change> = changes.iter().rev().take(ROWS_MAX).collect();
    Ok(json!({"count": changes.len(), "items": newest}))
}

fn system(hub: &Inner) -> Result<Value, Problem> {
    let now = hub.clock.now();
    let sinks = Lag::of_all(hub).map_err(wrong)?;
    let outbox: u64 = sinks.values().map(|lag| lag.lag_events).sum();
    let stats = hub.reader.stats().map_err(wrong)?;
    Ok(json!({
        "ready": hub.health.is_ready(),
        "canary": hub.health.canary_json(now),
        "outbox_events": outbox,
        "sinks": sinks,
        "disk_free_bytes": stats.disk_free_bytes,
    }))
}

fn figures(hub: &Inner, from: Timestamp) -> Result<Value, Problem> {
    let rows = hub.reader.alarms_between(from, Timestamp::MAX);
    let rows = rows.map_err(wrong)?;
    let mut severity: BTreeMap<&str, u64> = Severity::ALL.map(|of| (of.name(), 0)).into();
    let (mut alarms, mut false_alarms) = (0u64, 0u64);
    for row in rows.iter().filter(|row| row.announced_at.is_some()) {
        alarms += 1;
        *severity.entry(row.severity.name()).or_default() += 1;
        false_alarms += u64::from(row.verdict.as_deref() == Some("false_alarm"));
    }
    Ok(json!({"alarms": alarms, "severity": severity, "false_alarms": false_alarms}))
}

fn log(hub: &Inner, from: Timestamp) -> Result<Value, Problem> {
    let entries = hub.reader.shift_log(from, 0, ROWS_MAX).map_err(wrong)?;
    let count_of = |kind: &str| entries.iter().filter(|entry| entry.kind == kind).count();
    let kinds: BTreeMap<&str, usize> = super::KINDS.map(|kind| (kind, count_of(kind))).into();
    let items: Vec<Value> = entries.iter().map(super::entry_json).collect();
    Ok(json!({"count": items.len(), "kinds": kinds, "items": items}))
}

fn checklist(hub: &Inner, draft: &HandoverDraft) -> Value {
    let items = hub.desk.checklist.iter().map(|(name, text)| {
        let done = draft.checklist.get(name).copied().unwrap_or(false);
        json!({"name": name, "text": text, "done": done})
    });
    json!({"items": items.collect::<Vec<_>>()})
}
