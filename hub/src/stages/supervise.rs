//! Keeps one driver running: a driver may fail alone, and is started again.

use anyhow::{Result, anyhow};
use sdk::{Context, DriverError, Registration, Running};
use std::time::Duration;
use tokio_util::task::TaskTracker;
use web::{DriverHealth, Health, PartState};

/// A driver that failed is started again after this, doubled each time up to the limit.
const RESTART_AFTER: Duration = Duration::from_secs(1);
const RESTART_AFTER_MAX: Duration = Duration::from_secs(60);

/// A driver that ran this long without failing has recovered.
const STEADY_AFTER: Duration = Duration::from_secs(120);

/// One configured driver.
pub(crate) struct Unit {
    name: String,
    registration: &'static Registration,
    config: config::Value,
    cx: Context,
    health: Health,
}

impl Unit {
    pub(crate) fn new(
        name: &str,
        config: &config::Value,
        cx: Context,
        health: Health,
    ) -> Result<Self> {
        let registration = crate::drivers::find(config).map_err(|reason| anyhow!(reason))?;
        Ok(Self {
            name: name.to_owned(),
            registration,
            config: config.clone(),
            cx,
            health,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Binds the driver's listeners and puts it on the health board.
    pub(crate) async fn open(self) -> Result<(Self, Running), DriverError> {
        let running = (self.registration.open)(self.config.clone(), self.cx.clone()).await?;
        self.show(&running, 0);
        Ok((self, running))
    }

    fn show(&self, running: &Running, restarts: u64) {
        let addresses = running.addresses.iter();
        let health = DriverHealth {
            kind: self.registration.kind.to_owned(),
            state: PartState::Up,
            since: self.cx.clock.now(),
            addresses: addresses
                .map(|(name, at)| ((*name).to_owned(), at.to_string()))
                .collect(),
            restarts,
            last_error: None,
        };
        self.health.put_driver(&self.name, health);
    }

    /// Serves until the stop; what fails is logged, shown, and started again.
    pub(crate) async fn run(self, first: Running) {
        let tracker = TaskTracker::new();
        let mut next = Some(first);
        let (mut pause, mut restarts) = (RESTART_AFTER, 0u64);
        loop {
            let reason = match next.take() {
                Some(running) => {
                    let started = tokio::time::Instant::now();
                    let ended = tracker.spawn(running.run).await;
                    if self.cx.stop.is_cancelled() {
                        return;
                    }
                    if started.elapsed() > STEADY_AFTER {
                        pause = RESTART_AFTER;
                    }
                    match ended {
                        Ok(Ok(())) => "it ended by itself".to_owned(),
                        Ok(Err(error)) => error.to_string(),
                        Err(panic) => panic.to_string(),
                    }
                }
                None => {
                    match (self.registration.open)(self.config.clone(), self.cx.clone()).await {
                        Ok(running) => {
                            tracing::info!(driver = self.name, restarts, "driver restarted");
                            self.show(&running, restarts);
                            next = Some(running);
                            continue;
                        }
                        Err(error) => error.to_string(),
                    }
                }
            };
            restarts += 1;
            tracing::error!(driver = self.name, reason, restarts, "driver failed");
            let since = self.cx.clock.now();
            self.health.change_driver(&self.name, |health| {
                health.state = PartState::Restarting;
                health.since = since;
                health.restarts = restarts;
                health.last_error = Some(reason);
            });
            tokio::select! {
                biased;
                () = self.cx.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(RESTART_AFTER_MAX);
        }
    }
}

/// Waits until every task has ended, and says so if they do not end in time.
pub(crate) async fn drain(what: &str, tracker: &TaskTracker, limit: Duration) {
    if tokio::time::timeout(limit, tracker.wait()).await.is_err() {
        tracing::warn!(what, remaining = tracker.len(), "did not end in time");
    }
}
