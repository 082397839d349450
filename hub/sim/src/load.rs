//! A closed-loop load generator for benches: many MQTT connections that keep a window full.
//!
//! Its frames are written from templates, so that a message costs well under a microsecond and
//! the figures are those of the server.

mod connection;
mod frames;
#[cfg(test)]
mod tests;

use crate::histogram::Histogram;
use crate::mqtt::Version;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// How many connections may be in the middle of CONNECT at once; more would only fill the
/// server's accept queue.
const CONNECTING_MAX: usize = 32;

/// One metric of the load and the range its values move in.
#[derive(Clone, Debug)]
pub struct LoadMetric {
    pub name: String,
    pub low: f64,
    pub high: f64,
    /// Digits after the point. All values of a metric have the same width, so `low` and `high`
    /// need the same number of digits before the point.
    pub decimals: usize,
}

impl LoadMetric {
    pub fn new(name: &str, low: f64, high: f64, decimals: usize) -> Self {
        Self {
            name: name.to_owned(),
            low,
            high,
            decimals,
        }
    }
}

/// How a connection introduces itself.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// Neither user name nor password, for a bare broker.
    #[default]
    None,
    /// User name = device id, password = this prefix followed by the device id.
    Device { secret_prefix: String },
}

/// What to send, where, and for how long.
#[derive(Clone, Debug)]
pub struct LoadArgs {
    pub addr: SocketAddr,
    pub connections: usize,
    /// Messages without an answer that a connection may have, at most 65,535.
    pub window: u16,
    pub seconds: f64,
    /// 1: a connection is one device. More: it is a gateway that publishes for so many children.
    pub devices_per_connection: usize,
    /// Device ids are this prefix and a number of five digits.
    pub device_prefix: String,
    /// `{device}` stands for the device id.
    pub topic: String,
    pub version: Version,
    pub credentials: Credentials,
    /// Every message carries a value of each.
    pub metrics: Vec<LoadMetric>,
    /// Messages a second in all; `None` is as fast as the answers come.
    pub rate: Option<f64>,
    /// Device time of the first message in milliseconds since the epoch; `None` is now. Device
    /// time grows by at least 1 ms a message, so above 1,000 messages a second a device's clock
    /// runs ahead of the wall clock: start it in the past, or use several devices a connection.
    pub start_ms: Option<i64>,
}

impl Default for LoadArgs {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 1883)),
            connections: 50,
            window: 100,
            seconds: 10.0,
            devices_per_connection: 1,
            device_prefix: "load-".to_owned(),
            topic: "devices/{device}/telemetry".to_owned(),
            version: Version::V311,
            credentials: Credentials::None,
            metrics: vec![
                LoadMetric::new("pressure_kpa", 280.0, 320.0, 1),
                LoadMetric::new("temperature_c", 15.0, 25.0, 1),
            ],
            rate: None,
            start_ms: None,
        }
    }
}

/// A device of the load, as it has to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadDevice {
    pub id: String,
    /// The gateway that publishes for this device.
    pub parent: Option<String>,
    pub secret: Option<String>,
}

impl LoadArgs {
    /// Names the device that a connection signs in as.
    pub fn device_id(&self, connection: usize) -> String {
        format!("{}{connection:05}", self.device_prefix)
    }

    /// Tells the password of a device, if it has one.
    pub fn secret(&self, device: &str) -> Option<String> {
        match &self.credentials {
            Credentials::None => None,
            Credentials::Device { secret_prefix } => Some(format!("{secret_prefix}{device}")),
        }
    }

    /// Names the devices that a connection publishes for.
    pub fn publishing_ids(&self, connection: usize) -> Vec<String> {
        let own = self.device_id(connection);
        if self.devices_per_connection <= 1 {
            return vec![own];
        }
        (0..self.devices_per_connection)
            .map(|child| format!("{own}-{child:04}"))
            .collect()
    }

    /// Lists every device that the load needs, gateways before their children.
    pub fn devices(&self) -> Vec<LoadDevice> {
        let mut devices = Vec::new();
        for connection in 0..self.connections {
            let own = self.device_id(connection);
            devices.push(LoadDevice {
                secret: self.secret(&own),
                id: own.clone(),
                parent: None,
            });
            if self.devices_per_connection > 1 {
                devices.extend(
                    self.publishing_ids(connection)
                        .into_iter()
                        .map(|id| LoadDevice {
                            secret: self.secret(&id),
                            id,
                            parent: Some(own.clone()),
                        }),
                );
            }
        }
        devices
    }

    fn check(&self) -> Result<(), LoadError> {
        let fault = if self.connections == 0 {
            "connections must be at least 1"
        } else if self.window == 0 {
            "window must be at least 1"
        } else if self.metrics.is_empty() {
            "metrics must not be empty"
        } else if !(self.seconds.is_finite() && self.seconds > 0.0) {
            "seconds must be above 0"
        } else if self
            .rate
            .is_some_and(|rate| !rate.is_finite() || rate <= 0.0)
        {
            "rate must be above 0"
        } else {
            return Ok(());
        };
        Err(LoadError::Usage(fault.to_owned()))
    }
}

/// What a run has measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LoadReport {
    pub connections: usize,
    /// Messages acknowledged with success.
    pub messages: u64,
    /// Values in those messages.
    pub readings: u64,
    /// Messages that the server refused by a reason code.
    pub refused: u64,
    /// Messages sent and never answered.
    pub unanswered: u64,
    /// Connections that ended before the run did.
    pub connections_lost: u64,
    /// Bytes written, frames included.
    pub bytes: u64,
    /// From the first message to the last answer.
    pub seconds: f64,
    pub acks_per_s: f64,
    pub readings_per_s: f64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
}

/// A load that could not run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{0}")]
    Usage(String),
    #[error("connection {connection} to {addr}: {reason}")]
    Connect {
        connection: usize,
        addr: SocketAddr,
        reason: String,
    },
}

/// What one connection has counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) acked: u64,
    pub(crate) refused: u64,
    pub(crate) unanswered: u64,
    pub(crate) bytes: u64,
    pub(crate) lost: bool,
    pub(crate) last_ack_us: u64,
    pub(crate) latency: Histogram,
}

/// Connects everything, runs the load, waits for the last answers and reports.
///
/// An answer's latency counts from the write of its message; a paced message that had to wait
/// (for room in the window or in the socket) counts from the moment it was due.
pub async fn run(args: LoadArgs) -> Result<LoadReport, LoadError> {
    args.check()?;
    let args = Arc::new(args);
    let tables = Arc::new(frames::value_tables(&args.metrics)?);
    let tracker = TaskTracker::new();
    let permits = Arc::new(Semaphore::new(CONNECTING_MAX));
    let mut opening = Vec::with_capacity(args.connections);
    for index in 0..args.connections {
        let (args, permits) = (Arc::clone(&args), Arc::clone(&permits));
        opening.push(tracker.spawn(async move {
            let _permit = permits.acquire_owned().await;
            connection::open(&args, index).await
        }));
    }
    let mut open = Vec::with_capacity(args.connections);
    for (connection, task) in opening.into_iter().enumerate() {
        let stream = task
            .await
            .map_err(|error| error.to_string())
            .and_then(|opened| opened)
            .map_err(|reason| LoadError::Connect {
                connection,
                addr: args.addr,
                reason,
            })?;
        open.push(stream);
    }
    let started = Instant::now();
    let until = started + Duration::from_secs_f64(args.seconds);
    let start_ms = args.start_ms.unwrap_or_else(crate::clock::wall_ms);
    let mut running = Vec::with_capacity(open.len());
    for (index, stream) in open.into_iter().enumerate() {
        let frames = frames::Frames::new(&args, index, Arc::clone(&tables), start_ms);
        let pace = args
            .rate
            .map(|rate| connection::Pace::new(rate, args.connections, index));
        let work = connection::Work {
            stream,
            frames,
            pace,
            window: args.window,
            started,
            until,
        };
        running.push(tracker.spawn(work.run()));
    }
    tracker.close();
    let mut tallies = Vec::with_capacity(running.len());
    for task in running {
        tallies.push(task.await.unwrap_or_else(|_| Tally {
            lost: true,
            ..Tally::default()
        }));
    }
    Ok(report(&args, &tallies))
}

fn report(args: &LoadArgs, tallies: &[Tally]) -> LoadReport {
    let mut latency = Histogram::default();
    let mut report = LoadReport {
        connections: tallies.len(),
        ..LoadReport::default()
    };
    let mut last_ack_us = 0;
    for tally in tallies {
        latency.merge(&tally.latency);
        report.messages += tally.acked;
        report.refused += tally.refused;
        report.unanswered += tally.unanswered;
        report.bytes += tally.bytes;
        report.connections_lost += u64::from(tally.lost);
        last_ack_us = last_ack_us.max(tally.last_ack_us);
    }
    report.readings = report.messages * args.metrics.len() as u64;
    report.seconds = (last_ack_us as f64 / 1e6).max(1e-6);
    report.acks_per_s = report.messages as f64 / report.seconds;
    report.readings_per_s = report.readings as f64 / report.seconds;
    report.p50_us = latency.quantile_us(500);
    report.p99_us = latency.quantile_us(990);
    report.p999_us = latency.quantile_us(999);
    report.max_us = latency.max_us();
    report
}
