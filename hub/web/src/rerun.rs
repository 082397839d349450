//! A small part of history through a fresh engine once more: some rules, some devices, some hours.

use crate::past::{Past, PutDevice, PutRule, Step};
use crate::problem::Problem;
use crate::state::{Inner, store_problem};
use model::{DeviceKey, MetricKey, Reading, Series, Timestamp};
use rules::{Change, DeviceView, Engine, RuleSpec};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::SeriesQuery;

/// Readings of one run; what is longer is cut off and said so.
const READINGS_MAX: usize = 100_000;

/// Devices of one run: a composite's mates, a gateway's children.
const DEVICES_MAX: usize = 500;

/// How far a device's clock may be off for its readings to be found by when they came.
const CLOCK_SLACK_S: i64 = 86_400;

/// How much history a run takes in at most before the moment in question.
pub(crate) const REACH_MAX_S: i64 = 31 * 86_400;

/// Cadences before the moment in question that are shown at least.
const CADENCES_BEFORE: i64 = 5;

/// The cadence of a device that declares none, for this only.
const CADENCE_S: u32 = 60;

/// What is run, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    pub(crate) rules: BTreeSet<String>,
    pub(crate) devices: BTreeSet<DeviceKey>,
    /// None takes all of them, as every reading is a sign of life.
    pub(crate) metrics: Option<BTreeSet<MetricKey>>,
    /// More devices or readings are involved than a run takes.
    pub(crate) is_cut: bool,
}

/// What the engine was told.
pub(crate) enum Moment<'a> {
    Begun(Timestamp),
    Changed(Timestamp, &'a Step),
    Read(&'a Reading),
    /// Something was due.
    Due,
}

/// Looks at the engine after each moment, and at what it answered.
pub(crate) type Watch<'a> = dyn FnMut(&Engine, &Moment<'_>, &[Change]) + 'a;

/// Gives a list of a rule's public form, such as `of`.
pub(crate) fn texts<'a>(spec: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    let items = spec.get(key).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str)
}

/// Tells how long before a moment a rule looks back, by the keys of its public form that are
/// spans of time.
pub fn reach_s(spec: &RuleSpec, cadence_s: Option<u32>, lateness_s: u32) -> i64 {
    let json = spec.to_json();
    let cadence_s = f64::from(cadence_s.filter(|s| *s > 0).unwrap_or(CADENCE_S));
    let mut reach_s = 0.0;
    for (key, value) in json.as_object().into_iter().flatten() {
        let Some(number) = value.as_f64() else {
            continue;
        };
        match key.as_str() {
            "factor" | "confirm" => reach_s += number * cadence_s,
            "max_speed_ms" => {}
            key if key.ends_with("_s") => reach_s += number,
            _ => {}
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "clamped to a month before")]
    let twice = (2.0 * (reach_s + cadence_s * CADENCES_BEFORE as f64)).clamp(0.0, 1e9) as i64;
    (twice + 2 * i64::from(lateness_s)).min(REACH_MAX_S)
}

impl Scene {
    /// Finds what decides about one device under one rule: the rule, its members, the devices that
    /// it brings together, and the series of theirs that matter.
    pub(crate) fn of(
        hub: &Inner,
        rule: &str,
        rules: &BTreeMap<&str, (Timestamp, &PutRule)>,
        device: &PutDevice,
        devices: &BTreeMap<DeviceKey, PutDevice>,
    ) -> Self {
        let mut scene = Self {
            rules: BTreeSet::from([rule.to_owned()]),
            devices: BTreeSet::from([device.key]),
            ..Self::default()
        };
        let Some((_, put)) = rules.get(rule) else {
            return scene;
        };
        let members: Vec<&str> = texts(&put.spec, "of").collect();
        scene
            .rules
            .extend(members.iter().map(|id| (*id).to_owned()));
        let scope = put.spec.get("scope").and_then(Value::as_str);
        if !members.is_empty() {
            let is_mate = |other: &&PutDevice| match scope {
                Some("site") => {
                    other.device.site.is_some() && other.device.site == device.device.site
                }
                Some("grid") => other.grid.is_some() && other.grid == device.grid,
                _ => false,
            };
            scene.add(devices.values().filter(is_mate));
        }
        if device.device.kind == "gateway" {
            let id = Some(&device.device.id);
            scene.add(
                devices
                    .values()
                    .filter(|other| other.device.parent.as_ref() == id),
            );
        }
        scene.add_fences(&put.spec, devices);
        scene.metrics = metrics(hub, &scene.rules, rules);
        scene
    }

    /// Takes in what another rule involves.
    pub(crate) fn join(&mut self, other: Self) {
        let is_first = self.rules.is_empty();
        self.rules.extend(other.rules);
        self.devices.extend(other.devices);
        self.is_cut |= other.is_cut;
        self.metrics = match (self.metrics.take(), other.metrics) {
            (Some(mut all), Some(more)) => {
                all.extend(more);
                Some(all)
            }
            (None, more) if is_first => more,
            _ => None,
        };
    }

    fn add<'a>(&mut self, devices: impl Iterator<Item = &'a PutDevice>) {
        for device in devices {
            if self.devices.len() >= DEVICES_MAX {
                self.is_cut = true;
                return;
            }
            self.devices.insert(device.key);
        }
    }

    /// Adds the devices that are a rule's fences: their places are part of it.
    fn add_fences(&mut self, spec: &Value, devices: &BTreeMap<DeviceKey, PutDevice>) {
        let Some(fences) = spec.get("fences") else {
            return;
        };
        let named: Vec<&str> = texts(fences, "devices").collect();
        let kind = fences.pointer("/select/kind").and_then(Value::as_str);
        let is_fence = |other: &&PutDevice| {
            named.contains(&other.device.id.as_str())
                || (fences.get("select").is_some()
                    && kind.is_none_or(|kind| kind == other.device.kind))
        };
        self.add(devices.values().filter(is_fence));
    }

    /// Collects what these devices sent: what was observed in the period, and what was received in
    /// it with a clock that is off; in the order in which it was received.
    pub(crate) fn readings(
        &mut self,
        hub: &Inner,
        (from, until): (Timestamp, Timestamp),
    ) -> Result<Vec<Reading>, Problem> {
        let mut readings = Vec::new();
        for device in self.devices.clone() {
            for latest in hub.reader.latest(device) {
                let series = latest.series;
                let is_wanted = |metrics: &BTreeSet<MetricKey>| metrics.contains(&series.metric);
                if self.metrics.as_ref().is_none_or(is_wanted) {
                    self.collect(hub, series, (from, until), &mut readings)?;
                }
            }
        }
        readings.sort_by_key(|reading| {
            let Series { device, metric } = reading.series;
            (reading.received_at, device, metric, reading.observed_at)
        });
        Ok(readings)
    }

    fn collect(
        &mut self,
        hub: &Inner,
        series: Series,
        (from, until): (Timestamp, Timestamp),
        readings: &mut Vec<Reading>,
    ) -> Result<(), Problem> {
        let after = until.plus_ms(1);
        let parts = [
            (from.plus_s(-CLOCK_SLACK_S), from),
            (from, after),
            (after, until.plus_s(CLOCK_SLACK_S)),
        ];
        for (index, (first, end)) in parts.into_iter().enumerate() {
            let query = SeriesQuery {
                series,
                from: first,
                to: end,
                limit: READINGS_MAX,
            };
            let found = hub
                .reader
                .arrivals(&query)
                .map_err(|error| store_problem("read what was received", &error))?;
            self.is_cut |= found.len() >= READINGS_MAX;
            let came_then = |reading: &Reading| (from..=until).contains(&reading.received_at);
            let room = READINGS_MAX.saturating_sub(readings.len());
            let wanted = found.into_iter().filter(|r| index == 1 || came_then(r));
            let before = readings.len();
            readings.extend(wanted.take(room));
            self.is_cut |= room > 0 && readings.len() - before == room;
        }
        Ok(())
    }

    /// Runs the engine from `from` to `until` over `readings`, with the rules and devices as they
    /// were and became.
    pub(crate) fn run(
        &self,
        (hub, past): (&Inner, &Past),
        (from, until): (Timestamp, Timestamp),
        readings: &[Reading],
        watch: &mut Watch<'_>,
    ) -> Engine {
        let mut run = Run {
            engine: Engine::new(hub.rule_settings.clone(), Arc::clone(&hub.catalogue)),
            out: Vec::new(),
            watch,
        };
        for device in past.devices_at(from, &hub.devices.all()).into_values() {
            if self.devices.contains(&device.key) {
                run.put_device(from, device.view());
            }
        }
        for (id, (_, put)) in past.rules_at(from) {
            if self.rules.contains(id) {
                run.put_rule(from, put);
            }
        }
        run.tell(&Moment::Begun(from));
        let mut steps = past.between(from, until).peekable();
        for reading in readings {
            while let Some((at, step)) = steps.next_if(|(at, _)| *at <= reading.received_at) {
                self.change(&mut run, *at, step);
            }
            run.fire_until(reading.received_at);
            run.engine.apply(reading.received_at, reading, &mut run.out);
            run.tell(&Moment::Read(reading));
        }
        for (at, step) in steps {
            self.change(&mut run, *at, step);
        }
        run.fire_until(until);
        run.engine
    }

    fn change(&self, run: &mut Run<'_, '_>, at: Timestamp, step: &Step) {
        match step {
            Step::PutDevice(put) if self.devices.contains(&put.key) => {
                run.fire_until(at);
                run.put_device(at, put.view());
            }
            Step::DeleteDevice(key) if self.devices.contains(key) => {
                run.fire_until(at);
                run.engine.remove_device(at, *key, &mut run.out);
            }
            Step::PutRule(put) if self.rules.contains(&put.id) => {
                run.fire_until(at);
                run.put_rule(at, put);
            }
            Step::DeleteRule(id) if self.rules.contains(id) => {
                run.fire_until(at);
                run.engine.remove_rule(at, id, &mut run.out);
            }
            Step::Resumed(since) => {
                run.fire_until(*since);
                run.engine.resume(*since, at, &mut run.out);
            }
            _ => return,
        }
        run.tell(&Moment::Changed(at, step));
    }
}

/// Gives the metrics of these rules; none when one of them takes every reading.
fn metrics(
    hub: &Inner,
    ids: &BTreeSet<String>,
    rules: &BTreeMap<&str, (Timestamp, &PutRule)>,
) -> Option<BTreeSet<MetricKey>> {
    let mut metrics = BTreeSet::new();
    for id in ids {
        let Some(rule) = rules.get(id.as_str()).and_then(|(_, put)| put.rule().ok()) else {
            continue;
        };
        if texts(&rule.spec.to_json(), "of").next().is_some() {
            continue;
        }
        metrics.insert(hub.catalogue.find(rule.spec.metric()?)?);
    }
    Some(metrics)
}

struct Run<'a, 'w> {
    engine: Engine,
    out: Vec<Change>,
    watch: &'a mut Watch<'w>,
}

impl Run<'_, '_> {
    fn put_device(&mut self, at: Timestamp, view: DeviceView) {
        self.engine.put_device(at, view, &mut self.out);
    }

    /// Puts a rule; one that this version cannot read any more decides nothing.
    fn put_rule(&mut self, at: Timestamp, put: &PutRule) {
        if let Ok(rule) = put.rule() {
            self.engine.put_rule(at, rule, &mut self.out);
        }
    }

    /// Lets what is due happen, one instant after the other, so that each can be looked at.
    fn fire_until(&mut self, to: Timestamp) {
        while let Some(at) = self.engine.next_deadline().filter(|at| *at <= to) {
            self.engine.advance(at, &mut self.out);
            self.tell(&Moment::Due);
        }
        self.engine.advance(to, &mut self.out);
        self.tell(&Moment::Due);
    }

    fn tell(&mut self, moment: &Moment<'_>) {
        // An instant at which nothing was due is none.
        if !(matches!(moment, Moment::Due) && self.out.is_empty()) {
            (self.watch)(&self.engine, moment, &self.out);
        }
        self.out.clear();
    }
}
