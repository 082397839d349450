//! The life of an alarm (ISA-18.2): the engine's changes and officers' actions become rows.

use crate::{Change, ClearReason, Figures, What, alarm_id};
use model::{AlarmRow, AlarmState, Device, Severity, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// How many rows that have become normal the book remembers, because readings out of order may
/// still amend them. An older one is read from the store.
const LEFT_ROWS_MAX: usize = 4096;

/// The note of an alarm whose rule was on trial when it was raised.
const SHADOW: &str = "shadow";

/// What a row says beyond the change itself.
#[derive(Copy, Clone, Debug)]
pub struct Facts<'a> {
    pub device: &'a Device,
    pub grid: Option<&'a str>,
    pub title: &'a str,
    pub category: Option<&'a str>,
    pub metric: Option<&'a str>,
    pub unit: Option<&'a str>,
}

/// One thing that happened to an alarm, with the row as it is after it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmEvent {
    /// The last part of the event type `cityhub.alarm.<kind>`.
    pub kind: &'static str,
    pub row: AlarmRow,
    /// False for a rule on trial (`shadow`): store the row, send no event.
    pub announced: bool,
}

/// What an officer can do.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    Ack,
    Comment,
}

impl Verb {
    pub const ALL: [Self; 2] = [Self::Ack, Self::Comment];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Comment => "comment",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }

    fn event(self) -> &'static str {
        match self {
            Self::Ack => "acked",
            Self::Comment => "commented",
        }
    }
}

/// Why an action was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    #[error("there is no such alarm, or it is over")]
    NotFound,
    #[error("the alarm has moved on to version {current}")]
    Stale { current: u64 },
    #[error("an alarm in the state `{}` cannot be handled with `{}`", .state.name(), .verb.name())]
    Impossible { state: AlarmState, verb: Verb },
}

/// An officer's action on one alarm.
#[derive(Copy, Clone, Debug)]
pub struct Action<'a> {
    pub verb: Verb,
    pub actor: &'a str,
    /// The version that the officer saw; a newer one refuses the action.
    pub version: Option<u64>,
    pub comment: Option<&'a str>,
}

/// Every alarm that is not `normal`.
#[derive(Clone, Debug, Default)]
pub struct AlarmBook {
    rows: BTreeMap<u64, AlarmRow>,
    /// The rows that became normal last, oldest first.
    left: VecDeque<(u64, AlarmRow)>,
}

/// Tells the state after an action; `None` if the action is impossible in this state.
fn act_on(state: AlarmState, verb: Verb) -> Option<AlarmState> {
    use AlarmState as S;
    match (verb, state) {
        // A row that is normal has left the book; what was said about it is history.
        (_, S::Normal) => None,
        (Verb::Comment, state) => Some(state),
        (Verb::Ack, S::ActiveUnacked) => Some(S::ActiveAcked),
        (Verb::Ack, S::ClearedUnacked) => Some(S::Normal),
        (Verb::Ack, S::LatchedUnacked) => Some(S::LatchedAcked),
        (
            Verb::Ack,
            S::ActiveAcked | S::LatchedAcked | S::Shelved | S::Suppressed | S::OutOfService,
        ) => None,
    }
}

/// Tells the state of an alarm whose condition has (not) come back, by itself or by an amendment.
fn follow(state: AlarmState, active: bool, acked: bool) -> AlarmState {
    use AlarmState as S;
    match state {
        // Someone or something has set these aside, and takes them back.
        S::Shelved | S::Suppressed | S::OutOfService => state,
        S::LatchedUnacked | S::LatchedAcked if !active => state,
        S::ActiveUnacked
        | S::ActiveAcked
        | S::ClearedUnacked
        | S::Normal
        | S::LatchedUnacked
        | S::LatchedAcked => match (active, acked) {
            (true, false) => S::ActiveUnacked,
            (true, true) => S::ActiveAcked,
            (false, false) => S::ClearedUnacked,
            (false, true) => S::Normal,
        },
    }
}

impl AlarmBook {
    /// Takes up the rows that were not `normal` when the hub stopped.
    pub fn restore(rows: Vec<AlarmRow>) -> Self {
        let mut book = Self::default();
        for row in rows {
            if let Some(number) = alarm_number(&row.id) {
                book.rows.insert(number, row);
            }
        }
        book
    }

    /// Tells whether the change is about an alarm that is not in the book (any more), so that its
    /// row must be read from the store and given to [`AlarmBook::recall`] first.
    pub fn lacks(&self, change: &Change) -> bool {
        let begins = matches!(change.what, What::Raised(_) | What::Recorded(_));
        !begins
            && !self.rows.contains_key(&change.alarm)
            && !self.left.iter().any(|(number, _)| *number == change.alarm)
    }

    /// Takes a row back that has left the book.
    pub fn recall(&mut self, row: AlarmRow) {
        if let Some(number) = alarm_number(&row.id) {
            self.keep(number, row);
        }
    }

    /// Shows a row as it is in another book; a copy for readers is kept so.
    pub fn put(&mut self, row: AlarmRow) {
        let Some(number) = alarm_number(&row.id) else {
            return;
        };
        if row.state == AlarmState::Normal {
            self.rows.remove(&number);
        } else {
            self.rows.insert(number, row);
        }
    }

    /// Takes in a change of the engine; one that only moves figures makes no event.
    pub fn apply(&mut self, change: &Change, facts: &Facts<'_>) -> Option<AlarmEvent> {
        let known = self.take(change.alarm);
        // What was announced when it was raised is announced to its end, whatever becomes of the rule.
        let announced = known
            .as_ref()
            .map_or(!change.shadow, |row| row.note.as_deref() != Some(SHADOW));
        let mut row = known.unwrap_or_else(|| new_row(change, facts));
        let kind = update(&mut row, change);
        if kind.is_some() {
            row.version += 1;
        }
        let event = kind.map(|kind| AlarmEvent {
            kind,
            row: row.clone(),
            announced,
        });
        self.keep(change.alarm, row);
        event
    }

    /// Takes an officer's action; a comment becomes the row's note, after the name of who made it.
    ///
    /// Nothing that can be done yet depends on `_now`; shelving will.
    pub fn act(
        &mut self,
        _now: Timestamp,
        id: &str,
        action: Action<'_>,
    ) -> Result<AlarmEvent, ActError> {
        let number = alarm_number(id).ok_or(ActError::NotFound)?;
        let row = self.rows.get_mut(&number).ok_or(ActError::NotFound)?;
        if action.version.is_some_and(|version| version != row.version) {
            return Err(ActError::Stale {
                current: row.version,
            });
        }
        let impossible = ActError::Impossible {
            state: row.state,
            verb: action.verb,
        };
        row.state = act_on(row.state, action.verb).ok_or(impossible)?;
        match action.verb {
            Verb::Ack => {
                row.acked = true;
                row.owner.get_or_insert_with(|| action.actor.to_owned());
            }
            Verb::Comment => {}
        }
        let on_trial = row.note.as_deref() == Some(SHADOW);
        // With the name before it a comment can never be one of the notes that have a meaning.
        if let Some(comment) = action.comment.filter(|_| !on_trial) {
            row.note = Some(format!("{}: {comment}", action.actor));
        }
        row.version += 1;
        let row = row.clone();
        if row.state == AlarmState::Normal {
            self.rows.remove(&number);
            self.keep(number, row.clone());
        }
        Ok(AlarmEvent {
            kind: action.verb.event(),
            row,
            announced: !on_trial,
        })
    }

    pub fn get(&self, id: &str) -> Option<&AlarmRow> {
        self.rows.get(&alarm_number(id)?)
    }

    /// Gives the rows in the order of their numbers.
    pub fn rows(&self) -> impl Iterator<Item = &AlarmRow> {
        self.rows.values()
    }

    /// Counts the rows by state and severity.
    pub fn counts(&self) -> BTreeMap<(AlarmState, Severity), u64> {
        let mut counts = BTreeMap::new();
        for row in self.rows.values() {
            *counts.entry((row.state, row.severity)).or_default() += 1;
        }
        counts
    }

    fn take(&mut self, number: u64) -> Option<AlarmRow> {
        if let Some(row) = self.rows.remove(&number) {
            return Some(row);
        }
        // An amended alarm is among the last that left.
        let place = self.left.iter().rposition(|(left, _)| *left == number)?;
        self.left.remove(place).map(|(_, row)| row)
    }

    fn keep(&mut self, number: u64, row: AlarmRow) {
        if row.state != AlarmState::Normal {
            self.rows.insert(number, row);
            return;
        }
        if self.left.len() == LEFT_ROWS_MAX {
            self.left.pop_front();
        }
        self.left.push_back((number, row));
    }
}

fn alarm_number(id: &str) -> Option<u64> {
    let digits = id.strip_prefix('a')?;
    // Only the one form that the hub itself writes: no sign, no leading zero.
    let number = digits.parse().ok()?;
    (alarm_id(number) == id).then_some(number)
}

/// Moves the row along with the change, and names the event.
fn update(row: &mut AlarmRow, change: &Change) -> Option<&'static str> {
    let kind = match &change.what {
        What::Updated(figures) => {
            set_figures(row, figures);
            return None;
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
            row.note = Some("recorded from late data".to_owned());
            "recorded"
        }
        What::Withdrawn => {
            row.cleared_at = row.cleared_at.or(Some(row.raised_at));
            row.note = Some("withdrawn".to_owned());
            "withdrawn"
        }
    };
    row.active = row.cleared_at.is_none();
    row.state = if matches!(change.what, What::Withdrawn | What::Recorded(_)) {
        AlarmState::Normal
    } else {
        follow(row.state, row.active, row.acked)
    };
    Some(kind)
}

fn note_reason(row: &mut AlarmRow, reason: ClearReason) {
    if let Some(note) = reason.note() {
        row.note = Some(note.to_owned());
    }
}

fn set_figures(row: &mut AlarmRow, figures: &Figures) {
    row.severity = figures.severity;
    row.value = figures.value;
    row.limit = figures.limit;
    row.peak = figures.peak;
    row.count = figures.count;
}

/// Begins a row. One of a rule on trial needs nobody's acknowledgement.
fn new_row(change: &Change, facts: &Facts<'_>) -> AlarmRow {
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
        device: facts.device.id.clone(),
        kind: facts.device.kind.clone(),
        site: facts.device.site.clone(),
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
        version: 0,
    }
}

#[cfg(test)]
mod tests;
