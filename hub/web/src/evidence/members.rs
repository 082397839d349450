//! The alarms of a composite's members that were there in its place while it lasted.

use super::Case;
use crate::problem::Problem;
use crate::rerun::{REACH_MAX_S, texts};
use crate::state::{Inner, store_problem};
use model::{AlarmRow, Timestamp};
use rules::Rule;
use serde_json::{Value, json};
use store::{AlarmQuery, StateFilter};

/// Members' alarms that are linked to.
const MEMBERS_MAX: usize = 100;

/// Alarms of one member rule that are read at a time, newest first, …
const PAGE: usize = 1_000;

/// … and how often, at most.
const PAGES_MAX: usize = 20;

/// Which alarms were the composite's members.
struct Place<'a> {
    scope: &'a str,
    /// A member that was raised before may have ended.
    within_s: i64,
    row: &'a AlarmRow,
    until: Timestamp,
}

impl Place<'_> {
    fn holds(&self, member: &AlarmRow) -> bool {
        let own = self.row;
        match self.scope {
            "site" => own.site.is_some() && member.site == own.site,
            "grid" => own.grid.is_some() && member.grid == own.grid,
            _ => member.device == own.device,
        }
    }

    /// Tells whether an alarm was active while the composite was, or was raised so shortly before
    /// that it counted.
    fn saw(&self, member: &AlarmRow) -> bool {
        let began = self.row.raised_at;
        let was_active = member.cleared_at.is_none_or(|at| at >= began);
        let was_near = self.within_s > 0 && member.raised_at >= began.plus_s(-self.within_s);
        member.raised_at <= self.until && (was_active || was_near)
    }

    /// What became known from late data did not count.
    fn counts(&self, member: &AlarmRow) -> bool {
        let is_late = member.note.as_deref() == Some("recorded from late data");
        !is_late && self.holds(member) && self.saw(member)
    }
}

pub(super) fn rules_of(rule: &Rule) -> Vec<String> {
    let spec = rule.spec.to_json();
    texts(&spec, "of").map(str::to_owned).collect()
}

/// Lists the members' alarms, each with its own evidence, and lets the case begin before them.
pub(super) fn of(hub: &Inner, case: &mut Case) -> Result<Vec<Value>, Problem> {
    let Some(rule) = &case.rule else {
        return Ok(Vec::new());
    };
    let spec = rule.spec.to_json();
    let row = case.row.clone();
    let place = Place {
        scope: spec
            .get("scope")
            .and_then(Value::as_str)
            .unwrap_or("device"),
        within_s: spec.get("within_s").and_then(Value::as_i64).unwrap_or(0),
        until: row.cleared_at.unwrap_or(Timestamp::MAX),
        row: &row,
    };
    let mut rows = Vec::new();
    let mut is_cut = false;
    for member in rules_of(rule) {
        is_cut |= read(hub, &place, member, &mut rows)?;
    }
    rows.sort_by_key(|row| (row.raised_at, row.id.len(), row.id.clone()));
    is_cut |= rows.len() > MEMBERS_MAX;
    if is_cut {
        case.notes.push(format!(
            "the first {MEMBERS_MAX} alarms of members are listed at most"
        ));
    }
    if let Some(first) = rows.first() {
        // The run must see them begin.
        let reach_s = case.row.raised_at.since_ms(case.span.0) / 1000;
        let from = first.raised_at.plus_s(-reach_s);
        let earliest = case.row.raised_at.plus_s(-REACH_MAX_S);
        case.span.0 = case.span.0.min(from.max(earliest));
    }
    let shown = rows.iter().take(MEMBERS_MAX).map(|row| {
        json!({"id": row.id, "rule": row.rule, "device": row.device, "site": row.site,
            "grid": row.grid, "raised_at": row.raised_at, "cleared_at": row.cleared_at,
            "value": row.value, "evidence": format!("/api/v1/alarms/{}/evidence", row.id)})
    });
    Ok(shown.collect())
}

/// Reads the alarms of one member rule that count; true if there may be more.
fn read(
    hub: &Inner,
    place: &Place<'_>,
    member: String,
    rows: &mut Vec<AlarmRow>,
) -> Result<bool, Problem> {
    let until_ms = place.until.millis().saturating_add(1);
    let mut query = AlarmQuery {
        states: StateFilter::All,
        rule: Some(member),
        limit: PAGE,
        // Everything that began by then, newest first.
        after: Some(format!("{until_ms}.a")),
        ..AlarmQuery::default()
    };
    if place.scope == "device" {
        query.device = Some(place.row.device.clone());
    }
    for _ in 0..PAGES_MAX {
        let page = hub
            .reader
            .alarms(&query)
            .map_err(|error| store_problem("list the members' alarms", &error))?;
        rows.extend(page.rows.into_iter().filter(|row| place.counts(row)));
        if page.next.is_none() {
            return Ok(false);
        }
        query.after = page.next;
    }
    Ok(true)
}
