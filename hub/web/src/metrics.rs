//! Figures for Prometheus. A device's id is never a label: there may be a hundred thousand.

use crate::census::Census;
use crate::health::PartState;
use crate::problem::Problem;
use crate::query::RawParams;
use crate::report::Lag;
use crate::state::{Inner, Shared, ask};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use model::{AlarmState, Severity};
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use store::{Ledger, Stats};

/// The text form, version 0.0.4.
const MEDIA: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// `GET /metrics`
pub(crate) async fn show(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Response, Problem> {
    raw.only(&[])?;
    let text = ask(&shared, "collect the figures", |hub| {
        let mut page = Page::default();
        write_process(&mut page, hub);
        write_intake(&mut page, hub, &hub.reader.ledger(None, None)?);
        write_alarms(&mut page, hub);
        write_devices(&mut page, &Census::take(hub));
        write_sinks(&mut page, &Lag::of_all(hub)?);
        write_store(&mut page, &hub.reader.stats()?);
        write_canary(&mut page, hub);
        Ok(page.text)
    })
    .await?;
    Ok(([(header::CONTENT_TYPE, MEDIA)], text).into_response())
}

/// A page that is being written.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}")
            .expect("a string takes any text");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            write!(self.text, "{open}{label}=\"{}\"", escape(text))
                .expect("a string takes any text");
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        writeln!(self.text, " {value}").expect("a string takes any text");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn write_process(page: &mut Page, hub: &Inner) {
    let health = &hub.health;
    page.family("cityhub_build_info", "gauge", "The version that runs.");
    page.sample("cityhub_build_info", &[("version", health.version)], 1);
    page.single(
        "process_start_time_seconds",
        "gauge",
        "When the process started, in seconds since the epoch.",
        health.started_at.millis() / 1000,
    );
    if let Some(bytes) = resident_bytes() {
        page.single(
            "process_resident_memory_bytes",
            "gauge",
            "Memory that the process holds.",
            bytes,
        );
    }
    page.single(
        "cityhub_ready",
        "gauge",
        "1 while telemetry is taken.",
        u8::from(health.is_ready()),
    );
    let drivers = health.drivers();
    page.family("cityhub_driver_up", "gauge", "1 while the driver works.");
    for (name, driver) in &drivers {
        let labels = [("driver", name.as_str()), ("kind", driver.kind.as_str())];
        let up = u8::from(driver.state == PartState::Up);
        page.sample("cityhub_driver_up", &labels, up);
    }
    page.family(
        "cityhub_driver_restarts_total",
        "counter",
        "Restarts after a failure.",
    );
    for (name, driver) in &drivers {
        let labels = [("driver", name.as_str())];
        page.sample("cityhub_driver_restarts_total", &labels, driver.restarts);
    }
    const REFUSED: &str = "cityhub_refused_total";
    page.family(
        REFUSED,
        "counter",
        "Sign-ins and messages that drivers turned away since the start.",
    );
    for ((driver, reason), count) in &health.refused() {
        page.sample(REFUSED, &[("driver", driver), ("reason", reason)], count);
    }
    page.single(
        "cityhub_stream_clients",
        "gauge",
        "Open event streams.",
        hub.streams_open(),
    );
    page.single(
        "cityhub_devices",
        "gauge",
        "Registered devices.",
        hub.devices.len(),
    );
}

/// What `/proc` says of this process; nothing where there is no such thing.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn write_intake(page: &mut Page, hub: &Inner, ledger: &Ledger) {
    type Column = (&'static str, &'static str, fn(&model::Counts) -> u64);
    const COLUMNS: [Column; 4] = [
        (
            "cityhub_values_received_total",
            "Values that came in.",
            |c| c.received,
        ),
        (
            "cityhub_values_stored_total",
            "Values that were stored.",
            |c| c.stored,
        ),
        (
            "cityhub_values_duplicate_total",
            "Values that were stored before.",
            |c| c.duplicate,
        ),
        (
            "cityhub_values_late_total",
            "Stored values that came late.",
            |c| c.late,
        ),
    ];
    for (name, help, column) in COLUMNS {
        page.family(name, "counter", help);
        for (driver, counts) in &ledger.drivers {
            page.sample(name, &[("driver", driver)], column(counts));
        }
    }
    const REJECTED: &str = "cityhub_values_rejected_total";
    page.family(
        REJECTED,
        "counter",
        "Values and messages that were turned away.",
    );
    for (driver, counts) in &ledger.drivers {
        for (reason, count) in &counts.rejected {
            page.sample(REJECTED, &[("driver", driver), ("reason", reason)], count);
        }
    }
    let queue = hub.health.queue();
    page.single(
        "cityhub_intake_queued",
        "gauge",
        "Requests that wait for the writer.",
        queue.queued,
    );
    page.single(
        "cityhub_intake_capacity",
        "gauge",
        "Requests that may wait for the writer.",
        queue.capacity,
    );
    let mark = *hub.tail.mark.borrow();
    page.single(
        "cityhub_journal_commit",
        "counter",
        "The last commit.",
        mark.commit,
    );
    page.single(
        "cityhub_journal_event",
        "counter",
        "The last event.",
        mark.event,
    );
}

fn write_alarms(page: &mut Page, hub: &Inner) {
    let counts = hub.alarms().counts().clone();
    page.family("cityhub_alarms", "gauge", "Alarms that are not normal.");
    for state in AlarmState::ALL {
        if state == AlarmState::Normal {
            continue;
        }
        for severity in Severity::ALL {
            let labels = [("state", state.name()), ("severity", severity.name())];
            let count = counts.get(&(state, severity)).copied().unwrap_or(0);
            page.sample("cityhub_alarms", &labels, count);
        }
    }
    let load = hub.alarms().load(hub.clock.now());
    for (name, help, value) in [
        (
            "cityhub_alarms_announced_10min",
            "Alarms announced in the last ten minutes.",
            load.announced,
        ),
        (
            "cityhub_alarm_flood",
            "1 during an alarm flood, else 0.",
            usize::from(load.flood_since.is_some()),
        ),
        (
            "cityhub_alarms_chattering",
            "Alarms that came and went three times in the last minute.",
            load.chattering,
        ),
        (
            "cityhub_alarms_stale",
            "Alarms that have been active for more than a day.",
            load.stale,
        ),
    ] {
        page.single(name, "gauge", help, value);
    }
}

fn write_devices(page: &mut Page, census: &Census) {
    const STATUS: &str = "cityhub_device_status";
    page.family(STATUS, "gauge", "Devices in use by kind and status.");
    for (kind, counts) in &census.by_kind {
        for (status, count) in counts {
            page.sample(STATUS, &[("kind", kind), ("status", status)], count);
        }
    }
    if let Some(rate) = census.online_rate {
        page.single(
            "cityhub_device_online_ratio",
            "gauge",
            "The share of the devices in use that report.",
            rate,
        );
    }
}

/// The stages of the canary, in the order of the way.
const STAGES: [&str; 5] = ["protocol", "store", "rule", "event", "subscriber"];

fn write_canary(page: &mut Page, hub: &Inner) {
    let Some(canary) = hub.health.canary() else {
        return;
    };
    let now = hub.clock.now();
    page.single(
        "cityhub_canary_up",
        "gauge",
        "1 while the test sensor comes through, or is not due yet.",
        u8::from(canary.is_well(now)),
    );
    page.single(
        "cityhub_canary_age_seconds",
        "gauge",
        "Seconds since the test sensor last came through, or since the start.",
        canary.age_ms(now) as f64 / 1000.0,
    );
    if let Some(took) = canary.took() {
        page.single(
            "cityhub_canary_seconds",
            "gauge",
            "What the last test that came through took.",
            took.as_secs_f64(),
        );
    }
    let broken = "cityhub_canary_broken";
    page.family(broken, "gauge", "1 for the stage that did not work.");
    for stage in STAGES {
        let is_this = canary.stage() == Some(stage);
        page.sample(broken, &[("stage", stage)], u8::from(is_this));
    }
    let (passes, failures) = canary.counts();
    let total = "cityhub_canary_tests_total";
    page.family(total, "counter", "Tests since the start.");
    page.sample(total, &[("outcome", "passed")], passes);
    page.sample(total, &[("outcome", "failed")], failures);
}

fn write_sinks(page: &mut Page, sinks: &BTreeMap<String, Lag>) {
    type Column = (&'static str, &'static str, fn(&Lag) -> i128);
    const COLUMNS: [Column; 6] = [
        ("cityhub_sink_up", "1 while events are delivered.", |lag| {
            lag.is_up().into()
        }),
        (
            "cityhub_sink_lag_events",
            "Events after the subscriber's cursor.",
            |lag| lag.lag_events.into(),
        ),
        (
            "cityhub_sink_lag_seconds",
            "Age of the oldest event that waits for the subscriber.",
            |lag| lag.lag_s.into(),
        ),
        (
            "cityhub_sink_parked",
            "Events that the subscriber refused.",
            |lag| lag.parked.into(),
        ),
        (
            "cityhub_sink_attempts",
            "Failed attempts to deliver what waits.",
            |lag| lag.health.attempts.into(),
        ),
        (
            "cityhub_sink_cursor",
            "Everything up to this event is delivered, parked or not for the subscriber.",
            |lag| lag.health.cursor.into(),
        ),
    ];
    for (name, help, column) in COLUMNS {
        page.family(name, "gauge", help);
        for (sink, lag) in sinks {
            let labels = [("sink", sink.as_str()), ("kind", &lag.health.kind)];
            page.sample(name, &labels, column(lag));
        }
    }
}

fn write_store(page: &mut Page, stats: &Stats) {
    page.family("cityhub_store_bytes", "gauge", "Bytes on the disk.");
    for (part, bytes) in [
        ("segments", stats.segment_bytes),
        ("database", stats.database_bytes),
        ("wal", stats.wal_bytes),
    ] {
        page.sample("cityhub_store_bytes", &[("part", part)], bytes);
    }
    for (name, help, value) in [
        ("cityhub_store_segments", "Segment files.", stats.segments),
        (
            "cityhub_store_sealed_readings",
            "Readings in segments.",
            stats.sealed_readings,
        ),
        (
            "cityhub_store_head_cells",
            "Cells that are not in segments yet.",
            stats.head_cells,
        ),
        (
            "cityhub_disk_free_bytes",
            "Room left on the disk.",
            stats.disk_free_bytes,
        ),
    ] {
        page.single(name, "gauge", help, value);
    }
}
