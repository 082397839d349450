//! Start, supervise, stop, in order.

mod front;
mod handed_over;
mod self_test;
mod supervise;

use crate::certificates::Keeper;
use crate::codes::{Codes, CodesInForce};
use crate::config::{Config, Loaded};
use crate::delivery::Deliveries;
use crate::feed::JournalFeed;
use crate::log::Log;
use crate::reload::{self, Reloader};
use crate::rulebook::{self, Rulebook};
use crate::shifts::Shifts;
use crate::telemetry::Telemetry;
use crate::writer::{self, CaseSetup, Setup, Times, Writer};
use crate::{codes, desk, drivers, grid::Grids, inventory, long_term, notify, standing};
use access::{AccessFile, Accounts, Asks, Trail};
use anyhow::{Context as _, Result};
use model::{Catalogue, Timestamp};
use sdk::{
    Access, Addresses, Clock, Context, Downlink, DriverKey, Feed, Ingest, Intake, Operator,
    Profiles, Refusals, Request, Running, Tail, Tracer,
};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::StoreError;
use tls::Certificates;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use web::{DeskSetup, Health, ReloadError, Reloads, Setting};

/// Connections of people and platforms at once.
const PEERS_MAX: usize = 1_024;

/// Drivers answer what is in flight.
const DRIVERS_STOP: Duration = Duration::from_secs(10);
/// Deliveries end what they have in hand and store their cursors.
const DELIVERIES_STOP: Duration = Duration::from_secs(4);
/// Streams end and requests are answered.
const WEB_STOP: Duration = Duration::from_secs(5);
/// The writer commits what is queued and closes the journal.
const WRITER_STOP: Duration = Duration::from_secs(8);

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// Asked to stop, and stopped in order.
    Stopped,
    /// The journal failed: what is on disk is only known after a restart.
    JournalFailed(StoreError),
}

/// What the configuration names besides itself: tables, grids, rules.
#[derive(Debug)]
pub struct Standing {
    pub catalogue: Catalogue,
    pub grids: Grids,
    pub codes: Codes,
    pub rules: Rulebook,
    pub desk: DeskSetup,
}

/// Reads every file that the configuration names, but for the devices.
pub fn read_standing(loaded: &Loaded) -> Result<Standing> {
    let config = &loaded.config;
    let mut catalogue = Catalogue::built_in();
    for driver in config.drivers.values() {
        let registration = drivers::find(driver).map_err(anyhow::Error::msg)?;
        catalogue
            .extend(&(registration.metrics)())
            .with_context(|| format!("metrics of `{}`", registration.kind))?;
    }
    if let Some(path) = &config.metrics {
        let text = std::fs::read_to_string(path)
            .map_err(|error| loaded.error("metrics", format!("{}: {error}", path.display())))?;
        catalogue
            .extend(&text)
            .with_context(|| path.display().to_string())?;
    }
    for name in config.store.retention.metrics.keys() {
        if catalogue.find(name).is_none() {
            let key = format!("store.retention.metrics.{name}");
            return Err(loaded.error(&key, "there is no such metric").into());
        }
    }
    for name in config.store.retention.kinds.keys() {
        if !catalogue.has_kind(name) {
            let key = format!("store.retention.kinds.{name}");
            return Err(loaded
                .error(&key, "there is no such kind of devices")
                .into());
        }
    }
    let grids = match &config.city.grid {
        Some(path) => {
            Grids::read(path).map_err(|error| loaded.error("city.grid", format!("{error:#}")))?
        }
        None => Grids::default(),
    };
    let codes = codes::read(loaded)?;
    let rules = rulebook::of(loaded, &catalogue)?;
    let desk = desk::read(loaded)?;
    Ok(Standing {
        catalogue,
        grids,
        codes,
        rules,
        desk,
    })
}

/// Everything that is open, before it serves; the writer runs already.
struct Parts {
    reader: store::Reader,
    long_term: Option<Arc<dyn web::LongTerm>>,
    published: writer::Published,
    catalogue: Arc<Catalogue>,
    codes: CodesInForce,
    desk: Arc<DeskSetup>,
    /// Keys of the configured drivers, and the names of all that ever were.
    driver_keys: BTreeMap<String, DriverKey>,
    driver_names: Vec<String>,
    requests: mpsc::Sender<Request>,
    refusals: Refusals,
    access: Access,
    addresses: Addresses,
    accounts: Accounts,
    tail: Tail,
    /// Where connected devices take orders.
    downlink: Downlink,
    clock: Clock,
    certificates: Certificates,
    health: Health,
    setting: Setting,
    tracer: Tracer,
    stop: CancellationToken,
}

/// Runs the hub until `asked_to_stop` resolves or the journal fails.
pub async fn run(loaded: Loaded, log: Log, asked_to_stop: impl Future<Output = ()>) -> Result<End> {
    loaded.warn_if_exposed();
    let standing = read_standing(&loaded)?;
    let rules = standing.rules.clone();
    // A hub that is down guards nobody, so here it is no more than a warning; `check` refuses it.
    for unknown in rules.unknown_categories(&standing.codes) {
        tracing::warn!(error = %unknown, "cases of this rule will be unroutable");
    }
    // From here on, so that a SIGHUP during the start does not end the process.
    let hangups = reload::hangups()?;
    let telemetry = Telemetry::open(&loaded.config.telemetry)?;
    let (parts, asks, mut writer) = open(&loaded, standing, telemetry.tracer())?;
    let trail = parts.access_trail(asks);
    let (entrance, address) = front::open(&loaded, &parts).await?;
    parts.health.put_address("http", &address.to_string());
    parts.health.watch_queue(&parts.requests);
    parts.health.figures().add(move |page| log.show(page));
    let (health, stop) = (parts.health.clone(), parts.stop.clone());
    let drivers_stop = stop.child_token();

    let running = tokio::select! {
        biased;
        failed = writer.wait() => return Ok(End::JournalFailed(failed)),
        started = parts.start(&loaded, (rules, &trail), &drivers_stop) => match started {
            // The writer is gone: that is what failed, not who asked it.
            Err(_) if parts.requests.is_closed() => return Ok(End::JournalFailed(writer.wait().await)),
            started => started?,
        },
    };
    announce_ready(address, &running)?;
    let drivers = TaskTracker::new();
    for (unit, open) in running {
        drivers.spawn(unit.run(open));
    }
    drivers.close();
    let (reloads, asked) = Reloads::open();
    let tasks = TaskTracker::new();
    tasks.spawn(parts.reloader(&loaded).serve(asked, hangups, stop.clone()));
    tasks.spawn(trail.follow(stop.clone()));
    let certificates = loaded.config.certificates.clone();
    tasks.spawn(parts.keeper().watch(certificates, stop.clone()));
    parts.spawn_canary(&loaded.config, &tasks, &drivers_stop)?;
    let rounds = parts.published.rounds.subscribe();
    tasks.spawn(notify::keep_alive(rounds, stop.clone()));
    telemetry.spawn(&parts.health, &parts.clock, &tasks, &stop);
    tasks.close();
    let (deliveries, deliveries_stop) = (TaskTracker::new(), CancellationToken::new());
    deliveries.spawn(parts.deliveries(&loaded).run(deliveries_stop.clone()));
    #[cfg(feature = "influx")]
    deliveries.spawn(parts.mirrors(&loaded).run(deliveries_stop.clone()));
    deliveries.close();
    let router = web::router(parts.into_web(&loaded.config, reloads));
    let serving = TaskTracker::new().spawn(door::serve(entrance, router, PEERS_MAX, stop.clone()));
    health.set_ready(true);
    notify::tell(notify::READY);
    tokio::select! {
        biased;
        failed = writer.wait() => return Ok(End::JournalFailed(failed)),
        () = asked_to_stop => {}
    }
    health.set_ready(false);
    notify::tell(notify::STOPPING);
    tracing::info!("stopping");
    drivers_stop.cancel();
    supervise::drain("drivers", &drivers, DRIVERS_STOP).await;
    deliveries_stop.cancel();
    supervise::drain("deliveries", &deliveries, DELIVERIES_STOP).await;
    stop.cancel();
    stop_web(serving).await;
    supervise::drain("the reload of rules and tokens", &tasks, WEB_STOP).await;
    writer.stop().await
}

impl Parts {
    /// Brings the configuration into force and binds every driver.
    async fn start(
        &self,
        loaded: &Loaded,
        (rules, trail): (Rulebook, &Trail),
        drivers_stop: &CancellationToken,
    ) -> Result<Vec<(supervise::Unit, Running)>> {
        let profiles = Profiles::new(loaded.config.profiles.clone());
        self.published.devices.know(&profiles);
        self.bring_into_force(loaded, rules).await?;
        trail.note_configured().await?;
        trail.take_over().await?;
        let mut running = Vec::new();
        for (name, value) in &loaded.config.drivers {
            let key = self
                .driver_keys
                .get(name)
                .copied()
                .context("every driver was numbered")?;
            let cx = Context {
                name: name.clone(),
                ingest: self.ingest(key),
                operator: Operator::new(self.requests.clone()),
                devices: self.published.devices.clone(),
                catalogue: Arc::clone(&self.catalogue),
                access: self.access.clone(),
                addresses: self.addresses.clone(),
                tail: self.tail.clone(),
                downlink: self.downlink.clone(),
                profiles: profiles.clone(),
                clock: self.clock.clone(),
                certificates: self.certificates.clone(),
                city_code: loaded.config.city.code.clone(),
                stop: drivers_stop.clone(),
            };
            let unit = supervise::Unit::new(name, value, cx, self.health.clone())?;
            let opened = unit.open().await;
            running
                .push(opened.map_err(|error| {
                    loaded.error(&format!("drivers.{name}"), error.to_string())
                })?);
        }
        Ok(running)
    }

    fn ingest(&self, key: DriverKey) -> Ingest {
        Ingest::new(key, self.requests.clone(), self.refusals.clone())
            .with_quotas(self.published.quotas.clone())
            .with_tracer(self.tracer.clone())
    }

    async fn bring_into_force(&self, loaded: &Loaded, rules: Rulebook) -> Result<()> {
        let operator = Operator::new(self.requests.clone());
        let devices = &self.published.devices;
        if let Some(path) = &loaded.config.devices {
            let named = |error: anyhow::Error| loaded.error("devices", format!("{error:#}"));
            for file in inventory::files(path).map_err(named)? {
                let rows = inventory::read(&file, &self.catalogue, devices).map_err(named)?;
                standing::put_devices(&operator, devices.salt(), rows).await?;
            }
        }
        let sinks = standing::subscriptions(&loaded.config.sinks)?;
        standing::put_subscriptions(&operator, standing::actor(), sinks)
            .await
            .context("bring the sinks into force")?;
        let rules = (rules, &self.published.rules);
        standing::put_rules(&operator, &self.reader, standing::actor(), rules)
            .await
            .map_err(|error| match error {
                ReloadError::Rule(error) => anyhow::Error::new(error),
                error => anyhow::anyhow!("bring the rules into force: {error}"),
            })
            .map(drop)
    }

    fn access_trail(&self, asks: Asks) -> Trail {
        let operator = Operator::new(self.requests.clone());
        let feed = Arc::clone(&self.tail.feed);
        Trail::new(
            (self.accounts.clone(), asks),
            operator,
            feed,
            self.clock.clone(),
        )
    }

    fn deliveries(&self, loaded: &Loaded) -> Deliveries {
        Deliveries {
            subscribers: self.published.subscribers.clone(),
            reader: self.reader.clone(),
            mark: self.tail.mark.clone(),
            operator: Operator::new(self.requests.clone()),
            health: self.health.clone(),
            clock: self.clock.clone(),
            city_code: loaded.config.city.code.clone(),
            tracer: self.tracer.clone(),
        }
    }

    #[cfg(feature = "influx")]
    fn mirrors(&self, loaded: &Loaded) -> crate::mirrors::Mirrors {
        crate::mirrors::Mirrors {
            configs: loaded.config.store.mirror.clone(),
            data_dir: loaded.config.data_dir.clone(),
            reader: self.reader.clone(),
            operator: Operator::new(self.requests.clone()),
            health: self.health.clone(),
            clock: self.clock.clone(),
        }
    }

    fn reloader(&self, loaded: &Loaded) -> Reloader {
        Reloader {
            loaded: loaded.clone(),
            catalogue: Arc::clone(&self.catalogue),
            operator: Operator::new(self.requests.clone()),
            reader: self.reader.clone(),
            in_force: self.published.rules.clone(),
            codes: self.codes.clone(),
            keeper: self.keeper(),
        }
    }

    fn keeper(&self) -> Keeper {
        Keeper {
            certificates: self.certificates.clone(),
            operator: Operator::new(self.requests.clone()),
            clock: self.clock.clone(),
        }
    }
}

/// The writer's task. Its end before it was asked to stop is a failure of the journal.
struct WriterTask {
    handle: JoinHandle<Result<(), StoreError>>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the writer's handle is awaited by name, in `wait` and `stop`"
)]
fn spawn_writer(writer: Writer, intake: Intake) -> WriterTask {
    WriterTask {
        handle: tokio::spawn(writer.run(intake)),
    }
}

impl WriterTask {
    /// Waits for the writer to fail.
    async fn wait(&mut self) -> StoreError {
        match (&mut self.handle).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => StoreError::Broken("the writer ended by itself".to_owned()),
            Err(panic) => StoreError::Broken(format!("the writer: {panic}")),
        }
    }

    async fn stop(mut self) -> Result<End> {
        match tokio::time::timeout(WRITER_STOP, &mut self.handle).await {
            Ok(Ok(Ok(()))) => Ok(End::Stopped),
            Ok(Ok(Err(error))) => Ok(End::JournalFailed(error)),
            Ok(Err(panic)) => Ok(End::JournalFailed(StoreError::Broken(panic.to_string()))),
            Err(_) => anyhow::bail!("the writer did not finish within {WRITER_STOP:?}"),
        }
    }
}

fn open(loaded: &Loaded, standing: Standing, tracer: Tracer) -> Result<(Parts, Asks, WriterTask)> {
    let config = &loaded.config;
    let clock = Clock::System;
    let health = Health::new(env!("CARGO_PKG_VERSION"), clock.now());
    let (requests, intake) = Intake::open();
    let codes = CodesInForce::new(standing.codes);
    let options = loaded.store_options();
    let (readings_d, events_d) = (options.retention_days, options.events_retention_days);
    let setting = Setting::new(loaded.text(), readings_d, events_d);
    let opened = writer::open(
        &config.data_dir,
        Setup {
            options,
            catalogue: standing.catalogue,
            grids: standing.grids,
            clock: clock.clone(),
            times: times(config)?,
            zone: config.rule_settings().zone,
            cases: CaseSetup {
                codes: codes.clone(),
                city_code: config.city.code.clone(),
                camera_distance_m: config.cases.camera_distance_m,
            },
            shifts: Shifts::read(config).map_err(|(key, reason)| loaded.error(&key, reason))?,
            approval: config.approval,
            missed_max: config.health.missed_max,
            disk_warning: config.store.disk.thresholds(),
            refusals: intake.refusals.clone(),
            limits: config.limits.clone(),
            health: health.clone(),
            canary: config.canary.enabled,
            mirrors: crate::mirrors::held_cursors(config),
            tracer: tracer.clone(),
            drivers: config.drivers.keys().cloned().collect(),
        },
    )?;
    let (access, accounts, asks) = open_access(config)?;
    let feed: Arc<dyn Feed> = Arc::new(JournalFeed(opened.reader.clone()));
    let parts = Parts {
        downlink: Downlink::default(),
        tail: Tail {
            feed,
            mark: opened.mark,
            urgent: opened.urgent,
        },
        long_term: long_term::open(loaded, &opened.reader, &health)?,
        reader: opened.reader,
        published: opened.published,
        catalogue: opened.catalogue,
        codes,
        desk: Arc::new(standing.desk),
        driver_keys: opened.drivers,
        driver_names: opened.driver_names,
        requests,
        refusals: intake.refusals.clone(),
        access,
        addresses: loaded.addresses()?,
        accounts,
        health,
        setting,
        clock,
        certificates: Certificates::default(),
        tracer,
        stop: CancellationToken::new(),
    };
    Ok((parts, asks, spawn_writer(opened.writer, intake)))
}

/// Says which times of devices are believed.
fn times(config: &Config) -> Result<Times> {
    Ok(Times {
        lateness_s: config.intake.lateness_s,
        oldest: Timestamp::parse(&config.intake.oldest).context("intake.oldest")?,
        ahead_max_s: config.intake.ahead_max_s,
    })
}

/// Reads who may sign in, and says how to begin when that is nobody.
fn open_access(config: &Config) -> Result<(Access, Accounts, Asks)> {
    let settings = config.session.settings();
    let file = AccessFile::new(&config.data_dir, config.auth.hashes(), &settings);
    let access = file.access()?;
    let (accounts, asks) = Accounts::open(file, settings)?;
    if access.is_empty() && accounts.is_empty() {
        let hint = format!(
            "nobody can sign in yet; make the first user beside the running hub:\n    \
             cityhub admin user add NAME --role admin --data-dir {}",
            config.data_dir.display()
        );
        writeln!(std::io::stderr(), "{hint}").context("write the hint to stderr")?;
    }
    Ok((access, accounts, asks))
}

/// Prints the one line that tells that every listener is bound, and where.
fn announce_ready(http: SocketAddr, running: &[(supervise::Unit, Running)]) -> Result<()> {
    let mut line = format!("ready http={http}");
    for (unit, open) in running {
        for (listener, address) in &open.addresses {
            line.push_str(&format!(" {}.{listener}={address}", unit.name()));
        }
    }
    writeln!(std::io::stderr(), "{line}").context("write the ready line")
}

async fn stop_web(serving: JoinHandle<()>) {
    let abort = serving.abort_handle();
    if tokio::time::timeout(WEB_STOP, serving).await.is_err() {
        tracing::warn!("some requests were cut off");
        abort.abort();
    }
}
