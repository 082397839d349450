//! Which alarms become cases: rows of conditions and what follows from them.

use super::table::{Row, Table, TableError};
use model::{AlarmRow, Severity};
use rules::Repeat;
use std::collections::BTreeMap;

const COLUMNS: [&str; 16] = [
    "case",
    "rule",
    "rule_kind",
    "kind",
    "metric",
    "category",
    "grid",
    "min_severity",
    "code",
    "component",
    "unit",
    "major",
    "distance_m",
    "within_s",
    "source",
    "certainty",
];

/// A week: a longer time between two alarms makes no repeat of them.
pub(crate) const WITHIN_S_MAX: u32 = 7 * 86_400;

/// What the category of an alarm's rule must be.
#[derive(Clone, Debug, PartialEq)]
enum Wanted {
    Whatever,
    Some,
    None,
    Like(Pattern),
}

/// A text, or what one begins with.
#[derive(Clone, Debug, PartialEq)]
struct Pattern {
    text: String,
    is_beginning: bool,
}

impl Pattern {
    fn of(text: &str) -> Self {
        let beginning = text.strip_suffix('*');
        Self {
            text: beginning.unwrap_or(text).to_owned(),
            is_beginning: beginning.is_some(),
        }
    }

    fn fits(&self, text: &str) -> bool {
        if self.is_beginning {
            text.starts_with(&self.text)
        } else {
            text == self.text
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mapping {
    rule: Option<Pattern>,
    rule_kind: Option<String>,
    kind: Option<String>,
    metric: Option<String>,
    category: Wanted,
    grid: Option<String>,
    min_severity: Severity,
    pub(super) is_case: bool,
    pub(super) code: Option<String>,
    pub(super) component: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) is_major: bool,
    pub(super) repeat: Repeat,
}

/// Names by code: the classes of events, and those of components.
type Known<'a> = (&'a BTreeMap<String, String>, &'a BTreeMap<String, String>);

/// Reads the rows of a table; `usual` says what repeats are where a row does not. A class that no
/// table knows is a mistake.
pub(super) fn read(
    (file, text): (&str, &str),
    usual: Repeat,
    (categories, components): Known<'_>,
) -> Result<Vec<Mapping>, TableError> {
    let table = Table::read(file, text, &COLUMNS, 1)?;
    let mut rows = Vec::new();
    for row in table.rows() {
        for (column, known) in [("code", categories), ("component", components)] {
            let code = row.text(column).filter(|code| !known.contains_key(*code));
            if let Some(code) = code {
                let reason = format!("`{code}` is in no table of classes");
                return Err(row.wrong(column, reason));
            }
        }
        rows.push(of(row, usual)?);
    }
    Ok(rows)
}

fn of(row: Row<'_>, usual: Repeat) -> Result<Mapping, TableError> {
    let text = |column: &str| row.text(column).map(str::to_owned);
    row.required("case")?;
    let is_case = row.parse("case", yes_or_no)?.unwrap_or(false);
    let is_major = row.parse("major", yes_or_no)?.unwrap_or(false);
    let distance_m = row.parse("distance_m", distance)?;
    let within_s = row.parse("within_s", within)?;
    Ok(Mapping {
        rule: row.text("rule").map(Pattern::of),
        rule_kind: text("rule_kind"),
        kind: text("kind"),
        metric: text("metric"),
        category: match row.text("category") {
            None => Wanted::Whatever,
            Some("+") => Wanted::Some,
            Some("-") => Wanted::None,
            Some(pattern) => Wanted::Like(Pattern::of(pattern)),
        },
        grid: text("grid"),
        min_severity: row
            .parse("min_severity", severity)?
            .unwrap_or(Severity::Warning),
        is_case,
        code: text("code"),
        component: text("component"),
        unit: text("unit"),
        is_major,
        repeat: Repeat {
            distance_m: distance_m.unwrap_or(usual.distance_m),
            within_s: within_s.unwrap_or(usual.within_s),
        },
    })
}

pub(super) fn severity(text: &str) -> Result<Severity, String> {
    Severity::parse(text)
        .ok_or_else(|| format!("`{text}` is none of warning, minor, major, critical"))
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("`{text}` is neither `yes` nor `no`")),
    }
}

pub(super) fn distance(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|m| (0.0..=Repeat::DISTANCE_M_MAX).contains(m))
        .ok_or_else(|| {
            format!(
                "`{text}` is no distance from 0 to {} m",
                Repeat::DISTANCE_M_MAX
            )
        })
}

pub(super) fn within(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|s| *s <= WITHIN_S_MAX)
        .ok_or_else(|| format!("`{text}` is no number of seconds from 0 to {WITHIN_S_MAX}"))
}

impl Mapping {
    pub(super) fn fits(&self, alarm: &AlarmRow) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let category = alarm.category.as_deref();
        self.rule.as_ref().is_none_or(|rule| rule.fits(&alarm.rule))
            && is(&self.rule_kind, alarm.rule_kind.as_deref())
            && is(&self.kind, Some(&alarm.kind))
            && is(&self.metric, alarm.metric.as_deref())
            && match &self.category {
                Wanted::Whatever => true,
                Wanted::Some => category.is_some(),
                Wanted::None => category.is_none(),
                Wanted::Like(pattern) => category.is_some_and(|code| pattern.fits(code)),
            }
            && self.grid.as_deref().is_none_or(|beginning| {
                let grid = alarm.grid.as_deref();
                grid.is_some_and(|grid| grid.starts_with(beginning))
            })
            && alarm.severity >= self.min_severity
    }
}
