//! The real way: loopback listeners, the store's reader, the writer's verdict, a tail of the feed.

use super::{Chirp, Course, Door, Gate, Stage, link};
use crate::standing;
use crate::writer::{CANARY, CANARY_METRIC, Verdict};
use model::{Catalogue, DeviceKey, MetricKey, Observation, Quality, Value};
use sdk::{
    Action, Command, CommandError, DeviceEntry, Devices, FeedError, Ingest, Operator, Part,
    SecretHash, Submission, SubscriptionVerb, Tail,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use store::Reader;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use web::{Health, SinkState};

/// What the intake is called among the drivers that a test came through.
const INTAKE: &str = "intake";

/// Events that the tail reads at once.
const EVENTS_AT_ONCE: usize = 1_000;

/// The hub itself.
#[derive(Debug)]
pub(crate) struct Way {
    devices: Devices,
    reader: Reader,
    operator: Operator,
    health: Health,
    verdict: watch::Receiver<Verdict>,
    heard: watch::Receiver<Heard>,
    metric: Option<MetricKey>,
    secret: String,
    /// Set where no driver of the configuration speaks what the sensor speaks.
    intake: Option<Ingest>,
}

/// How far the tail has come.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The last event of the feed that it read.
    event: u64,
    /// The last event of the canary that it read.
    canary: u64,
}

/// A tail of the feed like those of subscribers.
#[derive(Debug)]
pub(crate) struct Follower {
    tail: Tail,
    reader: Reader,
    heard: watch::Sender<Heard>,
}

impl Way {
    /// `secret` is of this start alone: it is in no file.
    pub(crate) fn new(
        (devices, catalogue): (Devices, &Catalogue),
        (reader, tail): (Reader, Tail),
        (operator, verdict): (Operator, watch::Receiver<Verdict>),
        health: Health,
        (secret, intake): (String, Option<Ingest>),
    ) -> (Self, Follower) {
        let event = tail.mark.borrow().event;
        let (heard, receiver) = watch::channel(Heard { event, canary: 0 });
        let follower = Follower {
            tail,
            reader: reader.clone(),
            heard,
        };
        let way = Self {
            metric: catalogue.find(CANARY_METRIC),
            devices,
            reader,
            operator,
            health,
            verdict,
            heard: receiver,
            secret,
            intake,
        };
        (way, follower)
    }

    /// Lets the sensor sign in with the secret of this start. Nothing of it is kept on disk, so the
    /// writer, which changes the register otherwise, has no part in it.
    fn admit(&self) -> Result<Arc<DeviceEntry>, String> {
        let entry = self.devices.find(CANARY);
        let entry = entry.ok_or_else(|| "the test sensor is not registered".to_owned())?;
        let secret = Some(SecretHash::of(self.devices.salt(), &self.secret));
        if entry.secret != secret {
            let entry = DeviceEntry {
                secret,
                ..entry.as_ref().clone()
            };
            self.devices.put([entry]);
        }
        Ok(entry)
    }

    /// Hands the reading in as a driver does.
    async fn submit(&self, device: DeviceKey, chirp: Chirp) -> Result<(), String> {
        let ingest = self.intake.as_ref().ok_or("there is no intake")?;
        let observation = Observation {
            metric: self.metric.ok_or("the metric is not in the table")?,
            value: Value::number(chirp.value).ok_or("the value is no number")?,
            observed_at: Some(chirp.at),
            quality: Quality::GOOD,
        };
        let part = Part {
            device,
            received: 1,
            observations: vec![observation],
            rejected: Vec::new(),
        };
        let submission = Submission {
            parts: vec![part],
            quarantined: Vec::new(),
        };
        let committed = ingest.commit(submission).await;
        committed.map(drop).map_err(|error| error.to_string())
    }

    fn is_stored(&self, chirp: Chirp) -> Result<bool, String> {
        let entry = self.devices.find(CANARY);
        let key = entry
            .ok_or_else(|| "the test sensor is not registered".to_owned())?
            .key;
        let latest = self.reader.latest(key);
        Ok(latest.iter().any(|reading| {
            Some(reading.series.metric) == self.metric
                && reading.observed_at == chirp.at
                && reading.value == Value::Number(chirp.value)
        }))
    }

    fn is_judged(&self, chirp: Chirp) -> bool {
        let verdict = *self.verdict.borrow();
        let at = if chirp.value > 0.5 {
            verdict.raised_at
        } else {
            verdict.cleared_at
        };
        at == Some(chirp.at)
    }

    /// Gives the delivery that is furthest behind of those that are not paused, and the event up
    /// to which it has come.
    fn last_sink(&self) -> Option<(String, u64)> {
        let sinks = self.health.sinks().into_iter();
        let running = sinks.filter(|(_, sink)| sink.state != SinkState::Paused);
        running
            .map(|(name, sink)| (name, sink.cursor))
            .min_by_key(|(_, cursor)| *cursor)
    }

    async fn is_told(&self) -> Result<Option<store::CanaryEvent>, String> {
        let reader = self.reader.clone();
        let read = tokio::task::spawn_blocking(move || reader.canary()).await;
        let event = read.map_err(|error| error.to_string())?;
        let number = self.verdict.borrow().number;
        let event = event.map_err(|error| error.to_string())?;
        Ok(event.filter(|event| event.number >= number))
    }
}

/// Tells whether a `[drivers.NAME]` table has a listener to which the sensor can speak.
pub(crate) fn is_gate(driver: &config::Value) -> bool {
    let table = driver.clone().into_table().unwrap_or_default();
    let kind = table
        .get("kind")
        .and_then(|kind| kind.clone().into_string().ok());
    let speaks = matches!(kind.as_deref(), Some("mqtt" | "http")) && table.contains_key("listen");
    // `tls` stands beside `listen` where that port speaks nothing else.
    speaks && !table.contains_key("tls")
}

/// Gives the address under which the hub itself reaches a listener.
fn loopback(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl Course for Way {
    fn gates(&self) -> Vec<Gate> {
        if self.intake.is_some() {
            return vec![Gate {
                driver: INTAKE.to_owned(),
                door: Door::Intake,
            }];
        }
        let drivers = self.health.drivers().into_iter();
        let gates = drivers.filter_map(|(driver, health)| {
            let listen = health.addresses.get("listen")?;
            let address = listen.parse().ok().map(loopback)?;
            let door = match health.kind.as_str() {
                "http" => Door::Http(address),
                "mqtt" => Door::Mqtt(address),
                _ => return None,
            };
            Some(Gate { driver, door })
        });
        gates.collect()
    }

    async fn send(&self, gate: &Gate, chirp: Chirp) -> Result<(), String> {
        let entry = self.admit()?;
        let values = BTreeMap::from([(CANARY_METRIC, chirp.value)]);
        let message = json!({ "ts": chirp.at.millis(), "values": values });
        match gate.door {
            Door::Http(address) => {
                let url = link::Url::of(address, &format!("/devices/{CANARY}/telemetry"));
                link::post(&url, Some(&self.secret), &message).await
            }
            Door::Mqtt(address) => {
                let topic = format!("devices/{CANARY}/telemetry");
                let payload = message.to_string();
                let identity = (CANARY, self.secret.as_str());
                link::publish(address, identity, (&topic, payload.as_bytes())).await
            }
            Door::Intake => self.submit(entry.key, chirp).await,
        }
    }

    async fn is_writing(&self) -> Result<(), String> {
        // Nobody may take this name: the answer is a refusal, but it is the writer's.
        let action = Action::Subscription {
            name: CANARY.to_owned(),
            verb: SubscriptionVerb::Pause,
        };
        let actor = standing::actor();
        match self.operator.commit(Command { actor, action }).await {
            Ok(_) | Err(CommandError::NotFound(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn has_passed(&self, stage: Stage, chirp: Chirp) -> Result<bool, String> {
        match stage {
            Stage::Protocol => Ok(true),
            Stage::Store => self.is_stored(chirp),
            Stage::Rule => Ok(self.is_judged(chirp)),
            Stage::Event => Ok(self.is_told().await?.is_some()),
            Stage::Subscriber => {
                let heard = *self.heard.borrow();
                let told = self.is_told().await?;
                // Each delivery counts, but one that people stopped: it waits for them.
                let sink = self.last_sink().map(|(_, event)| event);
                Ok(told.is_some_and(|told| {
                    let at = sink.unwrap_or(told.after).min(heard.event);
                    heard.canary >= told.number && at >= told.after
                }))
            }
        }
    }

    fn waits_for(&self, stage: Stage) -> Option<String> {
        let event = self.heard.borrow().event;
        let (name, at) = self.last_sink().filter(|(_, at)| *at < event)?;
        let is_it = stage == Stage::Subscriber;
        is_it.then(|| format!("delivery `{name}` has come to event {at}, the feed is at {event}"))
    }
}

impl Follower {
    /// Reads on whenever the journal has grown, until told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let grown = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                grown = self.tail.mark.changed() => grown,
            };
            if grown.is_err() {
                return;
            }
            if let Err(error) = self.read().await {
                tracing::warn!(error, "the canary's tail could not read the feed");
            }
        }
    }

    async fn read(&self) -> Result<(), String> {
        let (feed, reader) = (Arc::clone(&self.tail.feed), self.reader.clone());
        let (mut heard, newest) = (*self.heard.borrow(), self.tail.mark.borrow().event);
        let read = move || {
            // The canary's event first: what stands before it is then read as well.
            let canary = reader.canary().map_err(|error| error.to_string())?;
            while heard.event < newest {
                match feed.events(heard.event, EVENTS_AT_ONCE) {
                    Ok(events) => match events.last() {
                        Some(event) => heard.event = event.seq,
                        None => break,
                    },
                    Err(FeedError::Expired { oldest }) => heard.event = oldest.saturating_sub(1),
                    Err(error) => return Err(error.to_string()),
                }
            }
            heard.canary = canary.map_or(0, |event| event.number);
            Ok(heard)
        };
        let heard = tokio::task::spawn_blocking(read).await;
        self.heard
            .send_replace(heard.map_err(|error| error.to_string())??);
        Ok(())
    }
}
