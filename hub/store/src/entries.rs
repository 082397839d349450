//! What goes into the journal and comes back out of it, row by row.

use model::{Device, DeviceHealth, DeviceKey, Reading, Severity, Timestamp};

/// Whether a reading is new or was stored before.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    New,
    /// A reading of the same series and device time is stored; this one is dropped.
    Duplicate,
}

/// A registered device with what the store adds.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDevice {
    pub key: DeviceKey,
    pub device: Device,
    pub secret_hash: Option<[u8; 32]>,
    pub grid: Option<String>,
}

/// A rule as it was put.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRule {
    pub id: String,
    pub revision: u64,
    pub spec: serde_json::Value,
}

/// Somebody who is sent events, as the writer wants to remember it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSubscription {
    pub name: String,
    pub json: String,
}

/// What is kept of the session of a subscriber that comes and goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    pub name: String,
    /// The JSON of its topic filters.
    pub filters: String,
    /// How long it is kept after it was left; `u32::MAX` is for ever.
    pub expiry_s: u32,
    /// `None` while it is open, or for ever.
    pub expires_at: Option<Timestamp>,
    /// Where its cursor begins, if it has none yet. Not kept.
    pub begins_after: Option<u64>,
}

/// An event that a subscriber refused, kept whole until somebody sends it again or drops it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParkedEvent {
    /// When it was refused last.
    pub at: Timestamp,
    pub reason: String,
    /// Somebody asked to send it again.
    pub again: bool,
    pub event: model::Event,
}

/// A fact that is about to get its number.
#[derive(Clone, Debug)]
pub struct NewEvent<'a> {
    /// The CloudEvents type, such as `cityhub.alarm.raised`.
    pub kind: &'a str,
    pub subject: &'a str,
    pub severity: Option<Severity>,
    pub grid: Option<&'a str>,
    pub time: Timestamp,
    /// The whole alarm, case or device row as JSON text.
    pub data: &'a str,
}

/// The last event of the canary. It stands in the feed after an event but has no number in the one
/// sequence, so that it is in nobody's way and leaves no hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryEvent {
    /// 1, 2, 3 … of its own.
    pub number: u64,
    /// The event of the feed after which it happened.
    pub after: u64,
    /// The whole CloudEvent as JSON text.
    pub json: String,
}

/// A reading in the log, with what the segments and the ledger keep beside it.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct LogReading {
    pub reading: Reading,
    pub driver: u16,
    pub late: bool,
}

/// One group commit, read back from the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogGroup {
    pub seq: u64,
    pub stamp: Timestamp,
    /// The new readings, in the order of their arrival.
    pub readings: Vec<LogReading>,
    /// The commands that were carried out before the readings, as JSON.
    pub commands: Vec<String>,
    /// The check sum over the engine's changes, if the writer gave one.
    pub changes_crc: Option<u32>,
}

/// What the hub knows of a device's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredStatus {
    pub key: DeviceKey,
    pub health: DeviceHealth,
    /// What the writer must remember to go on, in its own JSON.
    pub memory: String,
}

/// What was found when the directory was opened.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The engine's state as of commit `sealed`.
    pub checkpoint: Option<Vec<u8>>,
    /// The commit up to which readings are in segments; `Reader::log` gives the groups after it.
    pub sealed: u64,
    pub devices: Vec<StoredDevice>,
    pub statuses: Vec<StoredStatus>,
    pub rules: Vec<StoredRule>,
    pub subscriptions: Vec<StoredSubscription>,
    /// Every alarm that is not `normal`, oldest first.
    pub alarms: Vec<model::AlarmRow>,
    /// Metric names in the order of their keys.
    pub metrics: Vec<String>,
    /// Driver names in the order of their keys.
    pub drivers: Vec<String>,
    /// Random bytes of this installation.
    pub salt: [u8; 16],
    pub last_stamp: Timestamp,
    pub last_commit: u64,
    pub last_event: u64,
    pub audit_head: [u8; 32],
}

/// A change of the register or the rules, kept for ever so that history can be judged again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRow {
    /// The commit that carried it.
    pub commit: u64,
    pub stamp: Timestamp,
    pub json: String,
}

/// One link of the audit chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub seq: u64,
    pub at: Timestamp,
    pub actor: String,
    pub role: String,
    pub action: String,
    pub subject: String,
    /// JSON text.
    pub detail: String,
    pub hash: [u8; 32],
}

/// A frame that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineRow {
    pub id: u64,
    pub at: Timestamp,
    pub driver: u16,
    pub device: Option<DeviceKey>,
    pub reason: String,
    pub detail: String,
    pub bytes: Vec<u8>,
}

/// When something was received from a device, ever.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub first_received: Timestamp,
    pub last_received: Timestamp,
}

/// Readings of some commits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveReadings {
    /// The last commit that was looked at; go on after it.
    pub commit: u64,
    pub readings: Vec<Reading>,
}
