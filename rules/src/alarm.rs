//! The life of an alarm (ISA-18.2): the engine's changes and officers' actions become rows.

use crate::Change;
use model::{AlarmRow, AlarmState, Device, Severity, Timestamp};
use std::collections::BTreeMap;

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
}

/// Why an action was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    #[error("there is no such alarm")]
    NotFound,
    #[error("the alarm has moved on to version {current}")]
    Stale { current: u64 },
    #[error("an alarm that is {} cannot be handled with `{}`", .state.name(), .verb.name())]
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
}

impl AlarmBook {
    /// Takes up the rows that were not `normal` when the hub stopped.
    pub fn restore(_rows: Vec<AlarmRow>) -> Self {
        todo!()
    }

    /// Tells whether the change is about an alarm that has left the book, so that its row must be
    /// read from the store and given to [`AlarmBook::recall`] first.
    pub fn lacks(&self, _change: &Change) -> bool {
        todo!()
    }

    /// Takes a row back that has left the book.
    pub fn recall(&mut self, _row: AlarmRow) {
        todo!()
    }

    /// Takes in a change of the engine; one that only moves figures makes no event.
    pub fn apply(&mut self, _change: &Change, _facts: &Facts<'_>) -> Option<AlarmEvent> {
        todo!()
    }

    /// Takes an officer's action.
    pub fn act(
        &mut self,
        _now: Timestamp,
        _id: &str,
        _action: Action<'_>,
    ) -> Result<AlarmEvent, ActError> {
        todo!()
    }

    pub fn get(&self, _id: &str) -> Option<&AlarmRow> {
        todo!()
    }

    /// Gives the rows in the order of their numbers.
    pub fn rows(&self) -> impl Iterator<Item = &AlarmRow> {
        self.rows.values()
    }

    /// Counts the rows by state and severity.
    pub fn counts(&self) -> BTreeMap<(AlarmState, Severity), u64> {
        todo!()
    }
}
