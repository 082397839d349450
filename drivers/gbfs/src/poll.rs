//! The loop of one operator: feed after feed when it is due, no sooner than the operator wants.

use crate::feed::{self, FeedError};
use crate::sheet::{Book, Metrics, Sheet};
use crate::survey::survey;
use crate::zones::Zones;
use crate::{Config, Settings};
use bytes::Bytes;
use dial::{Client, Question, Target};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use model::Reason;
use sdk::{Context, Refusal};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// Doublings of the period until the longest pause is reached whatever it is.
const DOUBLINGS_MAX: u32 = 16;

/// The feeds that are of use here, in the order in which they are asked at the beginning: zones before
/// the vehicles that stand in them.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Discovery,
    Zones,
    Stations,
    Vehicles,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        match name {
            "geofencing_zones" => Some(Self::Zones),
            "station_status" => Some(Self::Stations),
            // Before 3.0 the second.
            "vehicle_status" | "free_bike_status" => Some(Self::Vehicles),
            _ => None,
        }
    }
}

/// One feed, and how it was last.
#[derive(Debug)]
struct Source {
    url: String,
    client: Client,
    /// By which the server knows what we have (RFC 9110 13.1).
    known: HeaderMap,
    /// The register of devices for which that was taken; others may want it, too.
    register: u64,
    ttl_s: u64,
    due: Instant,
    failures: u32,
    polls: u32,
}

/// Why a poll brought nothing.
#[derive(Debug)]
struct Trouble {
    reason: Reason,
    detail: String,
    /// The operator wants not to be asked for so long.
    after: Option<Duration>,
    is_ours: bool,
}

impl Trouble {
    fn new(reason: impl Into<Reason>, detail: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            detail: detail.into(),
            after: None,
            is_ours: false,
        }
    }
}

impl From<FeedError> for Trouble {
    fn from(error: FeedError) -> Self {
        Self::new(error.reason(), error.to_string())
    }
}

impl From<sdk::IngestError> for Trouble {
    fn from(error: sdk::IngestError) -> Self {
        Self {
            is_ours: true,
            ..Self::new("hub_busy", error.to_string())
        }
    }
}

/// Whoever publishes the feeds.
#[derive(Debug)]
pub(crate) struct Operator {
    cx: Context,
    settings: Settings,
    metrics: Metrics,
    book: Book,
    sources: BTreeMap<Kind, Source>,
    zones: Arc<Zones>,
    tasks: TaskTracker,
}

impl Operator {
    pub(crate) fn new(
        config: &Config,
        settings: Settings,
        (metrics, cx): (Metrics, Context),
    ) -> Result<Self, String> {
        let mut operator = Self {
            cx,
            settings,
            metrics,
            book: Book::default(),
            sources: BTreeMap::new(),
            zones: Arc::default(),
            tasks: TaskTracker::new(),
        };
        let discovery = operator.source(&config.url)?;
        operator.sources.insert(Kind::Discovery, discovery);
        Ok(operator)
    }

    fn source(&self, url: &str) -> Result<Source, String> {
        let settings = &self.settings;
        let target = Target::parse(url)?;
        if !settings.hosts.iter().any(|host| host == target.host()) {
            return Err(format!("`{}` is not among `hosts`", target.host()));
        }
        if settings.is_tls && !target.is_tls {
            return Err("a feed without TLS of an operator with it".to_owned());
        }
        let tls = settings.tls.clone().filter(|_| target.is_tls);
        let limits = (settings.timeout, settings.body_bytes_max);
        Ok(Source {
            url: url.to_owned(),
            client: Client::new(target, tls, self.tasks.clone(), limits),
            known: HeaderMap::new(),
            register: 0,
            ttl_s: 0,
            due: Instant::now(),
            failures: 0,
            polls: 0,
        })
    }

    /// Asks for this feed of stations alone, over this pipe.
    #[cfg(test)]
    pub(crate) async fn only_stations(&mut self, url: &str, stream: tokio::io::DuplexStream) {
        let mut source = self.source(url).expect("the address is one");
        source.client.adopt(stream).await.expect("the pipe is open");
        self.sources = BTreeMap::from([(Kind::Stations, source)]);
    }

    /// Polls until the stop.
    pub(crate) async fn run(mut self) {
        let stop = self.cx.stop.clone();
        loop {
            let next = self
                .sources
                .iter()
                .map(|(kind, source)| (source.due, *kind))
                .min();
            let Some((due, kind)) = next else {
                return;
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(due) => {}
            }
            // What was fetched is committed before the stop is looked at again.
            self.poll(kind).await;
        }
        self.tasks.close();
    }

    async fn poll(&mut self, kind: Kind) {
        let polled = self.ask(kind).await;
        let settings = &self.settings;
        let Some(source) = self.sources.get_mut(&kind) else {
            return;
        };
        source.polls = source.polls.wrapping_add(1);
        let period = Duration::from_secs(source.ttl_s);
        let period = period.clamp(settings.period_min, settings.period_max);
        let pause = match polled {
            Ok(()) => {
                source.failures = 0;
                period
            }
            Err(trouble) => {
                source.failures = source.failures.saturating_add(1);
                // Once more at the usual time; a hub that is busy has one poll less.
                let doublings = source.failures - u32::from(!trouble.is_ours);
                let doubled = period.saturating_mul(1 << doublings.min(DOUBLINGS_MAX));
                let pause = doubled.min(settings.backoff_max).max(period);
                let (reason, detail, url) = (&trouble.reason, &trouble.detail, &source.url);
                tracing::debug!(%reason, detail, url, driver = self.cx.name, "a feed is not taken");
                if source.failures == 1 {
                    tracing::warn!(%reason, detail, url, driver = self.cx.name, "a feed fails");
                }
                self.cx.ingest.refuse(Refusal {
                    reason: trouble.reason,
                    claimed: None,
                    peer: source.url.clone(),
                    message: true,
                });
                pause.max(trouble.after.unwrap_or_default())
            }
        };
        // A tenth of spread, half before and half after.
        let spread = pause / 10;
        let jitter = spread.mul_f64(sdk::spread(kind as u32, source.polls));
        source.due = Instant::now() + pause - spread / 2 + jitter;
    }

    /// Fetches one feed and takes what it says. The next time it is asked only for what is new, once all
    /// of this is on disk.
    async fn ask(&mut self, kind: Kind) -> Result<(), Trouble> {
        let register = self.cx.devices.version();
        let Some((bytes, known)) = self.fetch(kind).await? else {
            return Ok(());
        };
        let ttl_s = match kind {
            Kind::Discovery => self.take_discovery(&bytes)?,
            Kind::Zones => self.take_zones(bytes).await?,
            Kind::Stations => self.take_stations(&bytes).await?,
            Kind::Vehicles => self.take_vehicles(bytes).await?,
        };
        if let Some(source) = self.sources.get_mut(&kind) {
            source.ttl_s = ttl_s;
            source.known = known;
            source.register = register;
        }
        Ok(())
    }

    async fn fetch(&mut self, kind: Kind) -> Result<Option<(Bytes, HeaderMap)>, Trouble> {
        let Some(source) = self.sources.get_mut(&kind) else {
            return Ok(None);
        };
        let is_same_register = source.register == self.cx.devices.version();
        let mut fields = match is_same_register {
            true => source.known.clone(),
            false => HeaderMap::new(),
        };
        fields.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        fields.insert(header::USER_AGENT, HeaderValue::from_static("cityhub"));
        if let Some(authorization) = &self.settings.authorization {
            fields.insert(header::AUTHORIZATION, authorization.clone());
        }
        let question = Question {
            method: Method::GET,
            fields,
            body: Bytes::new(),
        };
        let answer = tokio::select! {
            biased;
            () = self.cx.stop.cancelled() => return Ok(None),
            answer = source.client.send(&question) => answer,
        };
        let answer = answer.map_err(|error| Trouble::new("unreachable", error))?;
        match answer.status {
            StatusCode::NOT_MODIFIED => return Ok(None),
            StatusCode::OK => {}
            status => {
                let text = |name| {
                    answer
                        .fields
                        .get(name)
                        .and_then(|value| value.to_str().ok())
                };
                let seconds = text(header::RETRY_AFTER).and_then(|text| text.trim().parse().ok());
                let detail = format!("answered {status}");
                return Err(Trouble {
                    after: seconds
                        .map(|s: u64| Duration::from_secs(s).min(self.settings.backoff_max)),
                    ..Trouble::new(format!("http_{}", status.as_u16()), detail)
                });
            }
        }
        let mut known = HeaderMap::new();
        let pairs: [(HeaderName, HeaderName); 2] = [
            (header::ETAG, header::IF_NONE_MATCH),
            (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE),
        ];
        for (said, asked) in pairs {
            if let Some(value) = answer.fields.get(said) {
                known.insert(asked, value.clone());
            }
        }
        match answer.body {
            Ok(bytes) => Ok(Some((bytes, known))),
            Err(error) if error.contains("length limit") => {
                Err(Trouble::new("body_too_large", error))
            }
            Err(error) => Err(Trouble::new("link_closed", error)),
        }
    }

    /// Counts items that were wrong.
    fn count_bad(&self, bad: &[FeedError], kind: Kind) {
        let url = self
            .sources
            .get(&kind)
            .map_or("", |source| source.url.as_str());
        for error in bad {
            tracing::debug!(%error, url, driver = self.cx.name, "an item is not taken");
            self.cx.ingest.refuse(Refusal {
                reason: error.reason().into(),
                claimed: None,
                peer: url.to_owned(),
                message: true,
            });
        }
    }

    fn take_discovery(&mut self, bytes: &[u8]) -> Result<u64, Trouble> {
        let feed = feed::discovery(bytes, &self.settings.language)?;
        let mut wanted = BTreeMap::new();
        for (name, url) in feed.data {
            if let Some(kind) = Kind::of(&name) {
                wanted.insert(kind, url);
            }
        }
        self.sources.retain(|kind, source| {
            *kind == Kind::Discovery || wanted.get(kind).is_some_and(|url| *url == source.url)
        });
        let mut wrong = None;
        for (kind, url) in wanted {
            if self.sources.contains_key(&kind) {
                continue;
            }
            match self.source(&url) {
                Ok(source) => {
                    self.sources.insert(kind, source);
                }
                Err(why) => wrong = Some(Trouble::new("feed_url", format!("{url}: {why}"))),
            }
        }
        wrong.map_or(Ok(feed.ttl_s), Err)
    }

    async fn take_zones(&mut self, bytes: Bytes) -> Result<u64, Trouble> {
        let language = self.settings.language.clone();
        let read = tokio::task::spawn_blocking(move || Zones::read(&bytes, &language));
        let feed = read.await.map_err(gone)??;
        self.count_bad(&feed.data.bad, Kind::Zones);
        if let Some(path) = self.settings.zones_file.clone() {
            let text = feed.data.forbidden().to_string();
            let written = tokio::task::spawn_blocking(move || {
                let beside = path.with_extension("part");
                std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &path))
            });
            if let Err(error) = written.await.map_err(gone)? {
                tracing::warn!(%error, driver = self.cx.name, "the zones cannot be written");
            }
        }
        self.zones = Arc::new(feed.data);
        // The vehicles are held against them at once.
        if let Some(vehicles) = self.sources.get_mut(&Kind::Vehicles) {
            vehicles.known = HeaderMap::new();
        }
        Ok(feed.ttl_s)
    }

    async fn take_stations(&mut self, bytes: &[u8]) -> Result<u64, Trouble> {
        let feed = feed::stations(bytes)?;
        self.count_bad(&feed.data.bad, Kind::Stations);
        let system = self.settings.system.clone();
        let mut sheet = Sheet::new(&self.cx, &self.metrics, &mut self.book, &system);
        sheet.stations(&feed.data.good, feed.last_updated);
        sheet.commit().await?;
        Ok(feed.ttl_s)
    }

    async fn take_vehicles(&mut self, bytes: Bytes) -> Result<u64, Trouble> {
        let zones = Arc::clone(&self.zones);
        let read = tokio::task::spawn_blocking(move || survey(&bytes, &zones));
        let feed = read.await.map_err(gone)??;
        self.count_bad(&feed.data.bad, Kind::Vehicles);
        let system = self.settings.system.clone();
        let mut sheet = Sheet::new(&self.cx, &self.metrics, &mut self.book, &system);
        sheet.survey(&feed, self.settings.has_stable_ids);
        sheet.commit().await?;
        Ok(feed.ttl_s)
    }
}

fn gone(error: tokio::task::JoinError) -> Trouble {
    Trouble {
        is_ours: true,
        ..Trouble::new("hub_busy", error.to_string())
    }
}
