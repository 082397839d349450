//! Opens the data directory and brings the writer to where the last commit left it.

use super::cases::{CaseDesk, CaseSetup};
use super::health::{Ward, is_own, own_rules};
use super::moved::Moved;
use super::rebuild::rebuild;
use super::refused::Book;
use super::storage::{Storage, Thresholds};
use super::traced::Ways;
use super::{Published, Recorded, Times, Writer, canary, subscribe};
use crate::config::{ApprovalConfig, LimitsConfig};
use crate::grid::Grids;
use crate::shifts::Shifts;
use anyhow::{Context, Result};
use model::{AlarmRow, AlarmState, Catalogue, DeviceHealth, DeviceKey, MetricDef, Timestamp};
use rules::{AlarmBook, Engine, RestoreError, Rule, RuleSpec, Settings, change_crc};
use sdk::{
    Clock, DeviceEntry, Devices, DriverKey, Mark, Quotas, Refusals, SecretHash, SecretSalt, Tracer,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, RwLock};
use store::{Journal, LogGroup, Reader, Recovered};
use tokio::sync::watch;
use web::{
    Handovers, Health, Knocks, MovedCases, Proposal, RuleEntry, RuleList, Statuses, Subscribers,
};

/// How long ago an alarm that is over may have been raised and still count for chatter and floods.
const ALARMS_COUNT_MS: i64 = 86_400_000;

/// What the writer needs beside the data directory.
#[derive(Debug)]
pub struct Setup {
    pub options: store::Options,
    pub catalogue: Catalogue,
    pub grids: Grids,
    pub clock: Clock,
    pub times: Times,
    /// The city's time zone, in which schedules are read.
    pub zone: rules::Zone,
    pub cases: CaseSetup,
    pub shifts: Shifts,
    /// Which changes of rules wait for a second person.
    pub approval: ApprovalConfig,
    /// Reports that a device may miss before it is offline.
    pub missed_max: u32,
    /// When the disk counts as getting full.
    pub disk_warning: Thresholds,
    pub refusals: Refusals,
    /// How fast devices may speak.
    pub limits: LimitsConfig,
    /// Where refusals are counted for the metrics.
    pub health: Health,
    /// Whether the hub's own test sensor is wanted.
    pub canary: bool,
    /// Names of the cursors of mirrors: what they lack is spared by retention from the start.
    pub mirrors: Vec<String>,
    /// Names of the configured driver instances.
    pub drivers: Vec<String>,
    /// Records the way of single messages.
    pub tracer: Tracer,
}

/// A writer that is ready to run, and what others need of it.
#[derive(Debug)]
pub struct Opened {
    pub writer: Writer,
    pub reader: Reader,
    pub published: Published,
    pub catalogue: Arc<Catalogue>,
    pub mark: watch::Receiver<Mark>,
    pub urgent: watch::Receiver<u64>,
    pub drivers: BTreeMap<String, DriverKey>,
    /// Names of all driver instances that ever were, in the order of their keys.
    pub driver_names: Vec<String>,
}

/// Opens the journal, restores the engine from its checkpoint, and replays the log's tail.
pub fn open(data_dir: &Path, setup: Setup) -> Result<Opened> {
    let (mut journal, reader, recovered) = store::open(data_dir, setup.options)
        .with_context(|| format!("open data directory {}", data_dir.display()))?;
    let catalogue = number_metrics(&mut journal, setup.catalogue)?;
    let (drivers, driver_names) = number_drivers(&mut journal, &recovered, setup.drivers)?;
    journal.hold_from(super::mirrored::unconfirmed(&reader, &setup.mirrors)?);
    let (lateness_s, zone) = (setup.times.lateness_s, setup.zone);
    let settings = Settings { lateness_s, zone };
    let (ward, statuses) = restore_ward(&recovered, &reader);
    let (engine, moved) = catch_up((settings, &catalogue), (&reader, &recovered), &ward)?;
    let mut book = restore_book(&reader, &recovered)?;
    let unwritten = moved.show(&mut book);
    let cases = CaseDesk::restore(setup.cases, &reader, recovered.last_stamp)
        .context("read the cases that are open")?;
    let (canary, verdict) = watch::channel(last_verdict(&reader)?);
    let published = publish((&reader, &recovered), &book, &cases, verdict, &setup.limits)?;
    let draft = super::handover::restore(&reader, &setup.shifts, setup.clock.now())?;
    published.handovers.put(draft);
    published.statuses.put(statuses);
    let wanted = wanted_rules(&setup.times, setup.missed_max, setup.canary)?;
    let own_rules = outdated(&engine, wanted);
    let (mark, receiver) = watch::channel(last_mark(&recovered));
    let (urgent, urgent_receiver) = watch::channel(0);
    let mut writer = Writer {
        journal,
        storage: Storage::restore(&reader, setup.disk_warning, &setup.health)?,
        reader: reader.clone(),
        ran_until: ran_until(&recovered, &engine),
        engine,
        book,
        cases,
        published: published.clone(),
        catalogue: Arc::clone(&catalogue),
        shifts: setup.shifts,
        grids: setup.grids,
        clock: setup.clock,
        times: setup.times,
        approval: setup.approval,
        mark,
        urgent,
        last_stamp: recovered.last_stamp,
        last_event: recovered.last_event,
        unwritten,
        refused: Book::new(
            setup.refusals,
            published.knocks.clone(),
            setup.health,
            driver_names.clone(),
        ),
        changes: Vec::new(),
        ways: Ways::new(setup.tracer, driver_names.clone()),
        ward,
        canary,
        lacks_canary: setup.canary && !has_canary(&reader, &recovered),
        trails: super::quality::Trails::default(),
        own_rules,
        is_leaving: false,
    };
    writer.catch_up_cases(&moved);
    Ok(Opened {
        writer,
        reader,
        published,
        catalogue,
        mark: receiver,
        urgent: urgent_receiver,
        drivers,
        driver_names,
    })
}

fn ran_until(recovered: &Recovered, engine: &Engine) -> Option<Timestamp> {
    // A checkpoint may know of a later moment at which there was nothing to record.
    let until = recovered.last_stamp.max(engine.now());
    (recovered.last_commit > 0).then_some(until)
}

fn last_mark(recovered: &Recovered) -> Mark {
    Mark {
        commit: recovered.last_commit,
        event: recovered.last_event,
    }
}

/// Gives each metric of the catalogue the key that it has for ever.
fn number_metrics(journal: &mut Journal, catalogue: Catalogue) -> Result<Arc<Catalogue>> {
    let defs = catalogue.defs().iter();
    let names: Vec<&str> = defs.map(|def: &MetricDef| def.name.as_str()).collect();
    let known = journal
        .number_metrics(&names)
        .context("number the metrics")?;
    Ok(Arc::new(catalogue.numbered_like(&known)))
}

/// Goes on from the last canary that came through.
fn last_verdict(reader: &Reader) -> Result<canary::Verdict> {
    let last = reader.canary()?;
    Ok(canary::Verdict {
        number: last.map_or(0, |event| event.number),
        ..canary::Verdict::default()
    })
}

/// Gives each driver its key, and the names of all that ever were in the order of their keys.
fn number_drivers(
    journal: &mut Journal,
    recovered: &Recovered,
    names: Vec<String>,
) -> Result<(BTreeMap<String, DriverKey>, Vec<String>)> {
    let mut drivers = BTreeMap::new();
    let mut driver_names = recovered.drivers.clone();
    for name in names {
        let key = journal.number_driver(&name).context("number the drivers")?;
        if driver_names.len() <= usize::from(key) {
            driver_names.push(name.clone());
        }
        drivers.insert(name, DriverKey(key));
    }
    Ok((drivers, driver_names))
}

/// Keeps the hub's own test sensor out of the sums; tells whether it is registered.
fn has_canary(reader: &Reader, recovered: &Recovered) -> bool {
    let mut own = recovered.devices.iter().filter(|of| of.device.id.is_own());
    own.next().is_some_and(|own| {
        reader.set_apart(own.key);
        true
    })
}

/// Gives the hub's own rules as this configuration wants them.
fn wanted_rules(
    times: &Times,
    missed_max: u32,
    canary: bool,
) -> Result<Vec<(&'static str, RuleSpec)>> {
    let mut wanted = own_rules(missed_max, times.lateness_s)?;
    if canary {
        wanted.push(canary::rule()?);
    }
    Ok(wanted)
}

/// Takes up the alarms that are not over, and those of the last day that still count.
type KnownHealth = (DeviceKey, Option<DeviceHealth>);

fn restore_ward(recovered: &Recovered, reader: &Reader) -> (Ward, Vec<KnownHealth>) {
    let listed = recovered.devices.iter().filter(|of| !of.device.id.is_own());
    let registered = listed.map(|stored| stored.key);
    Ward::restore(recovered.statuses.clone(), registered, reader)
}

fn restore_book(reader: &Reader, recovered: &Recovered) -> Result<AlarmBook> {
    let from = recovered.last_stamp.plus_ms(-ALARMS_COUNT_MS);
    let recent = reader
        .alarms_between(from, Timestamp::MAX)
        .context("read the alarms of the last day")?;
    let is_over = |row: &AlarmRow| row.state == AlarmState::Normal;
    let mut rows = recovered.alarms.clone();
    rows.extend(recent.into_iter().filter(is_over));
    Ok(AlarmBook::restore(rows, recovered.last_stamp))
}

/// Takes up what waits for approval.
fn show_proposals(reader: &Reader, rules: &RuleList) -> Result<()> {
    for json in reader.proposals()? {
        let proposal: Proposal =
            serde_json::from_str(&json).context("a change of a rule that is proposed")?;
        rules.propose(&proposal.id.clone(), Some(proposal));
    }
    Ok(())
}

/// Brings the engine to the last commit, and gives the alarms whose figures moved since their rows
/// were written.
fn catch_up(
    known: (Settings, &Arc<Catalogue>),
    (reader, recovered): (&Reader, &Recovered),
    ward: &Ward,
) -> Result<(Engine, Moved)> {
    match restore_engine(known.clone(), recovered) {
        Ok(mut engine) => {
            let moved = replay(reader, recovered, &mut engine)?;
            Ok((engine, moved))
        }
        Err(RestoreError::Format { found }) => {
            rebuild(known, (reader, recovered), ward, found).context("make the engine anew")
        }
        Err(error) => Err(error).context("restore the rule engine from its checkpoint"),
    }
}

fn restore_engine(
    (settings, catalogue): (Settings, &Arc<Catalogue>),
    recovered: &Recovered,
) -> Result<Engine, RestoreError> {
    match &recovered.checkpoint {
        Some(bytes) => Engine::restore(settings, Arc::clone(catalogue), bytes),
        None => Ok(Engine::new(settings, Arc::clone(catalogue))),
    }
}

/// Gives those of the hub's own rules that are not in force as they are wanted.
fn outdated(engine: &Engine, wanted: Vec<(&'static str, RuleSpec)>) -> Vec<Rule> {
    let news = wanted.into_iter().filter_map(|(id, spec)| {
        let known = engine.rule(id);
        let revision = known.map_or(1, |known| known.revision + 1);
        let is_new = known.is_none_or(|known| known.spec != spec);
        is_new.then(|| Rule {
            id: id.to_owned(),
            revision,
            spec,
        })
    });
    news.collect()
}

/// Runs the tail of the log through the engine. The alarms that come out are on disk already:
/// they are compared, not announced again. Returns the alarms whose figures moved since.
fn replay(reader: &Reader, recovered: &Recovered, engine: &mut Engine) -> Result<Moved> {
    let mut moved = Moved::default();
    let mut failed = Ok(());
    reader.log(recovered.sealed, &mut |group| {
        failed = replay_group(&group, engine, &mut moved);
        failed.is_ok()
    })?;
    failed?;
    Ok(moved)
}

fn replay_group(group: &LogGroup, engine: &mut Engine, moved: &mut Moved) -> Result<()> {
    let mut changes = Vec::new();
    for json in &group.commands {
        let recorded: Recorded = serde_json::from_str(json)
            .with_context(|| format!("commit {}: a command that is not readable", group.seq))?;
        recorded
            .tell(engine, group.stamp, &mut changes)
            .with_context(|| format!("commit {}", group.seq))?;
    }
    engine.advance(group.stamp, &mut changes);
    for entry in &group.readings {
        engine.apply(group.stamp, &entry.reading, &mut changes);
    }
    if group
        .changes_crc
        .is_some_and(|crc| crc != change_crc(&changes))
    {
        tracing::error!(
            commit = group.seq,
            "the replay of this commit gives other alarms than were recorded; run `cityhub verify`"
        );
    }
    for change in changes {
        moved.note(&change);
    }
    Ok(())
}

fn publish(
    (reader, recovered): (&Reader, &Recovered),
    book: &AlarmBook,
    cases: &CaseDesk,
    canary: watch::Receiver<canary::Verdict>,
    limits: &LimitsConfig,
) -> Result<Published> {
    let devices = Devices::new(SecretSalt(recovered.salt));
    devices.put(recovered.devices.iter().map(|stored| DeviceEntry {
        key: stored.key,
        device: stored.device.clone(),
        secret: stored.secret_hash.map(SecretHash::from_bytes),
        grid: stored.grid.clone(),
    }));
    let rules = RuleList::default();
    for stored in recovered.rules.iter().filter(|rule| !is_own(&rule.id)) {
        let (id, spec) = (stored.id.clone(), stored.spec.clone());
        rules.put(RuleEntry {
            id,
            revision: stored.revision,
            spec,
        });
    }
    show_proposals(reader, &rules)?;
    let subscribers = Subscribers::default();
    for subscriber in recovered
        .subscriptions
        .iter()
        .filter_map(subscribe::restore)
    {
        subscribers.put(subscriber);
    }
    Ok(Published {
        rounds: watch::Sender::default(),
        quotas: Quotas::new(limits.device(), limits.own(), devices.clone()),
        subscribers,
        handovers: Handovers::default(),
        devices,
        statuses: Statuses::default(),
        book: Arc::new(RwLock::new(book.clone().into())),
        cases: Arc::new(RwLock::new(cases.book.counts().clone())),
        moved_cases: MovedCases::default(),
        rules,
        pace: web::Pace::default(),
        knocks: Knocks::default(),
        canary,
    })
}
