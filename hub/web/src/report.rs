//! Whether the hub lives, takes telemetry, and how its parts do.

use crate::build::build;
use crate::census::Census;
use crate::certificates;
use crate::health::PartState;
use crate::problem::Problem;
use crate::query::RawParams;
use crate::state::{Inner, Shared, ask};
use crate::{SinkHealth, SinkState, StorageHealth, StorageState};
use axum::Json;
use axum::extract::State;
use model::{AlarmState, Counts, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::StoreError;

/// `GET /healthz`: the process answers.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: telemetry is taken.
pub(crate) async fn ready(State(shared): State<Shared>) -> Result<&'static str, Problem> {
    if is_full(shared.health.storage()) {
        return Err(Problem::busy(
            "the disk is full: the hub takes no telemetry",
        ));
    }
    if shared.health.is_ready() && !shared.stop.is_cancelled() {
        return Ok("ready\n");
    }
    Err(Problem::busy("the hub takes no telemetry now"))
}

fn is_full(storage: Option<StorageHealth>) -> bool {
    storage.is_some_and(|storage| storage.state == StorageState::Full)
}

/// `GET /api/v1/health`
pub(crate) async fn health(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let body = ask(&shared, "report on the hub", |hub| {
        let now = hub.clock.now();
        let drivers = hub.health.drivers();
        let storage = hub.health.storage();
        let ready = hub.health.is_ready() && !hub.stop.is_cancelled() && !is_full(storage);
        let total = hub.reader.ledger(None, None)?.total;
        let mark = *hub.tail.mark.borrow();
        let sinks = Lag::of_all(hub)?;
        let census = Census::take(hub);
        let clocks_wrong = census.by_status.get("clock_wrong").copied();
        let mut unwell = unwell(hub, &sinks, now);
        let (certificates, unwell_certificates) = certificates::report(hub, now);
        unwell.extend(unwell_certificates);
        Ok(json!({
            "status": if ready && unwell.is_empty() { "up" } else { "degraded" },
            "degraded_by": unwell,
            "ready": ready,
            "version": hub.health.version,
            "build": build(hub.health.version),
            "config": {"hash": hub.setting.config_hash},
            "started_at": hub.health.started_at,
            "uptime_s": now.since_ms(hub.health.started_at) / 1000,
            "now": now,
            "city": hub.city,
            "addresses": hub.health.addresses(),
            "drivers": drivers,
            "certificates": certificates,
            "sinks": sinks,
            "mirrors": crate::mirrors::to_json(&hub.health.mirrors(), now),
            "store": hub.reader.stats()?,
            "intake": intake(hub, now, &total),
            "storage": storage.map(|storage| storage.to_json()),
            "rules": rules(hub, now),
            "retention": {
                "readings_days": hub.setting.readings_days,
                "events_days": hub.setting.events_days,
            },
            // How far it is off nobody can say who has no better clock.
            "clock": {
                "source": "system",
                "now": now,
                "offset_ms": null,
                "moved_ms": hub.health.clock_moved_ms(now),
                "devices_wrong": clocks_wrong,
            },
            "journal": {"commit": mark.commit, "event": mark.event},
            "devices": census,
            "alarms": alarms(hub, now),
            "streams": {"open": hub.streams_open(), "limit": hub.stream_clients_max},
            "canary": hub.health.canary_json(now),
        }))
    })
    .await?;
    Ok(Json(body))
}

/// Names what is not well.
fn unwell(hub: &Inner, sinks: &BTreeMap<String, Lag>, now: Timestamp) -> Vec<String> {
    let drivers = hub.health.drivers();
    let mut unwell: Vec<String> = drivers
        .iter()
        .filter(|(_, driver)| driver.state != PartState::Up)
        .map(|(name, _)| format!("drivers.{name}"))
        .collect();
    let owing = sinks.iter().filter(|(_, sink)| sink.health.is_owing(now));
    unwell.extend(owing.map(|(name, _)| format!("sinks.{name}")));
    let mirrors = hub.health.mirrors();
    let owing = mirrors.iter().filter(|(_, mirror)| mirror.is_owing(now));
    unwell.extend(owing.map(|(name, _)| format!("mirrors.{name}")));
    let storage = hub.health.storage();
    if storage.is_some_and(|storage| storage.state != StorageState::Ample) {
        unwell.push("storage".to_owned());
    }
    let canary = hub.health.canary();
    if !canary.is_none_or(|canary| canary.is_well(now)) {
        unwell.push("canary".to_owned());
    }
    unwell
}

/// How many rules there are, and how far they are behind.
fn rules(hub: &Inner, now: Timestamp) -> Value {
    let mut rules = hub.pace.rules(now);
    if let Some(fields) = rules.as_object_mut() {
        fields.insert("count".to_owned(), hub.rules.all().len().into());
    }
    rules
}

/// A delivery with how far it is behind.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Lag {
    #[serde(flatten)]
    pub(crate) health: SinkHealth,
    /// Events after its cursor.
    pub(crate) lag_events: u64,
    /// The age of the oldest of them.
    pub(crate) lag_s: i64,
    pub(crate) parked: u64,
}

impl Lag {
    /// Looks at every delivery.
    pub(crate) fn of_all(hub: &Inner) -> Result<BTreeMap<String, Self>, StoreError> {
        let now = hub.clock.now();
        let newest = hub.tail.mark.borrow().event;
        let parked = hub.reader.parked_counts()?;
        let mut lags = BTreeMap::new();
        for (name, health) in hub.health.sinks() {
            let lag_events = newest.saturating_sub(health.cursor);
            let oldest = match lag_events {
                0 => None,
                _ => hub.reader.event_time(health.cursor.saturating_add(1))?,
            };
            let lag = Self {
                lag_events,
                lag_s: oldest.map_or(0, |at| now.since_ms(at).max(0) / 1_000),
                parked: parked.get(&name).copied().unwrap_or(0),
                health,
            };
            lags.insert(name, lag);
        }
        Ok(lags)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.health.state == SinkState::Up
    }
}

/// How many alarms there are, and how many more than people can attend to.
fn alarms(hub: &Inner, now: Timestamp) -> Value {
    let book = hub.alarms();
    let mut states: BTreeMap<&str, u64> = AlarmState::ALL
        .iter()
        .filter(|state| **state != AlarmState::Normal)
        .map(|state| (state.name(), 0))
        .collect();
    for ((state, _), count) in book.counts() {
        *states.entry(state.name()).or_default() += count;
    }
    let load = book.load(now);
    json!({
        "state": states,
        "rate_10min": load.announced,
        "in_flood": load.flood_since.is_some(),
        "flood_since": load.flood_since,
        "chattering": load.chattering,
        "stale": load.stale,
    })
}

/// What came in, and how fast.
fn intake(hub: &Inner, now: Timestamp, total: &Counts) -> Value {
    let queue = hub.health.queue();
    json!({
        "received": total.received,
        "stored": total.stored,
        "duplicate": total.duplicate,
        "late": total.late,
        "rejected": total.rejected_total(),
        "queued": queue.queued,
        "capacity": queue.capacity,
        "too_fast": too_fast(hub),
        "last_minute": hub.pace.intake(hub.health.started_at, now),
    })
}

/// Devices that are named one by one.
const TOO_FAST_MAX: usize = 20;

/// Devices that send faster than they may, those for the longest time first.
fn too_fast(hub: &Inner) -> Value {
    let fast = hub.health.fast();
    let mut named: Vec<(&String, &Timestamp)> = fast.iter().collect();
    named.sort_by_key(|(_, since)| **since);
    named.truncate(TOO_FAST_MAX);
    let named = named
        .into_iter()
        .map(|(device, since)| json!({ "device": device, "since": since }));
    json!({ "count": fast.len(), "devices": named.collect::<Vec<_>>() })
}
