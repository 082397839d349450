//! Devices, rules and recorded streams for the tests.

use model::{
    Catalogue, Cause, Device, DeviceKey, MetricKey, Quality, Reading, Series, Timestamp, Value,
};
use rules::{AlarmSpan, Change, DeviceView, Engine, History, Rule, Settings, Zone, parse_toml};
use std::sync::{Arc, LazyLock};

pub(crate) const LATENESS_S: u32 = 120;
pub(crate) const LATENESS_MS: i64 = 120_000;
pub(crate) fn settings() -> Settings {
    settings_in("UTC")
}

pub(crate) fn settings_in(zone: &str) -> Settings {
    Settings {
        lateness_s: LATENESS_S,
        zone: Zone::named(zone).expect("a zone of the table"),
    }
}

/// When rules and devices are put in: twenty minutes before clocks in Europe go from 02:00 to 03:00,
/// on 2026-03-29.
pub(crate) const START_MS: i64 = 1_774_744_800_000;

pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// Read once: the laws ask for it a million times.
static CATALOGUE: LazyLock<Arc<Catalogue>> = LazyLock::new(|| Arc::new(Catalogue::built_in()));

pub(crate) fn catalogue() -> Arc<Catalogue> {
    Arc::clone(&CATALOGUE)
}

pub(crate) fn metric(name: &str) -> MetricKey {
    catalogue().find(name).expect("a built-in metric")
}

pub(crate) fn rules(toml: &str) -> Vec<Rule> {
    let specs = parse_toml("rules.toml", toml).expect("a good rule file");
    specs
        .into_iter()
        .map(|(id, spec)| Rule {
            id,
            revision: 1,
            spec,
        })
        .collect()
}

/// Device number `key`, of kind `gas_pressure`, reporting every 20 s: two in one site, all in one
/// grid, behind the gateway of number 4, which never speaks itself.
pub(crate) fn device(key: u32) -> DeviceView {
    let json = if key == DEVICES {
        serde_json::json!({"id": "gw-1", "kind": "gateway"})
    } else {
        serde_json::json!({
            "id": format!("gas-{key}"), "kind": "gas_pressure", "cadence_s": 20,
            "site": if key < 3 { "one" } else { "two" }, "parent": "gw-1",
            "tags": {"capacity": "5"}
        })
    };
    let device: Device = serde_json::from_value(json).expect("a good device");
    DeviceView::new(DeviceKey(key), &device, Some("grid-1"))
}

pub(crate) const DEVICES: u32 = 4;

/// An engine with the devices and these rules, all put in at the start.
pub(crate) fn engine(rules: Vec<Rule>) -> Engine {
    engine_in("UTC", rules)
}

pub(crate) fn engine_in(zone: &str, rules: Vec<Rule>) -> Engine {
    let mut engine = Engine::new(settings_in(zone), catalogue());
    let mut changes = Vec::new();
    for key in 1..=DEVICES {
        engine.put_device(at(START_MS), device(key), &mut changes);
    }
    for rule in rules {
        engine.put_rule(at(START_MS), rule, &mut changes);
    }
    assert_eq!(changes, []);
    engine
}

/// One reading, before it is decided when it arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) device: u32,
    pub(crate) metric: MetricKey,
    pub(crate) value: Value,
    pub(crate) quality: Quality,
    pub(crate) observed_ms: i64,
    pub(crate) received_ms: i64,
}

impl Sample {
    pub(crate) fn reading(&self) -> Reading {
        Reading {
            series: Series {
                device: DeviceKey(self.device),
                metric: self.metric,
            },
            value: self.value,
            quality: self.quality,
            observed_at: at(self.observed_ms),
            received_at: at(self.received_ms),
        }
    }
}

pub(crate) fn quality(code: u8) -> Quality {
    match code {
        0 => Quality::bad(Cause::Range),
        1 => Quality::uncertain(Cause::Flag),
        _ => Quality::GOOD,
    }
}

/// Runs a stream, in the order of arrival, and lets every deadline pass.
pub(crate) fn run(engine: &mut Engine, samples: &[Sample], end_ms: i64) -> Vec<Change> {
    let mut changes = Vec::new();
    for sample in samples {
        engine.apply(at(sample.received_ms), &sample.reading(), &mut changes);
    }
    engine.advance(at(end_ms), &mut changes);
    changes
}

/// Gives the history, without the numbers of the alarms, which depend on the order of telling.
pub(crate) fn history(changes: &[Change]) -> Vec<AlarmSpan> {
    let mut history = History::default();
    for change in changes {
        history.apply(change);
    }
    let mut spans = history.into_spans();
    for span in &mut spans {
        span.alarm = 0;
    }
    spans
}
