//! `cityhub verify` and `cityhub backtest`: history through the live engine once more.

mod retained;

use self::retained::Retained;
use crate::writer::Recorded;
use anyhow::{Context, Result};
use model::{AlarmRow, Catalogue, DeviceId, DeviceKey, Reading, Timestamp};
use rules::{AlarmSpan, Change, Engine, History, Rule, RuleSpec, Settings};
use sdk::DeviceEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use store::{ChangeRow, Reader, Recovered};
use web::{Progress, Review, Reviewed};

/// A data directory that is open for reading.
#[derive(Debug)]
pub struct Archive {
    pub reader: Reader,
    pub recovered: Recovered,
    pub catalogue: Arc<Catalogue>,
    pub settings: Settings,
}

impl Archive {
    /// Opens a data directory beside a running hub or alone.
    pub fn open(data_dir: &Path, catalogue: &Catalogue, settings: Settings) -> Result<Self> {
        let (reader, recovered) = store::open_read_only(data_dir)
            .with_context(|| format!("open data directory {}", data_dir.display()))?;
        let catalogue = Arc::new(catalogue.clone().numbered_like(&recovered.metrics));
        Ok(Self {
            reader,
            recovered,
            catalogue,
            settings,
        })
    }

    /// Runs rules over what was received in a period, with the devices as they were at each moment
    /// of it: only the rules are the caller's. `tell` answers false to give it up.
    pub fn backtest(
        &self,
        trial: Backtest,
        tell: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<Reviewed> {
        let devices = self.recovered.devices.iter();
        let entry = |stored: &store::StoredDevice| {
            Arc::new(DeviceEntry {
                key: stored.key,
                device: stored.device.clone(),
                secret: None,
                grid: stored.grid.clone(),
            })
        };
        let review = Review {
            reader: &self.reader,
            catalogue: &self.catalogue,
            settings: &self.settings,
            devices: devices.map(entry).collect(),
            rules: numbered(trial.rules),
            in_force: match trial.compared {
                true => Some(numbered(self.rules_in_force()?)),
                false => None,
            },
            whole: trial.whole,
            span: trial.span,
            // What has not been yet cannot be silent.
            now: self.recovered.last_stamp,
        };
        Ok(review.run(tell)?)
    }

    /// Gives the rules that the hub runs with.
    pub fn rules_in_force(&self) -> Result<BTreeMap<String, RuleSpec>> {
        let parse = |rule: &store::StoredRule| {
            Ok((rule.id.clone(), rules::parse_json(&rule.id, &rule.spec)?))
        };
        let own = |rule: &&store::StoredRule| rule.id.starts_with(crate::writer::OWN_RULES);
        let rules = self.recovered.rules.iter();
        rules.filter(|rule| !own(rule)).map(parse).collect()
    }
}

/// What a backtest is asked.
#[derive(Clone, Debug)]
pub struct Backtest {
    pub rules: BTreeMap<String, RuleSpec>,
    /// Of received time: the first is included, the second is not.
    pub span: (Timestamp, Timestamp),
    /// Beside the rules in force.
    pub compared: bool,
    /// `rules` would be all there are.
    pub whole: bool,
}

fn numbered(rules: BTreeMap<String, RuleSpec>) -> Vec<Rule> {
    let rules = rules.into_iter().map(|(id, spec)| Rule {
        id,
        revision: 1,
        spec,
    });
    rules.collect()
}

/// What `cityhub verify` found.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub report: store::CheckReport,
    pub replayed_readings: u64,
    pub alarms: u64,
    /// Alarms that cannot be decided again, and from when on readings are kept.
    pub unjudged: Option<(u64, Timestamp)>,
    /// In words; empty when all is well.
    pub problems: Vec<String>,
}

/// Replays everything that is kept, with the devices and rules as they were at each moment, and
/// demands the alarm history that was recorded.
pub fn verify(archive: &Archive) -> Result<Verdict> {
    let report = archive.reader.check().context("check the files")?;
    let mut verdict = Verdict {
        problems: report.problems.clone(),
        report,
        ..Verdict::default()
    };
    let changes = archive
        .reader
        .changes()
        .context("read the changes of devices and rules")?;
    let until = archive.recovered.last_stamp;
    let engine = Engine::new(archive.settings.clone(), Arc::clone(&archive.catalogue));
    let mut history = History::default();
    let mut replay = Replayer::new(engine, &changes, |change| history.apply(&change));
    for chunk in archive.reader.replay(Timestamp::MIN, Timestamp::MAX)? {
        let chunk = chunk?;
        verdict.replayed_readings += chunk.len() as u64;
        for reading in &chunk {
            replay.take(reading)?;
        }
    }
    replay.finish(until)?;
    let spans = history.into_spans();
    let recorded = archive
        .reader
        .alarms_between(Timestamp::MIN, Timestamp::MAX)?;
    verdict.alarms = recorded.len() as u64;
    let names = archive.reader.device_names()?;
    let lateness_s = archive.settings.lateness_s;
    let mut retained = Retained::of(&archive.reader, &archive.catalogue, (&changes, lateness_s))?;
    retained.look_at(&recorded);
    let is_unjudged = |row: &&AlarmRow| !retained.is_judged(&row.rule, row.raised_at);
    let unjudged = recorded.iter().filter(is_unjudged).count() as u64;
    verdict.unjudged = retained.from.map(|from| (unjudged, from));
    compare(
        (&spans, &recorded),
        &names,
        &retained,
        &mut verdict.problems,
    );
    Ok(verdict)
}

/// Feeds the engine readings and changes in the order of their stamps: changes first, as live.
pub(crate) struct Replayer<'a, F> {
    engine: Engine,
    tell: F,
    changes: std::slice::Iter<'a, ChangeRow>,
    next: Option<&'a ChangeRow>,
    out: Vec<Change>,
}

impl<'a, F: FnMut(Change)> Replayer<'a, F> {
    pub(crate) fn new(engine: Engine, changes: &'a [ChangeRow], tell: F) -> Self {
        let mut changes = changes.iter();
        let next = changes.next();
        Self {
            engine,
            tell,
            changes,
            next,
            out: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn take(&mut self, reading: &Reading) -> Result<()> {
        let at = reading.received_at;
        if self.next.is_some_and(|row| row.stamp <= at) {
            self.change_until(at)?;
        }
        self.engine.advance(at, &mut self.out);
        self.engine.apply(at, reading, &mut self.out);
        self.keep();
        Ok(())
    }

    fn change_until(&mut self, at: Timestamp) -> Result<()> {
        while let Some(row) = self.next.filter(|row| row.stamp <= at) {
            read_change(row)?.tell(&mut self.engine, row.stamp, &mut self.out)?;
            self.next = self.changes.next();
        }
        self.keep();
        Ok(())
    }

    #[inline]
    fn keep(&mut self) {
        self.out.drain(..).for_each(&mut self.tell);
    }

    pub(crate) fn finish(mut self, until: Timestamp) -> Result<Engine> {
        self.change_until(until)?;
        self.engine.advance(until, &mut self.out);
        self.keep();
        Ok(self.engine)
    }
}

fn read_change(row: &ChangeRow) -> Result<Recorded> {
    serde_json::from_str(&row.json).with_context(|| format!("the change of commit {}", row.commit))
}

/// One alarm as both sides must know it: raised, rule, device, severity, cleared. A rule watches
/// one metric, so its name stands for the metric too.
type Line = (String, String, String, String, String);

fn compare(
    (spans, recorded): (&[AlarmSpan], &[AlarmRow]),
    names: &BTreeMap<DeviceKey, DeviceId>,
    retained: &Retained,
    problems: &mut Vec<String>,
) {
    let cleared = |at: Option<Timestamp>| at.map_or("open".to_owned(), |at| at.to_string());
    let own = |span: &&AlarmSpan| span.rule.starts_with(crate::writer::OWN_RULES);
    let replayed: BTreeSet<Line> = spans
        .iter()
        // What the hub's own rules find is no alarm but the status of a device.
        .filter(|span| !own(span))
        .filter(|span| {
            let device = names.get(&span.device).map_or("?", DeviceId::as_str);
            retained.is_comparable(&span.rule, device, span.raised_at)
        })
        .map(|span| {
            let device = names
                .get(&span.device)
                .map_or("?", DeviceId::as_str)
                .to_owned();
            let raised = span.raised_at.to_string();
            let rule = format!("{}#{}", span.rule, span.rule_revision);
            (
                raised,
                rule,
                device,
                span.severity.to_string(),
                cleared(span.cleared_at),
            )
        })
        .collect();
    let stored: BTreeSet<Line> = recorded
        .iter()
        .filter(|row| row.note.as_deref() != Some("withdrawn"))
        .filter(|row| retained.is_judged(&row.rule, row.raised_at))
        .map(|row| {
            let rule = format!("{}#{}", row.rule, row.rule_revision);
            let (raised, device) = (row.raised_at.to_string(), row.device.as_str().to_owned());
            (
                raised,
                rule,
                device,
                row.severity.to_string(),
                cleared(row.cleared_at),
            )
        })
        .collect();
    let shown = |(raised, rule, device, severity, cleared): &Line| {
        format!("{severity} alarm of rule {rule} on {device}, raised {raised}, cleared {cleared}")
    };
    for line in replayed.difference(&stored) {
        problems.push(format!(
            "the replay gives an alarm that is not recorded: {}",
            shown(line)
        ));
    }
    for line in stored.difference(&replayed) {
        problems.push(format!(
            "a recorded alarm does not come out of the replay: {}",
            shown(line)
        ));
    }
}
