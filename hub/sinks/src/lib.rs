//! Carries events to those who subscribed: to webhooks, and to MQTT brokers of others.
//!
//! A sink only delivers. Who reads the journal, keeps the cursor, waits and tries again is the
//! hub's delivery loop, and it is the same for every sink.

mod caller;
mod filter;
mod mqtt;
mod secret;
mod subscription;
mod tls;
mod webhook;

pub use caller::Caller;
pub use filter::{Filter, Known};
pub use mqtt::{Mqtt, MqttConfig};
pub use secret::{MASK, Secret, keep_masked, mask};
pub use subscription::{Start, Subscription};
pub use webhook::{Webhook, WebhookConfig};

use model::Event;
use schemars::JsonSchema;
use sdk::{Clock, Tracer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// All that a sink gets.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// The name of the subscription.
    pub name: String,
    /// The administrative division of the city: the place of an event without a grid cell.
    pub city_code: String,
    /// For the time in a signature, and for nothing else.
    pub clock: Clock,
    /// Connections run on it; they end when the sink is dropped.
    pub tasks: TaskTracker,
    /// Records the way of events that came of a recorded message.
    pub tracer: Tracer,
}

/// What is wrong with a subscription.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

impl SinkError {
    pub(crate) fn key(key: &str, reason: impl std::fmt::Display) -> Self {
        Self(format!("`{key}`: {reason}"))
    }
}

/// Why events were not delivered: the two things that the loop does differently.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The same events come again, for ever, and not before `after` if the subscriber asked so.
    #[error("{reason}")]
    Retry {
        reason: String,
        after: Option<Duration>,
    },
    /// The subscriber will never take this: it is set aside where people see it.
    #[error("{reason}")]
    Refused { reason: String },
}

impl DeliveryError {
    pub(crate) fn retry(reason: impl Into<String>) -> Self {
        Self::Retry {
            reason: reason.into(),
            after: None,
        }
    }
}

/// One way to deliver.
pub trait Sink: Sized + Send + 'static {
    /// The value of `kind` in the configuration.
    const NAME: &'static str;
    type Config: Serialize + DeserializeOwned + JsonSchema + Send + 'static;

    /// Checks the configuration; whether anybody listens is found out by delivering.
    fn check(config: &Self::Config) -> Result<(), SinkError>;

    fn open(config: Self::Config, cx: SinkContext) -> Result<Self, SinkError>;

    /// Tells how many of these events, one at least, are delivered in one go.
    fn share(&self, events: &[Event]) -> usize;

    /// Delivers in order. `Ok` means that the subscriber has them all; after an `Err` the same
    /// events come again.
    fn deliver(
        &mut self,
        events: &[Event],
    ) -> impl Future<Output = Result<(), DeliveryError>> + Send;
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A sink that is open, of whatever kind.
pub trait Outlet: Send {
    /// As [`Sink::share`].
    fn share(&self, events: &[Event]) -> usize;

    /// As [`Sink::deliver`].
    fn deliver<'a>(&'a mut self, events: &'a [Event]) -> BoxFuture<'a, Result<(), DeliveryError>>;
}

impl<S: Sink> Outlet for S {
    fn share(&self, events: &[Event]) -> usize {
        Sink::share(self, events)
    }

    fn deliver<'a>(&'a mut self, events: &'a [Event]) -> BoxFuture<'a, Result<(), DeliveryError>> {
        Box::pin(Sink::deliver(self, events))
    }
}

/// A sink type, erased once.
#[derive(Copy, Clone, Debug)]
pub struct Registration {
    pub kind: &'static str,
    pub schema: fn() -> schemars::Schema,
    pub(crate) check: fn(Value) -> Result<(), SinkError>,
    pub(crate) read: fn(config::Value) -> Result<Value, SinkError>,
    pub(crate) open: fn(Value, SinkContext) -> Result<Box<dyn Outlet>, SinkError>,
}

impl Registration {
    const fn of<S: Sink>() -> Self {
        Self {
            kind: S::NAME,
            schema: || schemars::schema_for!(S::Config),
            check: |own| S::check(&parse::<S>(own)?),
            read: read::<S>,
            open: |own, cx| Ok(Box::new(S::open(parse::<S>(own)?, cx)?)),
        }
    }
}

fn parse<S: Sink>(own: Value) -> Result<S::Config, SinkError> {
    serde_json::from_value(own).map_err(|error| SinkError(error.to_string()))
}

/// Reads the layers of the configuration, in which a number may be a text of the environment.
fn read<S: Sink>(own: config::Value) -> Result<Value, SinkError> {
    let config: S::Config = own
        .try_deserialize()
        .map_err(|error| SinkError(error.to_string()))?;
    S::check(&config)?;
    serde_json::to_value(config).map_err(|error| SinkError(error.to_string()))
}

/// The sinks, by the `kind` of their subscription.
pub const ALL: &[Registration] = &[Registration::of::<Mqtt>(), Registration::of::<Webhook>()];
