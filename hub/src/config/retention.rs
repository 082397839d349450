//! `[store.retention]`: how long and how much is kept.

use super::{ConfigError, Loaded};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Ten centuries: whoever means for ever says 0.
const DAYS_MAX: u32 = 365_250;

const GIB: u64 = 1 << 30;

/// What is forgotten, and when; 0 keeps it for ever. Readings go by the UTC day of their own time.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Days that readings are kept.
    pub readings_max_age_d: u32,
    /// Days that events are kept: cursors of before are answered with 410.
    pub events_max_age_d: u32,
    /// Days that alarms are kept which are over.
    pub alarms_max_age_d: u32,
    /// Days that closed cases are kept.
    pub cases_max_age_d: u32,
    /// Days that audit records are kept.
    pub audit_max_age_d: u32,
    /// GiB of readings beyond which the oldest days go.
    pub max_size_gb: u32,
    /// Metrics that are kept for another time than the rest, by name.
    pub metrics: BTreeMap<String, AgeConfig>,
    /// Kinds of devices whose readings are kept for another time than the rest, by name. A metric
    /// with an age of its own keeps that one.
    pub kinds: BTreeMap<String, AgeConfig>,
}

/// One metric, or one kind of devices.
#[derive(Copy, Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgeConfig {
    /// Days that its readings are kept; 0 keeps them for ever.
    pub max_age_d: u32,
}

impl Loaded {
    pub(super) fn check_retention(&self) -> Result<(), ConfigError> {
        let store = &self.config.store;
        let kept = &store.retention;
        let mut ages = vec![
            ("retention_days".to_owned(), store.retention_days),
            (
                "retention.readings_max_age_d".to_owned(),
                kept.readings_max_age_d,
            ),
            (
                "retention.events_max_age_d".to_owned(),
                kept.events_max_age_d,
            ),
            (
                "retention.alarms_max_age_d".to_owned(),
                kept.alarms_max_age_d,
            ),
            ("retention.cases_max_age_d".to_owned(), kept.cases_max_age_d),
            ("retention.audit_max_age_d".to_owned(), kept.audit_max_age_d),
        ];
        ages.extend(kept.metrics.iter().map(|(name, metric)| {
            (
                format!("retention.metrics.{name}.max_age_d"),
                metric.max_age_d,
            )
        }));
        ages.extend(kept.kinds.iter().map(|(name, kind)| {
            let key = format!("retention.kinds.{name}.max_age_d");
            (key, kind.max_age_d)
        }));
        for (key, days) in ages {
            if days > DAYS_MAX {
                let reason = format!("must be 0 (for ever) to {DAYS_MAX}, not {days}");
                return Err(self.error(&format!("store.{key}"), reason));
            }
        }
        if store.retention_days > 0
            && kept.readings_max_age_d > 0
            && store.retention_days != kept.readings_max_age_d
        {
            let reason = "`store.retention_days` says something else; leave one of them out";
            return Err(self.error("store.retention.readings_max_age_d", reason));
        }
        Ok(())
    }

    /// Gives what the store is told.
    pub(crate) fn store_options(&self) -> store::Options {
        let config = &self.config.store;
        let kept = &config.retention;
        let age = |days: u32| (days > 0).then_some(days);
        let metrics = kept.metrics.iter();
        let kinds = kept.kinds.iter();
        store::Options {
            seal_cells: config.seal_cells,
            seal_after_s: config.seal_after_s,
            retention_days: age(config.retention_days).or(age(kept.readings_max_age_d)),
            events_retention_days: age(kept.events_max_age_d),
            metric_retention_days: metrics
                .map(|(name, metric)| (name.clone(), metric.max_age_d))
                .collect(),
            kind_retention_days: kinds
                .map(|(name, kind)| (name.clone(), kind.max_age_d))
                .collect(),
            alarms_retention_days: age(kept.alarms_max_age_d),
            cases_retention_days: age(kept.cases_max_age_d),
            audit_retention_days: age(kept.audit_max_age_d),
            size_bytes_max: age(kept.max_size_gb).map(|gib| u64::from(gib) * GIB),
            reserve_bytes: config.disk.reserve_bytes(),
            meter: store::Meter::default(),
            source: format!("cityhub/{}", self.config.city.code),
        }
    }
}
