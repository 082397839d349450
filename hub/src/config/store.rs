//! `[store]`: where readings rest.

use super::{DiskConfig, HistoryKind, RetentionConfig};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Where readings rest.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Where readings are that are older than the hub's own: `embedded` (nowhere), or `influxdb` or
    /// `victoriametrics`, the server of a mirror, asked in Flux or in MetricsQL.
    pub history: HistoryKind,
    /// The mirror whose server is asked; needed only where there are several.
    pub history_mirror: Option<String>,
    /// Where that server is asked, if that is not where the mirror writes: `http://host:port` or
    /// `https://host:port`, with a path where `victoriametrics` has one.
    pub history_url: Option<String>,
    /// Days back from now that the hub answers alone; unless said, all that it can answer. After a backup
    /// was restored, 0 brings what was received between the backup and the loss.
    pub history_local_d: Option<u32>,
    /// Days that readings are kept; 0 keeps them for ever. `retention.readings_max_age_d` is the same.
    pub retention_days: u32,
    /// Values in memory before they are sealed into a Parquet segment.
    pub seal_cells: usize,
    /// Seconds after which they are sealed at the latest.
    pub seal_after_s: u32,
    pub disk: DiskConfig,
    pub retention: RetentionConfig,
    /// Servers that every reading is copied to, by name.
    pub mirror: BTreeMap<String, mirror::MirrorConfig>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            history: HistoryKind::default(),
            history_mirror: None,
            history_url: None,
            history_local_d: None,
            retention_days: 0,
            seal_cells: 1_000_000,
            seal_after_s: 3600,
            disk: DiskConfig::default(),
            retention: RetentionConfig::default(),
            mirror: BTreeMap::new(),
        }
    }
}
