//! Asks cameras whether they are there: OPTIONS of RTSP, or a TCP connection; and hears those of a LAN.
//!
//! Which cameras stands in the register (`identities.rtsp`, `identities.onvif`). No picture is asked for
//! and no password is sent: 401 is a sign of life like any other answer.

mod discovery;
#[cfg(any(test, feature = "testkit"))]
pub mod fuzzed;
mod lan;
mod plan;
mod probe;
mod roster;
mod rtsp;

pub use rtsp::read as read_answer;

use lan::Lan;
use plan::{Pace, Plan};
use probe::{Metrics, Prober};
use roster::{Member, Roster};
use sdk::{Context, Driver, DriverError};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The value of `kind` in the configuration.
const NAME: &str = "camera_probe";

/// As often as GB/T 28181 has its heartbeats.
const PERIOD_S: u64 = 60;
/// How long a camera may take to accept and to answer.
const TIMEOUT_MS: u64 = 5_000;
const RETRIES: u32 = 1;
const BACKOFF_MAX_S: u64 = 300;
/// Cameras that are asked at the same time.
const PROBES_MAX: usize = 64;

/// How long a change of the register may wait to be seen.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// `[drivers.NAME]` with `kind = "camera_probe"`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always `camera_probe`.
    pub kind: String,
    /// Seconds between two probes of a camera that has no `cadence_s`.
    #[serde(default = "period_s")]
    pub period_s: u64,
    /// Milliseconds that a camera may take to be reached and to answer.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// How often a probe that found nobody is tried again at once.
    #[serde(default = "retries")]
    pub retries: u32,
    /// Seconds at most between two probes of a camera that does not answer.
    #[serde(default = "backoff_max_s")]
    pub backoff_max_s: u64,
    /// Cameras that are asked at the same time.
    #[serde(default = "probes_max")]
    pub probes_max: usize,
    /// UDP address on which ONVIF cameras of the LAN are heard (WS-Discovery), such as `0.0.0.0:3702`;
    /// without one they are not.
    #[serde(default)]
    pub discovery_listen: Option<SocketAddr>,
}

fn period_s() -> u64 {
    PERIOD_S
}

fn timeout_ms() -> u64 {
    TIMEOUT_MS
}

fn retries() -> u32 {
    RETRIES
}

fn backoff_max_s() -> u64 {
    BACKOFF_MAX_S
}

fn probes_max() -> usize {
    PROBES_MAX
}

impl Config {
    fn pace(&self) -> Result<Pace, DriverError> {
        let positive = [self.period_s, self.timeout_ms, self.backoff_max_s];
        if positive.contains(&0) || self.probes_max == 0 {
            let text = "period_s, timeout_ms, backoff_max_s and probes_max must be above 0";
            return Err(DriverError::Config(text.to_owned()));
        }
        Ok(Pace {
            period: Duration::from_secs(self.period_s),
            backoff_max: Duration::from_secs(self.backoff_max_s),
        })
    }

    fn prober(&self, cx: &Context) -> Result<Prober, DriverError> {
        Ok(Prober {
            metrics: Metrics::of(&cx.catalogue).map_err(DriverError::Failed)?,
            cx: cx.clone().unmetered(),
            timeout: Duration::from_millis(self.timeout_ms),
            retries: self.retries,
        })
    }
}

/// Who asks.
#[derive(Debug)]
pub struct CameraProbe {
    prober: Prober,
    pace: Pace,
    probes_max: usize,
    lan: Option<Lan>,
}

impl Driver for CameraProbe {
    const NAME: &'static str = NAME;
    type Config = Config;

    /// A camera that cannot be reached is no mistake of the configuration.
    async fn open(config: Config, cx: Context) -> Result<Self, DriverError> {
        let (pace, prober) = (config.pace()?, config.prober(&cx)?);
        let lan = match config.discovery_listen {
            Some(listen) => Some(Lan::open(listen).await?),
            None => None,
        };
        Ok(Self {
            prober,
            pace,
            probes_max: config.probes_max,
            lan,
        })
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let lan = self.lan.iter();
        lan.map(|lan| ("discovery_listen", lan.address)).collect()
    }

    async fn run(self) -> Result<(), DriverError> {
        let (cx, metrics, period) = (
            self.prober.cx.clone(),
            self.prober.metrics,
            self.pace.period,
        );
        let hearing = async {
            if let Some(lan) = self.lan {
                lan.serve(cx, metrics, period).await;
            }
        };
        tokio::join!(
            keep_asking(self.prober, self.pace, self.probes_max),
            hearing
        );
        Ok(())
    }
}

/// Asks each camera when it is due, so many at the same time, until the stop.
async fn keep_asking(prober: Prober, pace: Pace, probes_max: usize) {
    let stop = prober.cx.stop.clone();
    let mut roster = Roster::new(prober.cx.devices.clone());
    let mut plan = Plan::new(pace);
    let mut asked: JoinSet<(Member, bool, Option<bool>)> = JoinSet::new();
    loop {
        let now = Instant::now();
        if let Some(members) = roster.changed() {
            plan.follow(members, now);
        }
        while asked.len() < probes_max
            && let Some((member, told)) = plan.take_due(now)
        {
            let prober = prober.clone();
            asked.spawn(async move {
                let Some(outcome) = prober.probe(&member.target).await else {
                    return (member, false, None);
                };
                let is_alive = outcome.is_ok();
                let told = prober.tell(&member, outcome, told).await;
                (member, is_alive, told)
            });
        }
        let look_again = now + LOOK_EVERY;
        let due = plan.due().filter(|_| asked.len() < probes_max);
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(done) = asked.join_next() => {
                // A task that panicked is asked no more until the register changes; none does.
                if let Ok((member, is_alive, told)) = done {
                    plan.settle(&member, (is_alive, told), Instant::now());
                }
            }
            () = tokio::time::sleep_until(due.map_or(look_again, |due| due.min(look_again))) => {}
        }
    }
    // What was found out is committed still.
    while asked.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests;
