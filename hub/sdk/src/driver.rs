//! What a driver is: a configuration, `open`, `run`.

use crate::{Access, Addresses, Clock, Devices, Downlink, Ingest, Operator, Profiles, Tail};
use model::Catalogue;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use tls::Certificates;
use tokio_util::sync::CancellationToken;

/// All that a driver gets.
#[derive(Clone, Debug)]
pub struct Context {
    /// The name of this instance in the configuration (`[drivers.NAME]`).
    pub name: String,
    pub ingest: Ingest,
    /// For what platforms report: steps of cases.
    pub operator: Operator,
    pub devices: Devices,
    pub catalogue: Arc<Catalogue>,
    pub access: Access,
    /// How much one address may ask of all listeners.
    pub addresses: Addresses,
    pub tail: Tail,
    /// Where orders for connected devices come from.
    pub downlink: Downlink,
    /// How the devices of one model write; a device names its own by [`model::Device::profile`].
    pub profiles: Profiles,
    /// For replies of protocols that ask for the time, and for times that count from the arrival.
    pub clock: Clock,
    /// Where listeners with TLS keep their certificates, which are read again while they listen.
    pub certificates: Certificates,
    pub stop: CancellationToken,
    /// The administrative division of the city (`[city].code`): where an event has no grid cell.
    pub city_code: String,
}

impl Context {
    /// For drivers that ask their devices: these speak as fast as the hub asks.
    #[must_use]
    pub fn unmetered(self) -> Self {
        Self {
            ingest: self.ingest.unmetered(),
            ..self
        }
    }
}

/// Why a driver could not open or had to end.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error("{0}")]
    Config(String),
    #[error("{what}: {source}")]
    Io {
        what: String,
        source: std::io::Error,
    },
    #[error("{0}")]
    Failed(String),
}

impl From<tls::TlsError> for DriverError {
    fn from(error: tls::TlsError) -> Self {
        Self::Config(error.to_string())
    }
}

/// Speaks one protocol.
pub trait Driver: Sized + Send + 'static {
    /// The value of `kind` in the configuration.
    const NAME: &'static str;
    type Config: DeserializeOwned + JsonSchema + Send + 'static;

    /// Binds or connects, so that a wrong address fails at start and tests can ask for the port.
    fn open(
        config: Self::Config,
        cx: Context,
    ) -> impl Future<Output = Result<Self, DriverError>> + Send;

    /// Rows of the metric table that this protocol alone needs, with a header.
    fn metrics() -> String {
        String::new()
    }

    /// Names the bound listeners and their real addresses, such as `listen` and `tls_listen`.
    fn addresses(&self) -> Vec<(&'static str, SocketAddr)>;

    /// Serves until `cx.stop`, then finishes what is in flight.
    fn run(self) -> impl Future<Output = Result<(), DriverError>> + Send;
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A driver that is bound and ready to run.
pub struct Running {
    pub addresses: Vec<(&'static str, SocketAddr)>,
    pub run: BoxFuture<Result<(), DriverError>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// A driver type, erased once.
#[derive(Copy, Clone, Debug)]
pub struct Registration {
    pub kind: &'static str,
    pub check: fn(config::Value) -> Result<(), DriverError>,
    pub open: fn(config::Value, Context) -> BoxFuture<Result<Running, DriverError>>,
    pub schema: fn() -> schemars::Schema,
    pub metrics: fn() -> String,
}

impl Registration {
    pub const fn of<D: Driver>() -> Self {
        Self {
            kind: D::NAME,
            check: check::<D>,
            open: open::<D>,
            schema: schema::<D>,
            metrics: D::metrics,
        }
    }
}

fn parse<D: Driver>(value: config::Value) -> Result<D::Config, DriverError> {
    value
        .try_deserialize()
        .map_err(|error| DriverError::Config(error.to_string()))
}

fn check<D: Driver>(value: config::Value) -> Result<(), DriverError> {
    parse::<D>(value).map(drop)
}

fn open<D: Driver>(value: config::Value, cx: Context) -> BoxFuture<Result<Running, DriverError>> {
    Box::pin(async move {
        let driver = D::open(parse::<D>(value)?, cx).await?;
        Ok(Running {
            addresses: driver.addresses(),
            run: Box::pin(driver.run()),
        })
    })
}

fn schema<D: Driver>() -> schemars::Schema {
    schemars::schema_for!(D::Config)
}
