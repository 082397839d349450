//! `[store] history`: the server that older readings are read back from.

use super::{ConfigError, Loaded};
use mirror::MirrorConfig;
use mirror::history::ServerSetup;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::task::TaskTracker;

/// Ten centuries, as with retention.
const DAYS_MAX: u32 = 365_250;

/// Where older readings are.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HistoryKind {
    #[default]
    Embedded,
    Influxdb,
    Victoriametrics,
}

impl Loaded {
    pub(super) fn check_history(&self) -> Result<(), ConfigError> {
        let store = &self.config.store;
        if let Some(days) = store.history_local_d
            && days > DAYS_MAX
        {
            let reason = format!("must be 0 to {DAYS_MAX}, not {days}");
            return Err(self.error("store.history_local_d", reason));
        }
        self.history_server(&TaskTracker::new()).map(drop)
    }

    /// Gives the server that older readings are read from, if there is one.
    pub(crate) fn history_server(
        &self,
        tasks: &TaskTracker,
    ) -> Result<Option<ServerSetup>, ConfigError> {
        let store = &self.config.store;
        let of_mirror = match store.history {
            HistoryKind::Embedded => {
                let keys = [
                    ("history_mirror", store.history_mirror.is_some()),
                    ("history_url", store.history_url.is_some()),
                    ("history_local_d", store.history_local_d.is_some()),
                ];
                let unused = keys.into_iter().find(|(_, is_set)| *is_set);
                return match unused {
                    None => Ok(None),
                    Some((key, _)) => {
                        let reason = "means nothing while `store.history` is `embedded`";
                        Err(self.error(&format!("store.{key}"), reason))
                    }
                };
            }
            HistoryKind::Influxdb => ServerSetup::influxdb,
            HistoryKind::Victoriametrics => ServerSetup::victoriametrics,
        };
        let (name, mirror) = self.mirror_of_history()?;
        let mut mirror = mirror.clone();
        let mut key = format!("store.mirror.{name}.url");
        if let Some(url) = &store.history_url {
            url.clone_into(&mut mirror.url);
            "store.history_url".clone_into(&mut key);
        }
        let setup = of_mirror(name, &mirror, tasks).map_err(|reason| self.error(&key, reason))?;
        Ok(Some(setup))
    }

    fn mirror_of_history(&self) -> Result<(&str, &MirrorConfig), ConfigError> {
        let store = &self.config.store;
        let names = || {
            let names: Vec<&str> = store.mirror.keys().map(String::as_str).collect();
            names.join(", ")
        };
        if let Some(name) = &store.history_mirror {
            return match store.mirror.get(name) {
                Some(mirror) => Ok((name, mirror)),
                None => {
                    let reason = format!("there is no mirror `{name}`; known: {}", names());
                    Err(self.error("store.history_mirror", reason))
                }
            };
        }
        let mut mirrors = store.mirror.iter();
        match (mirrors.next(), mirrors.next()) {
            (None, _) => {
                let reason = "needs a server that a mirror fills: add `[store.mirror.<name>]`";
                Err(self.error("store.history", reason))
            }
            (Some((name, mirror)), None) => Ok((name, mirror)),
            (Some(_), Some(_)) => {
                let reason = format!(
                    "there are several mirrors ({}); say which in `store.history_mirror`",
                    names()
                );
                Err(self.error("store.history", reason))
            }
        }
    }
}
