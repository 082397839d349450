//! How a device reaches the hub: what all links share.

mod asked;
mod bikelock;
mod coap;
mod frame;
mod gb26875;
mod gb28181;
mod gbfs;
mod hj212;
mod http;
mod jt808;
mod modbus;
mod mqtt;
mod pressure;
mod router;
mod rtsp;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use http::HttpLink;
#[cfg(test)]
pub(crate) use mqtt::{MqttLink, MqttSetup};
pub(crate) use router::Router;

use crate::fleet::{Device, Fleet};
use crate::plan::Message;
use crate::random::Random;
use crate::tally::{Outcome, Tally};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Messages that a device keeps while it cannot send; more are skipped, as in the field.
pub(crate) const QUEUE_MESSAGES: usize = 256;
/// Connections in the middle of their first exchange; more would only fill the accept queue.
const CONNECTING_MAX: usize = 64;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The first pause between two tries, and the longest.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// What all links share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) fleet: Fleet,
    pub(crate) tally: Tally,
    connecting: Semaphore,
    /// Set once when no more messages come: until then unanswered ones may be waited for.
    drain_by: OnceLock<Instant>,
    /// Ends links that have outlived the drain.
    pub(crate) cut_off: CancellationToken,
}

impl Shared {
    pub(crate) fn new(fleet: Fleet, tally: Tally) -> Self {
        let connecting = Semaphore::new(CONNECTING_MAX);
        Self {
            fleet,
            tally,
            connecting,
            drain_by: OnceLock::new(),
            cut_off: CancellationToken::new(),
        }
    }

    /// Tells the links that no more messages come; the senders must be dropped after this.
    pub(crate) fn drain(&self, by: Instant) {
        // A second call changes nothing: the first deadline holds.
        self.drain_by.get_or_init(|| by);
    }

    fn device(&self, index: usize) -> Option<&Device> {
        self.fleet.devices.get(index)
    }

    fn out_of_time(&self) -> bool {
        self.drain_by.get().is_some_and(|by| Instant::now() >= *by)
    }

    /// Sleeps, but not past the end of the drain.
    async fn sleep_until(&self, until: Instant) {
        let until = self.drain_by.get().map_or(until, |by| until.min(*by));
        tokio::time::sleep_until(until).await;
    }

    async fn pause(&self, pause: Duration) {
        self.sleep_until(Instant::now() + pause).await;
    }

    /// Books the end of a message.
    fn settle(&self, message: &Message, outcome: Outcome) {
        let line = || message.log_line(&self.device(message.device)?.id);
        self.tally.settle(outcome, line);
    }

    fn settle_acked(&self, message: &Message, sent: Instant) {
        let latency = Instant::now().duration_since(sent).as_micros();
        let latency_us = u64::try_from(latency).unwrap_or(u64::MAX);
        self.settle(
            message,
            Outcome::Acked {
                values: message.values(),
                latency_us,
            },
        );
    }
}

/// Pauses that double, with jitter, so that a fleet does not come back in one wave.
#[derive(Debug)]
pub(crate) struct Backoff {
    random: Random,
    next: Duration,
}

impl Backoff {
    fn new(random: Random) -> Self {
        Self {
            random,
            next: BACKOFF_FIRST,
        }
    }

    /// Gives the next pause: between half and all of the current step.
    fn step(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(BACKOFF_MAX);
        step.mul_f64(self.random.between(0.5, 1.0))
    }

    fn reset(&mut self) {
        self.next = BACKOFF_FIRST;
    }
}
