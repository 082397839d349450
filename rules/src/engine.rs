//! The engine: no clock, no I/O; told what was received and when, it answers what changed.

use crate::{Change, DeviceView, RuleSpec};
use model::{Catalogue, DeviceKey, Reading, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the engine must know of the city's configuration.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A reading that arrives more than this after its own time is late.
    pub lateness_s: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { lateness_s: 120 }
    }
}

/// A rule in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub id: String,
    pub revision: u64,
    pub spec: RuleSpec,
}

/// A checkpoint that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    #[error("the engine's checkpoint has format {found}, this version reads {known}")]
    Format { found: u8, known: u8 },
    #[error("the engine's checkpoint is damaged: {0}")]
    Damaged(String),
}

/// Turns readings and time into changes of alarms.
#[derive(Debug)]
pub struct Engine {}

impl Engine {
    pub fn new(_settings: Settings, _catalogue: Arc<Catalogue>) -> Self {
        todo!()
    }

    /// Adds or replaces a rule. An edit that leaves its condition as it was keeps its state.
    pub fn put_rule(&mut self, _at: Timestamp, _rule: Rule, _out: &mut Vec<Change>) {
        todo!()
    }

    pub fn remove_rule(&mut self, _at: Timestamp, _id: &str, _out: &mut Vec<Change>) {
        todo!()
    }

    /// Gives a rule in force.
    pub fn rule(&self, _id: &str) -> Option<&Rule> {
        todo!()
    }

    pub fn put_device(&mut self, _at: Timestamp, _device: DeviceView, _out: &mut Vec<Change>) {
        todo!()
    }

    pub fn remove_device(&mut self, _at: Timestamp, _device: DeviceKey, _out: &mut Vec<Change>) {
        todo!()
    }

    /// Fires every deadline up to and including `to`, each at its own instant.
    pub fn advance(&mut self, _to: Timestamp, _out: &mut Vec<Change>) {
        todo!()
    }

    /// Applies one reading received at `at`.
    pub fn apply(&mut self, _at: Timestamp, _reading: &Reading, _out: &mut Vec<Change>) {
        todo!()
    }

    /// Tells when to call [`Engine::advance`] next at the latest; it may be early, never late.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        todo!()
    }

    /// The instant up to which every deadline has fired.
    pub fn now(&self) -> Timestamp {
        todo!()
    }

    pub fn checkpoint(&self) -> Vec<u8> {
        todo!()
    }

    pub fn restore(
        _settings: Settings,
        _catalogue: Arc<Catalogue>,
        _bytes: &[u8],
    ) -> Result<Self, RestoreError> {
        todo!()
    }

    /// Counts the states kept, one per rule and series or device.
    pub fn lanes(&self) -> usize {
        todo!()
    }
}
