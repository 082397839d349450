//! Collects what a period is evaluated by: cases, announced alarms, and the course of devices.

use super::cases::{Period, Sums, is_registered};
use super::online::{self, ByKind, Course};
use super::{Counted, Evaluation, GroupBy, load};
use crate::problem::Problem;
use crate::state::{Inner, store_problem};
use model::{AlarmRow, CaseRow, DeviceHealth, DeviceStatus, Timestamp};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
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
            load: load::measure(announced, period),
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

/// Follows the devices in use through their events; of one without any its present status counts.
fn read_online(hub: &Inner, period: Period) -> Result<ByKind, Problem> {
    let wrong = |error: StoreError| store_problem(WHAT, &error);
    let mut changes: HashMap<String, Vec<(Timestamp, bool)>> = HashMap::new();
    let filter = EventFilter {
        kinds: vec!["cityhub.device.".to_owned()],
        ..EventFilter::default()
    };
    let oldest = hub.reader.event_range().map_err(wrong)?;
    let mut after = oldest.map_or(0, |(oldest, _)| oldest.saturating_sub(1));
    loop {
        let page = hub.reader.events_page(after, ROWS_AT_ONCE, &filter);
        let (events, next) = page.map_err(wrong)?;
        for event in &events {
            let status = event.kind.rsplit('.').next().unwrap_or_default();
            let read: DeviceEvent = serde_json::from_str(&event.json)
                .map_err(|error| Problem::internal(WHAT, &error))?;
            let is_online = status != DeviceStatus::Offline.name();
            let course = changes.entry(event.subject.clone()).or_default();
            course.push((read.time, is_online));
        }
        if events.len() < ROWS_AT_ONCE {
            break;
        }
        after = next;
    }
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
