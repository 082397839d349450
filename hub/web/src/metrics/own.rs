//! The figures that the web itself knows: process, drivers, intake, alarms, devices, deliveries, store.

use super::page::Page;
use super::process;
use crate::census::Census;
use crate::health::PartState;
use crate::report::Lag;
use crate::state::Inner;
use crate::{DiskView, StorageState};
use model::{AlarmState, Counts, Severity};
use std::collections::BTreeMap;
use std::sync::PoisonError;
use store::{Ledger, Stats, StoreError};

/// Asks every source.
pub(super) fn collect(hub: &Inner) -> Result<Page, StoreError> {
    let mut page = Page::default();
    process::put(&mut page);
    put_hub(&mut page, hub);
    put_drivers(&mut page, hub);
    put_ledger(&mut page, &hub.reader.ledger(None, None)?);
    put_writer(&mut page, hub);
    put_alarms(&mut page, hub);
    put_cases(&mut page, hub);
    put_devices(&mut page, &Census::take(hub));
    put_sinks(&mut page, &Lag::of_all(hub)?);
    crate::mirrors::put(&mut page, &hub.health.mirrors(), hub.clock.now());
    put_store(&mut page, &hub.reader.stats()?);
    put_storage(&mut page, hub);
    put_canary(&mut page, hub);
    crate::certificates::put(&mut page, hub);
    hub.health.figures().put(&mut page);
    Ok(page)
}

const DAY_S: f64 = 86_400.0;

fn put_hub(page: &mut Page, hub: &Inner) {
    let health = &hub.health;
    page.put("cityhub_build_info", &[("version", health.version)], 1_u64);
    let started_s = health.started_at.millis() / 1000;
    page.put("process_start_time_seconds", &[], started_s);
    page.put("cityhub_ready", &[], health.is_ready());
    let moved_ms = health.clock_moved_ms(hub.clock.now());
    page.put("cityhub_clock_moved_seconds", &[], seconds(moved_ms));
    page.put("cityhub_stream_clients", &[], hub.streams_open());
    page.put("cityhub_stream_clients_max", &[], hub.stream_clients_max);
    page.put("cityhub_devices", &[], hub.devices.len());
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn put_drivers(page: &mut Page, hub: &Inner) {
    for (name, driver) in &hub.health.drivers() {
        let labels = [("driver", name.as_str()), ("kind", driver.kind.as_str())];
        page.put("cityhub_driver_up", &labels, driver.state == PartState::Up);
        let labels = [("driver", name.as_str())];
        page.put("cityhub_driver_restarts_total", &labels, driver.restarts);
    }
    for ((driver, reason), count) in &hub.health.refused() {
        let labels = [("driver", driver.as_str()), ("reason", reason.as_str())];
        page.put("cityhub_refused_total", &labels, *count);
    }
}

fn put_ledger(page: &mut Page, ledger: &Ledger) {
    type Column = (&'static str, fn(&Counts) -> u64);
    const COLUMNS: [Column; 4] = [
        ("cityhub_values_received_total", |c| c.received),
        ("cityhub_values_stored_total", |c| c.stored),
        ("cityhub_values_duplicate_total", |c| c.duplicate),
        ("cityhub_values_late_total", |c| c.late),
    ];
    for (driver, counts) in &ledger.drivers {
        for (name, column) in COLUMNS {
            page.put(name, &[("driver", driver)], column(counts));
        }
        for (reason, count) in &counts.rejected {
            let labels = [("driver", driver.as_str()), ("reason", reason.as_ref())];
            page.put("cityhub_values_rejected_total", &labels, *count);
        }
    }
}

fn put_writer(page: &mut Page, hub: &Inner) {
    let queue = hub.health.queue();
    page.put("cityhub_devices_too_fast", &[], hub.health.fast().len());
    page.put("cityhub_intake_queued", &[], queue.queued);
    page.put("cityhub_intake_capacity", &[], queue.capacity);
    page.put_histogram("cityhub_ack_seconds", &[], &hub.pace.acks);
    page.put_histogram("cityhub_commit_seconds", &[], &hub.pace.commits);
    let mark = *hub.tail.mark.borrow();
    page.put("cityhub_journal_commits_total", &[], mark.commit);
    page.put("cityhub_journal_events_total", &[], mark.event);
    page.put("cityhub_rules", &[], hub.rules.all().len());
    let lag_ms = hub.pace.rules_lag_ms(hub.clock.now());
    page.put("cityhub_rules_lag_seconds", &[], seconds(lag_ms));
}

fn put_alarms(page: &mut Page, hub: &Inner) {
    let counts = hub.alarms().counts().clone();
    for state in AlarmState::ALL {
        if state == AlarmState::Normal {
            continue;
        }
        for severity in Severity::ALL {
            let labels = [("state", state.name()), ("severity", severity.name())];
            let count = counts.get(&(state, severity)).copied().unwrap_or(0);
            page.put("cityhub_alarms", &labels, count);
        }
    }
    let load = hub.alarms().load(hub.clock.now());
    page.put("cityhub_alarms_announced_10min", &[], load.announced);
    page.put("cityhub_alarm_flood", &[], load.flood_since.is_some());
    page.put("cityhub_alarms_chattering", &[], load.chattering);
    page.put("cityhub_alarms_stale", &[], load.stale);
}

fn put_cases(page: &mut Page, hub: &Inner) {
    let counts = hub.cases.read().unwrap_or_else(PoisonError::into_inner);
    for severity in Severity::ALL {
        let open = counts.by_state.iter();
        let open = open.filter(|((state, of), _)| *of == severity && state.is_open());
        let count: u64 = open.map(|(_, count)| *count).sum();
        page.put(
            "cityhub_cases_open",
            &[("severity", severity.name())],
            count,
        );
    }
    page.put("cityhub_cases_overdue", &[], counts.overdue);
    page.put("cityhub_cases_unroutable", &[], counts.unroutable);
}

fn put_devices(page: &mut Page, census: &Census) {
    for (kind, counts) in &census.by_kind {
        for (status, count) in counts {
            let labels = [("kind", kind.as_str()), ("status", *status)];
            page.put("cityhub_device_status", &labels, *count);
        }
    }
    if let Some(rate) = census.online_rate {
        page.put("cityhub_device_online_ratio", &[], rate);
    }
}

/// The stages of the canary, in the order of the way.
const STAGES: [&str; 5] = ["protocol", "store", "rule", "event", "subscriber"];

fn put_canary(page: &mut Page, hub: &Inner) {
    let Some(canary) = hub.health.canary() else {
        return;
    };
    let now = hub.clock.now();
    page.put("cityhub_canary_up", &[], canary.is_well(now));
    let age = seconds(canary.age_ms(now));
    page.put("cityhub_canary_age_seconds", &[], age);
    if let Some(took) = canary.took() {
        page.put("cityhub_canary_duration_seconds", &[], took.as_secs_f64());
    }
    for stage in STAGES {
        let is_this = canary.stage() == Some(stage);
        page.put("cityhub_canary_broken", &[("stage", stage)], is_this);
    }
    let (passes, failures) = canary.counts();
    for (outcome, count) in [("passed", passes), ("failed", failures)] {
        page.put("cityhub_canary_tests_total", &[("outcome", outcome)], count);
    }
}

fn put_sinks(page: &mut Page, sinks: &BTreeMap<String, Lag>) {
    for (sink, lag) in sinks {
        let labels = [("sink", sink.as_str()), ("kind", lag.health.kind.as_str())];
        page.put("cityhub_sink_up", &labels, lag.is_up());
        page.put("cityhub_sink_lag_events", &labels, lag.lag_events);
        page.put("cityhub_sink_lag_seconds", &labels, lag.lag_s);
        page.put("cityhub_sink_parked", &labels, lag.parked);
        page.put("cityhub_sink_attempts", &labels, lag.health.attempts);
        page.put("cityhub_sink_cursor", &labels, lag.health.cursor);
    }
}

fn put_store(page: &mut Page, stats: &Stats) {
    for (part, bytes) in [
        ("segments", stats.segment_bytes),
        ("database", stats.database_bytes),
        ("wal", stats.wal_bytes),
    ] {
        page.put("cityhub_store_bytes", &[("part", part)], bytes);
    }
    page.put("cityhub_store_segments", &[], stats.segments);
    page.put("cityhub_store_sealed_readings", &[], stats.sealed_readings);
    page.put("cityhub_store_head_cells", &[], stats.head_cells);
    page.put("cityhub_disk_free_bytes", &[], stats.disk_free_bytes);
}

fn put_storage(page: &mut Page, hub: &Inner) {
    let Some(storage) = hub.health.storage() else {
        return;
    };
    let (outlook, view) = (storage.outlook, DiskView::of(&storage.outlook));
    page.put("cityhub_disk_bytes", &[], outlook.disk.total_bytes);
    if let Some(pct) = view.free_inodes_pct {
        page.put("cityhub_disk_free_inodes_ratio", &[], pct / 100.0);
    }
    if let Some(bytes) = outlook.growth_bytes_per_day {
        page.put("cityhub_disk_growth_bytes", &[], bytes);
    }
    if let Some(days) = view.days_left {
        page.put("cityhub_disk_left_seconds", &[], days * DAY_S);
    }
    for state in StorageState::ALL {
        let labels = [("state", state.name())];
        page.put("cityhub_storage_state", &labels, state == storage.state);
    }
    page.put("cityhub_storage_reserve_bytes", &[], outlook.held_bytes);
    let turned_away = storage.turned_away;
    page.put("cityhub_storage_turned_away_values_total", &[], turned_away);
}
