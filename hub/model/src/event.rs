//! One durable, numbered fact, in its CloudEvents 1.0 form.

use crate::Severity;
use serde::Deserialize;
use std::borrow::Cow;

/// An event as the journal keeps it: a few columns to filter by, and the JSON that is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Position in the one sequence; 1, 2, 3 … without a hole.
    pub seq: u64,
    /// CloudEvents `type`, such as `cityhub.alarm.raised`.
    pub kind: String,
    /// The alarm's, case's or device's id.
    pub subject: String,
    pub severity: Option<Severity>,
    pub grid: Option<String>,
    /// The whole CloudEvent as JSON text.
    pub json: String,
}

/// A filter by least severity; events without one (devices coming and going) always pass.
#[derive(Copy, Clone, Debug, Default)]
pub struct MinSeverity(pub Option<Severity>);

impl MinSeverity {
    pub fn lets_pass(self, event: &Event) -> bool {
        match (self.0, event.severity) {
            (Some(least), Some(severity)) => severity >= least,
            _ => true,
        }
    }
}

/// The column of a place, in the JSON of an event that has no grid: a case may know its district.
#[derive(Deserialize, Default)]
struct Body<'a> {
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize, Default)]
struct Data<'a> {
    #[serde(borrow, default)]
    district: Option<Cow<'a, str>>,
}

impl Event {
    /// Where it happened: its unit grid or its district, if it has one; else it is the city's.
    pub fn place(&self) -> Option<Cow<'_, str>> {
        if let Some(grid) = &self.grid {
            return Some(grid.into());
        }
        let body: Body<'_> = serde_json::from_str(&self.json).unwrap_or_default();
        body.data?.district
    }

    /// Writes the sequence as CloudEvents carries it: 20 digits, so that text order is number order.
    pub fn sequence_text(seq: u64) -> String {
        format!("{seq:020}")
    }
}
