//! `[store.disk]`: when the hub warns that the disk gets full, and when it takes nothing more.

use super::{ConfigError, Loaded};
use crate::writer::Thresholds;
use schemars::JsonSchema;
use serde::Deserialize;

const MIB: u64 = 1 << 20;

/// Half the disk: who wants to hear of more than that wants a bigger one.
const WARN_FREE_PCT_MAX: u32 = 50;

const WARN_DAYS_MAX: u32 = 3_650;

/// The room on the disk of the data directory.
#[derive(Copy, Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiskConfig {
    /// MiB of the disk that are held for the hub alone. When less than a quarter of as much is free
    /// beside them it takes no readings, and alarms and people's commands live on these; 0 holds none.
    pub reserve_mb: u32,
    /// Days before the disk is full, as it went in the last week, at which the hub warns; 0 never.
    pub warn_days: u32,
    /// Percent of the disk, or of its inodes, below which the hub warns; 0 never.
    pub warn_free_pct: u32,
}

impl Default for DiskConfig {
    fn default() -> Self {
        // 128 MiB: the write-ahead log may take 32, a seal and the state of a hundred thousand
        // devices as much, and the rest is for hours of commands. 30 days: to order a disk and have
        // it fitted. 10 %: less is slow on most file systems, and a day is merged in a second copy.
        Self {
            reserve_mb: 128,
            warn_days: 30,
            warn_free_pct: 10,
        }
    }
}

impl DiskConfig {
    pub(crate) fn reserve_bytes(&self) -> u64 {
        u64::from(self.reserve_mb) * MIB
    }

    pub(crate) fn thresholds(&self) -> Thresholds {
        Thresholds {
            days: self.warn_days,
            free_pct: self.warn_free_pct,
        }
    }
}

impl Loaded {
    pub(super) fn check_disk(&self) -> Result<(), ConfigError> {
        let disk = &self.config.store.disk;
        for (key, value, most) in [
            ("warn_days", disk.warn_days, WARN_DAYS_MAX),
            ("warn_free_pct", disk.warn_free_pct, WARN_FREE_PCT_MAX),
        ] {
            if value > most {
                let reason = format!("must be 0 (never) to {most}, not {value}");
                return Err(self.error(&format!("store.disk.{key}"), reason));
            }
        }
        Ok(())
    }
}
