//! How the engine's changes move the figures, times and notes of a row.

use super::Facts;
use super::facts::SILENCE;
use crate::{Change, ClearReason, Figures, What, alarm_id};
use model::{AlarmRow, AlarmState, Severity};

/// The note of an alarm whose rule was on trial when it was raised.
const SHADOW: &str = "shadow";

/// The note of an alarm that late readings brought to light.
const RECORDED: &str = "recorded from late data";

/// The note of an alarm that never was.
const WITHDRAWN: &str = "withdrawn";

/// The verdict that the condition was never there.
pub(super) const FALSE_ALARM: &str = "false_alarm";

/// Tells whether the alarm is nobody's business but the engineer's.
pub(super) fn is_on_trial(row: &AlarmRow) -> bool {
    row.shadow
}

/// Tells whether the alarm once rang, so that it counts for chatter.
pub(super) fn was_raised(row: &AlarmRow) -> bool {
    !row.shadow && !matches!(row.note.as_deref(), Some(WITHDRAWN | RECORDED))
}

/// Tells whether someone or something has set the alarm aside, and takes it back.
pub(super) fn is_set_aside(row: &AlarmRow) -> bool {
    matches!(
        row.state,
        AlarmState::Shelved | AlarmState::Suppressed | AlarmState::OutOfService
    )
}

pub(super) fn is_silence(row: &AlarmRow) -> bool {
    row.active && !is_on_trial(row) && row.rule_kind.as_deref() == Some(SILENCE)
}

/// Tells whether this alarm can explain others.
pub(super) fn is_cause(row: &AlarmRow) -> bool {
    row.active
        && !is_on_trial(row)
        && row.verdict.is_none()
        && row.state != AlarmState::OutOfService
}

/// Tells the number of an alarm from its id.
pub fn alarm_number(id: &str) -> Option<u64> {
    let digits = id.strip_prefix('a')?;
    // Only the one form that the hub itself writes: no sign, no leading zero.
    let number = digits.parse().ok()?;
    (alarm_id(number) == id).then_some(number)
}

/// Moves the row along with the change, but for its state, and names the event.
pub(super) fn update(row: &mut AlarmRow, change: &Change) -> &'static str {
    let kind = match &change.what {
        What::Updated(figures) => {
            set_figures(row, figures);
            "updated"
        }
        What::Raised(figures) => {
            set_figures(row, figures);
            "raised"
        }
        What::Escalated(figures) => {
            set_figures(row, figures);
            "escalated"
        }
        What::Deescalated(figures) => {
            set_figures(row, figures);
            "deescalated"
        }
        What::Cleared { reason, figures } => {
            set_figures(row, figures);
            row.cleared_at = Some(change.at);
            note_reason(row, *reason);
            "cleared"
        }
        What::Amended(outcome) => {
            set_figures(row, &outcome.figures);
            row.raised_at = outcome.raised_at;
            row.cleared_at = outcome.cleared_at;
            row.note = Some("amended".to_owned());
            "amended"
        }
        What::Recorded(outcome) => {
            set_figures(row, &outcome.figures);
            row.cleared_at = outcome.cleared_at;
            row.note = Some(RECORDED.to_owned());
            "recorded"
        }
        What::Withdrawn => {
            row.cleared_at = row.cleared_at.or(Some(row.raised_at));
            row.note = Some(WITHDRAWN.to_owned());
            "withdrawn"
        }
    };
    row.active = row.cleared_at.is_none();
    kind
}

/// Names the device anew: readings out of order may show that another one completed a composite.
/// A row whose device is the same keeps what was true of it when the alarm was raised.
pub(super) fn follow_device(row: &mut AlarmRow, facts: &Facts<'_>) {
    if row.device == *facts.device {
        return;
    }
    row.device = facts.device.clone();
    facts.kind.clone_into(&mut row.kind);
    row.site = facts.site.map(str::to_owned);
    row.grid = facts.grid.map(str::to_owned);
    row.parent = facts.gateway.cloned();
}

fn note_reason(row: &mut AlarmRow, reason: ClearReason) {
    if let Some(note) = reason.note() {
        row.note = Some(note.to_owned());
    }
}

pub(super) fn set_figures(row: &mut AlarmRow, figures: &Figures) {
    row.severity = figures.severity;
    row.value = figures.value;
    row.limit = figures.limit;
    row.peak = figures.peak;
    row.count = figures.count;
}

/// Takes the row off the shelf.
pub(super) fn leave_shelf(row: &mut AlarmRow) {
    row.shelved_until = None;
    row.shelved_by = None;
    row.shelve_reason = None;
    row.shelved_severity = None;
}

/// Takes the row from under its cause.
pub(super) fn leave_cause(row: &mut AlarmRow) {
    row.suppressed_by = None;
    row.suppression = None;
    row.returns_at = None;
}

/// Begins a row. One of a rule on trial needs nobody's acknowledgement.
pub(super) fn begin(change: &Change, facts: &Facts<'_>) -> AlarmRow {
    let raised_at = match &change.what {
        What::Recorded(outcome) | What::Amended(outcome) => outcome.raised_at,
        What::Raised(_)
        | What::Escalated(_)
        | What::Deescalated(_)
        | What::Updated(_)
        | What::Cleared { .. }
        | What::Withdrawn => change.at,
    };
    AlarmRow {
        id: alarm_id(change.alarm),
        rule: change.rule.as_ref().to_owned(),
        rule_revision: change.rule_revision,
        title: facts.title.to_owned(),
        device: facts.device.clone(),
        kind: facts.kind.to_owned(),
        site: facts.site.map(str::to_owned),
        grid: facts.grid.map(str::to_owned),
        severity: Severity::Warning,
        state: AlarmState::Normal,
        active: true,
        acked: change.shadow,
        raised_at,
        cleared_at: None,
        metric: facts.metric.map(str::to_owned),
        value: None,
        limit: None,
        unit: facts.unit.map(str::to_owned),
        peak: None,
        count: 0,
        owner: None,
        shelved_until: None,
        suppressed_by: None,
        case: None,
        note: change.shadow.then(|| SHADOW.to_owned()),
        category: facts.category.map(str::to_owned),
        shadow: change.shadow,
        rule_kind: Some(facts.rule_kind.to_owned()),
        latching: facts.latching,
        parent: facts.gateway.cloned(),
        scope: facts.scope.map(|scope| scope.name().to_owned()),
        announced_at: None,
        suppression: None,
        returns_at: None,
        shelved_by: None,
        shelve_reason: None,
        shelved_severity: None,
        verdict: None,
        cause: None,
        chattering: false,
        stale: false,
        version: 0,
    }
}
