//! What a city may choose about its store, and the fixed limits.

use crate::Meter;
use std::collections::BTreeMap;

/// Settings of the store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Values in memory at which they move to a segment file.
    pub seal_cells: usize,
    /// Age of the oldest value in memory at which they move to a segment file.
    pub seal_after_s: u32,
    /// Days that readings are kept; `None` keeps them for ever.
    pub retention_days: Option<u32>,
    /// Days that events are kept; `None` keeps them for ever.
    pub events_retention_days: Option<u32>,
    /// Days that single metrics are kept, by name, instead; 0 keeps one for ever.
    pub metric_retention_days: BTreeMap<String, u32>,
    /// Days that readings of single kinds of devices are kept, by kind, where their metric has no
    /// age of its own; 0 keeps them for ever.
    pub kind_retention_days: BTreeMap<String, u32>,
    /// Days that alarms which are over are kept.
    pub alarms_retention_days: Option<u32>,
    /// Days that closed cases are kept.
    pub cases_retention_days: Option<u32>,
    /// Days that audit records are kept.
    pub audit_retention_days: Option<u32>,
    /// Bytes of segments beyond which the oldest days go.
    pub size_bytes_max: Option<u64>,
    /// Bytes of the disk that are kept for the hub alone; 0 keeps none.
    pub reserve_bytes: u64,
    /// Who measures the disk.
    pub meter: Meter,
    /// CloudEvents `source` of this hub's events.
    pub source: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seal_cells: 1_000_000,
            seal_after_s: 3_600,
            retention_days: None,
            events_retention_days: None,
            metric_retention_days: BTreeMap::new(),
            kind_retention_days: BTreeMap::new(),
            alarms_retention_days: None,
            cases_retention_days: None,
            audit_retention_days: None,
            size_bytes_max: None,
            reserve_bytes: 0,
            meter: Meter::default(),
            source: "cityhub".to_owned(),
        }
    }
}
