//! One durable, numbered fact, in its CloudEvents 1.0 form.

use crate::Severity;

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

impl Event {
    /// Writes the sequence as CloudEvents carries it: 20 digits, so that text order is number order.
    pub fn sequence_text(seq: u64) -> String {
        format!("{seq:020}")
    }
}
