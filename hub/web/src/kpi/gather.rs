//! Collects what a period is evaluated by: cases, announced alarms, and the course of devices.

use super::cases::{Period, Sums, is_registered};
use super::load::Delays;
use super::online::{self, ByKind, Course};
use super::{Counted, Evaluation, GroupBy, load};
use crate::problem::Problem;
use crate::state::{Inner, store_problem};
use model::{AlarmRow, CaseRow, DeviceHealth, DeviceStatus, Event, Severity, Timestamp};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use store::{CaseFilter, CaseQuery, EventFilter, StoreError};

const WHAT: &str = "evaluate a period";

/// Rows that are read at once.
const ROWS_AT_ONCE: usize = 1_000;

/// An alarm may be announced this long after it was raised, when what explained it is gone.
const HELD_MS: i64 = 7 * 86_400_000;

/// What is needed of an event about a device.
#[derive(Deserialize)]
struct DeviceEvent {
    time: Timestamp,
}

/// What is needed of an event that says that an alarm was acknowledged.
#[derive(Deserialize)]
struct AckEvent {
    time: Timestamp,
    data: Acked,
}

#[derive(Deserialize)]
struct Acked {
    severity: Severity,
    announced_at: Option<Timestamp>,
}

impl Evaluation {
    pub(super) fn of(hub: &Inner, period: Period, by: GroupBy) -> Result<Self, Problem> {
        let wrong = |error: StoreError| store_problem(WHAT, &error);
        let (from, to) = (period.0.plus_ms(-HELD_MS), period.1);
        let alarms = hub.reader.alarms_between(from, to).map_err(wrong)?;
        let raised: HashMap<&str, Timestamp> = alarms
            .iter()
            .map(|alarm| (alarm.id.as_str(), alarm.raised_at))
            .collect();
        let mut total = Sums::default();
        let mut groups: BTreeMap<String, Sums> = BTreeMap::new();
        let mut cases: HashMap<String, Counted> = HashMap::new();
        read_cases(hub, period, |case| {
            let raised_at = raised.get(case.alarm.as_str()).copied();
            let counted = Counted {
                group: by.of_case(&case),
                is_registered: is_registered(&case),
            };
            let group = groups.entry(counted.group.clone()).or_default();
            for sums in [&mut total, group] {
                sums.add_case(&case, raised_at, period);
            }
            cases.insert(case.id, counted);
        })?;
        let announced = alarms.iter().filter(|alarm| is_announced(alarm, period));
        let since = known_since(hub, announced.clone())?;
        for alarm in announced.clone() {
            let case = alarm.case.as_ref().and_then(|id| cases.get(id));
            let key = by.of_alarm(alarm, case, &hub.city.code);
            let group = groups.entry(key).or_default();
            for sums in [&mut total, group] {
                sums.add_alarm(alarm, case.is_some_and(|case| case.is_registered));
            }
        }
        groups.retain(|_, sums| *sums != Sums::default());
        Ok(Self {
            period,
            by,
            total,
            groups,
            load: load::measure(announced, (period, since), read_delays(hub, period)?),
            online: read_online(hub, period)?,
        })
    }
}

/// Tells whether people were told of an alarm in the period.
fn is_announced(alarm: &AlarmRow, (from, to): Period) -> bool {
    let told = alarm.announced_at.filter(|at| from <= *at && *at < to);
    told.is_some() && !alarm.shadow
}

/// Looks at every case that was opened before the end of the period, one after the other.
fn read_cases(hub: &Inner, period: Period, mut look: impl FnMut(CaseRow)) -> Result<(), Problem> {
    let mut after = None;
    loop {
        let page = hub.reader.cases(&CaseQuery {
            states: CaseFilter::All,
            opened_to: Some(period.1),
            after,
            limit: ROWS_AT_ONCE,
            ..CaseQuery::default()
        });
        let page = page.map_err(|error| store_problem(WHAT, &error))?;
        for json in &page.rows {
            let case: CaseRow =
                serde_json::from_str(json).map_err(|error| Problem::internal(WHAT, &error))?;
            look(case);
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// What is known of a device without any event; one that was never seen is not in use yet, and
/// its time counts for nothing.
fn first_known(health: DeviceHealth) -> Vec<(Timestamp, bool)> {
    match health.status {
        DeviceStatus::NeverSeen => Vec::new(),
        status => vec![(health.since, status != DeviceStatus::Offline)],
    }
}

/// Looks at every event of some kinds that is still there.
fn each_event(
    hub: &Inner,
    kinds: &str,
    mut look: impl FnMut(&Event) -> serde_json::Result<()>,
) -> Result<(), Problem> {
    let wrong = |error: StoreError| store_problem(WHAT, &error);
    let filter = EventFilter {
        kinds: vec![kinds.to_owned()],
        ..EventFilter::default()
    };
    let oldest = hub.reader.event_range().map_err(wrong)?;
    let mut after = oldest.map_or(0, |(oldest, _)| oldest.saturating_sub(1));
    loop {
        let page = hub.reader.events_page(after, ROWS_AT_ONCE, &filter);
        let (events, next) = page.map_err(wrong)?;
        for event in &events {
            look(event).map_err(|error| Problem::internal(WHAT, &error))?;
        }
        if events.len() < ROWS_AT_ONCE {
            return Ok(());
        }
        after = next;
    }
}

/// How long alarms that people were told of waited for their first acknowledgement, by severity;
/// the acknowledgements of the period count.
fn read_delays(hub: &Inner, (from, to): Period) -> Result<Delays, Problem> {
    let mut seen = HashSet::new();
    let mut delays = Delays::new();
    each_event(hub, "cityhub.alarm.acked", |event| {
        let AckEvent { time, data } = serde_json::from_str(&event.json)?;
        let is_first = seen.insert(event.subject.clone());
        if let Some(told) = data
            .announced_at
            .filter(|_| is_first && from <= time && time < to)
        {
            let waited = time.since_ms(told).max(0);
            delays.entry(data.severity).or_default().push(waited);
        }
        Ok(())
    })?;
    Ok(delays)
}

/// When the hub first did anything, or had the first of these alarms, if that was before: its first
/// act, too, is in the audit trail.
fn known_since<'a>(
    hub: &Inner,
    alarms: impl Iterator<Item = &'a AlarmRow>,
) -> Result<Timestamp, Problem> {
    let first = hub.reader.audit(0, 1);
    let first = first.map_err(|error| store_problem(WHAT, &error))?;
    let first = first.first().map_or(Timestamp::MIN, |link| link.at);
    let told = alarms.filter_map(|alarm| alarm.announced_at).min();
    Ok(told.map_or(first, |told| told.min(first)))
}

/// Follows the devices in use through their events; of one without any its present status counts.
fn read_online(hub: &Inner, period: Period) -> Result<ByKind, Problem> {
    let mut changes: HashMap<String, Vec<(Timestamp, bool)>> = HashMap::new();
    each_event(hub, "cityhub.device.", |event| {
        let status = event.kind.rsplit('.').next().unwrap_or_default();
        let read: DeviceEvent = serde_json::from_str(&event.json)?;
        let is_online = status != DeviceStatus::Offline.name();
        let course = changes.entry(event.subject.clone()).or_default();
        course.push((read.time, is_online));
        Ok(())
    })?;
    let devices = hub.devices.all().into_iter();
    let courses: Vec<Course> = devices
        .filter(|entry| entry.device.enabled)
        .map(|entry| {
            let health = hub.statuses.of(entry.key);
            let known = changes.remove(entry.device.id.as_str());
            Course {
                kind: entry.device.kind.clone(),
                changes: known.unwrap_or_else(|| first_known(health)),
            }
        })
        .collect();
    Ok(online::add_up(courses.iter(), period))
}
