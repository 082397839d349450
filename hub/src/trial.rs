//! `cityhub backtest --input`: rules over a stream of a file instead of the hub's own history.

use crate::grid::Grids;
use crate::{inventory, rulebook};
use anyhow::{Context, Result, bail, ensure};
use codecs::Decoded;
use model::{Catalogue, Cause, Device, DeviceKey, MetricKey, Quality, Reading, Series, Timestamp};
use rules::{DeviceView, Played, Rehearsal, Rule, RuleError, RuleSpec, Settings, Step};
use sdk::{DeviceEntry, Devices, Profiles, SecretSalt};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a trial is made of.
#[derive(Debug)]
pub struct Trial {
    pub settings: Settings,
    pub catalogue: Arc<Catalogue>,
    pub grids: Grids,
    /// A device file, as the configuration names one.
    pub devices: PathBuf,
    pub profiles: Profiles,
    pub rules: BTreeMap<String, RuleSpec>,
}

/// The stream of a trial cannot be read; says where and why.
#[derive(Debug)]
pub struct InputError {
    file: String,
    reason: String,
}

impl std::fmt::Display for InputError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file, self.reason)
    }
}

impl std::error::Error for InputError {}

/// What a trial gave.
#[derive(Debug)]
pub struct Verdict {
    /// Alarm rows with `announced`, in the order in which they were raised.
    pub rows: Vec<Value>,
    pub readings: u64,
    /// How often more was announced than anybody can take in (ISA-18.2).
    pub floods: u64,
}

/// Reads rule packs, and a file or a folder whose rules replace those of the packs.
pub fn read_rules(
    packs: &[String],
    path: Option<&Path>,
    catalogue: &Catalogue,
) -> Result<BTreeMap<String, RuleSpec>> {
    let mut rules = BTreeMap::new();
    for name in packs {
        let pack = rules::read_pack(name).ok_or_else(|| {
            let known: Vec<&str> = rules::pack_names().collect();
            RuleError {
                reason: format!("there is no pack `{name}`; known: {}", known.join(", ")),
                ..RuleError::default()
            }
        })?;
        rules.extend(pack?);
    }
    match path {
        Some(folder) if folder.is_dir() => rules.extend(rulebook::read(folder, catalogue)?),
        Some(file) => rules.extend(rulebook::read_file(file, catalogue)?),
        None => {}
    }
    Ok(rules)
}

/// A device of the trial.
type Registered = (DeviceKey, Device);

impl Trial {
    /// Runs the rules over a stream: a JSON line a message, `{"received_at","device","ts","values"}`
    /// in the order of receipt. A line with `received_at` alone says that the time went on; the
    /// first line is when the devices and rules are put in, the last one when the trial ends.
    pub fn run(&self, input: &Path) -> Result<Verdict> {
        let devices = self.register()?;
        let named = |error: anyhow::Error| InputError {
            file: input.display().to_string(),
            reason: format!("{error:#}"),
        };
        let file = File::open(input).map_err(|error| named(error.into()))?;
        let mut stream = Stream::new(BufReader::new(file), &self.catalogue, &devices);
        stream.lateness_ms = i64::from(self.settings.lateness_s) * 1000;
        let from = stream.begin().map_err(named)?;
        let settings = self.settings.clone();
        let mut rehearsal = Rehearsal::begin(settings, Arc::clone(&self.catalogue), from);
        for (key, device) in &devices {
            let place = device.location.as_ref();
            let grid = place.and_then(|place| self.grids.find(place));
            let view = DeviceView::new(*key, device, grid);
            rehearsal.change(from, Step::PutDevice(view));
        }
        for rule in self.rules() {
            rehearsal.change(from, Step::PutRule(Box::new(rule)));
        }
        let mut readings = Vec::new();
        while stream.take_line(&mut readings).map_err(named)? {
            for reading in readings.drain(..) {
                rehearsal.take(&reading);
            }
        }
        let alarms = rehearsal.finish(stream.now);
        let announced: BTreeSet<_> = alarms
            .iter()
            .filter_map(|alarm| Some((alarm.row.announced_at?, &alarm.row.id)))
            .collect();
        Ok(Verdict {
            floods: rules::count_floods(announced.iter().map(|(at, _)| *at)),
            rows: alarms.iter().map(show).collect(),
            readings: stream.readings,
        })
    }

    fn register(&self) -> Result<Vec<Registered>> {
        let register = Devices::new(SecretSalt([0; 16]));
        register.know(&self.profiles);
        let mut devices = Vec::new();
        for file in inventory::files(&self.devices)? {
            for row in inventory::read(&file, &self.catalogue, &register)? {
                let key = DeviceKey(u32::try_from(devices.len() + 1).context("too many devices")?);
                register.put([DeviceEntry {
                    key,
                    device: row.device.clone(),
                    secret: None,
                    grid: None,
                }]);
                devices.push((key, row.device));
            }
        }
        Ok(devices)
    }

    fn rules(&self) -> Vec<Rule> {
        let rules = self.rules.iter().map(|(id, spec)| Rule {
            id: id.clone(),
            revision: 1,
            spec: spec.clone(),
        });
        rules.collect()
    }
}

/// One line of the file.
#[derive(Deserialize)]
struct Line<'a> {
    received_at: Timestamp,
    #[serde(default)]
    device: Option<String>,
    #[serde(default)]
    ts: Option<Timestamp>,
    #[serde(default, borrow)]
    values: Option<&'a RawValue>,
}

/// The readings of a stream, as the hub would have taken them in.
struct Stream<'a, R> {
    lines: std::io::Lines<R>,
    number: u64,
    catalogue: &'a Catalogue,
    keys: HashMap<&'a str, DeviceKey>,
    /// What was taken, for a reading that is sent twice counts once (contract 5, promise 5).
    seen: HashSet<(DeviceKey, MetricKey, Timestamp)>,
    lateness_ms: i64,
    now: Timestamp,
    readings: u64,
}

impl<'a, R: BufRead> Stream<'a, R> {
    fn new(file: R, catalogue: &'a Catalogue, devices: &'a [Registered]) -> Self {
        let keys = devices
            .iter()
            .map(|(key, device)| (device.id.as_str(), *key));
        Self {
            lines: file.lines(),
            number: 0,
            catalogue,
            keys: keys.collect(),
            seen: HashSet::new(),
            lateness_ms: 0,
            now: Timestamp::MIN,
            readings: 0,
        }
    }

    /// Reads the first line, which tells when it all begins.
    fn begin(&mut self) -> Result<Timestamp> {
        let mut first = Vec::new();
        ensure!(self.take_line(&mut first)?, "it is empty");
        ensure!(
            first.is_empty(),
            "line 1: it must have `received_at` alone, when the devices were there"
        );
        Ok(self.now)
    }

    /// Reads one line; false at the end of the file.
    fn take_line(&mut self, chunk: &mut Vec<Reading>) -> Result<bool> {
        let Some(line) = self.lines.next() else {
            return Ok(false);
        };
        self.number += 1;
        let number = self.number;
        self.take(&line?, chunk)
            .with_context(|| format!("line {number}"))?;
        Ok(true)
    }

    fn take(&mut self, text: &str, chunk: &mut Vec<Reading>) -> Result<()> {
        let line: Line<'_> = serde_json::from_str(text).map_err(|error| in_words(text, &error))?;
        ensure!(
            line.received_at >= self.now,
            "received at {}, after {}: the lines must be in the order of receipt",
            line.received_at,
            self.now
        );
        self.now = line.received_at;
        let Some(device) = line.device else {
            return Ok(());
        };
        let Some(key) = self.keys.get(device.as_str()).copied() else {
            bail!("there is no device `{device}` in the device file");
        };
        let Some(values) = line.values else {
            bail!("`values` is missing");
        };
        let mut decoded = Decoded::new(key);
        codecs::canonical::decode_into(self.catalogue, values.get().as_bytes(), &mut decoded)
            .map_err(|why| anyhow::anyhow!("values: {}", why.detail))?;
        if let Some(rejected) = decoded.rejected.first() {
            let metric = rejected.metric.as_deref().unwrap_or_default();
            bail!("value `{metric}` is refused: {}", rejected.reason);
        }
        let observed_at = line.ts.unwrap_or(self.now);
        for observation in decoded.observations {
            if !self.seen.insert((key, observation.metric, observed_at)) {
                continue;
            }
            self.readings += 1;
            chunk.push(Reading {
                series: Series {
                    device: key,
                    metric: observation.metric,
                },
                value: observation.value,
                quality: observation.quality.worst(self.clock(observed_at)),
                observed_at,
                received_at: self.now,
            });
        }
        Ok(())
    }

    /// Doubts a reading of the future, as the writer does.
    fn clock(&self, observed_at: Timestamp) -> Quality {
        if self.now.since_ms(observed_at) < -self.lateness_ms {
            Quality::uncertain(Cause::Clock)
        } else {
            Quality::GOOD
        }
    }
}

/// Says what is wrong with a line that is no message.
fn in_words(text: &str, error: &serde_json::Error) -> anyhow::Error {
    let column = error.column();
    if text.trim().is_empty() {
        return anyhow::anyhow!("it is empty; each line is a JSON object");
    }
    match error.classify() {
        serde_json::error::Category::Eof => {
            anyhow::anyhow!("the JSON object is cut off after {column} characters")
        }
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
            anyhow::anyhow!("it is no JSON: wrong at character {column}")
        }
        serde_json::error::Category::Data => {
            let reason = error.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default();
            anyhow::anyhow!("it is no message: {reason}, at character {column}")
        }
    }
}

/// Shows an alarm as the API does, with the worst that it came to and whether people were told.
fn show(alarm: &Played) -> Value {
    let mut shown = json!(alarm.row);
    if let Some(fields) = shown.as_object_mut() {
        let is_announced = alarm.row.announced_at.is_some();
        fields.insert("worst".to_owned(), json!(alarm.worst));
        fields.insert("announced".to_owned(), json!(is_announced));
    }
    shown
}

#[cfg(test)]
mod tests;
