//! Which alarms of the book a list shows, in which order, and how many there are of which.

use crate::problem::Problem;
use crate::query::bad_cursor;
use crate::roll::{self, Place};
use crate::state::Inner;
use model::{AlarmRow, AlarmState, Device, Severity};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use store::AlarmQuery;

/// The order of a list.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Newest,
    /// By what asks for an answer first, then by severity, then the newest.
    Priority,
}

pub(crate) const SORTS: [(&str, Sort); 2] =
    [("newest", Sort::Newest), ("priority", Sort::Priority)];

/// Rows of one page, how many match, and the cursor of the next page.
pub(crate) struct Picked {
    pub(crate) rows: Vec<AlarmRow>,
    pub(crate) counts: Value,
    pub(crate) matched: u64,
    pub(crate) next: Option<String>,
}

impl Sort {
    fn cursor(self, row: &AlarmRow) -> String {
        let (group, severity, Reverse(raised_ms), Reverse(number)) = roll::place(row);
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

/// Picks a page, and counts what fits.
pub(crate) fn pick(hub: &Inner, query: &AlarmQuery, sort: Sort) -> Result<Picked, Problem> {
    let read = |cursor: &String| sort.read_cursor(cursor).ok_or_else(|| bad_cursor(cursor));
    let after = query.after.as_ref().map(read).transpose()?;
    let q = query.q.as_ref().map(|q| q.to_lowercase());
    let named = q.as_deref().map(|q| named(hub, q)).unwrap_or_default();
    // Rows are copied, not written, while the book is held: the writer waits for it.
    let page = hub
        .alarms()
        .page(query, (q.as_deref(), &named), (sort, after));
    let last = page.rows.last().filter(|_| page.has_more);
    let next = last.map(|row| sort.cursor(row));
    let (severities, states, matched) = roll::facets(query, &page.counts);
    let severity: BTreeMap<&str, u64> = Severity::ALL
        .iter()
        .map(|of| (of.name(), severities.get(of).copied().unwrap_or(0)))
        .collect();
    let state: BTreeMap<&str, u64> = AlarmState::ALL
        .iter()
        .filter(|of| **of != AlarmState::Normal)
        .map(|of| (of.name(), states.get(of).copied().unwrap_or(0)))
        .collect();
    Ok(Picked {
        rows: page.rows,
        counts: json!({"total": matched, "severity": severity, "state": state}),
        matched,
        next,
    })
}

/// Finds the devices whose names have a text.
fn named(hub: &Inner, q: &str) -> Vec<String> {
    let has_it = |device: &Device| device.name.as_deref().is_some_and(|name| has(name, q));
    hub.devices.ids_where(has_it)
}

/// Tells whether a text has another one, which is lower case, in either case.
fn has(text: &str, q: &str) -> bool {
    // Most texts have no upper case, and need no copy.
    text.contains(q) || (text.chars().any(char::is_uppercase) && text.to_lowercase().contains(q))
}
