//! The canary: a test sensor of the hub's own that goes the whole way of a reading once a minute.
//!
//! As a device it sends 1 and then 0 to every plain MQTT and HTTP listener, or to the intake behind the
//! drivers where the configuration has no such listener; the reading must be stored, the rule `~canary` must raise and clear, its event must be in the feed, and a tail of
//! the feed must have seen it. What does not happen in time is named: the stage, and the driver.

mod course;
mod link;
#[cfg(test)]
mod tests;

pub(crate) use course::{Way, is_gate};
use model::Timestamp;
use sdk::Clock;
use serde_json::json;
use sinks::Caller;
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use web::{CanaryHealth, Health};

/// How long one test may take in all. With a test a minute, a break is known within 80 s.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the writer may take to say that it works, when a listener was given no answer.
const WRITER_PATIENCE: Duration = Duration::from_secs(3);

/// How long is waited before a stage is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long the webhook may take.
pub(crate) const WEBHOOK_PATIENCE: Duration = Duration::from_secs(5);

/// What a reading goes through, in this order.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// A listener took the message and said thank you.
    Protocol,
    /// The journal took it, and a reader finds it.
    Store,
    /// The rule came to the right verdict.
    Rule,
    /// The event of it is on disk.
    Event,
    /// A tail of the feed saw it, and everything before it; so did each delivery.
    Subscriber,
}

impl Stage {
    pub(crate) const AFTER_PROTOCOL: [Self; 4] =
        [Self::Store, Self::Rule, Self::Event, Self::Subscriber];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Store => "store",
            Self::Rule => "rule",
            Self::Event => "event",
            Self::Subscriber => "subscriber",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the test sensor comes in.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Http(std::net::SocketAddr),
    Mqtt(std::net::SocketAddr),
    /// Behind the drivers, where none of them speaks a protocol that the sensor speaks.
    Intake,
}

/// What takes telemetry: a driver instance, or the intake itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) driver: String,
    pub(crate) door: Door,
}

/// What the test sensor says, and when.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) struct Chirp {
    pub(crate) at: Timestamp,
    pub(crate) value: f64,
}

/// What the canary touches of the hub; each can be broken alone.
pub(crate) trait Course: Send + Sync {
    /// Names the listeners that can be tested now.
    fn gates(&self) -> Vec<Gate>;

    /// Sends as a device does, and waits for the acknowledgement.
    fn send(&self, gate: &Gate, chirp: Chirp) -> impl Future<Output = Result<(), String>> + Send;

    /// Asks the writer for a sign of life; gives why there is none.
    fn is_writing(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Tells whether the chirp has come through a stage.
    fn has_passed(
        &self,
        stage: Stage,
        chirp: Chirp,
    ) -> impl Future<Output = Result<bool, String>> + Send;

    /// Tells what a stage waits for, where more is known than that it waits.
    fn waits_for(&self, stage: Stage) -> Option<String>;
}

/// Where a test ended that did not come through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Break {
    pub(crate) stage: Stage,
    pub(crate) driver: Option<String>,
    pub(crate) reason: String,
}

/// What is to be run, and how its outcome is told.
#[derive(Debug)]
pub(crate) struct Canary<C> {
    pub(crate) course: C,
    pub(crate) clock: Clock,
    pub(crate) every: Duration,
    pub(crate) webhook: Option<Caller>,
    pub(crate) health: Health,
    /// City code and name, for whoever gets the webhook.
    pub(crate) city: serde_json::Value,
}

/// What is remembered from one test to the next.
#[derive(Debug, Default)]
struct Memory {
    last: Timestamp,
    /// The rule may still be raised by a test that broke.
    is_unsettled: bool,
    broken: Option<Break>,
    since: Option<Timestamp>,
    /// What the webhook was told last: nothing, or that it is broken at this stage.
    told: Option<Stage>,
}

impl<C: Course> Canary<C> {
    /// Tests once each period, and when somebody wants it, until told to stop; the first time after
    /// one period.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut memory = Memory {
            is_unsettled: true,
            ..Memory::default()
        };
        let mut next = Instant::now() + self.every;
        self.health
            .put_canary(CanaryHealth::new(self.every, self.clock.now()));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(next) => {}
                () = self.health.canary_wanted() => {}
            }
            next = (next + self.every).max(Instant::now());
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.round(&mut memory) => {}
            }
        }
    }

    async fn round(&self, memory: &mut Memory) {
        let started = Instant::now();
        let outcome = self.test(memory, started + PATIENCE).await;
        memory.is_unsettled = outcome.is_err();
        let now = self.clock.now();
        let took = started.elapsed();
        self.tell_log(memory, &outcome, now);
        let since = memory.since;
        self.health.change_canary(|canary| match &outcome {
            Ok(gates) => canary.pass(now, took, gates),
            Err(broken) => {
                let driver = broken.driver.clone();
                let since = since.unwrap_or(now);
                canary.fail(since, (broken.stage.name(), driver), broken.reason.clone());
            }
        });
        memory.broken = outcome.err();
        self.tell_webhook(memory, now).await;
    }

    /// Goes the whole way through each listener; gives those that it went through.
    async fn test(&self, memory: &mut Memory, until: Instant) -> Result<Vec<String>, Break> {
        let gates = self.course.gates();
        let Some(first) = gates.first() else {
            return Err(Break {
                stage: Stage::Protocol,
                driver: None,
                reason: "no plain MQTT or HTTP listener is open".to_owned(),
            });
        };
        if memory.is_unsettled {
            // Whatever was left raised is cleared first, so that the next 1 raises.
            self.send(memory, first, 0.0, until).await?;
        }
        for gate in &gates {
            for value in [1.0, 0.0] {
                let chirp = self.send(memory, gate, value, until).await?;
                for stage in Stage::AFTER_PROTOCOL {
                    self.wait(stage, gate, chirp, until).await?;
                }
            }
        }
        Ok(gates.into_iter().map(|gate| gate.driver).collect())
    }

    async fn send(
        &self,
        memory: &mut Memory,
        gate: &Gate,
        value: f64,
        until: Instant,
    ) -> Result<Chirp, Break> {
        // Two readings of one instant would be one.
        memory.last = self.clock.now().max(memory.last.plus_ms(1));
        let at = memory.last;
        let chirp = Chirp { at, value };
        let sent = timeout_at(until, self.course.send(gate, chirp)).await;
        let reason = match sent {
            Ok(Ok(())) => return Ok(chirp),
            Ok(Err(reason)) => reason,
            Err(_) => "no acknowledgement in time".to_owned(),
        };
        // A listener acknowledges nothing that is not on disk: if nothing is written, that broke.
        let written = tokio::time::timeout(WRITER_PATIENCE, self.course.is_writing()).await;
        let (stage, reason) = match written {
            Ok(Ok(())) => (Stage::Protocol, reason),
            Ok(Err(why)) => (Stage::Store, format!("{why} ({reason})")),
            Err(_) => (
                Stage::Store,
                format!("the writer does not answer ({reason})"),
            ),
        };
        Err(Break {
            stage,
            driver: Some(gate.driver.clone()),
            reason,
        })
    }

    async fn wait(
        &self,
        stage: Stage,
        gate: &Gate,
        chirp: Chirp,
        until: Instant,
    ) -> Result<(), Break> {
        let passed = async {
            loop {
                if self.course.has_passed(stage, chirp).await? {
                    return Ok::<(), String>(());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let reason = match timeout_at(until, passed).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(reason)) => reason,
            Err(_) => self
                .course
                .waits_for(stage)
                .unwrap_or_else(|| format!("nothing of the reading of {} in time", chirp.at)),
        };
        Err(Break {
            stage,
            driver: Some(gate.driver.clone()),
            reason,
        })
    }

    /// Says so when it breaks, breaks elsewhere, or is whole again.
    fn tell_log(&self, memory: &mut Memory, outcome: &Result<Vec<String>, Break>, now: Timestamp) {
        let before = memory.broken.as_ref().map(|broken| broken.stage);
        match outcome {
            Ok(_) => {
                if before.is_some() {
                    tracing::info!("the canary came through again");
                }
                memory.since = None;
            }
            Err(broken) => {
                memory.since.get_or_insert(now);
                if before != Some(broken.stage) {
                    tracing::error!(
                        stage = broken.stage.name(),
                        driver = broken.driver.as_deref().unwrap_or_default(),
                        reason = broken.reason,
                        "the canary did not come through"
                    );
                }
            }
        }
    }

    /// Posts what is not known there yet, directly: nothing of the journal is needed for it.
    async fn tell_webhook(&self, memory: &mut Memory, now: Timestamp) {
        let stage = memory.broken.as_ref().map(|broken| broken.stage);
        let Some(webhook) = self.webhook.as_ref().filter(|_| memory.told != stage) else {
            return;
        };
        let kind = match stage {
            Some(_) => "cityhub.canary.failed",
            None => "cityhub.canary.recovered",
        };
        let body = json!({
            "type": kind,
            "time": now,
            "city": self.city,
            "stage": stage.map(Stage::name),
            "driver": memory.broken.as_ref().and_then(|broken| broken.driver.clone()),
            "reason": memory.broken.as_ref().map(|broken| broken.reason.clone()),
            "since": memory.since,
        });
        let failed = webhook.post(&body).await.err();
        if failed.is_none() {
            memory.told = stage;
        }
        if let Some(reason) = &failed {
            tracing::warn!(
                reason,
                "the canary's webhook was not reached; it is tried again"
            );
        }
        self.health
            .change_canary(|canary| canary.webhook_error = failed);
    }
}
