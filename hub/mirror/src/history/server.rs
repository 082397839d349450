//! The server that history is asked of: what it can be asked, whatever it speaks.

#[cfg(feature = "influx")]
use super::flux::{self, Flux};
use super::victoria::{self, Victoria};
use crate::settings::MirrorConfig;
use model::{DeviceId, MetricShape, Timestamp};
use std::ops::Range;
use std::time::Duration;
use store::{Agg, Point};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// One question; a server that takes longer is taken to be down.
const QUESTION_DEADLINE: Duration = Duration::from_secs(10);

/// A server that is asked for history.
#[derive(Clone, Debug)]
pub enum ServerSetup {
    Victoria(victoria::Setup),
    #[cfg(feature = "influx")]
    Flux(Box<flux::Setup>),
}

#[derive(Debug)]
pub(super) enum Server {
    Victoria(Victoria),
    #[cfg(feature = "influx")]
    Flux(Box<Flux>),
}

/// Connections to the server, for the questions of one answer.
pub(super) enum Link<'a> {
    Victoria(Box<victoria::Link<'a>>),
    #[cfg(feature = "influx")]
    Flux(flux::Link<'a>),
}

/// The series that is asked for.
#[derive(Copy, Clone, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) device: &'a DeviceId,
    pub(super) metric: &'a str,
    pub(super) shape: MetricShape,
}

/// Values of a series as they are on the server: all of them up to a moment.
#[derive(Debug, PartialEq)]
pub(super) struct Raw {
    pub(super) points: Vec<Point>,
    /// There are no others before this moment.
    pub(super) until_ms: i64,
}

/// What the server itself made of whole buckets, by the bucket's start.
pub(super) type Made = Vec<(Timestamp, Vec<Point>)>;

impl ServerSetup {
    /// The server of a mirror that is asked in Flux.
    #[cfg(feature = "influx")]
    pub fn influxdb(name: &str, config: &MirrorConfig, _: &TaskTracker) -> Result<Self, String> {
        let setup = flux::Setup::new(name, config)?;
        Ok(Self::Flux(Box::new(setup)))
    }

    /// Says that this build has no client for it.
    #[cfg(not(feature = "influx"))]
    pub fn influxdb(_: &str, _: &MirrorConfig, _: &TaskTracker) -> Result<Self, String> {
        Err("this build has no `influx` feature".to_owned())
    }

    /// The server of a mirror that is asked in `MetricsQL`.
    pub fn victoriametrics(
        name: &str,
        config: &MirrorConfig,
        tasks: &TaskTracker,
    ) -> Result<Self, String> {
        let setup = victoria::Setup::new(name, config, tasks)?;
        Ok(Self::Victoria(setup))
    }
}

impl Server {
    pub(super) fn new(setup: ServerSetup) -> Self {
        match setup {
            ServerSetup::Victoria(setup) => Self::Victoria(Victoria::new(setup)),
            #[cfg(feature = "influx")]
            ServerSetup::Flux(setup) => Self::Flux(Box::new(Flux::new(*setup))),
        }
    }

    /// Gives the name of the mirror.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Victoria(server) => server.name(),
            #[cfg(feature = "influx")]
            Self::Flux(server) => server.name(),
        }
    }

    pub(super) fn link(&self) -> Link<'_> {
        match self {
            Self::Victoria(server) => Link::Victoria(Box::new(server.link())),
            #[cfg(feature = "influx")]
            Self::Flux(server) => Link::Flux(server.link()),
        }
    }
}

impl Link<'_> {
    /// Reads values from the beginning of a span, at least one more step of it each time, and about `wanted` of
    /// them if there are so many.
    pub(super) async fn raw(
        &mut self,
        series: Wanted<'_>,
        span: Range<i64>,
        wanted: usize,
        give_up_at: Instant,
    ) -> Result<Raw, String> {
        let asked = async {
            match self {
                Self::Victoria(link) => link.raw(series, span, wanted).await,
                #[cfg(feature = "influx")]
                Self::Flux(link) => link.raw(series, span, wanted).await,
            }
        };
        within(give_up_at, asked).await
    }

    /// Tells whether the server makes buckets of this kind by the rules of ours.
    pub(super) fn makes(&self, agg: Agg, step_ms: i64) -> bool {
        match self {
            Self::Victoria(_) => victoria::makes(agg, step_ms),
            #[cfg(feature = "influx")]
            Self::Flux(_) => flux::makes(agg),
        }
    }

    /// Lets the server make the buckets of a span that begins and ends with one, of good values alone.
    pub(super) async fn made(
        &mut self,
        series: Wanted<'_>,
        span: Range<i64>,
        (agg, step_ms): (Agg, i64),
        give_up_at: Instant,
    ) -> Result<Made, String> {
        let asked = async {
            match self {
                Self::Victoria(link) => link.made(series, span, agg, step_ms).await,
                #[cfg(feature = "influx")]
                Self::Flux(link) => link.made(series, span, agg, step_ms).await,
            }
        };
        within(give_up_at, asked).await
    }

    /// Gives the times of all values of a span that are not plainly good; `None` if they are too many to be told.
    pub(super) async fn marked(
        &mut self,
        series: Wanted<'_>,
        span: Range<i64>,
        give_up_at: Instant,
    ) -> Result<Option<Vec<i64>>, String> {
        let asked = async {
            match self {
                Self::Victoria(link) => link.marked(series, span).await,
                #[cfg(feature = "influx")]
                Self::Flux(link) => link.marked(series, span).await,
            }
        };
        within(give_up_at, asked).await
    }
}

async fn within<T>(
    give_up_at: Instant,
    asked: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let deadline = give_up_at.min(Instant::now() + QUESTION_DEADLINE);
    match tokio::time::timeout_at(deadline, asked).await {
        Ok(answer) => answer,
        Err(_) => Err("no answer in time".to_owned()),
    }
}
