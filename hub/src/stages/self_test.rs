//! Starts the canary, with the way in that the configuration leaves it.

use super::Parts;
use crate::canary;
use crate::config::Config;
use anyhow::Result;
use sdk::{Ingest, Operator};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Random bytes in the secret of the test sensor.
const CANARY_SECRET_BYTES: usize = 16;

impl Parts {
    /// Lets the hub's own test sensor go its way, and a tail of the feed listen for it.
    pub(super) fn spawn_canary(
        &self,
        config: &Config,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<()> {
        if !config.canary.enabled {
            return Ok(());
        }
        let secret = access::random::<CANARY_SECRET_BYTES>()?;
        let secret = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let (course, follower) = canary::Way::new(
            (self.published.devices.clone(), &self.catalogue),
            (self.reader.clone(), self.tail.clone()),
            (
                Operator::new(self.requests.clone()),
                self.published.canary.clone(),
            ),
            self.health.clone(),
            (secret, self.canary_intake(config)),
        );
        let canary = canary::Canary {
            course,
            clock: self.clock.clone(),
            every: Duration::from_secs(config.canary.every_s.into()),
            webhook: config.canary.caller()?,
            health: self.health.clone(),
            city: serde_json::json!({ "code": config.city.code, "name": config.city.name }),
        };
        // They end with the drivers: a device that is refused while these stop is no failure.
        tasks.spawn(follower.run(stop.clone()));
        tasks.spawn(canary.run(stop.clone()));
        Ok(())
    }

    /// Gives the way in for a canary that no driver could take in; none where one can, or where there
    /// is no driver at all, which is a break of the whole way.
    fn canary_intake(&self, config: &Config) -> Option<Ingest> {
        if config.drivers.values().any(canary::is_gate) {
            return None;
        }
        let key = self.driver_keys.values().next()?;
        tracing::info!(
            "no driver has a plain MQTT or HTTP listener: the canary goes in behind the drivers and tests none of them"
        );
        Some(self.ingest(*key))
    }
}
