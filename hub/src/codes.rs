//! The code tables of digital urban management: event classes, component classes, time limits,
//! working times, and which alarms become cases. Built in, and a city's own beside them.

mod in_force;
mod mapping;
mod table;

use crate::config::{ConfigError, Loaded};
pub use in_force::CodesInForce;
use mapping::Mapping;
pub(crate) use mapping::WITHIN_S_MAX;
use model::{AlarmRow, CaseCategory, Severity, Timestamp};
use rules::{Calendar, Repeat, TimeLimit, TimeUnit, WorkingTimes, Zone};
use std::collections::BTreeMap;
use std::path::PathBuf;
use table::{Table, TableError};

/// The date of the built-in tables, which their comments tell, too.
const BUILT_IN: &str = "2026-11-21";

const CATEGORIES: &str = include_str!("../model/data/event_categories.csv");
const COMPONENTS: &str = include_str!("../model/data/component_classes.csv");
const TIME_LIMITS: &str = include_str!("../model/data/time_limits.csv");
const WORKING_TIMES: &str = include_str!("../model/data/working_times.csv");
const MAPPING: &str = include_str!("../model/data/case_mapping.csv");

const CODE_COLUMNS: [&str; 6] = ["code", "name", "major", "english", "source", "certainty"];
const LIMIT_COLUMNS: [&str; 6] = [
    "amount",
    "unit",
    "category",
    "min_severity",
    "source",
    "certainty",
];
const TIME_COLUMNS: [&str; 4] = ["what", "text", "source", "certainty"];

/// A limit longer than this has an error.
const LIMIT_MAX: u32 = 10_000;

/// A city's own tables, each with its name and text, instead of or before the built-in ones.
#[derive(Clone, Debug, Default)]
pub struct OwnTables {
    pub categories: Option<(String, String)>,
    pub components: Option<(String, String)>,
    pub time_limits: Option<(String, String)>,
    pub working_times: Option<(String, String)>,
    pub mapping: Option<(String, String)>,
}

#[derive(Clone, Debug)]
struct LimitRow {
    category: String,
    min_severity: Severity,
    limit: TimeLimit,
}

/// How an alarm is a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// None if no table knows one.
    pub category: Option<CaseCategory>,
    /// Class of the component; the device's own code tells it where none is mapped.
    pub component: Option<CaseCategory>,
    pub unit: Option<String>,
    pub is_major: bool,
    pub repeat: Repeat,
}

/// The tables in force.
#[derive(Debug)]
pub struct Codes {
    categories: BTreeMap<String, String>,
    components: BTreeMap<String, String>,
    limits: Vec<LimitRow>,
    mapping: Vec<Mapping>,
    calendar: Calendar,
    version: String,
}

/// Reads the tables that the configuration names.
pub fn read(loaded: &Loaded) -> Result<Codes, ConfigError> {
    let config = &loaded.config;
    let text = |key: &str, path: &Option<PathBuf>| match path {
        None => Ok(None),
        Some(path) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some((path.display().to_string(), text))),
            Err(error) => Err(loaded.error(key, format!("{}: {error}", path.display()))),
        },
    };
    let own = OwnTables {
        categories: text("city.categories", &config.city.categories)?,
        components: text("city.components", &config.city.components)?,
        time_limits: text("city.time_limits", &config.city.time_limits)?,
        working_times: text("city.working_times", &config.city.working_times)?,
        mapping: text("cases.mapping", &config.cases.mapping)?,
    };
    let usual = Repeat {
        distance_m: config.cases.distance_m,
        within_s: config.cases.within_s,
    };
    Codes::new(&own, config.rule_settings().zone, usual)
        .map_err(|(key, reason)| loaded.error(key, reason))
}

impl Codes {
    /// Puts a city's own tables before the built-in ones. A mistake is named with the key of the
    /// table, and its file, line and column.
    pub fn new(own: &OwnTables, zone: Zone, usual: Repeat) -> Result<Self, (&'static str, String)> {
        let named = |key: &'static str| move |error: TableError| (key, error.to_string());
        let mut categories = codes("built in", CATEGORIES).map_err(named("city.categories"))?;
        if let Some((file, text)) = &own.categories {
            categories.extend(codes(file, text).map_err(named("city.categories"))?);
        }
        let mut components = codes("built in", COMPONENTS).map_err(named("city.components"))?;
        if let Some((file, text)) = &own.components {
            components.extend(codes(file, text).map_err(named("city.components"))?);
        }
        let mut limits = Vec::new();
        for (file, text) in with_built_in(&own.time_limits, TIME_LIMITS) {
            limits.extend(read_limits(file, text).map_err(named("city.time_limits"))?);
        }
        let mut mapping = Vec::new();
        for (file, text) in with_built_in(&own.mapping, MAPPING) {
            let known = (&categories, &components);
            let rows = mapping::read((file, text), usual, known);
            mapping.extend(rows.map_err(named("cases.mapping"))?);
        }
        let times = own.working_times.as_ref();
        let (file, text) = times.map_or(("built in", WORKING_TIMES), |(file, text)| (file, text));
        let calendar = read_calendar(file, text, zone).map_err(named("city.working_times"))?;
        Ok(Self {
            categories,
            components,
            limits,
            mapping,
            calendar,
            version: version(own),
        })
    }

    /// Names the tables: the date of the built-in ones, and a mark of the city's own.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Tells how long a closed case can be taken up again: the longest time of repeats.
    pub fn kept_s(&self) -> u32 {
        let times = self.mapping.iter().map(|row| row.repeat.within_s);
        times.max().unwrap_or(0)
    }

    /// Tells how an alarm is a case; none if it is none.
    pub fn classify(&self, alarm: &AlarmRow) -> Option<Class> {
        let row = self.mapping.iter().find(|row| row.fits(alarm))?;
        if !row.is_case {
            return None;
        }
        let code = row.code.as_ref().or(alarm.category.as_ref());
        Some(Class {
            category: code.and_then(|code| self.category(code)),
            component: row
                .component
                .as_deref()
                .and_then(|code| self.component(code)),
            unit: row.unit.clone(),
            is_major: row.is_major,
            repeat: row.repeat,
        })
    }

    /// Tells whether a rule can have this category.
    pub fn knows(&self, category: &str) -> bool {
        self.categories.contains_key(category)
    }

    fn category(&self, code: &str) -> Option<CaseCategory> {
        find(&self.categories, code)
    }

    /// Finds a class of components by its code.
    pub fn component(&self, class: &str) -> Option<CaseCategory> {
        find(&self.components, class)
    }

    /// Tells how long a case may take; the first row that fits decides.
    pub fn limit(&self, category: &str, severity: Severity) -> Option<TimeLimit> {
        let mut rows = self.limits.iter();
        let row =
            rows.find(|row| category.starts_with(&row.category) && severity >= row.min_severity)?;
        Some(row.limit)
    }

    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Tells when a case whose clock stood still since `stopped` is due, if the clock goes on at
    /// `resumed`.
    pub fn due_after_pause(
        &self,
        (due_at, unit): (Timestamp, TimeUnit),
        stopped: Timestamp,
        resumed: Timestamp,
    ) -> Timestamp {
        if due_at <= stopped {
            return due_at;
        }
        let left_ms = self.calendar.spent_ms(stopped, due_at, unit);
        self.calendar.after(resumed, left_ms, unit)
    }
}

fn find(table: &BTreeMap<String, String>, code: &str) -> Option<CaseCategory> {
    table.get_key_value(code).map(|(code, name)| CaseCategory {
        code: code.clone(),
        name: name.clone(),
    })
}

/// A city's own rows come first, so that they decide.
fn with_built_in<'a>(
    own: &'a Option<(String, String)>,
    built_in: &'static str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    own.iter()
        .map(|(file, text)| (file.as_str(), text.as_str()))
        .chain([("built in", built_in)])
}

fn codes(file: &str, text: &str) -> Result<BTreeMap<String, String>, TableError> {
    let table = Table::read(file, text, &CODE_COLUMNS, 2)?;
    let mut codes = BTreeMap::new();
    for row in table.rows() {
        let (code, name) = (row.required("code")?, row.required("name")?);
        if !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let reason = format!("`{code}` has more than letters and digits");
            return Err(row.wrong("code", reason));
        }
        if codes.insert(code.to_owned(), name.to_owned()).is_some() {
            return Err(row.wrong("code", format!("`{code}` is there twice")));
        }
    }
    Ok(codes)
}

fn read_limits(file: &str, text: &str) -> Result<Vec<LimitRow>, TableError> {
    let table = Table::read(file, text, &LIMIT_COLUMNS, 2)?;
    let rows = table.rows().map(|row| {
        row.required("amount")?;
        row.required("unit")?;
        let amount = row.parse("amount", |text| {
            let amount = text.parse().ok().filter(|n| (1..=LIMIT_MAX).contains(n));
            amount.ok_or_else(|| format!("`{text}` is no number from 1 to {LIMIT_MAX}"))
        })?;
        let unit = row.parse("unit", |text| {
            let names = TimeUnit::ALL.map(TimeUnit::name).join(", ");
            TimeUnit::parse(text).ok_or_else(|| format!("`{text}` is none of {names}"))
        })?;
        let min_severity = row.parse("min_severity", mapping::severity)?;
        Ok(LimitRow {
            category: row.text("category").unwrap_or_default().to_owned(),
            min_severity: min_severity.unwrap_or(Severity::Warning),
            limit: TimeLimit {
                amount: amount.unwrap_or(1),
                unit: unit.unwrap_or(TimeUnit::WorkDay),
            },
        })
    });
    rows.collect()
}

fn read_calendar(file: &str, text: &str, zone: Zone) -> Result<Calendar, TableError> {
    let table = Table::read(file, text, &TIME_COLUMNS, 2)?;
    let mut times = WorkingTimes {
        hours: Vec::new(),
        weekdays: Vec::new(),
        holidays: Vec::new(),
        working_dates: Vec::new(),
    };
    for row in table.rows() {
        let text = row.required("text")?.to_owned();
        let list = match row.required("what")? {
            "hours" => &mut times.hours,
            "weekdays" => &mut times.weekdays,
            "holiday" => &mut times.holidays,
            "working_date" => &mut times.working_dates,
            other => {
                let reason = format!("`{other}` is none of hours, weekdays, holiday, working_date");
                return Err(row.wrong("what", reason));
            }
        };
        list.push(text);
        // Each row is tried as it comes, so that the mistake is named where it stands.
        if let Err(reason) = Calendar::new(zone.clone(), &times) {
            return Err(row.wrong("text", reason));
        }
    }
    Calendar::new(zone, &times).map_err(|reason| TableError {
        file: file.to_owned(),
        line: 1,
        column: None,
        reason,
    })
}

/// Marks the city's own tables by a check sum over them, so that two that differ never have one
/// name.
fn version(own: &OwnTables) -> String {
    let tables = [
        &own.categories,
        &own.components,
        &own.time_limits,
        &own.working_times,
        &own.mapping,
    ];
    if tables.iter().all(|table| table.is_none()) {
        return BUILT_IN.to_owned();
    }
    let mut crc = crc32fast::Hasher::new();
    for table in tables {
        let text = table.as_ref().map_or("", |(_, text)| text);
        crc.update(&(text.len() as u64).to_le_bytes());
        crc.update(text.as_bytes());
    }
    format!("{BUILT_IN}+{:08x}", crc.finalize())
}

#[cfg(test)]
mod tests;
