//! From alarm to case (案件): which alarms open one, what becomes of it while the alarm goes on, and
//! what happens to it by time alone. All of it is in the commit of the alarm itself.

use super::step::RefusedSteps;
use super::{Staged, Writer};
use crate::codes::{Class, Codes, CodesInForce};
use model::geo::Point;
use model::{
    AlarmRow, CaseCategory, CaseEvidence, CasePlace, CaseRow, CaseState, CaseStep, CaseTimeLimit,
    Device, DeviceId, Location, Timestamp, Value,
};
use rules::{CaseBook, CaseEvent, TimeLimit, TimeUnit};
use sdk::{DeviceEntry, Devices};
use serde_json::json;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use store::{Group, NewEvent, Reader, StoreError};

/// Cameras that a case names.
const CAMERAS_MAX: usize = 5;

const CAMERA: &str = "camera";
const POSITION: &str = "position";

/// Digits of a unit grid code (单元网格编码): division, street, and all.
const DISTRICT_DIGITS: usize = 6;
const STREET_DIGITS: usize = 9;
const GRID_DIGITS: std::ops::RangeInclusive<usize> = 12..=15;

/// Where the class stands in a component code (部件标识码) of 16 digits: after the division.
const COMPONENT_DIGITS: usize = 16;
const COMPONENT_CLASS: std::ops::Range<usize> = 6..10;

/// What cases need beside the alarms.
#[derive(Debug)]
pub struct CaseSetup {
    pub codes: CodesInForce,
    /// The administrative division of the city.
    pub city_code: String,
    pub camera_distance_m: f64,
}

/// Everything that makes cases.
#[derive(Debug)]
pub(super) struct CaseDesk {
    pub(super) book: CaseBook,
    /// The tables that this group goes by.
    pub(super) codes: Arc<Codes>,
    in_force: CodesInForce,
    city_code: String,
    camera_distance_m: f64,
    cameras: Cameras,
    pub(super) refused_steps: RefusedSteps,
    /// Cases whose figures moved since their row was last written.
    pub(super) unwritten: HashSet<String>,
}

/// Where in the city a case is.
struct Site {
    location: Option<Location>,
    grid: Option<String>,
    district: String,
    street: Option<String>,
    /// Why no table can give it to anybody.
    unroutable: Option<&'static str>,
}

/// The cameras of the register, as of one version of it.
#[derive(Debug, Default)]
struct Cameras {
    version: Option<u64>,
    places: Vec<(Point, DeviceId)>,
}

impl Cameras {
    /// Gives the cameras around a point, nearest first.
    fn near(&mut self, devices: &Devices, point: Point, distance_m: f64) -> Vec<String> {
        let version = Some(devices.version());
        if self.version != version {
            let cameras = devices.all().into_iter();
            self.places = cameras
                .filter(|entry| entry.device.kind == CAMERA && entry.device.enabled)
                .filter_map(|entry| {
                    let point = entry.device.location.as_ref()?.point()?;
                    Some((point, entry.device.id.clone()))
                })
                .collect();
            self.version = version;
        }
        let mut near: Vec<(f64, &DeviceId)> = self
            .places
            .iter()
            .map(|(place, id)| (place.distance_m(point), id))
            .filter(|(m, _)| *m <= distance_m)
            .collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
        near.truncate(CAMERAS_MAX);
        near.into_iter().map(|(_, id)| id.to_string()).collect()
    }
}

impl CaseDesk {
    /// Takes up what is on disk.
    pub(super) fn restore(
        setup: CaseSetup,
        reader: &Reader,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let codes = setup.codes.get();
        let kept_s = codes.kept_s();
        let (rows, last) = reader.cases_at_hand(now.plus_s(-i64::from(kept_s)))?;
        Ok(Self {
            book: CaseBook::restore(rows, last, kept_s),
            codes,
            in_force: setup.codes,
            city_code: setup.city_code,
            camera_distance_m: setup.camera_distance_m,
            cameras: Cameras::default(),
            refused_steps: RefusedSteps::default(),
            unwritten: HashSet::new(),
        })
    }

    /// Goes by the tables that are in force by now.
    fn refresh(&mut self) {
        let codes = self.in_force.get();
        if !Arc::ptr_eq(&codes, &self.codes) {
            self.book.remember_for(codes.kept_s());
            self.codes = codes;
        }
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.book.next_deadline().is_some_and(|at| at <= now)
    }

    /// Tells when a deferred case is due, if its clock goes on now.
    pub(super) fn resumed(&self, row: &CaseRow, now: Timestamp) -> Option<Timestamp> {
        let mut steps = row.steps.iter().rev();
        let stopped = steps.find(|step| step.step == CaseStep::Defer)?.received_at;
        let unit = limit_of(row).map_or(TimeUnit::NaturalDay, |limit| limit.unit);
        let due_at = (row.due_at?, unit);
        Some(self.codes.due_after_pause(due_at, stopped, now))
    }

    /// Tells when a case is due that gets its own time once more.
    pub(super) fn extended(&self, row: &CaseRow, now: Timestamp) -> Option<Timestamp> {
        let due_at = match row.state {
            CaseState::Deferred => self.resumed(row, now),
            _ => row.due_at,
        };
        Some(self.codes.calendar().due(due_at?, limit_of(row)?))
    }
}

fn limit_of(row: &CaseRow) -> Option<TimeLimit> {
    let limit = row.time_limit.as_ref()?;
    Some(TimeLimit {
        amount: limit.amount,
        unit: TimeUnit::parse(&limit.unit)?,
    })
}

impl Writer {
    /// Lets everything happen to the cases that is due.
    pub(super) fn advance_cases(&mut self, group: &mut Group, staged: &mut Staged, now: Timestamp) {
        self.cases.refresh();
        if !self.cases.is_due(now) {
            return;
        }
        let mut book = std::mem::take(&mut self.cases.book);
        let events = book.advance(now, |row, at| self.cases.resumed(row, at));
        self.cases.book = book;
        for event in events {
            self.tell_case(group, staged, event);
        }
    }

    /// Shows the cases of a group to the readers.
    pub(super) fn publish_cases(&mut self, told: &HashSet<String>, moved: HashSet<String>) {
        if !told.is_empty() {
            let counts = self.cases.book.counts().clone();
            let published = self.published.cases.write();
            *published.unwrap_or_else(PoisonError::into_inner) = counts;
            let shown = self.published.moved_cases.write();
            let mut shown = shown.unwrap_or_else(PoisonError::into_inner);
            for id in told {
                shown.remove(id);
                self.cases.unwritten.remove(id);
            }
        }
        self.show_moved_cases(moved);
    }

    /// Shows cases of which only the figures moved.
    pub(super) fn show_moved_cases(&mut self, moved: HashSet<String>) {
        if moved.is_empty() {
            return;
        }
        let shown = self.published.moved_cases.write();
        let mut shown = shown.unwrap_or_else(PoisonError::into_inner);
        for id in &moved {
            if let Some(row) = self.cases.book.get(id) {
                shown.insert(id.clone(), row.clone());
            }
        }
        drop(shown);
        self.cases.unwritten.extend(moved);
    }

    /// Puts a case's row and its event into the group.
    pub(super) fn tell_case(&mut self, group: &mut Group, staged: &mut Staged, event: CaseEvent) {
        let CaseEvent {
            kind,
            row,
            at,
            announced,
        } = event;
        group.case(&row);
        staged.moved_cases.remove(&row.id);
        staged.told_cases.insert(row.id.clone());
        if !announced {
            return;
        }
        self.last_event = group.event(&NewEvent {
            kind: &format!("cityhub.case.{kind}"),
            subject: &row.id,
            severity: Some(row.severity),
            grid: row.grid.as_deref(),
            time: at,
            data: &json!(row).to_string(),
        });
    }

    pub(super) fn new_case(
        &mut self,
        staged: &Staged,
        (now, at): (Timestamp, Timestamp),
        alarm: &AlarmRow,
        class: Class,
    ) -> CaseRow {
        let entry = self.device_named(staged, &alarm.device);
        let device = entry.as_ref().map(|entry| &entry.device);
        let site = self.site_of(alarm, entry.as_deref(), class.category.is_some());
        let point = site.location.as_ref().and_then(Location::point);
        let category = class.category.unwrap_or_else(|| CaseCategory {
            code: alarm.category.clone().unwrap_or_default(),
            name: "未分类".to_owned(),
        });
        let limit = self.cases.codes.limit(&category.code, alarm.severity);
        let devices = &self.published.devices;
        let camera_m = self.cases.camera_distance_m;
        let cameras = point.map(|point| self.cases.cameras.near(devices, point, camera_m));
        let evidence = self.first_evidence(alarm, at);
        CaseRow {
            id: String::new(),
            severity: alarm.severity,
            title: alarm.title.clone(),
            description: describe(alarm, &evidence, device),
            location: site.location.map(|place| CasePlace {
                lon: place.lon,
                lat: place.lat,
                datum: place.datum,
            }),
            grid: site.grid,
            district: Some(site.district),
            street: site.street,
            component_code: device.and_then(|device| device.component_code.clone()),
            component: class.component.or_else(|| self.component_of(device)),
            device: alarm.device.to_string(),
            kind: alarm.kind.clone(),
            site: alarm.site.clone(),
            rule: alarm.rule.clone(),
            alarm: alarm.id.clone(),
            alarms: Vec::new(),
            evidence,
            state: CaseState::Reported,
            opened_at: now,
            due_at: limit.map(|limit| self.cases.codes.calendar().due(now, limit)),
            time_limit: limit.map(|limit| CaseTimeLimit {
                amount: limit.amount,
                unit: limit.unit.name().to_owned(),
            }),
            steps: Vec::new(),
            unit: class.unit,
            cameras: cameras.unwrap_or_default(),
            active_alarms: Vec::new(),
            violation: Some(true),
            doubts: Vec::new(),
            moved_at: None,
            untold_since: None,
            repeats: 0,
            reopens: None,
            reopened_by: None,
            supervised: false,
            major: class.is_major,
            deferred_until: None,
            deferred_from: None,
            extensions: 0,
            closed_at: None,
            unroutable: site.unroutable.map(str::to_owned),
            overdue: false,
            note: None,
            verdict: None,
            codes_version: self.cases.codes.version().to_owned(),
            version: 0,
            category,
        }
    }

    /// Finds where in the city an alarm is, and whether somebody can be told by it.
    fn site_of(&self, alarm: &AlarmRow, entry: Option<&DeviceEntry>, is_classed: bool) -> Site {
        let location = self.place_of(alarm, entry);
        let found = location.as_ref().and_then(|place| self.grids.find(place));
        let grid = found.map(str::to_owned).or_else(|| alarm.grid.clone());
        let (district, street) = divisions(grid.as_deref());
        let has_place = grid.is_some() || self.grids.is_empty();
        Site {
            location,
            district: district.unwrap_or_else(|| self.cases.city_code.clone()),
            street,
            unroutable: match (is_classed, has_place) {
                (true, true) => None,
                (false, true) => Some("no category"),
                (true, false) => Some("no grid"),
                (false, false) => Some("no category, no grid"),
            },
            grid,
        }
    }

    /// Gives the place of the device; of one that moves, the last that it told.
    fn place_of(&self, alarm: &AlarmRow, entry: Option<&DeviceEntry>) -> Option<Location> {
        let entry = entry?;
        let is_moving = alarm.metric.as_deref() == Some(POSITION);
        if let Some(location) = entry.device.location.as_ref().filter(|_| !is_moving) {
            return Some(location.clone());
        }
        let metric = self.catalogue.find(POSITION);
        let latest = self.reader.latest(entry.key);
        let told = latest.iter().find_map(|reading| match reading.value {
            Value::Position(position) if Some(reading.series.metric) == metric => Some(Location {
                lon: position.lon,
                lat: position.lat,
                datum: "WGS84".to_owned(),
            }),
            _ => None,
        });
        told.or_else(|| entry.device.location.clone())
    }

    fn component_of(&self, device: Option<&Device>) -> Option<CaseCategory> {
        let code = device?.component_code.as_deref()?;
        if code.len() != COMPONENT_DIGITS {
            return None;
        }
        self.cases.codes.component(code.get(COMPONENT_CLASS)?)
    }
}

/// Reads district and street (GB/T 2260, GB/T 10114) from a unit grid code; a code of another form
/// tells neither.
fn divisions(grid: Option<&str>) -> (Option<String>, Option<String>) {
    let is_code = |code: &&str| {
        GRID_DIGITS.contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit())
    };
    let first = |digits: usize| {
        let code = grid.filter(is_code)?;
        code.get(..digits).map(str::to_owned)
    };
    (first(DISTRICT_DIGITS), first(STREET_DIGITS))
}

/// Says in the words of the trade what was measured where.
fn describe(alarm: &AlarmRow, evidence: &CaseEvidence, device: Option<&Device>) -> String {
    let name = device.and_then(|device| device.name.as_deref());
    let mut text = match name {
        Some(name) => format!("{name}（{}）", alarm.device),
        None => alarm.device.to_string(),
    };
    if let Some(site) = &alarm.site {
        text.push_str(&format!("，{site}"));
    }
    let unit = evidence.unit.as_deref().unwrap_or_default();
    if let (Some(metric), Some(value)) = (&evidence.metric, evidence.value) {
        text.push_str(&format!("：{metric} {value} {unit}"));
        if let Some(limit) = evidence.limit {
            text.push_str(&format!("，限值 {limit} {unit}"));
        }
    }
    text
}
