//! What a city may choose about its store, and the fixed limits.

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
            source: "cityhub".to_owned(),
        }
    }
}
