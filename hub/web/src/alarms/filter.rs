//! Which alarms of the book a list shows, in which order, and how many there are of which.

use crate::problem::Problem;
use crate::query::bad_cursor;
use crate::state::Inner;
use model::{AlarmRow, AlarmState, Severity};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use store::{AlarmQuery, StateFilter};

/// The order of a list.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Newest,
    /// By what asks for an answer first, then by severity, then the newest.
    Priority,
}

pub(crate) const SORTS: [(&str, Sort); 2] =
    [("newest", Sort::Newest), ("priority", Sort::Priority)];

/// A row's place in the list: what asks first, how bad it is, when it was raised, its number.
type Place = (u8, Reverse<Severity>, Reverse<i64>, Reverse<u64>);

/// Rows of one page, how many match, and the cursor of the next page.
pub(crate) struct Picked {
    pub(crate) rows: Vec<AlarmRow>,
    pub(crate) counts: Value,
    pub(crate) matched: u64,
    pub(crate) next: Option<String>,
}

impl Sort {
    fn place(self, row: &AlarmRow) -> Place {
        let (group, severity) = match self {
            // The same for all rows.
            Self::Newest => (0, Severity::Warning),
            Self::Priority => (row.state.group(), row.severity),
        };
        let number = rules::alarm_number(&row.id).unwrap_or_default();
        let raised_ms = row.raised_at.millis();
        (
            group,
            Reverse(severity),
            Reverse(raised_ms),
            Reverse(number),
        )
    }

    fn cursor(self, row: &AlarmRow) -> String {
        let (group, severity, Reverse(raised_ms), Reverse(number)) = self.place(row);
        match self {
            Self::Newest => format!("{raised_ms}.{number}"),
            Self::Priority => format!("{group}.{}.{raised_ms}.{number}", severity.0.name()),
        }
    }

    fn read_cursor(self, cursor: &str) -> Option<Place> {
        let (group, severity, rest) = match self {
            Self::Newest => (0, Severity::Warning, cursor),
            Self::Priority => {
                let (group, rest) = cursor.split_once('.')?;
                let (severity, rest) = rest.split_once('.')?;
                (group.parse().ok()?, Severity::parse(severity)?, rest)
            }
        };
        let (raised_ms, number) = rest.split_once('.')?;
        let (raised_ms, number) = (raised_ms.parse().ok()?, number.parse().ok()?);
        Some((
            group,
            Reverse(severity),
            Reverse(raised_ms),
            Reverse(number),
        ))
    }
}

/// Looks through the book once: it picks a page and counts what fits.
pub(crate) fn pick(hub: &Inner, query: &AlarmQuery, sort: Sort) -> Result<Picked, Problem> {
    let read = |cursor: &String| sort.read_cursor(cursor).ok_or_else(|| bad_cursor(cursor));
    let after = query.after.as_ref().map(read).transpose()?;
    let filter = Filter::new(hub, query);
    let mut facets = Facets::default();
    let mut matched = 0;
    let mut matching: Vec<(Place, &AlarmRow)> = Vec::new();
    let book = hub.alarms();
    for row in book.rows().filter(|row| filter.fits(row)) {
        let (severity, state) = (filter.fits_severity(row), filter.fits_state(row));
        facets.count(row, severity, state);
        if severity && state {
            matched += 1;
            let place = sort.place(row);
            if after.is_none_or(|after| place > after) {
                matching.push((place, row));
            }
        }
    }
    let has_more = matching.len() > query.limit;
    if has_more {
        // What comes later need not be in order.
        matching.select_nth_unstable_by_key(query.limit, |(place, _)| *place);
        matching.truncate(query.limit);
    }
    matching.sort_unstable_by_key(|(place, _)| *place);
    let last = matching.last().filter(|_| has_more);
    let next = last.map(|(_, row)| sort.cursor(row));
    // Rows are copied, not written, while the book is held: the writer waits for it.
    let rows = matching.into_iter().map(|(_, row)| row.clone()).collect();
    Ok(Picked {
        rows,
        counts: facets.to_json(matched),
        matched,
        next,
    })
}

/// How many rows fit, by severity and by state, each as if it were not filtered by itself.
#[derive(Default)]
struct Facets {
    severity: BTreeMap<Severity, u64>,
    state: BTreeMap<AlarmState, u64>,
}

impl Facets {
    fn count(&mut self, row: &AlarmRow, severity: bool, state: bool) {
        if state {
            *self.severity.entry(row.severity).or_default() += 1;
        }
        if severity {
            *self.state.entry(row.state).or_default() += 1;
        }
    }

    fn to_json(&self, total: u64) -> Value {
        let severity: BTreeMap<&str, u64> = Severity::ALL
            .iter()
            .map(|of| (of.name(), self.severity.get(of).copied().unwrap_or(0)))
            .collect();
        let state: BTreeMap<&str, u64> = AlarmState::ALL
            .iter()
            .filter(|of| **of != AlarmState::Normal)
            .map(|of| (of.name(), self.state.get(of).copied().unwrap_or(0)))
            .collect();
        json!({"total": total, "severity": severity, "state": state})
    }
}

struct Filter<'a> {
    query: &'a AlarmQuery,
    /// Lower case.
    q: Option<String>,
    /// Devices whose names have it.
    named: HashSet<String>,
}

impl<'a> Filter<'a> {
    fn new(hub: &Inner, query: &'a AlarmQuery) -> Self {
        let q = query.q.as_ref().map(|q| q.to_lowercase());
        let mut named = HashSet::new();
        if let Some(q) = &q {
            for entry in hub.devices.all() {
                let name = entry.device.name.as_deref().unwrap_or_default();
                if has(name, q) {
                    named.insert(entry.device.id.as_str().to_owned());
                }
            }
        }
        Self { query, q, named }
    }

    /// All but severity and state.
    fn fits(&self, row: &AlarmRow) -> bool {
        let query = self.query;
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == value
        };
        is(&query.kind, Some(&row.kind))
            && query.device.as_ref().is_none_or(|id| *id == row.device)
            && self.fits_place(row)
            && is(&query.rule, Some(&row.rule))
            && self.q.as_ref().is_none_or(|q| self.has_text(row, q))
    }

    fn fits_place(&self, row: &AlarmRow) -> bool {
        let place = row.grid.as_deref().unwrap_or(&self.query.city_code);
        let regions = &self.query.regions;
        regions.is_empty() || regions.iter().any(|region| region.holds(place))
    }

    fn has_text(&self, row: &AlarmRow, q: &str) -> bool {
        let site = row.site.as_deref().unwrap_or_default();
        [&*row.title, row.device.as_str(), site, &*row.rule, &*row.id]
            .into_iter()
            .any(|text| has(text, q))
            || self.named.contains(row.device.as_str())
    }

    fn fits_severity(&self, row: &AlarmRow) -> bool {
        let wanted = &self.query.severities;
        wanted.is_empty() || wanted.contains(&row.severity)
    }

    fn fits_state(&self, row: &AlarmRow) -> bool {
        match &self.query.states {
            StateFilter::Only(states) => states.contains(&row.state),
            StateFilter::Open | StateFilter::All => true,
        }
    }
}

/// Tells whether a text has another one, which is lower case, in either case.
fn has(text: &str, q: &str) -> bool {
    // Most texts have no upper case, and need no copy.
    text.contains(q) || (text.chars().any(char::is_uppercase) && text.to_lowercase().contains(q))
}
